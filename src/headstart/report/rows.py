"""A study's scores as a table for statistics of one's own: one row a cell and test, from the JSON files alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.errors import DataError
from headstart.files import write_atomically
from headstart.report.cells import Cell, Study, load_study
from headstart.report.comparison import protocols


def write_rows(folder: Path, path: Path) -> None:
    """Every finished cell of the study in ``folder`` under every test, as CSV in UTF-8 with a header.

    Columns: ``cell``, ``arm``, ``backbone``, ``two_d``, ``three_d``, ``three_d_limit`` (people), ``share_2d`` (0..1),
    ``geometric`` (True, False), ``seed``, ``budget_flops``, ``flops`` (spent in training), ``samples``, ``test``,
    ``metric``, ``unit``, ``better`` (lower, higher), ``value``, ``n`` (people scored). What a cell does not have is
    empty. Numbers are as in result.json, not rounded. Raises :class:`DataError` if the file cannot be written.
    """
    rows = list(_rows(load_study(folder)))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        write_atomically(path, text.getvalue().encode())
    except OSError as error:
        raise DataError(path, "a file that can be written", found=str(error)) from error


def _rows(study: Study) -> Iterator[dict[str, Any]]:
    """In the order of the report: arms, then seeds, then tests."""
    for cells in study.variants.values():
        for cell in cells.values():
            yield from (_row(cell, test) for test in protocols(study) if test in cell.scores)


def _row(cell: Cell, test: str) -> dict[str, Any]:
    variant, score = cell.variant, cell.scores[test]
    names = ("arm", "backbone", "two_d", "three_d", "three_d_limit", "share_2d", "geometric")
    return {
        "cell": cell.id,
        **{name: getattr(variant, name) for name in names},
        "seed": cell.seed,
        "budget_flops": variant.budget_flops,
        "flops": cell.flops,
        "samples": cell.samples,
        "test": test,
        **{name: getattr(score, name) for name in ("metric", "unit", "better", "value", "n")},
    }
