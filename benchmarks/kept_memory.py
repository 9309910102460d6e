"""What a training step on a CPU gains where the C library keeps freed memory (``headstart.memory``).

    python benchmarks/kept_memory.py

Each row is two processes of one thread, one after the other in the same minute: images a second of whole steps, forward
and backward, as the C library is and with memory kept. Rates depend on the machine; compare the ratios.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from rich.console import Console
from rich.table import Table

#: Side of the crop, samples a step, channels of the head: what ships, the same at 256 px, the study's.
CONFIGURATIONS = ((224, 16, 192), (256, 16, 192), (160, 8, 192), (64, 16, 64))
SECONDS = 6.0


def rate(side: int, batch: int, channels: int, keep: bool) -> float:
    """Images a second with the pyramid head on one thread, in this process."""
    import torch

    from headstart.memory import keep_freed_memory
    from headstart.models.heads import HeadConfig
    from training_steps import images_per_second

    if keep:
        keep_freed_memory()
    torch.set_num_threads(1)
    return images_per_second(HeadConfig("pyramid", channels, "cross_entropy"), side, batch, SECONDS)


def measured(side: int, batch: int, channels: int, keep: bool) -> float:
    """The same in a process of its own: what is kept cannot be given up again."""
    command = [sys.executable, __file__, "--one", str(side), str(batch), str(channels), str(int(keep))]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> None:
    """Measure every configuration, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", type=int, nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        side, batch, channels, keep = given.one
        print(rate(side, batch, channels, bool(keep)))
        return
    table = Table("crop", "batch", "channels", "images/s as it is", "memory kept", "ratio")
    for side, batch, channels in CONFIGURATIONS:
        plain, kept = (measured(side, batch, channels, keep) for keep in (False, True))
        table.add_row(f"{side} px", str(batch), str(channels), f"{plain:.1f}", f"{kept:.1f}", f"{kept / plain:.2f}x")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
