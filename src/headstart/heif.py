"""Photos in containers of the HEIF family: HEIC, which iPhones take, and AVIF. For users' pictures: photos.py."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

#: Usual endings of the names of such files -> format. Cameras of Canon, Nikon and Sony write .hif.
SUFFIXES = {".heic": "HEIC", ".heif": "HEIC", ".hif": "HEIC", ".avif": "AVIF"}
#: Format -> what to do where it cannot be read.
NEEDED = {
    "HEIC": "Reading HEIC needs: pip install 'headstart[heic]'",
    "AVIF": "Reading AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow",
}
# The second is the first without an encoder: LGPL instead of GPL, but its last version was 1.4.
_LIBRARIES = ("pillow_heif", "pi_heif")

#: Most pixels that are decoded for a picture, those of all its tiles together: twice what photos.py takes of a picture.
#: One core takes a second for them if they are of one colour, and some twenty seconds if they are noise.
MAX_DECODED_PIXELS = 240_000_000

# Kinds of content that the first box of a file ("ftyp") lists (ISO/IEC 23008-12, and AOM's AVIF).
_BRANDS = dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC")
_BRANDS |= {b"avif": "AVIF", b"avis": "AVIF"}
# Pictures or a sequence of them, by any codec.
_ANY_CODEC = (b"mif1", b"msf1")


def format_of(start: bytes) -> str | None:
    """``HEIC`` or ``AVIF`` by the first bytes (some 256) of a file, else None. Phones send HEIC under .jpg too."""
    if start[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(start[:4], "big"), len(start))
    brands = [start[at : at + 4] for at in (8, *range(16, end, 4))]
    known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return known[0] if known else "HEIC" if brands[0] in _ANY_CODEC else None


def needed_for(suffix: str) -> str | None:
    """What to install before files with this suffix can be read, in a sentence; None if nothing is missing."""
    kind = SUFFIXES.get(suffix.lower())
    if kind is None:
        return None
    try:
        _avif_class() if kind == "AVIF" else _heif_library()
    except ImportError:
        return NEEDED[kind]
    return None


def open_avif(stream: BinaryIO) -> Image:
    """The first picture of an AVIF file, not decoded yet; its EXIF orientation is that of the container.

    Raises :class:`ImportError` where Pillow cannot read AVIF, and what Pillow raises for broken files.
    """
    return _avif_class()(stream)


class HeicFile:
    """The primary picture of a HEIC file."""

    def __init__(self, content: bytes) -> None:
        """Reads headers only.

        Raises :class:`ImportError` where no library for HEIC is installed, :class:`ValueError` for a file without a
        picture, one that ends early or has far more tiles than it shows, and what the library raises for broken files
        (:class:`RuntimeError` among others).
        """
        self._file: Any = _heif_library().open_heif(content)
        if not len(self._file):
            raise ValueError("a HEIC file without an image")
        if _ends_early(content):
            raise ValueError("a HEIC file that ends early")
        if (pixels := _decoded_pixels(content)) > MAX_DECODED_PIXELS:
            raise ValueError(f"a HEIC file whose tiles have {pixels:,.0f} pixels, more than {MAX_DECODED_PIXELS:,}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) px of the upright picture, by the header.

        libheif (1.23) refuses to decode a picture that turns out to be larger.
        """
        return self._file.size

    def decode(self) -> NDArray[np.uint8 | np.uint16]:
        """The upright picture: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGB with opacity.

        All are uint8, but for grey of more than 8 bits, which is spread over the 16 bits of uint16.

        libheif turns it as the container says (irot, imir). EXIF may repeat that, and must not turn it once more.
        """
        if self._file.mode not in ("L", "I;16", "RGB", "RGBA"):  # colours multiplied by their opacity
            return np.asarray(self._file.to_pillow().convert("RGBA"))
        return np.array(self._file)  # a copy: the memory is that of the file, and goes with it


def _ends_early(content: bytes) -> bool:
    """Whether a box of pixels goes on behind the end of the file.

    libheif does not mind where a picture consists of tiles, as those of iPhones do, and leaves the missing ones green.
    """
    return any(kind == b"mdat" and end > len(content) for kind, _, end in _boxes(content, 0, len(content)))


def _decoded_pixels(content: bytes) -> float:
    """Pixels of all coded pictures that the primary one is made of, each as often as it is decoded.

    Tiles that lie outside of the picture are decoded too, a tile that is listed again is decoded again, and tiles may
    consist of tiles (ISO/IEC 23008-12, 6.6.2). libheif refuses a coded picture that has not the size that the header
    says. Raises :class:`ValueError` and :class:`struct.error` for broken headers.
    """
    meta = _only(content, 0, len(content)).get(b"meta", (0, 0))
    inside = _only(content, meta[0] + 4, meta[1])
    if not {b"pitm", b"iprp"} <= inside.keys():
        raise ValueError("a HEIC file whose header is not whole")
    parts = _parts(content, *inside[b"iref"]) if b"iref" in inside else {}
    sizes, counted = _sizes(content, *inside[b"iprp"]), dict[int, float]()

    def pixels(item: int) -> float:
        if item not in counted:
            counted[item] = math.inf  # as long as it may turn out to be a part of itself
            coded = (b"dimg", item) not in parts
            inner = [part for kind in (b"dimg", b"auxl") for part in parts.get((kind, item), [])]
            counted[item] = sum(map(pixels, inner)) + (sizes.get(item, 0) if coded else 0)
        return counted[item]

    start = inside[b"pitm"][0]
    return pixels(struct.unpack_from(">I" if content[start] else ">H", content, start + 4)[0])


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, first byte inside, first byte behind) of each box between two places of a file (ISO/IEC 14496-12, 4.2)."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, at)
        inside = at + 8
        if size == 1 and at + 16 <= end:
            (size,), inside = struct.unpack_from(">Q", content, at + 8), at + 16
        size = max(size, 8) if size else end - at  # 0 means: to the end
        yield kind, inside, at + size
        at += size


def _only(content: bytes, at: int, end: int) -> dict[bytes, tuple[int, int]]:
    """The boxes by their kind, of which none that is read here may stand twice: which would count?"""
    found: dict[bytes, tuple[int, int]] = {}
    for kind, inside, behind in _boxes(content, at, end):
        if kind in found and kind in (b"meta", b"pitm", b"iprp", b"iref", b"ipco"):
            raise ValueError(f"a HEIC file with two boxes {kind.decode()}")
        found[kind] = inside, behind
    return found


def _parts(content: bytes, at: int, end: int) -> dict[tuple[bytes, int], list[int]]:
    """(b"dimg", picture) -> the pictures that it is made of; (b"auxl", picture) -> its opacity and the like."""
    number, found = "I" if content[at] else "H", dict[tuple[bytes, int], list[int]]()
    for kind, inside, _ in _boxes(content, at + 4, end):
        one, count = struct.unpack_from(f">{number}H", content, inside)
        others = struct.unpack_from(f">{count}{number}", content, inside + struct.calcsize(f">{number}H"))
        if kind == b"dimg":
            found.setdefault((kind, one), []).extend(others)
        elif kind == b"auxl":
            for other in others:
                found.setdefault((kind, other), []).append(one)
    return found


def _sizes(content: bytes, at: int, end: int) -> dict[int, int]:
    """Picture -> its pixels, by the largest size (ispe) among its properties."""
    properties = list(_boxes(content, *_only(content, at, end)[b"ipco"]))
    pixels = [
        math.prod(struct.unpack_from(">II", content, inside + 4)) if kind == b"ispe" else 0
        for kind, inside, _ in properties
    ]
    found: dict[int, int] = {}
    for kind, inside, _ in _boxes(content, at, end):
        if kind == b"ipma":
            for item, which in _associations(content, inside):
                found[item] = max(found.get(item, 0), *(pixels[one - 1] for one in which if 0 < one <= len(pixels)), 0)
    return found


def _associations(content: bytes, at: int) -> Iterator[tuple[int, list[int]]]:
    """(picture, its properties, counted from 1) of a box ipma."""
    item_form, wide = ">IB" if content[at] else ">HB", content[at + 3] & 1
    (count,), at = struct.unpack_from(">I", content, at + 4), at + 8
    for _ in range(count):
        item, several = struct.unpack_from(item_form, content, at)
        at += struct.calcsize(item_form)
        which = struct.unpack_from(f">{several}{'H' if wide else 'B'}", content, at)
        at += several * (1 + wide)
        yield item, [one & (0x7FFF if wide else 0x7F) for one in which]


def _avif_class() -> Any:
    from PIL import AvifImagePlugin

    if not AvifImagePlugin.SUPPORTED:
        raise ImportError("Pillow was built without AVIF")
    return AvifImagePlugin.AvifImageFile


def _heif_library() -> Any:
    for name in _LIBRARIES:
        with suppress(ImportError):
            return import_module(name)
    raise ImportError(NEEDED["HEIC"])
