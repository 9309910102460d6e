"""What a report calls the test that a study compares its arms by, and what it says of a difference."""

from __future__ import annotations

from math import isnan
from typing import NamedTuple

from headstart.report.cells import Study
from headstart.statistics import SIGNIFICANCE, Difference, Interval, SignificanceTest


class Wording(NamedTuple):
    """Of one test, for sentences and the heads of columns."""

    pairing: str
    """Whether arms are paired by seed."""
    differences: str
    """Which differences are tested."""
    t_test: str
    interval: str
    patterns: str
    """What the permutation test goes through."""
    permutation: str
    """The name of that test."""
    ratios: str
    """What a ratio of compute is a ratio of."""


_WORDING: dict[SignificanceTest, Wording] = {
    "paired": Wording(
        pairing="paired by seed",
        differences="paired by seed",
        t_test="the paired t-test",
        interval="Student's t",
        patterns="all patterns of signs",
        permutation="Sign-flip",
        ratios="seed by seed",
    ),
    "welch": Wording(
        pairing="not paired by seed (Welch's test)",
        differences="of means, not paired by seed",
        t_test="Welch's t-test",
        interval="Welch's t",
        patterns="all ways to assign the values to the two arms",
        permutation="Permutation",
        ratios="geometric means over the seeds in which both reach it",
    ),
}


#: What the test says of a comparison, in the order in which reports list it; continued by "in 3 of 4 comparisons" or
#: "at 50 %".
STATES = BETTER, WORSE, NO_DIFFERENCE, NO_SEEDS, NO_SPREAD = (
    "significantly better",
    "significantly worse",
    "not significantly different",
    "not tested, for want of seeds,",
    "not testable, as the difference is the same in every seed,",
)


def wording(study: Study) -> Wording:
    """That of the study's own test."""
    return _WORDING[study.significance_test]


def sentence(difference: Difference, unit: str, p_adjusted: float, comparisons: int = 1) -> str:
    """A difference in words: direction, size, interval, seeds and p; whether it is significant.

    For example ``lower by 12.3 mm (95 % interval 5.0 to 19.6, n = 3 seeds, p = 0.01 after Holm over 4)``.
    """
    size, low, high = abs(difference.mean), *difference.interval
    direction = "lower" if difference.mean < 0 else "higher"
    if difference.mean < 0:
        low, high = -high, -low
    if difference.n < 2:
        return f"{direction} by {size:.1f} {unit} on a single seed, so no test is possible"
    if isnan(difference.p):
        return f"not testable: {direction} by {size:.1f} {unit}, the same difference in every seed (n = {difference.n})"
    if difference.constant:
        return f"no difference in any seed (n = {difference.n})"
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
