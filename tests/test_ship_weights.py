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


def trained_on(*names: str, **about: Any) -> dict[str, Any]:
    return {"config": {"stages": [{"data": [{"dataset": name} for name in names]}]}, **about}


def test_the_header_says_terms_data_and_cost(tmp_path: Path) -> None:
    """Of all runs, and of what the weights before them said; files without it, as before, still load."""
    before = {"about": {"data": {"old_photos": "ours"}}}
    runs = [
        run_of(tmp_path / "a", 1, **trained_on("lsp_extended"), **before),
        run_of(tmp_path / "b", 2, **trained_on("synthetic_wild", "lsp_extended")),
    ]
    out = tmp_path / "ship.safetensors"
    cost = ["--samples", "1768000", "--core-hours", "35.0"]
    subprocess.run([sys.executable, TOOL, *runs, *cost, "--out", out], check=True, capture_output=True)
    network, header = load_model(out)
    about = header["about"]
    assert list(about["data"]) == ["old_photos", "lsp_extended", "synthetic_wild"]
    assert about["data"]["lsp_extended"].endswith("without an explicit licence")
    assert (about["training_samples"], about["core_hours"], about["card"]) == (1_768_000, 35.0, "docs/model-card.md")
    assert "Check them before commercial use" in about["terms"]
    assert "http" not in str(about)
    assert header["versions"]["headstart"]
    assert [one.shape for one in network.parameters()] == [one.shape for one in load_model(runs[1])[0].parameters()]


def test_data_without_known_terms_do_not_ship(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", 1, **trained_on("coco"))
    out = tmp_path / "ship.safetensors"
    done = subprocess.run([sys.executable, TOOL, run, "--out", out], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "the terms of coco are not known: add them to tools/ship_weights.py and docs/model-card.md\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]
