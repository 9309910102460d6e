"""Predicted pixels to mm by the true depth of the pelvis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.predictions import Predictions
from headstart.records import Annotation
from headstart.scale_rules import have_scale, labels_give_scale, lift_with_labels, xyz_labels
from headstart.skeleton import CANONICAL, H36M_17

CAMERA = Camera(1000.0, 1000.0, 320.0, 240.0)
JOINTS = H36M_17.names


def person(xyz: np.ndarray, camera: Camera | None = CAMERA) -> Annotation:
    """The canonical joints at ``xyz`` (J, 3), seen through the camera, or at 0.25 px per mm."""
    keypoints = 0.25 * xyz[:, :2] if camera is None else camera.project(xyz)
    box = np.array([0, 0, 100, 100], np.float32)
    visible = np.full(len(CANONICAL), 2, np.uint8)
    return Annotation("one", Path("one.png"), box, keypoints, visible, xyz.astype(np.float32), camera)


def some_pose() -> np.ndarray:
    """Joints (J, 3) within half a metre, the pelvis 4 m away."""
    xyz = np.random.default_rng(3).uniform(-500, 500, (len(CANONICAL), 3)) + np.array([0, 0, 4000.0])
    xyz[CANONICAL.index("pelvis"), 2] = 4000
    return xyz


def predicted(keypoints: np.ndarray, depth: np.ndarray) -> Predictions:
    """One person's Human3.6M joints: (17, 2) px and (17,) px of depth."""
    return Predictions(["one"], JOINTS, keypoints[None], depth[None], np.ones((1, 17), np.float32), {})


@pytest.mark.parametrize("camera", [None, CAMERA])
def test_by_the_depth_of_the_root_the_true_pose_comes_back(camera: Camera | None) -> None:
    """0.25 px per mm without a camera, and 1000 px / 4000 mm = 0.25 px per mm of depth with it."""
    xyz = some_pose()
    one = person(xyz, camera)
    own = CANONICAL.indices(JOINTS)
    seen = predicted(one.keypoints[own], 0.25 * (xyz[own, 2] - 4000))
    assert have_scale([one])
    pose = lift_with_labels(seen, [one])[0]
    truth = xyz[own] if camera else xyz[own] - np.array([0, 0, 4000.0])
    np.testing.assert_allclose(pose, truth, atol=0.5)


def test_without_a_pelvis_there_is_no_scale() -> None:
    xyz = np.stack([some_pose(), some_pose(), some_pose()])
    xyz[1, CANONICAL.index("pelvis")] = np.nan
    xyz[2, CANONICAL.index("left_knee")] = np.nan
    assert labels_give_scale(xyz).tolist() == [True, False, True]
    # Somebody without a pelvis does not take the scale of others; labels that lie nowhere in the picture do.
    nobody = replace(person(xyz[1]), keypoints=np.full((len(CANONICAL), 2), np.nan))
    assert have_scale([person(xyz[0]), nobody])
    assert not have_scale([person(xyz[0]), replace(nobody, camera=None)])
    seen = predicted(np.zeros((17, 2)), np.zeros(17))
    assert np.isnan(lift_with_labels(seen, [nobody])).all()
    assert np.isnan(lift_with_labels(seen, [replace(nobody, camera_xyz=None)])).all()
    with pytest.raises(DataError, match="a camera or joints labelled"):
        lift_with_labels(seen, [replace(nobody, camera=None)])


def test_by_the_depth_of_the_root_an_error_in_depth_is_that_error_in_mm() -> None:
    xyz = some_pose()
    own = CANONICAL.indices(JOINTS)
    one = person(xyz, None)
    depth = 0.25 * (xyz[own, 2] - 4000)
    exact, off = (lift_with_labels(predicted(one.keypoints[own], d), [one]) for d in (depth, depth + 5))
    np.testing.assert_allclose(off - exact, np.broadcast_to([0, 0, 20.0], (1, 17, 3)), atol=1e-3)


def test_who_has_no_joint_labelled_in_the_picture_has_no_scale() -> None:
    """Then there are 0 px per mm, by which nothing can be divided."""
    nowhere = replace(person(some_pose(), None), visibility=np.zeros(len(CANONICAL), np.uint8))
    assert not have_scale([nowhere])
    with pytest.raises(DataError, match="a camera or joints labelled"):
        lift_with_labels(predicted(np.zeros((17, 2)), np.zeros(17)), [nowhere])


def test_half_a_pelvis_is_none() -> None:
    xyz = some_pose()
    xyz[CANONICAL.index("pelvis"), 2] = np.nan
    assert labels_give_scale(xyz[None]).tolist() == [False]


def test_who_has_no_3d_label_has_a_row_of_nothing() -> None:
    xyz = some_pose().astype(np.float32)
    labelled = person(xyz)
    unlabelled = replace(labelled, camera_xyz=None)
    found = xyz_labels([unlabelled, labelled])
    np.testing.assert_array_equal(found, [np.full(xyz.shape, np.nan), xyz])
    assert xyz_labels([unlabelled]).shape == (1, len(CANONICAL), 3)
