"""Compute to an error, by hand: what one seed of several, or a missing one, says about the ratio."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.report.compute import Reached, band, compute_ratio, compute_to_reach


@pytest.mark.parametrize("early", [0, 1])
def test_one_seed_that_began_beyond_the_target_makes_the_ratio_a_bound(early: int) -> None:
    known = [Reached(2.0), Reached(8.0)]
    bounded = [Reached(one.compute, before_first=seed == early) for seed, one in enumerate(known)]
    assert compute_ratio(known, bounded).bounded
    assert compute_ratio(bounded, known).bounded


def test_a_bound_of_a_seed_that_does_not_count_bounds_nothing() -> None:
    ours, theirs = [Reached(2.0), Reached(1.0, before_first=True)], [Reached(8.0), Reached(None)]
    found = compute_ratio(ours, theirs)
    assert (found.n, found.ratio, found.bounded) == (1, pytest.approx(4.0), False)
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
