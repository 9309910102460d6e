"""Variants that differ in one thing only: which of them lie along a dial, and which arms can be compared there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from headstart.report.cells import Study, Variant
from headstart.report.comparison import Setting, main_protocol

#: (arm, geometric) -> value of the dial -> variant.
Lines = dict[tuple[str, bool], dict[Any, Variant]]


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


@dataclass(frozen=True)
class Sweep:
    """Arms along a dial within one setting."""

    setting: Setting
    protocol: str
    values: list[Any]
    lines: Lines


def sweeps(study: Study, dial: Dial) -> list[Sweep]:
    """Families of variants that differ in the dial's field only, where the main arm has two values or more."""
    families: dict[tuple[Any, ...], Lines] = {}
    for variant in study.variants:
        if variant.arm != study.baseline and _may_differ(study, dial, variant):
            unset: dict[str, Any] = dict.fromkeys((dial.field, "share_2d", *dial.ignored), 0)
            reset = replace(variant, arm="", geometric=False, **unset)
            # Another share than the arm's usual one is a family of its own, but on the dial of shares.
            is_usual = dial.field == "share_2d" or variant.share_2d == study.usual_share(variant.arm)
            family = families.setdefault((reset, None if is_usual else variant.share_2d), {})
            family.setdefault((variant.arm, variant.geometric), {})[getattr(variant, dial.field)] = variant
    found = []
    for (reset, _), lines in families.items():
        along = {line: variants for line, variants in lines.items() if len(variants) > 1}
        if any(arm == study.main for arm, _ in along):
            along = _with_baseline(study, dial, along)
            values = sorted(
                {value for line in along.values() for value in line}, key=lambda v: (dial.order(study, v), str(v))
            )
            setting = Setting.of(reset)
            found.append(Sweep(setting, main_protocol(study, setting.three_d), values, along))
    return found


def pairs_along(study: Study, sweep: Sweep) -> list[tuple[Variant, Variant]]:
    """(variant, its baseline) at every place of the dial."""
    found = []
    for (arm, _), line in sweep.lines.items():
        for value in sweep.values:
            partner = study.partner(line[value]) if arm != study.baseline and value in line else None
            if partner is not None:
                found.append((line[value], partner))
    return found


def main_pairs_along(study: Study, sweep: Sweep) -> list[tuple[Variant, Variant]]:
    """Those of the main arm without a geometric stage, from one end of the dial to the other."""
    line = sweep.lines.get((study.main, False), {})
    return [(first, second) for first, second in pairs_along(study, sweep) if first in line.values()]


def _may_differ(study: Study, dial: Dial, variant: Variant) -> bool:
    """Whether a variant has a place on the dial: where budgets may differ along with it, each has its usual one."""
    return "budget_flops" not in dial.ignored or variant.budget_flops == study.usual_budget(variant.backbone)


def _with_baseline(study: Study, dial: Dial, along: Lines) -> Lines:
    """The partners of all variants as a line of their own, before the others."""
    partners = {study.partner(variant): None for line in along.values() for variant in line.values()}
    found = {getattr(partner, dial.field): partner for partner in partners if partner is not None}
    return {(study.baseline, False): found, **along} if found else along
