"""What leaving the first layers of a pre-trained backbone as they are saves of a training step on this CPU.

    python benchmarks/freezing.py

Images a second of whole steps, forward and backward, on all cores, bf16 where the CPU has matrix units (AMX): all
layers learn; those up to stride 2, 4 and 8 do not (``--stages.0.freeze-stride``). The large maps of the first layers
cost most of a step's time, which is spent on moving them and not on arithmetic. Rates depend on the machine; compare
the ratios.
"""

from __future__ import annotations

import argparse

import torch
from rich.console import Console
from rich.table import Table

from headstart.memory import keep_freed_memory
from headstart.models.heads import HeadConfig
from training_steps import images_per_second

#: Head, side of the crop, samples a step.
CONFIGURATIONS = (
    (HeadConfig("heatmap_depth", 192, "cross_entropy", output_stride=8), 256, 64),
    (HeadConfig("pyramid", 192, "cross_entropy"), 224, 16),
    (HeadConfig("pyramid", 64, "cross_entropy"), 64, 16),
)
STRIDES = (None, 2, 4, 8)
SECONDS = 6.0


def main() -> None:
    """Measure every configuration, print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    keep_freed_memory()
    amx = torch.cpu._is_amx_tile_supported()
    table = Table("head", "crop", "batch", "all learn", "stride 2 frozen", "stride 4", "stride 8")
    for head, side, batch in CONFIGURATIONS:
        rates = [images_per_second(head, side, batch, SECONDS, amx, amx, stride) for stride in STRIDES]
        name = f"{head.kind} {head.channels}, stride {head.output_stride}"
        cells = [f"{rate:.1f}/s, {rate / rates[0]:.2f}x" for rate in rates]
        table.add_row(name, f"{side} px", str(batch), *cells)
    console = Console(width=130)
    console.print(table)
    console.print(f"{torch.get_num_threads()} threads, AMX: {'yes' if amx else 'no'}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
