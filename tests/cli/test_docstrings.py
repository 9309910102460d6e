"""Docstrings in the help: no line break of the source, no markup, and lines that fit the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pytest

from headstart.cli.docstrings import about, summary, unwrapped, wrapped
from headstart.ranges import Count, Share
from test_cli import succeeds


@dataclass(frozen=True)
class Inner:
    """What is
    inside.
    """

    width: int = 3
    """In px, as :func:`cut` and ``show``
    (where it is drawn) take it."""
    height: int = 4


@dataclass(frozen=True)
class Outer:
    """What is around it."""

    parts: tuple[Inner, ...]
    """All
    of them."""
    other: Inner | None = None


def verb(given: Outer, count: int) -> None:
    """Do it
    at once.

    More of
    the same: ``code``.

    Args:
        given: what
            it is.
        count: also.
    """


@pytest.mark.parametrize("times", [1, 2])
def test_paragraphs_and_options_are_on_one_line_each(times: int) -> None:
    for _ in range(times):
        assert unwrapped(verb) is verb
    assert verb.__doc__ == (
        "Do it at once.\n\nMore of the same: `code`.\n\nArgs:\n    given: what it is.\n    count: also."
    )
    assert Outer.__doc__ == "What is around it.\n\nArgs:\n    parts: All of them."
    assert (
        Inner.__doc__ == "What is inside.\n\nArgs:\n    width: In px, as `cut` and `show` (where it is drawn) take it."
    )


@dataclass(frozen=True)
class Limited:
    """What has ranges."""

    parts: Count = 3
    """How
    many."""
    share: Share | None = None
    kind: Literal["round", "square"] = "round"
    free: float = 0.0
    """Any."""


@pytest.mark.parametrize("times", [1, 2])
def test_ranges_of_numbers_are_said_once(times: int) -> None:
    """Choices are not: tyro shows them."""
    for _ in range(times):
        unwrapped(Limited)
    assert Limited.__doc__ == (
        "What has ranges.\n\nArgs:\n    parts: How many. Expected >= 1.\n    free: Any.\n    share: Expected 0 to 1."
    )


def test_what_is_said_before_the_options_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert about(verb) == "  Do it at once.\n\n  More of the same: `code`."
    assert summary(verb) == "Do it at once."
    text = " ".join(["words"] * 40)
    assert [len(line) for line in wrapped(text).splitlines()] == [79, 79, 79, 7]  # 2 + 13 * 6 - 1
    monkeypatch.setenv("COLUMNS", "9")
    assert max(map(len, wrapped(text).splitlines())) == 37  # 2 + 6 * 6 - 1 of at least 40
    monkeypatch.setenv("COLUMNS", "500")
    assert max(map(len, wrapped(text).splitlines())) == 115  # 2 + 19 * 6 - 1 of at most 120


def stray_breaks(text: str) -> Iterator[str]:
    """Lines of texts of options in whose place the first word of the next line would have fitted."""
    lines = [line[2:-2] for line in text.splitlines() if line.startswith("│")]
    for line, following in pairwise(lines):
        indent = len(following) - len(following.lstrip())
        is_continued = indent >= 6 and (indent > 6 or line.startswith(" " * 6))  # else it is the first line of a text
        if is_continued and len(line.rstrip()) + 1 + len(following.split()[0]) <= len(line):
            yield line.strip()


def test_stray_breaks_are_noticed() -> None:
    broken = ["│ --some INT      │", "│       In px of  │", "│       a side.   │"]
    assert list(stray_breaks("\n".join(broken))) == []
    assert list(stray_breaks("\n".join([*broken[:1], "│       In px     │", *broken[2:]]))) == ["In px"]


@pytest.mark.parametrize("words", [("study",), ("predict",), ("train",), ("train", "pretrain_2d_then_3d")])
@pytest.mark.parametrize("columns", ["80", "120"])
def test_no_text_is_broken_where_the_source_is(
    words: tuple[str, ...], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_cli.COLUMNS", columns)
    text = succeeds(*words, "--help")
    assert list(stray_breaks(text)) == []
    assert ":func:" not in text
    assert "``" not in text
    assert all(len(line) <= int(columns) for line in text.splitlines() if not line.startswith("usage"))
