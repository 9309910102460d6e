"""A study's folder -> ``report.md`` and one self-contained ``report.html``. From JSON alone: no torch.

Every number carries its protocol, number of people, seeds, budget, commit and device; sections without data are left
out; a difference that may be chance is called not significant.

Which section comes from where: ``overview`` the answer, all arms, differences and cost; ``curves`` error against
compute and learning curves (``compute`` interpolates them); ``sheets`` people drawn; ``breakdowns`` generalisation,
geometric stage, occlusion, joints and actions; ``dials`` one section for each thing that a study varies, such as budget
or share of 2D (``sweeps``); ``companions`` the other metrics. Below them ``cells`` reads the folder, ``fairness``
refuses what cannot be compared, ``comparison`` subtracts arms, ``wording`` says it, ``document`` is what a section is
made of, ``rendering`` writes it as Markdown and HTML, ``rows`` as CSV.
"""

from __future__ import annotations

from pathlib import Path

from headstart.report.cells import Cell, Study, Variant, load_study
from headstart.report.document import Section, Table, commit, flops, listed, plain
from headstart.report.fairness import Mismatch, check_matched, is_unfinished, mismatches, mixed_commits
from headstart.report.rows import write_rows

__all__ = [
    "Cell",
    "Mismatch",
    "Section",
    "Study",
    "Table",
    "Variant",
    "check_matched",
    "load_study",
    "mismatches",
    "summary",
    "write_report",
    "write_rows",
]


def write_report(folder: Path, out: Path | None = None, *, unfinished: bool = False) -> tuple[Path, Path]:
    """Markdown and HTML of the study in ``folder``, into ``out`` (the folder itself if not given); both paths.

    Raises :class:`~headstart.errors.DataError` for a malformed file and for cells that must not be compared
    (:func:`check_matched`); ``unfinished`` compares the seeds that are there and says so on the page.
    """
    from headstart.report import rendering

    study = load_study(folder)
    check_matched(study, unfinished=unfinished)
    sections = [section for section in _sections(study) if section]
    return rendering.write(study, sections, out or folder, _facts(study))


def summary(folder: Path) -> list[Section]:
    """The answer and the main tables alone: for a terminal. Call :func:`write_report` first, which checks the study."""
    from headstart.report import overview

    study = load_study(folder)
    return [overview.answer(study), overview.arms(study)]


def _sections(study: Study) -> list[Section | None]:
    from headstart.report import breakdowns, companions, curves, dials, overview, sheets

    fitted = companions.fitted(study)
    return [
        overview.answer(study),
        overview.arms(study),
        overview.differences(study, fitted),
        curves.error_against_compute(study),
        curves.compute_to_error(study),
        sheets.predictions(study),
        breakdowns.generalisation(study),
        *(dials.section(study, dial) for dial in dials.DIALS),
        breakdowns.geometric(study),
        breakdowns.occlusion(study),
        breakdowns.joints(study),
        breakdowns.actions(study),
        curves.learning_curves(study),
        companions.companions(study, fitted),
        overview.cost(study),
    ]


def _facts(study: Study) -> list[tuple[str, str]]:
    """What the head of the page says."""
    seeds = sorted({cell.seed for cell in study.cells})
    commits = sorted({commit(cell.result.git_sha) for cell in study.cells})
    devices = sorted({cell.result.device for cell in study.cells})
    unfinished = ("Unfinished", "cells are still to be run; comparisons use the seeds that both arms have")
    return [
        *([unfinished] if is_unfinished(study) else []),
        ("Cells", _count(study)),
        ("Seeds", listed([str(seed) for seed in seeds])),
        ("Budget a cell", _budgets(study)),
        ("Device", listed(devices)),
        *([("Micro batches", _micro_batches(study))] if any(cell.accumulates for cell in study.cells) else []),
        ("Commit", listed(commits)),
        *([("Mixed commits", mixed)] if (mixed := mixed_commits(study)) else []),
        *([("Planned", study.created[:10])] if study.created else []),
    ]


def _micro_batches(study: Study) -> str:
    """Their sizes, and in how many cells there were any."""
    accumulating = [cell for cell in study.cells if cell.accumulates]
    sizes = listed([str(size) for size in sorted({cell.micro_batch_size for cell in accumulating})])
    many = f"in {len(accumulating)} of {len(study.cells)} cells"
    return f"of {sizes} samples {many} (gradient accumulation): batch norm saw so many at a time"


def _count(study: Study) -> str:
    there, planned = len(study.cells), study.planned_cells
    if planned and there > planned:
        return f"{there}, but {planned} are planned: the results hold cells of an earlier plan"
    return f"{there} of {planned} planned" if there < planned else str(there)


def _budgets(study: Study) -> str:
    """Those of all cells, by backbone where there are several."""
    found: dict[str, set[float]] = {}
    for cell in study.cells:
        found.setdefault(cell.variant.backbone, set()).add(cell.variant.budget_flops)
    words = {backbone: listed([flops(budget) for budget in sorted(budgets)]) for backbone, budgets in found.items()}
    if len(words) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{plain(backbone)} {budgets}" for backbone, budgets in words.items())
