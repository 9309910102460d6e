"""What is compared with what, by hand: common seeds, families of tests, and how cases are counted and named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fake_study import BUDGET, Fake, write_study
from headstart.report import load_study
from headstart.report.comparison import Comparison, any_score, compare, counts, group_value, protocols, sources, values
from headstart.results import Scores
from headstart.statistics import difference


def score(value: float, protocol: str = "wild", **groups: Any) -> Scores:
    return Scores(protocol, f"Data set {protocol}, split test.", "mpjpe", "mm", value, "lower", 10, **groups)


def cell(**scores: Scores) -> Any:
    return SimpleNamespace(scores=scores)


def case(change: float, p: float) -> Comparison:
    """One arm whose error changed by so many mm, and a corrected p."""
    seen = difference([10.0 + change, 10.1 + change, 10.0 + change], [10.0, 10.0, 10.1], "paired")
    return Comparison("ours", "theirs", "wild", "mm", "lower", (0, 1, 2), seen, p, 4)  # type: ignore[arg-type]


def test_cases_are_counted_by_what_they_say() -> None:
    """Lower is better: two falls and a rise are significant, a fall and a rise are not, one has no test."""
    found = [case(-3, 0.01), case(-2, 0.04), case(5, 0.01), case(-1, 0.06), case(4, 0.2), case(-9, float("nan"))]
    text = counts(found)
    assert text.endswith(" of 6 comparisons")
    for words in (
        "significantly better in 2",
        "significantly worse in 1",
        "not significantly different in 2",
        "not tested, for want of seeds, in 1",
    ):
        assert words in text
    assert counts(found[2:3]) == "significantly worse in 1 of 1 comparison"


def test_a_difference_without_spread_is_not_tested_and_holm_corrects_the_rest() -> None:
    """Known defect: 0.6 points in all of three seeds counted as significant, p < 0.001, interval [-0.6, -0.6]."""
    arms: dict[Any, Any] = {
        "ours": {seed: cell(a=score(1.8, "a"), b=score(b, "b")) for seed, b in enumerate((5.0, 6.0, 7.5))},
        "theirs": {seed: cell(a=score(2.4, "a"), b=score(b, "b")) for seed, b in enumerate((9.0, 9.9, 11.6))},
        "equal": {seed: cell(a=score(1.8, "a")) for seed in range(3)},
    }
    study: Any = SimpleNamespace(variants=arms, significance_test="paired")
    pairs: list[Any] = [("ours", "theirs")]
    same, tested = compare(study, pairs, ["a", "b"])
    assert (same.entry.text, same.entry.detail, same.entry.tone) == ("−0.6 mm", "the same in every seed: no test", "")
    assert same.words == "not testable: lower by 0.6 mm, the same difference in every seed (n = 3)"
    # One test: its p is not doubled.
    assert tested.comparisons == same.comparisons == 1
    assert tested.p == tested.difference.p < 0.05
    assert counts([same, tested]) == (
        "significantly better in 1 and not testable, as the difference is the same in every seed, in 1 of 2 comparisons"
    )
    pairs = [("ours", "equal")]
    (none,) = compare(study, pairs, ["a"])
    assert (none.entry.detail, none.words) == ("no difference in any seed", "no difference in any seed (n = 3)")
    assert counts([none]) == "not significantly different in 1 of 1 comparison"


def test_seeds_without_a_value_are_left_out() -> None:
    nan = float("nan")
    cells = {
        0: cell(wild=score(50.0, per_joint={"nose": 7.0})),
        1: cell(wild=score(60.0, per_joint={"nose": nan})),
        2: cell(wild=score(70.0, per_joint={})),
        3: cell(studio=score(80.0, per_joint={"nose": 8.0})),
    }
    assert values(cells, "wild") == {0: 50.0, 1: 60.0, 2: 70.0}
    assert values(cells, "wild", group_value("per_joint", "nose")) == {0: 7.0}


def test_arms_are_compared_on_the_seeds_that_both_have() -> None:
    arms: dict[Any, Any] = {
        "ours": {seed: cell(wild=score(value)) for seed, value in {0: 50.0, 1: 53.0, 2: 58.0}.items()},
        "theirs": {seed: cell(wild=score(value)) for seed, value in {1: 55.0, 2: 59.0, 3: 10.0}.items()},
        "late": {2: cell(wild=score(60.0))},
        "other": {7: cell(wild=score(1.0))},
    }
    study: Any = SimpleNamespace(variants=arms, significance_test="paired")
    pairs: list[Any] = [("ours", "theirs"), ("ours", "late"), ("ours", "other")]
    both, single = compare(study, pairs, ["wild"])
    assert (both.first, both.second, both.seeds) == ("ours", "theirs", (1, 2))
    assert both.difference.mean == pytest.approx(-1.5)
    assert (single.second, single.seeds, single.difference.mean) == ("late", (2,), -2.0)
    assert np.isnan(single.p)
    # A single seed cannot be tested: the family has one test.
    assert both.comparisons == single.comparisons == 1


def test_tests_are_in_the_order_of_the_study_and_others_at_the_end() -> None:
    cells = [cell(added=score(1.0), studio=score(2.0)), cell(wild=score(3.0), studio=score(4.0))]
    study: Any = SimpleNamespace(cells=cells, protocols=["wild", "studio"])
    assert protocols(study) == ["wild", "studio", "added"]
    assert any_score(study, "wild").value == 3.0
    assert any_score(study, "studio").value == 2.0


def test_networks_keep_their_order_and_commits_are_sorted() -> None:
    commits = [f"{letter}{'0' * 39}" for letter in "fbdace"]
    made: list[Any] = [
        SimpleNamespace(
            variant=SimpleNamespace(backbone=backbone, budget_flops=1e12),
            seed=seed,
            result=SimpleNamespace(git_sha=sha, device="cpu"),
        )
        for seed, (sha, backbone) in enumerate(zip(commits, ["resnet50", "resnet18"] * 3))
    ]
    text = sources(made)
    assert text.index("resnet50") < text.index("resnet18")
    places = [text.index(f"{letter}000000") for letter in "abcdef"]
    assert places == sorted(places)
    assert "seeds 0, 1, 2, 3, 4 and 5" in text


@pytest.mark.parametrize("own", [BUDGET, {"efficientnet_lite0": BUDGET}, BUDGET / 4])
def test_of_budgets_that_are_as_frequent_the_studys_own_is_in_the_main_tables(
    tmp_path: Path, own: float | dict[str, float]
) -> None:
    cells = [
        Fake(arm, seed, two_d, budget_flops=share * BUDGET)
        for seed in range(3)
        for share in (0.25, 0.5, 1.0)
        for arm, two_d in (("3d_alone", None), ("2d_then_3d", "synthetic_wild"))
    ]
    found = load_study(write_study(tmp_path, cells, budget_flops=own))
    wanted = own if isinstance(own, float) else BUDGET
    assert found.usual_budget("efficientnet_lite0") == wanted
    assert {variant.budget_flops for variant in found.variants if found.is_usual(variant)} == {wanted}
