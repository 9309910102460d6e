"""The estimator and the detector that options mean."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headstart.cli.estimator import build_estimator, find_people
from headstart.cli.predict_options import PredictOptions
from headstart.cli.serving import serve
from headstart.predict import PoseEstimator
from headstart.records import CropJoints
from sees_white import SeesWhite, painted

DOCS = Path(__file__).parents[2] / "docs"
#: Of benchmarks/find_people.py.
RATE = "5 of 24 everyday photos"


class Counts(SeesWhite):
    """It notes how many crops it is given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        self.batches.append(len(crops))
        return super().__call__(crops)


@pytest.mark.parametrize("batch_size", [5, 32])
def test_a_search_takes_no_more_crops_at_once_than_asked_for(batch_size: int) -> None:
    network = Counts()
    search = find_people("search", network, None, "give --boxes", batch_size)
    assert search is not None
    search(painted(640, 480, (400, 60, 60, 150)))
    assert max(network.batches) == batch_size


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


def test_none_is_nobody_who_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert find_people("none", SeesWhite(), None, "give --boxes") is None
    assert capsys.readouterr().err == ""


def test_wherever_a_search_is_offered_its_measured_rate_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.detect.find_detector", lambda name, device: None)
    find_people("search", SeesWhite(), None, "give --boxes")
    find_people("auto", SeesWhite(), None, "give --boxes")
    of_search, of_auto = capsys.readouterr().err.splitlines()
    assert of_search.endswith("check the boxes.")
    page = (DOCS / "predicting.md").read_text(encoding="utf-8")
    for text in (of_search, of_auto, PredictOptions.__doc__, serve.__doc__, page):
        about = " ".join((text or "").split())
        assert re.findall(r"found the largest person in only (\d+ of \d+ everyday photos)", about) == [RATE]
