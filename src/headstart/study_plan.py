"""From a cell of a study to the experiment that it runs, at a budget that is equal for all; nothing is trained here."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from headstart.budget import Budget, training_flops
from headstart.errors import ConfigError
from headstart.experiment import Experiment, Stage, Validation, require_trainable
from headstart.memory import keep_freed_memory
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.optimisation import Schedule
from headstart.protocols import protocol
from headstart.sources import Sources, train_split
from headstart.study import ARMS, Cell, Study, model_of, samples_of

#: Pictures of a step that is timed on a CPU.
_TIMED_PICTURES = 8


@cache
def flops_per_sample(model: ModelConfig) -> float:
    """Training FLOPs of one sample (forward and backward)."""
    return training_flops(PoseNet(replace(model, weights=None)), model.input_size)


def seconds_per_sample(model: ModelConfig, study: Study, threads: int) -> float:
    """Measured on this machine with a few steps of random images: what ``plan`` tells hours from."""
    network = PoseNet(replace(model, weights=None)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device)
    width, height = model.input_size
    pictures = study.batch_size
    if device == "cpu":
        # As the run will; and a large network's whole batch would take minutes to say what a few pictures tell.
        keep_freed_memory()
        pictures = min(pictures, _TIMED_PICTURES)
    image = torch.zeros(pictures, 3, height, width, dtype=torch.uint8, device=device)
    torch.set_num_threads(threads)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        output = network(image)
        maps = output.coordinates if output.heatmaps is None else output.heatmaps
        assert maps is not None
        maps.float().square().mean().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return min(times) / pictures


def budget_flops(study: Study, cell: Cell) -> float:
    """Training FLOPs that a cell may spend, all stages together."""
    return samples_of(study, cell) * flops_per_sample(model_of(study, cell))


def experiment(study: Study, cell: Cell, roots: Mapping[str, str] | None = None) -> Experiment:
    """What :func:`headstart.train.run` is to do for a cell; ``roots`` overrides the study's data folders."""
    sources = Sources(roots={**study.roots, **(roots or {})})
    validation = tuple(
        Validation(name, sources.root(protocol(name).dataset), limit=study.curve_people) for name in study.tests
    )
    total = samples_of(study, cell)
    return Experiment(
        name=cell.name,
        model=model_of(study, cell),
        stages=_stages(study, cell, sources),
        validation=validation,
        augment=study.augment,
        batch_size=study.batch_size,
        seed=cell.seed,
        average_decay=study.average_decay,
        precision=study.precision,
        channels_last=study.channels_last,
        workers=study.workers,
        log_samples=max(total // 50, study.batch_size),
        checkpoint_samples=max(total // 10, study.batch_size),
        validate_samples=max(total // study.curve_points, study.batch_size),
        tracker="none",
    )


def _stages(study: Study, cell: Cell, sources: Sources) -> tuple[Stage, ...]:
    arm, losses = ARMS[cell.arm], dict(study.losses)
    split = {name: study.splits.get(name, train_split(name)) for name in (cell.two_d, cell.three_d) if name}
    three_d = tuple(
        replace(data, split=split[data.dataset], limit=cell.three_d_limit) for data in sources.data((cell.three_d,))
    )
    names = (cell.two_d,) if cell.two_d else ()
    two_d = tuple(replace(data, split=split[data.dataset]) for data in sources.data(names, use_3d=False))
    last = (*two_d, *three_d) if arm.mixes else three_d
    geometric = study.geometric_share if cell.geometric else 0.0
    parts = [
        Stage("2d", two_d, _unset, losses, study.optimiser, study.schedule),
        Stage("2d+3d" if arm.mixes else "3d", last, _unset, losses, study.optimiser, study.schedule),
        # The geometric loss speaks of pictures without depth labels, so that these come back where they had gone.
        Stage(
            "geometric",
            (*two_d, *three_d),
            _unset,
            {**losses, "bone_ratio": study.geometric_loss},
            replace(study.optimiser, learning_rate=study.optimiser.learning_rate / 10),
            Schedule("constant"),
        ),
    ]
    shares = (cell.share_2d, 1 - cell.share_2d - geometric, geometric)
    steps = split_steps(round(samples_of(study, cell) / study.batch_size), shares)
    return tuple(
        replace(stage, budget=Budget(samples=count * study.batch_size)) for stage, count in zip(parts, steps) if count
    )


_unset = Budget(samples=1)


def split_steps(total: int, shares: Sequence[float]) -> list[int]:
    """Steps of each stage: they add up to ``total`` exactly, so that no arm gains a step by rounding.

    Raises :class:`ConfigError` for shares that are not parts of 1.
    """
    # 1 - 0.9 - 0.1 is -3e-17.
    if abs(sum(shares) - 1) > 1e-9 or min(shares) < -1e-9:
        raise ConfigError(f"shares of the budget: expected parts of 1, got {', '.join(f'{s:g}' for s in shares)}")
    ends = [round(total * end) for end in itertools.accumulate(shares)]
    return [end - start for start, end in zip([0, *ends], ends)]


def check_matched(study: Study, planned: Sequence[Cell]) -> None:
    """Raises :class:`ConfigError` for a table that would be unfair.

    Each cell must have values that can be trained with. Within one backbone, 3D set, amount of 3D data and budget,
    every arm must have the same seeds, and every cell must spend the same FLOPs to within one step; losses,
    optimiser, augmentation and batch size must agree. Pictures are of tests, or they could not be made once all is
    trained.
    """
    if others := [name for name in study.sheets if name not in study.tests]:
        raise ConfigError(f"study {study.name}: sheets: expected some of its tests, got {', '.join(others)}")
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in planned:
        groups.setdefault((cell.backbone, cell.three_d, cell.three_d_limit, cell.budget), []).append(cell)
    for group in groups.values():
        _require_same_seeds(group)
        step = study.batch_size * flops_per_sample(model_of(study, group[0]))
        for cell in group:
            run = experiment(study, cell)
            require_trainable(run)
            planned_flops = sum(_samples(stage) for stage in run.stages) * step / study.batch_size
            require_budget(cell, planned_flops, budget_flops(study, cell), step)


def require_budget(cell: Cell, spent: float, wanted: float, step: float) -> None:
    """Raises :class:`ConfigError` if a cell's FLOPs differ from its budget by more than one step's."""
    if abs(spent - wanted) > step:
        raise ConfigError(
            f"cell {cell.name} spends {spent:.6g} training FLOPs, its budget is {wanted:.6g}: the comparison would"
            " be unfair. Delete its results and its working folder, and run it again"
        )


def _samples(stage: Stage) -> int:
    assert stage.budget.samples is not None
    return stage.budget.samples


def _require_same_seeds(group: Sequence[Cell]) -> None:
    seeds: dict[Cell, set[int]] = {}
    for cell in group:
        seeds.setdefault(replace(cell, seed=0), set()).add(cell.seed)
    reference = next(iter(seeds.values()))
    for cell, own in seeds.items():
        if own != reference:
            raise ConfigError(
                f"cells like {cell.name} have seeds {sorted(own)}, others they are compared with have"
                f" {sorted(reference)}: give all arms the same seeds"
            )
