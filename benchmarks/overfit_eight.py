"""The first thing to try on any data: can the network learn eight photographs by heart?

    python benchmarks/overfit_eight.py ../shared/data/lspet OUT

Copies the first eight people of LSP-Extended into a data set of their own (official format), trains without
augmentation, and scores the same eight. Anything far below 100 % is a bug, not a matter of tuning.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import scipy.io

NOTHING = ("scale", "rotation-probability", "flip-probability", "shift", "truncation-probability", "brightness")
NOTHING = (*NOTHING, "contrast", "colour", "occluder-probability")


def write_eight(source: Path, root: Path) -> None:
    """The first eight people, in LSP-Extended's own format."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    joints = scipy.io.loadmat(source / "joints.mat")["joints"][:, :, :8]
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    for number in range(1, 9):
        shutil.copy(source / "images" / f"im{number:05d}.jpg", root / "images")


def main() -> None:
    """Train and score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of LSP-Extended")
    parser.add_argument("out", type=Path, help="folder for the eight people and the run")
    given = parser.parse_args()
    source, out = given.source, given.out
    write_eight(source, out / "eight")
    headstart = [sys.executable, "-m", "headstart.cli"]
    train = [*headstart, "train", "pretrain_2d", "--two-d", "lsp_extended", "--root", f"lsp_extended={out / 'eight'}"]
    train += ["--out", str(out / "run"), "--model.backbone", "nano", "--model.head.channels", "64"]
    train += ["--stages.0.data.0.split", "all", "--validation.0.split", "all", "--stages.0.budget.samples", "4000"]
    train += ["--batch-size", "8", "--workers", "0", "--average-decay", "0.9", "--validate-samples", "2000"]
    train += [part for name in NOTHING for part in (f"--augment.{name}", "0")]
    subprocess.run(train, check=True)
    score = [*headstart, "eval", str(out / "run"), "--protocol", "lsp_extended_pck12", "--split", "all"]
    score += ["--root", str(out / "eight"), "--picture", str(out / "eight.png"), "--workers", "0"]
    subprocess.run(score, check=True)


if __name__ == "__main__":
    main()
