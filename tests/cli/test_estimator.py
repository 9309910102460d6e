"""The estimator and the detector that options mean."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import pytest
import torch

from headstart.checkpoint import save_checkpoint
from headstart.cli.estimator import build_estimator, find_people
from headstart.cli.predict_options import PredictOptions
from headstart.errors import ConfigError
from headstart.models.pose_net import PoseNet
from headstart.person_detector import PersonDetector, shipped_detector
from headstart.predict import PoseEstimator
from sees_white import SeesWhite
from tiny import MODEL


def test_threads_are_those_of_pytorch_and_opencv_too() -> None:
    """``from_pretrained`` leaves them alone: it is the whole process that is limited."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        build_estimator(None, "none", "cpu", flip_test=False, height_mm=1700, threads=3)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 3)
        PoseEstimator.from_pretrained(device="cpu", threads=2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_none_is_nobody_who_looks() -> None:
    assert find_people("none", "cpu") is None


def test_shipped_is_the_one_in_the_package() -> None:
    network = SeesWhite()
    detector = find_people("shipped", "cpu", 7, network)
    assert isinstance(detector, PersonDetector)
    assert (detector.weights, detector.device) == (shipped_detector(), "cpu")
    assert (detector.pose, detector.batch_size) == (network, 7)


def test_auto_is_the_better_one_if_it_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(find_people("auto", None), PersonDetector)
    monkeypatch.setattr("headstart.detect.find_detector", lambda device: f"a detector on {device}")
    assert find_people("auto", "cpu") == "a detector on cpu"


def test_a_detector_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^detector nobody/nothing: cannot be loaded"):
        find_people("nobody/nothing", None)


@pytest.mark.parametrize("model", [None, "tiny"])
def test_the_pose_network_that_ships_checks_boxes_whichever_estimates_poses(model: str | None, tmp_path: Path) -> None:
    """That of a user may be sure of nothing yet."""
    if model is not None:
        network = PoseNet(MODEL)
        tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
        header = {"model": asdict(MODEL), "backbone_config": network.backbone.config}
        save_checkpoint(tmp_path / "tiny.safetensors", tensors, header)
        model = str(tmp_path / "tiny.safetensors")
    estimator = build_estimator(model, "shipped", "cpu", flip_test=False, height_mm=1700)
    same = PoseEstimator.from_pretrained(model, device="cpu")
    for one in (estimator, same):
        assert isinstance(one.detector, PersonDetector)
        assert one.detector.pose.input_size == (256, 256)
        assert (one.detector.pose is one.network) == (model is None)


@pytest.mark.parametrize(
    ("detector", "given", "frames"), [("shipped", None, 5), ("shipped", 2, 2), ("none", None, 1), ("none", 3, 3)]
)
def test_a_video_is_searched_less_often_by_the_detector_that_ships(
    detector: str, given: int | None, frames: int
) -> None:
    options = PredictOptions(("a.mp4",), detector=detector, detect_every=given)
    assert options.frames_between_detections(options.estimator()) == frames
