"""The crop that moves onto a person, with a network that sees a painted rectangle."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.closing_in import LOOKS, close_in, confident_box
from headstart.geometry import Box, Crop
from headstart.records import CropJoints
from headstart.tracking import overlaps
from sees_white import SeesWhite, painted

WHOLE: Box = (0.0, 0.0, 640.0, 480.0)


class Stretches(SeesWhite):
    """It stretches whoever is shorter than a quarter of the crop down to its bottom, less sure of what it made up."""

    def person(self, white: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        points = super().person(white)[0] - 0.5  # from edges to centres of pixels, which a mirror leaves alone
        legs = points[:, 1] > points[:, 1].mean()
        if white.any(1).sum() >= 16:
            return points, np.full(18, 0.8)
        return np.where(legs[:, None], [[0, 63]] + points * [1, 0], points), np.where(legs, 0.16, 0.6)


def test_closes_in_on_a_small_person() -> None:
    person = (400, 60, 60, 150)
    network = SeesWhite()
    box = close_in(network, painted(640, 480, person), WHOLE)
    assert overlaps([WHOLE], [person])[0, 0] < 0.05
    assert overlaps([box], [person])[0, 0] > 0.75
    assert network.crops == 2 * LOOKS - 1


def test_closes_in_on_a_person_who_is_stretched_until_he_fills_the_crop() -> None:
    person = (300, 60, 80, 120)
    image = painted(640, 480, person)
    stretched: Box | None = WHOLE
    for _ in range(4):  # the box around what was made up is too large, and stays so
        crop = Crop.from_box(np.array(stretched), (64, 64))
        joints = Stretches()(crop.warp(image)[None])
        stretched = confident_box(crop.to_image(joints.keypoints[0]), joints.confidence[0], 640, 480)
        assert stretched is not None
        assert overlaps([stretched], [person])[0, 0] < 0.4
    assert overlaps([close_in(Stretches(), image, WHOLE)], [person])[0, 0] > 0.75


@pytest.mark.parametrize("height", [200, 100])
def test_looks_at_a_smaller_crop_around_the_middle_of_the_joints_as_sure_as_they_are(height: int) -> None:
    class Keeps(SeesWhite):
        last: NDArray[np.uint8] = np.empty(0, np.uint8)

        def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
            self.last = crops
            points, sure = np.repeat([[15.5, 15.5], [47.5, 47.5]], 9, 0), np.repeat([0.6, 0.2], 9)
            return CropJoints(*(np.stack([one] * len(crops)) for one in (points, np.zeros(18), sure)))

    image = np.zeros((height, 200, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(200), np.arange(height)[:, None]
    network = Keeps()
    close_in(network, image, (0.0, 0.0, 200.0, float(height)), looks=2)
    # 64 px of the crop show 200: joints at 49.5 and 149.5, three to one. The second look's side is 0.6 of 200, also
    # where the box is half as high: there the crop shows what is above the picture too, as black.
    smaller = network.last[1].astype(float)
    assert smaller[32, :, 0].mean() == pytest.approx(74.5, abs=0.1)
    assert smaller[32, -1, 0] - smaller[32, 0, 0] == pytest.approx(120 * 63 / 64, abs=1)
    if height == 200:
        assert smaller[..., 1].mean() == pytest.approx(74.5, abs=0.1)


def test_first_look_has_no_room_around_the_box() -> None:
    class Keeps(SeesWhite):
        first = None

        def person(self, white: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            self.first = white if self.first is None else self.first
            return super().person(white)

    network = Keeps()
    close_in(network, painted(200, 200, (50, 50, 100, 100)), (50.0, 50.0, 100.0, 100.0))
    assert network.first is not None
    assert network.first.all()


def test_stays_on_a_person_who_fills_the_box() -> None:
    person = (20, 10, 200, 460)
    box = close_in(SeesWhite(), painted(240, 480, person), (0.0, 0.0, 240.0, 480.0))
    assert overlaps([box], [person])[0, 0] > 0.75


def test_keeps_the_box_where_nobody_is() -> None:
    assert close_in(SeesWhite(), painted(640, 480), WHOLE) == WHOLE


def test_looks_zero_times_keeps_the_box() -> None:
    assert close_in(SeesWhite(), painted(640, 480, (400, 60, 60, 150)), WHOLE, looks=0) == WHOLE


def test_box_of_joints_leaves_out_the_unsure_and_keeps_to_the_picture() -> None:
    points = np.array(
        [[10, 20], [110, 20], [110, 220], [10, 220], [10, 100], [50, 20], [110, 50], [60, 220], [500, 500]]
    )
    sure = np.array([0.9] * 8 + [0.1])
    assert confident_box(points, sure, 640, 480) == pytest.approx((5.5, 10.5, 110, 220))
    assert confident_box(points, sure, 112, 225) == pytest.approx((5.5, 10.5, 106.5, 214.5))


def test_box_of_joints_takes_the_surest_where_all_are_unsure() -> None:
    points = np.arange(18)[:, None] * np.array([10.0, 10.0])
    box = confident_box(points, np.linspace(0.01, 0.1, 18), 640, 480)
    assert box == pytest.approx((100.5 - 3.5, 100.5 - 3.5, 77, 77))  # the last eight: 100 to 170


def test_box_of_joints_of_a_model_that_knows_few_joints_is_around_all_of_them() -> None:
    points = np.array([[10.0, 20.0], [50.0, 40.0], [30.0, 80.0]])
    assert confident_box(points, np.full(3, 0.1), 100, 100) == (8.5, 17.5, 44.0, 66.0)


def test_box_of_joints_of_the_mirrored_picture_is_the_mirrored_box() -> None:
    rng = np.random.default_rng(0)
    points, sure = rng.uniform(0, 300, (18, 2)), rng.uniform(0, 1, 18)
    box, mirrored = (confident_box(one, sure, 320, 320) for one in (points, [319, 0] + points * [-1, 1]))
    assert box is not None
    assert mirrored == pytest.approx((320 - box[0] - box[2], *box[1:]))


def test_box_of_joints_is_none_where_joints_fall_together() -> None:
    assert confident_box(np.full((18, 2), 30.0), np.full(18, 0.9), 640, 480) is None


def test_box_of_joints_in_one_line_is_none() -> None:
    """They span 170 px across and nothing down: no crop can be cut around that."""
    assert confident_box(np.stack([np.arange(18) * 10.0, np.full(18, 30.0)], 1), np.full(18, 0.9), 640, 480) is None


def test_box_of_joints_holds_all_that_are_015_sure() -> None:
    points = np.array([[float(10 * i), 50.0 + i] for i in range(9)])
    for confidence, right in ((0.16, 80.5 + 4), (0.14, 70.5 + 3.5)):
        box = confident_box(points, np.array([0.9] * 8 + [confidence]), 640, 480)
        assert box is not None
        assert box[0] + box[2] == pytest.approx(right)  # the last of the first eight lies at 70


def test_a_box_of_one_pixel_is_a_box() -> None:
    """Joints on both sides of a picture 1 px wide and 100 px high."""
    points = np.array([[-5.0, 19.5], [5.0, 59.5]])
    assert confident_box(points, np.full(2, 0.9), 1, 100) == pytest.approx((0, 18, 1, 44))


def test_closes_in_on_who_is_farther_right_than_the_picture_is_high() -> None:
    person = (560, 60, 60, 150)
    assert overlaps([close_in(SeesWhite(), painted(640, 480, person), WHOLE)], [person])[0, 0] > 0.75


def test_the_mirrored_picture_is_only_looked_at_where_asked_for() -> None:
    class Noting(SeesWhite):
        asked: tuple[bool, ...] = ()

        def __call__(self, crops: np.ndarray, *, flip_test: bool = False) -> CropJoints:
            self.asked += (flip_test,)
            return super().__call__(crops)

    network, image = Noting(), painted(640, 480)
    close_in(network, image, WHOLE, looks=1)
    close_in(network, image, WHOLE, looks=1, flip_test=True)
    assert network.asked == (False, True)
