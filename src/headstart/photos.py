"""Users' own pictures: any file, array or PIL image as upright RGB; anything else is a :class:`DataError` of one line.

The EXIF orientation is applied, so that boxes and joints refer to the picture as viewers show it. (Labels of data sets
refer to the stored pixels instead: images.py.) Transparent parts become white, 16 bits become 8.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from headstart import heif
from headstart.errors import DataError, first_line
from headstart.records import RGB

if TYPE_CHECKING:
    from PIL.Image import Image

PhotoLike = Any
"""A path, an array (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16 in RGB order, a PIL image, the content of a
picture file as bytes, or a file opened in binary mode: see :func:`as_photo`."""

#: Pixels beyond which a picture is refused before it is decoded: 120 megapixels, 360 MB as RGB.
MAX_PIXELS = 120_000_000
#: px; nobody can be recognised in a smaller picture.
MIN_SIDE = 8

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"}
).union(heif.SUFFIXES)
# Formats that are decoded within this process; for PostScript PIL would start an interpreter. JPEG includes the files
# of several pictures that phones write.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")


# What PIL and libheif raise for broken files, on purpose or not.
_BROKEN = (
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    struct.error,
)
# Orientations of EXIF (Exif 2.3) -> those of PIL's Image.Transpose.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


class _WithoutWarnings:
    """Hides warnings while any thread is within.

    ``warnings.catch_warnings`` alone is not safe among threads: where two overlap, the second one restores the filters
    that the first had set, and warnings stay hidden for the rest of the program.
    """

    def __init__(self) -> None:
        self._lock, self._within, self._filters = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._filters.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._filters.close()


_without_warnings = _WithoutWarnings()


def read_photo(path: str | Path, max_pixels: int = MAX_PIXELS) -> RGB:
    """A picture file as upright RGB (H, W, 3) uint8; of several pictures in a file the first, in HEIC the primary one.

    Raises :class:`DataError` for a file that is missing, is no picture, ends early, or has more than ``max_pixels`` or
    a side of less than 8 px (by its header, before it is decoded).
    """
    try:
        with Path(path).open("rb") as stream:
            return decode_photo(stream, path, max_pixels)
    except OSError as error:
        raise DataError(path, "an image file", found=error.strerror or str(error)) from error


def decode_photo(content: bytes | BinaryIO, name: str | Path, max_pixels: int = MAX_PIXELS) -> RGB:
    """The same from encoded bytes or an open file; ``name`` is for messages."""
    from PIL import Image, UnidentifiedImageError

    stream = BytesIO(content) if isinstance(content, bytes) else content
    kind = None
    try:
        kind = heif.format_of(_start_of(stream))
        if kind == "HEIC":
            return _decode_heic(stream.read(), name, max_pixels)
        # PIL warns of broken metadata, and of pictures above a limit on pixels that is lower than ours.
        with _without_warnings, heif.open_avif(stream) if kind else Image.open(stream, formats=_FORMATS) as picture:
            _check_size(picture.size, name, max_pixels)
            return _upright_rgb(picture, name)
    except ImportError as error:
        raise DataError(name, "an image that can be read", found=kind, fix=heif.NEEDED.get(kind or "")) from error
    except UnidentifiedImageError as error:
        found = "something else" if _start_of(stream) else "an empty file"
        raise DataError(name, "an image (JPEG, HEIC, PNG, WebP, AVIF, TIFF, BMP or GIF)", found=found) from error
    except Image.DecompressionBombError as error:
        raise DataError(name, f"at most {max_pixels:,} pixels", found="far more", fix="Scale it down") from error
    except _BROKEN as error:
        raise DataError(name, "a whole image", found=first_line(error)) from error


def _start_of(stream: BinaryIO) -> bytes:
    """The first bytes of a file, which is then at its beginning again."""
    stream.seek(0)
    start = stream.read(256)
    stream.seek(0)
    return start


def _decode_heic(content: bytes, name: str | Path, max_pixels: int) -> RGB:
    picture = heif.HeicFile(content)
    _check_size(picture.size, name, max_pixels)
    return _array_to_rgb(picture.decode(), name)


def names_of(pictures: Sequence[PhotoLike]) -> list[str]:
    """Names of pictures for messages: paths, or for others ``picture 0`` and so on."""
    paths = [os.fsdecode(one) if isinstance(one, (str, os.PathLike)) else None for one in pictures]
    return [f"picture {number}" if path is None else path for number, path in enumerate(paths)]


def as_photo(image: PhotoLike, name: str | Path = "picture") -> RGB:
    """Any form of one picture as upright RGB (H, W, 3) uint8; raises :class:`DataError` as :func:`read_photo` does.

    A path (``str`` or any ``os.PathLike``); an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8 or uint16 in
    RGB order; a ``PIL.Image.Image``; a picture file's content as ``bytes``, or a file opened in binary mode.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_photo(os.fsdecode(image))
    if isinstance(image, np.ndarray):
        return _array_to_rgb(image, name)
    if _is_pil(image):
        _check_size(image.size, name, MAX_PIXELS)
        return _loaded(image, name)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_photo(bytes(image), name)
    if hasattr(image, "read"):
        return decode_photo(_content(image, name), name)
    expected = "a path, an array, a PIL image, bytes or a file opened in binary mode"
    raise DataError(name, expected, found=type(image).__name__)


def _is_pil(image: object) -> bool:
    """Whether it is a PIL image or of a subclass; if PIL was never imported, there can be none."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def _content(file: Any, name: str | Path) -> BinaryIO | bytes:
    """An open file for PIL, which reads from its start; of one that cannot seek (a download) the content."""
    try:
        if not isinstance(file.read(0), bytes):
            raise DataError(name, "a file opened in binary mode", found="text", fix="Open it with mode 'rb'")
        return file if file.seekable() else file.read()
    except _BROKEN as error:  # a closed file
        raise DataError(name, "a file that can be read", found=str(error)) from error


def _loaded(image: Image, name: str | Path) -> RGB:
    try:
        return _upright_rgb(image, name)
    # PIL reads the pixels of a file only now, and has modes that it cannot convert.
    except _BROKEN as error:
        raise DataError(name, "a whole image", found=first_line(error)) from error


def _check_size(size: tuple[int, int], name: str | Path, max_pixels: int) -> None:
    """Raise :class:`DataError` unless a picture of (width, height) px can be used."""
    width, height = size
    if width * height > max_pixels:
        found = f"{width:,} x {height:,}"
        raise DataError(name, f"at most {max_pixels:,} pixels", found=found, fix="Scale it down")
    if min(size) < MIN_SIDE:
        raise DataError(name, f"an image of at least {MIN_SIDE} px a side", found=f"{width} x {height}")


def _upright_rgb(picture: Image, name: str | Path) -> RGB:
    picture = _turned(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        return _array_to_rgb(_sixteen_bits(picture, name), name)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode != "RGB":
        picture = picture.convert("RGB")
    return _array_to_rgb(np.asarray(picture), name)


def _turned(picture: Image) -> Image:
    """The picture upright, by its EXIF orientation if that can be read.

    PIL's ``exif_transpose`` would also write the EXIF again, which fails for that of some cameras.
    """
    from PIL.ExifTags import Base
    from PIL.Image import Transpose

    picture.load()  # a TIFF turns itself
    try:
        orientation = picture.getexif().get(Base.Orientation)
    except _BROKEN:
        orientation = 1
    turn = _TURNS.get(orientation or 1)
    return picture if turn is None else picture.transpose(Transpose(turn))


def _sixteen_bits(picture: Image, name: str | Path) -> NDArray[np.uint8 | np.uint16]:
    """Values of a grey picture of more than 8 bits; PIL's own conversion would clip them at 255.

    Mode I has 32 bits and does not say how many are used: with no value above 255 the picture is taken to have 8.
    """
    values = np.asarray(picture)
    if picture.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise DataError(name, "an image of 8 or 16 bits a channel", found=f"PIL mode {picture.mode}")
    return values.astype(np.uint8 if picture.mode == "I" and values.max() <= 255 else np.uint16)


def _array_to_rgb(image: NDArray[Any], name: str | Path) -> RGB:
    grey = image[..., None] if image.ndim == 2 else image
    if grey.ndim != 3 or grey.shape[2] not in (1, 3, 4) or image.dtype not in (np.uint8, np.uint16):
        found = f"shape {image.shape} of {image.dtype}"
        raise DataError(name, "an array (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16, RGB", found=found)
    _check_size((grey.shape[1], grey.shape[0]), name, MAX_PIXELS)
    if grey.dtype == np.uint16:
        grey = (grey >> 8).astype(np.uint8)
    if grey.shape[2] == 4:
        alpha = grey[..., 3:].astype(np.uint16)
        grey = ((grey[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey, 3, 2) if grey.shape[2] == 1 else grey)
