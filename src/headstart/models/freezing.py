"""Layers that a stage does not train: the first ones of a pre-trained backbone, whose large maps cost the most."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headstart.errors import ConfigError
from headstart.models.backbone import Backbone
from headstart.models.pose_net import PoseNet


def learning_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Those that learn now. A user's backbone may come with frozen ones, which no stage thaws."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def freeze_to_stride(
    network: PoseNet, stride: int | None, learning: Sequence[nn.Parameter] | None = None
) -> list[nn.Module]:
    """Freeze the backbone's layers before its maps first get coarser than ``stride`` (input px per map px; None: none).

    First ``learning`` and no other parameters are set to learn, unless it is None: what an earlier call froze, thaws.
    Returns the frozen layers for :func:`set_training_mode`. They keep no maps and have no backward pass. Raises
    :class:`ConfigError` for a stride at which there is nothing to freeze.
    """
    if learning is not None:
        network.requires_grad_(False)
        for parameter in learning:
            parameter.requires_grad_(True)
    if stride is None:
        return []
    layers = layers_to_stride(network.backbone, stride)
    if not layers:
        raise ConfigError(f"freeze_stride {stride}: the backbone has no layer at that stride; its maps are coarser")
    for layer in layers:
        layer.requires_grad_(False)
    return layers


def set_training_mode(model: nn.Module, frozen: Sequence[nn.Module], freeze_batch_norm: bool) -> None:
    """Put all layers into training mode but the ``frozen``, whose batch norms keep their statistics.

    With ``freeze_batch_norm`` those of all other layers keep theirs too.
    """
    model.train()
    norms = [one for one in model.modules() if freeze_batch_norm and isinstance(one, nn.modules.batchnorm._BatchNorm)]
    for layer in (*norms, *frozen):
        layer.eval()


@torch.no_grad()
def layers_to_stride(backbone: Backbone, stride: int) -> list[nn.Module]:
    """The layers with parameters that run before the first map of a stride above ``stride``, in the order they run."""
    width, height = backbone.input_size
    order: list[tuple[nn.Module, int]] = []

    def note(layer: nn.Module, _: tuple[Tensor, ...], output: object) -> None:
        # Tokens of a transformer, or several outputs, come after its first map and count as coarse.
        own = width // output.shape[-1] if isinstance(output, Tensor) and output.ndim == 4 else width
        order.append((layer, own))

    # Layers are modules with parameters, with or without children: a convolution may have its padding as one.
    layers = [module for module in backbone.modules() if next(module.parameters(recurse=False), None) is not None]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    device = next(backbone.parameters(), torch.empty(0)).device
    backbone(torch.zeros(1, 3, height, width, device=device))
    for hook in hooks:
        hook.remove()
    for module, training in modes.items():
        module.training = training
    coarser = next((number for number, (_, own) in enumerate(order) if own > stride), len(order))
    return [layer for layer, _ in order[:coarser]]
