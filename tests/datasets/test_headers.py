"""Headers of images: sizes and orientations as they are stored, and which images may be trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.datasets.headers import Header, read_header, require_upright
from headstart.errors import DataError
from headstart.images import read_image

TURNED = "expected an image that is stored upright, as labelling tools show it, found EXIF orientation"


def save(path: Path, orientation: int | None = None) -> Path:
    """60 px wide and 40 high as it is stored."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_sizes_are_of_the_pixels_that_are_read(tmp_path: Path, orientation: int | None) -> None:
    path = save(tmp_path / "a.jpg", orientation)
    assert read_header(path) == Header((60, 40), orientation or 1)
    assert read_image(path).shape[:2] == (40, 60)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.bmp"])
def test_other_formats(tmp_path: Path, name: str) -> None:
    assert read_header(save(tmp_path / name)) == Header((60, 40))


def test_orientations_that_there_are_not_turn_nothing(tmp_path: Path) -> None:
    for orientation in (0, 9):
        assert not read_header(save(tmp_path / "a.jpg", orientation)).is_turned


def test_what_is_no_image_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("nothing")
    assert read_header(tmp_path / "a.jpg") is read_header(tmp_path / "none.jpg") is read_header(tmp_path) is None


def test_turned_images_are_refused_unless_labels_are_of_the_stored_pixels() -> None:
    path = Path("a.jpg")
    for header in (None, Header((60, 40))):
        require_upright(path, header)
    require_upright(path, Header((60, 40), 6), (60, 40))
    refused = [
        (Header((60, 40), 6), None),  # nobody knows
        (Header((60, 40), 6), (40, 60)),  # as a viewer shows it
        (Header((60, 40), 3), (60, 40)),  # upside down: both have this size
        (Header((60, 60), 8), (60, 60)),
    ]
    for header, labelled in refused:
        with pytest.raises(DataError, match=rf"a\.jpg: {TURNED} {header.orientation}\. Store it upright"):
            require_upright(path, header, labelled)
