from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from headstart.errors import ConfigError
from headstart.results import RunResult, StageCost
from headstart.study import Cell, Study, cells
from headstart.study_plan import flops_per_sample
from headstart.study_records import cell_record, finished, study_record
from studies_in_small import EVERYTHING, study_of


def _finish(study: Study, cell: Cell, results: Path) -> RunResult:
    result = RunResult("cell", 0, {}, "sha", "cpu", [StageCost("3d", 125, 1000, 1.0, 1.0)], [])
    record = cell_record(study, cell)
    (results / cell.name).mkdir(parents=True)
    (results / cell.name / "cell.json").write_text(json.dumps(record))
    result.save(results / cell.name / "result.json")
    return result


def test_a_finished_cell_is_found_and_one_of_another_plan_is_refused(tmp_path: Path) -> None:
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    assert finished(tmp_path, cell_record(study, cell)) is None
    assert finished(tmp_path, cell_record(study, cell)) is None
    result = _finish(study, cell, tmp_path)
    assert finished(tmp_path, cell_record(study, cell)) == result
    for other in (replace(study, samples={"nano": 2000}), replace(study, losses={"heatmap_cross_entropy": 2.0})):
        with pytest.raises(ConfigError, match="made by another plan"):
            finished(tmp_path, cell_record(other, cell))


def test_a_cell_of_other_weights_splits_or_tests_is_refused(tmp_path: Path) -> None:
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    _finish(study, cell, tmp_path)
    pretrained = replace(study.models["nano"], weights="someone/weights")
    for other in (
        replace(study, models={"nano": pretrained}),
        replace(study, splits={cell.three_d: "other"}),
        replace(study, tests=(*study.tests, "lsp_pck")),
    ):
        with pytest.raises(ConfigError, match=r"made by another plan \(plan "):
            finished(tmp_path, cell_record(other, cell))
    # Where the data lie is not the plan; nor are splits of data that the cell does not use.
    for same in (replace(study, roots={cell.three_d: "/elsewhere"}), replace(study, splits={"flic": "other"})):
        assert finished(tmp_path, cell_record(same, cell)) is not None


def test_a_geometric_stage_of_before_is_another_plan(tmp_path: Path) -> None:
    """It had no 2D data after a stage of 3D data alone; the plan of cells that did not change is as it was."""
    study = study_of(EVERYTHING)
    for cell in cells(study):
        unmarked = cell_record(study, replace(cell, geometric=False))["plan"]
        changed = cell.geometric and cell.arm == "2d_then_3d"
        assert (cell_record(study, cell)["plan"] != unmarked) == changed


def test_what_an_earlier_version_did_not_record_is_not_held_against_it(tmp_path: Path) -> None:
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    result = _finish(study, cell, tmp_path)
    record = cell_record(study, cell)
    path = tmp_path / cell.name / "cell.json"
    path.write_text(json.dumps({name: value for name, value in record.items() if name != "plan"}))
    assert finished(tmp_path, record) == result


def test_the_record_says_what_the_report_needs() -> None:
    record = study_record(study_of(replace(EVERYTHING, arms=("3d_alone", "2d3d"))))
    assert list(record["arms"]) == ["3d_alone", "2d3d"]
    assert record["baseline"] == "3d_alone"
    assert record["budget_flops"] == {"nano": 1000 * flops_per_sample(tiny.MODEL)}
    json.dumps(record)
