"""The table of docs/predicting.md is the one that benchmarks/smoothing.py prints."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_has_the_benchmarks_table() -> None:
    table = runpy.run_path(str(ROOT / "benchmarks" / "smoothing.py"))["table"]()
    assert table in (ROOT / "docs" / "predicting.md").read_text(encoding="utf-8")
