"""COCO keypoints with feet: named in the category of people, or COCO-WholeBody's ``foot_kpts``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.cli.datasets import data
from headstart.datasets import coco_feet, iter_annotations, unused_joints
from headstart.errors import DataError
from headstart.skeleton import COCO_17, FEET

#: x, y, v of left big toe, left small toe, left heel, then the right ones: the order of COCO-WholeBody's figure.
FOOT_KPTS = [1, 2, 2, 3, 4, 1, 0, 0, 0, 7, 8, 2, 9, 10, 2, 11, 12, 2]


def at(names: tuple[str, ...]) -> list[float]:
    """Keypoints of a record: joint j of ``names`` at (j, 100 + j), visible."""
    return [value for place in range(len(names)) for value in (place, 100 + place, 2)]


def record(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"id": number, "image_id": 9, "category_id": 1, "keypoints": at(COCO_17.names), **fields}


def write(root: Path, *records: Any, names: tuple[str, ...] = COCO_17.names, file: str = "coco_wholebody_train_v1.0"):
    images = [{"id": 9, "file_name": "9.jpg"}]
    categories = [{"id": 1, "name": "person", "keypoints": list(names)}]
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": records, "categories": categories}
    (root / "annotations" / f"{file}.json").write_text(json.dumps(content))
    return root


def read(root: Path) -> list[Any]:
    return list(iter_annotations("coco_feet", root, "train2017"))


def of(person: Any, joint: str) -> tuple[list[float], int]:
    number = coco_feet.SKELETON.index(joint)
    return person.keypoints[number].tolist(), int(person.visibility[number])


def test_feet_of_coco_wholebody(tmp_path: Path) -> None:
    (person,) = read(write(tmp_path, record(foot_kpts=FOOT_KPTS, foot_valid=True, lefthand_kpts=[0.0] * 63)))
    assert of(person, "left_big_toe") == ([1, 2], 2)
    assert of(person, "left_small_toe") == ([3, 4], 1)
    assert np.isnan(of(person, "left_heel")[0]).all()
    assert of(person, "left_heel")[1] == 0
    assert [of(person, f"right_{part}")[0] for part in ("big_toe", "small_toe", "heel")] == [[7, 8], [9, 10], [11, 12]]
    np.testing.assert_array_equal(person.keypoints[:17], np.stack([np.arange(17), 100 + np.arange(17)], 1))
    assert person.image == tmp_path / "train2017" / "9.jpg"
    assert person.key == "9.jpg#1"


def test_a_confidence_in_place_of_v_is_a_label(tmp_path: Path) -> None:
    """Some v are floats: "v > 0 means that the keypoint is reliable" (its data_format.md)."""
    feet = [1, 2, 0.73, 3, 4, 0.0, 5, 6, 1.0, 7, 8, 2.0, 9, 10, 1.7, 11, 12, 2]
    (person,) = read(write(tmp_path, record(foot_kpts=feet)))
    assert [of(person, joint)[1] for joint in FEET] == [2, 0, 1, 2, 2, 2]


def test_records_without_feet_have_none(tmp_path: Path) -> None:
    records = record(1, foot_kpts=FOOT_KPTS, foot_valid=False), record(2), record(3, foot_kpts=FOOT_KPTS)
    found = read(write(tmp_path, *records))
    assert [int((person.visibility[17:] > 0).sum()) for person in found] == [0, 0, 5]
    assert all((person.visibility[:17] == 2).all() for person in found)


def test_feet_are_taken_by_name(tmp_path: Path) -> None:
    """Right heel and big toe before the body, a neck among it; small toes and the left heel have no name."""
    names = ("right_heel", "left_big_toe", "right_big_toe", "neck", *COCO_17.names)
    root = write(tmp_path, record(keypoints=at(names)), names=names, file="person_keypoints_train2017")
    (person,) = read(root)
    assert of(person, "right_heel") == ([0, 100], 2)
    assert of(person, "left_big_toe") == ([1, 101], 2)
    assert of(person, "right_big_toe") == ([2, 102], 2)
    assert of(person, "nose") == ([4, 104], 2)
    assert [of(person, joint)[1] for joint in ("left_small_toe", "right_small_toe", "left_heel")] == [0, 0, 0]
    assert unused_joints("coco_feet", root, "train2017") == ("neck",)
    assert unused_joints("coco_feet", root, "val2017") == ()


def test_somebody_with_feet_alone_is_a_person(tmp_path: Path) -> None:
    """A picture of legs: the box is that of the feet, the smallest there is."""
    (person,) = read(write(tmp_path, record(keypoints=[0] * 51, foot_kpts=[20, 30, 2, *[0] * 15])))
    assert (person.visibility > 0).sum() == 1
    np.testing.assert_array_equal(person.bbox_xywh, [12.5, 22.5, 16, 16])


def test_the_file_of_coco_wholebody_comes_first(tmp_path: Path) -> None:
    write(tmp_path, record(8), file="person_keypoints_train2017")
    assert read(write(tmp_path, record(7, foot_kpts=FOOT_KPTS)))[0].key == "9.jpg#7"


def test_a_file_without_feet_is_refused(tmp_path: Path) -> None:
    write(tmp_path, record(), file="person_keypoints_train2017")
    with pytest.raises(DataError, match=r"person_keypoints_train2017\.json: .*foot_kpts, found neither\. Name them"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"foot_kpts": [1, 2, 2]}, r"record 1: expected foot_kpts as 18 number\(s\), found shape \(3,\)"),
        ({"foot_kpts": [*FOOT_KPTS[:-1], None]}, r"record 1: expected foot_kpts as 18 .*missing or infinite"),
        ({"foot_kpts": [*FOOT_KPTS[:-1], -1]}, r"record 1: expected visibility 0, 1 or 2"),
    ],
)
def test_feet_that_cannot_be_read_are_named(fields: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says):
        read(write(tmp_path, record(**fields)))


def test_a_joint_of_the_feet_named_twice_is_refused(tmp_path: Path) -> None:
    names = (*COCO_17.names, "left_heel", "left_heel", "right_heel")
    with pytest.raises(DataError, match=r"each of COCO's 17 joints and the feet once .*found 2 left_heel"):
        read(write(tmp_path, record(keypoints=at(names)), names=names))


def test_coco_reads_no_feet_and_says_who_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = (*COCO_17.names, "left_big_toe", "right_big_toe", "left_tail", "right_tail")
    root = write(tmp_path, record(keypoints=at(names)), names=names, file="person_keypoints_train2017")
    (person,) = iter_annotations("coco", root, "train2017")
    assert person.keypoints.shape == (17, 2)
    data("coco", root, "train2017")
    printed = capsys.readouterr().out
    assert "coco: not used, as the data set coco_feet reads them: left_big_toe, right_big_toe\n" in printed
    assert "coco: not used, as no canonical joint has the name: left_tail, right_tail\n" in printed


@pytest.mark.parametrize("orientation", [1, 5])
def test_images_that_viewers_turn_are_read_as_they_show_them(tmp_path: Path, orientation: int) -> None:
    root = write(tmp_path, record(foot_kpts=FOOT_KPTS))
    exif = Image.Exif()
    exif[0x0112] = orientation
    (root / "train2017").mkdir()
    Image.new("RGB", (60, 40)).save(root / "train2017" / "9.jpg", exif=exif)
    assert [person.upright for person in read(root)] == [orientation == 5]
