from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from headstart.errors import ConfigError
from headstart.results import RunResult, StageCost
from headstart.study import (
    ARMS,
    Cell,
    Grid,
    Study,
    budget_flops,
    cell_record,
    cells,
    check_matched,
    experiment,
    finished,
    flops_per_sample,
    load_study,
    require_budget,
    split_steps,
    study_record,
)

EVERYTHING = Grid(
    arms=tuple(ARMS),
    backbones=("nano",),
    two_d=("mpii", "coco"),
    three_d=("h36m",),
    seeds=(0, 1),
    shares_2d=(0.3, 0.7),
    geometric=(False, True),
)


def study_of(*grids: Grid, samples: int = 1000, **fields: object) -> Study:
    settings: dict[str, object] = {"tests": ("h36m_standard",), "batch_size": 8, **fields}
    return Study("tiny", "Tiny", "?", {"nano": tiny.MODEL}, {"nano": samples}, grids, **settings)  # type: ignore[arg-type]


def test_an_arm_without_2d_is_one_run_whatever_the_2d_sets_and_shares() -> None:
    names = [cell.name for cell in cells(study_of(EVERYTHING))]
    assert len(names) == len(set(names))
    # A seed: 3D alone 1, then 2 sets x 2 shares for the two arms that pretrain, 2 sets for the mixture; x 2 geometric.
    assert len(names) == 2 * 2 * (1 + 4 + 4 + 2)
    assert "nano-3d_alone-h36m-seed0" in names
    assert "nano-2d_then_2d3d+geometric-share0.7-coco-h36m-seed1" in names


def test_the_first_seeds_come_first_so_that_a_stopped_study_is_balanced() -> None:
    seeds = [cell.seed for cell in cells(study_of(EVERYTHING))]
    assert seeds == sorted(seeds)


def test_a_cell_that_stands_in_two_grids_is_run_once() -> None:
    small = replace(EVERYTHING, arms=("3d_alone",))
    assert cells(study_of(EVERYTHING, small)) == cells(study_of(EVERYTHING))


@given(
    total=st.integers(1, 10_000),
    first=st.floats(0, 0.9),
    last=st.floats(0, 0.1),
)
def test_steps_of_the_stages_add_up_exactly(total: int, first: float, last: float) -> None:
    shares = (first, 1 - first - last, last)
    steps = split_steps(total, shares)
    assert sum(steps) == total
    assert all(abs(count - total * share) <= 1 for count, share in zip(steps, shares))


def test_shares_must_be_parts_of_one() -> None:
    with pytest.raises(ConfigError, match=r"parts of 1, got 0\.5, 0\.6"):
        split_steps(10, (0.5, 0.6))


def test_all_cells_spend_the_same_samples_and_flops() -> None:
    study = study_of(EVERYTHING)
    for cell in cells(study):
        stages = experiment(study, cell).stages
        assert sum(stage.budget.samples or 0 for stage in stages) == 1000
        assert budget_flops(study, cell) == 1000 * flops_per_sample(tiny.MODEL)
    check_matched(study, cells(study))


def test_stages_of_each_arm() -> None:
    study = study_of(EVERYTHING)

    def stages_of(arm: str, geometric: bool = False, share: float = 0.0) -> list[tuple[str, int, list[str]]]:
        cell = Cell(arm, "nano", None if arm == "3d_alone" else "mpii", "h36m", 0, geometric, share)
        built = experiment(study, cell).stages
        return [(s.name, s.budget.samples or 0, [data.dataset for data in s.data]) for s in built]

    assert stages_of("3d_alone") == [("3d", 1000, ["h36m"])]
    assert stages_of("2d3d") == [("2d+3d", 1000, ["mpii", "h36m"])]
    # 125 steps of 8: 30 % is step 37.5, rounded to the even 38.
    assert stages_of("2d_then_3d", share=0.3) == [("2d", 304, ["mpii"]), ("3d", 696, ["h36m"])]
    assert stages_of("2d_then_2d3d", True, 0.3) == [
        ("2d", 304, ["mpii"]),
        ("2d+3d", 592, ["mpii", "h36m"]),
        ("geometric", 104, ["mpii", "h36m"]),
    ]


def test_arms_share_all_but_their_data_and_stages() -> None:
    study = study_of(EVERYTHING)
    plans = [experiment(study, cell) for cell in cells(study) if cell.seed == 0]
    for plan in plans:
        assert replace(plan, name="", stages=()) == replace(plans[0], name="", stages=())
        for stage in plan.stages:
            shared = {name: weight for name, weight in stage.losses.items() if name != "bone_ratio"}
            assert shared == plans[0].stages[0].losses
            assert all(data.use_3d == (data.dataset == "h36m") for data in stage.data)


def test_less_3d_data_is_the_same_people_for_every_arm() -> None:
    study = study_of(replace(EVERYTHING, three_d_limits=(50,)))
    limits = {
        (data.dataset, data.limit)
        for cell in cells(study)
        for stage in experiment(study, cell).stages
        for data in stage.data
    }
    assert limits == {("mpii", None), ("coco", None), ("h36m", 50)}


def test_a_study_may_train_on_another_split() -> None:
    study = study_of(replace(EVERYTHING, two_d=("flic",)), splits={"flic": "full_train"})
    splits = {
        (data.dataset, data.split)
        for cell in cells(study)
        for stage in experiment(study, cell).stages
        for data in stage.data
    }
    assert splits == {("flic", "full_train"), ("h36m", "train")}


def test_unequal_seeds_are_refused() -> None:
    grids = (replace(EVERYTHING, arms=("3d_alone",), seeds=(0, 1, 2)), replace(EVERYTHING, arms=("2d3d",)))
    study = study_of(*grids)
    with pytest.raises(ConfigError, match="give all arms the same seeds"):
        check_matched(study, cells(study))


def test_a_budget_that_was_not_kept_is_refused_beyond_one_step() -> None:
    cell = Cell("3d_alone", "nano", None, "h36m", 0)
    require_budget(cell, spent=100.0, wanted=109.0, step=10.0)
    with pytest.raises(ConfigError, match=r"nano-3d_alone-h36m-seed0 spends 100 .* its budget is 111"):
        require_budget(cell, spent=100.0, wanted=111.0, step=10.0)


def test_unknown_arms_and_backbones_name_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="expected one of 3d_alone, 2d_then_3d"):
        cells(study_of(replace(EVERYTHING, arms=("scratch",))))
    study = study_of(replace(EVERYTHING, backbones=("resnet18",)))
    with pytest.raises(ConfigError, match="expected one of nano"):
        check_matched(study, cells(study))


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


def test_the_record_says_what_the_report_needs() -> None:
    record = study_record(study_of(replace(EVERYTHING, arms=("3d_alone", "2d3d"))))
    assert list(record["arms"]) == ["3d_alone", "2d3d"]
    assert record["baseline"] == "3d_alone"
    assert record["budget_flops"] == {"nano": 1000 * flops_per_sample(tiny.MODEL)}
    json.dumps(record)


def test_a_study_file_is_found_by_name_folder_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "studies" / "mine"
    folder.mkdir(parents=True)
    (folder / "study.py").write_text(
        "from headstart.study import Study\nSTUDY = Study('mine', 'Mine', '?', {}, {}, (), ())\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("mine", str(folder), str(folder / "study.py")):
        assert load_study(name).name == "mine"
    with pytest.raises(ConfigError, match="yours"):
        load_study("yours")
    (folder / "study.py").write_text("STUDY = 3\n")
    with pytest.raises(ConfigError, match="found 3"):
        load_study("mine")
