"""The compute that an error needs: when a curve reaches it, ratios between arms, and bands over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.results import Better
from headstart.statistics import Interval, SignificanceTest, difference


@dataclass(frozen=True)
class Reached:
    """When a curve first reaches a target."""

    compute: float | None
    """None where it never did within its budget: unknown, not infinite."""
    before_first: bool = False
    """Whether its very first point had already reached it: ``compute`` is then an upper bound."""


@dataclass(frozen=True)
class ComputeRatio:
    """Compute of the second arm over that of the first, to one error: above 1, the first needs less."""

    n: int
    """Seeds in which both arms reached the target: the only ones in ``ratio``."""
    ratio: float
    """Geometric mean; NaN for n = 0."""
    interval: Interval
    """That of the difference between the logarithms, carried back; the ratio itself where it is always the same."""
    first_missing: int
    """Seeds in which the first arm did not reach it."""
    second_missing: int
    first_early: bool
    """Whether the first arm was there before its first point in some seed: its compute is then an upper bound."""
    second_early: bool
    """The same of the second arm."""

    @property
    def bound(self) -> str:
        """``at least``, ``at most``, or "": a ratio of two upper bounds is no bound, nor is one of two known values."""
        if self.first_early == self.second_early:
            return ""
        return "at least" if self.first_early else "at most"


def compute_to_reach(compute: ArrayLike, values: ArrayLike, target: float, better: Better = "lower") -> Reached:
    """Compute (n,), rising, at which values (n,) first reach ``target``.

    Between two points the value is taken as linear in the logarithm of compute. Nothing is extrapolated: a curve that
    ends short of the target has not reached it.
    """
    spent, errors = np.asarray(compute, np.float64), np.asarray(values, np.float64)
    if better == "higher":
        errors, target = -errors, -target
    there = np.flatnonzero(errors <= target)
    if not len(there):
        return Reached(None)
    first = int(there[0])
    if first == 0:
        return Reached(float(spent[0]), before_first=True)
    way = (errors[first - 1] - target) / (errors[first - 1] - errors[first])
    logarithm = np.log(spent[first - 1]) + way * np.log(spent[first] / spent[first - 1])
    return Reached(float(np.exp(logarithm)))


def compute_ratio(
    first: Sequence[Reached], second: Sequence[Reached], test: SignificanceTest = "paired"
) -> ComputeRatio:
    """How many times the compute of ``first`` the arm ``second`` needs, over the seeds in which both reached it.

    The interval is that of ``test``.
    """
    both = [(ours, theirs) for ours, theirs in zip(first, second, strict=True) if ours.compute and theirs.compute]
    ratio, interval = float("nan"), Interval(float("nan"), float("nan"))
    if both:
        ours, theirs = (np.log([one.compute or 1 for one in arm]) for arm in zip(*both))
        found = difference(theirs, ours, test)
        # The same ratio in every seed is what validations at the same places make of it: nothing is tested here.
        ends = (found.mean, found.mean) if found.constant else found.interval
        ratio, interval = float(np.exp(found.mean)), Interval(*(float(np.exp(end)) for end in ends))
    return ComputeRatio(
        len(both),
        ratio,
        interval,
        sum(one.compute is None for one in first),
        sum(one.compute is None for one in second),
        any(ours.before_first for ours, _ in both),
        any(theirs.before_first for _, theirs in both),
    )


@dataclass(frozen=True)
class Band:
    """Mean and spread of several curves at common points, each (n,)."""

    compute: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    """Sample standard deviation over curves; 0 for a single curve."""
    n: int


def band(curves: Sequence[tuple[ArrayLike, ArrayLike]]) -> Band:
    """(compute, values) of each seed -> mean and spread over the range that all of them cover.

    Values at the points of the first curve, read from the others linearly in the logarithm of compute.
    """
    arrays = [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in curves]
    start, stop = max(x[0] for x, _ in arrays), min(x[-1] for x, _ in arrays)
    grid = arrays[0][0]
    # Curves of equal budgets may end a step apart: the last point of all is then the earliest end.
    grid = np.unique(np.append(grid[(grid >= start) & (grid <= stop)], [start, stop])) if start < stop else grid[:1]
    rows = np.array([np.interp(np.log(grid), np.log(x), y) for x, y in arrays])
    spread = rows.std(0, ddof=1) if len(rows) > 1 else np.zeros(len(grid))
    return Band(grid, rows.mean(0), spread, len(rows))
