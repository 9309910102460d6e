"""What bf16 gives a training step on a CPU with matrix units (AMX), and what depthwise convolutions cost in it.

    python benchmarks/cpu_precision.py

Images a second of whole steps, forward and backward, on all cores: in fp32, in bf16 as autocast does it, and in bf16
with depthwise convolutions kept in fp32 (``headstart.models.cpu_precision``, what ``--precision bf16`` does on a CPU).
Without AMX bf16 is emulated and slower than fp32. Rates depend on the machine; compare the ratios.
"""

from __future__ import annotations

import argparse

import torch
from rich.console import Console
from rich.table import Table

from headstart.memory import keep_freed_memory
from headstart.models.heads import HeadConfig
from training_steps import images_per_second

#: Head, side of the crop, samples a step: a dense head that could ship, the published one, what ships, the study's.
CONFIGURATIONS = (
    (HeadConfig("heatmap_depth", 256, "cross_entropy", output_stride=8), 256, 32),
    (HeadConfig("heatmap_depth", 256, "cross_entropy"), 256, 32),
    (HeadConfig("pyramid", 192, "cross_entropy"), 224, 16),
    (HeadConfig("pyramid", 64, "cross_entropy"), 64, 16),
)
SECONDS = 5.0


def main() -> None:
    """Measure every configuration, print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    keep_freed_memory()
    table = Table("head", "crop", "batch", "fp32", "bf16", "bf16, depthwise fp32", "ratio to fp32")
    for head, side, batch in CONFIGURATIONS:
        single, half, mixed = (
            images_per_second(head, side, batch, SECONDS, bf16, keep)
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
