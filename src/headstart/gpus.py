"""Which GPUs a process may use, and how they are dealt out to several cells."""

from __future__ import annotations

import os
from collections.abc import Sequence


def visible_devices(slot: int, processes: int, gpus: Sequence[str]) -> str | None:
    """``CUDA_VISIBLE_DEVICES`` of the cell in a slot, which has ``processes``; None if there are no GPUs.

    Each process has a GPU of its own; where there are fewer GPUs than processes, they are shared.
    """
    if not gpus:
        return None
    return ",".join(dict.fromkeys(gpus[(slot * processes + k) % len(gpus)] for k in range(processes)))


def gpus_here() -> list[str]:
    """The GPUs that this process may use, by the names that ``CUDA_VISIBLE_DEVICES`` takes."""
    import torch

    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in named.split(",")][:count] if named else [str(number) for number in range(count)]
