from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from headstart.errors import ConfigError, DataError
from headstart.results import RunResult, Scores, StageCost
from headstart.study import ARMS, Arm, Cell, Study, cells, load_study
from headstart.study_plan import flops_per_sample
from headstart.study_records import (
    cell_record,
    claim,
    filed,
    finished,
    require_chosen_before,
    study_record,
    write_study_record,
)
from studies_in_small import EVERYTHING, study_of

STUDIES = Path(__file__).parents[1] / "studies"


def _finish(study: Study, cell: Cell, results: Path) -> RunResult:
    scores = [Scores(name, "", "mpjpe", "mm", 99.5, "lower", 6) for name in study.tests]
    result = RunResult("cell", 0, {}, "sha", "cpu", [StageCost("3d", 125, 1000, 1.0, 1.0)], scores)
    record = cell_record(study, cell)
    (results / cell.name).mkdir(parents=True)
    (results / cell.name / "cell.json").write_text(json.dumps(record))
    result.save(results / cell.name / "result.json")
    return result


def test_a_finished_cell_is_found_and_one_of_another_plan_is_refused(tmp_path: Path) -> None:
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    assert finished(tmp_path, study, cell) is None
    result = _finish(study, cell, tmp_path)
    assert finished(tmp_path, study, cell) == result
    for other in (replace(study, samples={"nano": 2000}), replace(study, losses={"heatmap_cross_entropy": 2.0})):
        with pytest.raises(ConfigError, match="made by another plan"):
            finished(tmp_path, other, cell)


def test_a_field_that_came_later_counts_only_where_it_is_not_the_default() -> None:
    """The digest is that of studies/quickstart as of 2026-11-27, before the backbone could have a rate of its own and
    images could end within people."""
    study = load_study(str(STUDIES / "quickstart" / "study.py"))
    cell = cells(study)[0]
    slower = replace(study, optimiser=replace(study.optimiser, backbone_factor=0.1))
    cut = replace(study, augment=replace(study.augment, cut_probability=0.3))
    before, other, third = (cell_record(one, cell)["settings"] for one in (study, slower, cut))
    assert before == "fbde14da9503"
    assert len({before, other, third}) == 3


def test_all_committed_cells_are_known_as_finished() -> None:
    """By the code of today: a change of what a digest is made of would train them again."""
    found = sorted(STUDIES.glob("*/results"))
    assert len(found) >= 3
    for results in found:
        if (results.parent / "study.py").is_file():
            study = load_study(str(results.parent / "study.py"))
            assert all(finished(results, study, cell) for cell in cells(study)), study.name


def test_a_cell_of_other_weights_or_splits_is_refused(tmp_path: Path) -> None:
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    _finish(study, cell, tmp_path)
    pretrained = replace(study.models["nano"], weights="someone/weights")
    for other in (
        replace(study, models={"nano": pretrained}),
        replace(study, splits={cell.three_d: "other"}),
    ):
        with pytest.raises(
            ConfigError, match=r"made by another plan \(plan, that is its network, first weights, arm, splits"
        ):
            finished(tmp_path, other, cell)
    # Where the data lie is not the plan; nor are splits of data that the cell does not use.
    for same in (replace(study, roots={cell.three_d: "/elsewhere"}), replace(study, splits={"flic": "other"})):
        assert finished(tmp_path, same, cell) is not None


@pytest.mark.parametrize("recorded", [True, False])
def test_a_finished_cell_without_one_of_its_tests_says_that_tests_differ_and_what_to_do(
    tmp_path: Path, recorded: bool
) -> None:
    """An earlier version did not write them down: then they are those that the result has scores of."""
    study = study_of(EVERYTHING, tests=("h36m_standard", "lsp_pck"))
    cell = cells(study)[0]
    _finish(study, cell, tmp_path)
    if not recorded:
        _forget_tests(tmp_path / cell.name / "cell.json")
    for tests in (("h36m_standard",), ("h36m_standard", "mpii_pckh")):
        other = replace(study, tests=tests)
        with pytest.raises(ConfigError) as error:
            finished(tmp_path, other, cell)
        assert str(error.value).startswith(
            f"{tmp_path / cell.name} is finished, but tests were h36m_standard, lsp_pck and are {', '.join(tests)} now."
        )
        assert "put these back to keep it, or choose another --out" in str(error.value)
        # With other losses too, putting the tests back would not do.
        with pytest.raises(
            ConfigError, match=r"made by another plan \(settings, .*; tests were h36m_standard, lsp_pck"
        ):
            finished(tmp_path, replace(other, losses={"heatmap_mse": 2.0}), cell)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_cell_is_trained_but_not_finished_where_a_test_came_later(tmp_path: Path, recorded: bool) -> None:
    """Until its result has a score under it; what it was trained under stays in its record."""
    study = study_of(EVERYTHING)
    more = replace(study, tests=("lsp_pck", "h36m_standard"))  # in whichever order
    cell = cells(study)[0]
    result = _finish(study, cell, tmp_path)
    if not recorded:
        _forget_tests(tmp_path / cell.name / "cell.json")
    assert finished(tmp_path, more, cell) is None
    assert filed(tmp_path, more, cell) == result
    with pytest.raises(ConfigError, match="made by another plan"):
        filed(tmp_path, replace(more, losses={"heatmap_mse": 2.0}), cell)
    with pytest.raises(ConfigError, match="made by another plan"):
        filed(tmp_path, replace(more, splits={cell.three_d: "other"}), cell)
    scores = [*result.scores, replace(result.scores[0], protocol="lsp_pck")]
    scored = replace(result, scores=scores, scored_later={"lsp_pck": {"git_sha": "sha", "device": "cpu"}})
    scored.save(tmp_path / cell.name / "result.json")
    assert finished(tmp_path, more, cell) == scored
    with pytest.raises(ConfigError, match="tests were h36m_standard, lsp_pck and are h36m_standard now"):
        finished(tmp_path, study, cell)


def _forget_tests(path: Path) -> None:
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "tests"}))


def test_a_working_folder_says_whose_run_it_holds(tmp_path: Path) -> None:
    """Two studies of one name share it, wherever their files lie."""
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    claim(tmp_path, study, cell)
    claim(tmp_path, study, cell)
    with pytest.raises(ConfigError) as error:
        claim(tmp_path, replace(study, batch_size=16), cell)
    assert "maybe that of another study named tiny: delete it, or choose another --work" in str(error.value)
    assert "batch_size 8 != 16; settings, that is its losses, optimiser" in str(error.value)
    with pytest.raises(ConfigError, match="tests were h36m_standard and are lsp_pck now"):
        claim(tmp_path, replace(study, tests=("lsp_pck",)), cell)
    # One more test changes nothing of what was trained, and is written down.
    more = replace(study, tests=("h36m_standard", "lsp_pck"))
    claim(tmp_path, more, cell)
    assert json.loads((tmp_path / "cell.json").read_text()) == cell_record(more, cell)
    with pytest.raises(ConfigError, match="tests were h36m_standard, lsp_pck and are h36m_standard now"):
        claim(tmp_path, study, cell)


def test_a_run_of_an_earlier_version_goes_on_in_its_working_folder(tmp_path: Path) -> None:
    """Which did not write the tests down."""
    study = study_of(EVERYTHING)
    record = cell_record(study, cells(study)[0])
    (tmp_path / "cell.json").write_text(json.dumps({name: one for name, one in record.items() if name != "tests"}))
    claim(tmp_path, study, cells(study)[0])
    assert json.loads((tmp_path / "cell.json").read_text()) == record


@pytest.mark.parametrize("content", ["{", "3", None])
def test_a_broken_record_is_named(tmp_path: Path, content: str | None) -> None:
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    _finish(study, cell, tmp_path)
    path = tmp_path / cell.name / "cell.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"cell\.json: expected a JSON object written by `headstart study`"):
        finished(tmp_path, study, cell)


def test_the_significance_test_is_chosen_before_there_are_results(tmp_path: Path) -> None:
    """A study.json of an earlier version means the paired one."""
    study, path = study_of(EVERYTHING), tmp_path / "study.json"
    welch = replace(study, significance_test="welch")
    require_chosen_before(path, welch)
    path.write_text(json.dumps(study_record(study)))
    require_chosen_before(path, welch)
    _finish(study, cells(study)[0], tmp_path / "results")
    require_chosen_before(path, study)
    for record in (study_record(study), {}):
        path.write_text(json.dumps(record))
        with pytest.raises(ConfigError, match=r"significance_test was paired when the first .* is welch now: .*--out"):
            require_chosen_before(path, welch)
    path.write_text(json.dumps(study_record(welch)))
    require_chosen_before(path, welch)


def test_a_study_is_dated_by_the_day_on_which_its_plan_became_what_it_is(tmp_path: Path) -> None:
    """Running it again does not make the plan younger than its results; a change of the plan does."""
    study, path = study_of(EVERYTHING), tmp_path / "study.json"

    def written(of: Study, **before: object) -> dict[str, object]:
        path.write_text(json.dumps({**before, "created": "2026-01-02"}))
        write_study_record(path, of)
        return dict(json.loads(path.read_text()))

    record = study_record(study)
    assert written(study, **record) == {**record, "created": "2026-01-02"}
    assert written(replace(study, question="!"), **record)["created"] > "2026-01-02"  # type: ignore[operator]
    # An earlier version wrote less of the same plan.
    less = {name: value for name, value in record.items() if name != "significance_test"}
    assert written(study, **less) == {**record, "created": "2026-01-02"}


def test_a_geometric_stage_of_before_is_another_plan(tmp_path: Path) -> None:
    """It had no 2D data after a stage of 3D data alone; the plan of cells that did not change is as it was."""
    study = study_of(EVERYTHING)
    for cell in cells(study):
        unmarked = cell_record(study, replace(cell, geometric=False))["plan"]
        changed = cell.geometric and cell.arm == "2d_then_3d"
        assert (cell_record(study, cell)["plan"] != unmarked) == changed


def test_a_cell_of_an_arm_that_was_changed_is_of_another_plan(tmp_path: Path) -> None:
    """What it does counts, not its words; and an arm of the package is known by its name, as it always was."""
    grid = replace(EVERYTHING, arms=("3d_alone", "mine"))
    mine = Arm("mine", pretrains=True, mixes=False, freeze_stride=4)
    study = study_of(grid, arms={**ARMS, "mine": mine})
    cell = next(cell for cell in cells(study) if cell.arm == "mine")
    result = _finish(study, cell, tmp_path)
    assert finished(tmp_path, replace(study, arms={**ARMS, "mine": replace(mine, description="!")}), cell) == result
    for other in (replace(mine, freeze_stride=8), replace(mine, learning_rate_factor=0.5), replace(mine, mixes=True)):
        with pytest.raises(ConfigError, match=r"made by another plan .*plan, that is its network, first weights, arm"):
            finished(tmp_path, replace(study, arms={**ARMS, "mine": other}), cell)
    known = cells(study_of(EVERYTHING))[0]
    same, changed = replace(ARMS[known.arm], description="!"), replace(ARMS[known.arm], freeze_stride=4)
    plans = [cell_record(replace(study, arms={known.arm: arm}), known)["plan"] for arm in (same, changed)]
    assert plans[0] == cell_record(study_of(EVERYTHING), known)["plan"] != plans[1]


def test_what_an_earlier_version_did_not_record_is_not_held_against_it(tmp_path: Path) -> None:
    study = study_of(EVERYTHING)
    cell = cells(study)[0]
    result = _finish(study, cell, tmp_path)
    record = cell_record(study, cell)
    path = tmp_path / cell.name / "cell.json"
    path.write_text(json.dumps({name: value for name, value in record.items() if name != "plan"}))
    assert finished(tmp_path, study, cell) == result


def test_the_record_says_what_the_report_needs() -> None:
    record = study_record(study_of(replace(EVERYTHING, arms=("3d_alone", "2d3d"))))
    assert list(record["arms"]) == ["3d_alone", "2d3d"]
    own = study_of(replace(EVERYTHING, arms=("mine",)), arms={**ARMS, "mine": Arm("My own.", True, False)})
    assert study_record(own)["arms"] == {"mine": "My own."}
    assert record["baseline"] == "3d_alone"
    assert record["significance_test"] == "paired"
    assert record["budget_flops"] == {"nano": 1000 * flops_per_sample(tiny.MODEL)}
    json.dumps(record)
