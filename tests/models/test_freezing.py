"""Frozen layers: which they are, that they stay as they are, and that learning the rest is not disturbed."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Dinov2Backbone, Dinov2Config

from headstart.budget import training_flops
from headstart.errors import ConfigError
from headstart.models.freezing import freeze_to_stride, layers_to_stride, learning_parameters, set_training_mode
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet

RESNET = ModelConfig("resnet18", None, HeadConfig("heatmap_depth", 16, "cross_entropy"), input_size=(64, 64))


def names(network: PoseNet, stride: int) -> set[str]:
    """Names, within the backbone, of the layers to freeze."""
    found = layers_to_stride(network.backbone, stride)
    return {name.removeprefix("network.") for name, layer in network.backbone.named_modules() if layer in found}


def test_layers_of_a_resnet() -> None:
    """The stem halves twice (convolution, pooling), the second stage again: He et al. 2016, table 1."""
    network = PoseNet(RESNET)
    at_2 = names(network, 2)
    assert at_2 == {"embedder.embedder.convolution", "embedder.embedder.normalization"}
    at_4 = names(network, 4)
    assert {name for name in at_4 if "stages.0." in name} == {
        name
        for name, layer in network.backbone.network.named_modules()
        if "stages.0." in name and next(layer.parameters(recurse=False), None) is not None
    }
    assert at_2 < at_4
    assert not any("stages.1." in name for name in at_4)
    assert len(layers_to_stride(network.backbone, 64)) == sum(
        next(layer.parameters(recurse=False), None) is not None for layer in network.backbone.modules()
    )


def test_layers_of_efficientnet_lite0_include_its_padded_convolutions() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    network = PoseNet(replace(RESNET, backbone="efficientnet_lite0"))
    frozen = names(network, 4)
    assert {"network._conv_stem", "network._blocks.2._project_conv", "network._blocks.3._expand_conv"} <= frozen
    assert "network._blocks.3._depthwise_conv" not in frozen


def test_a_transformer_has_one_layer_that_gives_maps(tmp_path: Path) -> None:
    settings = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = Dinov2Config(**settings, image_size=64, patch_size=16, out_features=["stage1"])
    Dinov2Backbone(config).save_pretrained(tmp_path)
    network = PoseNet(replace(RESNET, backbone=str(tmp_path)))
    assert names(network, 16) == {"embeddings.patch_embeddings.projection"}
    with pytest.raises(ConfigError, match="freeze_stride 8: the backbone has no layer"):
        freeze_to_stride(network, 8)


def test_they_keep_weights_and_statistics_while_the_rest_learns() -> None:
    torch.manual_seed(0)
    network = PoseNet(RESNET)
    layers = freeze_to_stride(network, 4)
    before = copy.deepcopy(network.state_dict())
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()
    for layer in layers:
        layer.eval()
    output = network(torch.randint(0, 255, (4, 3, 64, 64), dtype=torch.uint8))
    (output.heatmaps.square().mean() + output.depth_maps.square().mean()).backward()
    optimiser.step()
    after = network.state_dict()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    kept = {name for name in before if any(name.startswith(f"backbone.network.{one}.") for one in names(network, 4))}
    assert len(kept) > 20
    assert not kept & changed
    assert "backbone.network.encoder.stages.1.layers.0.layer.0.convolution.weight" in changed
    assert "backbone.network.encoder.stages.1.layers.0.layer.0.normalization.running_mean" in changed
    assert all(name in changed for name in before if name.startswith("head.") and name.endswith("weight"))


def test_probing_changes_nothing() -> None:
    network = PoseNet(RESNET)
    before = copy.deepcopy(network.state_dict())
    layers_to_stride(network.backbone, 8)
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())


def test_frozen_layers_have_no_backward_pass() -> None:
    """A convolution has two gradients, each as costly as its forward pass; of the picture itself none is needed."""
    network = PoseNet(RESNET)
    everything = training_flops(network, (64, 64))
    freeze_to_stride(network, 2)
    weight_of_the_stem = 2 * 7 * 7 * 3 * 64 * 32 * 32
    input_of_the_first_that_learns = 2 * 3 * 3 * 64 * 64 * 16 * 16
    saved = weight_of_the_stem + input_of_the_first_that_learns
    assert everything - training_flops(network, (64, 64)) == saved


def test_none_freezes_nothing_and_too_fine_a_stride_is_one_line() -> None:
    network = PoseNet(RESNET)
    assert freeze_to_stride(network, None) == []
    assert all(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(ConfigError, match="freeze_stride 1: the backbone has no layer"):
        freeze_to_stride(network, 1)


def test_batch_norms_can_keep_their_statistics_while_the_rest_learns() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Dropout())
    set_training_mode(model, [], freeze_batch_norm=True)
    model(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    norm = model[1]
    assert (model.training, norm.training, model[2].training) == (True, False, True)
    assert norm.num_batches_tracked == 0
    assert norm.weight.requires_grad
    set_training_mode(model, [model[2]], freeze_batch_norm=False)
    assert (model.training, norm.training, model[2].training) == (True, True, False)


def test_what_a_stage_froze_thaws_but_not_what_came_frozen() -> None:
    network = PoseNet(ModelConfig("nano", None, HeadConfig(channels=8), input_size=(64, 64)))
    came_frozen = next(network.backbone.parameters())
    came_frozen.requires_grad_(False)
    learning = learning_parameters(network)
    freeze_to_stride(network, 32, learning)
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())
    freeze_to_stride(network, None, learning)
    assert [one for one in network.parameters() if not one.requires_grad] == [came_frozen]
