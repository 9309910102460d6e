"""What ``headstart predict`` says of a video."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.cli.filming import predict_one_video
from headstart.cli.outcome import Outcome
from headstart.cli.outputs import Outputs
from headstart.records import Prediction
from headstart.video import VideoOptions
from headstart.video_files import VideoWriter

pytest.importorskip("av")


class Finds:
    """An estimator whose detector finds as many people in each picture as it is told to, or nobody."""

    def __init__(self, people: int) -> None:
        self.detector, self.people = lambda image: [], people

    def estimate(
        self, images: Sequence[Any], boxes: Any = None, camera: Any = None, *, names: Any = None
    ) -> list[list[Prediction]]:
        joints = {"pelvis": (20.0, 20.0, 0.9)}, {"pelvis": (0.0, 0.0, 0.0)}
        return [[Prediction(name, (10.0, 10.0, 20.0, 20.0), 0.5, *joints)] * self.people for name in names]


@pytest.mark.parametrize(
    ("people", "said"), [(0, "0 people (--detector none takes the whole image as one person)"), (1, "1 person")]
)
def test_a_video_in_which_nobody_is_found_says_what_to_try(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], people: int, said: str
) -> None:
    clip = tmp_path / "a.mp4"
    with VideoWriter(clip, Fraction(25)) as writer:
        for number in range(3):
            writer.write(np.zeros((64, 64, 3), np.uint8), number / 25)
    outcome = Outcome(Outputs())
    predict_one_video(Finds(people), str(clip), None, VideoOptions(), outcome)
    assert capsys.readouterr().out.splitlines() == [f"{clip}: 3 frames, {said}"]
    assert (outcome.videos, outcome.count) == (1, 3 * people)
