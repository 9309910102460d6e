"""docs/architecture.md names the modules that there are, each on the level that import-linter holds it to."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "headstart"


def table() -> dict[str, int]:
    """Module -> level, row by row; an empty cell stands for the level above."""
    levels: dict[str, int] = {}
    level = 0
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    for number, module in re.findall(r"^\| *(\d*) *\| `(\w+)(?:\.py|/)` \| \S", page, re.MULTILINE):
        level = int(number or level)
        assert module not in levels
        levels[module] = level
    return levels


def test_the_table_has_a_row_for_every_module_and_for_nothing_else() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(table()) == packages | modules


def test_levels_are_those_that_are_held() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in settings["contracts"] if one["type"] == "layers")
    held = {
        module: level for level, layer in enumerate(reversed(layers), 1) for module in map(str.strip, layer.split("|"))
    }
    assert table() == held
