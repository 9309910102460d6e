"""Models and experiments small enough for a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.budget import Budget
from headstart.experiment import Experiment, Stage, Validation
from headstart.loader import Data
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser, Schedule

MODEL = ModelConfig(
    backbone="nano",
    head=HeadConfig(channels=16, heatmap="cross_entropy"),
    skeleton="body_18",
    input_size=(64, 64),
    sigma=1.0,
)
HEATMAP = {"heatmap_cross_entropy": 1.0}
BOTH = {"heatmap_cross_entropy": 1.0, "depth_smooth_l1": 20.0}


def data_2d(root: Path, **fields: Any) -> Data:
    return Data("lsp_extended", str(root), "all", **fields)


def data_3d(root: Path, **fields: Any) -> Data:
    return Data("h36m", str(root), "train", **fields)


def pck_of(root: Path) -> Validation:
    return Validation("lsp_extended_pck", str(root), split="all")


def mpjpe_of(root: Path) -> Validation:
    return Validation("h36m_standard", str(root))


def stage_2d(root: Path, samples: int = 32, **fields: Any) -> Stage:
    settings: dict[str, Any] = {"optimiser": Optimiser(learning_rate=3e-3), "schedule": Schedule("constant")}
    return Stage("2d", (data_2d(root),), Budget(samples=samples), HEATMAP, **(settings | fields))


def experiment(*stages: Stage, **fields: Any) -> Experiment:
    """No loader processes, no tracker, everything logged."""
    settings: dict[str, Any] = {
        "model": MODEL,
        "batch_size": 4,
        "workers": 0,
        "tracker": "none",
        "log_samples": 4,
        "checkpoint_samples": 8,
        "validate_samples": 1_000_000,
        "average_decay": 0.9,
    }
    return Experiment("tiny", stages=tuple(stages), **(settings | fields))


def three_stages(root_2d: Path, root_3d: Path, samples: int) -> tuple[Stage, ...]:
    """The published scheme in small: 2D, 2D + 3D, geometric."""
    mixed = (data_2d(root_2d), data_3d(root_3d))
    first = stage_2d(root_2d, samples)
    second = replace(first, name="2d+3d", data=mixed, losses=BOTH)
    third = replace(second, name="geometric", losses={**BOTH, "bone_ratio": 0.1}, optimiser=Optimiser("adam", 3e-4))
    return first, second, third
