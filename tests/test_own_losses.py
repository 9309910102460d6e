"""Losses of users' modules: in a stage, on the command line, in a study, and there again when a run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.errors import ConfigError
from headstart.experiment import Experiment, as_json
from headstart.files import write_json
from headstart.losses import LOSSES, need_heatmaps, total
from headstart.records import PoseOutput, Targets
from headstart.results import RunResult
from headstart.skeleton import MPII_16
from headstart.study import load_study
from headstart.train import run
from headstart.user_modules import user_module
from own_modules import Write, writing
from test_cli import succeeds
from tiny import BOTH, data_3d, experiment, stage_2d

OWN = "my_lab.own:depth_l2"
#: As docs/python.md has it.
TEXT = """
from headstart.targets import read_maps

def depth_l2(output, targets):
    depth = read_maps(output.depth_maps.float(), targets.keypoints)
    return (depth - targets.depth) ** 2, targets.weight_depth
"""
#: Ends its process at the call of that number, once: 1 is the rehearsal, and there is one for each step.
DIES = """
import os, signal
calls = 0

def dying(output, targets):
    global calls
    calls += 1
    if str(calls) == os.environ.get("DIES_AT"):
        os.kill(os.getpid(), signal.SIGKILL)
    return depth_l2(output, targets)
"""
NOTHING = torch.zeros(2)
TARGETS = Targets(None, NOTHING, NOTHING, NOTHING, NOTHING, torch.ones(2), (1, 1), MPII_16)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes my_lab/NAME.py below the working folder; what was imported is forgotten afterwards."""
    with writing("my_lab", tmp_path, monkeypatch) as write:
        yield write


def of_depth(root: Path, losses: dict[str, float]) -> Experiment:
    """16 samples in 4 steps."""
    return experiment(
        replace(stage_2d(root, 16), name="3d", data=(data_3d(root),), losses=losses), checkpoint_samples=4
    )


@pytest.mark.posix("SIGKILL")
def test_a_killed_run_goes_on_by_its_folder_alone(stick_people_3d: Path, tmp_path: Path, written: Write) -> None:
    """The whole command: with a tracker, which names losses too."""
    written(TEXT + DIES)
    name, out = "my_lab.own:dying", tmp_path / "run"
    write_json(tmp_path / "config.json", as_json(of_depth(stick_people_3d, BOTH)))
    weight = (f"--stages.0.losses.{name}", "100")

    def train(*arguments: str, dies_at: str = "") -> int:
        command = [sys.executable, "-m", "headstart.cli", "train", *arguments, "--out", str(out), "--threads", "1"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "DIES_AT": dies_at}
        return subprocess.run(command, env=environment, capture_output=True, timeout=600).returncode

    assert train("config.json", *weight, "--tracker", "tensorboard", dies_at="4") == -signal.SIGKILL
    assert json.loads((out / "config.json").read_text())["stages"][0]["losses"] == {**BOTH, name: 100.0}
    assert (out / "last.safetensors").is_file()
    assert not (out / "result.json").exists()
    assert train("--resume") == 0
    rows = [row for row in RunResult.load(out / "result.json").history if name in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(row[name] > 0 for row in rows)


def test_it_is_trained_with_as_a_registered_one_is(
    stick_people_3d: Path, tmp_path: Path, written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heatmaps are made for both, and the losses of each step are the same numbers."""
    written(TEXT)
    monkeypatch.setitem(LOSSES, "registered", user_module("my_lab.own", "a test").depth_l2)
    histories = []
    for name in (OWN, "registered"):
        result = run(of_depth(stick_people_3d, {**BOTH, name: 100.0}), tmp_path / name.replace(":", "_"))
        histories.append([(row["loss"], row[name]) for row in result.history if name in row])
    assert len(histories[0]) == 4
    assert histories[0] == histories[1]
    assert need_heatmaps([OWN])


@pytest.mark.parametrize(
    "option", [f"--stages.1.losses.{OWN}=3", f"--stages.1.losses.{OWN.replace('_', '-')}=3"], ids=["_", "-"]
)
def test_its_weight_is_set_on_the_command_line(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the stage that is named; dashes stand for underscores, as in all options."""
    begun: list[Experiment] = []

    def kept(wanted: Experiment, *_: Any) -> RunResult:
        begun.append(wanted)
        return RunResult("", 0, {}, "", "cpu", [], [])

    monkeypatch.setattr("headstart.train.run", kept)
    tiny = experiment(stage_2d(tmp_path), stage_2d(tmp_path))
    write_json(tmp_path / "config.json", as_json(tiny))
    succeeds("train", tmp_path / "config.json", option, "--out", tmp_path / "run")
    first, second = begun[0].stages
    assert first == tiny.stages[0]
    assert second.losses == {**tiny.stages[1].losses, OWN: 3.0}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("depth_l2", "", r"^unknown loss depth_l2; known: heatmap_mse, .*, bone_ratio; or name module:function of"),
        ("my_lab.gone:f", "", r"^loss 'my_lab.gone:f': found no module my_lab.gone, installed or in .*"),
        ("my_lab.own:gone", "", r"own\.py: expected a function gone\(output, targets\) that .*; found None$"),
        ("my_lab.own:f", "def f(output): pass", r"own\.py, when called: TypeError: f\(\) takes 1 positional arg"),
        ("my_lab.own:f", "def f(output, targets):\n    1 / 0", r"own\.py, line 2: ZeroDivisionError: division by zero"),
        ("my_lab.own:f", "def f(output, targets):\n    return 3", r"f: expected values and weights .*, got 3$"),
        (
            "my_lab.own:f",
            "def f(output, targets):\n    return targets.depth, 1",
            r"expected values and weights .*, got",
        ),
    ],
)
def test_one_that_cannot_be_used_is_named(name: str, text: str, says: str, written: Write) -> None:
    written(text)
    with pytest.raises(ConfigError, match=says):
        total(PoseOutput(torch.zeros(2)), TARGETS, {name: 1.0})


def test_memory_that_is_full_is_not_its_fault(written: Write) -> None:
    """What to do then is said by the loop."""
    written("import torch\ndef f(output, targets):\n    raise torch.OutOfMemoryError('no memory')")
    with pytest.raises(torch.OutOfMemoryError, match=r"^no memory$"):
        total(PoseOutput(torch.zeros(2)), TARGETS, {"my_lab.own:f": 1.0})


def test_a_study_names_it(tmp_path: Path, written: Write) -> None:
    written(TEXT)
    study = tmp_path / "study.py"
    form = """
from headstart.models.pose_net import ModelConfig
from headstart.study import Grid, Study
STUDY = Study(
    "mine", "Mine", "?", {{"nano": ModelConfig()}}, {{"nano": 100}},
    (Grid(("3d_alone", "2d_then_3d"), ("nano",), ("lsp_extended",), ("h36m",)),), ("h36m_standard",),
    losses={{"heatmap_cross_entropy": 1.0, "{name}": 10.0}},
)
"""
    study.write_text(form.format(name=OWN))
    assert load_study(str(study)).losses == {"heatmap_cross_entropy": 1.0, OWN: 10.0}
    study.write_text(form.format(name="my_lab.own:gone"))
    with pytest.raises(ConfigError, match=r"study\.py: losses: loss 'my_lab.own:gone': .*own\.py: expected a function"):
        load_study(str(study))
