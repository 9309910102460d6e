"""Human3.6M as Zhou's cut pictures; written here in the official layout, read back joint by joint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from headstart.augment import sample_crop
from headstart.datasets import h36m
from headstart.errors import DataError
from headstart.records import Visibility


def pixels(column: int) -> np.ndarray:
    """(17, 2) px of the cut picture."""
    joint = np.arange(17.0)
    return np.stack([20 + 5 * joint + column / 8, 200 - 10 * joint], 1)


def xyz(column: int) -> np.ndarray:
    """(17, 3) absolute mm in camera axes."""
    joint = np.arange(17.0)
    return np.stack([10 * joint + column, -30 * joint, 5000 + 2 * joint], 1)


def meta(count: int) -> dict[str, Any]:
    """Every fifth column filled, as MATLAB writes them: x1, y1, x2, y2 ... down the column."""
    content = {"num_images": float(count), "Y2d": np.zeros((34, count)), "Y3d_mono": np.zeros((51, count))}
    content["bbox"] = np.zeros((4, count))
    for column in range(0, count, 5):
        content["Y2d"][:, column] = [value for joint in pixels(column) for value in joint]
        content["Y3d_mono"][:, column] = [value for joint in xyz(column) for value in joint]
        content["bbox"][:, column] = [301, 201, 748, 648]
    return content


def folder_name(subject: int, action: int, subaction: int, camera: int) -> str:
    return f"s_{subject:02d}_act_{action:02d}_subact_{subaction:02d}_ca_{camera:02d}"


def write(root: Path, recording: tuple[int, int, int, int], content: dict[str, Any]) -> Path:
    path = root / folder_name(*recording) / "matlab_meta.mat"
    path.parent.mkdir(parents=True)
    scipy.io.savemat(path, content)
    return path


@pytest.mark.parametrize("count", [11, 1])
def test_every_joint(tmp_path: Path, count: int) -> None:
    """Also with one frame only, where reading squeezes a dimension away."""
    write(tmp_path, (9, 6, 2, 3), meta(count))
    records = list(h36m.annotations(tmp_path, "test"))
    assert [record.frame for record in records] == list(range(0, count, 5))
    for record in records:
        column = record.frame
        assert record.camera_xyz is not None
        for joint in range(17):
            np.testing.assert_allclose(record.keypoints[joint], [20 + 5 * joint + column / 8, 200 - 10 * joint])
            np.testing.assert_allclose(record.camera_xyz[joint], [10 * joint, -30 * joint, 2 * joint])
        assert record.visibility.tolist() == [Visibility.VISIBLE] * 17
        # 224 / 1.25 = 179.2, in the middle.
        np.testing.assert_allclose(record.bbox_xywh, [22.4, 22.4, 179.2, 179.2], rtol=1e-6)
        assert record.camera is None
        name = folder_name(9, 6, 2, 3)
        assert record.image == tmp_path / name / f"{name}_{column + 1:06d}.jpg"
    assert (records[0].subject, records[0].action, records[0].sequence) == ("S9", "Phoning", "S9/Phoning/2/3")


def test_the_crop_is_the_whole_picture(tmp_path: Path) -> None:
    """As the published loader takes it: corner to corner, whatever room crops add around a box."""
    write(tmp_path, (1, 2, 1, 1), meta(1))
    (record,) = h36m.annotations(tmp_path, "train")
    crop = sample_crop(np.random.default_rng(0), record.bbox_xywh, (256, 256), None)
    np.testing.assert_allclose(
        crop.to_crop(np.array([[-0.5, -0.5], [223.5, 223.5]])), [[-0.5] * 2, [255.5] * 2], atol=1e-4
    )


def test_unfilled_columns_are_skipped(tmp_path: Path) -> None:
    content = meta(11)
    for name in ("Y2d", "Y3d_mono", "bbox"):
        content[name][:, 5] = 0
    write(tmp_path, (1, 2, 1, 1), content)
    assert [record.frame for record in h36m.annotations(tmp_path, "train")] == [0, 10]


def test_whole_numbers_stored_as_bytes(tmp_path: Path) -> None:
    """MATLAB stores small whole numbers in as few bytes as will do; sums of uint8 must not wrap around."""
    content = meta(1)
    content["Y2d"] = np.round(content["Y2d"]).astype(np.uint8)
    content["bbox"] = np.array([[1], [1], [200], [200]], np.uint8)
    content["num_images"] = np.uint8(1)
    write(tmp_path, (1, 2, 1, 1), content)
    (record,) = h36m.annotations(tmp_path, "train")
    np.testing.assert_allclose(record.keypoints, pixels(0))


def test_pixels_of_the_original_picture_are_mapped_through_the_box(tmp_path: Path) -> None:
    """A box of 448 px, pixels 301..748 and 201..648, becomes 224 px: two original pixels make one."""
    content = meta(6)
    for column in (0, 5):
        content["Y2d"][:, column] = (2 * pixels(column) + [301.5, 201.5]).ravel()
    write(tmp_path, (1, 2, 1, 1), content)
    for record in h36m.annotations(tmp_path, "train"):
        np.testing.assert_allclose(record.keypoints, pixels(record.frame), atol=1e-4)


def test_first_and_last_pixel_of_the_box(tmp_path: Path) -> None:
    """Outer edges meet: original pixel 301 fills the left half of the picture's first pixel, 0 - 0.25."""
    content = meta(1)
    content["Y2d"][:, 0] = np.tile([301, 201, 748, 648], 9)[:34]
    write(tmp_path, (1, 2, 1, 1), content)
    (record,) = h36m.annotations(tmp_path, "train")
    np.testing.assert_allclose(record.keypoints[:2], [[-0.25, -0.25], [223.25, 223.25]], atol=1e-4)
    assert record.visibility.all()


def test_pixels_of_neither_picture_are_refused(tmp_path: Path) -> None:
    content = meta(1)
    content["Y2d"] += 2000
    path = write(tmp_path, (1, 2, 1, 1), content)
    with pytest.raises(DataError, match="224") as error:
        list(h36m.annotations(tmp_path, "train"))
    assert str(path) in str(error.value)


def test_a_joint_beyond_the_cut_keeps_its_3d_only(tmp_path: Path) -> None:
    content = meta(1)
    content["Y2d"][1, 0] = 240
    write(tmp_path, (1, 2, 1, 1), content)
    (record,) = h36m.annotations(tmp_path, "train")
    assert np.isnan(record.keypoints[0]).all()
    assert record.visibility.tolist() == [Visibility.UNLABELLED] + [Visibility.VISIBLE] * 16
    assert record.camera_xyz is not None
    assert np.isfinite(record.camera_xyz).all()


def test_order_and_split_by_subject(tmp_path: Path) -> None:
    """Subject 11 comes after 9; the folder that exists nowhere, S11's 2, 2, 1, is not asked for."""
    for recording in ((11, 2, 2, 2), (9, 16, 1, 1), (9, 3, 2, 4), (9, 3, 2, 1), (1, 2, 1, 1), (8, 2, 1, 1)):
        write(tmp_path, recording, meta(1))
    assert [record.sequence for record in h36m.annotations(tmp_path, "train")] == [
        "S1/Directions/1/1",
        "S8/Directions/1/1",
    ]
    assert [record.sequence for record in h36m.annotations(tmp_path, "test")] == [
        "S9/Discussion/2/1",
        "S9/Discussion/2/4",
        "S9/WalkTogether/1/1",
        "S11/Directions/2/2",
    ]


def test_folders_under_images(tmp_path: Path) -> None:
    write(tmp_path / "images", (1, 2, 1, 1), meta(1))
    (record,) = h36m.annotations(tmp_path, "train")
    assert record.image.parent.parent == tmp_path / "images"


def test_folder_without_its_file(tmp_path: Path) -> None:
    write(tmp_path, (1, 2, 1, 1), meta(1))
    (tmp_path / folder_name(1, 2, 1, 2)).mkdir()
    with pytest.raises(DataError, match=r"ca_02/matlab_meta\.mat"):
        list(h36m.annotations(tmp_path, "train"))


def test_truncated_file(tmp_path: Path) -> None:
    path = write(tmp_path, (1, 2, 1, 1), meta(6))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"matlab_meta\.mat") as error:
        list(h36m.annotations(tmp_path, "train"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_images", None, "num_images"),
        ("num_images", 7.0, "34 x 7"),
        ("num_images", np.array([1.0, 2.0]), "num_images"),
        ("num_images", 0.0, "num_images"),
        ("Y2d", None, "Y2d"),
        ("Y2d", "text", "Y2d"),
        ("Y2d", np.zeros((34, 6)), "column 1"),
        ("Y3d_mono", np.ones((48, 6)), "Y3d_mono"),
        ("Y3d_mono", np.full((51, 6), np.nan), "Y3d_mono"),
        ("bbox", np.zeros((4, 6)), "column 1"),
    ],
)
def test_malformed_file(tmp_path: Path, name: str, value: Any, message: str) -> None:
    content = meta(6)
    del content[name]
    path = write(tmp_path, (1, 2, 1, 1), content if value is None else content | {name: value})
    with pytest.raises(DataError, match=message) as error:
        list(h36m.annotations(tmp_path, "train"))
    assert str(path) in str(error.value)
