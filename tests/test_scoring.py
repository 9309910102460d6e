"""From a checkpoint on disk to a score, predictions and a picture."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from headstart import scoring
from headstart.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, save_checkpoint, shipped_weights
from headstart.errors import ConfigError, DataError
from headstart.evaluate import protocol_rows, score
from headstart.index import AnnotationIndex, open_index
from headstart.models.pose_net import PoseNet
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.scoring import evaluate_checkpoint, picture_of_predictions, score_predictions
from headstart.skeleton import BODY_18, CANONICAL, H36M_17, LSP_14
from tiny import MODEL


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path, network = tmp_path_factory.mktemp("run") / "best.safetensors", PoseNet(MODEL)
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(MODEL), "backbone_config": network.backbone.config})
    return path


def test_a_model_that_was_trained_on_s9_has_no_result_on_s9(
    checkpoint: Path, stick_people_3d: Path, tmp_path: Path
) -> None:
    """Neither at once nor from the file of its predictions; a model that was trained on h36m has one."""
    saved = load_checkpoint(checkpoint)
    for name, said in (("h36m_s11", True), ("h36m", False)):
        stages = [{"data": [{"dataset": name, "split": "train", "weight": 1.0}]}]
        save_checkpoint(tmp_path / f"{name}.safetensors", saved.tensors, saved.header | {"config": {"stages": stages}})
        file = tmp_path / f"{name}.npz"
        arguments = ("h36m_standard", stick_people_3d)
        scores = evaluate_checkpoint(tmp_path / f"{name}.safetensors", *arguments, workers=0, predictions_path=file)
        sentence = " Here the model was trained on people who are scored (Human3.6M S9): not a result."
        assert (sentence in scores.description) == said
        assert score_predictions(file, *arguments).description == scores.description


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


def test_the_device_is_the_one_of_training(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "default_device", lambda: "meta")
    assert scoring._load(checkpoint).device.type == "meta"


def test_the_file_of_a_model_is_read_once(
    checkpoint: Path, stick_people_2d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def load(path: Path, *parts: tuple[str, ...]) -> Checkpoint:
        read.append(path)
        return load_checkpoint(path, *parts)

    monkeypatch.setattr("headstart.checkpoint.load_checkpoint", load)
    evaluate_checkpoint(checkpoint, "lsp_extended_pck", stick_people_2d, split="all", workers=0, limit=2)
    assert read == [checkpoint]


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


def test_the_precision_is_in_the_file_and_in_the_description(
    stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bf16 joints are others, and near; in single precision, the default, nothing is said."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    arguments, where = ("lsp_extended_pck", stick_people_2d), {"split": "all", "limit": 3}
    made, scores = {}, {}
    for name, how in (("default", {}), ("fp32", {"precision": "fp32"}), ("bf16", {"precision": "bf16"})):
        path = tmp_path / f"{name}.npz"
        scores[name] = evaluate_checkpoint("shipped", *arguments, workers=0, predictions_path=path, **where, **how)
        assert score_predictions(path, *arguments, **where) == scores[name]
        made[name] = Predictions.load(path)
    assert " Precision of the network: bf16." in scores["bf16"].description
    assert "Precision" not in scores["fp32"].description
    assert made["bf16"].about == made["fp32"].about | {"precision": "bf16"}
    assert scores["default"] == scores["fp32"]
    np.testing.assert_array_equal(made["default"].keypoints, made["fp32"].keypoints)
    assert not np.array_equal(made["bf16"].confidence, made["fp32"].confidence)
    np.testing.assert_allclose(made["bf16"].confidence, made["fp32"].confidence, atol=0.1)


def test_depthwise_convolutions_stay_in_single_precision_on_a_cpu_as_in_training(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[PoseNet] = []
    monkeypatch.setattr(scoring, "keep_depthwise_in_float32", kept.append)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    network = scoring._load(checkpoint, "bf16")
    assert kept == [network.forward]
    with network.autocast():
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
    scoring._load(checkpoint)
    assert len(kept) == 1


def test_a_precision_that_cannot_be_computed_in_is_refused_before_the_data_are_read(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(scoring, "open_index", lambda *_: pytest.fail("read"))
    with pytest.raises(ConfigError, match=r"^precision: expected bf16, or single .* eval: fp32\), on a cpu; got fp16$"):
        evaluate_checkpoint(checkpoint, "lsp_extended_pck", tmp_path, precision="fp16")
    exported = tmp_path / "small.onnx"
    exported.touch()
    says = r"^--precision bf16: .*small\.onnx has the precision of its export; leave it out$"
    with pytest.raises(ConfigError, match=says):
        evaluate_checkpoint(exported, "lsp_extended_pck", tmp_path, precision="bf16")


def test_a_limit_scores_fewer(checkpoint: Path, stick_people_2d: Path) -> None:
    scores = evaluate_checkpoint(checkpoint, "lsp_extended_pck", stick_people_2d, split="all", limit=5, workers=0)
    assert scores.n == 5
    assert scores.description.endswith(" Here a quick look at 5 of 20 people: not a result.")


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
    with pytest.raises(DataError, match="labels that protocol mpii_pckh on lsp_extended all scores, found none"):
        evaluate_checkpoint(checkpoint, "mpii_pckh", stick_people_2d, dataset="lsp_extended", split="all", workers=0)


def test_what_eval_wrote_scores_the_same_from_its_file(
    checkpoint: Path, stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path
) -> None:
    """Everything, the description with the flip test too."""
    path = tmp_path / "p.npz"
    elsewhere = {"dataset": "lsp_extended", "split": "all"}
    for name, root, where, how in (
        ("lsp_pck", stick_people_2d, elsewhere, {"flip_test": False}),
        ("lsp_pck", stick_people_2d, elsewhere, {"limit": 7}),
        ("h36m_standard", stick_people_3d, {}, {}),
        ("lsp_pck", stick_people_2d, elsewhere, {"scales": (0.9, 1, 1.25)}),
    ):
        found = evaluate_checkpoint(checkpoint, name, root, workers=0, predictions_path=path, **where, **how)
        limit = {"limit": how["limit"]} if "limit" in how else {}
        assert score_predictions(path, name, root, **where, **limit) == found
    assert found.description.endswith("Multi-scale testing: the mean of maps at scales 0.9, 1, 1.25.")


def test_the_published_figure_scores_the_same_from_its_file(
    tmp_path: Path, stick_people_3d: Path, index_3d: AnnotationIndex
) -> None:
    """By the decoding that the file names, and from pixels: there is no such figure of poses in mm."""
    rng, path, wanted = np.random.default_rng(0), tmp_path / "p.npz", protocol("h36m_zhou2017")
    made = Predictions(
        index_3d.column("key").tolist(),
        BODY_18.names,
        rng.normal(60, 9, (8, 18, 2)).astype(np.float32),
        rng.normal(0, 9, (8, 18)).astype(np.float32),
        np.ones((8, 18), np.float32),
        {"decode": "argmax"},
    )
    expected = score(made, index_3d, wanted, protocol_rows(index_3d, wanted))
    replace(made, xyz_mm=np.ones((8, 18, 3), np.float32)).save(path)
    assert score_predictions(path, "h36m_zhou2017", stick_people_3d) == expected
    replace(made, about={}).save(path)
    with pytest.raises(ConfigError, match="needs predictions decoded by 'argmax'"):
        score_predictions(path, "h36m_zhou2017", stick_people_3d)


def test_another_systems_pixels_and_millimetres(tmp_path: Path, stick_people_2d: Path, stick_people_3d: Path) -> None:
    """All right but for one wrist in 5 of 20 pictures, and a pose in mm by hand: 60 mm at one of 17 joints."""
    path, index = tmp_path / "p.npz", open_index("lsp_extended", stick_people_2d, "all")
    people = [index[row] for row in range(20)]
    keypoints = np.nan_to_num([one.keypoints[CANONICAL.indices(LSP_14.names)] for one in people])
    keypoints[:5, LSP_14.index("left_wrist")] += 500
    np.savez(path, keys=[one.key for one in people], joints=LSP_14.names, keypoints=keypoints)
    found = score_predictions(path, "lsp_extended_pck", stick_people_2d, split="all")
    assert found.value == pytest.approx(100 * 274 / 279)  # one right ankle of 280 joints is not labelled
    assert "another system's" in found.description

    index = open_index("h36m", stick_people_3d, "test")
    people = [index[row] for row in range(8)]
    xyz = np.array([one.camera_xyz for one in people])[:, CANONICAL.indices(H36M_17.names)]
    xyz[:, H36M_17.index("nose")] += [20, 40, -40]
    np.savez(path, keys=[one.key for one in people], joints=H36M_17.names, xyz_mm=xyz)
    found = score_predictions(str(path), "h36m_standard", str(stick_people_3d))
    assert (found.value, found.n) == (pytest.approx(60 / 17, rel=1e-4), 6)
    assert found.per_joint["nose"] == pytest.approx(60, rel=1e-4)


def test_a_file_that_does_not_suit_is_said_in_one_line(
    tmp_path: Path, stick_people_2d: Path, index_2d: AnnotationIndex
) -> None:
    path, keys = tmp_path / "p.npz", index_2d.column("key").tolist()

    def refused(error: type[Exception], match: str, name: str = "lsp_extended_pck", **changes: Any) -> None:
        whole = {"keys": keys, "joints": LSP_14.names, "keypoints": np.zeros((20, 14, 2))}
        np.savez(path, **{key: value for key, value in (whole | changes).items() if value is not None})
        with pytest.raises(error, match=match) as caught:
            score_predictions(path, name, stick_people_2d, dataset="lsp_extended", split="all")
        assert "\n" not in str(caught.value)

    part = {"keys": keys[1:], "keypoints": np.zeros((19, 14, 2))}
    refused(DataError, r"p\.npz, record im00001\.jpg: expected a prediction for every person, found 1 of 20", **part)
    other = ["im99999.jpg", *keys[1:]]
    refused(
        DataError, "record im99999.jpg: expected keys of the split's people, found 1 of 20 that are none", keys=other
    )
    in_mm = {"keypoints": None, "xyz_mm": np.zeros((20, 14, 3))}
    refused(DataError, r"p\.npz: expected keypoints for lsp_extended_pck on lsp_extended all, found none", **in_mm)
    missing = "expected keypoints and depth, or xyz_mm, for h36m_standard on lsp_extended all, found keypoints"
    refused(DataError, missing, "h36m_standard")
    missing = "expected keypoints and depth for h36m_zhou2017 on lsp_extended all, found none"
    refused(DataError, missing, "h36m_zhou2017", **in_mm)
    about = np.array('{"dataset": "lsp_extended", "split": "val"}')
    refused(ConfigError, "its predictions are of split val, not of all; give --split val", about=about)
    few = {"joints": LSP_14.names[:12], "keypoints": np.zeros((20, 12, 2))}
    refused(ConfigError, "the predictions lack neck, head_top", **few)


def test_the_model_that_ships_has_a_name(
    stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of the same name comes first."""
    monkeypatch.chdir(tmp_path)
    found = evaluate_checkpoint(
        Path("shipped"),
        "lsp_extended_pck",
        stick_people_2d,
        split="all",
        limit=2,
        workers=0,
        predictions_path=tmp_path / "p.npz",
    )
    assert found.n == 2
    assert Predictions.load(tmp_path / "p.npz").about["checkpoint"] == str(shipped_weights())
    assert find_checkpoint(Path("shipped")) == shipped_weights()
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "last.safetensors").touch()
    assert find_checkpoint(Path("shipped")) == Path("shipped/last.safetensors")


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
