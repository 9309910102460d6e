"""Channels that have died: too large steps push them below zero for every picture, and no gradient revives them.

    python benchmarks/dead_channels.py [CHECKPOINT or RUN ...]

Counts, by the stride of the map (input px per map px), the channels whose batch norm gives no value above zero anywhere
on 48 pictures of synthetic people made on the spot, the ImageNet weights of EfficientNet-Lite0 first. A network that
lost many learns on from there as if it were smaller: start again from healthy weights, with a lower rate or more
samples a step.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from headstart.checkpoint import load_model
from headstart.geometry import Crop
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.synth.domains import SyntheticImage, generate

PICTURES, SEED = 48, 77


def crops(people: list[SyntheticImage], size: tuple[int, int]) -> Tensor:
    """RGB crops (N, 3, H, W)."""
    cut = [Crop.from_box(person.bbox_xywh, size).warp(person.image) for person in people]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def dead_by_stride(network: PoseNet, images: Tensor) -> dict[int, tuple[int, int]]:
    """Stride -> channels that are dead, channels."""
    alive: dict[nn.Module, Tensor] = {}
    strides: dict[nn.Module, int] = {}

    def note(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        alive[layer] = alive.get(layer, torch.tensor(False)) | (output.amax((0, 2, 3)) > 0)
        strides[layer] = images.shape[-1] // output.shape[-1]

    for layer in network.backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(note)
    network.eval()
    for part in images.split(8):
        network(part)
    counts: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for layer, channels in alive.items():
        dead, whole = counts[strides[layer]]
        counts[strides[layer]] = dead + int((~channels).sum()), whole + len(channels)
    return dict(sorted(counts.items()))


def main() -> None:
    """Measure ImageNet's weights and each argument, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="CHECKPOINT or RUN", help="measured besides ImageNet's weights")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    networks = {"ImageNet": PoseNet(ModelConfig("efficientnet_lite0", "pip", input_size=(224, 224)))}
    networks |= {path: load_model(Path(path))[0] for path in given.models}
    people = [generate("wild", "test", SEED, number, 256) for number in range(PICTURES)]
    rows = {
        name: dead_by_stride(network, crops(people, network.config.input_size)) for name, network in networks.items()
    }
    strides = sorted({stride for row in rows.values() for stride in row})
    table = Table("network", *(f"stride {stride}" for stride in strides))
    for name, row in rows.items():
        cells = [f"{row[s][0]:,} of {row[s][1]:,} ({row[s][0] / row[s][1]:.0%})" if s in row else "" for s in strides]
        table.add_row(name, *cells)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
