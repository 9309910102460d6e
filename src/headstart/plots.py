"""Figures as SVG strings, from arrays alone: lines with bands, points with error bars, rows of dots.

One panel is one small SVG, so that a page can place panels side by side or below each other and the text keeps its
size. Lines have their names at their ends; colour, marker and dash all differ, so that no reader depends on colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2328", "#656d76", "#d8dee4"
#: Okabe and Ito (2008), which stays apart for the usual kinds of colour blindness; the first is for the baseline.
PALETTE = ("#57606a", "#0072b2", "#d55e00", "#009e73", "#b8579a", "#a67c00", "#3a9bd6", "#7a5195")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[Any, ...] = ((0, (4, 2)), "-", (0, (6, 1.5, 1, 1.5)), (0, (1.5, 1.2)), "-", (0, (4, 2)), "-", "-")
_WIDTH, _HEIGHT = 4.3, 3.1
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "svg.fonttype": "none",
    "svg.hashsalt": "headstart",
}


@dataclass(frozen=True)
class Series:
    """One line or one set of points."""

    label: str
    role: int
    """Place in the palette; 0 is the baseline. The same thing keeps its role in all figures of a page."""
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    """Ends of the band or of the error bars, (n,) as x and y."""
    stage_starts: Sequence[int] = ()
    """Points at which a new stage of training begins, marked by a ring."""


Scale = Literal["linear", "log"]


def colour(role: int) -> str:
    """Hexadecimal colour of a role."""
    return PALETTE[role % len(PALETTE)]


def lines(
    series: Sequence[Series],
    title: str,
    x_label: str,
    y_label: str,
    *,
    x_scale: Scale = "linear",
    y_range: tuple[float, float] | None = None,
) -> str:
    """Lines with bands and their names at the right end, as SVG; what lies outside ``y_range`` is cut off."""

    def draw(axes: Axes) -> None:
        axes.set_xscale(x_scale)
        for one in series:
            _line(axes, one)
        if y_range:
            axes.set_ylim(*y_range)
        _tidy_ticks(axes, series, x_scale)
        _name_at_ends(axes, series)

    return _panel(draw, title, x_label, y_label)


def steps(series: Sequence[Series], names: Sequence[str], title: str, x_label: str, y_label: str) -> str:
    """Points with bars from ``low`` to ``high``, joined by lines, at ``names``, which x counts from 0: as SVG."""

    def draw(axes: Axes) -> None:
        for number, one in enumerate(series):
            _bars(axes, one, (number - (len(series) - 1) / 2) * 0.08)
        axes.set_xticks(np.arange(len(names)), names)
        axes.set_xlim(-0.3, len(names) - 0.7)
        _tidy_ticks(axes, series, None)
        _name_at_ends(axes, series)

    return _panel(draw, title, x_label, y_label)


def rows(series: Sequence[Series], names: Sequence[str], title: str, x_label: str) -> str:
    """One row a name, which x counts from 0, one dot a series with a bar from ``low`` to ``high``: as SVG.

    The values, ``y``, run along the axis called ``x_label``. The names of the series stand in their colours above.
    """

    def draw(axes: Axes) -> None:
        for number, one in enumerate(series):
            _dots(axes, one, (number - (len(series) - 1) / 2) * 0.28)
        axes.set_yticks(np.arange(len(names)), names, color=INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x")
        _names_above(axes, series)

    return _panel(draw, title, x_label, "", height=max(1.5 + 0.27 * len(names), 2.2), grid=False)


def themed(svg: str) -> str:
    """The SVG with its colours as CSS variables (``--ink``, ``--muted``, ``--grid``, ``--series-0`` ...)."""
    names = {INK: "ink", MUTED: "muted", GRID: "grid"} | {hex_: f"series-{n}" for n, hex_ in enumerate(PALETTE)}
    return re.sub(
        "|".join(names), lambda match: f"var(--{names[match[0].lower()]}, {match[0]})", svg, flags=re.IGNORECASE
    )


def spread(positions: ArrayLike, gap: float) -> NDArray[np.float64]:
    """Positions (n,) moved apart to at least ``gap``, in the same order, each as little as can be (least squares)."""
    from scipy.optimize import isotonic_regression

    wanted = np.asarray(positions, np.float64)
    order = np.argsort(wanted, kind="stable")
    # At least a gap apart means: rising, once a gap is taken off for each position below.
    gaps = gap * np.arange(len(wanted))
    moved = np.empty_like(wanted)
    moved[order] = isotonic_regression(wanted[order] - gaps).x + gaps
    return moved


def _panel(
    draw: Callable[[Axes], None], title: str, x_label: str, y_label: str, height: float = _HEIGHT, grid: bool = True
) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
        axes.set_axisbelow(True)
        axes.grid(grid, axis="y")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        draw(axes)
        return _svg(figure, title)


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # A metadata block names addresses of ontologies; the page should name no address at all.
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([^;\"]*)'DejaVu Sans', sans-serif", r"font: \1sans-serif", svg)
    label = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _style(role: int) -> dict[str, Any]:
    return {"color": colour(role), "linewidth": 1.7, "linestyle": _DASHES[role % len(_DASHES)]}


def _line(axes: Axes, one: Series) -> None:
    x, y = np.asarray(one.x, np.float64), np.asarray(one.y, np.float64)
    axes.plot(x, y, **_style(one.role))
    if one.low is not None and one.high is not None:
        axes.fill_between(x, one.low, one.high, color=colour(one.role), alpha=0.16, linewidth=0)
    for start in one.stage_starts:
        axes.plot(x[start], y[start], "o", markersize=7, fillstyle="none", color=colour(one.role))


def _bars(axes: Axes, one: Series, shift: float) -> None:
    x = np.asarray(one.x, np.float64) + shift
    if len(x) == 1:  # a reference: what the others are compared with
        axes.axhline(np.asarray(one.y)[0], color=colour(one.role), linewidth=1.0, linestyle=(0, (1, 3)))
    axes.plot(x, one.y, marker=_MARKERS[one.role % len(_MARKERS)], markersize=4.5, **_style(one.role))
    if one.low is not None and one.high is not None:
        axes.vlines(x, one.low, one.high, color=colour(one.role), linewidth=1.3, alpha=0.75)


def _dots(axes: Axes, one: Series, shift: float) -> None:
    heights = np.asarray(one.x, np.float64) + shift
    if one.low is not None and one.high is not None:
        axes.hlines(heights, one.low, one.high, color=colour(one.role), linewidth=1.4, alpha=0.8)
    axes.plot(one.y, heights, _MARKERS[one.role % len(_MARKERS)], color=colour(one.role), markersize=4.5)


def _tidy_ticks(axes: Axes, series: Sequence[Series], x_scale: Scale | None) -> None:
    """Few ticks with short numbers; the x axis is left alone if its scale is None."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.yaxis.set_major_locator(MaxNLocator(5))
    if x_scale is None:
        return
    if x_scale == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        values = np.concatenate([np.asarray(one.x, np.float64) for one in series])
        wide = values.max() / values.min() > 30
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """``1.5T`` for 1.5e12: k, M, G, T, P, E, Z by thousands; plain below a thousand."""
    for power, letter in ((21, "Z"), (18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 0.9995 * 10**power:
            return f"{value / 10**power:.3g}{letter}"
    return f"{value:.3g}"


def _name_at_ends(axes: Axes, series: Sequence[Series]) -> None:
    """The name of each line right of its last point, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    ends = [float(np.asarray(one.y)[-1]) for one in series]
    heights = spread(np.clip(ends, low, high), (high - low) * 0.075)
    for one, height in zip(series, heights):
        axes.annotate(
            one.label,
            (1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=colour(one.role),
            fontsize=8.5,
            fontweight="bold",
            annotation_clip=False,
        )


def _names_above(axes: Axes, series: Sequence[Series]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour(one.role), marker=_MARKERS[one.role % 8], linewidth=0, label=one.label)
        for one in series
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2,
        frameon=False,
        labelcolor="linecolor",
        fontsize=8.5,
        handletextpad=0.2,
        columnspacing=1.0,
        borderaxespad=0.1,
    )
