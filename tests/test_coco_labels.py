"""Predictions as labels in COCO's format: values worked out by hand, back through the data set ``coco``, and typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.coco_labels import CocoLabels, labelled_joints, shared_folder, visibility_of
from headstart.confidence import UNSURE_JOINT
from headstart.datasets import iter_annotations
from headstart.errors import ConfigError
from headstart.geometry import Crop
from headstart.index import open_index
from headstart.loader import CropDataset
from headstart.photos import read_photo
from headstart.pose_files import read_json
from headstart.records import Prediction
from headstart.sampling import Draw
from headstart.skeleton import BODY_18, BODY_24, COCO_17, COCO_23, Skeleton
from test_cli_predict import fails, here, lacking, model, predict, succeeds  # noqa: F401  # two of them are fixtures

SIDES = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
#: The joints of the model that ships that COCO has, in COCO's order.
THIRTEEN = ("nose", *(f"{side}_{joint}" for joint in SIDES for side in ("left", "right")))


def person(image: str = "a.png", box: Any = (10.25, 20.5, 30.0, 60.0), **points: tuple[float, float, float]) -> Any:
    """Joint k of the model that ships at (k, 2 k) with confidence 0.9, but for those given by name."""
    joints = {name: (float(k), 2.0 * k, 0.9) for k, name in enumerate(BODY_18.names)} | points
    return Prediction(image, box, 0.5, joints, dict.fromkeys(joints, (0.0, 0.0, 0.0)))


def written(tmp_path: Path, *people: Prediction, size: tuple[int, int] = (100, 80)) -> dict[str, Any]:
    labels = CocoLabels(labelled_joints(BODY_18), tmp_path)
    labels.add(str(tmp_path / "a.png"), size, people)
    labels.write(tmp_path / "labels.json")
    return json.loads((tmp_path / "labels.json").read_text())


class TestJoints:
    def test_they_are_cocos_and_those_of_the_feet_in_cocos_order(self):
        assert labelled_joints(BODY_18) == THIRTEEN
        assert labelled_joints(COCO_17) == COCO_17.names
        assert labelled_joints(BODY_24) == (*THIRTEEN, *COCO_23.names[17:])
        with pytest.raises(ConfigError, match="some of COCO's joints; it has pelvis, spine"):
            labelled_joints(Skeleton("trunk", ("pelvis", "spine")))

    def test_the_category_names_them_and_the_bones_between_them(self, tmp_path: Path):
        (category,) = written(tmp_path)["categories"]
        assert (category["id"], category["name"], category["keypoints"]) == (1, "person", list(THIRTEEN))
        bones = {frozenset(THIRTEEN[end - 1] for end in bone) for bone in category["skeleton"]}
        assert len(bones) == len(category["skeleton"]) == 12
        limbs = [
            (f"{side}_{a}", f"{side}_{b}")
            for side in ("left", "right")
            for a, b in (
                ("shoulder", "elbow"),
                ("elbow", "wrist"),
                ("hip", "knee"),
                ("knee", "ankle"),
                ("shoulder", "hip"),
            )
        ]
        across = [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")]
        assert bones == set(map(frozenset, limbs + across))


class TestVisibility:
    def test_it_is_by_confidence_within_the_picture(self):
        inside = [(5, 5, value) for value in (0.0, 0.1999, 0.2, 0.4999, 0.5, 1.0)]
        outside = [(-0.6, 5, 0.9), (5, 79.6, 0.9), (99.4, -0.4, 0.9)]
        assert visibility_of(np.array(inside + outside), (100, 80)).tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 2]

    def test_unsure_joints_are_those_that_the_web_page_shows_in_white(self):
        viewer = Path(headstart.__file__).parent / "serve" / "assets" / "viewer.js"
        assert f"const UNSURE = {UNSURE_JOINT};" in viewer.read_text(encoding="utf-8")

    def test_joints_that_are_not_labelled_are_zeros(self, tmp_path: Path):
        (one,) = written(tmp_path, person(nose=(30.5, 20.25, 0.1), left_hip=(-5.0, 7.0, 0.9)))["annotations"]
        triples = dict(zip(THIRTEEN, np.reshape(one["keypoints"], (-1, 3)).tolist()))
        assert triples["nose"] == triples["left_hip"] == [0, 0, 0]
        assert one["num_keypoints"] == 11
        right_ankle = BODY_18.index("right_ankle")
        assert triples["right_ankle"] == [right_ankle, 2 * right_ankle, 2]


class TestBoxes:
    def test_the_persons_and_its_area(self, tmp_path: Path):
        (one,) = written(tmp_path, person())["annotations"]
        assert (one["bbox"], one["area"], one["score"]) == ([10.25, 20.5, 30.0, 60.0], 1800.0, 0.5)

    def test_that_of_the_labelled_joints_where_it_is_the_whole_picture(self, tmp_path: Path):
        """Joint k lies at (k, 2 k), and pixels count whole."""
        used = [BODY_18.index(joint) for joint in THIRTEEN]
        low, high = min(used), max(used)
        (one,) = written(tmp_path, person(box=(0.0, 0.0, 100.0, 80.0)))["annotations"]
        assert one["bbox"] == [low, 2 * low, high - low + 1, 2 * (high - low) + 1]


class TestNames:
    def test_they_are_relative_to_the_deepest_folder_of_all_pictures(self, tmp_path: Path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert shared_folder(["photos/a.png"]) == tmp_path / "photos"
        assert shared_folder(["photos/a.png", "photos/b/a.png"]) == tmp_path / "photos"
        assert shared_folder(["photos/x/a.png", "../elsewhere/a.png"]) == tmp_path.parent
        labels = CocoLabels(THIRTEEN, shared_folder(["one/a.png", "two/a.png"]))
        for name in ("one/a.png", "two/a.png"):
            labels.add(name, (100, 80), [person(name)])
        labels.write(Path("labels.json"))
        found = json.loads(Path("labels.json").read_text())
        assert [(one["id"], one["file_name"]) for one in found["images"]] == [(1, "one/a.png"), (2, "two/a.png")]
        assert [(one["id"], one["image_id"]) for one in found["annotations"]] == [(1, 1), (2, 2)]


def as_split(photos: Path, labels: str) -> list[Any]:
    """The labels of the pictures in ``photos``, read as the data set coco."""
    root = photos.parent / "coco"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(photos, root / "train2017")
    (root / "annotations").mkdir()
    shutil.copy(labels, root / "annotations" / "person_keypoints_train2017.json")
    return list(iter_annotations("coco", root, "train2017"))


class TestCommand:
    @pytest.fixture(autouse=True)
    def confident(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tiny model has learnt nothing and is sure of nothing; here every joint counts."""
        monkeypatch.setattr("headstart.coco_labels.UNSURE_JOINT", 0.0)

    @pytest.fixture
    def photos(self, here: Path) -> Path:  # noqa: F811
        """a.png and deep/a.jpg in one folder; ``boxes.json`` has two people in the first, nobody in the second."""
        (here / "photos" / "deep").mkdir(parents=True)
        shutil.copy("a.png", "photos/a.png")
        shutil.copy("more/a.jpg", "photos/deep/a.jpg")
        boxes = {"photos/a.png": [[10, 5, 50, 60], [40, 20, 50, 50]], "photos/deep/a.jpg": []}
        Path("boxes.json").write_text(json.dumps(boxes))
        return here / "photos"

    def test_back_through_the_data_set_the_pixels_are_the_same(self, photos: Path):
        inputs = ("photos/a.png", "photos/deep/a.jpg", "--boxes", "boxes.json")
        said = succeeds(*inputs, "--json", "people.json", "--coco", "labels.json").splitlines()
        assert said[-2:] == [
            "2 images, 2 people -> labels.json",
            f"labels.json: names of images are relative to {photos}",
        ]
        content = json.loads(Path("labels.json").read_text())
        assert [one["file_name"] for one in content["images"]] == ["a.png", "deep/a.jpg"]
        assert {(one["width"], one["height"]) for one in content["images"]} == {(100, 80)}
        read, people = as_split(photos, "labels.json"), read_json("people.json")
        assert [one.key for one in read] == ["a.png#1", "a.png#2"]
        labelled = 0
        for label, predicted in zip(read, people, strict=True):
            assert label.bbox_xywh.tolist() == pytest.approx(predicted.bbox_xywh)
            for joint, point, state in zip(COCO_17.names, label.keypoints, label.visibility):
                if state:
                    labelled += 1
                    assert point.tolist() == pytest.approx(predicted.keypoints[joint][:2], abs=1e-4)
                else:
                    assert joint not in predicted.keypoints or not self.is_within(predicted.keypoints[joint])
        assert labelled > 10

    @staticmethod
    def is_within(point: tuple[float, float, float]) -> bool:
        return -0.5 <= point[0] <= 99.5 and -0.5 <= point[1] <= 79.5

    @pytest.mark.parametrize("orientation", [6, 7])
    def test_a_turned_photo_is_labelled_and_read_as_viewers_show_it(self, photos: Path, orientation: int):
        exif = Image.Exif()
        exif[0x0112] = orientation
        with Image.open("photos/a.png") as stored:
            stored.save("photos/turned.jpg", exif=exif)
        Path("boxes.json").write_text(json.dumps({"turned.jpg": [[5, 5, 60, 80]]}))
        succeeds("photos/turned.jpg", "--boxes", "boxes.json", "--json", "people.json", "--coco", "labels.json")
        (image,) = json.loads(Path("labels.json").read_text())["images"]
        assert (image["width"], image["height"]) == (80, 100)
        (label,), (predicted,) = as_split(photos, "labels.json"), read_json("people.json")
        known = [joint for joint, state in zip(COCO_17.names, label.visibility) if state]
        assert known
        for joint in known:
            point = label.keypoints[COCO_17.index(joint)]
            assert point.tolist() == pytest.approx(predicted.keypoints[joint][:2], abs=1e-4)
        index = open_index("coco", photos.parent / "coco", "train2017", photos.parent / "cache")
        sample = CropDataset([index], BODY_18, (64, 64))[Draw(0, 0, 0, 0)]
        shown = Crop(sample["crop"], (64, 64)).warp(read_photo("photos/turned.jpg"))
        assert np.ptp(shown.astype(int), axis=(0, 1)).min() > 100
        assert np.abs(sample["image"].astype(int) - shown).max() <= 4
        for joint in known:
            point = sample["crop"] @ (*predicted.keypoints[joint][:2], 1)
            assert sample["keypoints"][BODY_18.index(joint)].tolist() == pytest.approx(point.tolist(), abs=1e-3)

    def test_joints_that_the_model_never_learnt_are_not_named(self, here: Path):  # noqa: F811
        predict("a.png", "--model", lacking(here, "nose"), "--coco", "labels.json")
        (category,) = json.loads(Path("labels.json").read_text())["categories"]
        assert category["keypoints"] == list(THIRTEEN[1:])

    def test_videos_are_named_and_photos_done(self, here: Path):  # noqa: F811
        (line,) = fails("clip.mp4", "a.png", "--coco", "labels.json")
        assert line == "clip.mp4: expected an image, with --coco, found a video. Call it again without --coco"
        assert len(json.loads(Path("labels.json").read_text())["images"]) == 1

    def test_broken_photos_are_named_and_not_labelled(self, here: Path):  # noqa: F811
        Path("broken.jpg").write_text("nothing")
        (line,) = fails("a.png", "broken.jpg", "--coco", "labels.json")
        assert line.startswith("broken.jpg: ")
        assert [one["file_name"] for one in json.loads(Path("labels.json").read_text())["images"]] == ["a.png"]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("a.png", "--per-input"), "--coco labels.json: one file labels all images; leave out --per-input"),
            (("clip.mp4",), "--coco labels.json: labels are of images; no input is one"),
            (("a.png", "--json", "labels.json"), "--json and --coco both name labels.json; name two places"),
            (("a.png", "--coco", "-"), "--coco -: expected a file to write; only --json can go to standard output"),
            (("a.png", "--coco", "b.jpg/x"), "--coco b.jpg/x: cannot be written"),
            (("a.png", "b.jpg", "--coco", "b.jpg"), "--coco b.jpg: would replace an input; name another file"),
        ],
    )
    def test_what_cannot_be_meant_is_one_line_before_any_work(self, here: Path, arguments, says: str):  # noqa: F811
        (line,) = fails("--coco", "labels.json", *arguments)
        assert line.startswith(says)
        assert not Path("labels.json").exists()


class TestEdges:
    def test_the_box_of_the_joints_is_that_of_the_labelled_ones_hidden_ones_too(self, tmp_path: Path):
        """Joint k lies at (k, 2 k). The nose, far off, is not labelled; the left wrist is, as hidden."""
        unsure = {"nose": (90.0, 70.0, 0.1), "left_wrist": (60.0, 50.0, 0.3)}
        used = [BODY_18.index(joint) for joint in THIRTEEN if joint not in unsure]
        (one,) = written(tmp_path, person(box=(0.0, 0.0, 100.0, 80.0), **unsure))["annotations"]
        assert one["bbox"] == [min(used), 2 * min(used), 61 - min(used), 51 - 2 * min(used)]

    def test_boxes_have_four_decimals(self, tmp_path: Path):
        (one,) = written(tmp_path, person(box=(10.123456, 20.0, 30.0, 40.0)))["annotations"]
        assert one["bbox"] == [10.1235, 20.0, 30.0, 40.0]

    def test_images_on_two_drives_are_one_clear_line(self, monkeypatch: pytest.MonkeyPatch):
        """As Windows says it of C: and D:."""

        def commonpath(paths: Any) -> str:
            raise ValueError("Paths don't have the same drive")

        monkeypatch.setattr("headstart.coco_labels.os.path.commonpath", commonpath)
        with pytest.raises(ConfigError, match="--coco: expected images on one drive"):
            shared_folder(["a.png", "b.png"])
