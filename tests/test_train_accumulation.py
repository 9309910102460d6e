"""Gradient accumulation: a step in micro batches is the step of its whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from torch import nn

from headstart import train
from headstart.checkpoint import load_checkpoint
from headstart.errors import ConfigError, Interrupted, TrainingError
from headstart.experiment import Experiment
from headstart.interruption import signals
from headstart.loader import micro_batch_size_of
from headstart.models.pose_net import PoseNet
from headstart.optimisation import Optimiser, Schedule
from headstart.results import RunResult
from headstart.train import run
from tiny import BOTH, MODEL, experiment, stage_2d, three_stages

#: One step moves each weight by its gradient.
BARE = Optimiser("sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0, clip_norm=None)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(out / "last.safetensors").tensors


def gradients(one: Experiment, out: Path) -> dict[str, torch.Tensor]:
    """Of the first step of an experiment without averaged weights, which begins with the network of seed 0."""
    run(one, out)
    torch.manual_seed(0)
    before, after = PoseNet(MODEL), weights(out)
    return {name: parameter.detach() - after[f"model.{name}"] for name, parameter in before.named_parameters()}


def logged(result: RunResult) -> list[dict[str, Any]]:
    return [
        {n: v for n, v in row.items() if n not in ("images_per_second", "waiting_for_data")} for row in result.history
    ]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_gradient_is_that_of_the_whole_batch(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path, size: int
) -> None:
    """Of six people with 2D labels alone and with both, so each part has other counts of labels of each loss.

    Known trap: losses averaged over the labels of each micro batch, then over the micro batches.
    """
    geometric = three_stages(stick_people_2d, stick_people_3d, 6)[2]
    stage = replace(geometric, optimiser=BARE, schedule=Schedule("constant"), freeze_batch_norm=True)
    whole = experiment(stage, batch_size=6, average_decay=None)
    expected = gradients(whole, tmp_path / "whole")
    found = gradients(replace(whole, micro_batch_size=size), tmp_path / "parts")
    assert max(gradient.abs().max() for gradient in expected.values()) > 0.05
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")


def test_what_is_counted_and_logged_is_that_of_the_whole_batch(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path
) -> None:
    """Steps, samples, FLOPs, rates of the schedule, intervals and losses, over two stages and an uneven end."""
    plain = {"optimiser": Optimiser("sgd", 0.05), "schedule": Schedule("cosine", warmup=0.3), "freeze_batch_norm": True}
    stages = [replace(stage, **plain) for stage in three_stages(stick_people_2d, stick_people_3d, 28)[1:]]  # type: ignore[arg-type]
    whole = experiment(*stages, batch_size=6, log_samples=12)
    results = [run(replace(whole, micro_batch_size=size), tmp_path / str(size)) for size in (None, 2)]
    one, other = map(logged, results)
    assert [row["step"] for row in one] == [2, 4, 5] * 2
    assert {"loss", *BOTH, "bone_ratio", "learning_rate"} <= one[-1].keys()
    for first, second in zip(one, other, strict=True):
        assert second == {n: v if n == "stage" else pytest.approx(v, rel=1e-4, abs=1e-9) for n, v in first.items()}
    costs = [[(cost.steps, cost.samples, cost.flops) for cost in result.stages] for result in results]
    assert costs[0] == costs[1]
    assert costs[0][0][:2] == (5, 30)


def test_batch_norm_sees_the_small_batches(stick_people_2d: Path, tmp_path: Path) -> None:
    run(experiment(stage_2d(stick_people_2d, 12), micro_batch_size=1), tmp_path)
    counted = {int(t) for n, t in weights(tmp_path).items() if n.startswith("model.") and "num_batches" in n}
    assert counted == {12}


def test_a_resumed_run_in_micro_batches_ends_bit_for_bit_as_one_never_stopped(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = three_stages(stick_people_2d, stick_people_3d, 24)[:2]
    whole = experiment(*stages, batch_size=6, micro_batch_size=2)
    run(whole, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(train, "signals", lambda: _signal_in(step=6))
        with pytest.raises(Interrupted, match="stopped at step 2 of 2d\\+3d"):
            run(whole, tmp_path / "parts")
    with pytest.raises(ConfigError, match="another configuration: micro_batch_size: 2 there, 3 here"):
        run(replace(whole, micro_batch_size=3), tmp_path / "parts", resume=True)
    run(whole, tmp_path / "parts", resume=True)
    one, other = (weights(tmp_path / name) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@contextmanager
def _signal_in(step: int) -> Iterator[Any]:
    with signals():
        asked = iter(range(1, 1000))
        yield lambda: next(asked) >= step


def test_processes_average_gradients_once_a_step(
    stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All micro batches but the last of a step are computed where accelerate leaves gradients alone."""
    left_alone: list[bool] = []
    forward, apart = PoseNet.forward, []

    @contextmanager
    def no_sync(_: Any, model: nn.Module) -> Iterator[None]:
        apart.append(model)
        yield
        apart.pop()

    def noted(self: PoseNet, image: torch.Tensor) -> Any:
        if image.device.type == "cpu" and len(image) == 1:
            left_alone.append(bool(apart))
        return forward(self, image)

    monkeypatch.setattr(accelerate.Accelerator, "no_sync", no_sync)
    monkeypatch.setattr(PoseNet, "forward", noted)
    run(experiment(stage_2d(stick_people_2d, 8), micro_batch_size=1), tmp_path)
    assert left_alone == [True, True, True, False] * 2


def test_a_loss_that_is_not_finite_names_the_step_whose_micro_batch_it_was(
    stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fifth of two a step, whose other one is finite."""
    honest, calls = train.losses.total, []

    def total(*args: Any) -> Any:
        calls.append(1)
        loss, parts = honest(*args)
        return loss * (float("nan") if len(calls) == 5 else 1), parts

    monkeypatch.setattr(train.losses, "total", total)
    with pytest.raises(TrainingError, match="loss is not finite at step 3 of stage 2d"):
        run(experiment(stage_2d(stick_people_2d, 40), micro_batch_size=2, log_samples=40), tmp_path)


@pytest.mark.parametrize(
    ("size", "processes", "says"),
    [
        (8, 4, "6, the part that each of 4 processes has of batch_size 24, got 8"),
        (24, 2, "12, the part that each of 2 processes has of batch_size 24, got 24"),
    ],
)
def test_a_size_that_does_not_divide_what_a_process_has(size: int, processes: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        micro_batch_size_of(24, size, processes)
    assert str(caught.value) == f"micro_batch_size: expected a divisor of {says}"
    assert micro_batch_size_of(24, None, processes) == 24 // processes
    assert micro_batch_size_of(24, 3, processes) == 3


# --- another rate for the backbone ---


def test_the_backbone_learns_at_a_rate_of_its_own(stick_people_2d: Path, tmp_path: Path) -> None:
    """One bare step: a tenth of the movement for the backbone, the same for the head, and the head's rate is logged."""
    moved = {}
    for factor in (1.0, 0.1):
        optimiser = replace(BARE, backbone_factor=factor)
        one = experiment(stage_2d(stick_people_2d, 4, optimiser=optimiser), average_decay=None)
        moved[factor] = gradients(one, tmp_path / str(factor))
    for name, step in moved[1.0].items():
        wanted = step * (0.1 if name.startswith("backbone.") else 1)
        torch.testing.assert_close(moved[0.1][name], wanted, rtol=1e-3, atol=1e-6)
    result = RunResult.load(tmp_path / "0.1" / "result.json")
    assert [row["learning_rate"] for row in result.history] == [1.0]


@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_a_run_with_a_rate_for_the_backbone_and_one_of_before_are_resumed(
    stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """Bit for bit. Checkpoints of earlier versions lack the new fields."""
    stage = stage_2d(stick_people_2d, 24, optimiser=Optimiser(backbone_factor=factor))
    run(experiment(stage), tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(train, "signals", lambda: _signal_in(step=3))
        with pytest.raises(Interrupted):
            run(experiment(stage), tmp_path / "parts")
    if factor == 1:
        _as_of_before(tmp_path / "parts" / "last.safetensors")
    run(experiment(stage), tmp_path / "parts", resume=True)
    one, other = (weights(tmp_path / name) for name in ("whole", "parts"))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def _as_of_before(path: Path) -> None:
    """Take the fields that are new out of a checkpoint's configuration."""
    saved = load_checkpoint(path)
    del saved.header["config"]["micro_batch_size"], saved.header["config"]["stages"][0]["optimiser"]["backbone_factor"]
    train.save_checkpoint(path, saved.tensors, saved.header)
