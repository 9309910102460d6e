"""A study: one model trained in several ways at the same cost, over seeds. It plans and checks; it never trains.

A study is typed Python: a file ``studies/NAME/study.py`` that sets ``STUDY = Study(...)``. Cells that are compared
share everything but their arm: model, 3D data, loss weights, optimiser, augmentation, evaluation, and the total of
training FLOPs, pre-training included.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from headstart.augment import AugmentConfig
from headstart.budget import Budget, matched, training_flops
from headstart.errors import ConfigError
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.optimisation import Optimiser, Schedule
from headstart.protocols import protocol
from headstart.recipes import Sources, train_split
from headstart.results import RunResult
from headstart.train import Experiment, Stage, Validation


@dataclass(frozen=True)
class Arm:
    """A way to spend the budget."""

    description: str
    pretrains: bool
    """A first stage on 2D data alone takes ``share_2d`` of the budget."""
    mixes: bool
    """The other stage draws 2D and 3D data one to one; else 3D data alone."""


#: Name -> arm. Every arm can end in a geometric stage.
ARMS = {
    "3d_alone": Arm("3D data alone, from the start to the end", pretrains=False, mixes=False),
    "2d_then_3d": Arm("2D data first, then 3D data alone", pretrains=True, mixes=False),
    "2d_then_2d3d": Arm("2D data first, then 2D and 3D data one to one", pretrains=True, mixes=True),
    "2d3d": Arm("2D and 3D data one to one from the start", pretrains=False, mixes=True),
}


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    arm: str
    backbone: str
    """Name in :attr:`Study.models`."""
    two_d: str | None
    """2D data set; None for arms that use none."""
    three_d: str
    seed: int
    geometric: bool = False
    share_2d: float = 0.0
    """Share of the budget spent on the first, 2D stage."""
    three_d_limit: int | None = None
    """People of the 3D training set that are used; None: all."""

    @property
    def name(self) -> str:
        """Unique within the study, and a folder's name."""
        parts = [self.backbone, self.arm + ("+geometric" if self.geometric else "")]
        parts += [f"share{self.share_2d:g}"] if self.share_2d else []
        parts += [self.two_d] if self.two_d else []
        parts += [self.three_d + (f"@{self.three_d_limit}" if self.three_d_limit else ""), f"seed{self.seed}"]
        return "-".join(parts)


@dataclass(frozen=True)
class Grid:
    """Every combination of what stands here. A study is a union of grids, so that it need not run all of everything."""

    arms: tuple[str, ...]
    backbones: tuple[str, ...]
    two_d: tuple[str, ...]
    three_d: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    shares_2d: tuple[float, ...] = (0.5,)
    geometric: tuple[bool, ...] = (False,)
    three_d_limits: tuple[int | None, ...] = (None,)


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it."""

    name: str
    title: str
    question: str
    models: Mapping[str, ModelConfig]
    samples: Mapping[str, int]
    """Model -> training samples that one cell sees; times FLOPs a sample that is the budget of every arm."""
    grids: tuple[Grid, ...]
    tests: tuple[str, ...]
    """Protocols that score every cell at its end and along its way."""
    baseline: str = "3d_alone"
    main: str = "2d_then_3d"
    """The arm that the report sets against the baseline first."""
    roots: Mapping[str, str] = field(default_factory=dict)
    """Data set -> folder, where it is not data/NAME."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Data set -> training split, where it is not the usual one."""
    losses: Mapping[str, float] = field(default_factory=lambda: {"heatmap_cross_entropy": 1.0, "depth_smooth_l1": 20.0})
    """Of every stage of every arm: what a 2D sample has no label for weighs nothing."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=lambda: Schedule("cosine", warmup=0.05))
    geometric_share: float = 0.1
    """Of the budget, taken from the last stage, where a cell has the geometric stage."""
    geometric_loss: float = 0.1
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 32
    average_decay: float | None = 0.998
    precision: str = "no"
    channels_last: bool = True
    workers: int = 1
    curve_points: int = 8
    """Validations along a cell's way."""
    curve_people: int = 100
    """People of each test that a point of the curves is made of."""
    sheets: tuple[str, ...] = ()
    """Protocols of which pictures are kept for the report; only sets whose pictures may be passed on."""


def load_study(name: str) -> Study:
    """``studies/NAME/study.py`` below the working directory, or a path to such a file or its folder.

    Raises :class:`ConfigError` if there is none or it sets no ``STUDY``.
    """
    path = study_folder(name) / "study.py"
    if not path.is_file():
        raise ConfigError(f"study {name!r}: expected {path} to exist, or give the path of a study.py")
    spec = importlib.util.spec_from_file_location(f"headstart_study_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise ConfigError(f"{path}: expected STUDY = Study(...), found {study!r}")
    return study


def study_folder(name: str) -> Path:
    """Where a study's file, results and report lie."""
    given = Path(name)
    if given.suffix == ".py":
        return given.parent
    return given if (given / "study.py").is_file() else Path("studies") / name


def cells(study: Study) -> list[Cell]:
    """All cells, each once, the first seeds first: a study that is stopped early is still balanced."""
    every = itertools.chain.from_iterable(_grid_cells(grid) for grid in study.grids)
    return sorted(dict.fromkeys(every), key=lambda cell: cell.seed)


def _grid_cells(grid: Grid) -> Iterable[Cell]:
    axes = (
        grid.seeds,
        grid.backbones,
        grid.three_d,
        grid.three_d_limits,
        grid.arms,
        grid.two_d,
        grid.shares_2d,
        grid.geometric,
    )
    for seed, backbone, three_d, limit, name, two_d, share, geometric in itertools.product(*axes):
        if name not in ARMS:
            raise ConfigError(f"arm {name!r}: expected one of {', '.join(ARMS)}")
        arm = ARMS[name]
        uses_2d = arm.pretrains or arm.mixes
        # Arms that do not use an axis collapse along it: 3D alone is one run, whatever the 2D set.
        yield Cell(
            name,
            backbone,
            two_d if uses_2d else None,
            three_d,
            seed,
            geometric,
            share if arm.pretrains else 0.0,
            limit,
        )


@cache
def flops_per_sample(model: ModelConfig) -> float:
    """Training FLOPs of one sample (forward and backward)."""
    return training_flops(PoseNet(replace(model, weights=None)), model.input_size)


@cache
def _timed(model: ModelConfig, batch_size: int, threads: int) -> float:
    import torch

    network = PoseNet(replace(model, weights=None)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device)
    width, height = model.input_size
    image = torch.zeros(batch_size, 3, height, width, dtype=torch.uint8, device=device)
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
    return min(times) / batch_size


def seconds_per_sample(model: ModelConfig, study: Study, threads: int) -> float:
    """Measured on this machine with a few steps of random images: what ``plan`` tells hours from."""
    return _timed(model, study.batch_size, threads)


def model_of(study: Study, cell: Cell) -> ModelConfig:
    """The network of a cell; raises :class:`ConfigError` naming the models there are."""
    if cell.backbone not in study.models:
        raise ConfigError(f"backbone {cell.backbone!r}: expected one of {', '.join(study.models)}")
    return study.models[cell.backbone]


def budget_flops(study: Study, cell: Cell) -> float:
    """Training FLOPs that a cell may spend, all stages together."""
    return study.samples[cell.backbone] * flops_per_sample(model_of(study, cell))


def experiment(study: Study, cell: Cell, roots: Mapping[str, str] | None = None) -> Experiment:
    """What :func:`headstart.train.run` is to do for a cell; ``roots`` overrides the study's data folders."""
    sources = Sources(roots={**study.roots, **(roots or {})})
    validation = tuple(
        Validation(name, sources.root(protocol(name).dataset), limit=study.curve_people) for name in study.tests
    )
    total = study.samples[cell.backbone]
    return Experiment(
        name=cell.name,
        model=model_of(study, cell),
        stages=_stages(study, cell, sources),
        validation=validation,
        augment=study.augment,
        batch_size=study.batch_size,
        seed=cell.seed,
        average_decay=study.average_decay,
        precision=study.precision,  # type: ignore[arg-type]
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
        Stage(
            "geometric",
            last,
            _unset,
            {**losses, "bone_ratio": study.geometric_loss},
            replace(study.optimiser, learning_rate=study.optimiser.learning_rate / 10),
            Schedule("constant"),
        ),
    ]
    shares = (cell.share_2d, 1 - cell.share_2d - geometric, geometric)
    steps = split_steps(round(study.samples[cell.backbone] / study.batch_size), shares)
    return tuple(
        replace(stage, budget=Budget(samples=count * study.batch_size)) for stage, count in zip(parts, steps) if count
    )


_unset = Budget(samples=1)


def split_steps(total: int, shares: Sequence[float]) -> list[int]:
    """Steps of each stage: they add up to ``total`` exactly, so that no arm gains a step by rounding."""
    if abs(sum(shares) - 1) > 1e-9 or min(shares) < 0:
        raise ConfigError(f"shares of the budget: expected parts of 1, got {', '.join(f'{s:g}' for s in shares)}")
    ends = [round(total * end) for end in itertools.accumulate(shares)]
    return [end - start for start, end in zip([0, *ends], ends)]


def check_matched(study: Study, planned: Sequence[Cell]) -> None:
    """Raises :class:`ConfigError` for a table that would be unfair.

    Within one backbone, 3D set and amount of 3D data, every arm must have the same seeds, and every cell must spend
    the same FLOPs to within one step; losses, optimiser, augmentation and batch size must agree.
    """
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in planned:
        groups.setdefault((cell.backbone, cell.three_d, cell.three_d_limit), []).append(cell)
    for group in groups.values():
        _require_same_seeds(group)
        step = study.batch_size * flops_per_sample(model_of(study, group[0]))
        for cell in group:
            planned_flops = sum(_samples(stage) for stage in experiment(study, cell).stages) * step / study.batch_size
            require_budget(cell, planned_flops, budget_flops(study, cell), step)


def require_budget(cell: Cell, spent: float, wanted: float, step: float) -> None:
    """Raises :class:`ConfigError` if a cell's FLOPs differ from its budget by more than one step's."""
    if not matched(spent, wanted, step):
        raise ConfigError(
            f"cell {cell.name} spends {spent:.6g} training FLOPs, its budget is {wanted:.6g}: the comparison would"
            " be unfair. Delete its results and run it again"
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


def cell_record(study: Study, cell: Cell) -> dict[str, Any]:
    """What stands in ``cell.json`` beside a result: enough for a report that never imports torch."""
    return {
        "study": study.name,
        "cell": cell.name,
        **asdict(cell),
        "budget_flops": budget_flops(study, cell),
        "flops_per_sample": flops_per_sample(model_of(study, cell)),
        "batch_size": study.batch_size,
        "settings": _settings_digest(study),
    }


def _settings_digest(study: Study) -> str:
    """Of all that the cells of a study share, so that results of different settings never stand in one table."""
    shared = [asdict(study.optimiser), asdict(study.schedule), asdict(study.augment), dict(study.losses)]
    rest = [study.batch_size, study.average_decay, study.geometric_share, study.geometric_loss, study.precision]
    return hashlib.sha256(json.dumps([*shared, *rest], sort_keys=True).encode()).hexdigest()[:12]


def study_record(study: Study) -> dict[str, Any]:
    """What stands in ``study.json``."""
    used = {cell.arm for cell in cells(study)}
    return {
        "name": study.name,
        "title": study.title,
        "question": study.question,
        "arms": {name: arm.description for name, arm in ARMS.items() if name in used},
        "baseline": study.baseline,
        "main": study.main,
        "protocols": list(study.tests),
        "budget_flops": {
            name: samples * flops_per_sample(study.models[name]) for name, samples in study.samples.items()
        },
    }


def finished(results: Path, record: Mapping[str, Any]) -> RunResult | None:
    """The result of a cell if it is done; ``record`` is its :func:`cell_record`.

    Raises :class:`ConfigError` if what lies there was made by another plan: its numbers belong to another study.
    """
    folder = results / str(record["cell"])
    if not (folder / "result.json").is_file():
        return None
    saved = json.loads((folder / "cell.json").read_text())
    different = [name for name, value in record.items() if saved.get(name) != value]
    if different:
        raise ConfigError(
            f"{folder}: made by another plan ({', '.join(f'{n} {saved.get(n)} != {record[n]}' for n in different)}):"
            " delete the folder, or choose another --out"
        )
    return RunResult.load(folder / "result.json")
