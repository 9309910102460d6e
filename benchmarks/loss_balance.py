"""How hard each loss of a run's last stage pulls at the shared network, and how well its batches agree.

    python benchmarks/loss_balance.py runs/ship [--batches 8] [--root lsp_extended=DIR ...]

For a few batches, drawn and augmented as the run drew them: the norm of each weighted loss's gradient over the backbone
(root mean square), the mean cosine between the gradients of different batches of one loss (1: all batches say the same;
0: what a step follows is the noise of its batch, so larger batches or lower rates pay), and between the losses' means.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from headstart import losses
from headstart.augment import AugmentConfig
from headstart.checkpoint import load_model
from headstart.cli.roots import parse_roots
from headstart.loader import CropDataset, Data, build_train_loader, open_mixture
from headstart.models.pose_net import PoseNet
from headstart.records import Batch
from headstart.sampling import MixtureSampler


def batches(network: PoseNet, data: tuple[Data, ...], augment: AugmentConfig, size: int) -> Iterator[Batch]:
    """Training batches of a mixture, without end."""
    mixture = open_mixture(data, seed=1)
    weights, use_3d = [one.weight for one in data], [one.use_3d for one in data]
    sampler = MixtureSampler(mixture.sizes, weights, size, 1, start_step=0, rank=0, processes=1, rows=mixture.rows)
    crops = CropDataset(mixture.indexes, network.skeleton, network.config.input_size, augment, 1, use_3d)
    return iter(build_train_loader(crops, sampler, 0, False))


def gradients(network: PoseNet, batch: Batch, weights: dict[str, float]) -> dict[str, Tensor]:
    """Loss name -> gradient of the weighted loss over all weights of the backbone, one vector."""
    targets, output = network.codec.encode(batch), network(batch.image)
    shared = [parameter for parameter in network.backbone.parameters() if parameter.requires_grad]
    vectors = {}
    for name, weight in weights.items():
        loss, _ = losses.total(output, targets, {name: weight})
        parts = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
        vectors[name] = torch.cat([part.flatten() for part in parts if part is not None])
    return vectors


def agreement(vectors: Tensor) -> float:
    """Mean cosine between different rows of (N, D)."""
    cosines = functional.normalize(vectors) @ functional.normalize(vectors).T
    count = len(vectors)
    return float((cosines.sum() - cosines.trace()) / (count * (count - 1)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--root", action="append", default=[])
    given = parser.parse_args()
    network, header = load_model(given.run)
    config, roots = header["config"], parse_roots(given.root)
    stage = config["stages"][-1]
    data = tuple(replace(Data(**one), root=roots.get(one["dataset"], one["root"])) for one in stage["data"])
    drawn = batches(network.train(), data, AugmentConfig(**config["augment"]), config["batch_size"])
    rows = [gradients(network, batch, stage["losses"]) for batch in itertools.islice(drawn, given.batches)]
    table = Table("loss", "weight", "gradient's norm", "cosine between batches", "cosine with the first loss")
    stacked = {name: torch.stack([row[name] for row in rows]) for name in stage["losses"]}
    first = next(iter(stacked.values())).mean(0)
    for name, vectors in stacked.items():
        norm, between = float(vectors.norm(dim=1).square().mean().sqrt()), agreement(vectors)
        with_first = float(functional.cosine_similarity(first, vectors.mean(0), dim=0))
        table.add_row(name, f"{stage['losses'][name]:g}", f"{norm:.3f}", f"{between:+.3f}", f"{with_first:+.3f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
