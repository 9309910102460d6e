"""What changes when one thing is turned and all else stays: model size, share of 2D, amount of 3D data, budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from headstart import plots
from headstart.report.cells import Study, Variant
from headstart.report.comparison import (
    Comparison,
    Setting,
    any_score,
    arm_and_stage,
    compare,
    main_protocol,
    over_seeds,
    provenance,
    recorrected,
    role,
    summary_entry,
    test_title,
)
from headstart.report.document import Figure, Row, Section, Table, arm_title, flops, listed, plain
from headstart.statistics import Summary, is_better


@dataclass(frozen=True)
class Dial:
    """One field of a variant and how to show it."""

    id: str
    title: str
    field: str
    axis: str
    name: Callable[[Any], str]
    """Value -> label."""
    order: Callable[[Study, Any], float]
    """Study and value -> place on the axis."""
    about: str
    ignored: tuple[str, ...] = ()
    """Fields that may differ along with it."""


def model_size(study: Study) -> Section | None:
    """The same arms with other backbones."""
    return _section(
        study,
        Dial(
            "model-size",
            "Effect of model size",
            "backbone",
            "backbone, small to large",
            plain,
            _flops_a_sample,
            "Backbones in the order of their FLOPs a sample; the budget is equal within a backbone.",
            ("budget_flops",),
        ),
    )


def share_of_2d(study: Study) -> Section | None:
    """The share of the budget that goes to the 2D stage; the baseline stands at 0."""
    return _section(
        study,
        Dial(
            "share",
            "Effect of the share of 2D",
            "share_2d",
            "share of the budget spent on 2D",
            lambda share: f"{share:.0%}",
            lambda _, share: share,
            "The total budget is the same: what 2D takes, 3D lacks.",
        ),
    )


def amount_of_3d(study: Study) -> Section | None:
    """How many people of the 3D set are used."""
    return _section(
        study,
        Dial(
            "amount",
            "Effect of the amount of 3D data",
            "three_d_limit",
            "people in the 3D set",
            lambda limit: "all" if limit is None else f"{limit:,}",
            lambda _, limit: float("inf") if limit is None else limit,
            "The budget is the same: with fewer people, each is seen more often.",
        ),
    )


def budget(study: Study) -> Section | None:
    """The same cells with more or less compute."""
    return _section(
        study,
        Dial(
            "budget",
            "Effect of the budget",
            "budget_flops",
            "training FLOPs of a cell",
            flops,
            lambda _, value: value,
            "Both arms of a pair have the same budget.",
        ),
    )


@dataclass(frozen=True)
class _Turn:
    """Arms along a dial within one setting."""

    setting: Setting
    protocol: str
    values: list[Any]
    lines: dict[tuple[str, bool], dict[Any, Variant]]
    """(arm, geometric) -> value -> variant."""


def _section(study: Study, dial: Dial) -> Section | None:
    turns = _turns(study, dial)
    if not turns:
        return None
    pairs = [pair for turn in turns for pair in _pairs(study, dial, turn)]
    found = recorrected([one for *pair, test in pairs for one in compare(study, [(pair[0], pair[1])], [test])])
    tables = [_table(study, dial, turn, found) for turn in turns]
    shown = [variant for turn in turns for line in turn.lines.values() for variant in line.values()]
    tests = list(dict.fromkeys(turn.protocol for turn in turns))
    caption = f"Mean over seeds, bars ± one standard deviation. {provenance(study, shown, tests)}"
    figure = Figure(dial.id, [_panel(study, dial, turn) for turn in turns], caption)
    sentences = [_where_it_pays(study, dial, turn, found) for turn in turns]
    return Section(dial.id, dial.title, [dial.about, *filter(None, sentences)], [figure, *tables])


def _turns(study: Study, dial: Dial) -> list[_Turn]:
    """Families of variants that differ in the dial's field only, where the main arm has two values or more."""
    families: dict[tuple[Any, ...], dict[tuple[str, bool], dict[Any, Variant]]] = {}
    for variant in study.variants:
        if variant.arm != study.baseline and _may_differ(study, dial, variant):
            unset: dict[str, Any] = dict.fromkeys((dial.field, "share_2d", *dial.ignored), 0)
            reset = replace(variant, arm="", geometric=False, **unset)
            # Another share than the arm's usual one is a family of its own, but on the dial of shares.
            is_usual = dial.field == "share_2d" or variant.share_2d == study.usual_share(variant.arm)
            family = families.setdefault((reset, None if is_usual else variant.share_2d), {})
            family.setdefault((variant.arm, variant.geometric), {})[getattr(variant, dial.field)] = variant
    turns = []
    for (reset, _), lines in families.items():
        along = {line: variants for line, variants in lines.items() if len(variants) > 1}
        if any(arm == study.main for arm, _ in along):
            along = _with_baseline(study, dial, along)
            values = sorted(
                {value for line in along.values() for value in line}, key=lambda v: (dial.order(study, v), str(v))
            )
            setting = Setting(reset.three_d, reset.two_d)
            turns.append(_Turn(setting, main_protocol(study, setting.three_d), values, along))
    return turns


def _may_differ(study: Study, dial: Dial, variant: Variant) -> bool:
    """Whether a variant has a place on the dial: where budgets may differ along with it, each has its usual one."""
    return "budget_flops" not in dial.ignored or variant.budget_flops == study.usual_budget(variant.backbone)


def _with_baseline(
    study: Study, dial: Dial, along: dict[tuple[str, bool], dict[Any, Variant]]
) -> dict[tuple[str, bool], dict[Any, Variant]]:
    """The partners of all variants as a line of their own, before the others."""
    partners = {study.partner(variant): None for line in along.values() for variant in line.values()}
    found = {getattr(partner, dial.field): partner for partner in partners if partner is not None}
    return {(study.baseline, False): found, **along} if found else along


def _panel(study: Study, dial: Dial, turn: _Turn) -> str:
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


def _pairs(study: Study, dial: Dial, turn: _Turn) -> list[tuple[Variant, Variant, str]]:
    found = []
    for (arm, _), line in turn.lines.items():
        for value in turn.values:
            partner = study.partner(line[value]) if arm != study.baseline and value in line else None
            if partner is not None:
                found.append((line[value], partner, turn.protocol))
    return found


def _table(study: Study, dial: Dial, turn: _Turn, found: list[Comparison]) -> Table:
    header = [
        dial.axis.split(",")[0].capitalize(),
        "Arm",
        test_title(study, turn.protocol),
        f"Minus {arm_title(study.baseline)}",
    ]
    rows: list[Row] = []
    for value in turn.values:
        for line in turn.lines.values():
            if value in line:
                difference = next((one.entry for one in found if one.first == line[value]), "–")
                figure = summary_entry(study, line[value], turn.protocol)
                rows.append([dial.name(value), arm_and_stage(line[value]), figure, difference])
    note = f"p after Holm over {found[0].comparisons if found else 0} comparisons of this section."
    return Table(f"Trained on {turn.setting.title}", header, rows, note, folded=True)


def _where_it_pays(study: Study, dial: Dial, turn: _Turn, found: list[Comparison]) -> str:
    """At which values the main arm is significantly better, worse, or neither."""
    line = turn.lines.get((study.main, False), {})
    states: dict[str, list[str]] = {
        "significantly better": [],
        "significantly worse": [],
        "not significantly different": [],
    }
    for value in turn.values:
        one = next((one for one in found if value in line and one.first == line[value]), None)
        if one is not None:
            better = is_better(one.difference.mean, one.better)
            state = (
                f"significantly {'better' if better else 'worse'}" if one.significant else "not significantly different"
            )
            states[state].append(f"{dial.name(value)} ({one.entry.text})")
    parts = [f"{state} at {listed(values)}" for state, values in states.items() if values]
    if not parts:
        return ""
    test = any_score(study, turn.protocol).protocol
    return f"- **{turn.setting.title}**, {plain(test)}: {arm_title(study.main)} is {'; '.join(parts)}."


def _flops_a_sample(study: Study, backbone: str) -> float:
    return next(cell.flops_per_sample for cell in study.cells if cell.variant.backbone == backbone)
