"""FLIC and FLIC-full: struct arrays as MATLAB writes them, read back joint by joint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from headstart.datasets import flic, iter_annotations
from headstart.errors import DataError
from headstart.records import Visibility
from headstart.skeleton import CANONICAL, conversion, convert_points

# 1-based pixels by joint of an upright person: shoulders at y 101, hips at y 201, so the torso is 100 px.
PERSON = {
    "left_shoulder": (141, 101),
    "left_elbow": (161, 151),
    "left_wrist": (171, 191),
    "right_shoulder": (81, 101),
    "right_elbow": (61, 151),
    "right_wrist": (51, 181),
    "left_hip": (131, 201),
    "right_hip": (91, 201),
    "left_eye": (121, 51),
    "right_eye": (101, 51),
    "nose": (111, 61),
}
# Column of each, counted from 1 as in the data set's own list.
MATLAB_COLUMNS = {
    "left_shoulder": 1,
    "left_elbow": 2,
    "left_wrist": 3,
    "right_shoulder": 4,
    "right_elbow": 5,
    "right_wrist": 6,
    "left_hip": 7,
    "right_hip": 10,
    "left_eye": 13,
    "right_eye": 14,
    "nose": 17,
}


def coords(**changes: Any) -> np.ndarray:
    """(2, 29), NaN where unlabelled."""
    columns = np.full((2, 29), np.nan)
    for name, point in (PERSON | changes).items():
        columns[:, MATLAB_COLUMNS[name] - 1] = point
    return columns


def example(train: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "poselet_hit_idx": np.array([]),
        "moviename": "2-fast",
        "coords": coords(),
        "filepath": "2-fast-00000011.jpg",
        "imgdims": np.array([[480, 720, 3]], np.uint16),
        "currframe": np.uint8(11),
        "torsobox": np.array([[80.0, 100.0, 140.0, 200.0]]),
        "istrain": np.uint8(train),
        "istest": np.uint8(1 - train),
    } | changes


def write(root: Path, *examples: dict[str, Any]) -> Path:
    """``examples`` as a 1 x N struct array."""
    array = np.zeros((1, len(examples)), [(name, object) for name in examples[0]])
    for column, row in enumerate(examples):
        for name, value in row.items():
            array[name][0, column] = value
    scipy.io.savemat(root / "examples.mat", {"examples": array})
    return root


def read(root: Path, split: str = "train") -> list[Any]:
    return list(iter_annotations("flic", root, split))


def test_every_joint_lands_under_its_name_one_pixel_less(tmp_path):
    (person,) = read(write(tmp_path, example()))
    for name, (x, y) in PERSON.items():
        np.testing.assert_array_equal(person.keypoints[flic.SKELETON.index(name)], [x - 1, y - 1], err_msg=name)


def test_columns_are_not_off_by_one():
    filled = [flic.SKELETON.index(name) for name in PERSON]
    assert sorted(filled) == [0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 16]


def test_other_joints_are_unlabelled_nan(tmp_path):
    (person,) = read(write(tmp_path, example(coords=coords(left_wrist=(np.nan, np.nan)))))
    unlabelled = [i for i, name in enumerate(flic.SKELETON.names) if name not in PERSON or name == "left_wrist"]
    assert (person.visibility[unlabelled] == Visibility.UNLABELLED).all()
    assert np.isnan(person.keypoints[unlabelled]).all()
    assert (np.delete(person.visibility, unlabelled) == Visibility.VISIBLE).all()


def test_pelvis_and_thorax_follow_from_hips_and_shoulders_and_head_top_from_nothing(tmp_path):
    (person,) = read(write(tmp_path, example()))
    points, known = convert_points(conversion(flic.SKELETON, CANONICAL), person.keypoints, person.visibility > 0)
    np.testing.assert_array_equal(points[CANONICAL.index("pelvis")], [110, 200])
    np.testing.assert_array_equal(points[CANONICAL.index("thorax")], [110, 100])
    assert not known[CANONICAL.indices(("head_top", "neck", "left_knee", "right_ankle"))].any()


def test_box_spans_x_by_x_and_y_by_y_with_room_for_head_and_legs(tmp_path):
    (person,) = read(write(tmp_path, example()))
    # x from 50 to 170. Torso 100: crown 22.2 above the eyes (50), soles 184.0 below the hips (200).
    expected = [50, 50 - 6.4 / 0.288, 121, (200 + 53 / 0.288) - (50 - 6.4 / 0.288)]
    np.testing.assert_allclose(person.bbox_xywh, expected, rtol=1e-5)


def test_box_ends_with_the_picture_but_keeps_every_joint(tmp_path):
    (person,) = read(write(tmp_path, example(imgdims=np.array([[210, 165, 3]], np.uint8))))
    x, y, width, height = person.bbox_xywh
    assert y + height == 210
    assert x + width == 171


def test_box_without_hips_still_leaves_room(tmp_path):
    nan = (np.nan, np.nan)
    (person,) = read(write(tmp_path, example(coords=coords(left_hip=nan, right_hip=nan))))
    # Extent 121 x 141 from y 50: half of 141 stands for the torso.
    assert person.bbox_xywh[1] + person.bbox_xywh[3] == pytest.approx(191 + 70.5 * 53 / 28.8, rel=1e-5)


def test_splits_keys_and_places(tmp_path):
    write(tmp_path, example(), example(train=0), example())
    train, test = read(tmp_path), read(tmp_path, "test")
    assert [person.key for person in train] == ["2-fast-00000011.jpg#0", "2-fast-00000011.jpg#2"]
    assert [person.key for person in test] == ["2-fast-00000011.jpg#1"]
    assert train[0].image == tmp_path / "images" / "2-fast-00000011.jpg"
    assert (train[0].sequence, train[0].frame) == ("2-fast", 11)


def test_full_train_takes_no_bad_unchecked_or_test_row(tmp_path):
    good = {"isbad": np.uint8(0), "isunchecked": np.uint8(0), "istrain": np.uint8(0), "istest": np.uint8(0)}
    flagged = [good, *(good | {name: np.uint8(1)} for name in ("isbad", "isunchecked", "istest", "istrain"))]
    write(tmp_path, *(example(**flags) for flags in flagged))
    assert [person.key[-2:] for person in read(tmp_path, "full_train")] == ["#0", "#4"]
    assert [person.key[-2:] for person in read(tmp_path, "train")] == ["#4"]


def test_full_train_needs_flic_full(tmp_path):
    with pytest.raises(DataError, match=r"examples\.mat, record 0: expected a field 'isbad'"):
        read(write(tmp_path, example()), "full_train")


def test_a_row_without_labels_is_left_out(tmp_path):
    assert read(write(tmp_path, example(coords=np.full((2, 29), np.nan)))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"coords": np.zeros((29, 2))},
        {"coords": "none"},
        {"imgdims": np.array([480.0])},
        {"currframe": np.array([1, 2])},
        {"istrain": "yes"},
    ],
)
def test_malformed_rows_name_file_and_record(tmp_path, changes):
    with pytest.raises(DataError, match=r"examples\.mat, record 1:"):
        read(write(tmp_path, example(), example(**changes)))


@pytest.mark.parametrize("name", ["coords", "filepath", "imgdims", "istrain", "moviename", "currframe"])
def test_missing_fields_are_named(tmp_path, name):
    row = example()
    del row[name]
    with pytest.raises(DataError, match=rf"examples\.mat, record 0: expected a field '{name}'"):
        read(write(tmp_path, row))


def test_missing_truncated_and_foreign_files(tmp_path):
    path = tmp_path / "examples.mat"
    with pytest.raises(DataError, match=r"examples\.mat.*no such file"):
        read(tmp_path)
    scipy.io.savemat(path, {"examples": np.arange(3)})
    with pytest.raises(DataError, match=r"examples\.mat.*struct array"):
        read(tmp_path)
    write(tmp_path, example())
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"examples\.mat"):
        read(tmp_path)
