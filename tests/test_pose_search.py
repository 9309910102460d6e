"""The pose network as a detector, with a network that sees a painted rectangle."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.pose_search import PoseSearch, distinct, squares
from headstart.records import Detection
from headstart.tracking import Box, overlaps
from sees_white import SeesWhite, painted


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


def test_distinct_keeps_the_best_of_those_that_overlap() -> None:
    def at(x: float, score: float) -> Detection:
        box: Box = (x, 0.0, 100.0, 100.0)
        return Detection(box, score)

    # 20 px apart: 80 / 120 of the union is shared; 60 px apart: 40 / 160.
    assert distinct([at(0, 0.5), at(20, 0.9), at(80, 0.7)]) == [at(20, 0.9), at(80, 0.7)]
