"""What ``headstart study`` decides before a cell runs: folders, study.json, cells that others have finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart import executors
from headstart.cli.studying import StudyArguments, _folders, _is_done, study
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


def test_a_cell_of_a_job_array_writes_study_json_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = load_study("tiny")
    task = StudyArguments("cell", "tiny", cells(plan)[0].name)
    study(task)
    assert "h36m_standard 99.50 mm" in capsys.readouterr().out
    written = json.loads((folder / "study.json").read_text())
    assert written.pop("created")
    assert written == study_record(plan)
    (folder / "study.json").write_text("{}")
    study(task)
    assert (folder / "study.json").read_text() == "{}"


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
