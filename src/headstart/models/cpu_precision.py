"""Mixed precision on a CPU: bf16 where it is faster, single precision where it is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


def keep_depthwise_in_float32(network: nn.Module) -> int:
    """Let depthwise convolutions of ``network`` compute in single precision under CPU autocast; returns how many.

    CPUs with matrix units (AMX) multiply matrices in bf16 several times faster than in fp32, but oneDNN's backward pass
    of a depthwise convolution is two to six times slower in bf16 than in fp32, which would cancel the gain
    (``benchmarks/cpu_precision.py``). Inputs and outputs keep the type that autocast gives them.
    """
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1]
    for convolution in convolutions:
        convolution.forward = partial(_in_float32, convolution.forward)  # type: ignore[method-assign]
    return len(convolutions)


def _in_float32(forward: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return forward(features.float()).to(features.dtype)
