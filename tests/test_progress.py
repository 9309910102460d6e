"""Where a run is, where its stage ends, what is due, how fast it goes: by hand."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from headstart.budget import Budget
from headstart.errors import Interrupted
from headstart.experiment import Stage
from headstart.losses import LOSSES
from headstart.progress import (
    _LOSS_UNITS,
    Averages,
    Goal,
    Intervals,
    Meter,
    Progress,
    scalars,
    start_tracker,
    tracked_to_its_end,
)
from headstart.protocols import PROTOCOLS
from tiny import experiment, stage_2d

ALL = {"log", "checkpoint", "validate"}
STAGE = Stage("2d", (), Budget(samples=32), {})


class TestProgress:
    def test_a_row_begins_with_where_it_is(self):
        assert list(Progress(stage=1, step=3, updates=11).row(STAGE, 4).items()) == [
            ("stage", "2d"),
            ("step", 3),
            ("samples", 12),
        ]

    def test_the_end_of_a_stage_is_paid_and_the_beginning_of_the_next_one(self):
        paid = {"name": "3d", "steps": 1, "samples": 4, "flops": 4e6, "seconds": 1.0, "people": [5]}
        progress = Progress(stage=1, step=3, seconds=2.5, updates=11, best=70.0, costs=[paid])
        progress.end_stage(STAGE, [20, 16], ["ab", "cd"], 4, 1e6)
        own = {"name": "2d", "steps": 3, "samples": 12, "flops": 12e6, "seconds": 2.5, "people": [20, 16]}
        own |= {"labels": ["ab", "cd"]}
        assert progress == Progress(stage=2, updates=11, best=70.0, costs=[paid, own])


class TestGoal:
    @pytest.mark.parametrize(
        ("budget", "images"),
        [(Budget(samples=14), 16), (Budget(epochs=0.6), 12), (Budget(flops=7.9e9), 8), (Budget(flops=1.0), 4)],
    )
    def test_whole_steps(self, budget: Budget, images: int):
        """Of 4 samples of 1 GFLOP; an epoch is 20 people."""
        goal = Goal.of(budget, 4, 20, 1e9)
        assert (goal.total, goal.unit, goal.timed) == (images, "images", False)
        before, at = Progress(step=images // 4 - 1, seconds=1e9), Progress(step=images // 4)
        assert (goal.at(before), goal.share(before)) == (images - 4, (images - 4) / images)
        assert (goal.reached(before), goal.reached(at)) == (False, True)

    def test_seconds(self):
        goal = Goal.of(Budget(seconds=8.0), 4, 20, 1e9)
        assert (goal.total, goal.unit, goal.timed) == (8.0, "s", True)
        before, at = Progress(step=1000, seconds=7.0), Progress(seconds=8.0)
        assert (goal.at(before), goal.share(before)) == (7.0, 0.875)
        assert (goal.reached(before), goal.reached(at)) == (False, True)

    def test_passed(self):
        """A resumed run may find that what it has done was more than it should."""
        assert Goal.of(Budget(samples=16), 4, 20, 1e9).reached(Progress(step=6))


class TestIntervals:
    def test_whole_steps_rounded_down_and_at_least_one(self):
        fields = {"log_samples": 3, "checkpoint_samples": 15, "validate_samples": 16}
        assert Intervals.of(experiment(batch_size=4, **fields)) == Intervals(log=1, checkpoint=3, validate=4)

    def test_what_is_due_at_each_step(self):
        intervals = Intervals(log=2, checkpoint=3, validate=4)
        due = [intervals.due(step, finished=False, saved_at=-1e9) for step in range(1, 9)]
        log, save = {"log"}, {"checkpoint"}
        assert due == [set(), log, save, {"log", "validate"}, set(), log | save, set(), {"log", "validate"}]
        assert intervals.due(12, finished=False, saved_at=0) == ALL

    def test_all_is_due_at_the_end_of_a_stage(self):
        assert Intervals(log=2, checkpoint=3, validate=4).due(5, finished=True, saved_at=0) == ALL
        assert Intervals(log=2, checkpoint=None, validate=4).due(5, finished=True, saved_at=0) == ALL

    def test_checkpoints_are_due_by_the_clock_where_no_samples_are_given(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
        intervals = Intervals.of(experiment(batch_size=4, log_samples=8, checkpoint_samples=None, validate_samples=12))
        assert intervals == Intervals(log=2, checkpoint=None, validate=3)
        assert [intervals.due(1, False, saved_at) for saved_at in (700.5, 700.0, 100.0)] == [
            set(),
            {"checkpoint"},
            {"checkpoint"},
        ]
        assert intervals.due(6, False, 700.0) == ALL
        assert intervals.due(6, False, 999.0) == {"log", "validate"}


class TestTracker:
    @pytest.mark.parametrize(
        ("tracker", "project", "named"),
        [
            ("tensorboard", "logs", ()),
            ("wandb", "headstart", ({"wandb": {"name": "first"}},)),
            ("mlflow", "headstart", ({"mlflow": {"run_name": "first"}},)),
        ],
    )
    def test_a_run_is_named_and_every_field_has_a_value_to_filter_by(
        self, tmp_path: Path, tracker: Any, project: str, named: tuple[Any, ...]
    ):
        started: list[Any] = []
        accelerator: Any = SimpleNamespace(init_trackers=lambda *given: started.append(given))
        start_tracker(accelerator, experiment(stage_2d(tmp_path), tracker=tracker), tmp_path / "first")
        ((title, fields, *rest),) = started
        assert (title, tuple(rest)) == (project, named)
        chosen = ("batch_size", "stages.0.optimiser.learning_rate", "stages.0.losses.heatmap_cross_entropy")
        assert [fields[name] for name in chosen] == [4, 3e-3, 1.0]
        assert (fields["precision"], fields["micro_batch_size"], fields["model.input_size.0"]) == ("no", "None", 64)
        # What TensorBoard takes.
        assert {type(value) for value in fields.values()} <= {bool, int, float, str}

    @pytest.mark.parametrize(
        ("tracker", "main", "ended"), [("wandb", True, [1]), ("mlflow", True, [0]), ("wandb", False, [])]
    )
    def test_a_run_that_raises_ends_its_record(self, tracker: str, main: bool, ended: list[int]):
        """W&B gave the next run of the process the same record, and MLflow refused to start it."""
        codes: list[int] = []

        def finish(exit_code: int = 0) -> None:
            codes.append(exit_code)

        one = SimpleNamespace(name=tracker, finish=finish, run=SimpleNamespace(finish=finish))
        accelerator: Any = SimpleNamespace(trackers=[one], is_main_process=main)
        with tracked_to_its_end(accelerator):
            pass
        assert codes == []
        with pytest.raises(Interrupted), tracked_to_its_end(accelerator):
            raise Interrupted("stopped")
        assert codes == ended


class TestMeter:
    def test_speed_and_waiting_since_the_last_reading(self, monkeypatch: pytest.MonkeyPatch):
        """32 samples in 8 s of training, of which two waits of 1 s; then 8 in 4 s with one wait of 2 s."""
        clock = iter([11.0, 12.0, 13.0, 14.0, 19.0, 21.0])
        monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
        meter = Meter(100, 10.0)
        for _ in range(2):
            with meter.waiting():
                pass
        assert meter.read(132, 18.0) == {"images_per_second": 4.0, "waiting_for_data": 0.25}
        with meter.waiting():
            pass
        assert meter.read(140, 22.0) == {"images_per_second": 2.0, "waiting_for_data": 0.5}

    def test_a_clock_that_stands_still(self):
        assert list(Meter(0, 10.0).read(1, 10.0).values()) == [pytest.approx(1e9), 0.0]


class TestAverages:
    def test_of_the_steps_since_the_last_reading(self):
        averages = Averages()
        for loss, part in ((4.0, 1.0), (5.0, 0.0), (9.0, 2.0)):
            averages.add({"loss": torch.tensor(loss), "part": torch.tensor(part)})
        assert averages.read() == {"loss": 6.0, "part": 1.0}
        averages.add({"loss": torch.tensor(7.0), "part": torch.tensor(3.0)})
        assert averages.read() == {"loss": 7.0, "part": 3.0}

    def test_nothing_that_was_given_is_changed(self):
        """Neither by adding nor by what becomes of the means: processes reduce them in place."""
        averages, given = Averages(), [torch.tensor(4.0), torch.tensor(5.0)]
        averages.add({"loss": given[0]})
        averages.read()["loss"] += 1
        for one in given:
            averages.add({"loss": one})
        averages.read()["loss"] += 1
        assert given == [4.0, 5.0]


def test_trackers_hear_of_numbers_by_stage_and_of_scores_across_stages():
    row = {"stage": "2d", "step": 3, "samples": 12, "loss": 0.5, "note": "text"}
    assert scalars(row) == {"2d/samples": 12.0, "2d/loss": 0.5}
    row = {"stage": "2d", "step": 3, "samples": 12, "h36m_standard": 90.0, "lsp_pck on my_lab.office val": 50.0}
    assert scalars(row) == {"2d/samples": 12.0, "val/h36m_standard": 90.0, "val/lsp_pck on my_lab.office val": 50.0}


@pytest.mark.parametrize("name", ["my_lab.wing", "my_lab.losses:wing"])
def test_a_loss_of_ones_own_is_no_protocol(name: str):
    row = {"stage": "2d", "step": 3, "loss": 1.0, name: 0.5}
    assert scalars(row) == scalars(row, "tensorboard") == {"2d/loss": 1.0, f"2d/{name}": 0.5}


def test_names_for_a_tracker_end_in_their_unit_where_there_is_one():
    row = {"stage": "2d+3d", "step": 3, "learning_rate": 0.1, "heatmap_mse": 1.0, "heatmap_cross_entropy": 2.0}
    row |= {"depth_l1": 3.0, "synthetic_wild": 120.0, "lsp_extended_pck": 60.0}
    row |= {"lsp_extended_pck on mylab.lab val": 55.0, "lsp_extended_pck (validation.2)": 50.0}
    assert list(scalars(row, "tensorboard")) == [
        "2d+3d/learning_rate",
        "2d+3d/heatmap_mse",
        "2d+3d/heatmap_cross_entropy [nats]",
        "2d+3d/depth_l1 [crop widths]",
        "val/synthetic_wild MPJPE [mm]",
        "val/lsp_extended_pck PCK [%]",
        "val/lsp_extended_pck on mylab.lab val PCK [%]",
        "val/lsp_extended_pck (validation.2) PCK [%]",
    ]
    assert list(scalars(row).values()) == list(scalars(row, "tensorboard").values())


def test_mlflow_gets_names_that_it_takes():
    """It ended a run at the first loss of a stage "2d+3d", and at the score of a second folder of one data set."""
    row = {"stage": "2d+3d", "step": 3, "loss": 1.0, "my_lab.losses:wing": 2.0}
    assert scalars(row, "mlflow") == {"2d_3d/loss": 1.0, "2d_3d/my_lab.losses:wing": 2.0}
    row = {"stage": "3d", "h36m_standard": 3.0, "lsp_pck on my_lab.office-1 val (validation.1)": 4.0}
    names = ["val/h36m_standard", "val/lsp_pck on my_lab.office-1 val _validation.1_"]
    assert list(scalars(row, "mlflow")) == names


def test_the_score_of_a_users_protocol_has_a_unit_too(monkeypatch: pytest.MonkeyPatch):
    module = ModuleType("my_lab")
    module.__file__ = "my_lab.py"
    module.PROTOCOLS = (replace(PROTOCOLS["h36m_standard"], name="all"),)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_lab", module)
    row = {"stage": "3d", "my_lab:all": 1.0, "my_lab:all on my_lab.office val": 2.0}
    assert list(scalars(row, "tensorboard")) == [
        "val/my_lab:all MPJPE [mm]",
        "val/my_lab:all on my_lab.office val MPJPE [mm]",
    ]


def test_every_unit_is_that_of_a_loss():
    assert set(_LOSS_UNITS) <= set(LOSSES)
