"""What ``headstart study`` decides before a cell runs: folders, study.json, cells that others have finished."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from headstart import executors
from headstart.cli import main
from headstart.cli.studying import StudyArguments, _folders, _is_done, _task, study
from headstart.errors import ConfigError
from headstart.executors import Task
from headstart.results import RunResult, Scores
from headstart.study import cells, load_study
from headstart.study_records import cell_record, study_record

STUDY = """
from studies_in_small import EVERYTHING, study_of
STUDY = study_of(EVERYTHING)
"""
RESULT = RunResult("cell", 0, {}, "sha", "cpu", [], [Scores("h36m_standard", "", "mpjpe", "mm", 99.5, "lower", 6)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a study, below the working directory; its cells take no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(executors, "run_cell", lambda *_: RESULT)
    (tmp_path / "studies/tiny").mkdir(parents=True)
    (tmp_path / "studies/tiny/study.py").write_text(STUDY)
    return tmp_path / "studies/tiny"


def test_other_results_have_another_working_folder(folder: Path) -> None:
    """What was kept of the study's own runs is not filed as their repetition."""
    plan = load_study("tiny")
    usual = Path("runs/study-tiny").absolute()
    assert _folders(plan, StudyArguments("run", "tiny")).work == usual
    assert _folders(plan, StudyArguments("run", "tiny", out=Path("studies/tiny"))).work == usual
    again = _folders(plan, StudyArguments("run", "tiny", out=Path("runs/again")))
    assert again.results == Path("runs/again/results").absolute()
    assert again.work == Path("runs/again/work").absolute()
    given = StudyArguments("run", "tiny", out=Path("runs/again"), work=Path("fast"))
    assert _folders(plan, given).work == Path("fast").absolute()


def test_a_cell_of_a_job_array_keeps_study_json_up_to_date(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = load_study("tiny")
    task = StudyArguments("cell", "tiny", cells(plan)[0].name)
    study(task)
    assert "h36m_standard 99.50 mm" in capsys.readouterr().out
    written = json.loads((folder / "study.json").read_text())
    assert written.pop("created")
    assert written == study_record(plan)
    # Arms came to the study: the report must not take the cells of before for all that there are.
    old = {**study_record(plan), "planned_cells": 3, "created": "2026-01-02"}
    (folder / "study.json").write_text(json.dumps(old))
    study(task)
    assert json.loads((folder / "study.json").read_text())["planned_cells"] == len(cells(plan))


def test_mistakes_are_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*arguments: str) -> str:
        monkeypatch.setattr(
            sys, "argv", ["headstart", "study", "plan", "tiny", "--flops-per-second", "1e12", *arguments]
        )
        with pytest.raises(SystemExit) as exit_:
            main()
        assert exit_.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert said("--root", "h36=/data").startswith("headstart: --root: expected data sets (mpii, ")
    for rate in ("0", "-1e12", "nan", "inf"):
        assert said("--flops-per-second", rate).startswith("headstart: --flops-per-second: expected above 0, got ")
    assert said("--seeds", "0", "7") == "headstart: --seeds: expected seeds of the study (0, 1), got 7"
    assert said("--only", "*seed7").startswith(
        "headstart: --only *seed7: no cell (of these --seeds) fits; headstart study plan"
    )
    # `run` would train the whole study.
    assert said("nano-3d_alone-h36m-seed0").startswith(
        "headstart: study plan takes no cell; give: study cell tiny nano"
    )
    for broken, message in (("1 / 0", ", line 4: ZeroDivisionError: division by zero"), ("x = (", ", line 4: '(' was")):
        (folder / "study.py").write_text(f"{STUDY}{broken}\n")
        assert f"studies/tiny/study.py{message}" in said()


def test_micro_batches_reach_the_cells(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, given = load_study("tiny"), StudyArguments("run", "tiny", micro_batch_size=4)
    cell = cells(plan)[0]
    task = _task(cell, _folders(plan, given), given)
    assert task.arguments[-2:] == ("--micro-batch-size", "4")
    assert "--micro-batch-size" not in _task(cell, _folders(plan, given), StudyArguments("run", "tiny")).arguments
    called = []
    monkeypatch.setattr(executors, "run_cell", lambda *given: called.append(given) or RESULT)
    study(StudyArguments("cell", "tiny", cell.name, micro_batch_size=4))
    assert called[0][-1] == 4


@pytest.mark.parametrize(
    ("size", "processes", "says"),
    [
        (3, 1, "8, the study's batch_size, got 3"),
        (0, 1, "8, the study's batch_size, got 0"),
        (8, 2, "4, what 2 processes have of a batch, got 8"),
    ],
)
def test_a_micro_batch_size_that_does_not_divide_the_batch_ends_no_cell_at_its_start(
    folder: Path, size: int, processes: int, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        study(StudyArguments("status", "tiny", micro_batch_size=size, processes=processes))
    assert str(caught.value) == f"--micro-batch-size: expected a divisor of {says}"


def test_results_are_not_kept_under_another_significance_test(folder: Path) -> None:
    plan = load_study("tiny")
    folders, cell = _folders(plan, StudyArguments("run", "tiny")), cells(plan)[0]
    RESULT.save(folders.results / cell.name / "result.json")
    (folders.results / cell.name / "cell.json").write_text(json.dumps(cell_record(plan, cell)))
    (folder / "study.json").write_text(json.dumps(study_record(plan)))
    (folder / "study.py").write_text(
        STUDY.replace("study_of(EVERYTHING)", "study_of(EVERYTHING, significance_test='welch')")
    )
    with pytest.raises(ConfigError, match="significance_test was paired"):
        study(StudyArguments("run", "tiny"))
    assert json.loads((folder / "study.json").read_text()) == study_record(plan)


def test_a_cell_that_another_executor_has_finished_is_done(folder: Path) -> None:
    plan = load_study("tiny")
    folders, cell = _folders(plan, StudyArguments("run", "tiny")), cells(plan)[0]
    task = Task(cell.name, (), folders.work / cell.name)
    is_done = _is_done(plan, [cell], folders)
    assert not is_done(task)
    kept = folders.results / cell.name
    RESULT.save(kept / "result.json")
    (kept / "cell.json").write_text(json.dumps(cell_record(plan, cell)))
    assert is_done(task)
    # Of another plan: the cell's own process is to say so.
    (kept / "cell.json").write_text(json.dumps(cell_record(plan, cell) | {"settings": "other"}))
    assert not is_done(task)
