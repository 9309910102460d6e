"""The pose network as a detector: with a network that sees a painted rectangle, so that what must come out is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headstart.pose_search import PoseSearch, box_of_joints, certainty, distinct, squares
from headstart.records import CropJoints, Detection
from headstart.skeleton import MODEL_SKELETONS
from headstart.tracking import Box, overlaps


class SeesWhite:
    """A network whose person is the white part of a crop: joints around its edge; the more of the crop it fills, the
    surer, but unsure of a person who is cut off."""

    skeleton = MODEL_SKELETONS["body_18"]
    input_size = (64, 64)

    def __init__(self) -> None:
        self.crops = 0

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        self.crops += len(crops)
        seen = [self.person(crop[..., 0] > 127) for crop in crops]
        keypoints, confidence = (np.stack(part) for part in zip(*seen))
        return CropJoints(keypoints.astype(np.float32), np.zeros((len(crops), 18)), confidence)

    def person(self, white: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if not white.any():
            return np.full((18, 2), 32.0), np.full(18, 0.05)
        rows, columns = np.nonzero(white)
        low, high = np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])
        cut = low.min() == 0 or high.max() == 64
        turns = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        around = (low + high) / 2 + (high - low) / 2 * np.stack([np.cos(turns), np.sin(turns)], 1)
        return around, np.full(18, 0.1 if cut else min(1.0, 2 * white.mean()))


def painted(width: int, height: int, *boxes: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, w, h in boxes:
        image[y : y + h, x : x + w] = 255
    return image


def test_finds_a_small_person_where_the_whole_picture_would_not_do() -> None:
    person = (400, 60, 60, 150)
    (found,) = PoseSearch(SeesWhite(), threshold=0.4)(painted(640, 480, person))
    assert overlaps([found.bbox_xywh], [person])[0, 0] > 0.75
    assert overlaps([(0.0, 0.0, 640.0, 480.0)], [person])[0, 0] < 0.05


def test_finds_two_people_once_each() -> None:
    people = [(60, 100, 70, 150), (450, 200, 70, 150)]
    found = PoseSearch(SeesWhite(), threshold=0.4)(painted(640, 480, *people))
    met = overlaps([one.bbox_xywh for one in found], people) > 0.7
    assert met.sum() == 2
    assert met.any(0).all()
    assert met.any(1).all()


def test_finds_nobody_in_an_empty_picture() -> None:
    assert PoseSearch(SeesWhite())(painted(320, 200)) == []


def test_threshold_is_the_least_score() -> None:
    image = painted(640, 480, (400, 60, 60, 150))
    (found,) = PoseSearch(SeesWhite(), threshold=0.3)(image)
    assert PoseSearch(SeesWhite(), threshold=found.score + 1e-6)(image) == []


def test_looks_at_each_square_once_and_then_at_few_places() -> None:
    network = SeesWhite()
    PoseSearch(network)(painted(640, 480, (400, 60, 60, 150)))
    assert len(list(squares(640, 480))) < network.crops <= len(list(squares(640, 480))) + 2 * 12


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_squares_lie_in_the_picture_and_each_size_covers_it(width: int, height: int) -> None:
    boxes = list(squares(width, height))
    assert boxes[0] == (0.0, 0.0, width, height)
    assert all(x >= 0 and y >= 0 and x + w <= width + 1e-6 and y + h <= height + 1e-6 for x, y, w, h in boxes)
    smallest = [box for box in boxes if box[2:] == boxes[-1][2:]]
    for start, size, extent in ((0, 2, width), (1, 3, height)):
        edges = sorted({(box[start], box[start] + box[size]) for box in smallest})
        assert edges[0][0] == 0
        assert edges[-1][1] == pytest.approx(extent)
        assert all(after[0] <= before[1] + 1e-6 for before, after in itertools.pairwise(edges))


def test_certainty_is_what_two_thirds_of_the_joints_reach() -> None:
    assert certainty(np.array([0.1, 0.2, 0.3, 0.9])) == pytest.approx(0.2)
    assert certainty(np.array([0.9, 0.9, 0.0])) == pytest.approx(0.6)


def test_box_of_joints_leaves_out_the_unsure_and_keeps_to_the_picture() -> None:
    points = np.array(
        [[10, 20], [110, 20], [110, 220], [10, 220], [10, 100], [50, 20], [110, 50], [60, 220], [500, 500]]
    )
    sure = np.array([0.9] * 8 + [0.1])
    assert box_of_joints(points, sure, 640, 480) == pytest.approx((5, 10, 110, 220))
    assert box_of_joints(points, sure, 112, 225) == pytest.approx((5, 10, 107, 215))


def test_box_of_joints_takes_the_surest_where_all_are_unsure() -> None:
    points = np.arange(18)[:, None] * np.array([10.0, 10.0])
    box = box_of_joints(points, np.linspace(0.01, 0.1, 18), 640, 480)
    assert box == pytest.approx((100 - 3.5, 100 - 3.5, 77, 77))  # the last eight: 100 to 170


def test_box_of_joints_is_none_where_joints_fall_together() -> None:
    assert box_of_joints(np.full((18, 2), 30.0), np.full(18, 0.9), 640, 480) is None


def test_distinct_keeps_the_best_of_those_that_overlap() -> None:
    def at(x: float, score: float) -> Detection:
        box: Box = (x, 0.0, 100.0, 100.0)
        return Detection(box, score)

    # 20 px apart: 80 / 120 of the union is shared; 60 px apart: 40 / 160.
    assert distinct([at(0, 0.5), at(20, 0.9), at(80, 0.7)]) == [at(20, 0.9), at(80, 0.7)]
