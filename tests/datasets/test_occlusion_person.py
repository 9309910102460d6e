"""Occlusion-Person in its official pickle, written here, read back joint by joint."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.datasets import iter_annotations, occlusion_person
from headstart.errors import DataError
from headstart.records import Annotation, Visibility

# The authors' names in the order of the file, and ours.
NAMES = [
    ("root", "pelvis"),
    ("rhip", "right_hip"),
    ("rkne", "right_knee"),
    ("rank", "right_ankle"),
    ("lhip", "left_hip"),
    ("lkne", "left_knee"),
    ("lank", "left_ankle"),
    ("belly", "spine"),
    ("neck", "thorax"),
    ("lsho", "left_shoulder"),
    ("lelb", "left_elbow"),
    ("lwri", "left_wrist"),
    ("rsho", "right_shoulder"),
    ("relb", "right_elbow"),
    ("rwri", "right_wrist"),
]
# mm relative to the pelvis, y down: thighs of 427.2 mm.
STANDING = np.array(
    [
        *([0, 0, 0], [-130, 30, 0], [-150, 456, 24], [-160, 880, 50]),
        *([130, 30, 0], [150, 456, 24], [160, 880, 50]),
        *([0, -240, 10], [0, -490, 20]),
        *([150, -450, 5], [180, -170, 20], [200, 80, -10]),
        *([-150, -450, 5], [-180, -170, 20], [-200, 80, -10]),
    ],
    float,
)
ROTATION = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
CENTRE = np.array([[500.0], [-2500], [1500]])


def record(number: int, millimetres: float = 1.0) -> dict[str, Any]:
    """One picture; ``millimetres`` in one unit of the file."""
    xyz = STANDING + np.array([10 * number, 20, 3000])
    pixels = np.stack([640 * xyz[:, 0] / xyz[:, 2] + 640.5, 650 * xyz[:, 1] / xyz[:, 2] + 360], 1)
    camera = {"R": ROTATION, "T": CENTRE / millimetres}
    camera |= {"fx": np.float64(640), "fy": np.array([650.0]), "cx": 640.5, "cy": np.float32(360), "name": "cam"}
    return {
        "image": f"a05_sa01_s14_sce00/03_{number:06d}.jpg",
        "joints_2d": pixels,
        "joints_3d": xyz / millimetres,
        "joints_gt": (xyz @ ROTATION + CENTRE.T) / millimetres,
        "joints_vis": np.ones((15, 1)),
        "joints_vis_2d": np.ones((15, 1)),
        "center": np.array([640.0, 400]),
        "scale": np.array([2.0, 2.0]),
        "box": np.array([540.5 + number, 250, 741, 560]),
        "video_id": "a05_sa01_s14_sce00",
        "image_id": number,
        "subject": np.int64(14),
        "action": 5,
        "subaction": 1,
        "camera_id": 3,
        "camera": camera,
        "source": "unrealcv",
    }


def write(root: Path, records: Any, folder: str = "annot", split: str = "validation") -> Path:
    path = root / folder / f"unrealcv_{split}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(records, protocol=4))
    (root / "images").mkdir(exist_ok=True)
    return path


def read(root: Path, split: str = "validation") -> list[Annotation]:
    return list(iter_annotations("occlusion_person", root, split))


def test_joints_by_name(tmp_path: Path) -> None:
    write(tmp_path, [record(0), record(7)])
    person = read(tmp_path)[1]
    assert [ours for _, ours in NAMES] == list(occlusion_person.SKELETON.names)
    assert person.camera_xyz is not None
    assert "head_top" not in occlusion_person.SKELETON.names
    for row, (_, name) in enumerate(NAMES):
        joint = occlusion_person.SKELETON.index(name)
        np.testing.assert_allclose(person.camera_xyz[joint], STANDING[row] + [70, 20, 3000])
        np.testing.assert_allclose(person.keypoints[joint], record(7)["joints_2d"][row], rtol=1e-6)
    assert person.keypoints[0] == pytest.approx([640 * 70 / 3000 + 640.5, 650 * 20 / 3000 + 360])


def test_visible_occluded_and_outside_are_kept_apart(tmp_path: Path) -> None:
    one = record(0)
    one["joints_vis_2d"][3:6] = 0
    one["joints_vis"][5] = 0
    write(tmp_path, [one])
    (person,) = read(tmp_path)
    expected = np.full(15, Visibility.VISIBLE)
    expected[3:5], expected[5] = Visibility.OCCLUDED, Visibility.UNLABELLED
    np.testing.assert_array_equal(person.visibility, expected)
    np.testing.assert_array_equal(np.isnan(person.keypoints).all(1), expected == Visibility.UNLABELLED)
    assert person.camera_xyz is not None
    assert np.isfinite(person.camera_xyz).all()


@pytest.mark.parametrize("millimetres", [1.0, 10.0])
def test_camera_and_units(tmp_path: Path, millimetres: float) -> None:
    write(tmp_path, [record(number, millimetres) for number in range(3)])
    for number, person in enumerate(read(tmp_path)):
        assert person.camera is not None
        assert person.camera_xyz is not None
        np.testing.assert_allclose(person.camera_xyz[1], [-130 + 10 * number, 50, 3000], rtol=1e-6)
        np.testing.assert_allclose(person.camera.project(person.camera_xyz), person.keypoints, atol=1e-2)
        world = record(number)["joints_gt"]
        np.testing.assert_allclose(person.camera.to_camera(world), person.camera_xyz, atol=1e-3)


def test_metres_and_nonsense_are_refused(tmp_path: Path) -> None:
    for millimetres in (1000.0, 0.1):
        path = write(tmp_path, [record(0, millimetres)])
        with pytest.raises(DataError, match="mm or cm, found thighs") as caught:
            read(tmp_path)
        assert str(path) in str(caught.value)


def test_other_axes_are_refused(tmp_path: Path) -> None:
    one = record(0)
    one["joints_3d"] = one["joints_3d"][:, [0, 2, 1]] + [0, 0, 3000]
    write(tmp_path, [one])
    with pytest.raises(DataError, match="joints_3d to project on joints_2d"):
        read(tmp_path)


def test_images_keys_and_labels_from_one_index(tmp_path: Path) -> None:
    numbers = [5, 1, 12, 2]  # the order of the file is kept
    write(tmp_path, [record(number) for number in numbers])
    people = read(tmp_path)
    assert [p.frame for p in people] == numbers
    assert len({p.key for p in people}) == 4
    for number, person in zip(numbers, people):
        assert person.key == f"a05_sa01_s14_sce00/03_{number:06d}"
        assert person.image == tmp_path / "images" / "a05_sa01_s14_sce00" / f"03_{number:06d}.jpg"
        assert person.sequence == "a05_sa01_s14_sce00/03"
        assert (person.subject, person.action) == ("14", "5")
        np.testing.assert_allclose(person.bbox_xywh, [540.5 + number, 250, 741 - 540.5 - number, 310])
        np.testing.assert_allclose(person.keypoints, record(number)["joints_2d"], rtol=1e-6)


def test_labels_beside_the_images_and_splits(tmp_path: Path) -> None:
    write(tmp_path, [record(1)], ".", "train")
    write(tmp_path, [record(2)], "annot", "validation")
    assert [p.frame for p in read(tmp_path, "train")] == [1]
    assert [p.frame for p in read(tmp_path)] == [2]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"annot/unrealcv_validation\.pkl.*no such file"):
        read(tmp_path)
    for name, value, match in (
        ("joints_2d", np.zeros((17, 2)), "joints_2d"),
        ("joints_vis", np.zeros((15, 1)), "joints_vis wherever"),
        ("box", np.array([5, 5, 5, 5.0]), "box left"),
        ("camera", {"R": ROTATION}, "'T'"),
        ("camera", record(0)["camera"] | {"R": np.zeros((3, 3))}, "rotation"),
    ):
        path = write(tmp_path, [record(0), record(1) | {name: value}])
        with pytest.raises(DataError, match=match) as caught:
            read(tmp_path)
        assert f"{path}, record 1" in str(caught.value)
    for wrong in ({}, [], [1], 5):
        path = write(tmp_path, wrong)
        with pytest.raises(DataError, match=r"unrealcv_validation\.pkl"):
            read(tmp_path)
    write(tmp_path, [record(0)])
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="unreadable pickle"):
        read(tmp_path)


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    write(tmp_path, [record(0)])
    (tmp_path / "images").rmdir()
    with pytest.raises(DataError, match="images"):
        read(tmp_path)
