"""tools/ship_weights.py: several ends of training as one small file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.checkpoint import load_checkpoint, load_model, save_checkpoint
from headstart.models.pose_net import PoseNet
from tiny import MODEL

TOOL = Path(__file__).parents[1] / "tools" / "ship_weights.py"


def run_of(folder: Path, seed: int, **about: Any) -> Path:
    torch.manual_seed(seed)
    network = PoseNet(MODEL)
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    header = {"model": asdict(MODEL), "backbone_config": network.backbone.config, "git_sha": f"c{seed}", "labels": []}
    save_checkpoint(folder / "last.safetensors", tensors, header | about)
    return folder


@pytest.mark.parametrize(
    ("first", "second", "joints"),
    [
        ({"trained_joints": ["nose", "neck"]}, {"trained_joints": ["neck", "spine"]}, ["nose", "neck", "spine"]),
        ({}, {"trained_joints": ["neck"]}, None),
    ],
)
def test_the_mean_knows_what_any_of_them_has_learnt(
    first: dict[str, Any], second: dict[str, Any], joints: list[str] | None, tmp_path: Path
) -> None:
    runs = [run_of(tmp_path / "a", 1, **first), run_of(tmp_path / "b", 2, **second)]
    out = tmp_path / "ship.safetensors"
    subprocess.run([sys.executable, TOOL, *runs, "--out", out], check=True, capture_output=True)
    header = load_checkpoint(out).header
    assert header.get("trained_joints") == joints
    assert (header["git_sha"], "labels" in header) == ("c2", False)
    one, other = (load_model(run)[0].state_dict()["head.heatmaps.weight"] for run in runs)
    mean = load_model(out)[0].state_dict()["head.heatmaps.weight"]
    torch.testing.assert_close(mean, (one + other) / 2, atol=1e-5, rtol=1e-3)
