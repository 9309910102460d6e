"""Depthwise convolutions stay in single precision, everything else and every parameter as it was."""

from __future__ import annotations

import torch
from torch import nn

from headstart.models.cpu_precision import keep_depthwise_in_float32


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Conv2d(8, 8, 5, padding=2, groups=8),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 4, 1),
    )


def computed_in(module: nn.Module, image: torch.Tensor) -> list[torch.dtype]:
    """Types in which the convolutions of ``module`` multiplied, in order, seen by what autocast did to the weights."""
    seen: list[torch.dtype] = []
    original = torch.nn.functional.conv2d

    def watch(features: torch.Tensor, *rest: object, **named: object) -> torch.Tensor:
        seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else features.dtype)
        return original(features, *rest, **named)  # type: ignore[arg-type]

    torch.nn.functional.conv2d = watch  # type: ignore[assignment]
    try:
        with torch.autocast("cpu", torch.bfloat16):
            module(image)
    finally:
        torch.nn.functional.conv2d = original
    return seen


def test_only_depthwise_convolutions_are_kept() -> None:
    model, image = network(), torch.rand(2, 3, 8, 8)
    assert keep_depthwise_in_float32(model) == 1
    assert computed_in(model, image) == [torch.bfloat16, torch.float32, torch.bfloat16, torch.bfloat16]


def test_names_of_weights_and_the_result_in_single_precision_stay() -> None:
    model, image = network(), torch.rand(2, 3, 8, 8)
    names, before = list(model.state_dict()), model(image)
    keep_depthwise_in_float32(model)
    assert list(model.state_dict()) == names
    assert torch.equal(model(image), before)


def test_gradients_reach_the_kept_convolution() -> None:
    """And are those of single precision to bf16's eight bits."""
    model, image = network(), torch.rand(2, 3, 8, 8)
    model(image).square().sum().backward()
    exact = model[1].weight.grad.clone()
    model.zero_grad()
    keep_depthwise_in_float32(model)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(image)
    assert output.dtype == torch.bfloat16
    output.float().square().sum().backward()
    assert (model[1].weight.grad - exact).norm() < 0.03 * exact.norm()
