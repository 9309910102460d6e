"""From a checkpoint on disk to a score, predictions and a picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from headstart.checkpoint import save_checkpoint
from headstart.errors import ConfigError, DataError
from headstart.evaluate import protocol_rows, score
from headstart.index import AnnotationIndex
from headstart.models.pose_net import PoseNet
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.scoring import evaluate_checkpoint, picture_of_predictions
from tiny import MODEL


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path, network = tmp_path_factory.mktemp("run") / "best.safetensors", PoseNet(MODEL)
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(MODEL), "backbone_config": network.backbone.config})
    return path


def test_scores_predictions_and_picture(
    checkpoint: Path, stick_people_3d: Path, index_3d: AnnotationIndex, tmp_path: Path
) -> None:
    files = {"predictions_path": tmp_path / "p.npz", "picture_path": tmp_path / "p.png"}
    scores = evaluate_checkpoint(checkpoint.parent, "h36m_standard", stick_people_3d, workers=0, **files)
    assert (scores.protocol, scores.n, scores.better) == ("h36m_standard", 6, "lower")
    assert set(scores.others) == {"n_mpjpe_mm", "pa_mpjpe_mm", "pck3d_percent", "auc_percent"}
    made = Predictions.load(files["predictions_path"])
    assert made.about == {
        "decode": "subpixel",
        "flip_test": True,
        "checkpoint": str(checkpoint),
        "dataset": "h36m",
        "split": "test",
    }
    wanted = protocol("h36m_standard")
    assert score(made, index_3d, wanted, protocol_rows(index_3d, wanted)) == scores
    picture = cv2.imread(str(files["picture_path"]))
    assert picture is not None
    assert picture.std() > 1


def test_every_choice_is_in_the_description(checkpoint: Path, stick_people_2d: Path) -> None:
    """Split, data set and flip test where they are not the protocol's own: the number says so."""
    scores = evaluate_checkpoint(
        checkpoint, "lsp_pck", stick_people_2d, dataset="lsp_extended", split="all", flip_test=False, workers=0
    )
    assert scores.n == 20
    assert "Data set lsp_extended, split all." in scores.description
    assert "1001-2000" not in scores.description  # what the protocol's own split holds
    assert "mirrored" not in scores.description
    flipped = evaluate_checkpoint(checkpoint, "lsp_extended_pck", stick_people_2d, split="all", workers=0)
    assert "mirrored" in flipped.description


def test_a_limit_scores_fewer(checkpoint: Path, stick_people_2d: Path) -> None:
    scores = evaluate_checkpoint(checkpoint, "lsp_extended_pck", stick_people_2d, split="all", limit=5, workers=0)
    assert scores.n == 5


def test_errors_come_before_any_work(checkpoint: Path, stick_people_2d: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown protocol 'nonsense'; known: h36m_standard"):
        evaluate_checkpoint(checkpoint, "nonsense", stick_people_2d)
    with pytest.raises(DataError, match=r"last\.safetensors or best\.safetensors"):
        evaluate_checkpoint(tmp_path, "lsp_extended_pck", stick_people_2d)
    with pytest.raises(DataError, match="mpii"):
        evaluate_checkpoint(checkpoint, "mpii_pckh", tmp_path / "mpii")


def test_what_cannot_be_scored_is_said_before_anybody_is_predicted(
    checkpoint: Path, stick_people_2d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.scoring.predict", lambda *_, **__: pytest.fail("predicted"))
    with pytest.raises(DataError, match="labels that protocol mpii_pckh scores, found none"):
        evaluate_checkpoint(checkpoint, "mpii_pckh", stick_people_2d, dataset="lsp_extended", split="all", workers=0)


def test_picture_shows_each_label_with_its_prediction(index_2d: AnnotationIndex) -> None:
    joints = ("left_wrist", "right_wrist")
    nothing = Predictions(
        index_2d.column("key").tolist(),
        joints,
        np.full((20, 2, 2), 64, np.float32),
        np.zeros((20, 2), np.float32),
        np.ones((20, 2), np.float32),
        {},
    )
    picture = picture_of_predictions(nothing, index_2d, np.arange(20), count=3)
    assert picture.dtype == np.uint8
    assert picture.shape[1] >= 6 * 256
