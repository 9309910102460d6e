"""Variants as lines and points of a figure: the mean over seeds, and one standard deviation to both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.plots import Series
from headstart.report.cells import Study, Variant
from headstart.report.comparison import arm_and_stage
from headstart.report.compute import Band
from headstart.statistics import Summary


def series_of_band(study: Study, variant: Variant, band: Band, stage_starts: Sequence[int]) -> Series:
    """Along the compute of its curves."""
    return _series(study, variant, band.compute, band.mean, band.std, stage_starts)


def series_of_summaries(study: Study, variant: Variant, summaries: Sequence[Summary | None]) -> Series:
    """At the places 0, 1, 2 ... of the summaries that are there; no bar for a single seed."""
    there = {place: one for place, one in enumerate(summaries) if one is not None}
    means = np.array([one.mean for one in there.values()])
    stds = np.array([one.std if one.n > 1 else 0.0 for one in there.values()])
    return _series(study, variant, list(there), means, stds)


def _series(
    study: Study,
    variant: Variant,
    x: ArrayLike,
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    stage_starts: Sequence[int] = (),
) -> Series:
    label, role = arm_and_stage(variant), _role(study, variant.arm)
    return Series(label, role, x, mean, mean - std, mean + std, stage_starts)


def _role(study: Study, arm: str) -> int:
    """Place of an arm in the palette: 0 for the baseline, 1 for the main arm."""
    order = [study.baseline, study.main, *(arm for arm in study.arms if arm not in (study.baseline, study.main))]
    return order.index(arm) if arm in order else len(order)
