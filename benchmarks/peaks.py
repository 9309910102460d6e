"""What would a better reading of the heatmaps be worth? The best of each joint's highest peaks, by somebody who knew.

    python benchmarks/peaks.py data/lsp_extended --split val
    python benchmarks/peaks.py data/synthetic --dataset synthetic_wild --split test

A joint is read as in scoring (flip test); then the map is emptied around it and read again, for the next peak. Printed:
PCK@0.2 of the torso over shoulders, elbows, wrists, hips, knees and ankles, when the nearest to the label of the
first 1, 2, 3 and 6 peaks counts: so much a choice among these can gain, however clever about whole bodies. Where a map
has one peak, the next are guesses on its slopes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from closing_in import LIMBS
from headstart.checkpoint import find_checkpoint, load_model, shipped_weights
from headstart.errors import ConfigError
from headstart.evaluate import forward_with_flip
from headstart.geometry import Crop
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import pck, torso_size
from headstart.models.pose_net import PoseNet
from headstart.records import PoseOutput
from headstart.skeleton import CANONICAL, Skeleton
from second_reader import with_torso

PEAKS, PRINTED, BATCH = 6, (1, 2, 3, 6), 32
#: Sigmas around a peak that are emptied.
EMPTIED = 3.0


def peaks(model: PoseNet, images: Tensor) -> NDArray[np.float64]:
    """(PEAKS, B, 12, 2) crop px of each joint's peaks, the highest first, of RGB crops (B, 3, H, W)."""
    codec, found = model.codec, []
    output = forward_with_flip(model, images, codec, True)
    if output.heatmaps is None:
        raise ConfigError(f"expected a model with heatmaps, found the head {model.config.head.kind}")
    rows, columns = (torch.arange(size) for size in codec.map_size)
    for _ in range(PEAKS):
        points = codec.decode(output).keypoints
        found.append(points[:, codec.skeleton.indices(LIMBS)].double().numpy())
        x, y = codec.to_map(points)[..., None, None].unbind(2)
        near = (columns - x) ** 2 + (rows[:, None] - y) ** 2 < (EMPTIED * codec.sigma) ** 2
        output = replace(output, heatmaps=output.heatmaps.masked_fill(near, _nothing(output)))
    return np.array(found)


def _nothing(output: PoseOutput) -> float:
    """What a map holds where it says that the joint is not there."""
    return -1e9 if output.is_logits else 0.0


def labelled_crops(
    model: PoseNet, index: AnnotationIndex, rows: NDArray[np.int64]
) -> Iterator[tuple[Tensor, NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]]:
    """RGB crops (B, 3, H, W), the limbs' joints (B, 12, 2) in them, which are labelled (B, 12), and torsos (B,) px."""
    joints = CANONICAL.indices(LIMBS)
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH].tolist()
        people = [index[row] for row in some]
        crops = [Crop.from_box(np.array(one.bbox_xywh), model.codec.input_size) for one in people]
        pictures = [crop.warp(index.rgb_image(row)) for crop, row in zip(crops, some)]
        truth = np.array([crop.to_crop(one.keypoints)[joints] for crop, one in zip(crops, people)])
        labelled = np.array([one.visibility[joints] > 0 for one in people])
        torso = torso_size(truth, labelled, Skeleton("limbs", LIMBS))
        yield torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), truth, labelled, torso


def hits(model: PoseNet, index: AnnotationIndex, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(PEAKS, N, 12): whether each peak is right, 0 or 1; NaN where there is no label."""
    parts = [
        [pck(points, *known) for points in peaks(model, images)]
        for images, *known in labelled_crops(model, index, rows)
    ]
    return np.concatenate(parts, 1)


def main() -> None:
    """Print a row a number of peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--dataset", default="lsp_extended")
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", type=Path, help="a checkpoint or a run; the model that ships if not given")
    given = parser.parse_args()
    model, _ = load_model(find_checkpoint(given.model) if given.model else shipped_weights())
    index = open_index(given.dataset, given.root, given.split)
    with torch.inference_mode():
        right = hits(model, index, with_torso(index))
    print(f"{given.dataset}, {given.split}: {right.shape[1]} people")
    for count in PRINTED:
        best = right[:count].max(0)
        print(f"  the best of {count} peaks: {100 * np.nanmean(np.nanmean(best, 0)):.1f} % PCK@0.2")


if __name__ == "__main__":
    main()
