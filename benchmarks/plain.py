"""The plain way of doing what Headstart does, as a first version would be written: what bench.py compares with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from headstart.augment import AugmentConfig, sample_crop
from headstart.records import Annotation
from headstart.skeleton import CANONICAL, Skeleton

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def sample(
    person: Annotation, path: Path, skeleton: Skeleton, augment: AugmentConfig, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """One training sample, all of it on the CPU in the loader: photo, crop, colours, normalised floats, heatmaps."""
    photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    crop = sample_crop(rng, person.bbox_xywh, (256, 256), augment)
    pixels = cv2.warpAffine(photo, crop.matrix, (256, 256), flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    gain = (1 + rng.uniform(-augment.contrast, augment.contrast)) * (
        1 + rng.uniform(-augment.colour, augment.colour, 3)
    )
    pixels = np.clip((pixels - 0.5) * gain + 0.5 + rng.uniform(-augment.brightness, augment.brightness), 0, 1)
    normalised = ((pixels - MEAN) / DEVIATION).astype(np.float32).transpose(2, 0, 1)
    joints = CANONICAL.indices(skeleton.names)
    points = crop.to_crop(person.keypoints[joints])
    labelled = person.visibility[joints] > 0
    maps = np.zeros((len(skeleton), 64, 64), np.float32)
    columns, rows = np.meshgrid(np.arange(64), np.arange(64))
    for joint in np.flatnonzero(labelled):
        x, y = (points[joint] + 0.5) / 4 - 0.5
        maps[joint] = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2))
    return np.ascontiguousarray(normalised), maps, labelled.astype(np.float32)


GROUPS = (
    ((0, 1, 1.0085885098415446), (1, 2, 1.0), (3, 4, 1.0), (4, 5, 1.0085885098415446)),
    ((10, 11, 1.1375361376887123), (11, 12, 1.0), (13, 14, 1.0), (14, 15, 1.1375361376887123)),
    ((2, 6, 1.0), (6, 3, 1.0)),
    ((12, 7, 1.0), (7, 13, 1.0)),
)


def bone_ratio(depth_maps: Tensor, keypoints: Tensor, weight_2d: Tensor, weight_depth: Tensor) -> Tensor:
    """The geometric loss sample by sample and bone by bone, joints in the order of MPII-16."""
    losses = []
    for number in range(len(depth_maps)):
        if weight_depth[number].sum() > 0:
            continue
        pose = []
        for joint in range(16):
            x, y = (keypoints[number, joint] / 1.0).tolist()
            column, row = min(max(round(x), 0), 63), min(max(round(y), 0), 63)
            pose.append(
                torch.stack([torch.tensor(x / 64), torch.tensor(y / 64), depth_maps[number, joint, row, column]])
            )
        loss = depth_maps.new_zeros(())
        for group in GROUPS:
            lengths = [
                (pose[a] - pose[b]).norm() * ratio
                for a, b, ratio in group
                if weight_2d[number, a] > 0 and weight_2d[number, b] > 0
            ]
            if len(lengths) >= 2:
                mean = torch.stack(lengths).mean()
                for length in lengths:
                    loss = loss + (length - mean) ** 2 / (2 * len(lengths))
        losses.append(loss)
    return torch.stack(losses).mean()


def training_step(network: nn.Module, optimiser: torch.optim.Optimizer, batch: dict[str, Any]) -> float:
    """Forward, MSE on maps that came from the loader, backward, step."""
    features = network.head.upsample(network.backbone(batch["image"])[-1])  # type: ignore[union-attr,operator]
    maps = network.head.heatmaps(features)  # type: ignore[union-attr,operator]
    loss = (functional.mse_loss(maps, batch["maps"], reduction="none").mean((-1, -2)) * batch["weight"]).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
