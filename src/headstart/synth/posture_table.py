"""Postures as ranges of joint angles: the record, and the table that ships in assets/postures.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, cast

Range = tuple[float, float]
Support = Literal["feet", "seat", "floor", "hands", "air", "hang", "wall"]
Leg = tuple[Range, Range, Range, Range, Range]
Arm = tuple[Range, Range, Range, Range]


@dataclass(frozen=True)
class Posture:
    """A family of poses. Degrees; what each range means stands at the head of assets/postures.toml."""

    support: Support
    left_leg: Leg
    right_leg: Leg | None = None
    left_arm: Arm | None = None
    right_arm: Arm | None = None
    trunk: tuple[Range, Range, Range] = ((-5, 12), (-8, 8), (-15, 15))
    root: tuple[Range, Range] = ((-5, 8), (-4, 4))
    nod: Range = (-15, 20)
    together: bool = False
    """Whether both legs and both arms do the same."""
    weight: float = 1.0
    """How often, relative to the others."""


#: Arms of postures that leave them free, with their weights.
FREE_ARMS: tuple[tuple[float, Arm], ...] = (
    (3.0, ((0, 22), (40, 130), (2, 40), (-20, 25))),
    (1.5, ((10, 60), (-10, 100), (50, 125), (-40, 40))),
    (1.5, ((65, 110), (60, 110), (0, 35), (-40, 40))),
    (1.5, ((60, 130), (-10, 50), (0, 50), (-30, 50))),
    (1.0, ((150, 180), (30, 110), (0, 20), (-20, 20))),
    (1.0, ((30, 60), (110, 150), (70, 115), (-20, 20))),
    (1.0, ((25, 60), (-20, 20), (80, 140), (-10, 30))),
    (1.5, ((0, 175), (-30, 140), (0, 130), (-70, 70))),
)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


@lru_cache(maxsize=1)
def load_postures() -> dict[str, Posture]:
    """Name -> posture, read once a process."""
    text = resources.files("headstart.synth").joinpath("assets/postures.toml").read_text(encoding="utf-8")
    known = {field.name for field in fields(Posture)}
    table = tomllib.loads(text)
    strange = {key for entry in table.values() for key in entry} - known
    if strange:
        raise ValueError(f"postures.toml: unknown keys {', '.join(sorted(strange))}")
    return {
        name: Posture(**cast(dict[str, Any], {key: _tuples(value) for key, value in entry.items()}))
        for name, entry in table.items()
    }
