"""``headstart report``: a study's tables, tests and figures."""

from __future__ import annotations

from pathlib import Path

import tyro


def report(
    folder: tyro.conf.Positional[Path],
    out: Path | None = None,
    unfinished: bool = False,
) -> None:
    """Write report.md and report.html of a study from its results.

    Args:
        folder: the study's folder (or the name of a folder in studies/): study.json and results/.
        out: where to write; the study's folder if not given.
        unfinished: report the cells that are there, although others are still to be run.
    """
    from headstart.report import write_report

    named = Path("studies") / folder
    folder = named if not folder.exists() and named.exists() else folder
    for path in write_report(folder, out, unfinished=unfinished):
        print(path)
