"""What a report is made of, before it is Markdown or HTML: sections of sentences, tables, figures and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from headstart.plots import short
from headstart.statistics import Summary

Tone = Literal["", "better", "worse", "own"]


@dataclass(frozen=True)
class Entry:
    """One cell of a table."""

    text: str
    detail: str = ""
    """Small, below the text."""
    tone: Tone = ""
    """Colour of the writing; the text itself must say the same."""
    shade: float = 0.0
    """0..1: how strongly the cell is coloured."""


Row = Sequence[Entry | str]


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header; the first column names the row."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Row]
    note: str = ""
    folded: bool = False
    """Whether the page shows it only when asked."""

    @property
    def entries(self) -> list[list[Entry]]:
        """The rows with every text as an :class:`Entry`."""
        return [[one if isinstance(one, Entry) else Entry(one) for one in row] for row in self.rows]


@dataclass(frozen=True)
class Figure:
    """Panels side by side under one caption."""

    name: str
    """Start of the file names of the panels."""
    panels: Sequence[str]
    """SVG each."""
    caption: str
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A photograph or a sheet of them."""

    name: str
    jpeg: bytes
    alt: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side under one title."""

    title: str
    pictures: Sequence[Picture]
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    id: str
    title: str
    paragraphs: Sequence[str] = ()
    blocks: Sequence[Table | Figure | Gallery] = field(default_factory=list)


def arm_title(arm: str) -> str:
    """``2D then 2D + 3D`` for ``2d_then_2d3d``."""
    return arm.replace("_", " ").replace("2d3d", "2D + 3D").replace("2d", "2D").replace("3d", "3D")


def plain(name: str) -> str:
    """``synthetic wild`` for ``synthetic_wild``."""
    return name.replace("_", " ")


def flops(value: float) -> str:
    """``1.5 PFLOP`` for 1.5e15."""
    text = short(value)
    return f"{text[:-1]} {text[-1]}FLOP" if text[-1].isalpha() else f"{text} FLOP"


def mean_and_std(summary: Summary, digits: int = 1) -> str:
    """``62.1 ± 0.8``; the mean alone for a single seed."""
    mean = f"{summary.mean:.{digits}f}"
    return f"{mean} ± {summary.std:.{digits}f}" if summary.n > 1 else mean


def points(unit: str) -> str:
    """Unit of a difference: that of two percentages is percentage points."""
    return "points" if unit == "%" else unit


def signed(value: float) -> str:
    """``+1.2``, ``−1.2`` with a true minus sign, or ``0.0``."""
    rounded = round(value, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def commit(sha: str) -> str:
    """``fedcba9876``, with ``-dirty`` where the code had been changed; ``unknown`` where nothing was recorded."""
    name, dirty, _ = sha.partition("-dirty")
    return f"{name[:10] or 'unknown'}{dirty}"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
