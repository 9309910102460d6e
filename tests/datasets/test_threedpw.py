"""3DPW in its official pickles, written here, read back joint by joint."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.datasets import iter_annotations, threedpw
from headstart.errors import DataError
from headstart.records import Annotation, Visibility
from headstart.skeleton import CANONICAL, conversion, convert_points

INDEX = {name: place for place, name in enumerate(threedpw.SKELETON.names)}

# Joint -> column of poses2d, one by one, from OpenPose's list of its 18 joints.
OPENPOSE = {
    "nose": 0,
    "thorax": 1,
    "right_shoulder": 2,
    "right_elbow": 3,
    "right_wrist": 4,
    "left_shoulder": 5,
    "left_elbow": 6,
    "left_wrist": 7,
    "right_hip": 8,
    "right_knee": 9,
    "right_ankle": 10,
    "left_hip": 11,
    "left_knee": 12,
    "left_ankle": 13,
    "right_eye": 14,
    "left_eye": 15,
    "right_ear": 16,
    "left_ear": 17,
}
# Joint -> row of SMPL's 24.
SMPL = {
    "left_hip": 1,
    "right_hip": 2,
    "left_knee": 4,
    "right_knee": 5,
    "left_ankle": 7,
    "right_ankle": 8,
    "left_shoulder": 16,
    "right_shoulder": 17,
    "left_elbow": 18,
    "right_elbow": 19,
    "left_wrist": 20,
    "right_wrist": 21,
}
INTRINSICS = np.array([[1961.5, 0, 540.25], [0, 1969.0, 960.75], [0, 0, 1]])
ROTATION = np.array([[0.0, 0, -1], [0, -1, 0], [-1, 0, 0]])


def world(person: int, frame: int) -> np.ndarray:
    """(24, 3) metres; every joint, person and frame differs."""
    joint = np.arange(24.0)
    return np.stack([-4 + 0.01 * joint, 0.9 - 0.07 * joint + person, 0.03 * joint + 0.1 * frame], 1)


def detections(person: int, frame: int) -> np.ndarray:
    """(3, 18)."""
    joint = np.arange(18.0)
    return np.stack([100 + 10 * joint + frame + 0.25, 200 + 20 * joint + 300 * person, 0.5 + joint / 100])


def translation(frame: int) -> np.ndarray:
    return np.array([0.1 * frame, -0.2, 0.5])


def sequence(name: str = "courtyard_00", people: int = 2, frames: int = 3) -> dict[str, Any]:
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = ROTATION
    poses[:, :3, 3] = [translation(frame) for frame in range(frames)]
    return {
        "sequence": name,
        "poses": [np.zeros((frames, 72))] * people,
        "betas": [np.zeros(10)] * people,
        "trans": [np.zeros((frames, 3))] * people,
        "poses2d": [np.array([detections(p, f) for f in range(frames)]) for p in range(people)],
        "jointPositions": [np.array([world(p, f).ravel() for f in range(frames)]) for p in range(people)],
        "cam_poses": poses,
        "campose_valid": [np.ones(frames, bool) for _ in range(people)],
        "cam_intrinsics": INTRINSICS,
        "genders": ["m"] * people,
        "img_frame_ids": np.arange(frames) * 2 + 40,  # 60 Hz numbers
    }


def write(root: Path, content: dict[str, Any], split: str = "test") -> Path:
    name = content.get("sequence", "broken")
    path = root / "sequenceFiles" / split / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    (root / "imageFiles" / name).mkdir(parents=True, exist_ok=True)
    return path


def read(root: Path, split: str = "test") -> list[Annotation]:
    return list(iter_annotations("threedpw", root, split))


def test_2d_is_in_openpose_order(tmp_path: Path) -> None:
    write(tmp_path, sequence())
    person = read(tmp_path)[3 + 2]
    assert set(OPENPOSE) == set(threedpw.SKELETON.names)
    for name, column in OPENPOSE.items():
        np.testing.assert_allclose(person.keypoints[INDEX[name]], detections(1, 2)[:2, column])
        assert person.visibility[INDEX[name]] == Visibility.VISIBLE


def test_3d_is_smpl_in_camera_axes(tmp_path: Path) -> None:
    write(tmp_path, sequence())
    person = read(tmp_path)[3 + 2]
    assert person.camera_xyz is not None
    assert person.camera is not None
    expected = 1000 * (world(1, 2) @ ROTATION.T + translation(2))
    for name, row in SMPL.items():
        np.testing.assert_allclose(person.camera_xyz[INDEX[name]], expected[row], atol=1e-2)
    np.testing.assert_allclose(person.camera.to_camera(1000 * world(1, 2)), expected, atol=1e-6)
    np.testing.assert_allclose(person.camera_xyz[INDEX["thorax"]], (expected[16] + expected[17]) / 2, atol=1e-2)
    for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        assert np.isnan(person.camera_xyz[INDEX[name]]).all()
    assert not {"neck", "head_top", "spine", "pelvis"} & set(threedpw.SKELETON.names)


def test_the_pelvis_is_the_midpoint_of_the_hips_as_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, sequence(people=1, frames=1))
    (person,) = read(tmp_path)
    assert person.camera_xyz is not None
    to_canonical = conversion(threedpw.SKELETON, CANONICAL)
    xyz, known = convert_points(to_canonical, person.camera_xyz, np.isfinite(person.camera_xyz).all(1))
    expected = 1000 * (world(0, 0) @ ROTATION.T + translation(0))
    pelvis = CANONICAL.index("pelvis")
    assert known[pelvis]
    np.testing.assert_allclose(xyz[pelvis], (expected[1] + expected[2]) / 2, atol=1e-2)


def test_joints_not_detected_are_unlabelled_in_2d_and_keep_3d(tmp_path: Path) -> None:
    content = sequence(people=1, frames=1)
    content["poses2d"][0][0][:, OPENPOSE["right_wrist"]] = 0
    write(tmp_path, content)
    (person,) = read(tmp_path)
    wrist = INDEX["right_wrist"]
    assert np.isnan(person.keypoints[wrist]).all()
    assert person.visibility[wrist] == Visibility.UNLABELLED
    assert (person.visibility == Visibility.VISIBLE).sum() == 17
    assert person.camera_xyz is not None
    assert np.isfinite(person.camera_xyz[wrist]).all()


def test_pictures_are_numbered_by_position_not_by_60_hz_ids(tmp_path: Path) -> None:
    write(tmp_path, sequence())
    people = read(tmp_path)
    folder = tmp_path / "imageFiles" / "courtyard_00"
    assert [p.image for p in people] == [folder / f"image_{frame:05d}.jpg" for frame in (0, 1, 2)] * 2
    assert [p.frame for p in people] == [0, 1, 2] * 2
    assert [p.key for p in people[2:4]] == ["courtyard_00_0_00002", "courtyard_00_1_00000"]
    assert [p.sequence for p in people[2:4]] == ["courtyard_00_0", "courtyard_00_1"]


def test_invalid_cameras_and_people_not_detected_are_left_out(tmp_path: Path) -> None:
    content = sequence(frames=4)
    content["campose_valid"][0][1] = False
    content["poses2d"][1][2] = 0
    write(tmp_path, content)
    people = read(tmp_path)
    assert [p.key[-7:] for p in people] == ["0_00000", "0_00002", "0_00003", "1_00000", "1_00001", "1_00003"]
    for person in people:  # image and labels still belong together
        number, frame = int(person.sequence[-1]), person.frame
        assert person.image.name == f"image_{frame:05d}.jpg"
        np.testing.assert_allclose(person.keypoints[0], detections(number, frame)[:2, 0])


def test_sequences_in_natural_order_and_splits_apart(tmp_path: Path) -> None:
    for name in ("walk_10", "walk_2", "bar_1"):
        write(tmp_path, sequence(name, 1, 1))
    write(tmp_path, sequence("other", 1, 1), "train")
    assert [p.key for p in read(tmp_path)] == ["bar_1_0_00000", "walk_2_0_00000", "walk_10_0_00000"]
    assert [p.key for p in read(tmp_path, "train")] == ["other_0_00000"]


def test_the_box_holds_detected_and_projected_joints(tmp_path: Path) -> None:
    write(tmp_path, sequence())
    for person in read(tmp_path):
        assert person.camera is not None
        number = int(person.sequence[-1])
        smpl = person.camera.project(person.camera.to_camera(1000 * world(number, person.frame)))
        points = np.concatenate([smpl, person.keypoints])
        low, high = person.bbox_xywh[:2], person.bbox_xywh[:2] + person.bbox_xywh[2:]
        assert ((points > low) & (points < high)).all()
        assert (person.bbox_xywh[2:] < 1.25 * (np.ptp(points, axis=0) + 1)).all()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sequenceFiles/test"):
        read(tmp_path)
    for name, value, match in (
        ("poses2d", [np.zeros((3, 18, 3))] * 2, "poses2d of shape"),
        ("jointPositions", [np.zeros((2, 72))] * 2, "jointPositions of shape"),
        ("cam_poses", np.zeros((3, 4, 4)), "camera"),
        ("campose_valid", [np.ones(3)], "same people"),
    ):
        path = write(tmp_path, sequence() | {name: value})
        with pytest.raises(DataError, match=match) as caught:
            read(tmp_path)
        assert str(path) in str(caught.value)
    content = sequence()
    del content["cam_intrinsics"]
    path = write(tmp_path, content)
    with pytest.raises(DataError, match="no cam_intrinsics"):
        read(tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"courtyard_00\.pkl"):
        read(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="none"):
        read(tmp_path)


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    write(tmp_path, sequence())
    (tmp_path / "imageFiles" / "courtyard_00").rmdir()
    with pytest.raises(DataError, match="imageFiles/courtyard_00"):
        read(tmp_path)
