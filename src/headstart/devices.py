"""Which device networks use by default, what it is called, and how GPUs are dealt out to several cells."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from headstart.errors import ConfigError, first_line

if TYPE_CHECKING:
    import torch
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")


def visible_devices(slot: int, processes: int, gpus: Sequence[str]) -> str | None:
    """``CUDA_VISIBLE_DEVICES`` of the cell in a slot, which has ``processes``; None if there are no GPUs.

    Each process has a GPU of its own; where there are fewer GPUs than processes, they are shared.
    """
    if not gpus:
        return None
    return ",".join(dict.fromkeys(gpus[(slot * processes + k) % len(gpus)] for k in range(processes)))


def default_device() -> str:
    """Torch's name of the device that networks use by default: the GPU, also a Mac's, else the CPU.

    It is the one that accelerate chooses for training: ``ACCELERATE_USE_CPU=true`` makes it the CPU.
    """
    import torch

    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes", "on", "y", "t"):
        return "cpu"
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return device.type if device else "cpu"


def device_name(device: torch.device) -> str:
    """A device as results name it: the model of a GPU, else the type of the device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def ready_on(network: Network, device: str) -> Network:
    """A network of torch in eval mode on a device; raises :class:`ConfigError` if this torch cannot use that."""
    try:
        return network.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # the second from a torch that was built without CUDA
        raise ConfigError(f"device {device!r}: cannot be used by this torch: {first_line(error)}") from error


def gpus_here() -> list[str]:
    """The GPUs that this process may use, by the names that ``CUDA_VISIBLE_DEVICES`` takes."""
    import torch

    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return [name.strip() for name in named.split(",")][:count] if named else [str(number) for number in range(count)]
