"""Poses in COCO's form of results: written from labels, they are the labels again, and pycocotools scores them 1."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from headstart.checkpoint import save_checkpoint
from headstart.coco_results import require_coco, write_coco_results
from headstart.errors import ConfigError, DataError
from headstart.index import AnnotationIndex, open_index
from headstart.models.pose_net import PoseNet
from headstart.pack import PackConfig, pack
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.scoring import evaluate_checkpoint
from headstart.skeleton import BODY_18, CANONICAL, COCO_17
from test_cli import succeeds
from tiny import MODEL

SOURCE = {"dataset": "coco", "split": "val2017"}
#: Two people of one image and one of another; no file name is the number of its image.
IMAGE_OF = {71: 5, 72: 5, 73: 8}
#: The second is cut at 60, 40 where it is packed (:func:`packed`).
BOXES = {71: [20, 20, 160, 160], 72: [80, 60, 80, 80], 73: [20.5, 20.25, 150, 160]}


def labels_of(number: int) -> list[float]:
    """Joint k of the 17, x, y, v: whole numbers, all visible but the first ear."""
    points = np.random.default_rng(number).integers(20, 180, (17, 2))
    return np.column_stack([points, np.where(np.arange(17) == 3, 1, 2)]).ravel().tolist()


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    images = [{"id": id, "file_name": f"photo_{id}.jpg", "height": 200, "width": 200} for id in (5, 8)]
    people = [
        {"id": id, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 25600.0}
        | {"bbox": BOXES[id], "keypoints": labels_of(id)}
        for id, image in IMAGE_OF.items()
    ]
    content = {"info": {}, "images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(content))
    (tmp_path / "val2017").mkdir()
    for image in images:
        cv2.imwrite(str(tmp_path / "val2017" / image["file_name"]), np.full((200, 200, 3), 90, np.uint8))
    return tmp_path


@pytest.fixture
def packed(coco: Path, tmp_path: Path) -> Path:
    """The same people, packed at a third of their size, beside the file of their labels."""
    root, folder = tmp_path / "packed", "annotations"
    config = PackConfig(size=64, margin=1.5, quality=0)
    pack(open_index("coco", coco, "val2017"), root / "coco-val2017", config, source=SOURCE)
    shutil.copytree(coco / folder, root / folder)
    return root


def truth(index: AnnotationIndex) -> Predictions:
    """The labels, in the index's joints, the last person first and surest."""
    people = [index[row] for row in reversed(range(len(index)))]
    keypoints = np.array([person.keypoints for person in people], np.float32)
    confidence = np.repeat([[0.75], [0.5], [0.25]], len(index.skeleton), 1).astype(np.float32)
    depth = np.zeros(keypoints.shape[:2], np.float32)
    return Predictions([person.key for person in people], index.skeleton.names, keypoints, depth, confidence, {})


@pytest.mark.parametrize("names", [COCO_17.names[::-1], COCO_17.names[5:]])
def test_labels_of_other_joints_are_refused(coco: Path, names: tuple[str, ...]) -> None:
    """pycocotools compares joints by their place, not by their name."""
    index, path = open_index("coco", coco, "val2017"), coco / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text())
    content["categories"] = [{"id": 1, "name": "person", "keypoints": names}]
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"--coco-results: expected COCO's 17 joints in its order in .*val2017\.json"):
        require_coco(protocol("coco_pck"), index, coco, COCO_17.names, None)


def test_labels_come_back_as_they_were(coco: Path) -> None:
    index = open_index("coco", coco, "val2017")
    write_coco_results(coco / "F.json", truth(index), index, coco, "val2017")
    found = json.loads((coco / "F.json").read_text())
    assert [(one["image_id"], one["category_id"], one["score"]) for one in found] == [
        (8, 1, 0.75),
        (5, 1, 0.5),
        (5, 1, 0.25),
    ]
    for one, number in zip(found, (73, 72, 71)):
        expected = np.reshape(labels_of(number), (17, 3)).astype(float)
        expected[:, 2] = one["score"]
        assert np.array_equal(np.reshape(one["keypoints"], (17, 3)), expected)


def test_pycocotools_scores_labels_as_perfect_and_shifted_ones_as_worse(coco: Path) -> None:
    tool, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    index = open_index("coco", coco, "val2017")
    found, right = [], truth(index)
    for shift in (0, 10):
        write_coco_results(coco / "F.json", replace(right, keypoints=right.keypoints + shift), index, coco, "val2017")
        labels = tool.COCO(str(coco / "annotations" / "person_keypoints_val2017.json"))
        scored = evaluation.COCOeval(labels, labels.loadRes(str(coco / "F.json")), "keypoints")
        for step in (scored.evaluate, scored.accumulate, scored.summarize):
            step()
        found.append(scored.stats[0])
    assert found[0] == pytest.approx(1)
    assert found[1] < 0.9


def test_everybody_with_all_joints(coco: Path, index_2d: AnnotationIndex) -> None:
    wanted, index = protocol("coco_pck"), open_index("coco", coco, "val2017")
    require_coco(wanted, index, coco, COCO_17.names, None)
    require_coco(wanted, index, coco, CANONICAL.names, None)
    with pytest.raises(ConfigError, match=r"does not predict left_eye, right_eye, left_ear, right_ear\. AP needs"):
        require_coco(wanted, index, coco, BODY_18.names, None)
    with pytest.raises(ConfigError, match=r"expected everybody, .*; leave out --limit"):
        require_coco(wanted, index, coco, CANONICAL.names, 100)
    with pytest.raises(ConfigError, match="expected a protocol of the data set coco, not of lsp"):
        require_coco(protocol("lsp_pck"), index_2d, coco, CANONICAL.names, None)


def test_labels_of_a_packed_split_come_back_in_the_pixels_of_their_images(coco: Path, packed: Path) -> None:
    for root in (coco, packed):
        index = open_index("coco", root, "val2017")
        require_coco(protocol("coco_pck"), index, root, COCO_17.names, None)
        write_coco_results(root / "F.json", truth(index), index, root, "val2017")
    one, other = (json.loads((root / "F.json").read_text()) for root in (coco, packed))
    points = [np.array([person.pop("keypoints") for person in people]) for people in (one, other)]
    assert other == one
    np.testing.assert_allclose(points[1], points[0], atol=2e-3)


def test_a_point_of_a_packed_picture_by_hand(packed: Path) -> None:
    """Person 72: a box of 80 px at 80, 60 is packed as one of 51 px (64 / 1.25) of a picture cut at 60, 40."""
    index = open_index("coco", packed, "val2017")
    made = truth(index)
    row = made.keys.index("photo_5.jpg#72")
    made.keypoints[row] = (-0.5, 31.5)  # the outer corner to the left, and 32 px below the upper one
    write_coco_results(packed / "F.json", made, index, packed, "val2017")
    found = np.reshape(json.loads((packed / "F.json").read_text())[row]["keypoints"], (17, 3))
    width, height = index.image(index.column("key").tolist().index("photo_5.jpg#72")).shape[1::-1]
    assert (width, height) == (77, 77)  # 120 px times 51.2 / 80
    np.testing.assert_allclose(found[:, :2], [[60 - 0.5, 40 + 32 * 120 / 77 - 0.5]] * 17, atol=2e-3)


def test_a_packed_split_needs_the_file_that_it_was_packed_from(coco: Path, packed: Path) -> None:
    wanted, index = protocol("coco_pck"), open_index("coco", packed, "val2017")
    labels = packed / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(labels.read_text())

    def refused(error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            require_coco(wanted, index, packed, COCO_17.names, None)

    moved, fewer, fix = json.loads(labels.read_text()), content | {"annotations": content["annotations"][1:]}, "Give"
    moved["annotations"][1]["keypoints"][0] += 1
    labels.write_text(json.dumps(moved))
    refused(DataError, rf"2017\.json, record photo_5\.jpg#72: expected the labels of .*, packed, found others\. {fix}")
    labels.write_text(json.dumps(fewer))
    refused(DataError, rf"record photo_5\.jpg#71: expected the people of .*, found 1 who are not in both\. {fix}")
    labels.unlink()
    refused(ConfigError, r"coco-val2017 is packed, .*: expected .*2017\.json, .*, found none\. Copy it there from")


def test_a_model_with_the_joints_writes_them_beside_its_score(coco: Path, packed: Path) -> None:
    torch.manual_seed(0)
    model = replace(MODEL, skeleton="coco_17")
    network = PoseNet(model)
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    save_checkpoint(
        coco / "best.safetensors", tensors, {"model": asdict(model), "backbone_config": network.backbone.config}
    )
    files = {"coco_results_path": coco / "F.json", "predictions_path": coco / "F.npz"}
    evaluate_checkpoint(coco / "best.safetensors", "coco_pck", coco, workers=0, **files)
    one = succeeds(
        "eval", coco, "--protocol", "coco_pck", "--root", coco, "--workers", 0, "--coco-results", coco / "G.json"
    )
    assert one.startswith("coco_pck: ")
    assert (coco / "G.json").read_text() == (coco / "F.json").read_text()
    made, found = Predictions.load(coco / "F.npz"), json.loads((coco / "F.json").read_text())
    assert made.joints == COCO_17.names
    written = np.array([one["keypoints"] for one in found]).reshape(3, 17, 3)
    assert np.abs(written[..., :2] - made.keypoints).max() < 1e-3
    assert [one["image_id"] for one in found] == [IMAGE_OF[int(key.partition("#")[2])] for key in made.keys]
    files = {"coco_results_path": packed / "F.json", "predictions_path": packed / "F.npz"}
    evaluate_checkpoint(coco / "best.safetensors", "coco_pck", packed, workers=0, **files)
    again, small = json.loads((packed / "F.json").read_text()), Predictions.load(packed / "F.npz")
    assert [one["image_id"] for one in again] == [one["image_id"] for one in found]
    moved = np.array([one["keypoints"] for one in again]).reshape(3, 17, 3)[..., :2]
    assert np.abs(moved - written[..., :2]).max() < 1
    assert np.abs(moved - small.keypoints).max() > 20  # which stay in pixels of the packed pictures
