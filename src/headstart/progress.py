"""Where a run is and how far its stage goes, how fast it is, what it has cost so far, and what trackers hear of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from headstart.budget import Budget
from headstart.experiment import Stage
from headstart.protocols import METRICS, PROTOCOLS
from headstart.results import StageCost


@dataclass
class Progress:
    """Where a run is; saved in every checkpoint."""

    stage: int = 0
    step: int = 0
    """Steps done in this stage."""
    seconds: float = 0.0
    """Spent training in this stage."""
    updates: int = 0
    """Steps done in all stages."""
    best: float | None = None
    best_of: str = ""
    """What scored it: the first validation of the experiment."""
    unreadable: list[str] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    def row(self, stage: Stage, batch_size: int) -> dict[str, Any]:
        """How every row of the history begins."""
        return {"stage": stage.name, "step": self.step, "samples": self.step * batch_size}

    def end_stage(
        self, stage: Stage, people: list[int], labels: list[str], batch_size: int, flops_per_sample: float
    ) -> None:
        """Note what the stage has cost, on whom and which labels, and stand at the beginning of the next one."""
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
        """The goal that spends a budget; whole steps, unless it is in seconds."""
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
        """The same as a share of ``total``."""
        return self.at(progress) / self.total

    def reached(self, progress: Progress) -> bool:
        """Whether the stage is at its end."""
        return self.share(progress) >= 1


class Meter:
    """Speed of training since it was last read, and how much of that time went into waiting for data."""

    def __init__(self, samples: int) -> None:
        self.samples, self.began, self.waited = samples, time.perf_counter(), 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what waits for data."""
        began = time.perf_counter()
        yield
        self.waited += time.perf_counter() - began

    def read(self, samples: int) -> tuple[float, float]:
        """Samples a second and the share of waiting since the last time, now that ``samples`` are done."""
        now = time.perf_counter()
        elapsed = max(now - self.began, 1e-9)
        rate, waiting = (samples - self.samples) / elapsed, self.waited / elapsed
        self.samples, self.began, self.waited = samples, now, 0.0
        return rate, waiting


#: Units of losses, by name; squares of errors in maps have none.
_LOSS_UNITS = {
    "heatmap_cross_entropy": "nats",
    "depth_smooth_l1": "crop widths",
    "depth_l1": "crop widths",
    "integral_l1": "crop widths",
    "bone_ratio": "crop widths squared",
}


def scalars(row: dict[str, Any], units: bool = False) -> dict[str, float]:
    """What trackers can plot; names are grouped by stage, and end in their unit with ``units``: ``[mm]``."""
    numbers = {name: value for name, value in row.items() if isinstance(value, (int, float)) and name != "step"}
    return {f"{row['stage']}/{_tag(name) if units else name}": float(value) for name, value in numbers.items()}


def _tag(name: str) -> str:
    """A loss, or the protocol of a score with its metric, and the unit: ``synthetic_wild MPJPE [mm]``."""
    if name in PROTOCOLS:
        facts = METRICS[PROTOCOLS[name].metric]
        return f"{name} {facts.title} [{facts.unit}]"
    return f"{name} [{_LOSS_UNITS[name]}]" if name in _LOSS_UNITS else name
