"""Which GPUs a process may use, and which of them each of several processes is to have."""

from __future__ import annotations

import os
from collections.abc import Sequence


def visible_devices(slot: int, processes: int, gpus: Sequence[str]) -> str | None:
    """``CUDA_VISIBLE_DEVICES`` of the cell in a slot: its own GPUs as long as they last; None where there are none."""
    if not gpus:
        return None
    return ",".join(dict.fromkeys(gpus[(slot * processes + k) % len(gpus)] for k in range(processes)))


def gpus_here() -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` has them."""
    import torch

    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in named.split(",")][:count] if named else [str(number) for number in range(count)]
