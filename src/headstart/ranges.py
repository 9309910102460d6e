"""Ranges of numbers that a field of a configuration states in its type (``batch_size: Count = 32``).

The check before a run and the help of the command line both read them there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """The values that a field may have, besides None."""

    expected: str
    """In words, for messages and help."""
    fits: Callable[[Any], bool]


class Choice(Range):
    """One of the values that a Literal lists, which Python itself does not enforce."""


def number_range(expected: str, fits: Callable[[float], bool]) -> Range:
    """Finite numbers that fit."""
    return Range(expected, lambda value: isinstance(value, (int, float)) and math.isfinite(value) and fits(value))


FROM_0 = number_range(">= 0", lambda value: value >= 0)
Count = Annotated[int, number_range(">= 1", lambda value: value >= 1)]
Above0 = Annotated[float, number_range("> 0", lambda value: value > 0)]
From0 = Annotated[float, FROM_0]
Share = Annotated[float, number_range("0 to 1", lambda value: 0 <= value <= 1)]
Below1 = Annotated[float, number_range("0 to less than 1", lambda value: 0 <= value < 1)]


def ranges(kind: Any, name: str = "") -> Iterator[tuple[str, Range]]:
    """Name and range of each field of a configuration, and of those in it: ``stages.data.weight``.

    Positions in lists and names of losses are no part of a name.
    """
    if is_dataclass(kind):
        for field, inner in get_type_hints(kind, include_extras=True).items():
            yield from ranges(inner, f"{name}.{field}" if name else field)
    elif get_origin(kind) is Literal:
        choices = get_args(kind)
        yield name, Choice(f"one of {', '.join(choices)}", choices.__contains__)
    elif get_origin(kind) is Annotated:
        yield from ((name, one) for one in kind.__metadata__ if isinstance(one, Range))
    else:
        for part in get_args(kind):
            yield from ranges(part, name)
