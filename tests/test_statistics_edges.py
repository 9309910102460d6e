"""Statistics of arms that are equal, or nearly: what is written of them, and the p that they have."""

from __future__ import annotations

from headstart.report.wording import sentence
from headstart.statistics import paired_difference, permutation_p


def test_arms_of_one_value_are_no_further_apart_in_any_other_deal() -> None:
    assert permutation_p([2.0, 2.0], [2.0, 2.0, 2.0]) == 1.0


def test_arms_of_one_mean_are_no_further_apart_in_any_other_deal() -> None:
    """0.4 + 0.1 + 0.4 and 0.3 + 0.2 + 0.4 are both 0.9; that sums differ in their last bits must not matter."""
    assert permutation_p([0.4, 0.1, 0.4], [0.3, 0.2, 0.4]) == 1.0


def test_a_small_gain_keeps_its_interval() -> None:
    """Differences 0.4, 0.5, 0.6: standard error 0.1 / sqrt(3), times t(0.975, 2) = 4.30 is 0.248."""
    found = sentence(paired_difference([1.4, 2.5, 3.6], [1.0, 2.0, 3.0]), "mm", 0.013)
    assert found == "higher by 0.5 mm (95 % interval 0.3 to 0.7, n = 3 seeds, p = 0.013)"
