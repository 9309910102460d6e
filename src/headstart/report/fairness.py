"""Whether the cells of a study may be compared at all: equal budgets, seeds, networks, settings, tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from headstart.errors import DataError
from headstart.report.cells import Cell, Study, Variant


@dataclass(frozen=True)
class Mismatch:
    """One reason why cells must not be compared."""

    cell: str
    expected: str
    found: str
    unfinished: bool = field(default=False)
    """Whether it is only that cells are still to be run."""


def check_matched(study: Study, *, unfinished: bool = False) -> None:
    """Refuse an unfair table: raises :class:`DataError` naming the first cell that may not be compared, and why.

    Every cell must have spent its budget to within one step; a variant and its baseline must be the
    same network at the same cost a sample, with the same seeds, scored under the same protocols on the same number of
    people. ``unfinished`` lets missing seeds pass: comparisons then use the seeds that both have.
    """
    wrong = [one for one in mismatches(study) if not (unfinished and one.unfinished)]
    if wrong:
        more = f" ({len(wrong) - 1} more like it)" if len(wrong) > 1 else ""
        fix = f"Run `headstart study run {study.name}` to the end, or report what there is with --unfinished."
        raise DataError(
            study.folder / "results",
            wrong[0].expected,
            record=wrong[0].cell,
            found=wrong[0].found + more,
            fix=fix if wrong[0].unfinished else "Such cells are not compared: run them again under one plan.",
        )


def mismatches(study: Study) -> list[Mismatch]:
    """All reasons against comparing, cell by cell."""
    found = [one for cell in study.cells for one in (*_spent(cell), *_without_number(cell))]
    for variant, cells in study.variants.items():
        if variant.arm != study.baseline:
            found += _against_partner(study, variant, cells)
    found += [Mismatch(cell, "a result.json", "none", unfinished=True) for cell in study.unfinished]
    if study.planned_cells > len(study.cells):
        expected = f"{study.planned_cells} finished cells, as planned"
        found.append(Mismatch(study.name, expected, str(len(study.cells)), unfinished=True))
    return found


def _spent(cell: Cell) -> list[Mismatch]:
    tolerance = cell.batch_size * cell.flops_per_sample
    if abs(cell.flops - cell.variant.budget_flops) <= tolerance * (1 + 1e-9):
        return []
    expected = f"{cell.variant.budget_flops:.6g} FLOPs spent, to within one step ({tolerance:.3g})"
    return [Mismatch(cell.id, expected, f"{cell.flops:.6g}")]


def _without_number(cell: Cell) -> list[Mismatch]:
    """A run that diverged must not drop out of the means unseen."""
    scores = cell.scores.values()
    return [
        Mismatch(cell.id, f"a finite score under {score.protocol}", str(score.value))
        for score in scores
        if not isfinite(score.value)
    ]


def _against_partner(study: Study, variant: Variant, cells: dict[int, Cell]) -> list[Mismatch]:
    first = next(iter(cells.values()))
    partner = study.partner(variant)
    if partner is None:
        expected = f"a partner of arm {study.baseline} with the same backbone, 3D data and budget"
        same = (variant.backbone, variant.three_d, variant.three_d_limit)
        others = {
            other.budget_flops
            for other in study.variants
            if other.arm == study.baseline and (other.backbone, other.three_d, other.three_d_limit) == same
        }
        budgets = f"budgets {', '.join(f'{other:.6g}' for other in sorted(others))}" if others else "none"
        return [Mismatch(first.id, expected, budgets, unfinished=not others)]
    baseline = study.variants[partner]
    theirs = next(iter(baseline.values()))
    found = []
    if sorted(cells) != sorted(baseline):
        expected = f"seeds as in its partner {theirs.id} ({sorted(baseline)})"
        found.append(Mismatch(first.id, expected, str(sorted(cells)), unfinished=True))
    # The partner's own cells too: each seed of both must have been made and scored alike.
    every = (*cells.values(), *baseline.values())
    return found + [one for cell in every for one in (*_made_alike(cell, theirs), *_scored_alike(cell, theirs))]


def _made_alike(cell: Cell, partner: Cell) -> list[Mismatch]:
    checks = (
        ("FLOPs a sample", cell.flops_per_sample, partner.flops_per_sample),
        ("samples a step", cell.batch_size, partner.batch_size),
        ("losses, optimiser and augmentation (digest)", cell.settings, partner.settings),
        ("a model", cell.result.config.get("model"), partner.result.config.get("model")),
    )
    return [
        Mismatch(cell.id, f"{what} as in its partner {partner.id} ({expected})", str(here))
        for what, here, expected in checks
        if here != expected
    ]


def _scored_alike(cell: Cell, partner: Cell) -> list[Mismatch]:
    ours, theirs = ({(n, s.description): s.n for n, s in one.scores.items()} for one in (cell, partner))
    different = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    if not different:
        return []
    protocol, description = different[0]
    people = [f"{one.get(different[0], 'no')} people" for one in (theirs, ours)]
    return [Mismatch(cell.id, f"protocol {protocol} as {partner.id}: {description} {people[0]}", people[1])]
