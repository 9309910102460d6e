"""The crop that moves onto a person, with a network that sees a painted rectangle."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.closing_in import LOOKS, box_of_joints, certainty, close_in, look
from headstart.geometry import Box
from headstart.tracking import overlaps
from sees_white import SeesWhite, painted

WHOLE: Box = (0.0, 0.0, 640.0, 480.0)


def test_closes_in_on_a_small_person() -> None:
    person = (400, 60, 60, 150)
    network = SeesWhite()
    box = close_in(network, painted(640, 480, person), WHOLE)
    assert overlaps([WHOLE], [person])[0, 0] < 0.05
    assert overlaps([box], [person])[0, 0] > 0.75
    assert network.crops == LOOKS


def test_stays_on_a_person_who_fills_the_box() -> None:
    person = (20, 10, 200, 460)
    box = close_in(SeesWhite(), painted(240, 480, person), (0.0, 0.0, 240.0, 480.0))
    assert overlaps([box], [person])[0, 0] > 0.75


def test_keeps_the_box_where_nobody_is() -> None:
    assert close_in(SeesWhite(), painted(640, 480), WHOLE) == WHOLE


def test_looks_zero_times_keeps_the_box() -> None:
    assert close_in(SeesWhite(), painted(640, 480, (400, 60, 60, 150)), WHOLE, looks=0) == WHOLE


def test_look_leaves_out_boxes_without_a_person() -> None:
    image = painted(640, 480, (400, 60, 60, 150))
    (found,) = look(SeesWhite(), image, [(0.0, 0.0, 100.0, 100.0), (350.0, 10.0, 160.0, 250.0)])
    assert overlaps([found.bbox_xywh], [(400.0, 60.0, 60.0, 150.0)])[0, 0] > 0.75


def test_certainty_is_what_two_thirds_of_the_joints_reach() -> None:
    assert certainty(np.array([0.1, 0.2, 0.3, 0.9])) == pytest.approx(0.2)
    assert certainty(np.array([0.9, 0.9, 0.0])) == pytest.approx(0.6)


def test_box_of_joints_leaves_out_the_unsure_and_keeps_to_the_picture() -> None:
    points = np.array(
        [[10, 20], [110, 20], [110, 220], [10, 220], [10, 100], [50, 20], [110, 50], [60, 220], [500, 500]]
    )
    sure = np.array([0.9] * 8 + [0.1])
    assert box_of_joints(points, sure, 640, 480) == pytest.approx((5.5, 10.5, 110, 220))
    assert box_of_joints(points, sure, 112, 225) == pytest.approx((5.5, 10.5, 106.5, 214.5))


def test_box_of_joints_takes_the_surest_where_all_are_unsure() -> None:
    points = np.arange(18)[:, None] * np.array([10.0, 10.0])
    box = box_of_joints(points, np.linspace(0.01, 0.1, 18), 640, 480)
    assert box == pytest.approx((100.5 - 3.5, 100.5 - 3.5, 77, 77))  # the last eight: 100 to 170


def test_box_of_joints_of_a_model_that_knows_few_joints_is_around_all_of_them() -> None:
    points = np.array([[10.0, 20.0], [50.0, 40.0], [30.0, 80.0]])
    assert box_of_joints(points, np.full(3, 0.1), 100, 100) == (8.5, 17.5, 44.0, 66.0)


def test_box_of_joints_of_the_mirrored_picture_is_the_mirrored_box() -> None:
    rng = np.random.default_rng(0)
    points, sure = rng.uniform(0, 300, (18, 2)), rng.uniform(0, 1, 18)
    box, mirrored = (box_of_joints(one, sure, 320, 320) for one in (points, [319, 0] + points * [-1, 1]))
    assert box is not None
    assert mirrored == pytest.approx((320 - box[0] - box[2], *box[1:]))


def test_box_of_joints_is_none_where_joints_fall_together() -> None:
    assert box_of_joints(np.full((18, 2), 30.0), np.full(18, 0.9), 640, 480) is None
