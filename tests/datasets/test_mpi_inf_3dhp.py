"""MPI-INF-3DHP in its official files, written here, read back joint by joint."""

import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from headstart.datasets import iter_annotations, mpi_inf_3dhp
from headstart.errors import DataError
from headstart.records import Annotation, Visibility

# Where each of the 17 stands among the 28, one by one, from the joint names of the official training files.
PLACE_OF = {
    "head_top": 7,
    "neck": 5,
    "right_shoulder": 14,
    "right_elbow": 15,
    "right_wrist": 16,
    "left_shoulder": 9,
    "left_elbow": 10,
    "left_wrist": 11,
    "right_hip": 23,
    "right_knee": 24,
    "right_ankle": 25,
    "left_hip": 18,
    "left_knee": 19,
    "left_ankle": 20,
    "pelvis": 4,
    "spine": 3,
    "head": 6,
}
ROTATION = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])


def intrinsics(camera: int) -> tuple[float, float, float, float]:
    return 1500.0 + camera, 1490.0 + camera, 1024.5, 1050.0 + camera


def pose(camera: int, frame: int, joints: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """(joints, 3) mm and their projection (joints, 2) px; every joint, camera and frame differs."""
    joint = np.arange(float(joints))
    xyz = np.stack([10 * joint + frame - 100, 400 - 30 * joint + camera, 3000 + 2 * joint + frame], 1)
    fx, fy, cx, cy = intrinsics(camera)
    return xyz, np.stack([fx * xyz[:, 0] / xyz[:, 2] + cx, fy * xyz[:, 1] / xyz[:, 2] + cy], 1)


def universal(points: np.ndarray, pelvis: int) -> np.ndarray:
    """(..., joints, 3) mm, 0.9 of the size about the pelvis, as the official files have it."""
    root = points[..., [pelvis], :]
    return root + 0.9 * (points - root)


def cells(parts: list[np.ndarray]) -> np.ndarray:
    """MATLAB's 14 x 1 cell."""
    column = np.empty((14, 1), object)
    for row, part in enumerate(parts):
        column[row, 0] = part
    return column


def calibration() -> str:
    lines = ["Skeletool Camera Calibration File V1.0"]
    for camera in range(14):
        fx, fy, cx, cy = intrinsics(camera)
        extrinsic = np.eye(4)
        extrinsic[:3, :3] = ROTATION
        extrinsic[:3, 3] = [100 + camera, -20.5, 3000]
        lines += [
            f"name          {camera}",
            "  sensor      10 10",
            "  size        2048 2048",
            "  animated    0",
            f"  intrinsic   {fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1 ",
            f"  extrinsic   {' '.join(str(value) for value in extrinsic.ravel())} ",
            "  radial      0",
        ]
    return "\n".join(lines) + "\n"


def write_train(root: Path, subject: int = 1, sequence: int = 1, frames: int = 3, videos: bool = True) -> Path:
    folder = root / f"S{subject}" / f"Seq{sequence}"
    folder.mkdir(parents=True)
    poses = [[pose(camera, frame) for frame in range(frames)] for camera in range(14)]
    points = [np.array([xyz.ravel() for xyz, _ in rows]) for rows in poses]
    pixels = [np.array([xy.ravel() for _, xy in rows]) for rows in poses]
    scaled = [universal(rows.reshape(-1, 28, 3), 4).reshape(rows.shape) for rows in points]
    content = {"annot2": cells(pixels), "annot3": cells(points), "univ_annot3": cells(scaled)}
    scipy.io.savemat(folder / "annot.mat", content | {"cameras": np.arange(14)})
    (folder / "camera.calibration").write_text(calibration())
    if videos:
        (folder / "imageSequence").mkdir()
        for camera in mpi_inf_3dhp.VNECT_CAMERAS:
            (folder / "imageSequence" / f"video_{camera}.avi").touch()
    return folder


def train(root: Path) -> list[Annotation]:
    return list(iter_annotations("mpi_inf_3dhp", root, "train"))


def assert_projects(person: Annotation) -> None:
    assert person.camera is not None
    assert person.camera_xyz is not None
    labelled = person.visibility > 0
    assert labelled.any()
    np.testing.assert_allclose(
        person.camera.project(person.camera_xyz)[labelled], person.keypoints[labelled], atol=1e-2
    )


def test_train_reads_every_camera_of_the_set_joint_by_joint(tmp_path: Path) -> None:
    folder = write_train(tmp_path)
    people = train(tmp_path)
    assert [p.sequence for p in people[::3]] == [f"S1_Seq1_{c}" for c in (0, 1, 2, 4, 5, 6, 7, 8)]
    person = people[3 * 3 + 1]
    assert (person.key, person.subject, person.frame) == ("S1_Seq1_4_000001", "S1", 1)
    assert person.image == folder / "imageSequence" / "video_4.avi"
    xyz, pixels = pose(4, 1)
    assert person.camera_xyz is not None
    assert set(PLACE_OF) == set(mpi_inf_3dhp.SKELETON.names)
    for name, place in PLACE_OF.items():
        joint = mpi_inf_3dhp.SKELETON.index(name)
        np.testing.assert_allclose(person.camera_xyz[joint], xyz[place], rtol=1e-6)
        np.testing.assert_allclose(person.keypoints[joint], pixels[place], rtol=1e-6)
    assert (person.visibility == Visibility.VISIBLE).all()


def test_train_camera(tmp_path: Path) -> None:
    write_train(tmp_path)
    for person in train(tmp_path):
        assert_projects(person)
    camera = train(tmp_path)[3 * 3].camera
    assert camera is not None
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == intrinsics(4)
    np.testing.assert_allclose(camera.to_camera(np.array([1.0, 2.0, 3.0])), [104 - 3, -20.5 - 2, 3000 - 1])


def test_keys_and_labels_are_unique_and_reading_is_repeatable(tmp_path: Path) -> None:
    write_train(tmp_path, 1, 2)
    write_train(tmp_path, 3, 1)
    people = train(tmp_path)
    assert len({p.key for p in people}) == len(people) == 2 * 8 * 3
    assert [p.key for p in train(tmp_path)] == [p.key for p in people]
    assert len({p.keypoints.tobytes() for p in people}) == 8 * 3  # both subjects hold the same poses


@pytest.mark.parametrize("first", [0, 1])
def test_extracted_frames_belong_to_labels_by_number(
    tmp_path: Path, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 pictures, so that glob order and natural order differ; listed shuffled; two more than there are labels."""
    folder = write_train(tmp_path, frames=10)
    frames = folder / "imageFrames" / "video_0"
    frames.mkdir(parents=True)
    for number in range(first, first + 12):
        (frames / f"frame_{number}.jpg").touch()
    (frames / "Thumbs.db").touch()
    shuffle_listing(monkeypatch)
    people = [p for p in train(tmp_path) if p.sequence.endswith("_0")]
    assert [p.frame for p in people] == list(range(10))
    for person in people:
        assert person.image.name == f"frame_{person.frame + first}.jpg"
        np.testing.assert_allclose(person.keypoints[0], pose(0, person.frame)[1][7], rtol=1e-6)


def shuffle_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    original: Callable[[Path], object] = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(random.Random(1).sample(x := list(original(self)), len(x))))  # type: ignore[call-overload]


def test_frames_with_gaps_keep_their_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_train(tmp_path, frames=10)
    frames = folder / "imageFrames" / "video_0"
    frames.mkdir(parents=True)
    for number in (1, 6):
        (frames / f"frame_{number:06d}.jpg").touch()
    assert [(p.frame, p.image.name) for p in train(tmp_path)][:2] == [(0, "frame_000001.jpg"), (5, "frame_000006.jpg")]
    assert f"{frames}: 2 images for 10 labelled frames" in caplog.text


def test_frames_whose_count_is_unclear_are_refused(tmp_path: Path) -> None:
    frames = write_train(tmp_path) / "imageFrames" / "video_0"
    frames.mkdir(parents=True)
    (frames / "frame_000005.jpg").touch()
    with pytest.raises(DataError, match=r"video_0: expected images frame_.*frame_000005\.jpg"):
        train(tmp_path)


def test_the_short_video_ends_before_its_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mpi_inf_3dhp._SHORT_VIDEOS == {("S6", "Seq2", 2): 3911}
    monkeypatch.setattr(mpi_inf_3dhp, "_SHORT_VIDEOS", {("S6", "Seq2", 2): 2})
    write_train(tmp_path, 6, 2)
    counts = [sum(p.sequence == f"S6_Seq2_{c}" for p in train(tmp_path)) for c in (0, 1, 2, 4)]
    assert counts == [3, 3, 2, 3]


def test_joints_outside_the_picture_are_unlabelled_and_keep_3d(tmp_path: Path) -> None:
    folder = write_train(tmp_path)
    content = scipy.io.loadmat(folder / "annot.mat")
    content["annot3"][0, 0][1].reshape(28, 3)[7] = [-3000, 0, 2000]  # one joint far to the left
    content["annot2"][0, 0][1].reshape(28, 2)[7] = [1500 * -1.5 + 1024.5, 1050]
    scipy.io.savemat(folder / "annot.mat", {name: content[name] for name in ("annot2", "annot3")})
    person = train(tmp_path)[1]
    top = mpi_inf_3dhp.SKELETON.index("head_top")
    assert person.visibility[top] == Visibility.UNLABELLED
    assert np.isnan(person.keypoints[top]).all()
    assert person.camera_xyz is not None
    np.testing.assert_allclose(person.camera_xyz[top], [-3000, 0, 2000])
    assert (person.visibility == Visibility.VISIBLE).sum() == 16
    assert person.bbox_xywh[0] < -1225


def test_labels_of_another_camera_are_refused(tmp_path: Path) -> None:
    folder = write_train(tmp_path)
    content = scipy.io.loadmat(folder / "annot.mat")
    content["annot2"][0, 0] = content["annot2"][0, 0] + 100
    scipy.io.savemat(folder / "annot.mat", {name: content[name] for name in ("annot2", "annot3")})
    with pytest.raises(DataError, match=r"annot\.mat.*camera 0.*project"):
        train(tmp_path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_damaged_training_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="S1/Seq1"):
        train(tmp_path)
    folder = write_train(tmp_path)
    (folder / "imageSequence" / "video_8.avi").unlink()
    with pytest.raises(DataError, match=r"video_8\.avi"):
        train(tmp_path)
    text = (folder / "camera.calibration").read_text()
    for wrong in (text[: len(text) // 2], "nothing", text.replace("radial      0", "radial      0.2")):
        (folder / "camera.calibration").write_text(wrong)
        with pytest.raises(DataError, match=r"camera\.calibration"):
            train(tmp_path)
    truncate(folder / "annot.mat")
    with pytest.raises(DataError, match=r"annot\.mat"):
        train(tmp_path)
    scipy.io.savemat(folder / "annot.mat", {"annot2": np.zeros((3, 56)), "annot3": np.zeros((3, 84))})
    with pytest.raises(DataError, match="14 cells"):
        train(tmp_path)


def write_test(root: Path, frames: int = 4) -> None:
    for number in range(1, 7):
        folder = root / f"TS{number}"
        (folder / "imageSequence").mkdir(parents=True)
        poses = [pose(number, frame, 17) for frame in range(frames)]
        with h5py.File(folder / "annot_data.mat", "w") as file:
            file["annot2"] = np.array([xy for _, xy in poses])[:, None]
            file["annot3"] = np.array([xyz for xyz, _ in poses])[:, None]
            file["univ_annot3"] = universal(np.array([xyz for xyz, _ in poses]), 14)[:, None]
            file["valid_frame"] = (np.arange(frames) % 2 == 1).astype(float)[:, None]
            file["activity_annotation"] = (np.arange(frames) % 7 + 1).astype(float)[:, None]


def test_the_test_set_holds_valid_frames_only(tmp_path: Path) -> None:
    write_test(tmp_path)
    people = list(iter_annotations("mpi_inf_3dhp", tmp_path, "test"))
    assert [p.key for p in people[:3]] == ["TS1_000001", "TS1_000003", "TS2_000001"]
    assert [p.frame for p in people] == [1, 3] * 6
    person = people[3]
    assert person.image == tmp_path / "TS2" / "imageSequence" / "img_000004.jpg"
    assert (person.subject, person.sequence, person.action) == ("TS2", "TS2", "4 crouch/reach")
    xyz, pixels = pose(2, 3, 17)
    assert person.camera_xyz is not None
    for joint in range(17):
        np.testing.assert_allclose(person.camera_xyz[joint], xyz[joint], rtol=1e-6)
        np.testing.assert_allclose(person.keypoints[joint], pixels[joint], rtol=1e-6)
    for number, person in enumerate(people):
        assert_projects(person)
        assert person.camera is not None
        assert person.camera.fx == pytest.approx(1501 + number // 2, abs=0.1)
    outdoors = people[8]  # TS5: 1080 px high, and the first joints of these poses lie below that
    assert (outdoors.visibility == Visibility.UNLABELLED).any()
    np.testing.assert_array_equal(outdoors.visibility > 0, pose(5, 1, 17)[1][:, 1] <= 1079.5)


def test_the_test_folder_as_unpacked(tmp_path: Path) -> None:
    write_test(tmp_path / "mpi_inf_3dhp_test_set")
    assert len(list(iter_annotations("mpi_inf_3dhp", tmp_path, "test"))) == 12


def test_without_a_camera_that_fits_3d_is_relative_to_the_pelvis(tmp_path: Path) -> None:
    write_test(tmp_path, frames=40)
    noise = np.random.default_rng(0).normal(0, 30, (40, 1, 17, 2))
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "r+") as file:
        file["annot2"][...] += noise
    person = next(iter_annotations("mpi_inf_3dhp", tmp_path, "test"))
    assert person.camera is None
    assert person.camera_xyz is not None
    xyz, _ = pose(1, 1, 17)
    np.testing.assert_allclose(person.camera_xyz, xyz - xyz[14], atol=1e-3)


def test_damaged_test_files_are_named(tmp_path: Path) -> None:
    write_test(tmp_path)
    path = tmp_path / "TS1" / "annot_data.mat"
    whole = path.read_bytes()

    def read() -> None:
        list(iter_annotations("mpi_inf_3dhp", tmp_path, "test"))

    with h5py.File(path, "r+") as file:
        del file["valid_frame"]
    with pytest.raises(DataError, match=r"annot_data\.mat.*valid_frame"):
        read()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"annot_data\.mat"):
        read()
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["activity_annotation"][1] = 9
    with pytest.raises(DataError, match="activities 1 to 7"):
        read()
    path.unlink()
    with pytest.raises(DataError, match=r"TS1/annot_data\.mat.*no such file"):
        read()
