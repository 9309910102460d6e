"""What ``headstart study plan`` prints: the cells of a study, their FLOPs, and how long they train."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.study import Cell, Study


def seconds_of(
    plan: Study, cells: Sequence[Cell], threads: int, flops_per_second: float | None = None
) -> dict[str, float]:
    """Seconds that a sample trains, by backbone: at the given rate, else measured here, with progress on stderr."""
    from headstart.display import ProgressDisplay
    from headstart.study_plan import flops_per_sample, seconds_per_sample

    used = {cell.backbone: plan.models[cell.backbone] for cell in cells}
    if flops_per_second:
        return {name: flops_per_sample(model) / flops_per_second for name, model in used.items()}
    found = {}
    with ProgressDisplay("measuring the speed of training", len(used), "networks", interval=0) as display:
        for number, (name, model) in enumerate(used.items()):
            display.update(number, name)
            found[name] = seconds_per_sample(model, plan, threads)
    return found


def rows_of(
    plan: Study,
    cells: Sequence[Cell],
    seconds: Mapping[str, float],
    trained: Collection[Cell],
    missing: Collection[Cell],
) -> list[dict[str, Any]]:
    """One row a cell, as JSON stores it; ``hours`` are of training alone."""
    from headstart.study_plan import budget_flops, planned_samples, samples_of

    return [
        {
            "cell": cell.name,
            "samples": planned_samples(plan, cell),
            "flops": budget_flops(plan, cell),
            "hours": seconds[cell.backbone] * samples_of(plan, cell) / 3600,
            "trained": cell in trained,
            "finished": cell not in missing,
        }
        for cell in cells
    ]


def print_json(plan: Study, rows: Sequence[Mapping[str, Any]], jobs: int) -> None:
    """For other programs, such as a job array."""
    print(json.dumps({"study": plan.name, "cells": rows, "hours_left": _hours_left(rows) / jobs}))


def print_table(
    plan: Study, rows: Sequence[Mapping[str, Any]], seconds: Mapping[str, float], where: str, jobs: int
) -> None:
    """For people. ``where``: what the seconds hold for, in words."""
    from headstart.study_plan import flops_per_sample

    print(f"{plan.title}\n{plan.question}\n")
    width = max(len(row["cell"]) for row in rows)
    for row in rows:
        state = "to be scored" if row["trained"] else f"{row['hours'] * 60:.1f} min"
        state = "finished" if row["finished"] else state
        print(f"  {row['cell']:<{width}} {row['samples']:>9,} samples {row['flops']:.3g} FLOPs  {state}")
    for name, of_sample in seconds.items():
        flops = flops_per_sample(plan.models[name])
        print(f"{name}: {flops:.3g} FLOPs and {of_sample * 1000:.3g} ms a sample {where}")
    finished, left = sum(row["finished"] for row in rows), _hours_left(rows) / jobs
    print(f"{len(rows)} cells, {finished} finished; about {left:.1f} hours of training left with --jobs {jobs}")
    print(_not_in_the_times(plan))


def _hours_left(rows: Sequence[Mapping[str, Any]]) -> float:
    return float(sum(row["hours"] for row in rows if not row["trained"]))


def _not_in_the_times(plan: Study) -> str:
    """What a cell does besides training, which is most of the time of a small one."""
    times = (
        f"{plan.curve_points} times while it trains (at most {plan.curve_people} people per test), and once at the end"
        " (all people)"
    )
    return (
        "The times are of training alone. In addition, each cell starts up (some seconds) and scores"
        f" {', '.join(plan.tests)} {times}."
    )
