"""Backbones of users: ``my_package.nets:my_backbone`` is the function my_backbone of ``my_package/nets.py``.

The function has a parameter ``weights`` (a string, or None: random weights) and returns a module: normalised RGB
images (B, 3, H, W), float -> a map (B, C, H / stride, W / stride), or several, fine to coarse.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.errors import ConfigError, shortened
from headstart.models.feature_maps import FeatureMaps, Level
from headstart.user_modules import UserFunction, user_function

Statistics = tuple[Sequence[float], Sequence[float]]

_MODULE = "that returns an nn.Module; docs/training.md"
_MAPS = "expected a map (B, C, h, w), or a list or tuple of them, fine to coarse"


class OwnBackbone(nn.Module):
    """A user's module. ``statistics``: mean and standard deviation (RGB, in 0..1) that normalise its images, if stated.

    It keeps no more than that of the user's function: it is copied, and modules of Python cannot be.
    """

    def __init__(self, network: nn.Module, statistics: Statistics | None) -> None:
        super().__init__()
        self.network = network
        self.statistics = statistics

    def forward(self, image: Tensor) -> FeatureMaps:
        """Normalised images (B, 3, H, W) -> maps, fine to coarse."""
        maps = self.network(image)
        return FeatureMaps(maps if isinstance(maps, (tuple, list)) else [maps])


def is_own(name: str) -> bool:
    """Whether a backbone's name is that of a user's function: it has a colon, and is no folder (C:\\nets), no URL."""
    return ":" in name and not re.match(r"[\w+.-]+:[\\/]", name) and not Path(name).is_dir()


def own_backbone(
    name: str, weights: str | None, input_size: tuple[int, int]
) -> tuple[OwnBackbone, tuple[int, int], list[Level]]:
    """The module that a user's function returns for ``weights`` (None: random ones), ``input_size``, its maps' levels.

    ``input_size`` (width, height) px: the levels are found by a dry run. Raises :class:`ConfigError` for a function
    that is not there or raises, and for a module that is none or whose maps no head can take.
    """
    function = user_function(
        name, f"backbone {name!r}", f"expected a function {name.partition(':')[2]}(weights) {_MODULE}"
    )
    _require_weights(function)
    # By its name, so that a checkpoint cannot pass None to any other function that it names.
    network = function(weights=weights)
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{function.where}: {function.expected}; it returned {shortened(repr(network))}")
    _require_tensors(network, function.where)
    own = OwnBackbone(network.float(), _statistics(network, function.where))
    return own, input_size, _levels(own, input_size, function)


def _require_weights(function: UserFunction) -> None:
    try:
        parameters = inspect.signature(function.function).parameters
    except (TypeError, ValueError):  # of some functions in C
        parameters = {}  # type: ignore[assignment]
    if "weights" not in parameters:
        raise ConfigError(f"{function.where}: {function.expected}; found no parameter weights")


def _require_tensors(network: nn.Module, where: str) -> None:
    """A checkpoint is tensors alone; ``get_extra_state`` can give other values."""
    if others := [name for name, value in network.state_dict().items() if not isinstance(value, Tensor)]:
        raise ConfigError(f"{where}: expected tensors alone in state_dict(), found another value: {others[0]}")


def _statistics(network: nn.Module, where: str) -> Statistics | None:
    """``image_mean`` and ``image_std`` of a module; None where it has neither."""
    given = [getattr(network, name, None) for name in ("image_mean", "image_std")]
    if all(one is None for one in given):
        return None
    try:
        mean, deviation = ([float(value) for value in one] for one in given)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        mean = deviation = []
    if len(mean) == len(deviation) == 3 and all(0 <= m <= 1 for m in mean) and all(0 < d <= 1 for d in deviation):
        return mean, deviation
    raise ConfigError(
        f"{where}: image_mean and image_std: expected three numbers each (RGB, where white is 1), image_std above 0;"
        f" found {shortened(repr(given[0]))} and {shortened(repr(given[1]))}"
    )


@torch.no_grad()
def _levels(own: OwnBackbone, size: tuple[int, int], function: UserFunction) -> list[Level]:
    """Of the maps of two black images, in eval mode."""
    # Prediction is in channels last, where a view of a map that needs the other order of memory raises.
    image = torch.zeros(2, 3, size[1], size[0]).to(memory_format=torch.channels_last)
    own.eval()
    with function.errors(f"given images {tuple(image.shape)}"):
        maps = own(image).feature_maps
    own.train()
    levels = [_level(one, size, function.where) for one in maps]
    strides = [level.stride for level in levels]
    if not levels or strides != sorted(strides):
        raise ConfigError(f"{function.where}: {_MAPS}; found maps of strides {', '.join(map(str, strides)) or 'none'}")
    return levels


def _level(features: Any, size: tuple[int, int], where: str) -> Level:
    if not isinstance(features, Tensor) or features.ndim != 4 or len(features) != 2:
        found = tuple(features.shape) if isinstance(features, Tensor) else shortened(repr(features))
        raise ConfigError(f"{where}: {_MAPS}; found {found} for B = 2 images")
    height, width = features.shape[2:]
    stride = math.ceil(size[0] / width)
    if (width * stride, height * stride) != size:
        raise ConfigError(
            f"{where}: expected a stride that is the same whole number for width and height, found a map of {width} x"
            f" {height} px of an image of {size[0]} x {size[1]} px: pad its layers, or set another --model.input-size"
        )
    return Level(features.shape[1], stride)
