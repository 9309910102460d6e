"""Where the error sits: by domain, by visibility, by joint, by action, and with or without the geometric stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headstart import plots
from headstart.report.cells import Study, Variant
from headstart.report.companions import difference_rows
from headstart.report.comparison import (
    Comparison,
    Read,
    Setting,
    any_score,
    arm_and_stage,
    column_titles,
    compare,
    group_value,
    main_pairs,
    main_protocol,
    over_seeds,
    protocols,
    provenance,
    recorrected,
    same_domain,
    settings,
    stratum,
    summary_entry,
    test_title,
    usual_in,
    with_partner,
)
from headstart.report.document import Entry, Figure, Row, Section, Table, Tone, arm_title, mean_and_std, plain
from headstart.report.series import series_of_summaries
from headstart.report.wording import wording
from headstart.results import Scores


def generalisation(study: Study) -> Section | None:
    """Trained on x, tested on y: one matrix an arm."""
    variants = list(dict.fromkeys(v for setting in settings(study) for v in usual_in(study, setting)))
    if len({variant.three_d for variant in variants}) < 2 and len(protocols(study)) < 2:
        return None
    arms = list(dict.fromkeys(variant.arm for variant in variants))
    tables = [_matrix(study, arm, variants) for arm in arms]
    text = (
        "Rows: what the network was trained on. Columns: what it was tested on. Underlined: the test of the domain of "
        "the 3D data. The stronger the colour, the better the value among all arms in that column."
    )
    return Section("generalisation", "Trained on one domain, tested on another", [text], tables)


def _matrix(study: Study, arm: str, variants: Sequence[Variant]) -> Table:
    names = protocols(study)
    rows: list[Row] = []
    mine = [variant for variant in variants if variant.arm == arm]
    for variant in mine:
        rows.append([Setting.of(variant).title, *(_shaded(study, variant, name, variants) for name in names)])
    header = ["Trained on", *column_titles(study, names)]
    return Table(arm_title(arm), header, rows, provenance(study, mine, names))


def _shaded(study: Study, variant: Variant, protocol: str, variants: Sequence[Variant]) -> Entry:
    means = {
        one: summary.mean for one in variants for summary in [over_seeds(study.variants[one], protocol)] if summary
    }
    entry = summary_entry(study, variant, protocol)
    if variant not in means:
        return entry
    low, high = min(means.values()), max(means.values())
    way = (means[variant] - low) / (high - low) if high > low else 0.0
    shade = 1 - way if any_score(study, protocol).better == "lower" else way
    tone: Tone = "own" if same_domain(study, protocol, variant.three_d) else ""
    return replace(entry, tone=tone, shade=max(shade, 0.01))


def geometric(study: Study) -> Section | None:
    """The same cells with and without the geometric stage."""
    pairs = [
        (variant, without)
        for variant in study.variants
        if variant.geometric and (without := replace(variant, geometric=False)) in study.variants
    ]
    found = compare(study, pairs, protocols(study))
    if not found:
        return None
    names = [name for name in protocols(study) if any(one.protocol == name for one in found)]
    rows = difference_rows(found, names, lambda one: f"{arm_title(one.arm)}, {Setting.of(one).title}")
    header = ["Arm, trained on", *column_titles(study, names)]
    note = provenance(study, [variant for pair in pairs for variant in pair], names)
    text = (
        f"With minus without the geometric stage, at the same total budget, {wording(study).pairing}; "
        f"p after Holm over {found[0].comparisons} comparisons."
    )
    return Section("geometric", "The geometric stage", [text], [Table("With minus without", header, rows, note)])


def occlusion(study: Study) -> Section | None:
    """Visible and occluded joints apart, where a test knows them."""
    parts = {name: list(any_score(study, name).strata) for name in protocols(study)}
    columns = [(name, part) for name, found in parts.items() for part in found]
    variants = [(setting, variant) for setting in settings(study) for variant in usual_in(study, setting)]
    if not columns or not variants:
        return None
    found: dict[tuple[Variant, str, str], Comparison] = {}
    pairs = list(dict.fromkeys(with_partner(study, [variant for _, variant in variants])))
    raw = [(part, one) for name, part in columns for one in compare(study, pairs, [name], stratum(part))]
    corrected = recorrected([one for _, one in raw])
    for (part, _), one in zip(raw, corrected):
        found[(one.first, one.protocol, part)] = one
    tables = [
        _strata_table(study, setting, [v for s, v in variants if s == setting], columns, found)
        for setting in settings(study)
    ]
    text = (
        f"Error of joints that are seen and of joints that are hidden; below each figure its difference from "
        f"{arm_title(study.baseline)}, starred if significant after Holm over "
        f"{corrected[0].comparisons if corrected else 0} comparisons."
    )
    return Section("occlusion", "Visible and occluded joints", [text, *_gaps(study)], tables)


def _gaps(study: Study) -> list[str]:
    """Whether the main arm helps occluded joints more than visible ones, a sentence a setting."""
    found = []
    for setting in settings(study):
        found += compare(study, main_pairs(study, setting), [main_protocol(study, setting.three_d)], _gap)
    return [
        f"- **{Setting.of(one.first).title}**, occluded minus visible joints, "
        f"{arm_title(study.main)} against {arm_title(study.baseline)}: {one.words}."
        for one in recorrected(found)
    ]


def _gap(score: Scores) -> float | None:
    """Occluded minus visible."""
    parts = [score.strata.get(name) for name in ("occluded", "visible")]
    return None if parts[0] is None or parts[1] is None else parts[0] - parts[1]


def _strata_table(
    study: Study,
    setting: Setting,
    variants: Sequence[Variant],
    columns: Sequence[tuple[str, str]],
    found: dict[tuple[Variant, str, str], Comparison],
) -> Table:
    rows: list[Row] = []
    for variant in variants:
        entries = [
            _stratum_entry(study, variant, name, part, found.get((variant, name, part))) for name, part in columns
        ]
        rows.append([arm_and_stage(variant), *entries])
    header = ["Arm", *(f"{plain(name)}: {part} ({any_score(study, name).unit})" for name, part in columns)]
    note = provenance(study, variants, list(dict.fromkeys(name for name, _ in columns)))
    return Table(f"Trained on {setting.title}", header, rows, note)


def _stratum_entry(study: Study, variant: Variant, protocol: str, part: str, difference: Comparison | None) -> Entry:
    entry = summary_entry(study, variant, protocol, stratum(part))
    if difference is None:
        return entry
    star = " *" if difference.significant else ""
    return replace(entry, detail=f"{difference.entry.text}{star}", tone=difference.entry.tone)


def joints(study: Study) -> Section | None:
    """The main pair joint by joint."""
    return _groups(study, "joints", "Joint by joint", "per_joint")


def actions(study: Study) -> Section | None:
    """The main pair action by action (or subject, or sequence: what the test groups by)."""
    return _groups(study, "actions", "Action by action", "per_action")


def _groups(study: Study, id_: str, title: str, group: str) -> Section | None:
    panels, tables, shown, tests = [], [], [], []
    for setting in settings(study):
        pairs = main_pairs(study, setting)
        protocol = main_protocol(study, setting.three_d)
        names = _group_names(study, protocol, group)
        if not pairs or not names:
            continue
        first, second = pairs[0]
        series = [_group_series(study, variant, protocol, group, names) for variant in (second, first)]
        labels = [plain(name) for name in names]
        panels.append(plots.rows(series, labels, setting.title, test_title(study, protocol)))
        tables.append(_group_table(study, setting, (first, second), protocol, group, names))
        shown += [first, second]
        tests.append(protocol)
    if not panels:
        return None
    about = f"Mean over seeds, bars ± one standard deviation. {provenance(study, shown, list(dict.fromkeys(tests)))}"
    return Section(id_, title, [], [Figure(id_, panels, about), *tables])


def _group_names(study: Study, protocol: str, group: str) -> list[str]:
    """Groups in the order of the scores; a root joint, whose error is 0 by definition, is left out."""
    values = getattr(any_score(study, protocol), group)
    return [name for name, value in values.items() if value != 0 or group != "per_joint"]


def _group_series(study: Study, variant: Variant, protocol: str, group: str, names: Sequence[str]) -> plots.Series:
    summaries = [over_seeds(study.variants[variant], protocol, group_value(group, name)) for name in names]
    return series_of_summaries(study, variant, summaries)


def _group_table(
    study: Study, setting: Setting, pair: tuple[Variant, Variant], protocol: str, group: str, names: Sequence[str]
) -> Table:
    reads: dict[str, Read] = {name: group_value(group, name) for name in names}
    raw = [(name, one) for name, read in reads.items() for one in compare(study, [pair], [protocol], read)]
    found = dict(zip((name for name, _ in raw), recorrected([one for _, one in raw])))
    rows: list[Row] = []
    for name in names:
        figures = [over_seeds(study.variants[variant], protocol, reads[name]) for variant in reversed(pair)]
        cells = [mean_and_std(one) if one else "–" for one in figures]
        rows.append([plain(name), *cells, found[name].entry if name in found else "–"])
    header = [
        "",
        *(f"{arm_and_stage(variant)} ({any_score(study, protocol).unit})" for variant in reversed(pair)),
        "Difference",
    ]
    tested = next(iter(found.values())).comparisons if found else 0
    note = f"p after Holm over {tested}. {provenance(study, pair, [protocol])}"
    return Table(f"Trained on {setting.title}, in numbers", header, rows, note, folded=True)
