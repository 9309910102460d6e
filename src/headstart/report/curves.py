"""Error against compute, the compute that an error needs, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart import plots
from headstart.report.cells import Study, Variant
from headstart.report.comparison import (
    Setting,
    any_score,
    arm_and_stage,
    main_pairs,
    main_protocol,
    protocols,
    provenance,
    settings,
    test_title,
    usual_in,
    with_partner,
)
from headstart.report.compute import Band, ComputeRatio, Reached, band, compute_ratio, compute_to_reach
from headstart.report.document import Figure, Row, Section, Table, arm_title, flops
from headstart.report.series import series_of_band
from headstart.report.wording import wording
from headstart.results import Better

_ABOUT = (
    "Read while training, on the part of the test that the study validates on and without the mirrored picture: "
    "the last points differ a little from the final scores above."
)


def error_against_compute(study: Study) -> Section | None:
    """One panel a setting: the own test of its 3D set against FLOPs, a line an arm."""
    panels, shown, tests = [], [], []
    for setting in settings(study):
        protocol = main_protocol(study, setting.three_d)
        series, variants = _series(study, usual_in(study, setting), protocol)
        if series:
            title = setting.title
            label, limits = test_title(study, protocol), _range_of(series, any_score(study, protocol).better)
            panels.append(plots.lines(series, title, "training FLOPs", label, x_scale="log", y_range=limits))
            shown += variants
            tests.append(protocol)
    if not panels:
        return None
    caption = (
        "Mean over seeds; bands are ± one standard deviation; a ring marks the start of a new stage. "
        "A first stage without 3D labels may lie outside the panel: its depth is untrained. "
        f"{_ABOUT} {provenance(study, shown, list(dict.fromkeys(tests)), along=True)}"
    )
    return Section("compute", "Error against compute", [], [Figure("compute", panels, caption)])


def learning_curves(study: Study) -> Section | None:
    """One panel a setting and test, 2D and 3D, against FLOPs."""
    figures: list[Figure] = []
    for setting in settings(study):
        panels, shown = [], []
        for protocol in protocols(study):
            series, variants = _series(study, usual_in(study, setting), protocol)
            if series:
                title, unit = test_title(study, protocol).rsplit(", ", 1)
                panels.append(plots.lines(series, title, "training FLOPs", unit))
                shown += variants
        if panels:
            caption = f"Trained on {setting.title}. {provenance(study, shown, protocols(study), along=True)}"
            name = f"curves-{setting.three_d}-{setting.two_d}"
            figures.append(Figure(name, panels, caption, folded=bool(figures)))
    text = f"2D and 3D tests through all stages; a ring marks the start of a new stage. {_ABOUT}"
    return Section("curves", "Learning curves", [text], figures) if figures else None


def _series(study: Study, variants: Sequence[Variant], protocol: str) -> tuple[list[plots.Series], list[Variant]]:
    found, shown = [], []
    for variant in variants:
        curves = [cell.curve(protocol) for cell in study.variants[variant].values()]
        curves = [curve for curve in curves if len(curve[0]) > 1]
        if curves:
            one = band([curve[:2] for curve in curves])
            found.append(series_of_band(study, variant, one, _stage_starts(one, curves[0])))
            shown.append(variant)
    return found, shown


def _range_of(series: Sequence[plots.Series], better: Better) -> tuple[float, float]:
    """From the best of all arms to the worst of the baseline, which comes first, bands included; a little room."""
    lows = [float(np.min(one.y if one.low is None else one.low)) for one in series]
    highs = [float(np.max(one.y if one.high is None else one.high)) for one in series]
    low, high = (min(lows), highs[0]) if better == "lower" else (lows[0], max(highs))
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _stage_starts(one: Band, curve: tuple[np.ndarray, np.ndarray, list[int]]) -> list[int]:
    """Points of the band nearest to the last point of each stage but the last."""
    ends = [k for k in range(len(curve[2]) - 1) if curve[2][k] != curve[2][k + 1]]
    return [int(np.abs(one.compute - curve[0][k]).argmin()) for k in ends]


# --- compute to reach an error ---

#: FLOPs spent, rising, and values (n,) each.
Curve = tuple[np.ndarray, np.ndarray]


def main_ratios(study: Study) -> list[str]:
    """How much compute the main arm needs for what every seed of the baseline reaches: a sentence a setting."""
    sentences = []
    for setting in settings(study):
        protocol = main_protocol(study, setting.three_d)
        for pair in main_pairs(study, setting):
            if goal := common_goal(study, *_curves(study, *pair, protocol), protocol):
                sentences.append(f"- **Compute, {setting.title}**: {goal}.")
    return sentences


def common_goal(study: Study, ours: list[Curve], theirs: list[Curve], protocol: str) -> str:
    """What the main arm (``ours``) needs for the error that every seed of the baseline reaches; "" without seeds.

    And the error that every seed of the main arm reaches, if no seed of the baseline does.
    """
    better, unit, words = any_score(study, protocol).better, any_score(study, protocol).unit, []
    main, baseline = arm_title(study.main), arm_title(study.baseline)
    for target in _targets(ours, theirs, better):
        we, they = ([compute_to_reach(*curve, target.value, better) for curve in arm] for arm in (ours, theirs))
        ratio = compute_ratio(we, they, study.significance_test)
        if target.why == _ALL_OF_BASELINE:
            reached = f"to reach {target.value:.1f} {unit}, as every seed of {baseline} does"
            words.append(f"{reached}, {_ratio_sentence(study, ratio)}")
        # A baseline that stops early needs little compute for the little that it reaches.
        if target.why == _ALL_OF_ARM and not ratio.n:
            words.append(f"no seed of {baseline} reaches {target.value:.1f} {unit}, as every seed of {main} does")
    return "; ".join(words)


def _ratio_sentence(study: Study, ratio: ComputeRatio) -> str:
    if ratio.n == 0:
        return f"{arm_title(study.main)} needs more than its budget, in every seed"
    low, high = map(times_words, ratio.interval)
    interval = f"95 % interval{' of this bound' if ratio.bound else ''} {low} to {high}, " if ratio.n > 1 else ""
    missed = f"{ratio.first_missing} more did not reach it" if ratio.first_missing else ""
    remarks = "; ".join(one for one in (f"{interval}n = {_seeds(ratio.n)}", missed, _early(ratio)) if one)
    arms = f"{arm_title(study.baseline)} needs {_bounded(ratio)} times the compute of {arm_title(study.main)}"
    return f"{arms} ({remarks})"


_ALL_OF_BASELINE, _ALL_OF_ARM = "all seeds of the baseline", "all seeds of the arm"


@dataclass(frozen=True)
class _Target:
    value: float
    why: str


def compute_to_error(study: Study) -> Section | None:
    """How many times the compute of each arm the baseline needs to reach the same error."""
    tables = [table for setting in settings(study) for table in [_compute_table(study, setting)] if table]
    text = (
        f"The ratio is compute of {arm_title(study.baseline)} over compute of the arm, {wording(study).ratios}:"
        " above 1, the arm needs less. Between two validations the value is read linearly in the logarithm of compute;"
        " nothing is extrapolated. An error is reached where a curve first meets it, even if the curve gets worse after"
        " that. The points of a curve lie along one run, whose rate still falls: a run planned for less compute would"
        " end at another error. A seed that ends its budget short of the error has not reached it"
        " and is not in the ratio; where that happens, the ratio of the others flatters the arm that missed."
    )
    return Section("compute-to-error", "Compute to reach an error", [text], tables) if tables else None


def _compute_table(study: Study, setting: Setting) -> Table | None:
    protocol = main_protocol(study, setting.three_d)
    pairs = with_partner(study, usual_in(study, setting))
    rows = [row for first, second in pairs for row in _compute_rows(study, first, second, protocol)]
    if not rows:
        return None
    unit = any_score(study, protocol).unit
    header = ["Arm", f"Error to reach ({unit})", f"{arm_title(study.baseline)} needs", "The arm needs", "Ratio [95 %]"]
    shown = [variant for pair in pairs for variant in pair]
    note = f"{test_title(study, protocol)}, while training. {provenance(study, shown, [protocol], along=True)}"
    return Table(f"Trained on {setting.title}", header, rows, note)


def _compute_rows(study: Study, first: Variant, second: Variant, protocol: str) -> list[Row]:
    better = any_score(study, protocol).better
    ours, theirs = _curves(study, first, second, protocol)
    rows: list[Row] = []
    for target in _targets(ours, theirs, better):
        we, they = ([compute_to_reach(*curve, target.value, better) for curve in arm] for arm in (ours, theirs))
        cells = [_needs(they), _needs(we), ratio_words(compute_ratio(we, they, study.significance_test))]
        rows.append([arm_and_stage(first), f"{target.value:.1f} ({target.why})", *cells])
    return rows


def _curves(study: Study, first: Variant, second: Variant, protocol: str) -> tuple[list[Curve], list[Curve]]:
    """Curves of both arms for the seeds that both have."""
    ours, theirs = study.variants[first], study.variants[second]
    seeds = [seed for seed in ours if seed in theirs]
    both = [(ours[seed].curve(protocol)[:2], theirs[seed].curve(protocol)[:2]) for seed in seeds]
    both = [(one, two) for one, two in both if len(one[0]) and len(two[0])]
    return [one for one, _ in both], [two for _, two in both]


def _targets(ours: list[Curve], theirs: list[Curve], better: Better) -> list[_Target]:
    """What every seed of the baseline reaches, a tenth looser, and what every seed of the arm reaches."""
    if not ours:
        return []
    worst, best = (max, min) if better == "lower" else (min, max)
    all_theirs = float(worst(best(values) for _, values in theirs))
    all_ours = float(worst(best(values) for _, values in ours))
    looser = all_theirs * (1.1 if better == "lower" else 1 / 1.1)
    targets = [_Target(looser, "a tenth looser"), _Target(all_theirs, _ALL_OF_BASELINE)]
    further = all_ours < all_theirs if better == "lower" else all_ours > all_theirs
    return [*targets, _Target(all_ours, _ALL_OF_ARM)] if further else targets


def _needs(reached: Sequence[Reached]) -> str:
    spent = [one.compute for one in reached if one.compute is not None]
    missing = len(reached) - len(spent)
    if not spent:
        return f"not reached (0 of {_seeds(len(reached))})"
    mean = flops(float(np.exp(np.mean(np.log(spent)))))
    bound = "at most " if any(one.before_first for one in reached) else ""
    return f"{bound}{mean}" + (f" (not reached by {missing} of {_seeds(len(reached))})" if missing else "")


def ratio_words(ratio: ComputeRatio) -> str:
    """``1.8 [1.2, 2.7]``, or why there is none."""
    if ratio.n == 0:
        return "unknown: " + ("neither reaches it" if ratio.first_missing and ratio.second_missing else "not reached")
    low, high = map(times_words, ratio.interval)
    text = _bounded(ratio) + (f" [{low}, {high}]" if ratio.n > 1 else "")
    missed = ratio.first_missing or ratio.second_missing
    limits = [_early(ratio), f"over the {_seeds(ratio.n)} in which both reach it" if missed else ""]
    remarks = "; ".join(limit for limit in limits if limit)
    return f"{text} ({remarks})" if remarks else text


def _bounded(ratio: ComputeRatio) -> str:
    return f"{ratio.bound} {times_words(ratio.ratio)}".strip()


def times_words(value: float) -> str:
    """``1.80``, ``below 0.01`` or ``above 100``: two seeds that differ can have an interval of many powers of ten."""
    if value < 0.01:
        return "below 0.01"
    return "above 100" if value > 100 else f"{value:.2f}"


def _early(ratio: ComputeRatio) -> str:
    """Which arm reached the target before its first validation, so that its compute is an upper bound."""
    if ratio.first_early and ratio.second_early:
        return "no bound either way: both arms reach it before their first validation"
    if ratio.first_early or ratio.second_early:
        return f"{'the arm' if ratio.first_early else 'the baseline'} reaches it before the first validation"
    return ""


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"
