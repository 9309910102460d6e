"""Programs in tools/ and benchmarks/: each says what it does and what it takes, before it does anything."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = [
    path.relative_to(ROOT).as_posix()
    for folder in ("tools", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.py"))
    if '\nif __name__ == "__main__":\n' in path.read_text(encoding="utf-8")
]


def ends(
    program: str, argument: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    """Exit code, standard output and standard error, in this process: on its own each needs seconds for imports."""
    path = ROOT / program
    # Without a parser it would begin to work.
    assert "ArgumentParser(" in path.read_text(encoding="utf-8"), f"{program} takes no --help"
    monkeypatch.setattr(sys, "argv", [str(path), argument])
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])  # as where a program is started
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_what_the_docstring_says(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ends(program, "--help", monkeypatch, capsys)
    docstring = ast.get_docstring(ast.parse((ROOT / program).read_text(encoding="utf-8")), clean=False)
    assert docstring is not None
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {Path(program).name} ")
    assert docstring.strip() in out


@pytest.mark.parametrize("program", PROGRAMS)
def test_unknown_arguments_are_refused(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ends(program, "--no-such-option", monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert err.startswith(f"usage: {Path(program).name} ")


def test_all_are_found() -> None:
    assert {"tools/ship_weights.py", "benchmarks/bench.py"} < set(PROGRAMS)
    assert "benchmarks/plain.py" not in PROGRAMS


@pytest.mark.parametrize("folder", ["benchmarks", "tools"])
def test_contributing_says_of_each_what_it_is_for(folder: str) -> None:
    """And of none that is gone."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Benchmarks and tools\n")[2]
    table = text.partition(f"| `{folder}/` |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines() for name in re.findall(r"`(\w+\.py)`", row.split("|")[1])]
    assert sorted(named) == sorted(path.name for path in (ROOT / folder).glob("*.py"))
