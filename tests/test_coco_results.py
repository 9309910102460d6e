"""Poses in COCO's form of results: written from labels, they are the labels again, and pycocotools scores them 1."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from headstart.checkpoint import save_checkpoint
from headstart.coco_results import require_coco, write_coco_results
from headstart.errors import ConfigError
from headstart.index import AnnotationIndex, open_index
from headstart.models.pose_net import PoseNet
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.scoring import evaluate_checkpoint
from headstart.skeleton import BODY_18, CANONICAL, COCO_17
from test_cli import succeeds
from tiny import MODEL

#: Two people of one image and one of another; no file name is the number of its image.
IMAGE_OF = {71: 5, 72: 5, 73: 8}


def labels_of(number: int) -> list[float]:
    """Joint k of the 17, x, y, v: whole numbers, all visible but the first ear."""
    points = np.random.default_rng(number).integers(20, 180, (17, 2))
    return np.column_stack([points, np.where(np.arange(17) == 3, 1, 2)]).ravel().tolist()


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    images = [{"id": id, "file_name": f"photo_{id}.jpg", "height": 200, "width": 200} for id in (5, 8)]
    people = [
        {"id": id, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 25600.0}
        | {"bbox": [20, 20, 160, 160], "keypoints": labels_of(id)}
        for id, image in IMAGE_OF.items()
    ]
    content = {"info": {}, "images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(content))
    (tmp_path / "val2017").mkdir()
    for image in images:
        cv2.imwrite(str(tmp_path / "val2017" / image["file_name"]), np.full((200, 200, 3), 90, np.uint8))
    return tmp_path


def truth(index: AnnotationIndex) -> Predictions:
    """The labels, in canonical joints, the last person first and surest."""
    people = [index[row] for row in reversed(range(len(index)))]
    keypoints = np.array([person.keypoints for person in people], np.float32)
    confidence = np.repeat([[0.75], [0.5], [0.25]], len(CANONICAL), 1).astype(np.float32)
    depth = np.zeros(keypoints.shape[:2], np.float32)
    return Predictions([person.key for person in people], CANONICAL.names, keypoints, depth, confidence, {})


def test_labels_come_back_as_they_were(coco: Path) -> None:
    write_coco_results(coco / "F.json", truth(open_index("coco", coco, "val2017")), coco, "val2017")
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
    found, right = [], truth(open_index("coco", coco, "val2017"))
    for shift in (0, 10):
        write_coco_results(coco / "F.json", replace(right, keypoints=right.keypoints + shift), coco, "val2017")
        labels = tool.COCO(str(coco / "annotations" / "person_keypoints_val2017.json"))
        scored = evaluation.COCOeval(labels, labels.loadRes(str(coco / "F.json")), "keypoints")
        for step in (scored.evaluate, scored.accumulate, scored.summarize):
            step()
        found.append(scored.stats[0])
    assert found[0] == pytest.approx(1)
    assert found[1] < 0.9


def test_everybody_in_the_original_images_with_all_joints(coco: Path, index_2d: AnnotationIndex) -> None:
    wanted, index = protocol("coco_pck"), open_index("coco", coco, "val2017")
    require_coco(wanted, index, COCO_17.names, None)
    require_coco(wanted, index, CANONICAL.names, None)
    with pytest.raises(ConfigError, match=r"does not predict left_eye, right_eye, left_ear, right_ear\. AP needs"):
        require_coco(wanted, index, BODY_18.names, None)
    with pytest.raises(ConfigError, match=r"expected everybody, .*; leave out --limit"):
        require_coco(wanted, index, CANONICAL.names, 100)
    with pytest.raises(ConfigError, match="expected a protocol of the data set coco, not of lsp"):
        require_coco(protocol("lsp_pck"), index_2d, CANONICAL.names, None)


def test_a_model_with_the_joints_writes_them_beside_its_score(coco: Path) -> None:
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
