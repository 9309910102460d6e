"""The table of docs/predicting.md is the one that benchmarks/smoothing.py prints."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_no_filter_adds_to_a_swing() -> None:
    """Known trap: a sine fitted to what One-Euro leaves of 300 mm at 240 frames per second has 315."""
    of_sine = runpy.run_path(str(ROOT / "benchmarks" / "smoothing.py"))["of_sine"]
    assert of_sine(300.0, 2.5, 240.0, "none") == pytest.approx(300)
    assert 280 < of_sine(300.0, 2.5, 240.0, "one-euro") < 300


def test_the_page_has_the_benchmarks_table() -> None:
    table = runpy.run_path(str(ROOT / "benchmarks" / "smoothing.py"))["table"]()
    assert table in (ROOT / "docs" / "predicting.md").read_text(encoding="utf-8")
