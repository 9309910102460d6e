"""COCO keypoints: a small file of the official form, and 80 real pictures where they are there."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from headstart.cli.datasets import data
from headstart.datasets import coco, iter_annotations
from headstart.errors import DataError
from headstart.index import open_index
from headstart.records import Visibility
from headstart.skeleton import CANONICAL, conversion, convert_points, mirrored_name

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "coco-mini"
needs_real = pytest.mark.skipif(not (REAL / "annotations").is_dir(), reason="the real COCO pictures are not here")


def keypoints(**states: int) -> list[float]:
    """Joint k at (10 k, 10 k + 5) visible, but for the states given by name; unlabelled ones at (0, 0)."""
    triples = []
    for index, name in enumerate(coco.SKELETON.names):
        state = states.get(name, 2)
        triples += [10 * index, 10 * index + 5, state] if state else [0, 0, 0]
    return triples


def record(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": 9,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": 17,
        "area": 1.0,
        "bbox": [12.5, 20.0, 100.25, 180.0],
        "keypoints": keypoints(),
    } | changes


def write(root: Path, *records: Any, split: str = "train2017", categories: Any = ()) -> Path:
    images = [{"id": 9, "file_name": "000000000009.jpg", "height": 480, "width": 640}]
    content = {"info": {}, "licenses": [], "images": images, "annotations": list(records), "categories": categories}
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return root


def read(root: Path, split: str = "train2017") -> list[Any]:
    return list(iter_annotations("coco", root, split))


def test_order_of_joints():
    """As the data set's own list of its category ``person`` has them: the file of labels holds numbers alone."""
    assert coco.SKELETON.names == (
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    )


def test_joints_are_pixel_centres_as_they_stand(tmp_path):
    (person,) = read(write(tmp_path, record(4)))
    expected = np.stack([10 * np.arange(17), 10 * np.arange(17) + 5], 1)
    np.testing.assert_array_equal(person.keypoints, expected)
    np.testing.assert_array_equal(person.bbox_xywh, np.float32([12.5, 20.0, 100.25, 180.0]))
    assert person.image == tmp_path / "train2017" / "000000000009.jpg"
    assert person.key == "000000000009.jpg#4"


#: Right before left, as Human3.6M has it: the order of the judge's file that mirrored everybody.
RIGHT_FIRST = [mirrored_name(name) for name in coco.SKELETON.names]
TOES = ["left_big_toe", "neck", "right_big_toe"]


def person(names: Any, number: int = 1, name: str = "person") -> dict[str, Any]:
    return {"id": number, "name": name, "keypoints": names, "skeleton": []}


def at(names: list[str]) -> list[float]:
    """Keypoints of a record: joint j of ``names`` at (j, 100 + j), visible."""
    return [value for place in range(len(names)) for value in (place, 100 + place, 2)]


def test_joints_are_taken_by_name(tmp_path):
    """Known defect: a file whose own list has right before left was read as COCO, and everybody was mirrored."""
    (found,) = read(write(tmp_path, record(1, keypoints=at(RIGHT_FIRST)), categories=[person(RIGHT_FIRST)]))
    assert found.keypoints[coco.SKELETON.index("left_eye")].tolist() == [2, 102]
    assert found.keypoints[coco.SKELETON.index("right_eye")].tolist() == [1, 101]
    assert found.keypoints[coco.SKELETON.index("nose")].tolist() == [0, 100]


def test_other_joints_may_stand_among_the_17(tmp_path):
    """Nose at 0, then 3 others, left eye at 4. What only they label is nobody, and the box is that of the 17."""
    names = ["nose", *TOES, *coco.SKELETON.names[1:]]
    toes_alone = [value for name in names for value in ((9, 9, 2) if name in TOES else (0, 0, 0))]
    records = record(1, keypoints=at(names), bbox=None), record(2, keypoints=toes_alone)
    (found,) = read(write(tmp_path, *records, categories=[person(names)]))
    assert found.keypoints[:2].tolist() == [[0, 100], [4, 104]]
    assert found.keypoints.shape == (17, 2)
    np.testing.assert_array_equal(found.bbox_xywh, [0, 100, 20, 20])
    assert coco.unused_joints(tmp_path, "train2017") == tuple(TOES)
    assert coco.unused_joints(tmp_path, "val2017") == ()


def test_joints_that_the_category_lacks_are_not_labelled(tmp_path):
    """Eyes and ears are joints 1 to 4; the nose is the first of the file, the left shoulder the second."""
    names = [name for name in coco.SKELETON.names if "eye" not in name and "ear" not in name]
    (found,) = read(write(tmp_path, record(1, keypoints=at([*names, "neck"])), categories=[person([*names, "neck"])]))
    assert found.visibility.tolist() == [2, 0, 0, 0, 0, *[2] * 12]
    assert np.isnan(found.keypoints[1:5]).all()
    assert found.keypoints[[0, 5]].tolist() == [[0, 100], [1, 101]]
    assert coco.unused_joints(tmp_path, "train2017") == ("neck",)


def test_data_says_which_joints_nobody_has_labelled(tmp_path, capsys):
    names = list(coco.SKELETON.names[5:])
    write(tmp_path, record(1, keypoints=at(names)), categories=[person(names)])
    data("coco", tmp_path, "train2017")
    missing = next(line for line in capsys.readouterr().out.splitlines() if "none of" in line).partition("none of ")[2]
    faces = {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
    assert set(missing.split(", ")) == {*faces, "neck", "head_top", "spine"}


def turned(root: Path, orientation: int, **image: Any) -> Path:
    """A data set of one image of 60 x 40 px, as it is stored, with that EXIF orientation."""
    root = write(root, record(1))
    path = root / "annotations" / "person_keypoints_train2017.json"
    content = json.loads(path.read_text())
    content["images"][0] = {"id": 9, "file_name": "a.jpg"} | image
    path.write_text(json.dumps(content))
    exif = Image.Exif()
    exif[0x0112] = orientation
    (root / "train2017").mkdir()
    Image.new("RGB", (60, 40)).save(root / "train2017" / "a.jpg", exif=exif)
    return root


@pytest.mark.parametrize("image", [{}, {"width": 40, "height": 60}, {"width": None, "height": None}])
@pytest.mark.parametrize("orientation", [2, 6])
def test_images_that_viewers_turn_are_read_as_they_show_them(tmp_path, image, orientation):
    """Known defect: labels that were made in a tool that shows photos upright were read with the stored pixels."""
    if orientation == 2 and image:
        image = {"width": 60, "height": 40}
    assert [person.upright for person in read(turned(tmp_path, orientation, **image))] == [True]


@pytest.mark.parametrize(
    ("orientation", "image"),
    [
        (1, {}),
        (8, {"width": 60, "height": 40}),
        (6, {"coco_url": "http://images.cocodataset.org/train2017/a.jpg", "width": 40, "height": 60}),
    ],
)
def test_images_whose_labels_are_of_the_stored_pixels_are_read_as_stored(tmp_path, orientation, image):
    assert [person.upright for person in read(turned(tmp_path, orientation, **image))] == [False]


@pytest.mark.parametrize("image", [{"width": 30, "height": 20}, {"width": "60", "height": "40"}])
def test_labels_of_another_image_than_that_which_viewers_turn_are_refused(tmp_path, image):
    with pytest.raises(
        DataError, match=r"a\.jpg: expected an image of .0 x .0 px, as its labels say, found 40 x 60 px"
    ):
        read(turned(tmp_path, 6, **image))


def test_data_names_the_joints_that_are_not_used(tmp_path, capsys):
    names = [*coco.SKELETON.names, *TOES]
    for split in coco.SPLITS:
        write(tmp_path, record(1, keypoints=at(names)), split=split, categories=[person(names)])
    data("coco", tmp_path)
    printed = capsys.readouterr().out
    assert printed.count("left_big_toe") == printed.count("neck\n") == 1
    assert "coco: not used, as the data set coco_feet reads them: left_big_toe, right_big_toe\n" in printed
    assert "coco: not used, as coco has no such joint: neck\n" in printed
    data("coco", tmp_path, json_output=True)
    assert json.loads(capsys.readouterr().out)["val2017"]["joints_not_canonical"] == TOES


def test_official_categories_change_nothing(tmp_path):
    """Without categories, with names alone, with COCO's own list: the same people to the last bit."""
    names = list(coco.SKELETON.names)
    every = [[], None, [{"id": 1, "name": "person"}], [{"id": 7}], [person(names)], [person(names, number=7)]]
    for number, categories in enumerate(every):
        (found,) = read(write(tmp_path / str(number), record(4), categories=categories))
        expected = np.stack([10 * np.arange(17), 10 * np.arange(17) + 5], 1).astype(np.float32)
        assert found.keypoints.tobytes() == expected.tobytes()


DOG = {"id": 2, "name": "dog", "keypoints": [f"k{number}" for number in range(20)]}


@pytest.mark.parametrize("people", [{"id": 1, "name": "person"}, person(list(coco.SKELETON.names))])
def test_only_people_are_read(tmp_path, people):
    """Known defect: dogs with 17 joints were people."""
    dogs = record(6, category_id=2), record(7, category_id=2, keypoints=[1, 1, 2] * 20)
    found = read(write(tmp_path, *dogs, record(8), categories=[DOG, people]))
    assert [one.key for one in found] == ["000000000009.jpg#8"]


def test_the_only_category_with_joints_is_that_of_people(tmp_path):
    players = person(list(coco.SKELETON.names), number=3, name="player")
    balls = record(6, category_id=1)
    (found,) = read(write(tmp_path, balls, record(8, category_id=3), categories=[{"id": 1, "name": "ball"}, players]))
    assert found.key == "000000000009.jpg#8"


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        (
            [person(["l_eye" if name == "left_eye" else name for name in coco.SKELETON.names])],
            "found no left_eye. Name .* may one be left out; l_eye is not known",
        ),
        ([person(["nose", "chin"])], "found no left_eye, no right_eye.* chin is not known"),
        ([person(["neck", "pelvis"])], "found no nose, no left_eye"),
        ([person(["nose", "nose"])], "found 2 nose. Name"),
        ([person([*coco.SKELETON.names, "nose"])], "categories, person: expected .* once .*, found 2 nose"),
        ([DOG], r"categories, dog: expected each of COCO's 17 joints once .* found no nose, no left_eye"),
        ([person("nose")], "expected keypoints as a list of names, found 'nose'"),
        ([person(RIGHT_FIRST, 1, "a"), person(RIGHT_FIRST, 2, "b")], "one category called 'person', found a, b. Call"),
        ([person(RIGHT_FIRST), DOG | {"id": 3}], "record 6: expected a category_id listed in categories, found 2"),
        ("person", "expected a list 'categories', found str"),
        (["person"], r"a list of objects 'categories', found \['person'\]"),
    ],
)
def test_categories_that_do_not_say_who_has_which_joints(tmp_path, categories, words):
    with pytest.raises(DataError, match=rf"person_keypoints_train2017\.json.*{words}"):
        read(write(tmp_path, record(6, category_id=2), categories=categories))


def test_too_many_numbers_say_what_to_do(tmp_path):
    """Known defect: `expected keypoints as 51 number(s), found shape (69,)`, and no more."""
    written = write(tmp_path, record(6, keypoints=[1, 1, 2] * 23))
    words = r"record 6: expected x, y and v of 17 joints \(51 numbers\) in keypoints, found 69 numbers. .* name all"
    with pytest.raises(DataError, match=words):
        read(written)
    written = write(tmp_path, record(6), categories=[person([*coco.SKELETON.names, *TOES])])
    with pytest.raises(DataError, match=r"20 joints \(60 numbers\) in keypoints, found 51"):
        read(written)


def test_another_order_in_the_same_file_makes_another_index(tmp_path):
    root, cache = tmp_path / "coco", tmp_path / "cache"
    names, eye = list(coco.SKELETON.names), CANONICAL.index("left_eye")
    for order, expected in ((names, 1), (RIGHT_FIRST, 2)):
        write(root, record(1, keypoints=at(names)), categories=[person(order)])
        assert open_index("coco", root, "train2017", cache)[0].keypoints[eye].tolist() == [expected, 100 + expected]


def test_three_states_stay_three(tmp_path):
    (person,) = read(write(tmp_path, record(1, keypoints=keypoints(nose=0, left_eye=1))))
    assert person.visibility[0] == Visibility.UNLABELLED
    assert np.isnan(person.keypoints[0]).all()
    assert person.visibility[1] == Visibility.OCCLUDED
    np.testing.assert_array_equal(person.keypoints[1], [10, 15])
    assert (person.visibility[2:] == Visibility.VISIBLE).all()


def test_midpoints_come_from_labelled_parents_and_head_top_from_none(tmp_path):
    (person,) = read(write(tmp_path, record(1, keypoints=keypoints(left_hip=0))))
    points, known = convert_points(conversion(coco.SKELETON, CANONICAL), person.keypoints, person.visibility > 0)
    assert not known[CANONICAL.indices(("pelvis", "head_top", "neck", "left_hip"))].any()
    # Shoulders are joints 5 and 6 at (50, 55) and (60, 65).
    np.testing.assert_array_equal(points[CANONICAL.index("thorax")], [55, 60])


def test_crowds_and_people_without_joints_are_left_out(tmp_path):
    nobody = record(2, num_keypoints=0, keypoints=[0] * 51)
    crowd = record(3, iscrowd=1)
    assert [person.key for person in read(write(tmp_path, record(8), nobody, crowd, record(5)))] == [
        "000000000009.jpg#8",
        "000000000009.jpg#5",
    ]


def test_a_box_without_area_is_replaced(tmp_path):
    (person,) = read(write(tmp_path, record(1, bbox=[5.0, 5.0, 0.0, 0.0])))
    np.testing.assert_array_equal(person.bbox_xywh, [0, 5, 161, 161])


def test_splits_are_files(tmp_path):
    write(tmp_path, record(1))
    write(tmp_path, record(2), split="val2017")
    assert [person.image.parent.name for person in read(tmp_path, "val2017")] == ["val2017"]


@pytest.mark.parametrize(
    "changes",
    [
        {"keypoints": [1, 2, 2]},
        {"keypoints": "none"},
        {"keypoints": [0, 0, 3] * 17},
        {"keypoints": [None] * 51},
        {"bbox": [1, 2, 3]},
        {"image_id": 77},
    ],
)
def test_malformed_records_name_file_and_record(tmp_path, changes):
    with pytest.raises(DataError, match=r"person_keypoints_train2017\.json, record 6:"):
        read(write(tmp_path, record(6, **changes)))


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in record(6).items() if key != name}


@pytest.mark.parametrize("name", ["iscrowd", "num_keypoints"])
def test_fields_that_own_data_may_lack(tmp_path, name):
    (person,) = read(write(tmp_path, without(name)))
    np.testing.assert_array_equal(person.bbox_xywh, np.float32([12.5, 20.0, 100.25, 180.0]))


@pytest.mark.parametrize("bbox", [{}, {"bbox": None}, {"bbox": []}])
def test_without_a_box_it_is_that_of_the_labelled_joints(tmp_path, bbox):
    """Joints 0 to 16 at (10 k, 10 k + 5); the nose, joint 0, is not labelled."""
    (person,) = read(write(tmp_path, without("bbox") | bbox | {"keypoints": keypoints(nose=0)}))
    np.testing.assert_array_equal(person.bbox_xywh, [10, 15, 151, 151])


@pytest.mark.parametrize("changes", [{"num_keypoints": 0}, {"num_keypoints": None}, {"num_keypoints": 3}])
def test_joints_are_counted_not_believed(tmp_path, changes):
    """Known defect: labelled people of own data were dropped without a word."""
    (person,) = read(write(tmp_path, record(6, **changes)))
    assert (person.visibility > 0).sum() == 17


@pytest.mark.parametrize("keypoints", [{}, {"keypoints": None}, {"keypoints": []}, {"keypoints": [0, 0, 0] * 17}])
def test_records_without_labelled_joints_are_left_out(tmp_path, keypoints):
    """Whatever num_keypoints says, with and without a box."""
    for more in ({}, {"bbox": None}):
        assert read(write(tmp_path, without("keypoints") | keypoints | more)) == []


@pytest.mark.parametrize("name", ["id", "image_id"])
def test_missing_fields_are_named(tmp_path, name):
    broken = record(6)
    del broken[name]
    with pytest.raises(DataError, match=rf"person_keypoints_train2017\.json.*field '{name}'"):
        read(write(tmp_path, broken))


@pytest.mark.parametrize("text", ["[]", "{}", '{"images": 3, "annotations": []}', '{"images": [], "anno', "", "[1, 2"])
def test_files_of_another_form(tmp_path, text):
    (write(tmp_path) / "annotations" / "person_keypoints_train2017.json").write_text(text)
    with pytest.raises(DataError, match=r"person_keypoints_train2017\.json"):
        read(tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"person_keypoints_val2017\.json.*no such file"):
        read(tmp_path, "val2017")


@needs_real
def test_real_counts():
    content = json.loads((REAL / "annotations" / "person_keypoints_train2017.json").read_text())
    assert (len(content["images"]), len(content["annotations"])) == (80, 172)
    people = read(REAL)
    # Of the 172, 86 have a labelled joint; the five crowds are not among them.
    assert len(people) == len({person.key for person in people}) == 86
    assert all(person.image.is_file() for person in people)


@needs_real
def test_real_labels_lie_inside_pictures_and_boxes():
    inside = []
    for person in read(REAL):
        height, width = cv2.imread(str(person.image)).shape[:2]
        points = person.keypoints[person.visibility > 0]
        assert ((points >= 0) & (points <= [width - 1, height - 1])).all()
        x, y, box_width, box_height = person.bbox_xywh
        inside.append(((points >= [x - 5, y - 5]) & (points <= [x + box_width + 5, y + box_height + 5])).all(1))
    assert np.concatenate(inside).mean() >= 0.97


@needs_real
def test_real_left_eyes_lie_to_the_right_of_visible_faces():
    face = coco.SKELETON.indices(("nose", "left_eye", "right_eye", "left_ear", "right_ear"))
    frontal = [p.keypoints for p in read(REAL) if (p.visibility[face] == Visibility.VISIBLE).all()]
    assert len(frontal) >= 5
    assert all(points[1, 0] > points[2, 0] for points in frontal)


def test_a_box_one_pixel_wide_is_kept() -> None:
    keypoints = np.array([[5.0, 5.0], [25.0, 45.0]], np.float32)
    assert coco.person_box(np.array([5.0, 5, 1, 40]), keypoints).tolist() == [5, 5, 1, 40]
    assert coco.person_box(np.array([5.0, 5, 0.9, 40]), keypoints).tolist() == [5, 5, 21, 41]
