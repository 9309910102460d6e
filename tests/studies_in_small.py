"""Studies small enough for a test."""

from __future__ import annotations

import tiny
from headstart.study import ARMS, Grid, Study

EVERYTHING = Grid(
    arms=tuple(ARMS),
    backbones=("nano",),
    two_d=("mpii", "coco"),
    three_d=("h36m",),
    seeds=(0, 1),
    shares_2d=(0.3, 0.7),
    geometric=(False, True),
)


def study_of(*grids: Grid, samples: int = 1000, **fields: object) -> Study:
    settings: dict[str, object] = {"tests": ("h36m_standard",), "batch_size": 8, **fields}
    return Study("tiny", "Tiny", "?", {"nano": tiny.MODEL}, {"nano": samples}, grids, **settings)  # type: ignore[arg-type]
