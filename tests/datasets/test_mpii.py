"""MPII: the official struct and the json of Xiao et al., written here and read back joint by joint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from headstart.datasets import iter_annotations, mpii
from headstart.errors import DataError
from headstart.records import Visibility

MAT = "mpii_human_pose_v1_u12_1.mat"


def struct(*rows: dict[str, Any]) -> np.ndarray:
    """A 1 x N MATLAB struct array."""
    array = np.zeros((1, len(rows)), [(name, object) for name in rows[0]])
    for column, row in enumerate(rows):
        for name, value in row.items():
            array[name][0, column] = value
    return array


def point(joint: int, x: Any, y: Any, is_visible: Any = 1) -> dict[str, Any]:
    """Whole numbers as MATLAB stores them."""
    return {"x": x, "y": y, "id": np.uint8(joint), "is_visible": is_visible}


def rect(*points: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A person at (101, 201) of scale 2, head box 30 x 40 px, and joints."""
    return {
        "x1": np.uint8(90),
        "y1": np.uint8(60),
        "x2": np.uint8(120),
        "y2": np.uint8(100),
        "annopoints": struct({"point": struct(*points)}) if points else np.array([]),
        "scale": 2.0,
        "objpos": struct({"x": np.uint8(101), "y": np.uint8(201)}),
    } | changes


def picture(name: str, *rects: dict[str, Any]) -> dict[str, Any]:
    annorect = struct(*rects) if rects else np.array([])
    return {"image": struct({"name": name}), "annorect": annorect, "frame_sec": np.array([]), "vididx": np.array([])}


def write_mat(root: Path, *pictures: dict[str, Any], img_train: Any = None, **changes: Any) -> Path:
    train = np.ones((1, len(pictures)), np.uint8) if img_train is None else np.array([img_train], np.uint8)
    acts = struct(*({"cat_name": "sports", "act_name": f"act {i}", "act_id": i} for i in range(len(pictures)))).T
    release = {"annolist": struct(*pictures), "img_train": train, "version": "12", "act": acts} | changes
    scipy.io.savemat(root / MAT, {"RELEASE": release})
    return root


def read(root: Path, split: str = "train") -> list[Any]:
    return list(iter_annotations("mpii", root, split))


# The official struct


def test_points_are_put_in_place_by_id_not_by_order(tmp_path):
    points = [point(9, np.uint16(300), np.uint8(40)), point(0, np.uint8(11), np.uint8(201)), point(15, 7.5, 8.25)]
    (person,) = read(write_mat(tmp_path, picture("a.jpg", rect(*points))))
    np.testing.assert_array_equal(person.keypoints[9], [299, 39])
    np.testing.assert_array_equal(person.keypoints[0], [10, 200])
    np.testing.assert_array_equal(person.keypoints[15], [6.5, 7.25])
    assert (mpii.SKELETON.names[9], mpii.SKELETON.names[0]) == ("head_top", "right_ankle")
    assert mpii.SKELETON.names[15] == "left_wrist"
    assert np.flatnonzero(person.visibility).tolist() == [0, 9, 15]
    assert np.isnan(np.delete(person.keypoints, [0, 9, 15], 0)).all()


def test_whole_numbers_do_not_wrap_around(tmp_path):
    swapped = {"x1": np.uint8(120), "x2": np.uint8(90)}
    (person,) = read(write_mat(tmp_path, picture("a.jpg", rect(point(1, np.uint8(0), np.uint8(0)), **swapped))))
    np.testing.assert_array_equal(person.keypoints[1], [-1, -1])
    assert person.head_size == pytest.approx(30)


def test_visible_occluded_unlabelled_and_unsaid(tmp_path):
    states = [np.uint8(1), np.uint8(0), "1", "0", np.array([]), ""]
    points = [point(joint, 5.0, 6.0, state) for joint, state in enumerate(states)]
    (person,) = read(write_mat(tmp_path, picture("a.jpg", rect(*points))))
    visible, occluded = Visibility.VISIBLE, Visibility.OCCLUDED
    assert person.visibility[:6].tolist() == [visible, occluded, visible, occluded, visible, visible]
    assert not person.visibility[6:].any()


def test_points_may_lack_the_field_is_visible(tmp_path):
    points = [{"x": 3.0, "y": 4.0, "id": np.uint8(8)}, {"x": 5.0, "y": 6.0, "id": np.uint8(9)}]
    (person,) = read(write_mat(tmp_path, picture("a.jpg", rect(*points))))
    assert person.visibility[8:10].tolist() == [Visibility.VISIBLE, Visibility.VISIBLE]


def test_box_is_the_square_around_the_moved_centre(tmp_path):
    (person,) = read(write_mat(tmp_path, picture("a.jpg", rect(point(0, 5.0, 5.0)))))
    # (101, 201) 1-based is (100, 200); 30 px lower; 400 px wide; half a pixel to the outer corner.
    np.testing.assert_array_equal(person.bbox_xywh, [-99.5, 30.5, 400, 400])


def test_head_size_is_six_tenths_of_the_diagonal(tmp_path):
    people = [rect(point(0, 5.0, 5.0)), rect(point(0, 5.0, 5.0), x1=np.array([]))]
    sizes = [person.head_size for person in read(write_mat(tmp_path, picture("a.jpg", *people)))]
    assert sizes == [pytest.approx(0.6 * 50), None]


def test_rects_without_annopoints_scale_or_position(tmp_path):
    bare = {name: value for name, value in rect().items() if name in ("x1", "y1", "x2", "y2")}
    nowhere = rect(point(0, 11.0, 21.0), point(1, 51.0, 41.0), scale=np.array([]), objpos=np.array([]))
    write_mat(tmp_path, picture("a.jpg"), picture("b.jpg", bare), picture("c.jpg", rect(), nowhere))
    (person,) = read(tmp_path)
    assert person.key == "c.jpg#1"
    assert person.action == "act 2"
    np.testing.assert_array_equal(person.bbox_xywh, [10, 20, 41, 21])


def test_train_is_img_train_and_keys_are_unique(tmp_path):
    one = rect(point(0, 5.0, 5.0))
    pictures = [picture("a.jpg", one, one), picture("b.jpg", one), picture("c.jpg", one)]
    people = read(write_mat(tmp_path, *pictures, img_train=[1, 0, 1]))
    assert [person.key for person in people] == ["a.jpg#0", "a.jpg#1", "c.jpg#0"]
    assert people[0].image == tmp_path / "images" / "a.jpg"


def test_the_mat_alone_has_no_validation_split(tmp_path):
    with pytest.raises(DataError, match=r"valid\.json.*Xiao"):
        read(write_mat(tmp_path, picture("a.jpg", rect(point(0, 5.0, 5.0)))), "valid")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (rect(point(16, 5.0, 5.0)), "joint id of 0-15"),
        (rect(point(0, "left", 5.0)), "x as one number"),
        (rect(point(0, np.array([]), 5.0)), "x as one number"),
        (rect({"x": 1.0, "id": np.uint8(1)}), "field 'y'"),
        (rect(point(0, 5.0, 5.0), annopoints=struct({"points": 1})), "field 'point'"),
        (rect(point(0, 5.0, 5.0, "maybe")), "is_visible"),
        (rect(point(0, 5.0, 5.0), scale="big"), "scale"),
    ],
)
def test_malformed_people_name_file_and_person(tmp_path, broken, message):
    with pytest.raises(DataError, match=rf"{MAT}, record a\.jpg#0: expected .*{message}"):
        read(write_mat(tmp_path, picture("a.jpg", broken)))


def test_malformed_release(tmp_path):
    one = picture("a.jpg", rect(point(0, 5.0, 5.0)))
    with pytest.raises(DataError, match=rf"{MAT}.*img_train"):
        read(write_mat(tmp_path, one, img_train=[1, 1]))
    scipy.io.savemat(tmp_path / MAT, {"RELEASE": {"version": "12"}})
    with pytest.raises(DataError, match=rf"{MAT}.*'annolist'"):
        read(tmp_path)
    path = write_mat(tmp_path, one) / MAT
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=MAT):
        read(tmp_path)


def test_nothing_under_root_names_both_forms(tmp_path):
    with pytest.raises(DataError, match=rf"{MAT}.*train\.json.*no such file"):
        read(tmp_path)


# The json of Xiao et al.


def entry(image: str = "015601864.jpg", **changes: Any) -> dict[str, Any]:
    """Joint k at (10 k + 1, 20 k + 1) but for the unlabelled knees; 1-based pixels."""
    joints = [[10.0 * k + 1, 20.0 * k + 1] for k in range(16)]
    joints[1], joints[4] = [-1.0, -1.0], [0.0, 0.0]
    labelled = [int(k not in (1, 4)) for k in range(16)]
    return {"image": image, "center": [101.0, 201.0], "scale": 2.0, "joints": joints, "joints_vis": labelled} | changes


def write_json(root: Path, *entries: Any, split: str = "train") -> Path:
    (root / "annot").mkdir(exist_ok=True)
    (root / "annot" / f"{split}.json").write_text(json.dumps(list(entries)))
    return root


def write_truth(root: Path, joints: np.ndarray, heads: np.ndarray) -> Path:
    """gt_valid.mat of joints (N, 16, 2) px and head boxes (N, 4) left, top, right, bottom."""
    path = root / "annot" / "gt_valid.mat"
    content = {
        "dataset_joints": np.array(["rank"], object),
        "jnt_missing": np.zeros((16, len(joints)), np.uint8),
        "pos_gt_src": joints.transpose(1, 2, 0),
        "headboxes_src": heads.reshape(-1, 2, 2).transpose(1, 2, 0),
    }
    scipy.io.savemat(path, content)
    return path


def test_json_joints_boxes_and_missing_joints(tmp_path):
    (person,) = read(write_json(tmp_path, entry()))
    for joint in range(16):
        expected = [np.nan, np.nan] if joint in (1, 4) else [10 * joint, 20 * joint]
        np.testing.assert_array_equal(person.keypoints[joint], expected)
    assert (person.visibility == Visibility.UNLABELLED).tolist() == [joint in (1, 4) for joint in range(16)]
    np.testing.assert_array_equal(person.bbox_xywh, [-99.5, 30.5, 400, 400])
    assert person.head_size is None
    assert person.image == tmp_path / "images" / "015601864.jpg"


def test_a_placeholder_marked_visible_is_still_no_joint(tmp_path):
    joints = entry()["joints"]
    joints[2] = [0.0, 0.0]
    (person,) = read(write_json(tmp_path, entry(joints=joints, joints_vis=[1] * 16)))
    assert np.flatnonzero(person.visibility == 0).tolist() == [1, 2, 4]
    assert np.isnan(person.keypoints[[1, 2, 4]]).all()


def test_an_unlabelled_joint_is_nan_wherever_its_placeholder_lies(tmp_path):
    (person,) = read(write_json(tmp_path, entry(joints=[[5.0, 5.0]] * 16)))
    assert np.isnan(person.keypoints[[1, 4]]).all()
    assert np.flatnonzero(person.visibility == 0).tolist() == [1, 4]


def test_json_without_a_centre_takes_the_joints(tmp_path):
    (person,) = read(write_json(tmp_path, entry(center=[-1.0, -1.0])))
    np.testing.assert_array_equal(person.bbox_xywh, [0, 0, 151, 301])


def test_json_keys_count_the_people_of_a_picture(tmp_path):
    people = read(write_json(tmp_path, entry("a.jpg"), entry("b.jpg"), entry("a.jpg")))
    assert [person.key for person in people] == ["a.jpg#0", "b.jpg#0", "a.jpg#1"]


def test_json_goes_before_the_mat_and_a_lone_one_is_not_mixed_with_it(tmp_path):
    write_mat(tmp_path, picture("mat.jpg", rect(point(0, 5.0, 5.0))))
    write_json(tmp_path, entry("json.jpg"), split="valid")
    assert [person.key for person in read(tmp_path, "valid")] == ["json.jpg#0"]
    # The people of valid.json are in the .mat's training pictures: never train on them by accident.
    with pytest.raises(DataError, match=r"train\.json.*no such file"):
        read(tmp_path)


def shifted(offset: float) -> list[list[float]]:
    return [[10.0 * k + 1 + offset, 20.0 * k + 1] for k in range(16)]


@pytest.mark.parametrize("people", [1, 3])
def test_gt_valid_gives_head_sizes_in_order(tmp_path, people):
    everything = [shifted(100.0 * n) for n in range(people)]
    entries = [entry(joints=joints, joints_vis=[1] * 16) for joints in everything]
    write_json(tmp_path, *entries, split="valid")
    heads = np.array([[10, 10, 10 + 30 * (n + 1), 10 + 40 * (n + 1)] for n in range(people)], np.float64)
    write_truth(tmp_path, np.array(everything), heads)
    sizes = [person.head_size for person in read(tmp_path, "valid")]
    np.testing.assert_allclose(sizes, [30 * (n + 1) for n in range(people)])


def test_gt_valid_of_other_people_is_refused(tmp_path):
    everything = [shifted(100.0 * n) for n in range(3)]
    write_json(tmp_path, *(entry(joints=joints, joints_vis=[1] * 16) for joints in everything), split="valid")
    write_truth(tmp_path, np.array(everything[1:] + everything[:1]), np.ones((3, 4)))
    with pytest.raises(DataError, match=r"gt_valid\.mat: expected the people of valid\.json in its order"):
        read(tmp_path, "valid")


def test_gt_valid_of_another_length_is_refused(tmp_path):
    write_json(tmp_path, entry(), split="valid")
    write_truth(tmp_path, np.ones((2, 16, 2)), np.ones((2, 4)))
    with pytest.raises(DataError, match=r"gt_valid\.mat.*headboxes_src for valid\.json as 2 x 2 x 1 number"):
        read(tmp_path, "valid")


@pytest.mark.parametrize(
    "changes",
    [{"joints": [[1, 2]] * 15}, {"joints": "no"}, {"joints_vis": [1] * 15}, {"scale": [1, 2]}, {"center": [None, 1]}],
)
def test_malformed_json_people_name_file_and_row(tmp_path, changes):
    with pytest.raises(DataError, match=r"train\.json, record 1:"):
        read(write_json(tmp_path, entry(), entry(**changes)))


@pytest.mark.parametrize("name", ["image", "center", "scale", "joints", "joints_vis"])
def test_missing_json_fields_are_named(tmp_path, name):
    broken = entry()
    del broken[name]
    with pytest.raises(DataError, match=rf"train\.json, record 0: expected a field '{name}'"):
        read(write_json(tmp_path, broken))


@pytest.mark.parametrize("text", ["", "[{", "{}", "[3]"])
def test_json_of_another_form(tmp_path, text):
    (write_json(tmp_path) / "annot" / "train.json").write_text(text)
    with pytest.raises(DataError, match=r"train\.json"):
        read(tmp_path)
