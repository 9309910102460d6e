"""Videos of people who are partly outside the image: where they are looked for, and how their joints move."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.following import FOLLOW_MARGIN, followed_box
from headstart.records import Prediction
from headstart.video import VideoOptions, smooth_motion

#: Leaves nearly everything as it is.
SHARP = VideoOptions(motion_filter=40.0)


def at_a_desk(number: int = 0, wrist: float = 0.9, ankle: float = 0.1) -> Prediction:
    """The wrist moves 10 mm a frame and 500 mm away where it is not seen; ankles lie below, at the crop's border."""
    guess = 500.0 if wrist < 0.2 else 0.0
    joints = {"pelvis": (0.0, 0.0, 0.0), "left_wrist": (10.0 * number + guess, 0.0, 0.0)}
    joints |= {"left_ankle": (float(number % 2) * 80, 700.0, 0.0)}
    keypoints = {"head_top": (50.0, 20.0, 0.9), "neck": (50.0, 40.0, 0.8), "left_shoulder": (70.0, 45.0, 0.7)}
    keypoints |= {"right_shoulder": (30.0, 45.0, 0.7), "pelvis": (50.0, 110.0, 0.3)}
    keypoints |= {"left_wrist": (80.0, 90.0, wrist), "left_ankle": (95.0, 240.0, ankle)}
    return Prediction("a", (20, 10, 70, 110), 1.0, keypoints, joints)


def path_of(people: list[Prediction], joint: str) -> np.ndarray:
    return np.array([one.xyz_mm[joint] for one in people])


def test_the_box_to_follow_leaves_out_joints_outside_the_image() -> None:
    """With the ankles it would be 240 px high, and higher in each frame that follows."""
    assert followed_box(at_a_desk()) == (30.5, 20.5, 50, 90)
    assert followed_box(at_a_desk(ankle=0.9)) == (30.5, 20.5, 65, 220)
    margin = (FOLLOW_MARGIN - 1) * 90 / 2
    assert followed_box(at_a_desk(), FOLLOW_MARGIN) == pytest.approx(
        (30.5 - margin, 20.5 - margin, 50 + 2 * margin, 90 + 2 * margin)
    )


def test_a_joint_moves_straight_through_frames_that_do_not_show_it() -> None:
    people = [at_a_desk(number, wrist=0.1 if 10 <= number < 16 else 0.9) for number in range(40)]
    assert path_of(people, "left_wrist")[12, 0] == 620
    smooth = path_of(smooth_motion(people, 100.0, SHARP), "left_wrist")
    np.testing.assert_allclose(smooth[:, 0], 10.0 * np.arange(40), atol=1)


def test_before_the_first_and_after_the_last_sighting_it_rests() -> None:
    people = [at_a_desk(number, wrist=0.9 if 5 <= number < 30 else 0.1) for number in range(40)]
    smooth = path_of(smooth_motion(people, 100.0, SHARP), "left_wrist")
    np.testing.assert_allclose(smooth[[0, 2, 35, 39], 0], [50, 50, 290, 290], atol=12)


def test_a_joint_that_no_frame_shows_rests_at_its_median() -> None:
    """In 23 of 40 frames the guess is 0 mm, in the others 80 mm."""
    people = [at_a_desk(number if number < 34 else 0) for number in range(40)]
    smooth = path_of(smooth_motion(people, 100.0, SHARP), "left_ankle")
    np.testing.assert_allclose(smooth, np.tile([0.0, 700.0, 0.0], (40, 1)), atol=1e-6)


def test_joints_as_predicted_stay_as_predicted() -> None:
    people = [at_a_desk(number, wrist=0.1 if number == 3 else 0.9) for number in range(40)]
    same = smooth_motion(people, 100.0, VideoOptions(motion_filter="none"))
    np.testing.assert_allclose(path_of(same, "left_wrist"), path_of(people, "left_wrist"), atol=1e-9)
