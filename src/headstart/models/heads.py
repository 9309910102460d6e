"""Heads: features to :class:`~headstart.records.PoseOutput`. A head is one class and one line in HEADS.

``per_joint`` names the last layers of a head, whose output channels are the joints, each in equally many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.errors import ConfigError
from headstart.models.feature_maps import Level
from headstart.ranges import Count
from headstart.records import PoseOutput
from headstart.targets import map_axis


@dataclass(frozen=True)
class HeadConfig:
    """Which head, and its size."""

    kind: Literal["heatmap_depth", "integral", "pyramid"] = "heatmap_depth"
    """heatmap_depth: deconvolutions of the coarsest map, as published; integral: soft-argmax over a volume; pyramid:
    maps of all scales joined from coarse to fine (LOG.md has it beside the first)."""
    channels: Count = 256
    """Of each deconvolution (256 as published), or of each scale of the pyramid."""
    heatmap: Literal["mse", "cross_entropy"] = "mse"
    """Loss of the maps: with "mse" they are values, with "cross_entropy" logits."""
    output_stride: Count = 4
    """Crop px per heatmap px; the number of deconvolutions follows from it."""
    depth_bins: Count = 64
    """Integral head only: cells of the volume along z, spanning one crop width."""


class HeatmapDepthHead(nn.Module):
    """Deconvolutions, then one 1x1 convolution to J heatmaps and one to J depth maps (Zhou et al. 2017)."""

    per_joint: ClassVar = ("heatmaps", "depth_maps")

    def __init__(self, config: HeadConfig, levels: Sequence[Level], joints: int) -> None:
        super().__init__()
        self.is_logits = config.heatmap == "cross_entropy"
        self.upsample, channels = _deconvolutions(config, levels[-1])
        self.heatmaps = nn.Conv2d(channels, joints, 1)
        self.depth_maps = nn.Conv2d(channels, joints, 1)
        _initialise(self)

    def forward(self, maps: Sequence[Tensor]) -> PoseOutput:
        """The coarsest of ``maps`` (B, C, h, w) -> heatmaps and depth maps (B, J, H / stride, W / stride)."""
        features = self.upsample(maps[-1])
        return PoseOutput(self.heatmaps(features), self.depth_maps(features), is_logits=self.is_logits)


class IntegralHead(nn.Module):
    """Deconvolutions, then a volume for each joint, whose soft-argmax is the joint (Sun et al. 2018).

    The range of depth is one crop width: 3 % of the joints of `wild` lie beyond it, which costs a perfect network 3 mm
    (benchmarks/depth_range.py).
    """

    is_logits = True
    per_joint: ClassVar = ("volume",)

    def __init__(self, config: HeadConfig, levels: Sequence[Level], joints: int) -> None:
        super().__init__()
        self.joints, self.depth_bins = joints, config.depth_bins
        self.upsample, channels = _deconvolutions(config, levels[-1])
        self.volume = nn.Conv2d(channels, joints * config.depth_bins, 1)
        _initialise(self)

    def forward(self, maps: Sequence[Tensor]) -> PoseOutput:
        """The coarsest of ``maps`` (B, C, h, w) -> coordinates (B, J, 3): x, y in heatmap px, depth in crop widths."""
        volume = self.volume(self.upsample(maps[-1])).unflatten(1, (self.joints, self.depth_bins)).float()
        _, _, depth, height, width = volume.shape
        probability = volume.flatten(2).softmax(-1).unflatten(2, (depth, height, width))
        marginal = probability.sum(2)
        x = (marginal.sum(-2) * map_axis(width, volume)).sum(-1)
        y = (marginal.sum(-1) * map_axis(height, volume)).sum(-1)
        # Cell centres from -0.5 to 0.5 crop widths around the pelvis.
        z = (probability.sum((-1, -2)) * ((map_axis(depth, volume) + 0.5) / depth - 0.5)).sum(-1)
        return PoseOutput(coordinates=torch.stack([x, y, z], -1), confidence=marginal.amax((-1, -2)))


class PyramidHead(nn.Module):
    """From the coarsest map to the finest: enlarge, add the backbone's own map of that scale, mix (Lin et al. 2017).

    Mixing is a 5x5 depthwise and a 1x1 convolution, so that a scale costs little. A scale that the backbone has no map
    of (a transformer has one map only) is enlarged from the coarser one alone. Ends in the two 1x1 convolutions of
    :class:`HeatmapDepthHead`.
    """

    per_joint: ClassVar = ("heatmaps", "depth_maps")

    def __init__(self, config: HeadConfig, levels: Sequence[Level], joints: int) -> None:
        super().__init__()
        self.is_logits = config.heatmap == "cross_entropy"
        scales = _doublings(levels[-1].stride, config.output_stride) + 1
        strides = [level.stride for level in levels]
        self.coarsest = strides.index(strides[-1])
        # Of each finer scale, which of the backbone's maps it has, if any.
        finer = [strides[-1] >> step for step in range(1, scales)]
        self.own = [strides.index(stride) if stride in strides else None for stride in finer]
        width = config.channels
        self.lateral = nn.ModuleList(
            nn.Conv2d(levels[own].channels, width, 1) if own is not None else nn.Identity()
            for own in (self.coarsest, *self.own)
        )
        self.mix = nn.ModuleList(_separable(width) for _ in range(scales))
        self.heatmaps = nn.Conv2d(width, joints, 1)
        self.depth_maps = nn.Conv2d(width, joints, 1)
        for last in (self.heatmaps, self.depth_maps):
            _initialise(last)

    def forward(self, maps: Sequence[Tensor]) -> PoseOutput:
        """``maps`` fine to coarse -> heatmaps and depth maps (B, J, H / output_stride, W / output_stride)."""
        features = self.mix[0](self.lateral[0](maps[self.coarsest]))
        for own, lateral, mix in zip(self.own, self.lateral[1:], self.mix[1:]):
            features = functional.interpolate(features, scale_factor=2.0)
            features = mix(features if own is None else features + lateral(maps[own]))
        return PoseOutput(self.heatmaps(features), self.depth_maps(features), is_logits=self.is_logits)


#: Every head by its kind in :class:`HeadConfig`.
HEADS: dict[str, type[HeatmapDepthHead] | type[IntegralHead] | type[PyramidHead]] = {
    "heatmap_depth": HeatmapDepthHead,
    "integral": IntegralHead,
    "pyramid": PyramidHead,
}


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _doublings(in_stride: int, output_stride: int) -> int:
    """How often a map must be enlarged by two; raises :class:`ConfigError` if that never gives ``output_stride``."""
    steps = math.log2(in_stride / output_stride)
    if steps != int(steps) or steps < 0:
        raise ConfigError(
            f"model.head.output_stride: expected {in_stride} (the backbone's stride) divided by a power of two,"
            f" got {output_stride}"
        )
    return int(steps)


def _deconvolutions(config: HeadConfig, level: Level) -> tuple[nn.Sequential, int]:
    """4x4 stride-2 deconvolutions with batch norm and ReLU from a map to ``output_stride``; and their channels."""
    in_channels = level.channels
    layers: list[nn.Module] = []
    for _ in range(_doublings(level.stride, config.output_stride)):
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
