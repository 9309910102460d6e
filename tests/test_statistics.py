"""Statistics over seeds: cases worked out by hand, agreement with scipy, and what must hold for any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from headstart.errors import DataError
from headstart.statistics import (
    Reached,
    band,
    bootstrap_interval,
    compute_ratio,
    compute_to_reach,
    holm,
    is_better,
    paired_difference,
    sentence,
    sign_flip_p,
    summarise,
    t_interval,
)

numbers = arrays(
    np.float64, st.integers(2, 8), elements=st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))
)
p_values = arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1))


# --- mean and intervals ---


def test_mean_and_standard_deviation_by_hand() -> None:
    summary = summarise([60.0, 62.0, 67.0])
    assert summary.n == 3
    assert summary.mean == pytest.approx(63.0)
    assert summary.std == pytest.approx(math.sqrt((9 + 1 + 16) / 2))


def test_t_interval_by_hand() -> None:
    """t(0.975, 2) = 4.30265; standard error of 1, 2, 3 is 1/sqrt(3)."""
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-5
    )


def test_t_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(50, 3, 6)
    expected = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
    assert t_interval(values) == pytest.approx(expected)


def test_bootstrap_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).normal(50, 3, 12)
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=0).confidence_interval
    assert bootstrap_interval(values, resamples=20_000) == pytest.approx(tuple(expected), abs=0.06)


def test_bootstrap_of_three_seeds_stays_within_what_was_seen() -> None:
    """Its known limit: three equal draws have probability 1/27 > 2.5 %, so the ends are the extremes themselves."""
    assert bootstrap_interval([1.0, 2.0, 6.0]) == (1.0, 6.0)


@given(numbers)
def test_bootstrap_never_leaves_the_values(values: np.ndarray) -> None:
    low, high = bootstrap_interval(values, resamples=200)
    assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9


def test_one_seed_has_no_interval_and_no_test() -> None:
    alone = paired_difference([10.0], [12.0])
    assert alone.mean == -2.0
    assert all(math.isnan(value) for value in (alone.std, *alone.interval, *alone.bootstrap, alone.p))
    assert alone.sign_flip_p == 1.0


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0]]])
def test_values_that_are_no_numbers_over_seeds_are_refused(values: list[float]) -> None:
    with pytest.raises(DataError, match="finite number a seed"):
        summarise(values)


# --- paired tests ---


def test_paired_difference_by_hand() -> None:
    """Differences -1, -2, -3: mean -2, standard error 1/sqrt(3), t = -2 sqrt(3); p from the t distribution of 2."""
    found = paired_difference([9.0, 8.0, 7.0], [10.0, 10.0, 10.0])
    assert found.values == (-1.0, -2.0, -3.0)
    # F(t) of 2 degrees of freedom is 1/2 + t / (2 sqrt(2 + t^2)).
    assert found.p == pytest.approx(1 - 2 * math.sqrt(3) / math.sqrt(2 + 12))
    assert found.sign_flip_p == 0.25


def test_t_test_agrees_with_scipy() -> None:
    randomness = np.random.default_rng(2)
    first, second = randomness.normal(60, 2, 5), randomness.normal(62, 2, 5)
    expected = stats.ttest_rel(first, second)
    found = paired_difference(first, second)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize("n", [3, 5, 9])
def test_sign_flip_test_agrees_with_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.6, 1, n)
    expected = stats.permutation_test(
        (differences, np.zeros(n)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert sign_flip_p(differences) == pytest.approx(expected.pvalue)


def test_sign_flip_test_of_many_seeds_draws_its_patterns() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1, 30)
    exact_like = stats.ttest_1samp(differences, 0).pvalue
    assert sign_flip_p(differences) == pytest.approx(exact_like, abs=0.02)
    assert sign_flip_p(differences) == sign_flip_p(differences)


@given(numbers)
def test_sign_flip_test_does_not_care_which_arm_comes_first(differences: np.ndarray) -> None:
    assert sign_flip_p(differences) == sign_flip_p(-differences)
    assert 2 / 2 ** len(differences) <= sign_flip_p(differences) <= 1


@given(numbers)
def test_swapping_the_arms_turns_the_sign_and_keeps_p(values: np.ndarray) -> None:
    other = values[::-1].copy()
    forth, back = paired_difference(values, other), paired_difference(other, values)
    assert forth.mean == pytest.approx(-back.mean, abs=1e-9)
    assert forth.p == pytest.approx(back.p)
    assert forth.interval == pytest.approx((-back.interval.high, -back.interval.low), abs=1e-6)


def test_the_same_difference_in_every_seed() -> None:
    assert paired_difference([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).p == 0.0
    assert paired_difference([1.0, 2.0], [1.0, 2.0]).p == 1.0


def test_arms_with_different_numbers_of_seeds_are_refused() -> None:
    with pytest.raises(DataError, match=r"as many in both arms \(2\), found 3"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])


# --- many comparisons ---


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 (raised to the one before), 0.4 x 1."""
    assert holm([0.4, 0.01, 0.03, 0.02]) == pytest.approx([0.4, 0.04, 0.06, 0.06])


def test_holm_leaves_out_what_was_not_tested() -> None:
    found = holm([0.02, float("nan"), 0.03])
    assert found[[0, 2]] == pytest.approx([0.04, 0.04])
    assert math.isnan(found[1])


@given(p_values)
def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni(given_p: np.ndarray) -> None:
    found = holm(given_p)
    assert (found >= given_p - 1e-12).all()
    assert (found <= np.minimum(given_p * len(given_p), 1) + 1e-12).all()
    assert (np.diff(found[np.argsort(given_p, kind="stable")]) >= -1e-12).all()


@given(p_values, st.randoms())
def test_holm_does_not_depend_on_the_order(given_p: np.ndarray, randomness) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(given_p)))
    randomness.shuffle(order)
    assert holm(given_p[order]) == pytest.approx(holm(given_p)[order])


# --- words ---


def test_sentence_of_a_significant_difference() -> None:
    found = paired_difference([50.0, 51.0, 52.0], [62.0, 63.3, 64.2])
    words = sentence(found, "mm", 0.01, 4)
    assert words == "lower by 12.2 mm (95 % interval 11.9 to 12.4, n = 3 seeds, p = 0.010 after Holm over 4)".replace(
        "12.2", f"{-found.mean:.1f}"
    ).replace("11.9", f"{-found.interval.high:.1f}").replace("12.4", f"{-found.interval.low:.1f}")


def test_sentence_without_significance_says_so_first() -> None:
    words = sentence(paired_difference([1.0, 3.0, 2.0], [0.0, 4.0, 1.5]), "mm", 0.8)
    assert words.startswith("no significant difference: higher by 0.2 mm (95 % interval −")
    assert words.endswith("n = 3 seeds, p = 0.80)")


def test_sentence_of_one_seed_claims_nothing() -> None:
    assert sentence(paired_difference([1.0], [3.0]), "mm", float("nan")).endswith(
        "on a single seed, so no test is possible"
    )


@pytest.mark.parametrize(
    ("difference", "better", "expected"), [(-1, "lower", True), (-1, "higher", False), (1, "higher", True)]
)
def test_the_metric_knows_its_direction(difference: float, better: str, expected: bool) -> None:
    assert is_better(difference, better) is expected  # type: ignore[arg-type]


# --- compute ---


def test_compute_to_reach_lies_between_two_points_on_the_logarithm() -> None:
    """100 mm at 1e12, 60 mm at 1e14: 80 mm is half way, so 1e13."""
    assert compute_to_reach([1e12, 1e14], [100, 60], 80).compute == pytest.approx(1e13)


def test_compute_to_reach_of_a_rising_metric() -> None:
    assert compute_to_reach([1, 100], [10, 30], 20, "higher").compute == pytest.approx(10)


def test_the_first_time_counts_although_the_curve_rises_again() -> None:
    assert compute_to_reach([1, 2, 4, 8], [100, 80, 95, 80], 80).compute == pytest.approx(2)


def test_a_target_beyond_the_budget_is_not_reached_and_not_guessed() -> None:
    assert compute_to_reach([1, 2, 4], [100, 90, 85], 84.9) == Reached(None)


def test_a_target_met_at_the_first_point_is_only_bounded() -> None:
    assert compute_to_reach([5, 10], [70, 60], 75) == Reached(5.0, before_first=True)


@given(st.floats(61, 99), st.floats(0.1, 10))
def test_compute_to_reach_scales_with_compute(target: float, factor: float) -> None:
    compute, errors = np.array([1.0, 3.0, 20.0, 50.0]), [100, 90, 85, 60]
    one, scaled = (compute_to_reach(c, errors, target).compute for c in (compute, compute * factor))
    assert one is not None
    assert scaled == pytest.approx(one * factor)


def test_ratio_is_a_geometric_mean_over_seeds_that_both_reach() -> None:
    ours = [Reached(1.0), Reached(1.0), Reached(2.0)]
    theirs = [Reached(2.0), Reached(8.0), Reached(None)]
    found = compute_ratio(ours, theirs)
    assert (found.n, found.first_missing, found.second_missing) == (2, 0, 1)
    assert found.ratio == pytest.approx(4.0)
    low, high = np.exp(t_interval(np.log([2.0, 8.0])))
    assert found.interval == pytest.approx((low, high))


def test_ratio_without_a_common_seed_is_unknown() -> None:
    found = compute_ratio([Reached(1.0)], [Reached(None)])
    assert found.n == 0
    assert math.isnan(found.ratio)


def test_ratio_says_when_it_is_a_bound() -> None:
    assert compute_ratio([Reached(1.0, before_first=True)], [Reached(3.0)]).bounded


def test_band_of_curves_with_other_points() -> None:
    """The second curve is read at 10, half way (on the logarithm) from 1 to 100."""
    found = band([([1, 10, 100], [9, 6, 3]), ([1, 100], [11, 5])])
    assert found.compute.tolist() == [1, 10, 100]
    assert found.mean == pytest.approx([10, 7, 4])
    assert found.std == pytest.approx([math.sqrt(2)] * 3)


def test_band_covers_only_what_all_curves_cover() -> None:
    found = band([([1, 10, 100], [9, 6, 3]), ([10, 99], [6, 3])])
    assert found.compute.tolist() == [10, 99]


@settings(max_examples=30)
@given(arrays(np.float64, (3, 4), elements=st.floats(0, 100)))
def test_band_of_equal_points_is_mean_and_deviation(values: np.ndarray) -> None:
    found = band([([1, 2, 4, 8], row) for row in values])
    assert found.mean == pytest.approx(values.mean(0))
    assert found.std == pytest.approx(values.std(0, ddof=1))
