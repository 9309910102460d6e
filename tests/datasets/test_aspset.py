"""ASPset-510 in its official files (C3D, JSON, CSV), written here, read back joint by joint."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from headstart.datasets import aspset, iter_annotations
from headstart.errors import ConfigError, DataError
from headstart.records import Annotation, Visibility

c3d = pytest.importorskip("c3d")
pytestmark = pytest.mark.filterwarnings("ignore:No analog data")

NAMES = aspset.SKELETON.names
INTRINSIC = [[3908.201416, 0, 1907.136108, 0], [0, 3904.395020, 1082.651855, 0], [0, 0, 1, 0]]
#: Extrinsics of subject 04ac's right camera, from the data set (public domain).
RIGHT = [
    [0.355310, -0.037651, 0.933990, -16513.444863],
    [0.010982, 0.999288, 0.036106, -694.394037],
    [-0.934684, -0.002572, 0.355470, 12560.579233],
    [0, 0, 0, 1],
]
MID = [[1, 0, 0, -3000], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
EXTRINSIC = {"left": np.eye(4).tolist(), "mid": MID, "right": RIGHT}


def world(frame: int) -> np.ndarray:
    """(17, 3) mm in the left camera's axes; every joint and frame differs."""
    joint = np.arange(17.0)
    return np.stack([-500 + 10 * joint + frame, 900 - 90 * joint, 18500 + 4 * joint + 2 * frame], 1)


def write_c3d(path: Path, poses: np.ndarray, labels: tuple[str, ...] = NAMES, unit: str = "mm") -> None:
    """(n, 17, 3) mm; NaN is written as C3D writes missing points: the origin with residual -1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = c3d.Writer(point_rate=50.0, analog_rate=50.0, point_scale=-1.0)
    writer.set_point_labels(labels)
    writer.point_group.add_str("UNITS", "units", unit, len(unit))
    for pose in poses:
        points = np.zeros((len(pose), 5), np.float32)
        points[:, :3] = np.nan_to_num(pose)
        points[np.isnan(pose).any(1), 3] = -1
        writer.add_frames([(points, np.zeros((0, 1)))])
    with path.open("wb") as stream:
        writer.write(stream)


def write_clip(root: Path, subject: str, clip: str, frames: int = 3, folder: str = "trainval") -> None:
    base = root / folder
    write_c3d(base / "joints_3d" / subject / f"{subject}-{clip}.c3d", np.array([world(f) for f in range(frames)]))
    for view in aspset.VIEWS:
        for kind in ("cameras", "boxes", "videos"):
            (base / kind / subject).mkdir(parents=True, exist_ok=True)
        camera = {"intrinsic_matrix": INTRINSIC, "extrinsic_matrix": EXTRINSIC[view]}
        (base / "cameras" / subject / f"{subject}-{view}.json").write_text(json.dumps(camera))
        rows = [f"{900 + f}.5,800.0,{1000 + f},1300.25" for f in range(frames)]
        text = "\n".join(["left,top,right,bottom", *rows]) + "\n"
        (base / "boxes" / subject / f"{subject}-{clip}-{view}.csv").write_text(text)
        (base / "videos" / subject / f"{subject}-{clip}-{view}.mkv").touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "splits.csv").write_text(
        "04ac,0026,train,all\n04ac,0003,val,all\n1e28,0001,test,mid\n0ab1,0002,train,all\n"
    )
    write_clip(tmp_path, "04ac", "0026")
    write_clip(tmp_path, "04ac", "0003", 2)
    write_clip(tmp_path, "0ab1", "0002", 1)
    write_clip(tmp_path, "1e28", "0001", 3, "test")
    return tmp_path


def read(root: Path, split: str = "train") -> list[Annotation]:
    return list(iter_annotations("aspset", root, split))


def test_joints_by_name_and_2d_by_projection(root: Path) -> None:
    person = read(root)[1]
    assert person.key == "04ac-0026-left-00001"
    assert person.camera_xyz is not None
    assert person.camera is not None
    for joint in range(17):
        x, y, z = world(1)[joint]
        np.testing.assert_allclose(person.camera_xyz[joint], (x, y, z), rtol=1e-6)  # the left camera is the world
        expected = [3908.201416 * x / z + 1907.136108, 3904.395020 * y / z + 1082.651855]
        np.testing.assert_allclose(person.keypoints[joint], expected, atol=1e-2)
    for person in read(root):
        assert person.camera is not None
        assert person.camera_xyz is not None
        seen = person.visibility == Visibility.VISIBLE
        np.testing.assert_allclose(person.camera.project(person.camera_xyz)[seen], person.keypoints[seen], atol=1e-2)


def test_columns_of_the_file_are_found_by_label(root: Path) -> None:
    shuffled = np.random.default_rng(0).permutation(17)
    path = root / "trainval" / "joints_3d" / "04ac" / "04ac-0026.c3d"
    write_c3d(path, np.array([world(0)[shuffled]]), tuple(NAMES[place] for place in shuffled))
    np.testing.assert_allclose(aspset.read_joints(path)[0], world(0), rtol=1e-6)


def test_published_values_of_one_frame(root: Path) -> None:
    """Right ankle, right wrist, head top and pelvis of 04ac-0026, as the data set's own tests state them."""
    joints = np.array(
        [
            [-518.131775, 1121.47400, 18538.8398],
            [-280.203583, 195.340317, 18422.4238],
            [-412.053192, -511.558380, 18571.8145],
            [-472.049225, 243.091171, 18629.4688],
        ]
    )
    pixels = [
        [2021.66769504, 1299.42125245],
        [2025.36732586, 1115.48445298],
        [2048.13982880, 974.88781273],
        [2048.42372027, 1125.62374581],
    ]
    pose = world(0)
    places = aspset.SKELETON.indices(("right_ankle", "right_wrist", "head_top", "pelvis"))
    pose[places] = joints
    write_c3d(root / "trainval" / "joints_3d" / "04ac" / "04ac-0026.c3d", pose[None])
    person = next(p for p in read(root) if p.sequence == "04ac-0026-right")
    np.testing.assert_allclose(person.keypoints[places], pixels, atol=2e-2)


def test_order_keys_views_and_frames(root: Path) -> None:
    train = read(root)
    assert [p.sequence for p in train[::3]] == ["04ac-0026-left", "04ac-0026-mid", "04ac-0026-right", "0ab1-0002-left"]
    assert [p.frame for p in train[:4]] == [0, 1, 2, 0]
    assert len({p.key for p in train}) == len(train) == 12
    assert [p.sequence for p in read(root, "val")][::2] == ["04ac-0003-left", "04ac-0003-mid", "04ac-0003-right"]
    test = read(root, "test")
    assert [p.key for p in test] == [f"1e28-0001-mid-{frame:05d}" for frame in range(3)]
    assert test[0].image == root / "test" / "videos" / "1e28" / "1e28-0001-mid.mkv"
    assert test[0].subject == "1e28"
    assert len({p.keypoints.tobytes() for p in train[:9]}) == 9


def test_boxes_of_the_file_and_of_the_joints(root: Path) -> None:
    np.testing.assert_allclose(read(root)[1].bbox_xywh, [901.5, 800, 99.5, 500.25])
    (root / "trainval" / "boxes" / "04ac" / "04ac-0026-left.csv").unlink()
    person = read(root)[1]
    low, high = person.bbox_xywh[:2], person.bbox_xywh[:2] + person.bbox_xywh[2:]
    assert ((person.keypoints > low) & (person.keypoints < high)).all()


def test_frames_are_those_of_joints_and_boxes_both(root: Path) -> None:
    path = root / "trainval" / "boxes" / "04ac" / "04ac-0026-left.csv"
    path.write_text("left,top,right,bottom\n1,2,3,4\n5,6,7,8\n")
    assert [p.frame for p in read(root) if p.sequence == "04ac-0026-left"] == [0, 1]


def test_missing_points_and_points_outside_the_picture(root: Path) -> None:
    pose = world(0)
    pose[3], pose[9] = np.nan, [9000, 0, 18000]
    write_c3d(root / "trainval" / "joints_3d" / "04ac" / "04ac-0026.c3d", pose[None])
    person = read(root)[0]
    assert person.camera_xyz is not None
    assert np.isnan(person.camera_xyz[3]).all()
    np.testing.assert_allclose(person.camera_xyz[9], [9000, 0, 18000])
    for joint in (3, 9):
        assert np.isnan(person.keypoints[joint]).all()
        assert person.visibility[joint] == Visibility.UNLABELLED
    assert (person.visibility == Visibility.VISIBLE).sum() == 15


def test_files_of_the_authors_library(root: Path) -> None:
    """The data set was written with ezc3d."""
    ezc3d = pytest.importorskip("ezc3d")
    content = ezc3d.c3d()
    content["parameters"]["POINT"]["RATE"]["value"] = [50]
    content["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    content["parameters"]["POINT"]["LABELS"]["value"] = list(NAMES)
    content["data"]["points"] = np.array([world(f) for f in range(4)]).transpose(2, 1, 0)
    path = root / "written.c3d"
    content.write(str(path))
    np.testing.assert_allclose(aspset.read_joints(path), [world(f) for f in range(4)], rtol=1e-6)


def test_damaged_joints_are_named(root: Path) -> None:
    path = root / "trainval" / "joints_3d" / "04ac" / "04ac-0026.c3d"
    whole = path.read_bytes()
    for length in (0, 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"04ac-0026\.c3d"):
            read(root)
    write_c3d(path, np.array([world(0)]), unit="m")
    with pytest.raises(DataError, match=r"04ac-0026\.c3d.*in 'm'"):
        read(root)
    write_c3d(path, np.array([world(0)]), (*NAMES[:-1], "hips"))
    with pytest.raises(DataError, match="hips"):
        read(root)
    path.unlink()
    with pytest.raises(DataError, match=r"04ac-0026\.c3d.*no such file"):
        read(root)


def test_damaged_cameras_boxes_splits_and_videos_are_named(root: Path) -> None:
    folder = root / "trainval"
    camera, box = folder / "cameras" / "04ac" / "04ac-left.json", folder / "boxes" / "04ac" / "04ac-0026-left.csv"
    good = camera.read_text()
    for text in ("{}", good[:40], json.dumps({"intrinsic_matrix": [1], "extrinsic_matrix": RIGHT})):
        camera.write_text(text)
        with pytest.raises(DataError, match=r"04ac-left\.json"):
            read(root)
    camera.write_text(good)
    for text in ("left,top,right,bottom\n1,2,3\n", "left,top,right,bottom\n1,2,3,none\n"):
        box.write_text(text)
        with pytest.raises(DataError, match=r"04ac-0026-left\.csv"):
            read(root)
    box.unlink()
    (folder / "videos" / "04ac" / "04ac-0026-left.mkv").unlink()
    with pytest.raises(DataError, match=r"04ac-0026-left\.mkv"):
        read(root)
    (root / "splits.csv").write_text("04ac,0026,train\n")
    with pytest.raises(DataError, match=r"splits\.csv, record 1"):
        read(root)
    (root / "splits.csv").write_text("04ac,0026,train,all\n")
    with pytest.raises(DataError, match="split val"):
        read(root, "val")
    (root / "splits.csv").unlink()
    with pytest.raises(DataError, match=r"splits\.csv.*no such file"):
        read(root)


def test_without_the_package_the_remedy_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'headstart\[aspset\]'"):
        aspset.read_joints(root / "trainval" / "joints_3d" / "04ac" / "04ac-0026.c3d")
