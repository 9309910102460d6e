"""LSP-Extended: a small file of the official shape, and the real copy where it is there."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from headstart.datasets import iter_annotations, lsp_extended
from headstart.errors import DataError
from headstart.geometry import Crop
from headstart.records import Visibility
from headstart.skeleton import CANONICAL, conversion, convert_points

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "lspet"
needs_real = pytest.mark.skipif(not (REAL / "joints.mat").is_file(), reason="the real LSP-Extended is not here")


def official_joints(people: int = 3) -> np.ndarray:
    """(14, 3, people): joint k at (10 k + 1.25, 5 k + 1.5), 1-based; the right ankle not labelled."""
    joints = np.ones((14, 3, people))
    joints[:, 0] = (10 * np.arange(14) + 1.25)[:, None]
    joints[:, 1] = (5 * np.arange(14) + 1.5)[:, None]
    joints[0, :, :] = np.array([0.0, -26.1, 0.0])[:, None]
    return joints


def write(root: Path, joints: np.ndarray) -> Path:
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    return root


def test_joints_keep_their_fractions_and_lose_one(tmp_path):
    person = next(iter_annotations("lsp_extended", write(tmp_path, official_joints()), "all"))
    expected = np.stack([10 * np.arange(14) + 0.25, 5 * np.arange(14) + 0.5], 1)
    np.testing.assert_array_equal(person.keypoints[1:], expected[1:])
    assert person.image == tmp_path / "images" / "im00001.jpg"
    np.testing.assert_array_equal(person.bbox_xywh, [10.25, 5.5, 121, 61])


def test_zero_means_not_labelled_and_its_coordinates_are_gone(tmp_path):
    person = next(iter_annotations("lsp_extended", write(tmp_path, official_joints()), "all"))
    assert person.visibility[0] == Visibility.UNLABELLED
    assert np.isnan(person.keypoints[0]).all()
    assert (person.visibility[1:] == Visibility.VISIBLE).all()


def test_head_top_is_never_made_from_the_neck(tmp_path):
    joints = official_joints()
    joints[13, 2] = 0
    person = next(iter_annotations("lsp_extended", write(tmp_path, joints), "all"))
    matrix = conversion(lsp_extended.SKELETON, CANONICAL)
    _, known = convert_points(matrix, person.keypoints, person.visibility > 0)
    assert known[CANONICAL.index("neck")]
    assert not known[CANONICAL.index("head_top")]
    assert not known[CANONICAL.index("right_ankle")]


def test_a_midpoint_of_a_half_labelled_pair_is_unlabelled(tmp_path):
    joints = official_joints()
    joints[2, 2] = 0  # right hip
    person = next(iter_annotations("lsp_extended", write(tmp_path, joints), "all"))
    _, known = convert_points(conversion(lsp_extended.SKELETON, CANONICAL), person.keypoints, person.visibility > 0)
    assert not known[CANONICAL.index("pelvis")]
    assert known[CANONICAL.index("thorax")]


def test_a_file_of_one_person_is_read(tmp_path):
    assert len(list(iter_annotations("lsp_extended", write(tmp_path, official_joints(1)), "all"))) == 1


def test_a_person_without_labels_is_left_out_and_others_keep_their_picture(tmp_path):
    joints = official_joints()
    joints[:, 2, 1] = 0
    keys = [person.key for person in iter_annotations("lsp_extended", write(tmp_path, joints), "all")]
    assert keys == ["im00001.jpg", "im00003.jpg"]


@pytest.mark.parametrize("people", [9500, 10000])
def test_splits_of_a_whole_file(tmp_path, people):
    root = write(tmp_path, official_joints(people))
    keys = {split: [p.key for p in iter_annotations("lsp_extended", root, split)] for split in lsp_extended.SPLITS}
    assert {split: len(found) for split, found in keys.items()} == {"all": people, "train": 8500, "val": 1000}
    assert (keys["train"][-1], keys["val"][0], keys["val"][-1]) == ("im08500.jpg", "im08501.jpg", "im09500.jpg")
    assert not set(keys["train"]) & set(keys["val"])
    assert len(set(keys["all"])) == people


def test_a_short_copy_has_no_train_split(tmp_path):
    with pytest.raises(DataError, match=r"joints\.mat: expected at least 8500 people.*found 3"):
        list(iter_annotations("lsp_extended", write(tmp_path, official_joints()), "train"))


@pytest.mark.parametrize("joints", [np.zeros((3, 14, 5)), np.zeros((14, 2, 5)), np.full((14, 3, 5), 7.0)])
def test_malformed_joints_name_the_file(tmp_path, joints):
    with pytest.raises(DataError, match=r"joints\.mat"):
        list(iter_annotations("lsp_extended", write(tmp_path, joints), "all"))


def test_missing_and_truncated_file(tmp_path):
    with pytest.raises(DataError, match=r"joints\.mat.*no such file"):
        list(iter_annotations("lsp_extended", tmp_path, "all"))
    path = write(tmp_path, official_joints(50)) / "joints.mat"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"joints\.mat"):
        list(iter_annotations("lsp_extended", tmp_path, "all"))


@needs_real
def test_real_counts():
    people = list(iter_annotations("lsp_extended", REAL, "all"))
    unlabelled = np.mean([person.visibility == Visibility.UNLABELLED for person in people])
    assert len(people) == 9500
    assert unlabelled == pytest.approx(0.1203, abs=1e-4)
    assert all(np.isnan(person.keypoints[person.visibility == 0]).all() for person in people)
    assert all(np.isfinite(person.keypoints[person.visibility > 0]).all() for person in people)


@needs_real
def test_real_joints_lie_inside_their_crops():
    hits = total = 0
    for person in iter_annotations("lsp_extended", REAL, "all"):
        points = Crop.from_box(person.bbox_xywh, (256, 256)).to_crop(person.keypoints[person.visibility > 0])
        hits += int(((points >= -0.5) & (points <= 255.5)).all(1).sum())
        total += len(points)
    assert hits / total >= 0.99


@needs_real
def test_real_labels_lie_inside_their_pictures():
    people = list(iter_annotations("lsp_extended", REAL, "all"))[::100]
    inside = []
    for person in people:
        height, width = cv2.imread(str(person.image)).shape[:2]
        points = person.keypoints[person.visibility > 0]
        inside.append(((points >= -0.5) & (points <= np.array([width, height]) - 0.5)).all(1))
    assert np.concatenate(inside).mean() >= 0.99


@needs_real
def test_real_joints_are_in_the_order_of_the_skeleton():
    names = lsp_extended.SKELETON
    people = [p.keypoints for p in iter_annotations("lsp_extended", REAL, "val") if p.visibility.all()]
    points = {name: np.stack(people)[:, names.index(name)] for name in names.names}
    thorax = (points["left_shoulder"] + points["right_shoulder"]) / 2
    torso = np.linalg.norm(thorax - (points["left_hip"] + points["right_hip"]) / 2, axis=1)
    assert np.median(np.linalg.norm(points["neck"] - thorax, axis=1) / torso) < 0.3
    for side in ("left", "right"):
        for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
            bone = np.linalg.norm(points[f"{side}_{a}"] - points[f"{side}_{b}"], axis=1)
            assert 0.3 < np.median(bone / torso) < 1.2
