"""Sections to Markdown with files beside it, and to one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.files import write_atomically
from headstart.plots import themed
from headstart.report.cells import Study
from headstart.report.document import Figure, Gallery, Section

#: Folder beside ``report.md`` that is the report's own.
FIGURES = "report_figures"


def write(study: Study, sections: Sequence[Section], out: Path, facts: Sequence[tuple[str, str]]) -> tuple[Path, Path]:
    """``report.md`` with its figures and ``report.html`` below ``out``; returns both paths."""
    environment = _environment()
    context: dict[str, Any] = {"study": study, "sections": sections, "facts": facts, "figures": FIGURES}
    files = {name: content for section in sections for name, content in _files(section)}
    for name, content in files.items():
        write_atomically(out / FIGURES / name, content)
    for stale in (out / FIGURES).glob("*.*"):  # of an earlier report with other sections
        if stale.suffix in (".svg", ".jpg") and stale.name not in files:
            stale.unlink()
    markdown, page = out / "report.md", out / "report.html"
    write_atomically(markdown, _blank_lines(environment.get_template("report.md.jinja2").render(context)).encode())
    write_atomically(page, environment.get_template("report.html.jinja2").render(context).encode())
    return markdown, page


def panel_names(figure: Figure) -> list[str]:
    """File of each panel."""
    stem = re.sub(r"[^a-z0-9]+", "-", figure.name.lower()).strip("-")
    return [f"{stem}-{number}.svg" for number in range(1, len(figure.panels) + 1)]


def _files(section: Section) -> list[tuple[str, bytes]]:
    files = []
    for block in section.blocks:
        if isinstance(block, Figure):
            files += [(name, svg.encode()) for name, svg in zip(panel_names(block), block.panels)]
        elif isinstance(block, Gallery):
            files += [(f"{picture.name}.jpg", picture.jpeg) for picture in block.pictures]
    return files


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("headstart.report", "page"),
        autoescape=lambda name: bool(name and name.endswith(".html.jinja2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rich": _rich,
        "inlined": _inlined,
        "base64": lambda content: base64.b64encode(content).decode(),
        "kind": lambda block: type(block).__name__,
        "panel_names": panel_names,
        "bar": lambda text: text.replace("|", "\\|").replace("\n", " "),
        "label": lambda svg: re.search(r'aria-label="([^"]*)"', svg)[1],  # type: ignore[index]
    }
    return environment


def _rich(text: str) -> Any:
    """Bold, emphasis and code of Markdown as HTML; everything else escaped."""
    from markupsafe import Markup, escape

    html = str(escape(text))
    for pattern, tag in ((r"\*\*(.+?)\*\*", "strong"), (r"`(.+?)`", "code")):
        html = re.sub(pattern, rf"<{tag}>\1</{tag}>", html)
    html = re.sub(r"(?<!\w)_(.+)_(?!\w)", r"<em>\1</em>", html)
    return Markup(html)


def _inlined(svg: str, prefix: str, section: str) -> Any:
    """An SVG for use within a page: colours of the theme, ids of its own, no declarations of name spaces.

    Its name for screen readers begins with that of its section: figures of several sections have the same title.
    """
    from markupsafe import Markup, escape

    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", themed(svg))
    svg = svg.replace('aria-label="', f'aria-label="{escape(section)}: ', 1)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    return Markup(svg)


def _blank_lines(markdown: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", markdown).strip() + "\n"
