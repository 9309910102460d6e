"""Ranges of numbers that a field of a configuration states in its type (``batch_size: Count = 32``).

The check before a run and the help of the command line both read them there.
"""

from __future__ import annotations

import math
import re
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
Count = Annotated[int, Range(">= 1", lambda value: isinstance(value, int) and value >= 1)]
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


def out_of_range(config: Any) -> Iterator[str]:
    """What is wrong with each value of a configuration that its field does not allow; None is always allowed."""
    limits = dict(ranges(type(config)))
    for name, value in values(config):
        limit = limits.get(field_of(name))
        if limit and value is not None and not limit.fits(value):
            infinite = isinstance(value, float) and math.isinf(value)
            yield f"{name}: expected {'a finite number' if infinite else limit.expected}, got {value!r}"


def values(config: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of each field of a configuration that has no fields: ``stages.0.optimiser.learning_rate``."""
    if is_dataclass(config):
        parts = vars(config)
    elif isinstance(config, dict):
        parts = config
    elif isinstance(config, (tuple, list)):
        parts = {str(number): value for number, value in enumerate(config)}
    else:
        yield name, config
        return
    for part, value in parts.items():
        yield from values(value, f"{name}.{part}" if name else part)


def field_of(name: str) -> str:
    """The name of a field in :func:`ranges`: ``stages.data.weight`` for ``stages.1.data.0.weight``.

    It lacks positions in lists and names of losses.
    """
    return re.sub(r"\.\d+(?=\.|$)|(?<=\.losses)\..*", "", name)
