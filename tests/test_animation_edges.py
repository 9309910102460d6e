"""How the pelvis of an animation turns, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.animation import write_bvh
from headstart.skeleton import BODY_18
from test_animation import at_rest, frame, motion_of, turn

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
