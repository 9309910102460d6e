"""What decides the outcome of a run: an :class:`Experiment` is a model and its stages, as plain typed values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headstart.augment import AugmentConfig
from headstart.budget import Budget
from headstart.errors import ConfigError, first_few
from headstart.loader import Data
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser, Schedule


@dataclass(frozen=True)
class Stage:
    """One stage of training: data, losses, budget."""

    name: str
    data: tuple[Data, ...]
    budget: Budget
    losses: dict[str, float]
    """Loss name (losses.LOSSES) -> weight."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    freeze_batch_norm: bool = False
    freeze_stride: int | None = None
    """The backbone's layers before its maps get coarser than this many input px keep their weights and statistics;
    None: all learn. 4 makes a step on a CPU 1.2 to 1.6 times as fast (``benchmarks/freezing.py``)."""
    input_size: tuple[int, int] | None = None
    """(width, height) px of this stage's crops; None: the model's. Smaller ones first cost a fraction of the compute
    (progressive learning, Tan and Le 2021, section 4.2)."""


@dataclass(frozen=True)
class Validation:
    """A protocol to score during and after training. The first one of an experiment decides which model is best."""

    protocol: str
    root: str
    dataset: str | None = None
    """Data set and split, where they differ from the protocol's own."""
    split: str | None = None
    limit: int | None = None
    """People scored while training (evenly spread); at the end all are scored."""


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the outcome of a run, and the cadence of its reports."""

    name: str
    model: ModelConfig
    stages: tuple[Stage, ...]
    validation: tuple[Validation, ...] = ()
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 32
    """Samples of one step, over all processes."""
    seed: int = 0
    start_from: str | None = None
    """Checkpoint or run folder whose weights to begin with, strictly; "shipped": the model that ships."""
    start_with: Literal["all", "backbone"] = "all"
    """What to take from ``start_from``: "backbone" leaves the head as it is made, so that it may be another one."""
    average_decay: float | None = 0.999
    """Decay of the averaged weights that are evaluated and kept; None: none."""
    flip_test: bool = False
    """While training; the final score follows the protocol."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    channels_last: bool = False
    compile: bool = False
    """torch.compile: worth it on a GPU for runs of more than a few minutes."""
    workers: int = 2
    """Loader processes for each training process."""
    log_samples: int = 1_000
    checkpoint_samples: int = 20_000
    validate_samples: int = 100_000
    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = "tensorboard"


# Fields that do not change what is computed: a run may be resumed with other values.
FREE_FIELDS = ("workers", "log_samples", "checkpoint_samples", "tracker", "validation", "validate_samples")
#: So many are named in a message.
DIFFERENCES = 10
_FIELDS = frozenset(one.name for one in dataclasses.fields(Experiment))


def as_json(experiment: Experiment) -> dict[str, Any]:
    """The resolved configuration as JSON has it (tuples are lists)."""
    return json.loads(json.dumps(dataclasses.asdict(experiment)))


def require_same(saved: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Raises :class:`ConfigError` naming what differs: a resumed run must be the same run.

    But for free fields, and for the folders of its data: their labels are compared (preparation.label_digests).
    """
    different = list(differences(_placeless(saved), _placeless(wanted)))
    if different:
        raise ConfigError(
            f"{path} was made by another configuration: {first_few(different, DIFFERENCES)}. Set what differs as it is"
            " there to go on, or give another --out to begin anew"
        )


def differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """Each value in which two structures of JSON differ: ``augment.scale: 0.25 there, 0.3 here``."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in {**there, **here}:
            inner = f"{name}.{key}" if name else str(key)
            yield from differences(there.get(key), here.get(key), inner)
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for number, (one, other) in enumerate(zip(there, here)):
            yield from differences(one, other, f"{name}.{number}")
    elif there != here:
        yield f"{name}: {_in_short(there)} there, {_in_short(here)} here"


def _placeless(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what may differ."""
    kept = {name: value for name, value in config.items() if name in _FIELDS and name not in FREE_FIELDS}
    kept["stages"] = [
        stage | {"data": [{key: value for key, value in one.items() if key != "root"} for one in stage["data"]]}
        for stage in config["stages"]
    ]
    return kept


def _in_short(value: Any) -> str:
    """A value itself; of structures how large they are."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
        return f"{len(value)} of them"
    return repr(value)
