"""The Python of the documentation's pages, to be run as a reader would: block after block, in one folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"


def blocks_of(page: str) -> list[str]:
    """The Python of ``docs/PAGE``, each block behind as many empty lines as make line numbers those of the page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return ["\n" * text[: block.start(1)].count("\n") + block[1] for block in found]


def run_page(page: str) -> dict[str, Any]:
    """All blocks of a page, one after the other, in the working folder; what they leave, by name."""
    left: dict[str, Any] = {}
    for block in blocks_of(page):
        exec(compile(block, str(DOCS / page), "exec"), left)
    return left
