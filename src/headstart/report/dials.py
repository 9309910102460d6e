"""Effect of one factor while all others stay: model size, share of 2D, amount of 3D data, budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart import plots
from headstart.report.cells import Study, Variant
from headstart.report.comparison import (
    Comparison,
    any_score,
    arm_and_stage,
    column_titles,
    compare,
    counts,
    over_seeds,
    protocols,
    provenance,
    recorrected,
    summary_entry,
    test_title,
    values,
)
from headstart.report.curves import Curve, common_goal
from headstart.report.document import Figure, Row, Section, Table, arm_title, flops, listed, plain
from headstart.report.series import series_of_summaries
from headstart.report.sweeps import Dial, Sweep, main_pairs_along, pairs_along, sweeps
from headstart.report.wording import STATES
from headstart.statistics import difference


def _flops_a_sample(study: Study, backbone: str) -> float:
    return next(cell.flops_per_sample for cell in study.cells if cell.variant.backbone == backbone)


MODEL_SIZE = Dial(
    "model-size",
    "Effect of model size",
    "backbone",
    "backbone, small to large",
    plain,
    _flops_a_sample,
    "Backbones in the order of their FLOPs a sample; the budget is equal within a backbone.",
    ("budget_flops",),
)
SHARE_OF_2D = Dial(
    "share",
    "Effect of the share of 2D",
    "share_2d",
    "share of the budget spent on 2D",
    lambda share: f"{share:.0%}",
    lambda _, share: share,
    "The total budget is the same: what 2D takes, 3D lacks.",
)
AMOUNT_OF_3D = Dial(
    "amount",
    "Effect of the amount of 3D data",
    "three_d_limit",
    "people in the 3D set",
    lambda limit: "all" if limit is None else f"{limit:,}",
    lambda _, limit: float("inf") if limit is None else limit,
    "The budget is the same: with fewer people, each is seen more often.",
)
BUDGET = Dial(
    "budget",
    "Effect of the budget",
    "budget_flops",
    "training FLOPs of a cell",
    flops,
    lambda _, value: value,
    "Both arms of a pair have the same budget.",
)

#: In the order of the page.
DIALS = (SHARE_OF_2D, AMOUNT_OF_3D, BUDGET, MODEL_SIZE)


def in_short(study: Study) -> list[str]:
    """Where the main arm pays along each dial, for the answer: a sentence a dial and setting."""
    sentences = []
    for dial in DIALS:
        along = sweeps(study, dial)
        found, others = _comparisons(study, along), _comparisons(study, along, elsewhere=True)
        for sweep in along:
            if words := _where_it_pays(study, dial, sweep, found) + _and_elsewhere(study, sweep, others):
                sentences.append(f"- **{dial.title}** (corrected within its section), {sweep.setting.title}, {words}.")
    return sentences


def section(study: Study, dial: Dial) -> Section | None:
    """What turning a dial does, with a figure and tables; nothing where no cells lie along it."""
    along = sweeps(study, dial)
    if not along:
        return None
    found, others = _comparisons(study, along), _comparisons(study, along, elsewhere=True)
    tables = [_table(study, dial, sweep, found) for sweep in along]
    tables += [_other_tests(study, dial, sweep, others) for sweep in along if others]
    shown = [variant for sweep in along for line in sweep.lines.values() for variant in line.values()]
    tests = list(dict.fromkeys(sweep.protocol for sweep in along))
    caption = f"Mean over seeds, bars ± one standard deviation. {provenance(study, shown, tests)}"
    figure = Figure(dial.id, [_panel(study, dial, sweep) for sweep in along], caption)
    states = [
        (sweep, _where_it_pays(study, dial, sweep, found) + _and_elsewhere(study, sweep, others)) for sweep in along
    ]
    sentences = [f"- **{sweep.setting.title}**, {words}." for sweep, words in states if words]
    return Section(dial.id, dial.title, [dial.about, *sentences, *_ends(study, dial, along)], [figure, *tables])


def _comparisons(study: Study, along: list[Sweep], elsewhere: bool = False) -> list[Comparison]:
    """Every arm against its baseline at every place, on the own test of each 3D set or on all the others."""
    found = []
    for sweep in along:
        tests = [name for name in protocols(study) if (name != sweep.protocol) is elsewhere]
        found += compare(study, pairs_along(study, sweep), tests)
    return recorrected(found)


def _panel(study: Study, dial: Dial, sweep: Sweep) -> str:
    series = []
    for line in sweep.lines.values():
        variants = [line.get(value) for value in sweep.values]
        summaries = [over_seeds(study.variants[one], sweep.protocol) if one else None for one in variants]
        series.append(series_of_summaries(study, next(one for one in variants if one), summaries))
    names = [dial.name(value) for value in sweep.values]
    return plots.steps(series, names, sweep.setting.title, dial.axis, test_title(study, sweep.protocol))


def _table(study: Study, dial: Dial, sweep: Sweep, found: list[Comparison]) -> Table:
    header = [_axis(dial), "Arm", test_title(study, sweep.protocol), f"Minus {arm_title(study.baseline)}"]
    rows: list[Row] = []
    for value in sweep.values:
        for line in sweep.lines.values():
            if value in line:
                difference = next((one.entry for one in found if one.first == line[value]), "–")
                figure = summary_entry(study, line[value], sweep.protocol)
                rows.append([dial.name(value), arm_and_stage(line[value]), figure, difference])
    note = f"p after Holm over {found[0].comparisons if found else 0} comparisons of this section."
    return Table(f"Trained on {sweep.setting.title}", header, rows, note, folded=True)


def _axis(dial: Dial) -> str:
    """What a dial turns, as the head of a column: capitals within it stay (2D, FLOPs)."""
    name = dial.axis.split(",")[0]
    return name[:1].upper() + name[1:]


def _other_tests(study: Study, dial: Dial, sweep: Sweep, found: list[Comparison]) -> Table:
    """The same variants on all tests but the own one of their 3D set."""
    names = [name for name in protocols(study) if name != sweep.protocol]
    differences = {(one.first, one.protocol): one.entry for one in found}
    rows: list[Row] = []
    for value in sweep.values:
        for variant in [line[value] for line in sweep.lines.values() if value in line]:
            entries = [summary_entry(study, variant, name) for name in names]
            for place, name in enumerate(names):
                if (one := differences.get((variant, name))) is not None:
                    entries[place] = replace(entries[place], detail=f"{one.text} {one.detail}", tone=one.tone)
            rows.append([dial.name(value), arm_and_stage(variant), *entries])
    header = [_axis(dial), "Arm", *column_titles(study, names)]
    shown = [variant for line in sweep.lines.values() for variant in line.values()]
    note = (
        f"Below each figure its difference from {arm_title(study.baseline)}; p after Holm over "
        f"{found[0].comparisons} comparisons, this section's other tests. {provenance(study, shown, names)}"
    )
    return Table(f"Trained on {sweep.setting.title}, the other tests", header, rows, note, folded=True)


def _where_it_pays(study: Study, dial: Dial, sweep: Sweep, found: list[Comparison]) -> str:
    """At which values the main arm is significantly better, worse, or neither; nothing where it has no partner."""
    line = sweep.lines.get((study.main, False), {})
    states: dict[str, list[str]] = {state: [] for state in STATES}
    for value in sweep.values:
        one = next((one for one in found if value in line and one.first == line[value]), None)
        if one is not None:
            states[one.state].append(f"{dial.name(value)} ({one.entry.text})")
    parts = [f"{state} at {listed(values)}" for state, values in states.items() if values]
    return f"{plain(sweep.protocol)}: {arm_title(study.main)} is {'; '.join(parts)}" if parts else ""


def _and_elsewhere(study: Study, sweep: Sweep, others: list[Comparison]) -> str:
    """The same arm on the tests but the own one of the 3D set, counted."""
    mine = {first for first, _ in main_pairs_along(study, sweep)}
    found = [one for one in others if one.first in mine]
    return f"; on the other tests (corrected among themselves) it is {counts(found)}" if found else ""


# --- from one end to the other ---


def _ends(study: Study, dial: Dial, along: list[Sweep]) -> list[str]:
    """How far the effect changes along a dial; of budgets also the compute to an error, by whole runs."""
    if dial is MODEL_SIZE:  # other networks bring other weights too: there is no way from one to the other
        return []
    arms = f"{arm_title(study.main)} minus {arm_title(study.baseline)}"
    changes = [(sweep, one) for sweep in along for one in [_change(study, sweep)] if one]
    corrected = recorrected([one for _, one in changes])
    sentences = [
        f"- **{sweep.setting.title}**, {arms}, from {_place(dial, one.second)} to {_place(dial, one.first)}: "
        f"{one.words}."
        for (sweep, _), one in zip(changes, corrected)
    ]
    return [*sentences, *(_whole_runs(study, along) if dial is BUDGET else [])]


def _place(dial: Dial, variant: Variant) -> str:
    return dial.name(getattr(variant, dial.field))


def _change(study: Study, sweep: Sweep) -> Comparison | None:
    """The main arm's effect at the last place minus that at the first, seed by seed."""
    found = main_pairs_along(study, sweep)
    if len(found) < 2:
        return None
    effects = []
    for pair in (found[-1], found[0]):
        ours, theirs = (values(study.variants[one], sweep.protocol) for one in pair)
        effects.append({seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs})
    seeds = tuple(seed for seed in effects[0] if seed in effects[1])
    if not seeds:
        return None
    last, first = ([effect[seed] for seed in seeds] for effect in effects)
    change = difference(last, first, study.significance_test)
    score = any_score(study, sweep.protocol)
    ends = (found[-1][0], found[0][0])
    return Comparison(*ends, sweep.protocol, score.unit, score.better, seeds, change, change.p, 1)


def _whole_runs(study: Study, along: list[Sweep]) -> list[str]:
    """The ratio of compute between the arms, each run with a budget and a schedule of its own: a sentence a sweep."""
    sentences = []
    for sweep in along:
        if found := main_pairs_along(study, sweep):
            ours, theirs = (_final_curves(study, [pair[arm] for pair in found], sweep.protocol) for arm in (0, 1))
            both = [seed for seed in ours if seed in theirs]  # none where no seed has been run at every budget yet
            goal = common_goal(study, [ours[seed] for seed in both], [theirs[seed] for seed in both], sweep.protocol)
            sentences += [f"- **{sweep.setting.title}**, by the final scores of whole runs: {goal}."] if goal else []
    return sentences


def _final_curves(study: Study, variants: list[Variant], protocol: str) -> dict[int, Curve]:
    """Seed -> FLOPs spent and final values, budget by budget, for seeds that all budgets have."""
    scores = [values(study.variants[variant], protocol) for variant in variants]
    seeds = set.intersection(*(set(one) for one in scores))
    return {
        seed: (
            np.array([study.variants[variant][seed].flops for variant in variants]),
            np.array([one[seed] for one in scores]),
        )
        for seed in sorted(seeds)
    }
