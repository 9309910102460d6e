"""The answer, the table of arms by tests, the differences from the baseline, and what it all cost."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

from headstart.report.cells import Study, Variant
from headstart.report.companions import Fitted, contradictions, difference_rows, full_name
from headstart.report.comparison import (
    Comparison,
    Setting,
    arm_and_stage,
    column_titles,
    compare,
    counts,
    main_pairs,
    main_protocol,
    over_seeds,
    protocols,
    provenance,
    recorrected,
    same_domain,
    settings,
    summary_entry,
    test_title,
    usual_in,
    with_partner,
)
from headstart.report.curves import main_ratios
from headstart.report.dials import in_short
from headstart.report.document import Entry, Row, Section, Table, arm_title, flops, listed, mean_and_std, plain, points
from headstart.report.fairness import is_unfinished
from headstart.report.wording import wording
from headstart.statistics import least_permutation_p, summarise


def answer(study: Study) -> Section:
    """The main pair on each 3D set's own test, in sentences: the comparisons that the study was made for."""
    paragraphs = [f"**Question.** {study.question}"] if study.question else []
    found = _planned(study)
    if not found:
        nothing = f"{arm_title(study.main)} and {arm_title(study.baseline)} have no seed in common yet."
        return Section("answer", "The answer", [*paragraphs, f"**Unfinished. {nothing}**"])
    paragraphs.append(_verdict(study, found))
    paragraphs += [_answer_sentence(study, comparison) for comparison in found]
    paragraphs += [*main_ratios(study), *_elsewhere(study), *in_short(study)]
    paragraphs.append(_limits(study, found))
    note = provenance(study, [v for one in found for v in (one.first, one.second)], _tests(found))
    return Section("answer", "The answer", [*paragraphs, f"_{note}_"])


def _planned(study: Study) -> list[Comparison]:
    """The main pair of each setting: one family of comparisons, although each has a test of its own."""
    found = []
    for setting in settings(study):
        found += compare(study, main_pairs(study, setting), [main_protocol(study, setting.three_d)])
    return recorrected(found)


def _verdict(study: Study, found: list[Comparison]) -> str:
    arms = f"{arm_title(study.main)} against {arm_title(study.baseline)} at equal training compute"
    networks = listed(list(dict.fromkeys(plain(one.first.backbone) for one in found)))
    state = "Unfinished. " if is_unfinished(study) else ""
    return f"**{state}{arms}: {counts(found)} on the own test of the 3D data ({networks}).**"


def _answer_sentence(study: Study, one: Comparison) -> str:
    # Of the seeds that are compared: in an unfinished study one arm may have more.
    arms = ({seed: study.variants[variant][seed] for seed in one.seeds} for variant in (one.first, one.second))
    means = [over_seeds(cells, one.protocol) for cells in arms]
    figures = " against ".join(f"{mean_and_std(mean)} {one.unit}" for mean in means if mean)
    where = Setting.of(one.first).title
    return f"- **{where}**, {test_title(study, one.protocol)}: {one.words}; {figures}."


def _elsewhere(study: Study) -> list[str]:
    """The main pair on all tests but the own one of each 3D set, in one sentence."""
    found = []
    for setting in settings(study):
        others = [name for name in protocols(study) if name != main_protocol(study, setting.three_d)]
        found += compare(study, main_pairs(study, setting), others)
    if not found:
        return []
    return [f"- **All other tests** (corrected among themselves): {counts(recorrected(found))}."]


def _limits(study: Study, found: list[Comparison]) -> str:
    seeds = [one.difference.n for one in found if not isnan(one.p)]
    if not seeds:
        return _NO_SPREAD if any(one.difference.n > 1 for one in found) else _NO_SEEDS
    words = wording(study)
    smallest = least_permutation_p(min(seeds), study.significance_test)
    corrected = f", corrected over {found[0].comparisons} comparisons" if found[0].comparisons > 1 else ""
    interim = " The study is unfinished: interim p values are not results." if is_unfinished(study) else ""
    return (
        f"Differences are {words.differences}; p is that of {words.t_test}, two-sided{corrected}, significant below"
        f" 0.05; intervals are {words.interval}, not corrected. With {min(seeds)} seeds the"
        f" {words.permutation.lower()} test ({words.patterns}) cannot go below p = {smallest:.2g}, and the bootstrap"
        f" interval is too narrow: they are given beside the t-test, not in its place.{interim}"
    )


_NO_SEEDS = "With a single seed there is no interval and no test: chance alone may explain any difference."
_NO_SPREAD = (
    "A difference that is the same in every seed has no spread to test it by, so there is no interval and no test. The"
    " score is too coarse: score more people, or use a finer metric."
)


def _tests(found: list[Comparison]) -> list[str]:
    return list(dict.fromkeys(one.protocol for one in found))


def arms(study: Study) -> Section:
    """Arms x tests, mean and standard deviation over seeds, one table a setting."""
    tables = [_arms_table(study, setting) for setting in settings(study)]
    words = [f"- **{arm_title(arm)}**: {text}" for arm, text in study.arms.items() if _has(study, arm)]
    about = "Mean ± sample standard deviation over seeds (n). Underlined: the test of the domain that was trained on."
    return Section("arms", "Every arm on every test", [*words, about], tables)


def _has(study: Study, arm: str) -> bool:
    return any(variant.arm == arm for variant in study.variants)


def _arms_table(study: Study, setting: Setting) -> Table:
    variants, names = usual_in(study, setting), protocols(study)
    header = ["Arm", *column_titles(study, names)]
    rows: list[Row] = []
    for variant in variants:
        entries = [_own(study, variant, name) for name in names]
        rows.append([arm_and_stage(variant), *entries])
    return Table(f"Trained on {setting.title}", header, rows, provenance(study, variants, names))


def _own(study: Study, variant: Variant, protocol: str) -> Entry:
    entry = summary_entry(study, variant, protocol)
    return replace(entry, tone="own") if same_domain(study, protocol, variant.three_d) else entry


def differences(study: Study, fitted: Fitted) -> Section | None:
    """Every arm minus the baseline on every test, all corrected together, and where ``fitted`` contradicts them."""
    found = []
    for setting in settings(study):
        pairs = with_partner(study, usual_in(study, setting))
        found += compare(study, pairs, protocols(study))
    found = recorrected(found)
    if not found:
        return None
    tables = []
    for setting in settings(study):
        here = [one for one in found if Setting.of(one.first) == setting]
        if here:
            tables.append(_difference_table(study, setting, here))
    words = wording(study)
    folded = f"bootstrap and {words.permutation.lower()} test"
    text = (
        f"Arm minus {arm_title(study.baseline)}, {words.pairing}, with the 95 % t interval and p after Holm over all "
        f"{found[0].comparisons} comparisons of this section. With so many comparisons only large effects stand out: "
        f"the answer above rests on the few that were planned. Folded: {folded}."
    )
    tables.append(_tests_table(study, found))
    texts = [text, *contradictions(found, fitted)]
    return Section("differences", f"Differences from {arm_title(study.baseline)}", texts, tables)


def _difference_table(study: Study, setting: Setting, found: list[Comparison]) -> Table:
    names = [name for name in protocols(study) if any(one.protocol == name for one in found)]
    rows = difference_rows(found, names, arm_and_stage)
    header = ["Arm", *column_titles(study, names)]
    note = provenance(study, [v for one in found for v in (one.first, one.second)], names)
    return Table(f"Trained on {setting.title}", header, rows, note)


def _tests_table(study: Study, found: list[Comparison]) -> Table:
    header = [
        "Arm, trained on",
        "Test",
        "Difference",
        "t interval",
        "Bootstrap",
        "t-test p",
        "after Holm",
        f"{wording(study).permutation} p",
        "n",
    ]
    rows = [
        [
            full_name(one.first),
            plain(one.protocol),
            f"{one.difference.mean:+.2f} {points(one.unit)}",
            _ends(one.difference.interval),
            _ends(one.difference.bootstrap),
            _p(one.difference.p),
            _p(one.p),
            _p(one.difference.permutation_p if one.difference.n > 1 else nan),
            str(one.difference.n),
        ]
        for one in found
    ]
    return Table("All tests in numbers", header, rows, folded=True)


def _ends(interval: tuple[float, float]) -> str:
    return "–" if isnan(interval[0]) else f"{interval[0]:.2f} to {interval[1]:.2f}"


def _p(value: float) -> str:
    return "–" if isnan(value) else f"{value:.3g}"


def cost(study: Study) -> Section:
    """What each arm consumed: FLOPs, samples, hours."""
    rows: list[Row] = []
    for variant, cells in study.variants.items():
        spent = summarise([cell.flops for cell in cells.values()])
        samples = summarise([cell.samples for cell in cells.values()])
        hours = summarise([cell.seconds / 3600 for cell in cells.values()])
        details = [variant.backbone, _amount(variant), f"{variant.share_2d:.0%}" if variant.share_2d else "–"]
        figures = [flops(spent.mean), f"{samples.mean:,.0f}", mean_and_std(hours, 2), str(len(cells))]
        rows.append([full_name(variant), *details, *figures])
    header = ["Arm, trained on", "Backbone", "3D people", "2D stage", "FLOPs", "Samples", "Hours", "Cells"]
    total = sum(cell.device_seconds for cell in study.cells) / 3600
    text = (
        f"{len(study.cells)} cells, {total:.1f} device-hours of training in all. Budgets are equal in FLOPs, "
        "pre-training included."
    )
    return Section("cost", "What it cost", [text], [Table("Per cell", header, rows, provenance(study, study.variants))])


def _amount(variant: Variant) -> str:
    return "all" if variant.three_d_limit is None else f"{variant.three_d_limit:,}"
