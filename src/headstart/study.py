"""What a study is made of: arms, cells and grids. A study trains one model in several ways at the same cost.

A study is typed Python: a file ``studies/NAME/study.py`` that sets ``STUDY = Study(...)``. Cells that are compared
share everything but their arm: model, 3D data, loss weights, optimiser, augmentation, evaluation, and the total of
training FLOPs, pre-training included.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Literal

from headstart.augment import AugmentConfig
from headstart.datasets import DATASETS, is_known, splits
from headstart.errors import ConfigError, HeadstartError, first_line, shortened
from headstart.losses import unknown_losses
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser, Schedule
from headstart.protocols import unknown_protocols
from headstart.ranges import Count, out_of_range
from headstart.statistics import SignificanceTest
from headstart.user_modules import last_line


@dataclass(frozen=True)
class Arm:
    """A way to spend the budget: a first stage on 2D data or none, then the main stage, which has 3D data."""

    description: str
    pretrains: bool
    """A first stage on 2D data alone takes ``share_2d`` of the budget."""
    mixes: bool
    """The main stage draws 2D and 3D data; else 3D data alone."""
    share_of_2d_in_mixture: float = 0.5
    """Wherever 2D and 3D data are mixed, this share of the samples is 2D."""
    freeze_stride: int | None = None
    """:attr:`Stage.freeze_stride` after the first stage (32: a whole ResNet). Steps cost less, so there are more."""
    learning_rate_factor: float = 1.0
    """Times the study's learning rate, after the first stage."""

    def __post_init__(self) -> None:
        """Raises :class:`ConfigError` for values that cannot be trained with."""
        if not 0 < self.share_of_2d_in_mixture < 1 or not self.learning_rate_factor > 0:
            raise ConfigError(f"expected share_of_2d_in_mixture above 0 and below 1, a factor above 0; got {self}")


#: Name -> arm. Every arm can end in a geometric stage: 2D and 3D data at a tenth of the learning rate, with the
#: geometric loss on samples without depth labels (3D alone has none: there it shows what the lower rate does).
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
    budget: float = 1.0
    """Times the study's budget for the backbone."""

    @property
    def name(self) -> str:
        """Unique within the study, and a folder's name."""
        parts = [self.backbone, self.arm + ("+geometric" if self.geometric else "")]
        parts += [f"share{self.share_2d:g}"] if self.share_2d else []
        parts += [self.two_d] if self.two_d else []
        parts += [self.three_d + (f"@{self.three_d_limit}" if self.three_d_limit else "")]
        parts += [f"budget{self.budget:g}"] if self.budget != 1 else []
        return "-".join([*parts, f"seed{self.seed}"])


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
    budgets: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it."""

    name: str
    title: str
    question: str
    models: Mapping[str, ModelConfig]
    samples: Mapping[str, int]
    """Model -> training samples that one cell sees; times FLOPs per sample that is the budget of every arm."""
    grids: tuple[Grid, ...]
    tests: tuple[str, ...]
    """Protocols that score every cell, at its end and while it trains."""
    baseline: str = "3d_alone"
    main: str = "2d_then_3d"
    """The arm that the report sets against the baseline first."""
    significance_test: SignificanceTest = "paired"
    """The t-test that compares arms: paired by seed, or Welch's, which has more power where the two arms of a seed
    hardly correlate. Choose it before the first cell is run."""
    roots: Mapping[str, str] = field(default_factory=dict)
    """Data set -> folder, where it is not data/NAME."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Data set -> training split, where it is not the usual one."""
    losses: Mapping[str, float] = field(default_factory=lambda: {"heatmap_cross_entropy": 1.0, "depth_smooth_l1": 20.0})
    """Of every stage of every arm. A sample without a depth label has weight 0 in the losses of depth."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=lambda: Schedule("cosine", warmup=0.05))
    geometric_share: float = 0.1
    """Share of the budget that the geometric stage of a cell takes from the stage before it."""
    geometric_loss: float = 0.1
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: Count = 32
    average_decay: float | None = 0.998
    precision: Literal["no", "bf16", "fp16"] = "no"
    workers: int = 1
    curve_points: Count = 8
    """Validations while a cell trains."""
    curve_people: Count = 100
    """People of each test that are scored at each of these validations."""
    sheets: tuple[str, ...] = ()
    """Protocols whose pictures are kept for the report: only of data sets that may be redistributed."""
    arms: Mapping[str, Arm] = field(default_factory=lambda: ARMS)
    """Name -> arm, for the grids. ``{**ARMS, "mine": Arm(...)}`` adds one."""


def load_study(name: str) -> Study:
    """``studies/NAME/study.py`` below the working directory, or a path to such a file or its folder.

    Raises :class:`ConfigError` if there is no such file or it sets no ``STUDY``, for an exception raised in it (with
    its line), and for a study with unknown names.
    """
    if Path(name).suffix == ".py" and Path(name).name != "study.py":
        raise ConfigError(
            f"study {name!r}: expected a file named study.py; a variant of a study has a folder of its own"
        )
    path = study_folder(name) / "study.py"
    if not path.is_file():
        raise ConfigError(f"study {name!r}: expected {path} to exist, or give the path of a study.py")
    study = getattr(_executed(path), "STUDY", None)
    if not isinstance(study, Study):
        raise ConfigError(f"{path}: expected STUDY = Study(...), found {study!r}")
    try:
        problem = next(_problems(study), None)
    except (TypeError, ValueError, AttributeError) as error:
        problem = f"a field is not of the type that it has in Study: {first_line(error)}"
    if problem:
        raise ConfigError(f"{path}: {problem}")
    return study


def _executed(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"headstart_study_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ConfigError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        line = last_line(error, str(spec.origin))
        kind = "" if isinstance(error, HeadstartError) else f"{type(error).__name__}: "
        where = f"{path}, line {line}" if line else str(path)
        raise ConfigError(f"{where}: {kind}{first_line(error)}") from error
    return module


def study_folder(name: str) -> Path:
    """Where a study's file, results and report lie."""
    given = Path(name)
    if given.suffix == ".py":
        return given.parent
    return given if (given / "study.py").is_file() else Path("studies") / name


def cells(study: Study) -> list[Cell]:
    """All cells, each once, the first seeds first: a study that is stopped early is still balanced."""
    every = itertools.chain.from_iterable(_grid_cells(grid, study.arms) for grid in study.grids)
    return sorted(dict.fromkeys(every), key=lambda cell: cell.seed)


def _grid_cells(grid: Grid, arms: Mapping[str, Arm]) -> Iterable[Cell]:
    axes = ("seeds", "backbones", "three_d", "three_d_limits", "arms", "two_d", "shares_2d", "geometric", "budgets")
    every = itertools.product(*(getattr(grid, axis) for axis in axes))
    for seed, backbone, three_d, limit, name, two_d, share, geometric, budget in every:
        if name not in arms:
            raise ConfigError(f"arm {name!r}: expected one of {', '.join(arms)}")
        arm = arms[name]
        uses_2d = arm.pretrains or arm.mixes
        # Arms that do not use an axis collapse along it: 3D alone is one run, whatever the 2D set.
        own_2d, own_share = two_d if uses_2d else None, share if arm.pretrains else 0.0
        yield Cell(name, backbone, own_2d, three_d, seed, geometric, own_share, limit, budget)


def _problems(study: Study) -> Iterator[str]:
    """What is wrong with the fields of a study, which would otherwise end it after hours, or pass unnoticed."""
    # The form first: a string in place of a tuple would be taken letter by letter.
    yield from _malformed(study, ("grids", "tests", "sheets"))
    for grid in study.grids:
        if not isinstance(grid, Grid):
            yield f"grids: expected Grid(...), got {grid!r}"
        yield from _malformed(grid, [one.name for one in fields(Grid)])
    for name, model in study.models.items():
        if not isinstance(model, ModelConfig):
            yield f"models: expected ModelConfig(...) for {name}, got {model!r}"
        yield from (f"models, {name}, {problem}" for problem in out_of_range(model))
    yield from (f"arms: expected Arm(...) for {n}, got {a!r}" for n, a in study.arms.items() if not isinstance(a, Arm))
    yield from out_of_range(study)
    yield from _unknown_names(study)
    yield from _unsuitable_names(study)
    yield from (f"samples: expected above 0 for {name}, got {n!r}" for name, n in study.samples.items() if not n > 0)


def _malformed(of: Study | Grid, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        value = getattr(of, name)
        if not isinstance(value, (tuple, list)):
            yield f"{name}: expected a tuple, got {shortened(repr(value))}: a comma behind it makes one"
        elif not value and name != "sheets":
            yield f"{name}: expected at least one"


def _unsuitable_names(study: Study) -> Iterator[str]:
    """Names of models and arms that cannot be part of a folder's name, and cells that would share a folder."""
    for part, names in (("models", study.models), ("arms", study.arms)):
        yield from (f"{part}: expected names without / and \\, got {name!r}" for name in names if {*name} & {*"/\\"})
    for name, count in Counter(cell.name for cell in cells(study)).items():
        if count > 1:
            yield f"grids: {count} cells would be named {name}: expected shares and budgets that differ in six digits"


def _unknown_names(study: Study) -> Iterator[str]:
    for grid in study.grids:
        yield from unknown("arms", grid.arms, study.arms, "arms")
        yield from unknown("backbones", grid.backbones, study.models, "its models")
        yield from unknown("backbones", grid.backbones, study.samples, "models that have samples")
        yield from unknown_data_sets("two_d", grid.two_d)
        yield from unknown_data_sets("three_d", grid.three_d)
    yield from unknown("samples", study.samples, study.models, "its models")
    yield from (f"tests: {problem}" for problem in unknown_protocols(study.tests))
    yield from (f"losses: {problem}" for problem in unknown_losses(study.losses))
    used = dict.fromkeys(arm for grid in study.grids for arm in grid.arms)
    for part in ("baseline", "main"):
        yield from unknown(part, (getattr(study, part),), used, "an arm of its grids")
    for part in ("roots", "splits"):
        yield from unknown_data_sets(part, getattr(study, part))
    for name, split in study.splits.items():
        yield from unknown(f"splits of {name}", (split,), splits(name), "one of its splits")


def unknown_data_sets(part: str, names: Iterable[str]) -> Iterator[str]:
    """As :func:`unknown`, of names that are neither data sets of this package nor, with a dot, modules of a user's."""
    return unknown(part, [name for name in names if not is_known(name)], DATASETS, "data sets")


def unknown(part: str, names: Iterable[str], known: Collection[str], what: str) -> Iterator[str]:
    """What to say of names that are not among those known; nothing where all are."""
    if others := [str(name) for name in names if name not in known]:
        yield f"{part}: expected {what} ({', '.join(known)}), got {', '.join(others)}"
