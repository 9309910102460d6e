"""The rate of training steps on this CPU, for the benchmarks that change one thing about them."""

from __future__ import annotations

import time

import torch

from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.freezing import freeze_to_stride
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet


def images_per_second(
    head: HeadConfig,
    side: int,
    batch: int,
    seconds: float,
    bf16: bool = False,
    keep_depthwise: bool = False,
    freeze_stride: int | None = None,
) -> float:
    """Whole steps, forward and backward, of EfficientNet-Lite0 with ``head`` on crops of ``side`` px, this process."""
    torch.manual_seed(0)
    model = PoseNet(ModelConfig("efficientnet_lite0", None, head, input_size=(side, side))).train()
    if keep_depthwise:
        keep_depthwise_in_float32(model)
    for layer in freeze_to_stride(model, freeze_stride):
        layer.eval()
    images = torch.randint(0, 255, (batch, side, side, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    steps, began = -2, time.perf_counter()
    while steps < 2 or time.perf_counter() - began < seconds:
        if steps == 0:
            began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            output = model(images)
        (output.heatmaps.float().square().mean() + output.depth_maps.float().square().mean()).backward()
        model.zero_grad(set_to_none=True)
        steps += 1
    return steps * batch / (time.perf_counter() - began)
