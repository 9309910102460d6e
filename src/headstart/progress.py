"""Where a run is, where its stage ends, what is due at a step, speed, cost so far, and what trackers are sent."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from accelerate import Accelerator
from torch import Tensor

from headstart.budget import Budget
from headstart.experiment import Experiment, Stage
from headstart.protocols import METRICS, PROTOCOLS, is_own, protocol
from headstart.ranges import values
from headstart.results import StageCost

#: From one checkpoint to the next, where no number of samples is given: what a crash costs at most.
CHECKPOINT_SECONDS = 300.0


@dataclass
class Progress:
    """Where a run is; saved in every checkpoint."""

    stage: int = 0
    step: int = 0
    """Steps done in this stage."""
    seconds: float = 0.0
    """Spent training in this stage, without validations and checkpoints."""
    updates: int = 0
    """Steps done in all stages."""
    best: float | None = None
    best_of: str = ""
    """What gave that score: the first validation of the experiment."""
    unreadable: list[str] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    def row(self, stage: Stage, batch_size: int) -> dict[str, Any]:
        """The first entries of every row of the history."""
        return {"stage": stage.name, "step": self.step, "samples": self.step * batch_size}

    def end_stage(
        self, stage: Stage, people: list[int], labels: list[str], batch_size: int, flops_per_sample: float
    ) -> None:
        """Add the stage's cost, people and labels (of each of its data sets), and go to the start of the next stage."""
        samples = self.step * batch_size
        cost = StageCost(stage.name, self.step, samples, samples * flops_per_sample, self.seconds, people, labels)
        self.costs.append(asdict(cost))
        self.stage, self.step, self.seconds = self.stage + 1, 0, 0.0


@dataclass(frozen=True)
class Goal:
    """Where a stage ends: after so many images, or after so many seconds of training."""

    total: float
    unit: Literal["images", "s"]
    batch_size: int

    @classmethod
    def of(cls, budget: Budget, batch_size: int, epoch_length: int, flops_per_sample: float) -> Goal:
        """The goal of a budget, rounded to whole steps unless it is in seconds."""
        steps = budget.steps(batch_size, epoch_length, flops_per_sample)
        if steps is not None:
            return cls(steps * batch_size, "images", batch_size)
        assert budget.seconds is not None
        return cls(budget.seconds, "s", batch_size)

    @property
    def timed(self) -> bool:
        """Whether the clock ends the stage."""
        return self.unit == "s"

    def at(self, progress: Progress) -> float:
        """How much of ``total`` is done."""
        return progress.seconds if self.timed else progress.step * self.batch_size

    def share(self, progress: Progress) -> float:
        """The share of ``total`` that is done; above 1 where more was done than it says now."""
        return self.at(progress) / self.total

    def reached(self, progress: Progress) -> bool:
        """Whether the stage is at its end."""
        return self.share(progress) >= 1


@dataclass(frozen=True)
class Intervals:
    """Steps from one log to the next, from one checkpoint to the next, and from one validation to the next."""

    log: int
    checkpoint: int | None
    """None: :data:`CHECKPOINT_SECONDS` from one to the next, whatever the steps."""
    validate: int

    @classmethod
    def of(cls, experiment: Experiment) -> Intervals:
        """The intervals of an experiment, which are in samples: rounded down to whole steps, at least one."""

        def steps(samples: int) -> int:
            return max(samples // experiment.batch_size, 1)

        saved = experiment.checkpoint_samples
        return cls(steps(experiment.log_samples), saved and steps(saved), steps(experiment.validate_samples))

    def due(self, step: int, finished: bool, saved_at: float) -> set[str]:
        """Which of the three are due after ``step`` steps of a stage; all of them when it is ``finished``.

        ``saved_at``: seconds of the monotonic clock at the last checkpoint. Processes agree on the other two alone.
        """
        if finished:
            return set(asdict(self))
        due = {name for name, interval in asdict(self).items() if interval and step % interval == 0}
        overdue = self.checkpoint is None and time.monotonic() - saved_at >= CHECKPOINT_SECONDS
        return due | {"checkpoint"} if overdue else due


class Meter:
    """Speed of training since it was last read, and how much of that time went into waiting for data.

    ``samples`` and ``seconds`` of training are those of the stage so far.
    """

    def __init__(self, samples: int, seconds: float) -> None:
        self.samples, self.seconds, self.waited = samples, seconds, 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside this context as waiting for data."""
        began = time.perf_counter()
        yield
        self.waited += time.perf_counter() - began

    def read(self, samples: int, seconds: float) -> dict[str, float]:
        """Samples a second, and the share of the time spent waiting, since the last reading: entries of a row."""
        elapsed = max(seconds - self.seconds, 1e-9)
        rate, waiting = (samples - self.samples) / elapsed, self.waited / elapsed
        self.samples, self.seconds, self.waited = samples, seconds, 0.0
        return {"images_per_second": rate, "waiting_for_data": waiting}


class Averages:
    """Means of scalars over the steps since they were last read; a resumed run begins with none.

    The sums stay on their device, so adding to them does not wait for it.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Count one step; each one has the same names."""
        self.sums = {name: value + self.sums[name] if self.steps else value for name, value in values.items()}
        self.steps += 1

    def read(self) -> dict[str, Tensor]:
        """The mean of each, as new tensors."""
        means = {name: total / self.steps for name, total in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means


#: Units of losses, by name; squares of errors in maps have none.
_LOSS_UNITS = {
    "heatmap_cross_entropy": "nats",
    "depth_smooth_l1": "crop widths",
    "depth_l1": "crop widths",
    "integral_l1": "crop widths",
    "bone_ratio": "crop widths squared",
}


#: Signs that MLflow refuses in names.
_NOT_IN_MLFLOW = re.compile(r"[^\w.\- :/]+")


def scalars(row: dict[str, Any], tracker: str = "none") -> dict[str, float]:
    """The numbers of a row, for a tracker: ``2d+3d/depth_l1``, by stage, but scores as ``val/h36m_standard``.

    In TensorBoard names end in a unit, and those of scores in their metric: ``val/h36m_standard MPJPE [mm]``. For
    MLflow they have a ``_`` where it refuses a sign: ``2d_3d/depth_l1``.
    """
    numbers = {name: value for name, value in row.items() if isinstance(value, (int, float)) and name != "step"}
    scored = "loss" not in row  # the names of users' losses could be those of protocols
    named = {_tag(name, row["stage"], tracker == "tensorboard", scored): float(n) for name, n in numbers.items()}
    return {_NOT_IN_MLFLOW.sub("_", name): n for name, n in named.items()} if tracker == "mlflow" else named


def start_tracker(accelerator: Accelerator, experiment: Experiment, out: Path) -> None:
    """Start the experiment's tracker, with every field of the configuration by its name on the command line.

    TensorBoard writes to ``logs`` in the run's folder ``out``. W&B and MLflow call the run as its folder is called, in
    a project (experiment) "headstart".
    """
    fields = {
        name: value if isinstance(value, (bool, int, float)) else str(value) for name, value in values(experiment)
    }
    if experiment.tracker == "tensorboard":
        accelerator.init_trackers("logs", fields)
    else:
        name = {"wandb": "name", "mlflow": "run_name"}[experiment.tracker]
        accelerator.init_trackers("headstart", fields, {experiment.tracker: {name: out.resolve().name}})


@contextmanager
def tracked_to_its_end(accelerator: Accelerator) -> Iterator[None]:
    """End the tracker's record of a run that raises: the next run of this process could not start (MLflow), or would
    go on with that record (W&B, where it counts as failed)."""
    try:
        yield
    except BaseException:
        for tracker in accelerator.trackers if accelerator.is_main_process else ():
            if tracker.name == "wandb":
                tracker.run.finish(exit_code=1)
            else:
                tracker.finish()
        raise


def _tag(name: str, stage: str, units: bool, scored: bool) -> str:
    """A loss, or a score by its name of :func:`~headstart.validation.names_of`, as a tracker shows it."""
    scored_by = name.partition(" ")[0]
    if scored_by in PROTOCOLS or (scored and is_own(scored_by)):
        facts = METRICS[protocol(scored_by).metric]
        return f"val/{name} {facts.title} [{facts.unit}]" if units else f"val/{name}"
    return f"{stage}/{name} [{_LOSS_UNITS[name]}]" if units and name in _LOSS_UNITS else f"{stage}/{name}"


def added(sums: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The sum of each scalar by name; ``sums`` is empty at first."""
    return {name: value + sums[name] if sums else value for name, value in values.items()}
