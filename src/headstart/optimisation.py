"""Optimisers, learning-rate schedules and averaged weights: configuration and what it builds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from headstart.errors import ConfigError
from headstart.ranges import Above0, Below1, From0


@dataclass(frozen=True)
class Optimiser:
    """An optimiser and its settings."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Above0 = 1e-3
    weight_decay: From0 = 0.01
    momentum: Below1 = 0.9
    """SGD only."""
    clip_norm: Above0 | None = 1.0
    """Largest norm of the gradient over all parameters together; None: no clipping."""
    backbone_factor: Above0 = 1.0
    """Factor of the backbone's learning rate; 0.1 is common for one with pre-trained weights. Weight decay is a part of
    each step, so it is multiplied too."""


@dataclass(frozen=True)
class Schedule:
    """Factor of the optimiser's learning rate, as a function of the share of a stage's budget that is used up."""

    kind: Literal["constant", "step", "cosine"] = "cosine"
    milestones: tuple[Below1, ...] = ()
    """step: shares of the budget, ascending, at which the rate is multiplied by ``factor``."""
    factor: Above0 = 0.1
    warmup: Below1 = 0.0
    """Share of the budget over which the rate rises linearly from 0."""

    def __post_init__(self) -> None:
        shares = (*self.milestones, self.warmup)
        if any(not 0 <= share < 1 for share in shares) or list(self.milestones) != sorted(self.milestones):
            raise ConfigError(f"schedule: milestones and warmup are shares in 0..1, milestones ascending; got {self}")

    def factor_at(self, progress: float) -> float:
        """Factor of the learning rate at ``progress``, the share of the budget that is used up."""
        if progress < self.warmup:
            return progress / self.warmup
        if self.kind == "step":
            return self.factor ** sum(progress >= milestone for milestone in self.milestones)
        if self.kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))
        return 1.0


def build_optimiser(config: Optimiser, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of all parameters that are not frozen; biases and norms (one-dimensional) are not decayed.

    Where ``model.backbone`` has a rate of its own, its parameters are groups of their own, behind the others.
    """
    learning = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if config.backbone_factor == 1:
        groups = _groups([parameter for _, parameter in learning], config, 1.0)
    else:
        head, backbone = (
            [parameter for name, parameter in learning if name.startswith("backbone.") == inside]
            for inside in (False, True)
        )
        groups = _groups(head, config, 1.0) + _groups(backbone, config, config.backbone_factor)
    if config.name == "sgd":
        optimiser: torch.optim.Optimizer = torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    else:
        kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
        optimiser = kind(groups, lr=config.learning_rate)
    set_learning_rate(optimiser, config.learning_rate)
    return optimiser


def _groups(parameters: list[nn.Parameter], config: Optimiser, factor: float) -> list[dict[str, Any]]:
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay, "rate_factor": factor},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "rate_factor": factor},
    ]


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of each group: ``rate`` times its factor, if it has one."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)


class AveragedWeights:
    """Exponential moving average of weights and buffers, kept beside the model.

    The decay warms up, min(decay, (1 + n) / (10 + n)), so that short runs are not averaged with their first steps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, updates: int) -> None:
        """Average in the weights of the model, which has had ``updates`` steps."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        current = model.state_dict()
        floating = [name for name, tensor in self.tensors.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.tensors[n] for n in floating], [current[n] for n in floating], 1 - decay)
        for name in self.tensors.keys() - set(floating):
            self.tensors[name].copy_(current[name])
