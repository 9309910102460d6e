"""Means, intervals and tests over seeds: numbers in, numbers out.

A study has few seeds, so the limits of each figure matter and are stated beside it:

* The **t interval** assumes that the values of the seeds are normal. It is wide for few seeds.
* The **bootstrap interval** (percentile) resamples the seeds and stays within their range: too narrow for few seeds.
* Tests are **paired** (the two cells of a seed are a pair) or **Welch's** (seeds are unrelated, each arm has a variance
  of its own). A study says which before its cells are run (:data:`SignificanceTest`).
* Both need **spread**. If every seed differs by the same amount, the score is too coarse (two people more of twenty in
  every seed, say): that is not certainty, so there is no interval and no test.
* A **permutation test** is given beside either. With pairs it flips signs, and assumes that differences are symmetric
  about 0 if the arms are equal; with n seeds its p cannot fall below ``2 / 2**n`` (0.25 for 3). Without pairs it
  assigns all values to the two arms in every way, and assumes one distribution for both if they are equal; its p
  cannot fall below 2 over the number of ways (0.1 for 3 seeds an arm).
* A table of many comparisons is corrected by **Holm's** step-down method, which bounds the probability of any false
  finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from headstart.errors import DataError
from headstart.results import Better

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
#: A permutation test tries all of up to so many patterns; of more, it draws 100,000.
_EXACT_UP_TO, _DRAWN = 2**16, 100_000
#: Standard deviations below this share of the values are rounding: 0.3 - (0.1 + 0.2) is no spread.
_ROUNDING = 1e-9

SignificanceTest = Literal["paired", "welch"]
"""Which t-test two arms are compared by: the paired one, or Welch's of two samples (Welch 1947)."""


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
    """First minus second, seed by seed. The interval is not corrected for multiple comparisons."""

    scale: float = 0.0
    """The largest value of either arm, without its sign: what rounding is relative to."""

    @cached_property
    def constant(self) -> bool:
        """Whether the difference is the same in every seed, of which there are several."""
        return _constant(self.std, self.scale or self.values)

    @cached_property
    def interval(self) -> Interval:
        """Student's t interval of the mean difference, 95 %; NaN for a single pair and for a constant difference."""
        return _NO_INTERVAL if self.constant else t_interval(self.values)

    @cached_property
    def p(self) -> float:
        """Two-sided paired t-test; NaN for a single pair and for a constant difference, but 1 where it is 0."""
        if self.n < 2:
            return float("nan")
        if self.constant:
            return _p_of_constant(self.mean, self.scale)
        return _t_test_p(self.mean, self.std / np.sqrt(self.n), self.n - 1)

    @cached_property
    def permutation_p(self) -> float:
        """Two-sided test over all patterns of signs."""
        return sign_flip_p(self.values)


@dataclass(frozen=True)
class WelchDifference:
    """Mean of the first arm minus that of the second, seeds unrelated. The interval is not corrected either."""

    first: Summary
    second: Summary

    @property
    def n(self) -> int:
        """Number of seeds of an arm, of the one that has fewer."""
        return min(self.first.n, self.second.n)

    @cached_property
    def mean(self) -> float:
        """In the unit of the values."""
        return self.first.mean - self.second.mean

    @cached_property
    def constant(self) -> bool:
        """Whether neither arm scatters, of several seeds each: the difference is the same whichever seeds are taken."""
        return self.n > 1 and all(_constant(arm.std, self._values) for arm in (self.first, self.second))

    @cached_property
    def interval(self) -> Interval:
        """Welch's t interval of the difference, 95 %; NaN where an arm has a single seed or neither scatters."""
        if self.n < 2 or self.constant:
            return _NO_INTERVAL
        error, freedom = self._error
        reach = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
        return Interval(self.mean - reach, self.mean + reach)

    @cached_property
    def bootstrap(self) -> Interval:
        """Percentile bootstrap, 95 %, each arm resampled by itself: too narrow for few seeds."""
        return bootstrap_interval(self.first.values, less=self.second.values)

    @cached_property
    def p(self) -> float:
        """Two-sided Welch's t-test; NaN where an arm has a single seed or neither scatters, but 1 if they are equal."""
        if self.n < 2:
            return float("nan")
        return _p_of_constant(self.mean, self._values) if self.constant else _t_test_p(self.mean, *self._error)

    @cached_property
    def permutation_p(self) -> float:
        """Two-sided test over all ways to assign the values to the two arms."""
        return permutation_p(self.first.values, self.second.values)

    @property
    def _error(self) -> tuple[float, float]:
        """Standard error of the difference, and its degrees of freedom (Satterthwaite 1946)."""
        parts = [arm.std**2 / arm.n for arm in (self.first, self.second)]
        below = sum(part**2 / (arm.n - 1) for part, arm in zip(parts, (self.first, self.second)))
        return sum(parts) ** 0.5, sum(parts) ** 2 / below

    @property
    def _values(self) -> tuple[float, ...]:
        return self.first.values + self.second.values


Difference = PairedDifference | WelchDifference


def summarise(values: ArrayLike) -> Summary:
    """Of finite values (n,), one a seed; raises :class:`DataError` for none."""
    return Summary(tuple(_finite(values).tolist()))


def t_interval(values: ArrayLike) -> Interval:
    """Student's 95 % interval of the mean of (n,); NaN for n = 1 and for values that do not scatter."""
    numbers = _finite(values)
    if len(numbers) < 2 or _constant(numbers.std(ddof=1), numbers):
        return _NO_INTERVAL
    mean, error = numbers.mean(), numbers.std(ddof=1) / np.sqrt(len(numbers))
    reach = float(stdtrit(len(numbers) - 1, 0.5 + CONFIDENCE / 2)) * error
    return Interval(float(mean - reach), float(mean + reach))


def bootstrap_interval(values: ArrayLike, resamples: int = 10_000, less: ArrayLike | None = None) -> Interval:
    """95 % percentile bootstrap of the mean of (n,), the same at every call; NaN for n = 1.

    With ``less`` (m,), of the mean of ``values`` minus that of ``less``, each resampled by itself.
    """
    arms = [_finite(arm) for arm in (values, less) if arm is not None]
    if min(map(len, arms)) < 2:
        return _NO_INTERVAL
    randomness = np.random.default_rng(0)
    means = [arm[randomness.integers(0, len(arm), (resamples, len(arm)))].mean(1) for arm in arms]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means[0] - means[1] if len(means) > 1 else means[0], [tail, 100 - tail])
    return Interval(float(low), float(high))


def difference(first: ArrayLike, second: ArrayLike, test: SignificanceTest) -> Difference:
    """First minus second, both (n,), for ``test``; see :func:`paired_difference` and :class:`WelchDifference`."""
    if test == "paired":
        return paired_difference(first, second)
    return WelchDifference(summarise(first), summarise(second))


def paired_difference(first: ArrayLike, second: ArrayLike) -> PairedDifference:
    """First minus second, both (n,) in the same order of seeds; raises :class:`DataError` where lengths differ."""
    ours, theirs = _finite(first), _finite(second)
    if len(ours) != len(theirs):
        raise DataError("paired values", f"as many in both arms ({len(ours)})", found=str(len(theirs)))
    return PairedDifference(tuple((ours - theirs).tolist()), float(np.abs([ours, theirs]).max()))


def sign_flip_p(differences: ArrayLike) -> float:
    """Share of sign patterns whose mean is at least as far from 0 as the mean of ``differences`` (n,)."""
    numbers = _finite(differences)
    n = len(numbers)
    if 2**n <= _EXACT_UP_TO:
        bits = np.arange(2**n)[:, None] >> np.arange(n)
        signs = 1 - 2 * (bits & 1)
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (_DRAWN, n))
        signs[0] = 1
    means = np.abs(signs @ numbers)
    # Sums in another order differ in their last bits: equal patterns must count as equal.
    return float((means >= abs(numbers.sum()) * (1 - 1e-9)).mean())


def permutation_p(first: ArrayLike, second: ArrayLike) -> float:
    """Share of the ways to assign all values to arms of (n,) and (m,) whose means are at least as far apart as here."""
    ours, theirs = _finite(first), _finite(second)
    numbers = np.concatenate([ours, theirs])
    numbers -= numbers.mean()  # then the sum of one arm tells how far apart the means are
    if comb(len(numbers), len(ours)) <= _EXACT_UP_TO:
        dealt = np.array(list(combinations(range(len(numbers)), len(ours))))
    else:
        dealt = np.random.default_rng(0).random((_DRAWN, len(numbers))).argsort(1)[:, : len(ours)]
        dealt[0] = np.arange(len(ours))
    apart = np.abs(numbers[dealt].sum(1))
    return float((apart >= abs(numbers[: len(ours)].sum()) - 1e-9 * np.abs(numbers).max()).mean())


def least_permutation_p(seeds: int, test: SignificanceTest) -> float:
    """The least p that a permutation test of so many seeds an arm can have."""
    return 2 / (2**seeds if test == "paired" else comb(2 * seeds, seeds))


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
    """Whether a difference (first minus second) is in favour of the first."""
    return mean_difference < 0 if better == "lower" else mean_difference > 0


def _t_test_p(mean: float, error: float, freedom: float) -> float:
    """Two-sided p of a mean with a standard error above 0."""
    return float(2 * stdtr(freedom, -abs(mean / error)))


def _constant(std: float, values: ArrayLike) -> bool:
    """Whether a standard deviation is no more than rounding of the values; False for NaN, that of a single seed."""
    return bool(std <= _ROUNDING * np.abs(values).max())


def _p_of_constant(mean: float, values: ArrayLike) -> float:
    """1 for equal arms; NaN for a difference without spread, which no t-test can judge."""
    return 1.0 if _constant(abs(mean), values) else float("nan")


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise DataError("values over seeds", "at least one finite number a seed", found=str(numbers.tolist())[:200])
    return numbers
