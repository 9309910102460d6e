"""Where a run is, what it has cost so far, and what trackers hear of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.experiment import Stage
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


def stage_cost(stage: Stage, progress: Progress, batch_size: int, flops_per_sample: float) -> StageCost:
    """What the stage has cost so far."""
    samples = progress.step * batch_size
    return StageCost(stage.name, progress.step, samples, samples * flops_per_sample, progress.seconds)


def scalars(row: dict[str, Any]) -> dict[str, float]:
    """What trackers can plot; names are grouped by stage."""
    numbers = {name: value for name, value in row.items() if isinstance(value, (int, float))}
    return {f"{row['stage']}/{name}": float(value) for name, value in numbers.items() if name != "step"}
