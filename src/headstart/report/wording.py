"""What a report calls the test that a study compares its arms by."""

from __future__ import annotations

from typing import NamedTuple

from headstart.report.cells import Study
from headstart.statistics import SignificanceTest


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


def wording(study: Study) -> Wording:
    """That of the study's own test."""
    return _WORDING[study.significance_test]
