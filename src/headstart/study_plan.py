"""Turns a cell of a study into the experiment that it runs, with equal budgets for all arms; nothing is trained."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch

from headstart.budget import Budget, training_flops
from headstart.devices import default_device
from headstart.errors import ConfigError
from headstart.experiment import Experiment, Stage, Validation, require_trainable
from headstart.loader import Data
from headstart.memory import keep_freed_memory
from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.freezing import freeze_to_stride
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.optimisation import Schedule
from headstart.protocols import protocol
from headstart.sources import Sources, train_split
from headstart.study import Cell, Study

#: Pictures of a step that is timed on a CPU.
_TIMED_PICTURES = 8
#: Steps that are timed, and the seconds that they may take together where a first small one says how long they are.
_TIMED_STEPS, _TIMED_SECONDS = 3, 10.0
#: What mixed precision computes in.
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def model_of(study: Study, cell: Cell) -> ModelConfig:
    """The network of a cell; raises :class:`ConfigError` naming the models there are."""
    if cell.backbone not in study.models:
        raise ConfigError(f"backbone {cell.backbone!r}: expected one of {', '.join(study.models)}")
    return study.models[cell.backbone]


def samples_of(study: Study, cell: Cell) -> int:
    """The budget of a cell in samples that train all layers; raises :class:`ConfigError` for one that is not above 0.

    An arm that freezes layers sees more samples, which cost less each (:func:`planned_samples`).
    """
    if not 0 < cell.budget < float("inf"):
        raise ConfigError(f"cell {cell.name}: expected a budget above 0, got {cell.budget}")
    return round(study.samples[cell.backbone] * cell.budget)


def flops_per_sample(model: ModelConfig, freeze_stride: int | None = None) -> float:
    """Training FLOPs of one sample (forward and backward); layers that a stage freezes have no backward pass."""
    return _counted(model, freeze_stride)  # once for each network: a cache takes f(a) and f(a, None) for two


@cache
def _counted(model: ModelConfig, freeze_stride: int | None) -> float:
    network = PoseNet(replace(model, weights="random"))
    freeze_to_stride(network, freeze_stride)
    return training_flops(network, model.input_size)


def seconds_per_sample(model: ModelConfig, study: Study, threads: int) -> float:
    """Of forward and backward in the study's precision, measured on this machine with black images, for ``plan``.

    Takes some ten seconds at most, or one step of two images where that alone takes longer.
    """
    device = default_device()
    network = PoseNet(replace(model, weights="random")).to(device)
    if device == "cpu" and study.precision == "bf16":
        keep_depthwise_in_float32(network)
    width, height = model.input_size
    pictures = study.batch_size
    if device == "cpu":
        # As in the run. A few pictures give the rate of a whole batch, which takes minutes with a large network.
        keep_freed_memory()
        pictures = min(pictures, _TIMED_PICTURES)
    image = torch.zeros(pictures, height, width, 3, dtype=torch.uint8, device=device).permute(0, 3, 1, 2)
    torch.set_num_threads(threads)
    # Two images first, as batch norm wants more than one value per channel. A large network on a busy machine takes so
    # long for them that more would not change the estimate.
    spent = _step_seconds(network, image[:2], study.precision)
    rates = [spent / len(image[:2])]
    while len(rates) <= _TIMED_STEPS and spent + rates[-1] * pictures < _TIMED_SECONDS:
        seconds = _step_seconds(network, image, study.precision)
        rates.append(seconds / pictures)
        spent += seconds
    return min(rates)


def _step_seconds(network: PoseNet, image: torch.Tensor, precision: str) -> float:
    began = time.perf_counter()
    with torch.autocast(image.device.type, _AUTOCAST.get(precision), enabled=precision in _AUTOCAST):
        output = network(image)
    maps = output.coordinates if output.heatmaps is None else output.heatmaps
    assert maps is not None
    maps.float().square().mean().backward()
    if image.device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - began


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
        workers=study.workers,
        log_samples=max(total // 50, study.batch_size),
        checkpoint_samples=max(total // 10, study.batch_size),
        validate_samples=max(total // study.curve_points, study.batch_size),
        tracker="none",
    )


def _stages(study: Study, cell: Cell, sources: Sources) -> tuple[Stage, ...]:
    arm, losses = study.arms[cell.arm], dict(study.losses)
    split = {name: study.splits.get(name, train_split(name)) for name in (cell.two_d, cell.three_d) if name}
    three_d = tuple(
        replace(data, split=split[data.dataset], limit=cell.three_d_limit) for data in sources.data((cell.three_d,))
    )
    names = (cell.two_d,) if cell.two_d else ()
    two_d = tuple(replace(data, split=split[data.dataset]) for data in sources.data(names, use_3d=False))
    mixed = _mixture(two_d, three_d, arm.share_of_2d_in_mixture)
    geometric = study.geometric_share if cell.geometric else 0.0
    rate = study.optimiser.learning_rate * arm.learning_rate_factor
    main = Stage(
        "2d+3d" if arm.mixes else "3d",
        mixed if arm.mixes else three_d,
        _unset,
        losses,
        replace(study.optimiser, learning_rate=rate),
        study.schedule,
        freeze_stride=arm.freeze_stride,
    )
    parts = [
        Stage("2d", two_d, _unset, losses, study.optimiser, study.schedule),
        main,
        # The geometric loss acts on pictures without depth labels, so this stage has the 2D data again.
        replace(
            main,
            name="geometric",
            data=mixed,
            losses={**losses, "bone_ratio": study.geometric_loss},
            optimiser=replace(study.optimiser, learning_rate=rate / 10),
            schedule=Schedule("constant"),
        ),
    ]
    shares = (cell.share_2d, 1 - cell.share_2d - geometric, geometric)
    model = model_of(study, cell)
    costs = [flops_per_sample(model, stage.freeze_stride) / flops_per_sample(model) for stage in parts]
    steps = split_steps(round(samples_of(study, cell) / study.batch_size), shares, costs)
    for stage, share, count in zip(parts, shares, steps):
        if share > 1e-9 and not count:
            raise ConfigError(
                f"cell {cell.name}: stage {stage.name} has no step: expected more samples, or another share"
            )
    return tuple(
        replace(stage, budget=Budget(samples=count * study.batch_size)) for stage, count in zip(parts, steps) if count
    )


_unset = Budget(samples=1)


def _mixture(two_d: tuple[Data, ...], three_d: tuple[Data, ...], share_2d: float) -> tuple[Data, ...]:
    """Both, of whose samples ``share_2d`` are 2D; the weights of equal shares are 1."""
    if not two_d:
        return three_d
    weights = [2 * share_2d] * len(two_d) + [2 * (1 - share_2d)] * len(three_d)
    return tuple(replace(data, weight=weight) for data, weight in zip((*two_d, *three_d), weights))


def split_steps(total: int, shares: Sequence[float], costs: Sequence[float] | None = None) -> list[int]:
    """Steps of each stage, for ``total`` steps that train all layers: no arm gains a step by rounding.

    ``costs``: what a step of each stage costs, by which their numbers are divided; 1 if it trains all layers. Where all
    cost 1, the steps add up to ``total`` exactly; else to within half of the last stage's step.

    Raises :class:`ConfigError` for shares that are not parts of 1.
    """
    # 1 - 0.9 - 0.1 is -3e-17.
    if abs(sum(shares) - 1) > 1e-9 or min(shares) < -1e-9:
        raise ConfigError(f"shares of the budget: expected parts of 1, got {', '.join(f'{s:g}' for s in shares)}")
    counts, spent = [], 0.0
    for end, cost in zip(itertools.accumulate(shares), costs or [1.0] * len(shares)):
        counts.append(round((round(total * end) - spent) / cost))
        spent += counts[-1] * cost
    return counts


def planned_samples(study: Study, cell: Cell) -> int:
    """Training samples that a cell sees; more than :func:`samples_of` where its arm freezes layers."""
    if study.arms[cell.arm].freeze_stride is None:
        return samples_of(study, cell)
    return sum(map(_samples, experiment(study, cell).stages))


def check_matched(study: Study, planned: Sequence[Cell]) -> None:
    """Raises :class:`ConfigError` for cells whose comparison would be unfair.

    Each cell must have values that can be trained with. Within one backbone, 3D set, amount of 3D data and budget,
    every arm must have the same seeds, and every cell must spend the same FLOPs to within one step; losses,
    optimiser, augmentation and batch size must agree. ``sheets`` must name tests of the study.
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
            model = model_of(study, cell)
            spent = sum(_samples(stage) * flops_per_sample(model, stage.freeze_stride) for stage in run.stages)
            require_budget(cell, spent, budget_flops(study, cell), step)


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
