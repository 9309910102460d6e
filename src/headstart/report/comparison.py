"""Values of variants over seeds, and differences between two of them, by the test that the study chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import NamedTuple

from headstart.report.cells import Cell, Study, Variant
from headstart.report.document import Entry, arm_title, commit, flops, listed, mean_and_std, plain, points, signed
from headstart.report.wording import BETTER, NO_DIFFERENCE, NO_SEEDS, NO_SPREAD, STATES, WORSE, p_words, sentence
from headstart.results import Scores
from headstart.statistics import (
    SIGNIFICANCE,
    Better,
    Difference,
    Summary,
    difference,
    holm,
    is_better,
    summarise,
)

NO_BREAK = "\N{NO-BREAK SPACE}"

Read = Callable[[Scores], float | None]


class Setting(NamedTuple):
    """What a table is about: which 3D set, and which 2D set the arms with 2D data use (None where no arm does)."""

    three_d: str
    two_d: str | None

    @classmethod
    def of(cls, variant: Variant) -> Setting:
        """What a variant was trained on."""
        return cls(variant.three_d, variant.two_d)

    @property
    def title(self) -> str:
        """``studio with 2D from wild``."""
        return plain(self.three_d) + (f" with 2D from {plain(self.two_d)}" if self.two_d else "")


@dataclass(frozen=True)
class Comparison:
    """Two variants under one protocol on the seeds that both have."""

    first: Variant
    second: Variant
    protocol: str
    unit: str
    better: Better
    seeds: tuple[int, ...]
    difference: Difference
    p: float
    """After Holm over ``comparisons``."""
    comparisons: int

    @property
    def significant(self) -> bool:
        """Whether the difference stands after the correction."""
        return self.p < SIGNIFICANCE

    @property
    def state(self) -> str:
        """One of :data:`~headstart.report.wording.STATES`."""
        if isnan(self.p):
            return NO_SPREAD if self.difference.constant else NO_SEEDS
        if not self.significant:
            return NO_DIFFERENCE
        return BETTER if is_better(self.difference.mean, self.better) else WORSE

    @property
    def words(self) -> str:
        """The statement in a plain sentence."""
        unit = "percentage points" if self.unit == "%" else self.unit
        return sentence(self.difference, unit, self.p, self.comparisons)

    @property
    def entry(self) -> Entry:
        """For a table: difference, interval, p."""
        low, high = self.difference.interval
        text = f"{signed(self.difference.mean)} {points(self.unit)}"
        if self.difference.n < 2:
            return Entry(text, "one seed: no test")
        if self.difference.constant:
            return Entry(text, "the same in every seed: no test" if isnan(self.p) else "no difference in any seed")
        detail = f"[{signed(low)},{NO_BREAK}{signed(high)}], p{NO_BREAK}{p_words(self.p).replace(' ', NO_BREAK)}"
        if not self.significant:
            return Entry(text, f"{detail}, not significant")
        return Entry(text, detail, "better" if self.state == BETTER else "worse")


def final(score: Scores) -> float | None:
    """The protocol's own value."""
    return score.value


def group_value(group: str, name: str) -> Read:
    """Reader of one entry of ``per_joint``, ``per_action``, ``strata`` or ``others``; None where it is not there."""
    return lambda score: getattr(score, group).get(name)


def stratum(name: str) -> Read:
    """Reader of one part of the joints: ``visible``, ``occluded``."""
    return group_value("strata", name)


def values(cells: dict[int, Cell], protocol: str, read: Read = final) -> dict[int, float]:
    """Seed -> value, for the seeds that have one."""
    found = {seed: read(cell.scores[protocol]) for seed, cell in cells.items() if protocol in cell.scores}
    # NaN is a group without labels; fairness.py has refused NaN as a final score.
    return {seed: value for seed, value in found.items() if value is not None and isfinite(value)}


def over_seeds(cells: dict[int, Cell], protocol: str, read: Read = final) -> Summary | None:
    """Summary over seeds; None where no cell has the value."""
    found = values(cells, protocol, read)
    return summarise(list(found.values())) if found else None


def compare(
    study: Study,
    pairs: Iterable[tuple[Variant, Variant]],
    protocols: Sequence[str],
    read: Read = final,
) -> list[Comparison]:
    """First minus second of each pair under each protocol, corrected over all that come back."""
    found: list[tuple[Variant, Variant, Scores, tuple[int, ...], Difference]] = []
    for first, second in pairs:
        for protocol in protocols:
            ours, theirs = (values(study.variants[one], protocol, read) for one in (first, second))
            seeds = tuple(sorted(ours.keys() & theirs.keys()))
            if seeds:
                score = study.variants[first][seeds[0]].scores[protocol]
                one, other = ([arm[seed] for seed in seeds] for arm in (ours, theirs))
                found.append((first, second, score, seeds, difference(one, other, study.significance_test)))
    adjusted = holm([one.p for *_, one in found])
    tested = sum(map(isfinite, adjusted))
    return [
        Comparison(first, second, score.protocol, score.unit, score.better, seeds, one, float(p), tested)
        for (first, second, score, seeds, one), p in zip(found, adjusted)
    ]


def recorrected(comparisons: list[Comparison]) -> list[Comparison]:
    """The same comparisons as one family under Holm's correction."""
    adjusted = holm([one.difference.p for one in comparisons])
    tested = sum(map(isfinite, adjusted))
    return [replace(one, p=float(p), comparisons=tested) for one, p in zip(comparisons, adjusted)]


def counts(found: list[Comparison]) -> str:
    """``significantly better in 1 and not significantly different in 3 of 4 comparisons``."""
    states = Counter(one.state for one in found)
    parts = [f"{state} in {states[state]}" for state in STATES if states[state]]
    cases = "comparison" if len(found) == 1 else "comparisons"
    return f"{listed(parts)} of {len(found)} {cases}"


# --- what is in a study ---


def settings(study: Study) -> list[Setting]:
    """3D set x 2D set of the usual cells, in the order of the cells."""
    usual = [variant for variant in study.variants if study.is_usual(variant)]
    with_2d = list(dict.fromkeys(Setting.of(one) for one in usual if one.two_d))
    covered = {setting.three_d for setting in with_2d}
    alone = dict.fromkeys(Setting(one.three_d, None) for one in usual if one.three_d not in covered)
    return sorted([*with_2d, *alone], key=lambda setting: (setting.three_d, setting.two_d or ""))


def usual_in(study: Study, setting: Setting) -> list[Variant]:
    """The usual variants of a setting (its 3D set, and its 2D set or none), one an arm, the baseline first."""
    usual = [one for one in study.variants if study.is_usual(one)]
    found = [one for one in usual if one.three_d == setting.three_d and one.two_d in (setting.two_d, None)]
    return sorted(found, key=lambda variant: variant.arm != study.baseline)


def with_partner(study: Study, variants: Iterable[Variant]) -> list[tuple[Variant, Variant]]:
    """(variant, its baseline) for those that have one."""
    partners = ((one, study.partner(one)) for one in variants if one.arm != study.baseline)
    return [(one, partner) for one, partner in partners if partner is not None]


def main_pairs(study: Study, setting: Setting) -> list[tuple[Variant, Variant]]:
    """(main arm, its baseline) of a setting: a single pair, or none where a cell of it is missing."""
    return with_partner(study, [one for one in usual_in(study, setting) if one.arm == study.main])


def protocols(study: Study) -> list[str]:
    """Protocols that cells were scored under, in the study's order."""
    scored = dict.fromkeys(name for cell in study.cells for name in cell.scores)
    return sorted(scored, key=lambda name: study.protocols.index(name) if name in study.protocols else 99)


def any_score(study: Study, protocol: str) -> Scores:
    """One of the scores under a protocol: for what all of them share."""
    return next(cell.scores[protocol] for cell in study.cells if protocol in cell.scores)


def same_domain(study: Study, protocol: str, name: str | None) -> bool:
    """Whether a protocol tests on the data set that a cell calls ``name`` (``studio`` is ``synthetic_studio``)."""
    # Earlier versions did not record the data set; then a protocol that is called like one is its.
    dataset = any_score(study, protocol).dataset or protocol
    return name is not None and (dataset == name or dataset.endswith(f"_{name}") or name.endswith(f"_{dataset}"))


def protocols_2d(study: Study) -> list[str]:
    """Protocols of joints in the picture."""
    return [name for name in protocols(study) if any_score(study, name).metric in ("pck", "pckh")]


def main_protocol(study: Study, three_d: str) -> str:
    """The test that a 3D set is first judged by: the 3D protocol of its own domain, else the study's first."""
    ours = [name for name in protocols(study) if name not in protocols_2d(study)] or protocols(study)
    return next((name for name in ours if same_domain(study, name, three_d)), ours[0])


# --- how to name and to account for it ---


def test_title(study: Study, protocol: str) -> str:
    """``synthetic studio, MPJPE (mm)``."""
    score = any_score(study, protocol)
    metric = {"pck": "PCK", "pckh": "PCKh", "pck3d": "3DPCK", "auc": "AUC"}.get(score.metric, score.metric.upper())
    name = plain(protocol.removesuffix(f"_{score.metric}"))
    return f"{name}, {metric.replace('_', '-')} ({score.unit})"


def column_titles(study: Study, names: Iterable[str]) -> list[str]:
    """A column a protocol: ``synthetic studio, MPJPE (mm) ↓``, where ``↓`` says that lower is better."""
    return [f"{test_title(study, name)} {_arrow(study, name)}" for name in names]


def _arrow(study: Study, protocol: str) -> str:
    return "↓" if any_score(study, protocol).better == "lower" else "↑"


def provenance(study: Study, variants: Iterable[Variant], names: Sequence[str] = (), along: bool = False) -> str:
    """Where numbers come from: people scored, network, seeds, budget, commit and device of the cells behind them.

    ``along`` the way, while training, fewer people may be scored than at the end.
    """
    cells = [cell for variant in dict.fromkeys(variants) for cell in study.variants[variant].values()]
    people = [f"{name} n {_people(study, name, along)}" for name in names]
    return f"Protocols and people scored: {'; '.join(people)}. {sources(cells)}" if people else sources(cells)


def sources(cells: Sequence[Cell]) -> str:
    """Network, seeds, budget, commit and device of cells."""
    networks = list(dict.fromkeys(plain(cell.variant.backbone) for cell in cells))
    seeds = sorted({cell.seed for cell in cells})
    budgets = sorted({cell.variant.budget_flops for cell in cells})
    commits = sorted({commit(cell.result.git_sha) for cell in cells})
    devices = sorted({cell.result.device for cell in cells})
    parts = [
        f"{'Networks' if len(networks) > 1 else 'Network'} {listed(networks)}",
        f"{'seeds' if len(seeds) > 1 else 'seed'} {listed([str(seed) for seed in seeds])}",
        f"budget {listed([flops(budget) for budget in budgets])} a cell",
        f"commit {listed(commits)}",
        f"device {listed(devices)}",
    ]
    return f"{'; '.join(parts)}."


def _people(study: Study, protocol: str, along: bool) -> str:
    """``= 733`` people scored; along the way ``≤ 100``, the limit on those looked at: not all need have the labels."""
    n = any_score(study, protocol).n
    tests = study.cells[0].result.config.get("validation", ()) if along else ()
    limits = [test["limit"] for test in tests if test.get("protocol") == protocol and test.get("limit")]
    return f"≤ {min(limits):,}" if limits and min(limits) < n else f"= {n:,}"


def summary_entry(study: Study, variant: Variant, protocol: str, read: Read = final) -> Entry:
    """``62.1 ± 0.8``, below it the number of seeds; a dash where no cell has the value."""
    summary = over_seeds(study.variants[variant], protocol, read)
    return Entry("–") if summary is None else Entry(mean_and_std(summary), f"n = {summary.n}")


def arm_and_stage(variant: Variant) -> str:
    """Name of an arm in a table, with the geometric stage where there is one."""
    return arm_title(variant.arm) + (" + geometric" if variant.geometric else "")
