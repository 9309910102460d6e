"""The estimator and the detector that options mean."""

from __future__ import annotations

import cv2
import pytest
import torch

from headstart.cli.estimator import build_estimator, find_people
from headstart.errors import ConfigError
from headstart.person_detector import PersonDetector, shipped_detector
from headstart.predict import PoseEstimator
from sees_white import SeesWhite


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
    assert find_people("none", SeesWhite(), "cpu") is None


def test_shipped_is_the_one_in_the_package() -> None:
    network = SeesWhite()
    detector = find_people("shipped", network, "cpu", 7)
    assert isinstance(detector, PersonDetector)
    assert (detector.weights, detector.device) == (shipped_detector(), "cpu")
    assert (detector.pose, detector.batch_size) == (network, 7)


def test_auto_is_the_better_one_if_it_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(find_people("auto", SeesWhite(), None), PersonDetector)
    monkeypatch.setattr("headstart.detect.find_detector", lambda device: f"a detector on {device}")
    assert find_people("auto", SeesWhite(), "cpu") == "a detector on cpu"


def test_a_detector_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^detector nobody/nothing: cannot be loaded"):
        find_people("nobody/nothing", SeesWhite(), None)
