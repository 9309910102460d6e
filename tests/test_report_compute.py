"""Compute to an error, by hand: what one seed of several, or a missing one, says about the ratio."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.report.compute import Reached, band, compute_ratio, compute_to_reach
from headstart.report.curves import common_goal, ratio_words, times_words
from headstart.results import Scores

STUDY: Any = SimpleNamespace(
    main="2d_then_3d",
    baseline="3d_alone",
    significance_test="welch",
    cells=[SimpleNamespace(scores={"wild": Scores("wild", "", "mpjpe", "mm", 60.0, "lower", 10)})],
)


@pytest.mark.parametrize("early", [0, 1])
def test_one_seed_that_began_beyond_the_target_makes_the_ratio_a_bound(early: int) -> None:
    """The compute of an early arm is an upper bound. That of the first divides: the ratio is then at least so much."""
    known = [Reached(2.0), Reached(8.0)]
    bounded = [Reached(one.compute, before_first=seed == early) for seed, one in enumerate(known)]
    assert compute_ratio(known, known).bound == ""
    assert compute_ratio(known, bounded).bound == "at most"
    assert compute_ratio(bounded, known).bound == "at least"


def test_two_arms_that_both_began_beyond_the_target_bound_nothing() -> None:
    known, early = [Reached(2.0), Reached(2.0)], [Reached(2.0), Reached(2.0, before_first=True)]
    assert compute_ratio(early, early).bound == ""
    assert compute_ratio(early, early[::-1]).bound == ""
    assert ratio_words(compute_ratio(early, early[::-1])) == (
        "1.00 [1.00, 1.00] (no bound either way: both arms reach it before their first validation)"
    )
    assert ratio_words(compute_ratio(known, early)) == (
        "at most 1.00 [1.00, 1.00] (the baseline reaches it before the first validation)"
    )
    assert ratio_words(compute_ratio(early, known)).startswith("at least 1.00 [")


def test_an_interval_of_two_seeds_that_differ_is_not_written_out() -> None:
    """Ratios of 2 and 0.5: the logarithms are +-0.69, and 12.7 of their standard errors reach from e-8.8 to e8.8."""
    assert ratio_words(compute_ratio([Reached(1.0), Reached(2.0)], [Reached(2.0), Reached(1.0)])) == (
        "1.00 [below 0.01, above 100]"
    )
    assert [times_words(value) for value in (0.0099, 0.01, 1.8, 100.0, 100.1)] == [
        *("below 0.01", "0.01", "1.80", "100.00", "above 100")
    ]


def test_an_arm_that_no_seed_of_reaches_the_target_needs_more_than_its_budget() -> None:
    """The baseline gets down to 60 mm in both seeds, the arm to 70."""
    compute = np.array([1.0, 2.0])
    ours, theirs = ([(compute, np.array([90.0, end]))] * 2 for end in (70.0, 60.0))
    assert common_goal(STUDY, ours, theirs, "wild") == (
        "to reach 60.0 mm, as every seed of 3D alone does, 2D then 3D needs more than its budget, in every seed"
    )
    assert common_goal(STUDY, [], [], "wild") == ""


def test_what_the_baseline_does_not_reach_is_said_beside_what_it_reaches_early() -> None:
    """At its first validation the baseline has 60 mm and stays there; the arm has them later, and then 50."""
    compute = np.array([1.0, 2.0])
    ours, theirs = ([(compute, np.array(values))] * 2 for values in ((70.0, 50.0), (60.0, 60.0)))
    assert common_goal(STUDY, ours, theirs, "wild") == (
        "to reach 60.0 mm, as every seed of 3D alone does, 3D alone needs at most 0.71 times the compute of 2D then 3D"
        " (95 % interval of this bound 0.71 to 0.71, n = 2 seeds; the baseline reaches it before the first validation);"
        " no seed of 3D alone reaches 50.0 mm, as every seed of 2D then 3D does"
    )
    one_follows = [theirs[0], (compute, np.array([60.0, 45.0]))]
    assert "no seed of" not in common_goal(STUDY, ours, one_follows, "wild")


def test_one_seed_is_not_called_seeds() -> None:
    words = ratio_words(compute_ratio([Reached(1.0), Reached(None)], [Reached(2.0), Reached(2.0)]))
    assert words == "2.00 (over the 1 seed in which both reach it)"


def test_a_bound_of_a_seed_that_does_not_count_bounds_nothing() -> None:
    ours, theirs = [Reached(2.0), Reached(1.0, before_first=True)], [Reached(8.0), Reached(None)]
    found = compute_ratio(ours, theirs)
    assert (found.n, found.ratio, found.first_early, found.second_early) == (1, pytest.approx(4.0), False, False)
    assert (found.first_missing, found.second_missing) == (0, 1)


def test_each_arm_counts_its_own_missing_seeds() -> None:
    reached, missing = Reached(1.0), Reached(None)
    found = compute_ratio([missing, reached, reached, missing], [reached, missing, reached, missing])
    assert (found.n, found.first_missing, found.second_missing) == (1, 2, 2)
    found = compute_ratio([missing, missing, reached], [reached, reached, reached])
    assert (found.n, found.first_missing, found.second_missing) == (1, 2, 0)


def test_a_curve_that_meets_the_target_exactly_is_there() -> None:
    assert compute_to_reach([1, 2, 4], [90, 80, 70], 80).compute == pytest.approx(2)
    assert compute_to_reach([1, 2, 4], [80, 70, 60], 80) == Reached(1.0, before_first=True)
    assert compute_to_reach([1, 2, 4], [10, 20, 30], 30, "higher").compute == pytest.approx(4)


def test_a_quarter_of_the_way_is_a_quarter_of_the_logarithm() -> None:
    """From 1 to 16, and from 100 to 60: 90 is a quarter of the way down, and 2 the fourth root of 16."""
    assert compute_to_reach([0.5, 1, 16], [110, 100, 60], 90).compute == pytest.approx(2)


def test_a_band_of_one_curve_is_the_curve() -> None:
    found = band([([1, 2, 4], [9, 6, 3])])
    assert (found.compute.tolist(), found.mean.tolist(), found.std.tolist(), found.n) == (
        [1, 2, 4],
        [9, 6, 3],
        [0] * 3,
        1,
    )


def test_a_band_of_curves_of_one_point() -> None:
    found = band([([5], [9]), ([5], [3])])
    assert (found.compute.tolist(), found.mean.tolist(), found.n) == ([5], [6], 2)
    np.testing.assert_allclose(found.std, np.sqrt(18))


def test_points_of_a_band_are_read_on_the_logarithm() -> None:
    """At 4, halfway from 1 to 16: 10 from the second curve; the sample deviation of 6 and 10 is the root of 8."""
    found = band([([1, 4, 16], [8, 6, 4]), ([1, 16], [12, 8])])
    np.testing.assert_allclose(found.mean, [10, 8, 6])
    np.testing.assert_allclose(found.std, np.sqrt([8, 8, 8]))
