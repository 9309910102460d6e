"""How long a stage trains, in the unit that makes a comparison fair, and what a sample costs."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from headstart.errors import ConfigError, first_line
from headstart.ranges import Above0, Count


@dataclass(frozen=True)
class Budget:
    """How long a stage trains. Exactly one of the fields is set."""

    samples: Count | None = None
    """Training samples, repeats counted."""
    epochs: Above0 | None = None
    """Passes: as many samples as the mixture has people in use, times this."""
    flops: Above0 | None = None
    """Training FLOPs, forward and backward, 2 per multiply-add."""
    seconds: Above0 | None = None
    """Time spent training on this machine; such a run is not reproducible to the step."""

    def __post_init__(self) -> None:
        values = {name: value for name, value in self.__dict__.items() if value is not None}
        if len(values) != 1 or next(iter(values.values())) <= 0:
            raise ConfigError(f"budget: expected exactly one of samples, epochs, flops, seconds, above 0; got {values}")

    def steps(self, batch_size: int, epoch_length: int, flops_per_sample: float) -> int | None:
        """Steps of ``batch_size`` samples, rounded to the nearest number and at least 1; None for a budget in seconds.

        ``epoch_length``: people in use of the mixture.
        """
        if self.seconds is not None:
            return None
        if self.samples is not None:
            samples = float(self.samples)
        elif self.epochs is not None:
            samples = self.epochs * epoch_length
        else:
            assert self.flops is not None
            samples = self.flops / flops_per_sample
        return max(round(samples / batch_size), 1)


def training_flops(model: nn.Module, input_size: tuple[int, int]) -> float:
    """FLOPs of one training sample, forward and backward, 2 per multiply-add (torch's FlopCounterMode).

    ``input_size`` (width, height) px. Counted on a copy on the meta device, which computes nothing; the model stays as
    it is. Frozen layers cost their forward pass. Convolutions, matrix products and attention count, other operations do
    not. Raises :class:`ConfigError` for a network that cannot be counted.
    """
    formulas = {torch.ops.aten.convolution_backward: _convolution_backward_flops}
    try:
        copied = copy.deepcopy(model).to("meta").train()
        with FlopCounterMode(display=False, custom_mapping=formulas) as counter, torch.enable_grad():
            _step(copied, input_size)
    except RuntimeError as error:
        raise ConfigError(
            f"FLOPs of this network cannot be counted without computing it ({first_line(error)}): its tensors must be"
            " parameters or buffers (register_buffer) or made on its input's device, and its code must not depend on"
            " values"
        ) from error
    return counter.get_total_flops() / 2


def _step(model: nn.Module, input_size: tuple[int, int]) -> None:
    width, height = input_size
    # Two images: batch norm wants more than one value per channel where a map is 1 x 1.
    output = model(torch.zeros(2, 3, height, width, dtype=torch.uint8, device="meta"))
    torch.stack([part.float().sum() for part in output.learnt]).sum().backward()


def _convolution_backward_flops(
    output_shape: Sequence[int],
    input_shape: Sequence[int],
    weight_shape: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],
    **_: Any,
) -> int:
    """FLOPs of a convolution's gradients: those of input and weight cost as much as the forward pass each.

    torch's own formula counts the weight's gradient of a grouped convolution like that of a plain one, which gives
    EfficientNet-Lite0, with its many depthwise convolutions, ten times its cost.
    """
    # A weight has the input channels of one group only, so its shape accounts for the groups.
    spatial = input_shape[2:] if transposed else output_shape[2:]
    forward = 2 * input_shape[0] * math.prod(spatial) * math.prod(weight_shape)
    return forward * sum(output_mask[:2])
