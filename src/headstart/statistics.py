"""Means, intervals, paired tests and compute ratios over seeds: numbers in, numbers and plain sentences out.

A study has few seeds, so the limits of each figure matter and are stated beside it:

* The **t interval** takes the values of the seeds as normal. It is wide for few seeds, and honestly so.
* The **bootstrap interval** (percentile) resamples the seeds and cannot leave the range seen: of three, too narrow.
* The **sign-flip test** assumes nothing but symmetry; with n seeds its p cannot fall below ``2 / 2**n`` (0.25 for 3).
* Tests are **paired**: the same seed in both arms makes a pair.
* A table of many comparisons is corrected by **Holm's** step-down method, which holds the chance of any false finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from headstart.errors import DataError
from headstart.results import Better

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
#: Up to here every pattern of signs is tried (2**16); above, 100,000 patterns are drawn.
_EXACT_UP_TO = 16


class Interval(NamedTuple):
    """Both ends, in the unit of the values; NaN where there is none (a single seed)."""

    low: float
    high: float


_NO_INTERVAL = Interval(float("nan"), float("nan"))


@dataclass(frozen=True)
class Summary:
    """Values of one arm over its seeds."""

    values: tuple[float, ...]
    """One a seed."""

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @cached_property
    def mean(self) -> float:
        """In the unit of the values."""
        return float(np.mean(self.values))

    @cached_property
    def std(self) -> float:
        """Sample standard deviation (n - 1); NaN for a single seed."""
        return float(np.std(self.values, ddof=1)) if self.n > 1 else float("nan")

    @cached_property
    def interval(self) -> Interval:
        """Student's t interval of the mean, 95 %."""
        return t_interval(self.values)

    @cached_property
    def bootstrap(self) -> Interval:
        """Percentile bootstrap of the mean, 95 %: too narrow for few seeds."""
        return bootstrap_interval(self.values)


@dataclass(frozen=True)
class PairedDifference(Summary):
    """First minus second, seed by seed; the interval is not corrected for many comparisons."""

    @cached_property
    def p(self) -> float:
        """Two-sided paired t-test; NaN for a single pair."""
        return _t_test_p(np.array(self.values))

    @cached_property
    def sign_flip_p(self) -> float:
        """Two-sided test over all patterns of signs."""
        return sign_flip_p(self.values)


def summarise(values: ArrayLike) -> Summary:
    """Of finite values (n,), one a seed; raises :class:`DataError` for none."""
    return Summary(tuple(_finite(values).tolist()))


def t_interval(values: ArrayLike) -> Interval:
    """Student's 95 % interval of the mean of (n,); NaN for n = 1."""
    numbers = _finite(values)
    if len(numbers) < 2:
        return _NO_INTERVAL
    mean, error = numbers.mean(), numbers.std(ddof=1) / np.sqrt(len(numbers))
    reach = float(stdtrit(len(numbers) - 1, 0.5 + CONFIDENCE / 2)) * error
    return Interval(float(mean - reach), float(mean + reach))


def bootstrap_interval(values: ArrayLike, resamples: int = 10_000) -> Interval:
    """95 % percentile bootstrap of the mean of (n,), the same at every call; NaN for n = 1."""
    numbers = _finite(values)
    if len(numbers) < 2:
        return _NO_INTERVAL
    drawn = np.random.default_rng(0).integers(0, len(numbers), (resamples, len(numbers)))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(numbers[drawn].mean(1), [tail, 100 - tail])
    return Interval(float(low), float(high))


def paired_difference(first: ArrayLike, second: ArrayLike) -> PairedDifference:
    """First minus second, both (n,) in the same order of seeds; raises :class:`DataError` where lengths differ."""
    ours, theirs = _finite(first), _finite(second)
    if len(ours) != len(theirs):
        raise DataError("paired values", f"as many in both arms ({len(ours)})", found=str(len(theirs)))
    return PairedDifference(tuple((ours - theirs).tolist()))


def sign_flip_p(differences: ArrayLike) -> float:
    """Share of sign patterns whose mean is at least as far from 0 as the mean of ``differences`` (n,)."""
    numbers = _finite(differences)
    n = len(numbers)
    if n <= _EXACT_UP_TO:
        bits = np.arange(2**n)[:, None] >> np.arange(n)
        signs = 1 - 2 * (bits & 1)
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (100_000, n))
        signs[0] = 1
    means = np.abs(signs @ numbers)
    # Sums in another order differ in their last bits: equal patterns must count as equal.
    return float((means >= abs(numbers.sum()) * (1 - 1e-9)).mean())


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p (n,) by Holm (1979); NaN (no test) stays NaN and does not count as a comparison."""
    given = np.asarray(p_values, np.float64)
    adjusted = np.full(given.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    weights = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * weights), 1.0)
    return adjusted


def is_better(mean_difference: float, better: Better) -> bool:
    """Whether a difference (first minus second) speaks for the first."""
    return mean_difference < 0 if better == "lower" else mean_difference > 0


def sentence(difference: PairedDifference, unit: str, p_adjusted: float, comparisons: int = 1) -> str:
    """What a difference says, in words: its direction, size, interval, seeds and p; or that it says nothing.

    For example ``lower by 12.3 mm (95 % interval 5.0 to 19.6, n = 3 seeds, p = 0.01 after Holm over 4)``.
    """
    size, low, high = abs(difference.mean), *difference.interval
    direction = "lower" if difference.mean < 0 else "higher"
    if difference.mean < 0:
        low, high = -high, -low
    if difference.n < 2:
        return f"{direction} by {size:.1f} {unit} on a single seed, so no test is possible"
    after = f" after Holm over {comparisons}" if comparisons > 1 else ""
    facts = f"{interval_words(Interval(low, high))}, n = {difference.n} seeds, p {p_words(p_adjusted)}{after}"
    if p_adjusted < SIGNIFICANCE:
        return f"{direction} by {size:.1f} {unit} ({facts})"
    return f"no significant difference: {direction} by {size:.1f} {unit} ({facts})"


def interval_words(interval: Interval) -> str:
    """``95 % interval 5.0 to 19.6``; a minus sign, not a hyphen."""
    low, high = (f"{end:.1f}".replace("-", "−") for end in interval)
    return f"95 % interval {low} to {high}"


def p_words(p: float) -> str:
    """``= 0.012``, ``< 0.001``."""
    if p < 0.001:
        return "< 0.001"
    return f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


# --- compute ---


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
    """Student's t interval of the logarithm, carried back."""
    first_missing: int
    """Seeds in which the first arm did not reach it."""
    second_missing: int
    bounded: bool
    """Whether a curve of either arm was there before its first point, so that the ratio is only a bound."""


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


def compute_ratio(first: Sequence[Reached], second: Sequence[Reached]) -> ComputeRatio:
    """How many times the compute of ``first`` the arm ``second`` needs, over pairs of the same seed."""
    both = [(ours, theirs) for ours, theirs in zip(first, second, strict=True) if ours.compute and theirs.compute]
    logarithms = np.array([np.log(theirs.compute or 1) - np.log(ours.compute or 1) for ours, theirs in both])
    low, high = t_interval(logarithms) if len(logarithms) else _NO_INTERVAL
    return ComputeRatio(
        len(both),
        float(np.exp(logarithms.mean())) if both else float("nan"),
        Interval(float(np.exp(low)), float(np.exp(high))),
        sum(one.compute is None for one in first),
        sum(one.compute is None for one in second),
        any(ours.before_first or theirs.before_first for ours, theirs in both),
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


def _t_test_p(differences: NDArray[np.float64]) -> float:
    n = len(differences)
    if n < 2:
        return float("nan")
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(n)
    if error == 0:  # the same difference in every seed
        return 0.0 if mean else 1.0
    return float(2 * stdtr(n - 1, -abs(mean / error)))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise DataError("values over seeds", "at least one finite number a seed", found=str(numbers.tolist())[:200])
    return numbers
