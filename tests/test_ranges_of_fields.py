"""Ranges in types of fields: found by the name of the field, wherever it stands, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from headstart.ranges import FROM_0, Above0, Below1, Choice, Count, From0, Range, Share, number_range, ranges


@dataclass(frozen=True)
class Inner:
    sizes: tuple[Count, Count] = (1, 1)
    kind: Literal["round", "square"] = "round"
    free: float = 0.0


@dataclass(frozen=True)
class Outer:
    parts: tuple[Inner, ...]
    weights: dict[str, From0]
    limit: Count | None = None
    workers: Annotated[int, FROM_0] = 2


def test_every_field_that_states_one_has_one() -> None:
    found = dict(ranges(Outer))
    assert {name: one.expected for name, one in found.items()} == {
        "parts.sizes": ">= 1",
        "parts.kind": "one of round, square",
        "weights": ">= 0",
        "limit": ">= 1",
        "workers": ">= 0",
    }
    assert [name for name, one in found.items() if isinstance(one, Choice)] == ["parts.kind"]
    assert found["parts.kind"].fits("square")
    assert not found["parts.kind"].fits("oval")


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (Count, (1, 7), (0, 0.5, -1)),
        (Above0, (1e-30, 7), (0, -1)),
        (From0, (0, 0.0, 7), (-1e-30, -1)),
        (Share, (0, 0.5, 1), (-1e-30, 1.001)),
        (Below1, (0, 0.999), (-1e-30, 1)),
    ],
)
def test_the_ends(kind: object, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    ((name, one),) = ranges(kind, "field")
    assert (name, type(one)) == ("field", Range)
    assert all(map(one.fits, inside))
    assert not any(map(one.fits, (*outside, float("nan"), float("inf"), "1", [1])))


def test_nothing_else_is_a_number() -> None:
    anything = number_range("any", lambda value: True)
    assert not any(map(anything.fits, (float("nan"), float("inf"), -float("inf"), "1")))
    assert anything.fits(-1e300)
