"""What decides the outcome of a run: an :class:`Experiment` is a model and its stages, as plain typed values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from headstart.augment import AugmentConfig
from headstart.budget import Budget
from headstart.errors import ConfigError, first_few, shortened
from headstart.loader import Data
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser, Schedule
from headstart.ranges import FROM_0, Count, From0, Share, number_range, out_of_range


@dataclass(frozen=True)
class Stage:
    """One stage of training: data, losses, budget."""

    name: str
    data: tuple[Data, ...]
    budget: Budget
    losses: dict[str, From0]
    """The weight of each loss, by its name in losses.LOSSES or module:function; others are not computed."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    freeze_batch_norm: bool = False
    freeze_stride: Count | None = None
    """The backbone's layers before its maps get coarser than this many input px keep their weights and statistics;
    None: all learn. 4 makes a step on a CPU 1.2 to 1.6 times as fast (``benchmarks/freezing.py``)."""
    input_size: tuple[Count, Count] | None = None
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
    limit: Count | None = None
    """At most this many people are scored while training (evenly spread); at the end all are."""


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the outcome of a run, and how often it reports, saves and validates."""

    name: str
    model: ModelConfig
    stages: tuple[Stage, ...]
    validation: tuple[Validation, ...] = ()
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: Count = 32
    """Samples of one step, over all processes."""
    micro_batch_size: Count | None = None
    """Gradient accumulation: samples that each process takes at a time, to need less memory. A step is that of the
    whole batch, but batch norm sees the small ones. None: all at once."""
    seed: Annotated[int, number_range("0 to 2**63 - 1", lambda value: 0 <= value < 2**63)] = 0
    start_from: str | None = None
    """Checkpoint or run folder with the first weights; "shipped": the model that ships. All of them must fit, but
    ``model.skeleton`` may have joints more, which begin untrained."""
    start_with: Literal["all", "backbone"] = "all"
    """What to take from ``start_from``; with "backbone" the head is new, and may be of another kind."""
    average_decay: Share | None = 0.999
    """Decay of the averaged weights, which are what is scored and kept; None: no averaging."""
    flip_test: bool = False
    """Average with the mirrored image in scores while training; the final score follows the protocol."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    compile: bool = False
    """torch.compile: worth it on a GPU for runs of more than a few minutes."""
    workers: Annotated[int, FROM_0] = 2
    """Loader processes for each training process."""
    log_samples: Count = 1_000
    checkpoint_samples: Count | None = None
    """None: a checkpoint every five minutes."""
    validate_samples: Count = 100_000
    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = "tensorboard"


# Fields that do not change what is computed: a run may be resumed with other values.
FREE_FIELDS = ("workers", "log_samples", "checkpoint_samples", "tracker", "validation", "validate_samples")
#: At most this many differences are named in a message.
DIFFERENCES = 10
_FIELDS = frozenset(one.name for one in dataclasses.fields(Experiment))


def as_json(experiment: Experiment) -> dict[str, Any]:
    """The configuration as JSON stores it (tuples are lists)."""
    return json.loads(json.dumps(dataclasses.asdict(experiment)))


def from_json(config: Any) -> Experiment:
    """What :func:`as_json` wrote. Fields that it lacks get their defaults; ``channels_last``, of old runs, is left out.

    Raises :class:`ConfigError` for an unknown field, a missing one without default, and a value of another type.
    """
    known = {k: v for k, v in config.items() if k != "channels_last"} if isinstance(config, dict) else config
    return _read(Experiment, known, "")


def _read(kind: Any, value: Any, name: str) -> Any:
    """The value of the field ``name`` as its type: JSON has lists for tuples and objects for configurations."""
    origin, inner = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _read_fields(kind, value, name)
    if origin in (Union, UnionType):  # all of them are "X | None"
        return None if value is None else _read(inner[0], value, name)
    if origin is tuple and isinstance(value, list) and (inner[-1] is ... or len(inner) == len(value)):
        return tuple(_read(inner[0], part, f"{name}.{number}") for number, part in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _read(inner[1], part, f"{name}.{key}") for key, part in value.items()}
    if type(value) is kind or (kind is float and type(value) is int) or (origin is Literal and value in inner):
        return value
    expected = kind.__name__ if isinstance(kind, type) else str(kind).removeprefix("typing.")
    raise ConfigError(f"{name or 'configuration'}: expected {expected}, got {shortened(repr(value))}")


def _read_fields(kind: Any, values: dict[str, Any], name: str) -> Any:
    types, prefix = get_type_hints(kind), f"{name}." if name else ""
    if unknown := [one for one in values if one not in types]:
        raise ConfigError(f"{prefix}{unknown[0]}: this version of headstart has no such field")
    needed = [one.name for one in dataclasses.fields(kind) if one.default is one.default_factory is dataclasses.MISSING]
    if missing := [one for one in needed if one not in values]:
        raise ConfigError(f"{prefix}{missing[0]}: expected a value, found none")
    return kind(**{field: _read(types[field], value, prefix + field) for field, value in values.items()})


def require_trainable(experiment: Experiment) -> None:
    """Raises :class:`ConfigError` for a value that cannot be trained with, or with which nothing would be learnt.

    The message names the field as the command line does. What needs the network is tried by validation.rehearse_stages.
    """
    if problem := next(_problems(experiment), None):
        raise ConfigError(problem)


def _problems(experiment: Experiment) -> Iterator[str]:
    yield from out_of_range(experiment)
    if experiment.batch_size % (size := experiment.micro_batch_size or 1):
        yield f"micro_batch_size: expected a divisor of batch_size {experiment.batch_size}, got {size}"
    if not experiment.stages:
        yield "stages: expected at least one"
    for number, stage in enumerate(experiment.stages):
        if not any(one.weight for one in stage.data):
            yield f"stages.{number}.data: expected a data set with a weight > 0"
        if not any(stage.losses.values()):
            yield f"stages.{number}.losses: expected a loss with a weight > 0"


def require_same(saved: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """Raises :class:`ConfigError` naming what differs: a resumed run must be the same run.

    Free fields may differ, and so may the folders of its data: their labels are compared (safeguards.label_digests).
    """
    different = list(differences(_placeless(saved), _placeless(wanted)))
    if different:
        raise ConfigError(
            f"{path} was made by another configuration: {first_few(different, DIFFERENCES)}. Set what differs as it is"
            " there to go on, or give another --out to begin anew"
        )


def differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """Each value in which two JSON structures differ: ``augment.scale: 0.25 there, 0.3 here``. ``name``: of both."""
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
    """A configuration without what may differ in a resumed run."""
    kept = {name: value for name, value in config.items() if name in _FIELDS and name not in FREE_FIELDS}
    kept["stages"] = [
        stage | {"data": [{key: value for key, value in one.items() if key != "root"} for one in stage["data"]]}
        for stage in config["stages"]
    ]
    return kept


def _in_short(value: Any) -> str:
    """A value itself; of nested structures only the length."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value)):
        return f"{len(value)} of them"
    return repr(value)
