"""Photos in containers of the HEIF family: HEIC, which iPhones take, and AVIF. For users' pictures: photos.py."""

from __future__ import annotations

import struct
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
        picture or that ends early, and what the library raises for broken files (:class:`RuntimeError` among others).
        """
        self._file: Any = _heif_library().open_heif(content)
        if not len(self._file):
            raise ValueError("a HEIC file without a picture")
        if _ends_early(content):
            raise ValueError("a HEIC file that ends early")

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
    at = 0
    while at + 16 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if size == 1:
            size = struct.unpack_from(">Q", content, at + 8)[0]
        if kind == b"mdat" and at + size > len(content):
            return True
        at += max(size, 8) if size else len(content)  # 0 means: to the end of the file
    return False


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
