"""Figures are well-formed SVG that says what it was given, in colours of the page, and loads nothing."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.plots import PALETTE, Series, lines, rows, short, spread, steps, themed

X = [1e12, 1e13, 1e14]
TWO = [
    Series("3D alone", 0, X, [100, 80, 70], [98, 79, 69], [102, 81, 71]),
    Series("2D then 3D", 1, X, [120, 75, 60], stage_starts=(1,)),
]


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    "svg",
    [
        lines(TWO, "Error & compute", "FLOPs", "mm", x_scale="log"),
        lines(TWO, "Error & compute", "FLOPs", "mm", y_range=(50, 110)),
        steps(
            [Series("3D alone", 0, [0, 1], [3, 2], [2, 1], [4, 3])], ["250", "all"], "Error & compute", "people", "mm"
        ),
        rows([Series("3D alone", 0, [0, 1], [3, 2])], ["left wrist", "nose"], "Error & compute", "mm"),
    ],
)
def test_a_figure_is_one_svg_with_its_words_as_text(svg: str) -> None:
    assert svg.startswith("<svg role=")
    found = texts(svg)
    assert {"Error & compute", "3D alone", "mm"} <= set(found)
    assert ElementTree.fromstring(svg).get("aria-label") == "Error & compute"


def test_a_figure_loads_nothing() -> None:
    svg = lines(TWO, "title", "x", "y")
    addresses = re.findall(r'(?:href|src)="([^"]*)"', svg)
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert "@import" not in svg
    assert "metadata" not in svg


def test_the_same_data_give_the_same_bytes() -> None:
    assert lines(TWO, "title", "x", "y") == lines(TWO, "title", "x", "y")


def test_names_stand_at_their_lines_in_their_colours() -> None:
    svg = lines(TWO, "title", "x", "y")
    for one in TWO:
        (style,) = re.findall(rf'<text style="([^"]*)"[^>]*>{one.label}</text>', svg)
        assert PALETTE[one.role] in style


def test_places_carry_their_names() -> None:
    svg = steps([Series("a", 0, [0, 1, 2], [3, 2, 1])], ["250", "1,000", "all"], "title", "people", "mm")
    assert [text for text in texts(svg) if text in ("250", "1,000", "all")] == ["250", "1,000", "all"]


def test_a_single_point_becomes_a_line_to_compare_with() -> None:
    alone, other = Series("3D alone", 0, [0], [9]), Series("2D then 3D", 1, [1, 2], [7, 8])
    with_reference = steps([alone, other], ["0%", "10%", "20%"], "title", "share", "mm")
    without = steps([other], ["0%", "10%", "20%"], "title", "share", "mm")
    assert with_reference.count("stroke-dasharray") > without.count("stroke-dasharray")


def test_colours_follow_the_page() -> None:
    svg = themed(lines(TWO, "title", "x", "y"))
    assert f"var(--series-1, {PALETTE[1]})" in svg
    assert "var(--ink, " in svg
    assert not re.search(r"(?<![-\w] )(?<!, )#[0-9a-f]{6}", svg)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (12, "12"),
        (999.96, "1k"),
        (1500, "1.5k"),
        (2.5e6, "2.5M"),
        (1.25e15, "1.25P"),
        (3e18, "3E"),
        (0.25, "0.25"),
    ],
)
def test_short_numbers(value: float, expected: str) -> None:
    assert short(value) == expected


def test_labels_are_moved_apart_by_hand() -> None:
    """1 and 1.2 need a gap of 1: they move to 0.6 and 1.6 around their middle; 5 stays."""
    assert spread([1.0, 5.0, 1.2], 1.0) == pytest.approx([0.6, 5.0, 1.6])


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0.01, 10))
def test_spread_labels_keep_order_gap_and_middle(positions: list[float], gap: float) -> None:
    moved = spread(positions, gap)
    order = np.argsort(positions, kind="stable")
    assert (np.diff(moved[order]) >= gap * (1 - 1e-6) - 1e-9).all()
    assert moved.mean() == pytest.approx(np.mean(positions), abs=1e-6)
