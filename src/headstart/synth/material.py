"""Materials: three colours mixed by a texture, a sheen, and bumps. Rows of numbers for the renderer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """Linear RGB in 0..1. A texture's red and green mix ``second`` and ``third`` into ``first``; its blue is grain."""

    first: Colour
    second: Colour = (0.5, 0.5, 0.5)
    third: Colour = (0.5, 0.5, 0.5)
    texture: int = -1
    """Number in the texture set, -1 for none."""
    period_m: float = 1.0
    """Size of one repeat of the texture in metres."""
    angle: float = 0.0
    """Radians by which the texture is turned."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Where the texture starts, in repeats."""
    grain: float = 1.0
    """How much of the texture's grain shows."""
    sheen: float = 0.0
    gloss: float = 20.0
    """Exponent of the sheen."""
    bump: int = -1
    """Number of the bump texture, -1 for none."""
    bump_period_m: float = 0.3
    bump_strength: float = 0.0
    glow: float = 0.0
    """Light of its own, as a multiple of its colour."""

    def row(self) -> NDArray[np.float32]:
        """The numbers that ``shade`` reads, in its order."""
        turn = (np.cos(self.angle) / self.period_m, np.sin(self.angle) / self.period_m)
        return np.array(
            [
                *(self.texture, *turn, *self.offset, *self.first, *self.second, *self.third, self.grain),
                *(self.sheen, self.gloss, self.bump, 1 / self.bump_period_m, self.bump_strength, self.glow),
            ],
            np.float32,
        )


class Palette:
    """The materials of a scene; :meth:`add` gives a material its number."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.float32]] = []

    def add(self, material: Material) -> int:
        """Number of the material in :meth:`table`."""
        self._rows.append(material.row())
        return len(self._rows) - 1

    def table(self) -> NDArray[np.float32]:
        """(M, 21)."""
        return np.stack(self._rows)
