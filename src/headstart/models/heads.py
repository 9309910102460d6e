"""Heads: features to :class:`~headstart.records.PoseOutput`. A head is one class and one line in HEADS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from headstart.errors import ConfigError
from headstart.records import PoseOutput
from headstart.targets import map_axis


@dataclass(frozen=True)
class HeadConfig:
    """Which head, and its size."""

    kind: Literal["heatmap_depth", "integral"] = "heatmap_depth"
    channels: int = 256
    """Channels of each deconvolution (256 as published)."""
    heatmap: Literal["mse", "cross_entropy"] = "mse"
    """What the maps are trained with: "mse" gives values, "cross_entropy" logits."""
    output_stride: int = 4
    """Crop px per heatmap px; the number of deconvolutions follows from it."""
    depth_bins: int = 64
    """Integral head only: cells of the volume along z, spanning one crop width."""


class HeatmapDepthHead(nn.Module):
    """Deconvolutions, then one 1x1 convolution to J heatmaps and one to J depth maps (Zhou et al. 2017)."""

    def __init__(self, config: HeadConfig, in_channels: int, in_stride: int, joints: int) -> None:
        super().__init__()
        self.is_logits = config.heatmap == "cross_entropy"
        self.upsample, channels = _deconvolutions(config, in_channels, in_stride)
        self.heatmaps = nn.Conv2d(channels, joints, 1)
        self.depth_maps = nn.Conv2d(channels, joints, 1)
        _initialise(self)

    def forward(self, features: Tensor) -> PoseOutput:
        """Features (B, C, h, w) -> heatmaps and depth maps (B, J, H / output_stride, W / output_stride)."""
        features = self.upsample(features)
        return PoseOutput(self.heatmaps(features), self.depth_maps(features), is_logits=self.is_logits)


class IntegralHead(nn.Module):
    """Deconvolutions, then a volume a joint whose soft-argmax is the joint (Sun et al. 2018, eq. 1)."""

    is_logits = True

    def __init__(self, config: HeadConfig, in_channels: int, in_stride: int, joints: int) -> None:
        super().__init__()
        self.joints, self.depth_bins = joints, config.depth_bins
        self.upsample, channels = _deconvolutions(config, in_channels, in_stride)
        self.volume = nn.Conv2d(channels, joints * config.depth_bins, 1)
        _initialise(self)

    def forward(self, features: Tensor) -> PoseOutput:
        """Features (B, C, h, w) -> coordinates (B, J, 3): x, y in heatmap px, depth in crop widths."""
        volume = self.volume(self.upsample(features)).unflatten(1, (self.joints, self.depth_bins)).float()
        _, _, depth, height, width = volume.shape
        probability = volume.flatten(2).softmax(-1).unflatten(2, (depth, height, width))
        marginal = probability.sum(2)
        x = (marginal.sum(-2) * map_axis(width, volume)).sum(-1)
        y = (marginal.sum(-1) * map_axis(height, volume)).sum(-1)
        # Cell centres from -0.5 to 0.5 crop widths around the pelvis.
        z = (probability.sum((-1, -2)) * ((map_axis(depth, volume) + 0.5) / depth - 0.5)).sum(-1)
        return PoseOutput(coordinates=torch.stack([x, y, z], -1), confidence=marginal.amax((-1, -2)))


HEADS: dict[str, type[HeatmapDepthHead] | type[IntegralHead]] = {
    "heatmap_depth": HeatmapDepthHead,
    "integral": IntegralHead,
}


def _deconvolutions(config: HeadConfig, in_channels: int, in_stride: int) -> tuple[nn.Sequential, int]:
    """4x4 stride-2 deconvolutions with batch norm and ReLU from ``in_stride`` to ``output_stride``; and channels."""
    steps = math.log2(in_stride / config.output_stride)
    if steps != int(steps) or steps < 0:
        raise ConfigError(
            f"model.head.output_stride: expected {in_stride} (the backbone's stride) divided by a power of two,"
            f" got {config.output_stride}"
        )
    layers: list[nn.Module] = []
    for _ in range(int(steps)):
        layers += [
            nn.ConvTranspose2d(in_channels, config.channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(config.channels),
            nn.ReLU(inplace=True),
        ]
        in_channels = config.channels
    return nn.Sequential(*layers), in_channels


def _initialise(head: nn.Module) -> None:
    """Small normal weights and zero biases (Xiao et al. 2018)."""
    for module in head.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.001)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
