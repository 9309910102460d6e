"""``headstart report``: a study's answer on the screen, its tables, tests and figures in files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from headstart.cli.placeholders import OptionalFile, OptionalFolder
from headstart.errors import ConfigError

if TYPE_CHECKING:
    from headstart.report import Section


def report(
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STUDY")],
    out: OptionalFolder = None,
    unfinished: bool = False,
    csv: OptionalFile = None,
) -> None:
    """Write report.md and report.html of a study from its results, and print the answer and the main tables.

    Args:
        folder: the study's folder with study.json and results/, or its name below studies/ in the working folder.
        out: where to write; the study's folder if not given.
        unfinished: report the finished cells, although others are still to be run.
        csv: also write every score as a table with one row a cell and test, for statistics of your own.
    """
    from headstart.report import summary, write_report, write_rows

    named = Path("studies") / folder
    folder = named if not folder.exists() and named.exists() else folder
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected the folder of a study, or its name below studies/")
    if not (folder / "study.json").is_file():
        raise ConfigError(
            f"{folder}: expected study.json and results/, found no study.json; run headstart study run first"
        )
    written = [*write_report(folder, out, unfinished=unfinished)]
    if csv is not None:
        write_rows(folder, csv)
        written.append(csv)
    for section in summary(folder):
        _print(section)
    for path in written:
        print(path)


def _print(section: Section) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Grid

    from headstart.report import Table

    console = Console(highlight=False)
    console.print(f"\n[bold]{escape(section.title)}[/bold]")
    for paragraph in section.paragraphs:
        text = re.sub(r"\*\*(.+?)\*\*", r"[bold]\1[/bold]", escape(paragraph))
        console.print(re.sub(r"^_(.*)_$", r"[dim]\1[/dim]", text if text.startswith("- ") else f"\n{text}"))
    for block in section.blocks:
        if isinstance(block, Table):
            header = [escape(title) for title in block.header]
            grid = Grid(*header, title=escape(block.caption), title_justify="left", box=box.SIMPLE_HEAD)
            for row in block.entries:
                grid.add_row(*(f"[{_STYLES[entry.tone]}]{escape(entry.text)}[/]" for entry in row))
            console.print()
            console.print(grid)


_STYLES = {"": "default", "own": "underline", "better": "green", "worse": "red"}
