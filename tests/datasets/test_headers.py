"""Headers of images: sizes and orientations as they are stored, and whether labels are of what viewers show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from headstart.datasets.headers import Header, labels_are_upright, read_header
from headstart.errors import DataError
from headstart.images import read_image


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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_that_viewers_show(tmp_path: Path, orientation: int) -> None:
    path = save(tmp_path / "a.jpg", orientation)
    assert read_header(path).shown_size == ImageOps.exif_transpose(Image.open(path)).size


def test_labels_are_of_what_viewers_show_unless_the_stored_pixels_alone_fit() -> None:
    path = Path("a.jpg")
    as_stored = [
        (None, None),
        (Header((60, 40)), (60, 40)),
        (Header((60, 40)), (7, 7)),  # nobody turns it: nothing to decide
        (Header((60, 40), 6), (60, 40)),
    ]
    upright = [
        (Header((60, 40), 6), (None, None)),  # nobody knows
        (Header((60, 40), 6), (60, None)),
        (Header((60, 40), 6), (0, 0)),
        (Header((60, 40), 6), (40, 60)),  # as a viewer shows it
        (Header((60, 40), 3), (60, 40)),  # upside down: both have this size
        (Header((60, 60), 8), (60, 60)),
    ]
    assert not any(labels_are_upright(path, header, labelled or (None, None)) for header, labelled in as_stored)
    assert all(labels_are_upright(path, header, labelled) for header, labelled in upright)
    assert labels_are_upright(path, Header((60, 40), 6))


@pytest.mark.parametrize(
    ("orientation", "labelled", "shown"),
    [(6, (80, 120), "40 x 60"), (3, (40, 60), "60 x 40"), (8, ("60", "40"), "40 x 60")],
)
def test_labels_of_another_image_are_refused(orientation: int, labelled: tuple[Any, Any], shown: str) -> None:
    with pytest.raises(DataError) as error:
        labels_are_upright(Path("a.jpg"), Header((60, 40), orientation), labelled)
    expected = f"an image of {labelled[0]} x {labelled[1]} px, as its labels say"
    assert str(error.value).startswith(f"a.jpg: expected {expected}, found {shown} px as viewers show it. Label it")


def test_width_and_height_change_places_from_orientation_5_on() -> None:
    shown = [Header((60, 40), orientation).shown_size for orientation in range(1, 9)]
    assert shown == [(60, 40)] * 4 + [(40, 60)] * 4
