"""At which rate a video's people are animated, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from headstart.cli.animating import Animations, motion_filter_of
from headstart.errors import ConfigError
from headstart.skeleton import BODY_18
from headstart.smoothing import MotionFilter
from headstart.video import TrackedPerson, VideoOptions
from oracle import person
from test_animation import Y_UP, frame, read_bvh, read_trc


def write(
    folder: Path, times_s: Sequence[float], numbers: Sequence[int], rate: float | None
) -> tuple[int, float, float]:
    """Frames, seconds of a frame and frames a second of somebody who walks to the camera's right at 1 m/s."""
    animations = Animations(bvh=True, trc=True)
    for number, time_s in zip(numbers, times_s, strict=True):
        pelvis = np.array([1000 * time_s, 0.0, 4000.0])
        one = frame(person(10.0), camera=person(10.0) + pelvis)
        animations.add(TrackedPerson(one, number, time_s, 1, one.keypoints, one.xyz_mm, video_rate=rate))
    bvh, trc = animations.write(folder / "clip")
    found, seconds = read_bvh(bvh)
    steps = np.diff([pose["pelvis"][0] for pose in found])
    # However frames are spaced, the walk is even: 1 m/s are 100 BVH units (cm) a second.
    np.testing.assert_allclose(steps, 100 * seconds, atol=0.2)
    assert found[0]["pelvis"][2] == pytest.approx(-400)
    _, times, frames_per_second = read_trc(trc)
    assert len(times) == len(found)
    return len(found), seconds, frames_per_second


def test_a_walk_with_a_gap_through_a_butterworth_filter_is_even(tmp_path: Path) -> None:
    """2 m/s, unseen for 0.5 s: the gap is filled in before the filter, which then has nothing to do."""
    animations = Animations(bvh=False, trc=True, options=VideoOptions(motion_filter=6.0))
    numbers = [*range(5), *range(17, 20)]
    for number in numbers:
        one = frame(person(10.0), camera=person(10.0) + np.array([2000 * number / 25, 0.0, 4000.0]))
        animations.add(TrackedPerson(one, number, number / 25, 1, one.keypoints, one.xyz_mm, video_rate=25.0))
    markers, _, rate = read_trc(next(iter(animations.write(tmp_path / "clip"))))
    assert rate == 25
    np.testing.assert_allclose(markers["pelvis"][:, 0] - markers["pelvis"][0, 0], 80 * np.arange(20), atol=0.1)


@pytest.mark.parametrize("motion_filter", ["none", 6.0])
def test_two_frames_are_enough(motion_filter: MotionFilter, tmp_path: Path) -> None:
    """Scipy's own padding would need ten. Two frames are a movement of constant speed, which stays."""
    animations = Animations(bvh=True, trc=True, options=VideoOptions(motion_filter=motion_filter))
    poses = [person(0.0), person(30.0)]
    for number, pose in enumerate(poses):
        one = frame(pose)
        animations.add(TrackedPerson(one, number, number / 25, 1, one.keypoints, one.xyz_mm, video_rate=25.0))
    _, trc = animations.write(tmp_path / "clip")
    markers, _, _ = read_trc(trc)
    for joint, name in enumerate(BODY_18.names):
        np.testing.assert_allclose(markers[name], [pose[joint] * Y_UP for pose in poses], atol=0.1)


def test_a_frame_rate_that_the_header_did_not_say_is_found_out(tmp_path: Path) -> None:
    animations = Animations(bvh=False, trc=True, options=VideoOptions(motion_filter=14.0))
    one = frame(person(10.0))
    for number in range(50):
        animations.add(TrackedPerson(one, number, number / 25, 1, one.keypoints, one.xyz_mm, video_rate=30.0))
    with pytest.raises(ConfigError, match=r"cutoff below 12\.5 Hz"):
        animations.write(tmp_path / "clip")
    assert list(tmp_path.iterdir()) == []


def test_the_filter_by_its_name() -> None:
    assert [motion_filter_of(text, True) for text in ("one-euro", "none", "6", "4.5")] == ["one-euro", "none", 6.0, 4.5]
    assert motion_filter_of("one-euro", False) == "one-euro"


def in_ms(numbers: Sequence[int], rate: float) -> list[float]:
    """Times as MKV and WebM keep them."""
    return [round(1000 * number / rate) / 1000 for number in numbers]


def test_whole_milliseconds_are_no_other_rate(tmp_path: Path) -> None:
    """Known defect: 61 frames of 30 a second became 62 of 30.303."""
    assert write(tmp_path, in_ms(range(61), 30), range(61), None) == (61, pytest.approx(1 / 30, abs=1e-7), 30)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(30), Fraction(60), Fraction(240)])
@pytest.mark.parametrize("count", [2, 17, 100])
def test_the_rate_of_the_header_is_kept(rate: Fraction, count: int, tmp_path: Path) -> None:
    found = write(tmp_path, in_ms(range(count), float(rate)), range(count), float(rate))
    assert found == (count, pytest.approx(1 / float(rate), abs=1e-8), pytest.approx(float(rate), abs=1e-4))


def test_a_header_that_is_wrong_is_not_believed(tmp_path: Path) -> None:
    found = write(tmp_path, [number / 25 for number in range(50)], range(50), 30.0)
    assert found == (50, pytest.approx(0.04), pytest.approx(25))


def test_frames_without_the_person_are_filled_in(tmp_path: Path) -> None:
    """Seen in every other frame, and not for a while: the video's rate all the same."""
    numbers = [*range(0, 20, 2), *range(40, 61, 2)]
    assert write(tmp_path, in_ms(numbers, 30), numbers, 30.0) == (61, pytest.approx(1 / 30, abs=1e-7), 30)


def test_uneven_frames_come_at_their_usual_rate(tmp_path: Path) -> None:
    """20 frames at 25 a second, then 5 at 5: 0.8 + 5 * 0.2 - 0.04 s, at 25 a second."""
    times = [number / 25 for number in range(20)] + [0.76 + 0.2 * number for number in range(1, 6)]
    found = write(tmp_path, times, range(25), 12.5)
    assert found == (round(1.76 * 25) + 1, pytest.approx(0.04), pytest.approx(25))


@pytest.mark.parametrize("header", [29.0, 30.0])
def test_a_few_dropped_frames_are_filled_in(header: float, tmp_path: Path) -> None:
    """60 frames of 30 a second, two of them missing: frames are numbered as they come."""
    times = [number / 30 for number in range(60) if number not in (20, 41)]
    assert write(tmp_path, times, range(58), header) == (60, pytest.approx(1 / 30, abs=1e-7), 30)


def test_dropped_frames_in_whole_milliseconds(tmp_path: Path) -> None:
    times = [round(1000 * number / 30) / 1000 for number in range(60) if number % 10 != 5]
    assert write(tmp_path, times, range(54), 30.0) == (60, pytest.approx(1 / 30, abs=1e-7), 30)


def test_people_of_a_video_share_its_clock_and_its_rate(tmp_path: Path) -> None:
    """Known defect: everybody began at 0 s, so that two people could not be put together again."""
    animations = Animations(bvh=True, trc=True)
    one = frame(person(10.0))
    for track, numbers in ((1, range(50)), (2, range(30, 40))):
        for number in numbers:
            # The second is in the uneven part: by itself it would be another rate.
            time_s = number / 25 if number < 35 else 34 / 25 + (number - 34) / 20
            animations.add(TrackedPerson(one, number, time_s, track, one.keypoints, one.xyz_mm))
    written = animations.write(tmp_path / "clip")
    starts = {path.name: start for path, start in written.items()}
    assert starts == {
        "clip_person1.bvh": 0,
        "clip_person1.trc": 0,
        "clip_person2.bvh": pytest.approx(1.2),
        "clip_person2.trc": pytest.approx(1.2),
    }
    (_, first, rate), (_, second, other) = (read_trc(tmp_path / f"clip_person{number}.trc") for number in (1, 2))
    assert rate == other
    assert (first[0], second[0]) == (0, pytest.approx(1.2))
