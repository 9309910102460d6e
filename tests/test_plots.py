"""Figures are well-formed SVG that says what it was given, in colours of the page, and loads nothing."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

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


def place(svg: str, text: str) -> tuple[float, float]:
    """Where a text stands, px: its anchor and its baseline, some 3 px below its middle."""
    ((x, y),) = re.findall(rf'<text [^>]*? x="([-\d.]+)" y="([-\d.]+)"[^>]*>{re.escape(text)}</text>', svg)
    return float(x), float(y)


def dots(svg: str, role: int) -> NDArray[np.float64]:
    """(n, 2) px of the markers in the colour of a role, in their order."""
    found = re.findall(rf'<use [^>]*? x="([-\d.]+)" y="([-\d.]+)" style="[^"]*stroke: {PALETTE[role]}', svg)
    return np.array(found, np.float64)


def bars(svg: str) -> NDArray[np.float64]:
    """(n, 2, 2) px of both ends of each bar."""
    (group,) = re.findall(r'<g id="LineCollection_1">(.*?)</g>', svg, re.DOTALL)
    return (
        np.array(re.findall(r"M ([-\d.]+) ([-\d.]+) L ([-\d.]+) ([-\d.]+)", " ".join(group.split())))
        .astype(np.float64)
        .reshape(-1, 2, 2)
    )


class TestRows:
    ONE = Series("first", 0, [0, 1], [3, 2], [2, 1], [4, 3])
    OTHER = Series("second", 1, [0, 1], [3, 2])
    NAMES = ("left wrist", "nose")

    def test_dots_and_bars_lie_at_their_values(self) -> None:
        svg = rows([self.ONE], self.NAMES, "title", "mm")
        at = {value: place(svg, f"{value}.0")[0] for value in (1, 2, 3, 4)}
        found = dots(svg, 0)[:2]
        np.testing.assert_allclose(found[:, 0], [at[3], at[2]], atol=0.1)
        np.testing.assert_allclose(bars(svg)[..., 0], [[at[2], at[4]], [at[1], at[3]]], atol=0.1)
        np.testing.assert_allclose(bars(svg)[..., 1], found[:, 1, None] + np.zeros(2), atol=0.1)

    def test_rows_go_down_and_series_lie_around_their_name(self) -> None:
        svg = rows([self.ONE, self.OTHER], self.NAMES, "title", "mm")
        names = np.array([place(svg, name)[1] for name in self.NAMES])
        upper, lower = dots(svg, 0)[:2, 1], dots(svg, 1)[:2, 1]
        assert names[0] < names[1]
        np.testing.assert_allclose((upper + lower) / 2, names - 3, atol=1)
        np.testing.assert_allclose(lower - upper, 0.28 * np.diff(names)[0], atol=0.1)

    def test_the_key_has_the_names_in_their_colours(self) -> None:
        svg = rows([self.ONE, self.OTHER], self.NAMES, "title", "mm")
        for one in (self.ONE, self.OTHER):
            assert re.search(rf'<text style="[^"]*fill: {PALETTE[one.role]}[^>]*>{one.label}</text>', svg)
            assert len(dots(svg, one.role)) == 2 + 1

    @pytest.mark.parametrize(("count", "inches"), [(1, 2.2), (10, 4.2)])
    def test_more_rows_make_a_higher_figure(self, count: int, inches: float) -> None:
        svg = rows([Series("a", 0, np.arange(count), np.ones(count))], [f"n{i}" for i in range(count)], "title", "mm")
        assert float(re.findall(r'height="([\d.]+)pt"', svg)[0]) == pytest.approx(72 * inches)


class TestSteps:
    ONE = Series("falling", 0, [0, 1], [2, 1], [1.5, 0.5], [2.5, 1.5])
    OTHER = Series("rising", 1, [0, 1], [1, 2])

    def test_dots_lie_around_their_place_and_bars_around_their_dot(self) -> None:
        svg = steps([self.ONE, self.OTHER], ["250", "all"], "title", "people", "mm")
        places = np.array([place(svg, name)[0] for name in ("250", "all")])
        one, other = dots(svg, 0), dots(svg, 1)
        shift = 0.04 * np.diff(places)[0]
        np.testing.assert_allclose(one[:, 0], places - shift, atol=0.1)
        np.testing.assert_allclose(other[:, 0], places + shift, atol=0.1)
        np.testing.assert_allclose(one[:, 1], other[::-1, 1], atol=0.1)
        unit = one[1, 1] - one[0, 1]
        np.testing.assert_allclose(bars(svg)[..., 0], one[:, :1] + np.zeros(2), atol=0.1)
        np.testing.assert_allclose(bars(svg)[..., 1], one[:, 1:] + unit / 2 * np.array([1, -1]), atol=0.1)

    @pytest.mark.parametrize("count", [1, 2])
    def test_only_a_single_point_has_a_line_across(self, count: int) -> None:
        alone = Series("alone", 0, np.arange(count), np.arange(count) + 1)
        svg = steps([alone, self.OTHER], ["250", "all"], "title", "people", "mm")
        across = re.findall(r'd="M ([\d.]+) ([\d.]+) *\nL ([\d.]+) ([\d.]+) *\n"[^>]*stroke-dasharray: 1,3;', svg)
        assert len(across) == (count == 1)
        for line in across:
            start, height, end, same = map(float, line)
            assert height == same == pytest.approx(dots(svg, 0)[0, 1], abs=0.1)
            assert start < dots(svg, 0)[0, 0] - 5 < dots(svg, 1)[1, 0] + 5 < end

    def test_names_stand_beside_the_last_points(self) -> None:
        svg = steps([self.ONE, self.OTHER], ["250", "all"], "title", "people", "mm")
        for one in (self.ONE, self.OTHER):
            x, y = place(svg, one.label)
            assert y - 3 == pytest.approx(dots(svg, one.role)[-1, 1], abs=1)
            assert x > dots(svg, one.role)[-1, 0]

    def test_names_of_lines_that_end_together_are_moved_apart(self) -> None:
        """By 0.075 of the height of the axes, which are the first patch within."""
        svg = steps([self.ONE, Series("level", 1, [0, 1], [1, 1])], ["250", "all"], "title", "people", "mm")
        (axes,) = re.findall(r'<g id="patch_2">\s*<path d="([^"]*)"', svg)
        height = np.ptp([float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", axes)])
        apart = abs(place(svg, "falling")[1] - place(svg, "level")[1])
        assert apart == pytest.approx(0.075 * height, abs=0.1)


class TestLines:
    @pytest.mark.parametrize(
        ("last", "expected"), [(1e14, ["1T", "10T", "100T"]), (1e13, ["1T", "2T", "5T", "10T"])], ids=["wide", "narrow"]
    )
    def test_ticks_of_a_logarithmic_axis(self, last: float, expected: list[str]) -> None:
        found = texts(lines([Series("a", 0, [1e12, last], [1, 2])], "title", "x", "y", x_scale="log"))
        assert [text for text in found if text.endswith("T")] == expected

    def test_a_new_stage_is_a_ring_on_the_line(self) -> None:
        svg = lines(TWO, "title", "x", "y")
        (ring,) = dots(svg, 1)
        (path,) = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; stroke: {PALETTE[1]}; stroke-width: 1.7', svg)
        points = np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", path), np.float64)
        assert len(points) == len(X)
        np.testing.assert_allclose(ring, points[1], atol=0.1)
        (style,) = re.findall(rf'<use [^>]*style="([^"]*stroke: {PALETTE[1]}[^"]*)"', svg)
        assert "fill-opacity: 0;" in style or "fill: none" in style
