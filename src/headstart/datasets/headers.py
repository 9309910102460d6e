"""What the header of an image file says: its size, and whether viewers turn it. The pixels are not decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import DataError

_ORIENTATION = 0x0112  # tag of EXIF
# PIL's names of JPEG files: with one picture, with several. Other formats are hardly ever turned.
_JPEG = ("JPEG", "MPO")
_AS_STORED = 1
_SIDEWAYS = 5  # from this value on, width and height change places
_FIX = (
    "Store it upright: exiftran -ai FILE, or open and save it in an image editor; the labels then fit. If they are of"
    " the image as it is stored, remove the tag"
)


@dataclass(frozen=True)
class Header:
    """Of an image file."""

    size: tuple[int, int]
    """Width and height in stored px."""
    orientation: int = _AS_STORED
    """That of EXIF: 1 is upright as stored, 2 to 8 are turned or mirrored by viewers."""

    @property
    def is_turned(self) -> bool:
        """Whether viewers turn or mirror it."""
        return self.orientation != _AS_STORED


def read_header(path: Path) -> Header | None:
    """The header of an image; None where the file is missing or PIL does not know it."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(_ORIENTATION, _AS_STORED) if picture.format in _JPEG else _AS_STORED
            return Header(picture.size, turned if turned in range(1, 9) else _AS_STORED)
    # What PIL raises for broken files, and for pictures of far too many pixels.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def require_upright(path: Path, header: Header | None, labelled: tuple[Any, Any] | None = None) -> None:
    """Raise :class:`DataError` for an image that viewers turn, as it is read as it is stored (images.py).

    Not if ``labelled``, the (width, height) px that the labels are of, shows that they are of the stored pixels.
    """
    if header is None or not header.is_turned:
        return
    width, height = header.size
    if header.orientation >= _SIDEWAYS and width != height and labelled == header.size:
        return
    expected = "an image that is stored upright, as labelling tools show it"
    raise DataError(path, expected, found=f"EXIF orientation {header.orientation}", fix=_FIX)
