"""Whether the cells of a study may be compared at all: equal budgets, seeds, networks, settings, data, machines, tests.

What an earlier version did not record is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from headstart.errors import DataError
from headstart.report.cells import Cell, Study, Variant
from headstart.results import RunResult, form_of


@dataclass(frozen=True)
class Mismatch:
    """One reason why cells must not be compared."""

    cell: str
    expected: str
    found: str
    unfinished: bool = field(default=False)
    """Whether it is only that cells are still to be run."""


_FIX = "Such cells are not compared: run them again under one plan, on one kind of machine."


def check_matched(study: Study, *, unfinished: bool = False) -> None:
    """Refuse an unfair table: raises :class:`DataError` naming the first cell that may not be compared, and why.

    Every cell must have spent its budget to within one step; a variant and its baseline must be the
    same network at the same cost a sample, trained on the same 3D people, with the same seeds, scored under the same
    protocols on the same number of people; the two cells of a seed must have had the same device, as many processes
    and micro batches of one size, which is what batch norm sees.
    Of each data set that they share, for training or for a test, the labels must be the same.
    ``unfinished`` lets missing seeds pass: comparisons then use the seeds that both have.
    """
    wrong = [one for one in mismatches(study) if not (unfinished and one.unfinished)]
    if wrong:
        more = f"; {len(wrong)} problems in all" if len(wrong) > 1 else ""
        fix = f"Run `headstart study run {study.name}` to the end, or report what there is with --unfinished."
        raise DataError(
            study.folder / "results",
            wrong[0].expected,
            record=wrong[0].cell,
            found=wrong[0].found + more,
            fix=fix if wrong[0].unfinished else _FIX,
        )


def mismatches(study: Study) -> list[Mismatch]:
    """All reasons against comparing, cell by cell."""
    found = [one for cell in study.cells for one in (*_spent(cell), *_without_number(cell))]
    for variant, cells in study.variants.items():
        if variant.arm != study.baseline:
            found += _against_partner(study, variant, cells)
    found += [Mismatch(cell, "a result.json", "none", unfinished=True) for cell in study.unfinished]
    found += _still_to_be_scored(study)
    if study.planned_cells > len(study.cells):
        expected = f"{study.planned_cells} finished cells, as planned"
        found.append(Mismatch(study.name, expected, str(len(study.cells)), unfinished=True))
    return found


def is_unfinished(study: Study) -> bool:
    """Whether cells, or tests of some cells, are still to be run."""
    return any(one.unfinished for one in mismatches(study))


def _spent(cell: Cell) -> list[Mismatch]:
    tolerance = cell.batch_size * cell.flops_per_sample
    if abs(cell.flops - cell.variant.budget_flops) <= tolerance * (1 + 1e-9):
        return []
    expected = f"{cell.variant.budget_flops:.6g} FLOPs spent, to within one step ({tolerance:.3g})"
    return [Mismatch(cell.id, expected, f"{cell.flops:.6g}")]


def _still_to_be_scored(study: Study) -> list[Mismatch]:
    """Tests that came to the study later, which only some of its cells have been scored under yet."""
    tests = dict.fromkeys(name for cell in study.cells for name in cell.scores)
    missing = [(cell, name) for cell in study.cells for name in tests if name not in cell.scores]
    return [Mismatch(cell.id, f"a score under {name}", "none", unfinished=True) for cell, name in missing]


def _without_number(cell: Cell) -> list[Mismatch]:
    """A run that diverged must not drop out of the means unseen."""
    scores = cell.scores.values()
    return [
        Mismatch(cell.id, f"a finite score under {score.protocol}", str(score.value))
        for score in scores
        if not isfinite(score.value)
    ]


def mixed_commits(study: Study) -> str:
    """How many pairs compare cells of different commits, in words; "" where none does or it is not known."""
    every = [(cell.result.git_sha, other.result.git_sha) for cell, other in _pairs(study)]
    known = [pair for pair in every if not {"", "unknown"} & set(pair)]
    mixed = sum(ours != theirs for ours, theirs in known)
    return f"{mixed} of {len(known)} pairs compare cells of different commits" if mixed else ""


def _pairs(study: Study) -> Iterator[tuple[Cell, Cell]]:
    """Each cell with the baseline's cell of its seed."""
    for variant, cells in study.variants.items():
        partner = study.partner(variant) if variant.arm != study.baseline else None
        baseline = study.variants[partner] if partner is not None else {}
        yield from ((cell, baseline[seed]) for seed, cell in cells.items() if seed in baseline)


def _against_partner(study: Study, variant: Variant, cells: dict[int, Cell]) -> list[Mismatch]:
    first = next(iter(cells.values()))
    partner = study.partner(variant)
    if partner is None:
        return _without_partner(study, variant, first)
    baseline = study.variants[partner]
    theirs = next(iter(baseline.values()))
    found = []
    if sorted(cells) != sorted(baseline):
        expected = f"seeds as in its partner {theirs.id} ({sorted(baseline)})"
        found.append(Mismatch(first.id, expected, str(sorted(cells)), unfinished=True))
    # The partner's own cells too: each seed of both must have been made and scored alike.
    every = (*cells.values(), *baseline.values())
    found += [one for cell in every for one in (*_made_alike(cell, theirs), *_scored_alike(cell, theirs))]
    found += [one for cell in every for one in _labelled_alike(cell, theirs)]
    # What the baseline does not train on, the seeds of the variant share among themselves.
    found += [one for cell in cells.values() for one in _labelled_alike(cell, first)]
    both = [(cell, baseline[seed]) for seed, cell in cells.items() if seed in baseline]
    return found + [one for cell, other in both for one in _run_alike(cell, other)]


def _without_partner(study: Study, variant: Variant, first: Cell) -> list[Mismatch]:
    if study.baselines(variant):
        return []  # no 2D data against several sets of them: which one is not for the report to choose
    data = "2D data, 3D data" if any(one.two_d for one in study.variants if one.arm == study.baseline) else "3D data"
    expected = f"a partner of arm {study.baseline} with the same backbone, {data} and budget"
    same = (variant.backbone, variant.three_d, variant.three_d_limit)
    others = {
        other.budget_flops
        for other in study.variants
        if other.arm == study.baseline
        and (other.backbone, other.three_d, other.three_d_limit) == same
        and other.two_d in (None, variant.two_d)
    }
    budgets = f"budgets {', '.join(f'{other:.6g}' for other in sorted(others))}" if others else "none"
    return [Mismatch(first.id, expected, budgets, unfinished=not others)]


def _made_alike(cell: Cell, partner: Cell) -> list[Mismatch]:
    checks = [
        ("FLOPs a sample", cell.flops_per_sample, partner.flops_per_sample),
        ("samples a step", cell.batch_size, partner.batch_size),
        ("losses, optimiser and augmentation (digest)", cell.settings, partner.settings),
        ("a model", cell.result.config.get("model"), partner.result.config.get("model")),
    ]
    ours, theirs = _three_d(cell), _three_d(partner)
    if ours and theirs:
        checks.append(("3D training data", ", ".join(ours), ", ".join(theirs)))
        for name in ours.keys() & theirs.keys():
            if ours[name] is not None and theirs[name] is not None:
                checks.append((f"people of {name}", ours[name], theirs[name]))
    return _different(cell, partner, checks)


def _run_alike(cell: Cell, partner: Cell) -> list[Mismatch]:
    checks: list[tuple[str, Any, Any]] = [("a device", cell.result.device, partner.result.device)]
    if cell.result.processes is not None and partner.result.processes is not None:
        checks.append(("processes", cell.result.processes, partner.result.processes))
    if cell.result.processes == partner.result.processes:
        checks.append(("samples a micro batch", cell.micro_batch_size, partner.micro_batch_size))
    checks += [(f"a device that scored {name}", *devices) for name, devices in _later_devices(cell, partner).items()]
    return _different(cell, partner, checks)


def _later_devices(cell: Cell, partner: Cell) -> dict[str, tuple[str, str]]:
    """Test that either was scored under after its run -> what scored both."""
    ours, theirs = cell.result, partner.result
    return {name: (_device(ours, name), _device(theirs, name)) for name in {**ours.scored_later, **theirs.scored_later}}


def _device(result: RunResult, test: str) -> str:
    return result.scored_later.get(test, {}).get("device", result.device)


def _different(cell: Cell, partner: Cell, checks: Sequence[tuple[str, Any, Any]]) -> list[Mismatch]:
    return [
        Mismatch(cell.id, f"{what} as in its partner {partner.id} ({expected})", str(here))
        for what, here, expected in checks
        if here != expected
    ]


def _three_d(cell: Cell) -> dict[str, int | None]:
    """Data set and split that 3D labels come from -> people in use, None if not recorded; wherever the data lie."""
    found: dict[str, int | None] = {}
    for stage, cost in zip(cell.result.config.get("stages", ()), cell.result.stages):
        people: Sequence[int | None] = cost.people or [None] * len(stage["data"])
        found |= {f"{one['dataset']} {one['split']}": n for one, n in zip(stage["data"], people) if one["use_3d"]}
    return dict(sorted(found.items()))


def _labelled_alike(cell: Cell, partner: Cell) -> list[Mismatch]:
    ours, theirs = _labels(cell), _labels(partner)
    # Each form of a digest by itself: a run that an earlier version began may have both.
    return _different(cell, partner, [(one[0], ours[one], theirs[one]) for one in ours if one in theirs])


def _labels(cell: Cell) -> dict[tuple[str, str], str]:
    """(what labels are of, in words; form of the digest) -> their digest, where one is recorded."""
    every = [(f"the test {name}", digest) for name, digest in cell.result.test_labels.items()]
    for stage, cost in zip(cell.result.config.get("stages", ()), cell.result.stages):
        every += [(f"{one['dataset']} {one['split']}", digest) for one, digest in zip(stage["data"], cost.labels)]
    found: dict[tuple[str, str], list[str]] = {}
    for name, digest in every:
        found.setdefault((f"labels of {name} (digest)", form_of(digest)), []).append(digest)
    # Several where they were changed before a run was gone on with.
    return {name: ", then ".join(dict.fromkeys(digests)) for name, digests in found.items()}


def _scored_alike(cell: Cell, partner: Cell) -> list[Mismatch]:
    ours, theirs = ({(name, s.description): s.n for name, s in one.scores.items()} for one in (cell, partner))
    # What one of them is still to be scored under is another matter.
    both = cell.scores.keys() & partner.scores.keys()
    different = [one for one in {**theirs, **ours} if one[0] in both and ours.get(one) != theirs.get(one)]
    if not different:
        return []
    protocol, description = different[0]
    people = [f"{one.get(different[0], 'no')} people" for one in (theirs, ours)]
    return [Mismatch(cell.id, f"protocol {protocol} as {partner.id}: {description} {people[0]}", people[1])]
