"""Does an arm of a study also beat the baseline at the best of the baseline's own budgets?

    python benchmarks/best_budget.py studies/replication

Equal compute is unfair to a baseline that is better with less of it. For each test: the mean of each arm at each
budget, and its difference from the baseline at that budget of the baseline whose mean is best **on this very test**,
which favours the baseline. Intervals are Welch's, 95 %, and p is not corrected.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from headstart.report import Study, Variant, load_study
from headstart.report.comparison import any_score, over_seeds, protocols, values
from headstart.report.document import arm_title, flops
from headstart.statistics import difference, is_better


def best(study: Study, variants: list[Variant], test: str) -> Variant:
    """The one whose mean is best."""
    better = any_score(study, test).better
    found = variants[0]
    for variant in variants[1:]:
        one, other = (over_seeds(study.variants[which], test) for which in (variant, found))
        if one is not None and (other is None or is_better(one.mean - other.mean, better)):
            found = variant
    return found


def lines(study: Study, test: str) -> list[str]:
    """One for each arm and budget, those of the baseline first."""
    order = sorted(study.variants, key=lambda one: (one.arm != study.baseline, one.arm, one.budget_flops))
    reference = best(study, [one for one in order if one.arm == study.baseline], test)
    theirs = list(values(study.variants[reference], test).values())
    found = []
    for variant in order:
        ours = list(values(study.variants[variant], test).values())
        mean = f"{sum(ours) / len(ours):7.1f} (n = {len(ours)})"
        said = f"  {arm_title(variant.arm):18} {flops(variant.budget_flops):>11}  {mean}"
        if variant == reference:
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
    given = load_study(parser.parse_args().study)
    for test in protocols(given):
        score = any_score(given, test)
        print(f"{test}, {score.metric}, {score.unit} ({score.better} is better)")
        print("\n".join(lines(given, test)))
