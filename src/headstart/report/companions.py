"""The other metrics of the same predictions: values, differences, and where they contradict the main one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from headstart.report.cells import Study, Variant
from headstart.report.comparison import (
    Comparison,
    Setting,
    any_score,
    arm_and_stage,
    compare,
    group_value,
    over_seeds,
    protocols,
    provenance,
    recorrected,
    settings,
    usual_in,
    with_partner,
)
from headstart.report.document import Row, Section, Table, arm_title, mean_and_std, plain
from headstart.report.wording import BETTER, WORSE

#: Errors in mm after a pose has been scaled, or scaled and turned, to fit: what is left when size is given away.
_FITTED = {"n_mpjpe_mm": "N-MPJPE", "pa_mpjpe_mm": "PA-MPJPE"}
#: Metric -> comparisons in it.
Fitted: TypeAlias = dict[str, list[Comparison]]


def companions(study: Study, found: Fitted) -> Section | None:
    """N-MPJPE, PA-MPJPE and the others, and the differences from the baseline in those in mm (:func:`fitted`)."""
    values = [table for name in protocols(study) if (table := _values(study, name)) is not None]
    if not values:
        return None
    about = (
        f"N-MPJPE scales each pose to fit its label, PA-MPJPE turns it too. Arm minus {arm_title(study.baseline)}, with"
        " the 95 % t interval and p after Holm over all comparisons of this section."
    )
    differences = [table for metric in _FITTED if (table := _differences(study, metric, found.get(metric, [])))]
    return Section("companions", "Companion metrics", [about] if differences else [], [*differences, *values])


def contradictions(by_main_metric: list[Comparison], found: Fitted) -> list[str]:
    """Sentences on arms that are better by the main metric, but worse once poses are fitted (:func:`fitted`)."""
    better = {(one.first, one.protocol) for one in by_main_metric if one.state == BETTER}
    sentences = []
    for metric, group in found.items():
        for one in group:
            if one.state == WORSE and (one.first, one.protocol) in better:
                where = f"{full_name(one.first)}, on {plain(one.protocol)}"
                sentences.append(f"{where}, is better here but worse in {_FITTED[metric]}: {one.words}.")
    return sentences


def fitted(study: Study) -> Fitted:
    """Every arm minus the baseline on every test that has these metrics, of which all are one family."""
    pairs = [pair for setting in settings(study) for pair in with_partner(study, usual_in(study, setting))]
    parts: dict[str, list[Comparison]] = {}
    for metric in _FITTED:
        tests = [name for name in protocols(study) if metric in any_score(study, name).others]
        if any(any_score(study, name).unit != "mm" for name in tests):
            continue  # a comparison has the unit of the test's own value
        parts[metric] = compare(study, dict.fromkeys(pairs), tests, group_value("others", metric))
    together = iter(recorrected([one for group in parts.values() for one in group]))
    return {metric: [next(together) for _ in group] for metric, group in parts.items()}


def difference_rows(found: list[Comparison], tests: list[str], named: Callable[[Variant], str]) -> list[Row]:
    """A row for each first variant, as ``named`` says it: its differences on ``tests``."""
    by_arm: dict[Variant, dict[str, Comparison]] = {}
    for one in found:
        by_arm.setdefault(one.first, {})[one.protocol] = one
    return [
        [named(variant), *(here[name].entry if name in here else "–" for name in tests)]
        for variant, here in by_arm.items()
    ]


def full_name(variant: Variant) -> str:
    """The arm, and what it was trained on."""
    return f"{arm_and_stage(variant)}, {Setting.of(variant).title}"


def _values(study: Study, protocol: str) -> Table | None:
    others = list(any_score(study, protocol).others)
    if not others:
        return None
    variants = list(dict.fromkeys(one for setting in settings(study) for one in usual_in(study, setting)))
    rows: list[Row] = []
    for variant in variants:
        summaries = [over_seeds(study.variants[variant], protocol, group_value("others", other)) for other in others]
        rows.append([full_name(variant), *(mean_and_std(one) if one else "–" for one in summaries)])
    header = ["Arm, trained on", *map(_title, others)]
    note = provenance(study, variants, [protocol])
    return Table(f"Companion metrics under {plain(protocol)}", header, rows, note, folded=True)


def _title(other: str) -> str:
    title = other.upper().replace("_", " ").replace("PERCENT", "(%)").replace(" MM", " (mm)")
    return title.replace("PA MPJPE", "PA-MPJPE").replace("N MPJPE", "N-MPJPE")


def _differences(study: Study, metric: str, found: list[Comparison]) -> Table | None:
    if not found:
        return None
    tests = list(dict.fromkeys(one.protocol for one in found))
    rows = difference_rows(found, tests, full_name)
    note = provenance(study, [v for one in found for v in (one.first, one.second)], tests)
    return Table(f"Differences in {_FITTED[metric]}", ["Arm, trained on", *map(plain, tests)], rows, note)
