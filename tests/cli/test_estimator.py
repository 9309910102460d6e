"""The estimator and the detector that options mean."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headstart.cli.estimator import build_estimator, find_people
from headstart.predict import PoseEstimator
from headstart.records import CropJoints
from sees_white import SeesWhite, painted


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
