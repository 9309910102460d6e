"""Labels in the format of Ultralytics' pose data sets: values worked out by hand, layouts, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from headstart.cli.datasets import data
from headstart.datasets import coco, iter_annotations, yolo_pose
from headstart.errors import DataError
from headstart.index import open_index
from headstart.skeleton import COCO_17, FEET

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "coco-mini"
SETTINGS: dict[str, Any] = {
    "path": ".",
    "train": "images/train",
    "val": "images/val",
    "kpt_shape": [17, 3],
    "names": {0: "person"},
}


def line(joints: int = 17, values: int = 3, **states: Any) -> str:
    """A box from (100, 50) to (300, 350) of an image of 400 x 500 px, joint k at (4 k, 5 k + 5) px; v by its number."""
    numbers: list[float] = [0, 0.5, 0.4, 0.5, 0.6]
    for joint in range(joints):
        numbers += [0.01 * joint, 0.01 * joint + 0.01, states.get(f"v{joint}", 2)][:values]
    return " ".join(f"{number:g}" for number in numbers)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes data.yaml, an image of 400 x 500 px and its labels."""

    def written(*lines: str, name: str = "images/train/a.jpg", exif: int = 1, **settings: Any) -> Path:
        (tmp_path / "data.yaml").write_text(yaml.safe_dump(SETTINGS | settings))
        image = tmp_path / name
        image.parent.mkdir(parents=True, exist_ok=True)
        orientation = Image.Exif()
        orientation[0x0112] = exif
        Image.new("RGB", (400, 500)).save(image, exif=orientation)
        labels = tmp_path / f"{name.replace('images', 'labels').rpartition('.')[0]}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("\n".join(lines))
        return tmp_path

    return written


def read(root: Path, split: str = "train") -> list[Any]:
    return list(iter_annotations("yolo_pose", root, split))


def test_shares_of_the_image_become_pixels(write: Write) -> None:
    root = write(line(), "", line(v0=0, v1=1))
    first, second = read(root)
    assert (first.key, second.key) == ("images/train/a.jpg#1", "images/train/a.jpg#3")
    assert first.image == root / "images" / "train" / "a.jpg"
    np.testing.assert_allclose(first.bbox_xywh, [100, 50, 200, 300], rtol=1e-6)
    np.testing.assert_allclose(first.keypoints[:17], np.stack([4 * np.arange(17), 5 * np.arange(17) + 5], 1), rtol=1e-6)
    assert first.visibility.tolist() == [2] * 17 + [0] * 6
    assert second.visibility.tolist() == [0, 1, *[2] * 15, *[0] * 6]
    assert np.isnan(second.keypoints[0]).all()


def test_without_v_joints_at_the_corner_and_below_0_are_not_labelled(write: Write) -> None:
    given = "0 0.5 0.4 0.5 0.6 0 0 -1 0.5 0 0.5 0.25 0.5"
    names = ["nose", "left_eye", "right_eye", "left_ear"]
    (found,) = read(write(given, kpt_shape=[4, 2], kpt_names=names))
    assert found.visibility[:5].tolist() == [0, 0, 2, 2, 0]
    np.testing.assert_allclose(found.keypoints[2:4], [[0, 250], [100, 250]])


def test_joints_are_taken_by_name(write: Write) -> None:
    """Joint k of the line at (4 k, 5 k + 5); the names of another class are not those of people."""
    names = ["right_heel", "nose", "neck", "left_hip"]
    settings = {"kpt_shape": [4, 3], "names": ["ball", "person"], "kpt_names": {0: list("abcd"), 1: names}}
    root = write(line(4), "1" + line(4)[1:], **settings)
    (found,) = read(root)
    assert found.key.endswith("#2")
    known = {yolo_pose.SKELETON.names[joint] for joint in np.flatnonzero(found.visibility)}
    assert known == {"right_heel", "nose", "left_hip"}
    np.testing.assert_allclose(found.keypoints[yolo_pose.SKELETON.index("left_hip")], [12, 20])
    assert yolo_pose.unused_joints(root, "train") == ("neck",)
    assert yolo_pose.unused_joints(root / "packed", "train") == ()


def test_people_without_a_labelled_joint_and_images_without_labels_are_left_out(write: Write) -> None:
    root = write(line(), line(**{f"v{joint}": 0 for joint in range(17)}))
    Image.new("RGB", (400, 500)).save(root / "images" / "train" / "nobody.jpg")
    write(name="images/train/empty.jpg")
    assert [one.key for one in read(root)] == ["images/train/a.jpg#1"]


def test_a_box_without_area_is_that_of_the_joints(write: Write) -> None:
    (found,) = read(write("0 0.5 0.5 0 0 " + line().split(" ", 5)[5]))
    np.testing.assert_allclose(found.bbox_xywh, [0, 5, 65, 81])


class TestLayouts:
    def keys(self, root: Path, split: str = "train") -> list[str]:
        return [one.key for one in read(root, split)]

    def test_folders_are_searched_with_their_folders(self, write: Write):
        write(line(), name="images/train/b/z.png")
        write(line(), name="images/train/._a.jpg")
        root = write(line(), name="images/train/b/a.JPG")
        assert self.keys(root) == ["images/train/b/a.JPG#1", "images/train/b/z.png#1"]

    def test_path_is_a_folder_of_the_data_set_if_there_is_one(self, write: Write):
        root = write(line(), name="people/images/train/a.jpg", path="people")
        assert self.keys(root) == ["images/train/a.jpg#1"]
        assert self.keys(write(line(), path="../datasets/elsewhere")) == ["images/train/a.jpg#1"]

    def test_as_roboflow_exports_them(self, write: Write):
        root = write(line(), name="train/images/a.jpg", train="../train/images")
        assert self.keys(root) == ["train/images/a.jpg#1"]

    def test_as_cvat_exports_them(self, write: Write):
        root = write(line(), train="train.txt", path="./")
        (root / "train.txt").write_text("images/train/a.jpg\n\n./images/train/none.jpg\n")
        assert self.keys(root) == ["images/train/a.jpg#1"]

    def test_several_places(self, write: Write):
        write(line(), name="images/val/b.jpg")
        root = write(line(), train=["images/val", "images/train"])
        assert self.keys(root) == ["images/val/b.jpg#1", "images/train/a.jpg#1"]

    def test_the_last_folder_called_images_counts(self, write: Write):
        root = write(name="images/images/train/a.jpg", train="images/images/train")
        (root / "images" / "labels" / "train").mkdir(parents=True)
        (root / "images" / "labels" / "train" / "a.txt").write_text(line())
        assert self.keys(root) == ["images/images/train/a.jpg#1"]

    def test_without_such_a_folder_labels_lie_beside(self, write: Write):
        root = write(line(), name="photos/a.jpg", train="photos")
        assert self.keys(root) == ["photos/a.jpg#1"]


@pytest.mark.parametrize(
    ("lines", "settings", "says"),
    [
        ([line(), line(16)], {}, r"a\.txt, record line 2: expected a class, 4 numbers of a box and 3 of each of 17"),
        (["0 0.5 0.4 0.5 0.6"], {}, r"line 1: expected a class, .* found 5 numbers"),
        ([line().replace("0.03", "three")], {}, "line 1: expected the line as 55 number"),
        ([line().replace("0.03", "nan")], {}, "line 1: expected .* found a number that is missing"),
        ([line(v3=3)], {}, r"line 1: expected visibility 0, 1 or 2, found \[2\.0, 2\.0, 2\.0, 3"),
        ([line().replace("0.03", "312")], {}, "line 1: expected numbers from 0 to 1, shares of the image's"),
        (["0 200 200 200 300 " + line().split(" ", 5)[5]], {}, "line 1: expected numbers from 0 to 1"),
        (["x" + line()[1:]], {"names": ["ball", "person"]}, "line 1: expected the class as one number"),
        ([], {"kpt_shape": None}, r"data\.yaml: expected kpt_shape, as in kpt_shape: \[17, 3\], found None\. Add"),
        ([], {"kpt_shape": [17, 4]}, r"found \[17, 4\]"),
        ([], {"kpt_shape": [13, 3]}, r"kpt_names with 13 names .* found none\. Add .* kpt_names: \{0: \[nose"),
        ([], {"kpt_names": {0: ["nose"]}}, r"kpt_names with 17 names of joints, as kpt_shape says, found \['nose'\]"),
        ([], {"kpt_shape": [2, 3], "kpt_names": ["nose", "chin"]}, "record kpt_names: expected .* chin is not known"),
        ([], {"names": ["ball", "dog"]}, "one class called person among names, found ball, dog. Call"),
        ([], {"train": None}, r"data\.yaml: expected an entry 'train', the images of that split, found none"),
        ([], {"train": "none"}, "expected images of 'train', found no such place"),
    ],
)
def test_what_cannot_be_read_is_one_line(write: Write, lines: list[str], settings: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says) as error:
        read(write(*lines, **settings))
    assert "\n" not in str(error.value)


def test_what_is_no_description_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.yaml: expected a description .* no such file"):
        read(tmp_path)
    (tmp_path / "data.yaml").write_text("people")
    with pytest.raises(DataError, match=r"data\.yaml: expected a description of an Ultralytics .*, found 'people'"):
        read(tmp_path)


def test_images_without_any_labels_are_an_error(write: Write) -> None:
    root = write(line())
    (root / "labels").rename(root / "other")
    with pytest.raises(DataError, match=r"labels/train/a\.txt: expected label files .* none for 1 images"):
        read(root)


@pytest.mark.parametrize(("exif", "size"), [(1, (400, 500)), (3, (400, 500)), (6, (500, 400))])
def test_shares_are_of_the_image_as_viewers_show_it(write: Write, exif: int, size: tuple[int, int]) -> None:
    """The line has its box at 0.25, 0.1 and joint k at (0.01 k, 0.01 k + 0.01)."""
    (found,) = read(write(line(), exif=exif))
    assert found.upright == (exif != 1)
    np.testing.assert_allclose(found.bbox_xywh, np.array([0.25, 0.1, 0.5, 0.6]) * [*size, *size], rtol=1e-6)
    np.testing.assert_allclose(found.keypoints[10], [0.1 * size[0], 0.11 * size[1]], rtol=1e-6)


def test_images_whose_size_nobody_knows_are_refused(write: Write) -> None:
    root = write(line())
    (root / "images" / "train" / "a.jpg").write_text("nothing")
    with pytest.raises(DataError, match=r"a\.jpg: expected an image whose size can be read"):
        read(root)


def test_data_lists_what_is_there(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(line(2), kpt_shape=[2, 3], kpt_names=["nose", "neck"])
    data("yolo_pose", root, "train", check=True)
    said = capsys.readouterr().out
    assert "yolo_pose train: 1 people, 1 labelled joints" in said
    assert "yolo_pose: not used, as yolo_pose has no such joint: neck" in said


def test_changed_labels_make_another_index(write: Write, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    root = write(line())
    assert len(open_index("yolo_pose", root, "train", cache)) == 1
    write(line(), line())
    assert len(open_index("yolo_pose", root, "train", cache)) == 2


@pytest.mark.skipif(not (REAL / "annotations").is_dir(), reason="the real COCO pictures are not here")
def test_coco_in_this_format_is_coco(tmp_path: Path) -> None:
    """As Ultralytics converts it: COCO's numbers over width and height, six decimals."""
    content = json.loads((REAL / "annotations" / "person_keypoints_train2017.json").read_text())
    images = {one["id"]: one for one in content["images"]}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(SETTINGS))
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "train").symlink_to(REAL / "train2017")
    for one in content["annotations"]:
        if not one["iscrowd"]:
            image, (x, y, w, h) = images[one["image_id"]], one["bbox"]
            size = image["width"], image["height"]
            box = np.array([x + w / 2, y + h / 2, w, h]) / [*size, *size]
            joints = np.reshape(one["keypoints"], (17, 3)) / [*size, 1]
            with (tmp_path / "labels" / "train" / f"{image['file_name'][:-4]}.txt").open("a") as labels:
                labels.write(" ".join(["0", *(f"{value:.6f}" for value in (*box, *joints.ravel()))]) + "\n")
    ours, theirs = read(tmp_path), list(coco.annotations(REAL, "train2017"))
    assert len(ours) == len(theirs) == 86
    for one in ours:
        (other,) = (
            person
            for person in theirs
            if person.image.name == one.image.name and np.allclose(person.bbox_xywh, one.bbox_xywh, atol=1e-3)
        )
        assert one.visibility.tolist() == [*other.visibility, *[0] * len(FEET)]
        np.testing.assert_allclose(one.keypoints[: len(COCO_17)], other.keypoints, atol=1e-3)


def test_the_class_of_people_is_found_by_its_number(write: Write) -> None:
    """Of names by number, as Ultralytics writes them; the first line is a ball."""
    root = write("2" + line()[1:], "7" + line()[1:], names={2: "ball", 7: "Person"})
    assert [one.key for one in read(root)] == ["images/train/a.jpg#2"]


def test_where_a_joint_without_a_label_is_does_not_matter(write: Write) -> None:
    """Joint 3, whose y is 0.04, is written at 4 times the height, with v = 0."""
    (found,) = read(write(line(v3=0).replace(" 0.03 0.04 0", " 0.03 4 0")))
    assert found.visibility[:5].tolist() == [2, 2, 2, 0, 2]
