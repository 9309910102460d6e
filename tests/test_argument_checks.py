"""What callers say about pictures is refused by name where no picture can have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.argument_checks import check_box, check_boxes, check_camera, check_height, check_names, is_single_scale
from headstart.errors import ConfigError, DataError
from headstart.geometry import Camera

GOOD = Camera(1000.0, 1000.0, 320.0, 240.0, (-0.2, 0.1, 0.0, 0.0, -0.01))


def test_focal_lengths_that_pass_are_above_0() -> None:
    """Of a camera with a lens; the focal lengths need not be equal."""

    def passes(fx: float, fy: float) -> bool:
        try:
            check_camera(replace(GOOD, fx=fx, fy=fy))
        except ConfigError:
            return False
        return True

    tried = [(1000.0, 1000.0), (1e-3, 900.0), (0.0, 900.0), (900.0, 0.0), (-1.0, 900.0), (900.0, float("inf"))]
    assert [one for one in tried if passes(*one)] == tried[:2]


def test_numbers_are_no_camera() -> None:
    with pytest.raises(ConfigError, match=r"expected a Camera or a FieldOfView, got 1000\.0"):
        check_camera(1000.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("coefficient", range(5))
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_lens_that_is_not_finite_is_refused(coefficient: int, wrong: float) -> None:
    values = list(GOOD.distortion)
    values[coefficient] = wrong
    with pytest.raises(ConfigError, match="finite numbers as distortion, k1, k2, p1, p2, k3"):
        check_camera(replace(GOOD, distortion=(values[0], values[1], values[2], values[3], values[4])))


@pytest.mark.parametrize("wrong", [(0.1, 0.2, 0.0, 0.0), (0.1,) * 8, ()])
def test_a_lens_of_other_models_is_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="expected five finite numbers as distortion"):
        check_camera(replace(GOOD, distortion=wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [list, np.array])
def test_a_lens_may_be_a_list_or_an_array(kind: Callable[..., Any]) -> None:
    """What ``cv2.calibrateCamera`` gives is an array."""
    camera, pixels, depth = replace(GOOD, distortion=kind(GOOD.distortion)), np.array([[9.0, 9.0]]), np.array([2000.0])
    check_camera(camera)
    np.testing.assert_array_equal(camera.unproject(pixels, depth), GOOD.unproject(pixels, depth))


BOX = [40.0, 20.0, 110.0, 260.0]


@pytest.mark.parametrize(
    ("boxes", "pictures"),
    [([[BOX]], 1), ([[BOX, BOX], [], None], 3), (np.array([[BOX]]), 1), ([(tuple(BOX),)], 1)],
    ids=["one", "several", "array", "tuples"],
)
def test_boxes_are_a_list_for_each_picture(boxes: Any, pictures: int) -> None:
    check_boxes(boxes, pictures)


@pytest.mark.parametrize(
    ("boxes", "pictures"),
    [
        (BOX, 1),
        (BOX, 4),
        ([BOX], 1),
        (np.array([BOX]), 1),
        ([[BOX], [BOX]], 1),
        ([[BOX]], 2),
        ({"a.jpg": [BOX]}, 1),
        ([iter([BOX])], 1),
    ],
    ids=["box", "box of four", "list of a box", "its array", "too many", "too few", "by name", "iterator"],
)
def test_boxes_of_another_shape_are_told_the_right_one(boxes: Any, pictures: int) -> None:
    """A box by itself is what a newcomer tries first; four pictures must not take its four numbers for theirs."""
    with pytest.raises(ConfigError, match=rf"^boxes: .* {pictures} in all, such as \[\[\[x, y, width, height\]\]\]"):
        check_boxes(boxes, pictures)


@pytest.mark.parametrize(("names", "pictures"), [("photo.jpg", 1), ("photo.jpg", 9), (["a", "b"], 1), ([], 1)])
def test_names_are_a_list_with_one_for_each_picture(names: Any, pictures: int) -> None:
    check_names(["a"] * pictures, pictures)
    with pytest.raises(ConfigError, match=f"^names: expected a list with one name for each image, {pictures} in all"):
        check_names(names, pictures)


@pytest.mark.parametrize("height_mm", [300, 1700.0, 3000])
def test_statures_that_pass(height_mm: float) -> None:
    check_height(height_mm)


@pytest.mark.parametrize("height_mm", [299.0, 3001.0, 1.7, float("nan")])
def test_statures_in_another_unit(height_mm: float) -> None:
    with pytest.raises(ConfigError, match="expected a stature of 300 to 3,000 millimetres"):
        check_height(height_mm)


#: Of a picture of 200 x 100 px.
@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ((10, 20, 30, 40), None),
        ((0, 0, 1, 1), None),
        ((0, 0, 0.99, 40), "of a person's size"),
        ((0, 0, 40, 0.99), "of a person's size"),
        ((-10_000, -10_000, 20_000, 20_000), None),
        ((-10_000, 0, 20_001, 50), "of a person's size"),
        ((0, -10_000, 50, 20_001), "of a person's size"),
        ((199.5, 99.5, 30, 40), None),
        ((200, 20, 30, 40), "in the image"),
        ((10, 100, 30, 40), "in the image"),
        ((-29.5, -39.5, 30, 40), None),
        ((-30, 20, 30, 40), "in the image"),
        ((10, -40, 30, 40), "in the image"),
        ((10, 20, 0, 40), "finite and with a size"),
        ((10, 20, 30, -40), "finite and with a size"),
        ((10, float("nan"), 30, 40), "finite and with a size"),
        ((10, 20, 30), "width, height"),
        ((10, 20, None, 40), "width, height"),
    ],
)
def test_a_box_is_of_a_persons_size_and_touches_the_picture(box: Any, problem: str | None) -> None:
    if problem is None:
        assert check_box(box, 200, 100, "a.jpg", 3) == box
    else:
        with pytest.raises(DataError, match=f"a.jpg.*box 3.*{problem}"):
            check_box(box, 200, 100, "a.jpg", 3)


@pytest.mark.parametrize(("scales", "single"), [((1.0,), True), ([1], True), ((0.9,), False), ((1.0, 1.0), False)])
def test_one_look_at_a_crop_as_it_is(scales: Sequence[float], single: bool) -> None:
    assert is_single_scale(scales) is single
