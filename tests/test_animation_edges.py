"""How the pelvis of an animation turns, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.animation import write_bvh
from headstart.skeleton import BODY_18
from test_animation import Y_UP, at_rest, frame, motion_of, read_bvh, turn

Values = NDArray[np.float64]
LEGS = BODY_18.indices(tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle")))
TRUNK = [joint for joint in range(18) if joint not in LEGS and BODY_18.names[joint] != "pelvis"]


def leaning(axis: str, degrees: float) -> Values:
    """The T-pose, of which everything over the hips is turned about the pelvis."""
    points = at_rest()
    points[TRUNK] = points[TRUNK] @ turn(axis, degrees).T
    return points


def test_who_stands_away_from_the_camera_is_not_turned(tmp_path: Path) -> None:
    away = np.array([400.0, -700.0, 3000.0])
    write_bvh(tmp_path / "t.bvh", [frame(at_rest(), camera=at_rest() + away)], 30.0)
    motion = motion_of(tmp_path / "t.bvh")[0]
    np.testing.assert_allclose(motion[:3], (40, 70, -300), atol=1e-4)
    np.testing.assert_allclose(motion[3:], 0, atol=1e-4)


@pytest.mark.parametrize("degrees", [-20.0, 20.0])
def test_a_pelvis_stays_with_the_hips_of_who_leans_to_a_side(degrees: float, tmp_path: Path) -> None:
    write_bvh(tmp_path / "t.bvh", [frame(leaning("Z", degrees))], 30.0)
    np.testing.assert_allclose(motion_of(tmp_path / "t.bvh")[0, 3:6], 0, atol=1e-4)


@pytest.mark.parametrize("degrees", [-20.0, 20.0])
def test_a_pelvis_bends_with_the_trunk(degrees: float, tmp_path: Path) -> None:
    """Half a turn about x, from camera axes to y upwards, keeps turns about x; channels are z, x, y."""
    write_bvh(tmp_path / "t.bvh", [frame(leaning("X", degrees))], 30.0)
    np.testing.assert_allclose(motion_of(tmp_path / "t.bvh")[0, 3:6], (0, degrees, 0), atol=1e-4)


@pytest.mark.parametrize("joint", ["nose", "left_knee", "head_top", "right_wrist"])
def test_a_bone_that_points_the_other_way_than_at_rest_comes_back(joint: str, tmp_path: Path) -> None:
    """Half a turn about any axis across; the nose's direction at rest, (0, 0.6, 0.8), is along no axis."""
    points = at_rest()
    parent = BODY_18.parents[BODY_18.index(joint)]
    rest = {"nose": (0.0, 0.6, 0.8), "left_knee": (0.0, -1.0, 0.0), "head_top": (0.0, 1.0, 0.0)}
    away = np.array(rest.get(joint, (-1.0, 0.0, 0.0))) * Y_UP * 100
    points[BODY_18.index(joint)] = points[parent] - away
    write_bvh(tmp_path / "t.bvh", [frame(points)], 30.0)
    (back,), _ = read_bvh(tmp_path / "t.bvh")
    np.testing.assert_allclose(back[joint] * 10, points[BODY_18.index(joint)] * Y_UP, atol=1e-3)


@pytest.mark.parametrize("aside", [-25.0, 15.0, 40.0])
def test_a_leg_raised_aside_has_angles_without_jumps(aside: float, tmp_path: Path) -> None:
    """From 60 to 120 degrees by 2 a frame, to the front and aside: all three angles move, none by a half turn."""
    hip, knee, ankle = BODY_18.indices(("left_hip", "left_knee", "left_ankle"))
    poses = []
    for degrees in np.arange(60.0, 121.0, 2.0):
        pose = at_rest()
        leg = (pose[[knee, ankle]] - pose[hip]) @ turn("Z", aside).T
        pose[[knee, ankle]] = pose[hip] + leg @ turn("X", -degrees).T
        poses.append(pose)
    write_bvh(tmp_path / "a.bvh", [frame(pose) for pose in poses], 30.0)
    motion = motion_of(tmp_path / "a.bvh")
    assert np.abs(np.diff(motion, axis=0)).max() < 12
    assert (np.ptp(motion, axis=0) > 5).sum() == 3
