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
from headstart.report.compute import Reached, band, compute_ratio, compute_to_reach
from headstart.report.wording import p_words, sentence
from headstart.statistics import (
    SignificanceTest,
    bootstrap_interval,
    difference,
    holm,
    is_better,
    least_permutation_p,
    paired_difference,
    permutation_p,
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


def test_bootstrap_of_the_same_values_is_the_same() -> None:
    values = np.random.default_rng(4).normal(50, 3, 7)
    assert bootstrap_interval(values) == bootstrap_interval(values)


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
    assert alone.permutation_p == 1.0


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
    assert found.permutation_p == 0.25


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


def test_of_patterns_that_are_drawn_the_observed_one_is_among_them() -> None:
    """Of 25 equal differences only all plus or all minus reach as far, two patterns of 33 million: of the 100,000 that
    are drawn it is the observed one alone, and p is not 0."""
    assert sign_flip_p(np.full(25, 1.0)) == pytest.approx(1e-5)


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
    # NaN where both arms have the same values, so that nothing scatters.
    assert forth.interval == pytest.approx((-back.interval.high, -back.interval.low), abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("test", ["paired", "welch"])
def test_the_same_difference_in_every_seed_is_not_certainty(test: SignificanceTest) -> None:
    """Known defect: three seeds of 1.8 % against 2.4 % were p = 0 and significant, by the sign-flip test 0.25."""
    found = difference([1.8] * 3, [2.4] * 3, test)
    assert found.constant
    assert all(math.isnan(value) for value in (found.p, *found.interval))
    assert found.mean == pytest.approx(-0.6)


def test_spread_that_is_only_rounding_is_none() -> None:
    """0.3 - (0.1 + 0.2) is -5.6e-17, not 0; so 50.3 - 50.1 and 0.3 - 0.1 differ in their last bits."""
    found = paired_difference([0.3, 50.3, 100.3], [0.1, 50.1, 100.1])
    assert found.std > 0
    assert math.isnan(found.p)
    equal = paired_difference([0.1 + 0.2, 7.0, 0.3], [0.3, 7.0, 0.1 + 0.2])
    assert (equal.constant, equal.p) == (True, 1.0)
    # A millionth of a millimetre is spread.
    assert paired_difference([50.0, 50.000002], [49.0, 49.0]).p < 1e-5


def test_arms_that_are_equal_in_every_seed_do_not_differ() -> None:
    for values in ([1.0, 2.0], [0.0, 0.0]):
        equal = paired_difference(values, values)
        assert (equal.constant, equal.p, equal.permutation_p) == (True, 1.0, 1.0)
        assert all(math.isnan(end) for end in equal.interval)


def test_one_arm_that_does_not_scatter_is_tested_by_the_spread_of_the_other() -> None:
    found, expected = difference([2.4, 2.5, 2.9], [1.8] * 3, "welch"), stats.ttest_1samp([2.4, 2.5, 2.9], 1.8)
    assert not found.constant
    assert found.p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert found.interval == pytest.approx((low - 1.8, high - 1.8))


def test_values_without_spread_have_no_interval() -> None:
    assert all(math.isnan(end) for end in t_interval([1.8, 1.8, 0.6 * 3]))


def test_arms_with_different_numbers_of_seeds_are_refused() -> None:
    with pytest.raises(DataError, match=r"as many in both arms \(2\), found 3"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])


# --- tests without pairs ---


def test_welch_by_hand() -> None:
    """Variances 1 and 4, 3 seeds each: standard error sqrt(5/3), degrees of freedom (5/3)^2 over (1/9 + 16/9) / 2."""
    found = difference([1.0, 2.0, 3.0], [10.0, 12.0, 14.0], "welch")
    assert (found.n, found.mean) == (3, -10.0)
    error, freedom = math.sqrt(5 / 3), 25 / 9 / (17 / 18)
    assert found.p == pytest.approx(2 * stats.t.sf(10 / error, freedom))
    reach = stats.t.ppf(0.975, freedom) * error
    assert found.interval == pytest.approx((-10 - reach, -10 + reach))


def test_welch_agrees_with_scipy_and_leaves_pairs_alone() -> None:
    randomness = np.random.default_rng(5)
    first, second = randomness.normal(60, 2, 4), randomness.normal(62, 5, 6)
    expected = stats.ttest_ind(first, second, equal_var=False)
    for order in (second, second[::-1]):
        found = difference(first, order, "welch")
        assert found.p == pytest.approx(expected.pvalue)
        assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
        assert found.n == 4


def test_pairs_that_correlate_are_found_by_the_paired_test_and_those_that_do_not_by_welchs() -> None:
    first, second = [60.0, 65.0, 70.0], [61.0, 66.2, 70.9]
    assert difference(first, second, "paired").p < 0.05 < difference(first, second, "welch").p
    assert difference(first, [74.0, 69.0, 72.0], "welch").p < difference(first, [74.0, 69.0, 72.0], "paired").p


def test_equal_arms_that_do_not_scatter_do_not_differ() -> None:
    assert difference([1.0, 1.0], [1.0, 1.0], "welch").p == 1.0


def test_one_seed_of_an_arm_has_no_welch_test() -> None:
    alone = difference([10.0], [12.0, 13.0], "welch")
    assert all(math.isnan(value) for value in (*alone.interval, *alone.bootstrap, alone.p))


def test_bootstrap_of_two_arms_agrees_with_scipy() -> None:
    randomness = np.random.default_rng(6)
    first, second = randomness.normal(50, 3, 9), randomness.normal(48, 1, 12)

    def apart(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(one, axis=axis) - np.mean(other, axis=axis)

    expected = stats.bootstrap((first, second), apart, n_resamples=20_000, method="percentile", rng=0)
    found = difference(first, second, "welch").bootstrap
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=0.08)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 5), (8, 8)])
def test_permutation_test_agrees_with_scipy(n: int, m: int) -> None:
    randomness = np.random.default_rng(n)
    first, second = randomness.normal(0.7, 1, n), randomness.normal(0, 1, m)
    found = difference(first, second, "welch").permutation_p
    expected = stats.permutation_test(
        (first, second), lambda x, y, axis: np.mean(x, axis) - np.mean(y, axis), vectorized=True, n_resamples=np.inf
    )
    # Two-sided there is twice the smaller side, here what lies at least as far off: the same for arms of equal size.
    if n == m:
        assert found == pytest.approx(expected.pvalue)
    apart = np.abs(expected.null_distribution) >= abs(expected.statistic) - 1e-9
    assert found == pytest.approx(apart.mean())


def test_permutation_test_of_many_seeds_draws_its_patterns() -> None:
    randomness = np.random.default_rng(7)
    first, second = randomness.normal(0.5, 1, 20), randomness.normal(0, 1, 20)
    assert permutation_p(first, second) == pytest.approx(stats.ttest_ind(first, second).pvalue, abs=0.02)
    assert permutation_p(first, first + 1e6) == pytest.approx(1e-5)


@pytest.mark.parametrize(("seeds", "paired", "welch"), [(2, 0.5, 1 / 3), (3, 0.25, 0.1), (4, 0.125, 2 / 70)])
def test_below_what_no_permutation_test_can_fall(seeds: int, paired: float, welch: float) -> None:
    ours, theirs = np.arange(seeds), np.arange(seeds) + 100.0
    assert least_permutation_p(seeds, "paired") == difference(ours, theirs, "paired").permutation_p == paired
    assert least_permutation_p(seeds, "welch") == pytest.approx(welch)
    assert difference(ours, theirs, "welch").permutation_p == pytest.approx(welch)


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
    ("p", "words"),
    [(0.0004, "< 0.001"), (0.001, "= 0.001"), (0.0042, "= 0.004"), (0.0996, "= 0.100"), (0.234, "= 0.23")],
)
def test_p_in_words(p: float, words: str) -> None:
    assert p_words(p) == words


def test_sentence_of_the_same_difference_in_every_seed_claims_nothing() -> None:
    found = paired_difference([1.8] * 3, [2.4] * 3)
    assert sentence(found, "points", found.p) == (
        "not testable: lower by 0.6 points, the same difference in every seed (n = 3)"
    )
    assert sentence(paired_difference([1.0, 2.0], [1.0, 2.0]), "mm", 1.0) == "no difference in any seed (n = 2)"


def test_five_percent_itself_is_not_significant() -> None:
    found = sentence(paired_difference([1.0, 3.0], [0.0, 4.0]), "mm", 0.05)
    assert found.startswith("no significant difference")


@pytest.mark.parametrize(
    ("apart", "better", "expected"), [(-1, "lower", True), (-1, "higher", False), (1, "higher", True)]
)
def test_the_metric_knows_its_direction(apart: float, better: str, expected: bool) -> None:
    assert is_better(apart, better) is expected  # type: ignore[arg-type]


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


def test_the_interval_of_a_ratio_is_that_of_the_test() -> None:
    ours, theirs = ([Reached(compute) for compute in arm] for arm in ((1.0, 2.0, 5.0), (3.0, 4.0, 9.0)))
    found = compute_ratio(ours, theirs, "welch")
    logarithms = (np.log([one.compute for one in arm]) for arm in (theirs, ours))  # type: ignore[arg-type]
    expected = stats.ttest_ind(*logarithms, equal_var=False).confidence_interval(0.95)
    assert np.log(found.interval) == pytest.approx(tuple(expected))
    assert found.ratio == pytest.approx(compute_ratio(ours, theirs).ratio)


def test_a_ratio_that_is_the_same_in_every_seed_is_its_own_interval() -> None:
    """As where both arms are validated at the same places and are there at the first: nothing is tested."""
    found = compute_ratio([Reached(2.0)] * 3, [Reached(6.0)] * 3)
    assert (found.ratio, *found.interval) == pytest.approx((3.0, 3.0, 3.0))


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
