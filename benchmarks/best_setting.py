"""Does an arm of a study also beat the baseline where each has the budget or setting that suits it?

    python benchmarks/best_setting.py studies/replication
    python benchmarks/best_setting.py studies/tuned --choose-on synthetic_studio

Equal compute is unfair to a baseline that is better with less of it, and equal learning rates to one that wants another
rate. Arms whose names agree up to an ``@`` (``3d_alone@1e-3``, ``3d_alone@3e-3``) are settings of one arm. For each
test: the mean of each setting at each budget, and its difference from the best of the baseline: the one whose mean is
best **on this very test**, which favours the baseline, or on the test that ``--choose-on`` names. A star marks the best
of each arm, chosen in the same way. Intervals are Welch's, 95 %, and p is not corrected.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from headstart.report import Study, Variant, load_study
from headstart.report.comparison import any_score, over_seeds, protocols, values
from headstart.report.document import arm_title, flops
from headstart.statistics import difference, is_better


def family(arm: str) -> str:
    """The arm that ``arm`` is a setting of."""
    return arm.partition("@")[0]


def best(study: Study, variants: list[Variant], test: str) -> Variant:
    """The one whose mean is best."""
    better = any_score(study, test).better
    found = variants[0]
    for variant in variants[1:]:
        one, other = (over_seeds(study.variants[which], test) for which in (variant, found))
        if one is not None and (other is None or is_better(one.mean - other.mean, better)):
            found = variant
    return found


def best_of_each(study: Study, test: str) -> dict[str, Variant]:
    """Arm -> the best of its settings and budgets."""
    arms = dict.fromkeys(family(one.arm) for one in study.variants)
    return {arm: best(study, [one for one in study.variants if family(one.arm) == arm], test) for arm in arms}


def lines(study: Study, test: str, choose_on: str) -> list[str]:
    """One for each setting and budget, those of the baseline first."""
    baseline, chosen = family(study.baseline), best_of_each(study, choose_on)
    order = sorted(
        study.variants, key=lambda one: (family(one.arm) != baseline, family(one.arm), one.budget_flops, one.arm)
    )
    theirs = list(values(study.variants[chosen[baseline]], test).values())
    found = []
    for variant in order:
        ours = list(values(study.variants[variant], test).values())
        star = "*" if variant in chosen.values() else " "
        mean = f"{sum(ours) / len(ours):7.1f} (n = {len(ours)})"
        said = f"{star} {arm_title(variant.arm):24} {flops(variant.budget_flops):>11}  {mean}"
        if variant == chosen[baseline]:
            said += "  the baseline's best"
        else:
            change = difference(ours, theirs, "welch")
            low, high = change.interval
            said += f"  {change.mean:+7.1f} ({low:+.1f} to {high:+.1f}), p = {change.p:.2g}"
        found.append(said)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--choose-on", metavar="TEST", help="a test of the study; each test by itself without it")
    arguments = parser.parse_args()
    given = load_study(arguments.study)
    if arguments.choose_on not in (None, *protocols(given)):
        parser.error(f"--choose-on: expected one of {', '.join(protocols(given))}, got {arguments.choose_on}")
    for test in protocols(given):
        score = any_score(given, test)
        print(f"{test}, {score.metric}, {score.unit} ({score.better} is better)")
        print("\n".join(lines(given, test, arguments.choose_on or test)))
