"""What bf16 gives a training step on a CPU with matrix units (AMX), and what depthwise convolutions cost in it.

    python benchmarks/cpu_precision.py

Images a second of whole steps, forward and backward, on all cores: in fp32, in bf16 as autocast does it, and in bf16
with depthwise convolutions kept in fp32 (``headstart.models.cpu_precision``, what ``--precision bf16`` does on a CPU).
Without AMX bf16 is emulated and slower than fp32; with it, small crops lose. Rates depend on the machine; compare the
ratios.
"""

from __future__ import annotations

import time

import torch
from rich.console import Console
from rich.table import Table

from headstart.memory import keep_freed_memory
from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet

#: Head, side of the crop, samples a step: a dense head that could ship, the published one, what ships, the study's.
CONFIGURATIONS = (
    (HeadConfig("heatmap_depth", 256, "cross_entropy", output_stride=8), 256, 32),
    (HeadConfig("heatmap_depth", 256, "cross_entropy"), 256, 32),
    (HeadConfig("pyramid", 192, "cross_entropy"), 224, 16),
    (HeadConfig("pyramid", 64, "cross_entropy"), 64, 16),
)
SECONDS = 5.0


def images_per_second(head: HeadConfig, side: int, batch: int, bf16: bool, keep: bool) -> float:
    """Rate of training steps of EfficientNet-Lite0 with that head."""
    torch.manual_seed(0)
    model = PoseNet(ModelConfig("efficientnet_lite0", None, head, input_size=(side, side)))
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if keep:
        keep_depthwise_in_float32(model)
    images = torch.randint(0, 255, (batch, 3, side, side), dtype=torch.uint8)
    steps, began = -2, time.perf_counter()
    while steps < 2 or time.perf_counter() - began < SECONDS:
        if steps == 0:
            began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            output = model(images)
        (output.heatmaps.float().square().mean() + output.depth_maps.float().square().mean()).backward()
        model.zero_grad(set_to_none=True)
        steps += 1
    return steps * batch / (time.perf_counter() - began)


def main() -> None:
    """Measure every configuration, print the table."""
    keep_freed_memory()
    table = Table("head", "crop", "batch", "fp32", "bf16", "bf16, depthwise fp32", "ratio to fp32")
    for head, side, batch in CONFIGURATIONS:
        single, half, mixed = (
            images_per_second(head, side, batch, bf16, keep)
            for bf16, keep in ((False, False), (True, False), (True, True))
        )
        name = f"{head.kind} {head.channels}, stride {head.output_stride}"
        rates = [f"{rate:.1f}/s" for rate in (single, half, mixed)]
        table.add_row(name, f"{side} px", str(batch), *rates, f"{mixed / single:.2f}x")
    console = Console(width=110)
    console.print(table)
    amx = torch.cpu._is_amx_tile_supported()
    console.print(f"{torch.get_num_threads()} threads, AMX: {'yes' if amx else 'no'}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
