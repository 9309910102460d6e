"""What would it be worth to look at a crop in several sizes? PCK of the mean of the heatmaps.

    python benchmarks/zooms.py data/lsp_extended --split val
    python benchmarks/zooms.py data/synthetic --dataset synthetic_wild --split test

Each crop is zoomed about its middle (a factor above 1 enlarges the person), read with the flip test, and its heatmaps
are put back onto the grid of the unzoomed crop. Printed: PCK@0.2 of the torso over shoulders, elbows, wrists, hips,
knees and ankles, for single zooms and for the mean of their log probabilities. The time grows with the number of zooms.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from closing_in import LIMBS
from headstart.checkpoint import find_checkpoint, load_model, shipped_weights
from headstart.errors import ConfigError
from headstart.evaluate import forward_with_flip
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import pck
from headstart.models.pose_net import PoseNet
from headstart.multi_scale import scaled
from headstart.records import PoseOutput
from peaks import labelled_crops
from second_reader import with_torso

ZOOMS = (1.0, 0.9, 1.08, 1.15, 1.22)
MEANS = ((1.0, 1.15), (1.0, 0.9, 1.15), ZOOMS)


def log_maps(model: PoseNet, images: Tensor, zoom: float) -> Tensor:
    """Logarithms (B, J, h, w) of each joint's probabilities on the grid of the unzoomed crops (B, 3, H, W)."""
    output = forward_with_flip(model, scaled(images.float(), zoom), model.codec, flip_test=True)
    if output.heatmaps is None or not output.is_logits:
        raise ConfigError("expected a model whose heatmaps are logits (--model.head.heatmap cross_entropy)")
    maps = output.heatmaps.float()
    maps = maps - maps.flatten(2).logsumexp(-1)[..., None, None]
    return scaled(maps, 1 / zoom)


def hits(model: PoseNet, index: AnnotationIndex, rows: NDArray[np.int64]) -> dict[tuple[float, ...], float]:
    """PCK@0.2 in % of every zoom by itself and of the means of several."""
    parts: dict[tuple[float, ...], list[NDArray[np.float64]]] = {}
    for images, truth, labelled, torso in labelled_crops(model, index, rows):
        maps = {zoom: log_maps(model, images, zoom) for zoom in ZOOMS}
        for zooms in (*((zoom,) for zoom in ZOOMS), *MEANS):
            points = _read(model, torch.stack([maps[zoom] for zoom in zooms]).mean(0))
            parts.setdefault(zooms, []).append(pck(points, truth, labelled, torso))
    return {zooms: 100 * float(np.nanmean(np.nanmean(np.concatenate(part), 0))) for zooms, part in parts.items()}


def _read(model: PoseNet, maps: Tensor) -> NDArray[np.float64]:
    """Crop px (B, 12, 2) of the limbs' joints in maps of log probabilities."""
    output = PoseOutput(heatmaps=maps, is_logits=True)
    points = model.codec.decode(output).keypoints[:, model.codec.skeleton.indices(LIMBS)]
    return points.double().numpy()


def main() -> None:
    """Print a row for each zoom and each mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--dataset", default="lsp_extended")
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=1, help="read only every so many people")
    parser.add_argument("--model", type=Path, help="a checkpoint or a run; the model that ships if not given")
    given = parser.parse_args()
    model, _ = load_model(find_checkpoint(given.model) if given.model else shipped_weights())
    index = open_index(given.dataset, given.root, given.split)
    rows = with_torso(index)[:: given.every]
    with torch.inference_mode():
        scores = hits(model, index, rows)
    print(f"{given.dataset}, {given.split}: {len(rows)} people")
    for zooms, score in scores.items():
        print(f"  {', '.join(f'{zoom:g}' for zoom in zooms)}: {score:.1f} % PCK@0.2")


if __name__ == "__main__":
    main()
