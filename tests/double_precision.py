"""Finds tensors in double precision, which a Mac's GPU does not have."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class DoublePrecision(TorchDispatchMode):
    """While it is entered, ``operations`` collects those that take or give a tensor of 64-bit floats."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, output)) if isinstance(one, torch.Tensor)]
        if any(one.dtype == torch.float64 for one in tensors):
            self.operations.append(str(func))
        return output
