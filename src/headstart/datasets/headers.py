"""What the header of an image file says: its size, and whether viewers turn it. The pixels are not decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import DataError

# PIL's names of JPEG files: with one picture, with several. Other formats are hardly ever turned.
_JPEG = ("JPEG", "MPO")
_AS_STORED = 1
_SIDEWAYS = 5  # from this value on, width and height change places
_FIX = "Label it as viewers show it, or give its size as it is stored if its labels are of the stored pixels"


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

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height in px of the image as viewers show it."""
        return self.size if self.orientation < _SIDEWAYS else self.size[::-1]


def read_header(path: Path) -> Header | None:
    """The header of an image; None where the file is missing or PIL does not know it."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as picture:
            exif = picture.getexif() if picture.format in _JPEG else {}
            turned = exif.get(ExifTags.Base.Orientation, _AS_STORED)
            return Header(picture.size, turned if turned in range(1, 9) else _AS_STORED)
    # What PIL raises for broken files, and for pictures of far too many pixels.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def labels_are_upright(path: Path, header: Header | None, labelled: tuple[Any, Any] = (None, None)) -> bool:
    """Whether labels are of an image as viewers show it, where they turn it: not if the stored pixels alone fit.

    ``labelled``: (width, height) px that the labels are of, if they say so; :class:`DataError` if neither fits.
    """
    if header is None or not header.is_turned:
        return False
    if all(labelled) and labelled not in (header.size, header.shown_size):
        expected = f"an image of {labelled[0]} x {labelled[1]} px, as its labels say"
        width, height = header.shown_size
        raise DataError(path, expected, found=f"{width} x {height} px as viewers show it", fix=_FIX)
    return labelled != header.size or header.size == header.shown_size
