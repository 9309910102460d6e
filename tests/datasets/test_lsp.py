"""LSP: a file of the official shape, written here and read back joint by joint."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from headstart.datasets import iter_annotations, lsp, lsp_extended
from headstart.errors import ConfigError, DataError
from headstart.geometry import Crop
from headstart.records import Visibility


def official_joints() -> np.ndarray:
    """(3, 14, 2000): joint k of person n at x = n % 100 + k + 1, y = 2 k + 1 (1-based), left wrist occluded."""
    joints = np.zeros((3, 14, 2000))
    joints[0] = np.arange(2000)[None] % 100 + np.arange(14)[:, None] + 1
    joints[1] = (2 * np.arange(14) + 1)[:, None]
    joints[2, lsp.SKELETON.index("left_wrist")] = 1
    return joints


@pytest.fixture
def root(tmp_path: Path) -> Path:
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": official_joints()}, do_compression=True)
    return tmp_path


def test_joints_are_read_one_by_one_as_zero_based_pixels(root):
    third = list(iter_annotations("lsp", root, "train"))[2]
    expected = np.stack([np.arange(14) + 2, 2 * np.arange(14)], 1)
    np.testing.assert_array_equal(third.keypoints, expected)
    assert third.keypoints.dtype == np.float32
    assert third.image == root / "images" / "im0003.jpg"


def test_one_means_occluded_the_opposite_of_lsp_extended(root):
    person = next(iter_annotations("lsp", root, "train"))
    occluded = lsp.SKELETON.index("left_wrist")
    assert person.visibility[occluded] == Visibility.OCCLUDED
    assert (np.delete(person.visibility, occluded) == Visibility.VISIBLE).all()
    assert np.isfinite(person.keypoints).all()


def test_order_of_joints():
    names = lsp.SKELETON.names
    assert names[:3] == ("right_ankle", "right_knee", "right_hip")
    assert names[6:12] == (
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    )
    assert names[12:] == ("neck", "head_top")


def test_box_is_that_of_the_joints(root):
    person = next(iter_annotations("lsp", root, "train"))
    np.testing.assert_array_equal(person.bbox_xywh, [0, 0, 14, 27])


def test_a_wide_person_fits_the_crop(root):
    joints = official_joints()
    joints[:2, :, 0] = np.array([[1 + 30 * k, 50 + k % 2] for k in range(14)]).T
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    person = next(iter_annotations("lsp", root, "train"))
    inside = Crop.from_box(person.bbox_xywh, (256, 256)).to_crop(person.keypoints)
    assert ((inside >= 0) & (inside <= 255)).all()


def test_splits_are_the_first_and_the_last_thousand(root):
    train, test = (list(iter_annotations("lsp", root, split)) for split in ("train", "test"))
    assert (train[0].key, train[-1].key, test[0].key, test[-1].key) == (
        "im0001.jpg",
        "im1000.jpg",
        "im1001.jpg",
        "im2000.jpg",
    )
    assert len({person.key for person in train + test}) == 2000


def test_a_coordinate_that_is_nan_is_unlabelled(root):
    joints = official_joints()
    joints[0, 13, 0] = np.nan
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    person = next(iter_annotations("lsp", root, "train"))
    assert person.visibility[13] == Visibility.UNLABELLED
    assert np.isnan(person.keypoints[13]).all()


def test_unknown_split_lists_those_there_are(root):
    with pytest.raises(ConfigError, match="train, test"):
        iter_annotations("lsp", root, "valid")


@pytest.mark.parametrize(
    "joints",
    [
        np.zeros((14, 3, 2000)),  # LSP-Extended's order: its visibility means the opposite
        np.zeros((3, 14, 1999)),
        np.zeros((2, 14, 2000)),
        np.zeros((3, 14)),
        np.full((3, 14, 2000), 2.0),
        np.array(["text"]),
    ],
    ids=["extended", "truncated", "rows", "one person", "visibility 2", "text"],
)
def test_malformed_joints_are_one_clear_line(root, joints):
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    with pytest.raises(DataError, match=r"joints\.mat") as caught:
        list(iter_annotations("lsp", root, "train"))
    assert "\n" not in str(caught.value)


def test_missing_truncated_and_foreign_files(root):
    path = root / "joints.mat"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for prepare in (lambda: None, lambda: path.write_text("no"), lambda: scipy.io.savemat(path, {"other": 1})):
        prepare()
        with pytest.raises(DataError, match=r"joints\.mat"):
            list(iter_annotations("lsp", root, "train"))
    path.unlink()
    with pytest.raises(DataError, match=r"joints\.mat.*no such file"):
        list(iter_annotations("lsp", root, "train"))


def test_lsp_extended_refuses_the_file_of_lsp(root):
    with pytest.raises(DataError, match=r"joints of shape 14 x 3 x any, found 3 x 14 x 2000"):
        list(lsp_extended.annotations(root, "all"))
