"""Make a trained checkpoint the model that ships: half precision, weights alone.

    python tools/ship_weights.py runs/ship [src/headstart/weights/ship.safetensors]

Keeps the averaged weights of the run's last checkpoint (the figure that counts is that of the last weights, not of the
best on the part that is held back) and of its header what is needed to build the network and to tell where it comes
from. Refuses a file above 16 MB.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from headstart.checkpoint import load_checkpoint, save_checkpoint

LIMIT = 16_000_000
KEPT = ("model", "backbone_config", "config", "git_sha")


def main() -> None:
    """Entry point."""
    run = Path(sys.argv[1])
    target = Path(sys.argv[2] if len(sys.argv) > 2 else "src/headstart/weights/ship.safetensors")
    checkpoint = load_checkpoint(run / "last.safetensors" if run.is_dir() else run)
    kept = checkpoint.part("ema") or checkpoint.part("model")
    half = {f"ema.{name}": t.half() if t.dtype == torch.float32 else t for name, t in kept.items()}
    save_checkpoint(target, half, {name: checkpoint.header[name] for name in KEPT if name in checkpoint.header})
    size = target.stat().st_size
    if size > LIMIT:
        target.unlink()
        sys.exit(f"{target} would take {size / 1e6:.1f} MB; the package has room for {LIMIT / 1e6:.0f}")
    print(f"{target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
