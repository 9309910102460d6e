"""What changes when one thing is turned and all else stays: model size, share of 2D, amount of 3D data, budget."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np

from headstart import plots
from headstart.report.cells import Study, Variant
from headstart.report.comparison import (
    Comparison,
    any_score,
    arm_and_stage,
    arrow,
    compare,
    counts,
    over_seeds,
    protocols,
    provenance,
    recorrected,
    role,
    summary_entry,
    test_title,
    values,
)
from headstart.report.curves import Curve, common_goal
from headstart.report.document import Figure, Row, Section, Table, arm_title, flops, listed, plain
from headstart.report.turns import Dial, Turn, main_pairs, pairs, turns
from headstart.statistics import Summary, is_better, paired_difference


def _flops_a_sample(study: Study, backbone: str) -> float:
    return next(cell.flops_per_sample for cell in study.cells if cell.variant.backbone == backbone)


_MODEL_SIZE = Dial(
    "model-size",
    "Effect of model size",
    "backbone",
    "backbone, small to large",
    plain,
    _flops_a_sample,
    "Backbones in the order of their FLOPs a sample; the budget is equal within a backbone.",
    ("budget_flops",),
)
_SHARE = Dial(
    "share",
    "Effect of the share of 2D",
    "share_2d",
    "share of the budget spent on 2D",
    lambda share: f"{share:.0%}",
    lambda _, share: share,
    "The total budget is the same: what 2D takes, 3D lacks.",
)
_AMOUNT = Dial(
    "amount",
    "Effect of the amount of 3D data",
    "three_d_limit",
    "people in the 3D set",
    lambda limit: "all" if limit is None else f"{limit:,}",
    lambda _, limit: float("inf") if limit is None else limit,
    "The budget is the same: with fewer people, each is seen more often.",
)
_BUDGET = Dial(
    "budget",
    "Effect of the budget",
    "budget_flops",
    "training FLOPs of a cell",
    flops,
    lambda _, value: value,
    "Both arms of a pair have the same budget.",
)


def model_size(study: Study) -> Section | None:
    """The same arms with other backbones."""
    return _section(study, _MODEL_SIZE)


def share_of_2d(study: Study) -> Section | None:
    """The share of the budget that goes to the 2D stage; the baseline stands at 0."""
    return _section(study, _SHARE)


def amount_of_3d(study: Study) -> Section | None:
    """How many people of the 3D set are used."""
    return _section(study, _AMOUNT)


def budget(study: Study) -> Section | None:
    """The same cells with more or less compute."""
    return _section(study, _BUDGET)


def in_short(study: Study) -> list[str]:
    """Where the main arm pays along each dial, for the answer: a sentence a dial and setting."""
    sentences = []
    for dial in (_SHARE, _AMOUNT, _BUDGET, _MODEL_SIZE):
        along = turns(study, dial)
        found, others = _comparisons(study, along), _comparisons(study, along, elsewhere=True)
        for turn in along:
            if words := _where_it_pays(study, dial, turn, found) + _and_elsewhere(study, turn, others):
                sentences.append(f"- **{dial.title}** (corrected within its section), {turn.setting.title}, {words}.")
    return sentences


def _section(study: Study, dial: Dial) -> Section | None:
    along = turns(study, dial)
    if not along:
        return None
    found, others = _comparisons(study, along), _comparisons(study, along, elsewhere=True)
    tables = [_table(study, dial, turn, found) for turn in along]
    tables += [_other_tests(study, dial, turn, others) for turn in along if others]
    shown = [variant for turn in along for line in turn.lines.values() for variant in line.values()]
    tests = list(dict.fromkeys(turn.protocol for turn in along))
    caption = f"Mean over seeds, bars ± one standard deviation. {provenance(study, shown, tests)}"
    figure = Figure(dial.id, [_panel(study, dial, turn) for turn in along], caption)
    states = [(turn, _where_it_pays(study, dial, turn, found) + _and_elsewhere(study, turn, others)) for turn in along]
    sentences = [f"- **{turn.setting.title}**, {words}." for turn, words in states if words]
    return Section(dial.id, dial.title, [dial.about, *sentences, *_ends(study, dial, along)], [figure, *tables])


def _comparisons(study: Study, along: list[Turn], elsewhere: bool = False) -> list[Comparison]:
    """Every arm against its baseline at every place, on the own test of each 3D set or on all the others."""
    found = []
    for turn in along:
        tests = [name for name in protocols(study) if (name != turn.protocol) is elsewhere]
        found += compare(study, pairs(study, turn), tests)
    return recorrected(found)


def _panel(study: Study, dial: Dial, turn: Turn) -> str:
    series = []
    for (_, _), line in turn.lines.items():
        places = [place for place, value in enumerate(turn.values) if value in line]
        variants = [line[turn.values[place]] for place in places]
        summaries = [over_seeds(study.variants[variant], turn.protocol) for variant in variants]
        kept = [(place, one) for place, one in zip(places, summaries) if one]
        series.append(_one_series(study, variants[0], kept))
    names = [dial.name(value) for value in turn.values]
    return plots.steps(series, names, turn.setting.title, dial.axis, test_title(study, turn.protocol))


def _one_series(study: Study, variant: Variant, kept: list[tuple[int, Summary]]) -> plots.Series:
    means, spreads = [one.mean for _, one in kept], [one.std if one.n > 1 else 0.0 for _, one in kept]
    return plots.Series(
        arm_and_stage(variant),
        role(study, variant.arm),
        [place for place, _ in kept],
        means,
        [mean - spread for mean, spread in zip(means, spreads)],
        [mean + spread for mean, spread in zip(means, spreads)],
    )


def _table(study: Study, dial: Dial, turn: Turn, found: list[Comparison]) -> Table:
    header = [_axis(dial), "Arm", test_title(study, turn.protocol), f"Minus {arm_title(study.baseline)}"]
    rows: list[Row] = []
    for value in turn.values:
        for line in turn.lines.values():
            if value in line:
                difference = next((one.entry for one in found if one.first == line[value]), "–")
                figure = summary_entry(study, line[value], turn.protocol)
                rows.append([dial.name(value), arm_and_stage(line[value]), figure, difference])
    note = f"p after Holm over {found[0].comparisons if found else 0} comparisons of this section."
    return Table(f"Trained on {turn.setting.title}", header, rows, note, folded=True)


def _axis(dial: Dial) -> str:
    """What a dial turns, as the head of a column: capitals within it stay (2D, FLOPs)."""
    name = dial.axis.split(",")[0]
    return name[:1].upper() + name[1:]


def _other_tests(study: Study, dial: Dial, turn: Turn, found: list[Comparison]) -> Table:
    """The same variants on all tests but the own one of their 3D set."""
    names = [name for name in protocols(study) if name != turn.protocol]
    differences = {(one.first, one.protocol): one.entry for one in found}
    rows: list[Row] = []
    for value in turn.values:
        for variant in [line[value] for line in turn.lines.values() if value in line]:
            entries = [summary_entry(study, variant, name) for name in names]
            for place, name in enumerate(names):
                if (one := differences.get((variant, name))) is not None:
                    entries[place] = replace(entries[place], detail=f"{one.text} {one.detail}", tone=one.tone)
            rows.append([dial.name(value), arm_and_stage(variant), *entries])
    header = [_axis(dial), "Arm", *(f"{test_title(study, name)} {arrow(study, name)}" for name in names)]
    shown = [variant for line in turn.lines.values() for variant in line.values()]
    note = (
        f"Below each figure its difference from {arm_title(study.baseline)}; p after Holm over "
        f"{found[0].comparisons} comparisons, this section's other tests. {provenance(study, shown, names)}"
    )
    return Table(f"Trained on {turn.setting.title}, the other tests", header, rows, note, folded=True)


def _where_it_pays(study: Study, dial: Dial, turn: Turn, found: list[Comparison]) -> str:
    """At which values the main arm is significantly better, worse, or neither; nothing where it has no partner."""
    line = turn.lines.get((study.main, False), {})
    states: dict[str, list[str]] = {
        "significantly better": [],
        "significantly worse": [],
        "not significantly different": [],
        "not tested, for want of seeds,": [],
    }
    for value in turn.values:
        one = next((one for one in found if value in line and one.first == line[value]), None)
        if one is not None:
            better = is_better(one.difference.mean, one.better)
            state = "not tested, for want of seeds," if isnan(one.p) else "not significantly different"
            if one.significant:
                state = f"significantly {'better' if better else 'worse'}"
            states[state].append(f"{dial.name(value)} ({one.entry.text})")
    parts = [f"{state} at {listed(values)}" for state, values in states.items() if values]
    return f"{plain(turn.protocol)}: {arm_title(study.main)} is {'; '.join(parts)}" if parts else ""


def _and_elsewhere(study: Study, turn: Turn, others: list[Comparison]) -> str:
    """The same arm on the tests but the own one of the 3D set, counted."""
    mine = {first for first, _ in main_pairs(study, turn)}
    found = [one for one in others if one.first in mine]
    return f"; on the other tests (corrected among themselves) it is {counts(found)}" if found else ""


# --- from one end to the other ---


def _ends(study: Study, dial: Dial, along: list[Turn]) -> list[str]:
    """How far the effect changes along a dial; of budgets also the compute to an error, by whole runs."""
    if dial is _MODEL_SIZE:  # other networks bring other weights too: there is no way from one to the other
        return []
    arms = f"{arm_title(study.main)} minus {arm_title(study.baseline)}"
    changes = [(turn, one) for turn in along for one in [_change(study, turn)] if one]
    corrected = recorrected([one for _, one in changes])
    sentences = [
        f"- **{turn.setting.title}**, {arms}, from {_place(dial, one.second)} to {_place(dial, one.first)}: "
        f"{one.words}."
        for (turn, _), one in zip(changes, corrected)
    ]
    return [*sentences, *(_compute(study, turn) for turn in along if dial is _BUDGET and main_pairs(study, turn))]


def _place(dial: Dial, variant: Variant) -> str:
    return dial.name(getattr(variant, dial.field))


def _change(study: Study, turn: Turn) -> Comparison | None:
    """The main arm's effect at the last place minus that at the first, seed by seed."""
    found = main_pairs(study, turn)
    if len(found) < 2:
        return None
    effects = []
    for pair in (found[-1], found[0]):
        ours, theirs = (values(study.variants[one], turn.protocol) for one in pair)
        effects.append({seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs})
    seeds = tuple(seed for seed in effects[0] if seed in effects[1])
    if not seeds:
        return None
    difference = paired_difference(*([effect[seed] for seed in seeds] for effect in effects))
    score = any_score(study, turn.protocol)
    ends = (found[-1][0], found[0][0])
    return Comparison(*ends, turn.protocol, score.unit, score.better, seeds, difference, difference.p, 1)


def _compute(study: Study, turn: Turn) -> str:
    """The ratio of compute between the arms, each run with a budget and a schedule of its own."""
    found = main_pairs(study, turn)
    ours, theirs = (_final_curves(study, [pair[arm] for pair in found], turn.protocol) for arm in (0, 1))
    both = [seed for seed in ours if seed in theirs]
    goal = common_goal(study, [ours[seed] for seed in both], [theirs[seed] for seed in both], turn.protocol)
    return f"- **{turn.setting.title}**, by the final scores of whole runs: {goal}."


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
