"""Modules that a test writes as a user would, and that no other test sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Write = Callable[..., Path]


@contextmanager
def writing(package: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *others: str) -> Iterator[Write]:
    """Writes PACKAGE/NAME.py below the working folder, which is ``folder`` now.

    What was imported of it, and of packages ``others``, is forgotten afterwards.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(text: str, name: str = "own") -> Path:
        path = folder / package / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    yield write
    for name in [one for one in sys.modules if one.partition(".")[0] in (package, *others)]:
        del sys.modules[name]
