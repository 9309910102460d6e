"""What ``headstart predict`` keeps of people, and what is left of it after an error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headstart.cli.outcome import Outcome
from headstart.cli.outputs import Outputs
from headstart.records import Prediction
from headstart.video import TrackedPerson

JOINTS = {"nose": (1.0, 2.0, 0.9)}
PERSON = Prediction("a.png", (0, 0, 9, 9), 0.5, JOINTS, JOINTS)
TRACKED = TrackedPerson(PERSON, 3, 0.12, 1, JOINTS, JOINTS)


def test_people_of_pictures_and_videos_are_in_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(Outputs(json=tmp_path / "p.json", csv=tmp_path / "p.csv", npz=tmp_path / "p.npz"))
    with outcome.writing():
        outcome.add(PERSON)
        outcome.add(TRACKED)
        outcome.pictures = outcome.videos = 1
    assert [one.get("frame") for one in json.loads((tmp_path / "p.json").read_text())] == [None, 3]
    assert [line.split(",")[0] for line in (tmp_path / "p.csv").read_text().splitlines()] == [
        "image",
        "a.png",
        "a.png#3",
    ]
    assert np.load(tmp_path / "p.npz")["image"].tolist() == ["a.png", "a.png#3"]
    said = [f"1 image, 1 video, 2 poses -> {tmp_path / f'p.{suffix}'}" for suffix in ("json", "csv", "npz")]
    assert capsys.readouterr().out.splitlines() == said


def test_nobody_is_kept_for_json_alone(tmp_path: Path) -> None:
    outcome = Outcome(Outputs(json=tmp_path / "p.json"))
    with outcome.writing():
        outcome.add(TRACKED)
    assert (outcome.count, outcome._people) == (1, [])


def test_an_error_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(Outputs(json=tmp_path / "p.json", csv=tmp_path / "p.csv"))

    def stop() -> None:
        with outcome.writing():
            outcome.add(PERSON)
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        stop()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_json_has_standard_output_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(Outputs(json=Path("-")))
    with outcome.writing():
        outcome.add(PERSON)
        outcome.pictures += 1
        print("a.png: 1 person")
    said = capsys.readouterr()
    assert [one["image"] for one in json.loads(said.out)] == ["a.png"]
    assert said.err == "a.png: 1 person\n1 image, 1 person -> standard output\n"
