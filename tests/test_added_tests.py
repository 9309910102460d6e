"""Tests that came to a study later, by whole commands: scored as at the end of each run, and nothing else touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from headstart.added_tests import with_added_tests
from headstart.checkpoint import load_checkpoint, save_checkpoint
from headstart.cli import main
from headstart.errors import ConfigError
from headstart.results import RunResult
from headstart.study import cells, load_study
from headstart.study_plan import experiment

pytestmark = pytest.mark.slow

STUDY = """
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.study import Grid, Study

STUDY = Study(
    "tiny", "Tiny", "Does it run?",
    models={{"nano": ModelConfig("nano", head=HeadConfig(channels=16, heatmap="cross_entropy"), input_size=(64, 64))}},
    samples={{"nano": 16}},
    grids=(Grid(("3d_alone", "2d_then_3d"), ("nano",), ("h36m",), ("h36m",), (0,)),),
    tests={tests!r}, sheets={tests!r},
    roots={{"h36m": {root!r}}},
    batch_size=4, workers=0, curve_points=2, curve_people=4,
)
"""
NAMES = ("nano-3d_alone-h36m-seed0", "nano-2d_then_3d-share0.5-h36m-h36m-seed0")
BOTH = ("h36m_standard", "h36m_standard_actions")
Write = Callable[..., Path]


def headstart(*arguments: str | Path) -> str:
    """What a command prints; its one line, if it refuses."""
    said, refused = StringIO(), StringIO()
    argv = ["headstart", *map(str, arguments)]
    with patch("sys.argv", argv), redirect_stdout(said), redirect_stderr(refused), suppress(SystemExit):
        main()
        return said.getvalue()
    (line,) = refused.getvalue().splitlines()
    return line


@pytest.fixture(scope="module")
def write(stick_people_3d: Path) -> Write:
    """A folder and the tests of its study: writes its study.py, and returns the folder."""

    def write(folder: Path, *tests: str) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / "study.py").write_text(STUDY.format(tests=tests, root=str(stick_people_3d)))
        return folder

    return write


def on(action: str, folder: Path, *arguments: str) -> str:
    """``headstart study ACTION`` of the study in the folder."""
    return headstart("study", action, folder / "study.py", *arguments, "--work", folder / "work")


def result_of(folder: Path, name: str) -> RunResult:
    return RunResult.load(folder / "results" / name / "result.json")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "study.py"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, write: Write) -> Path:
    """A study that was run under the first test, weights kept."""
    folder = write(tmp_path_factory.mktemp("trained") / "study", BOTH[0])
    for name in NAMES:
        assert on("cell", folder, name, "--keep").startswith(f"{name}: h36m_standard ")
    return folder


@pytest.fixture
def study(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "study")


def test_cells_are_scored_under_a_later_test_as_if_it_had_been_there(study: Path, tmp_path: Path, write: Write) -> None:
    before = {name: result_of(study, name) for name in NAMES}
    records = {path: path.read_bytes() for path in study.glob("results/*/cell.json")}
    write(study, *BOTH)
    assert on("status", study).count("to be scored\n") == 2
    plan = json.loads(on("plan", study, "--flops-per-second", "1e9", "--json"))
    assert plan["hours_left"] == 0
    assert [cell["finished"] for cell in plan["cells"]] == [False] * 2
    assert "2 of 2 cells" in on("run", study)
    assert {path: path.read_bytes() for path in records} == records
    for name in NAMES:
        after = result_of(study, name)
        assert [score.protocol for score in after.scores] == list(BOTH)
        assert after.scored_later == {BOTH[1]: {"git_sha": before[name].git_sha, "device": before[name].device}}
        as_before = {"scores": after.scores[:1], "test_labels": {BOTH[0]: after.test_labels[BOTH[0]]}}
        assert replace(after, **as_before, scored_later={}) == before[name]

    whole = write(tmp_path / "whole", *BOTH)
    on("cell", whole, NAMES[1])
    expected, found = result_of(whole, NAMES[1]), result_of(study, NAMES[1])
    assert found.scores == expected.scores
    assert found.test_labels == expected.test_labels
    both = [dict(np.load(folder / "results" / NAMES[1] / "samples.npz")) for folder in (study, whole)]
    assert sorted(both[0]) == sorted(both[1])
    for name, array in both[0].items():
        np.testing.assert_array_equal(array, both[1][name], err_msg=name)

    finished = contents(study / "results")
    assert "2 of 2 cells" in on("run", study)
    assert contents(study / "results") == finished
    headstart("report", study)
    assert "h36m standard actions" in (study / "report.md").read_text()


def test_a_study_of_which_some_cells_lack_a_test_is_unfinished(study: Path, write: Write) -> None:
    write(study, *BOTH)
    assert "h36m_standard_actions " in on("cell", study, NAMES[0])
    refused = headstart("report", study)
    assert f"record {NAMES[1]}: expected a score under h36m_standard_actions, found none" in refused
    assert refused.endswith("or report what there is with --unfinished.")
    assert "report.md" in headstart("report", study, "--unfinished")


def test_where_weights_are_gone_nothing_is_done_and_one_line_says_so(study: Path, write: Write) -> None:
    on("run", study)
    shutil.rmtree(study / "work" / NAMES[1] / "run")
    before = contents(study)
    write(study, *BOTH)
    message = f"{NAMES[1]} is finished, but not scored under h36m_standard_actions, and its weights are gone: expected "
    assert message in on("run", study)
    assert "to be scored, but its weights are gone" in on("status", study)
    assert contents(study) == before
    assert message in on("cell", study, NAMES[1])
    # With the test taken out again, it is what it was.
    write(study, BOTH[0])
    assert "2 of 2 cells" in on("run", study)


def test_weights_of_another_run_are_not_scored(study: Path, write: Write) -> None:
    plan = load_study(str(write(study, *BOTH)))
    last = study / "work" / NAMES[0] / "run" / "last.safetensors"
    saved = load_checkpoint(last)
    saved.header["progress"]["costs"][0]["seconds"] += 1e-6
    save_checkpoint(last, saved.tensors, saved.header)
    with pytest.raises(
        ConfigError, match=r"last\.safetensors: expected the weights that .* found those of another run"
    ):
        with_added_tests(experiment(plan, cells(plan)[0]), last, result_of(study, NAMES[0]))
