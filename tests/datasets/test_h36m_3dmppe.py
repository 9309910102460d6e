"""Human3.6M as json files. Written here in the official layout, read back joint by joint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.datasets import h36m
from headstart.errors import DataError
from headstart.records import Visibility

# A camera 4 m from the origin that looks along the world's -y: camera x = world x, y = -world z, z = 4000 - world y.
ROTATION = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]
OFFSET = [0.0, 0.0, 4000.0]
PLACE = [0.0, 4000.0, 0.0]
FOCAL, CENTRE = [1000.0, 1200.0], [500.0, 510.0]


def world(frame: int) -> np.ndarray:
    """17 joints, each with its own coordinates; ``frame`` shifts all of them along x."""
    joint = np.arange(17.0)
    return np.stack([10 * joint + frame, 20 * joint, 50 * joint - 400], 1)


def by_hand(frame: int, joint: int) -> tuple[list[float], list[float]]:
    """Camera mm and pixels of one joint, without matrices."""
    x, y, z = 10.0 * joint + frame, 400 - 50.0 * joint, 4000 - 20.0 * joint
    return [x, y, z], [1000 * x / z + 500, 1200 * y / z + 510]


def box(frame: int) -> list[float]:
    pixels = np.array([by_hand(frame, joint)[1] for joint in range(17)])
    return [*pixels.min(0).tolist(), *(pixels.max(0) - pixels.min(0)).tolist()]


def picture(subject: int, action: int, subaction: int, camera: int, frame: int) -> str:
    folder = f"s_{subject:02d}_act_{action:02d}_subact_{subaction:02d}_ca_{camera:02d}"
    return f"{folder}/{folder}_{frame + 1:06d}.jpg"


def write(root: Path, subject: int, frames: list[tuple[int, int, int, int]], translation: list[float] = OFFSET) -> Path:
    """Files of one subject: ``frames`` are (action, subaction, camera, frame)."""
    folder = root / "annotations"
    folder.mkdir(exist_ok=True)
    images, labels, joints = [], [], {}
    for number, (action, subaction, camera, frame) in enumerate(frames):
        images.append(
            {
                "id": 1000 + number,
                "file_name": picture(subject, action, subaction, camera, frame),
                "width": 1000,
                "height": 1002,
                "subject": subject,
                "action_idx": action,
                "subaction_idx": subaction,
                "cam_idx": camera,
                "frame_idx": frame,
            }
        )
        labels.append({"id": number, "image_id": 1000 + number, "bbox": box(frame)})
        joints.setdefault(str(action), {}).setdefault(str(subaction), {})[str(frame)] = world(frame).tolist()
    camera_entry = {"R": ROTATION, "t": translation, "f": FOCAL, "c": CENTRE}
    stem = f"Human36M_subject{subject}"
    # Reversed: nothing may depend on images and annotations standing in the same order.
    (folder / f"{stem}_data.json").write_text(json.dumps({"images": images[::-1], "annotations": labels}))
    (folder / f"{stem}_camera.json").write_text(json.dumps({str(camera): camera_entry for camera in (1, 2, 3, 4)}))
    (folder / f"{stem}_joint_3d.json").write_text(json.dumps(joints))
    return folder


@pytest.mark.parametrize("translation", [OFFSET, PLACE], ids=["R @ X + t", "R @ (X - t)"])
def test_every_joint(tmp_path: Path, translation: list[float]) -> None:
    write(tmp_path, 9, [(2, 1, 3, 64)], translation)
    (record,) = h36m.annotations(tmp_path, "test")
    for joint in range(17):
        xyz, pixel = by_hand(64, joint)
        assert record.camera_xyz is not None
        np.testing.assert_allclose(record.camera_xyz[joint], xyz, atol=1e-3)
        np.testing.assert_allclose(record.keypoints[joint], pixel, atol=1e-3)
    assert record.visibility.tolist() == [Visibility.VISIBLE] * 17
    np.testing.assert_allclose(record.bbox_xywh, box(64), rtol=1e-6)
    assert (record.subject, record.action, record.frame) == ("S9", "Directions", 64)
    assert record.sequence == "S9/Directions/1/3"
    assert record.key == "S9/Directions/1/3/000064"
    assert record.image == tmp_path / "images" / picture(9, 2, 1, 3, 64)
    assert (record.keypoints.dtype, record.camera_xyz.dtype) == (np.float32, np.float32)


def test_camera_projects_its_own_labels(tmp_path: Path) -> None:
    write(tmp_path, 1, [(2, 1, 1, 0), (2, 1, 4, 5)])
    for record in h36m.annotations(tmp_path, "train"):
        assert record.camera is not None
        np.testing.assert_allclose(record.camera.project(record.camera_xyz), record.keypoints, atol=1e-3)
        np.testing.assert_allclose(
            record.camera.to_camera(world(record.frame)), record.camera_xyz, rtol=1e-6, atol=1e-3
        )


def test_image_and_label_stay_together_in_any_order(tmp_path: Path) -> None:
    """Known defect: the picture of one record with the label of another once files are not in their usual order."""
    frames = [(3, 2, 1, 7), (2, 1, 4, 12), (2, 1, 1, 12), (2, 1, 1, 3), (16, 1, 1, 0)]
    write(tmp_path, 1, frames)
    records = list(h36m.annotations(tmp_path, "train"))
    assert [record.key for record in records] == [
        "S1/Directions/1/1/000003",
        "S1/Directions/1/1/000012",
        "S1/Directions/1/4/000012",
        "S1/Discussion/2/1/000007",
        "S1/WalkTogether/1/1/000000",
    ]
    for record in records:
        assert record.image.stem.endswith(f"_{record.frame + 1:06d}")
        np.testing.assert_allclose(record.keypoints[5], by_hand(record.frame, 5)[1], atol=1e-3)
        np.testing.assert_allclose(record.bbox_xywh, box(record.frame), rtol=1e-6)


def test_split_by_subject_in_numeric_order(tmp_path: Path) -> None:
    for subject in (11, 9, 8, 7, 6, 5, 1):
        write(tmp_path, subject, [(2, 1, 1, 0)])
    assert [record.subject for record in h36m.annotations(tmp_path, "train")] == ["S1", "S5", "S6", "S7", "S8"]
    assert [record.subject for record in h36m.annotations(tmp_path, "test")] == ["S9", "S11"]


def test_joint_outside_the_picture_keeps_its_3d_only(tmp_path: Path) -> None:
    write(tmp_path, 1, [(2, 1, 1, -2400)])
    (record,) = h36m.annotations(tmp_path, "train")
    seen = np.array([by_hand(-2400, joint)[1][0] >= -0.5 for joint in range(17)])
    assert not seen.all()
    np.testing.assert_array_equal(record.visibility, np.where(seen, Visibility.VISIBLE, Visibility.UNLABELLED))
    np.testing.assert_array_equal(np.isnan(record.keypoints).any(1), ~seen)
    assert record.camera_xyz is not None
    assert record.camera_xyz[0].tolist() == by_hand(-2400, 0)[0]


@pytest.mark.parametrize("part", ["data", "camera", "joint_3d"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "list"])
def test_damaged_file_is_named(tmp_path: Path, part: str, damage: str) -> None:
    path = write(tmp_path, 9, [(2, 1, 1, 0)]) / f"Human36M_subject9_{part}.json"
    text = path.read_text()
    path.unlink()
    if damage != "missing":
        path.write_text(text[: len(text) // 2] if damage == "truncated" else "[]")
    with pytest.raises(DataError, match=path.name) as error:
        list(h36m.annotations(tmp_path, "test"))
    assert "\n" not in str(error.value)


def test_split_without_subjects(tmp_path: Path) -> None:
    write(tmp_path, 1, [(2, 1, 1, 0)])
    with pytest.raises(DataError, match="S9, S11"):
        list(h36m.annotations(tmp_path, "test"))


def change(path: Path, *keys: Any, value: Any) -> None:
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("part", "keys", "value", "message"),
    [
        ("data", ("annotations", 0, "bbox"), [1, 2, 3], "bbox"),
        ("data", ("annotations", 0, "bbox"), [1, 2, 0, 5], "positive size"),
        ("data", ("annotations", 0, "bbox"), [900, 900, 10, 10], "project"),
        ("data", ("annotations", 0, "image_id"), 7, "image_id"),
        ("data", ("images", 0, "frame_idx"), None, "frame_idx"),
        ("data", ("images", 0, "subject"), 11, "subject 9 only"),
        ("camera", ("1", "R"), [[1, 0, 0]], "R"),
        ("camera", ("1", "f"), "wide", "f"),
        ("joint_3d", ("2", "1", "0"), [[0, 0, 0]] * 16, "17 x 3"),
        ("joint_3d", ("2", "1", "0"), [[0, 0, None]] * 17, "joints"),
        ("joint_3d", ("2",), {}, "2/1/0"),
    ],
)
def test_malformed_record(tmp_path: Path, part: str, keys: tuple[Any, ...], value: Any, message: str) -> None:
    folder = write(tmp_path, 9, [(2, 1, 1, 0)])
    change(folder / f"Human36M_subject9_{part}.json", *keys, value=value)
    with pytest.raises(DataError, match=message) as error:
        list(h36m.annotations(tmp_path, "test"))
    assert "Human36M_subject9_" in str(error.value)
    assert "record" in str(error.value)


def test_person_behind_the_camera_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, 9, [(2, 1, 1, 0), (2, 1, 1, 1)])
    behind = (world(1) + np.array([0, 9000, 0])).tolist()
    change(folder / "Human36M_subject9_joint_3d.json", "2", "1", "1", value=behind)
    with pytest.raises(DataError, match="in front of camera 1"):
        list(h36m.annotations(tmp_path, "test"))
