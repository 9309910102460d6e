"""What confidences say: of a whole person, and of single joints."""

import numpy as np
import pytest

from headstart.confidence import UNSURE_JOINT, certainty, seen_joints


def test_certainty_is_what_a_quarter_of_the_joints_reach() -> None:
    assert certainty(np.array([0.1, 0.2, 0.4, 0.3, 0.9])) == pytest.approx(0.4)
    assert certainty(np.array([0.9, 0.3, 0.0])) == pytest.approx(0.6)


def test_joints_are_seen_from_the_threshold_on() -> None:
    keypoints = [(5.0, 6.0, value) for value in (UNSURE_JOINT, 0.9, UNSURE_JOINT - 0.01, 0.5, 0.3)]
    assert seen_joints(keypoints).tolist() == [True, True, False, True, True]


def test_of_a_person_who_is_hardly_seen_all_joints_count() -> None:
    keypoints = [(5.0, 6.0, value) for value in (0.9, 0.9, 0.9, 0.1, 0.0)]
    assert seen_joints(keypoints).tolist() == [True] * 5
