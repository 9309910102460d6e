"""The whole network: published sizes and cost, normalising inside, no state between images."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from headstart.errors import ConfigError
from headstart.models import pose_net
from headstart.models.backbone import Backbone, build_backbone
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet, model_config_from_dict
from headstart.records import PoseOutput
from test_budget import forward_flops

SMALL = ModelConfig(backbone="nano", head=HeadConfig(channels=8), input_size=(96, 64))
INTEGRAL = replace(SMALL, head=HeadConfig(kind="integral", channels=8, depth_bins=4))

# Known of the published scheme: parameters, and GFLOP of one 256 x 256 image, 2 per multiply-add.
PUBLISHED = {
    "resnet18": (15_380_576, 7.76),
    "resnet34": (25_488_736, 12.59),
    "resnet50": (34_003_552, 14.50),
    "resnet101": (52_995_680, 24.20),
    "resnet152": (68_639_328, 33.90),
}


def images(people: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (people, 3, 64, 96), dtype=torch.uint8, generator=generator)


def seeded(config: ModelConfig = SMALL) -> PoseNet:
    """A network with weights large enough that images make a difference."""
    torch.manual_seed(0)
    model = PoseNet(config)
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def fields_of(output: PoseOutput) -> list[Tensor]:
    return [value for value in vars(output).values() if isinstance(value, Tensor)]


@pytest.mark.parametrize("backbone", PUBLISHED)
def test_parameters_and_cost_of_the_published_networks(backbone: str):
    with torch.device("meta"):
        model = PoseNet(ModelConfig(backbone=backbone, skeleton="mpii_16"))
    parameters, gigaflops = PUBLISHED[backbone]
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert forward_flops(model, (256, 256)) / 1e9 == pytest.approx(gigaflops, rel=0.02)


def four_dimensional(model: torch.nn.Module) -> list[Tensor]:
    return [one for one in (*model.parameters(), *model.buffers()) if one.ndim == 4]


class TestMemory:
    def test_is_channels_last_as_the_loaders_images_are(self):
        model = PoseNet(replace(SMALL, backbone="efficientnet_lite0"))
        assert len(four_dimensional(model)) > 50
        assert all(one.is_contiguous(memory_format=torch.channels_last) for one in four_dimensional(model))
        strides = [one.stride() for one in four_dimensional(model)]
        model.load_state_dict({name: one.contiguous() for name, one in model.state_dict().items()})
        assert [one.stride() for one in four_dimensional(model)] == strides

    def test_five_dimensional_tensors_of_a_users_backbone_stay_as_they_are(self, monkeypatch: pytest.MonkeyPatch):
        """Known defect: such a network could be trained, but not be used."""

        def build(*_: Any) -> Backbone:
            network = build_backbone("nano", None, SMALL.input_size).network
            network.register_buffer("volume", torch.zeros(2, 3, 4, 5, 6))
            return Backbone(network, SMALL.input_size)

        monkeypatch.setattr(pose_net, "build_backbone", build)
        model: Any = PoseNet(SMALL)
        assert model.backbone.network.volume.is_contiguous()
        assert model(images(2)).heatmaps is not None


class TestForward:
    def test_images_are_normalised_with_the_statistics_of_imagenet(self):
        """Defect 9. RGB, divided by 255 and nothing else."""
        model, image = seeded().eval(), images(2)
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        with torch.no_grad():
            by_hand = model.head(model.backbone((image.float() / 255 - mean) / deviation))
            output = model(image)
        torch.testing.assert_close(output.heatmaps, by_hand.heatmaps, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(output.depth_maps, by_hand.depth_maps, atol=1e-4, rtol=1e-4)

    def test_red_and_blue_are_not_the_same(self):
        model, image = seeded().eval(), images(1)
        with torch.no_grad():
            assert not torch.allclose(model(image).heatmaps, model(image.flip(1)).heatmaps, atol=1e-2)

    @pytest.mark.parametrize("config", [SMALL, INTEGRAL], ids=["heatmap_depth", "integral"])
    def test_an_images_answer_does_not_depend_on_its_batch(self, config: ModelConfig):
        model, image = seeded(config).eval(), images(5)
        with torch.no_grad():
            together = model(image)
            for i in (0, 3, 4):
                alone = model(image[i : i + 1])
                for whole, one in zip(fields_of(together), fields_of(alone), strict=True):
                    torch.testing.assert_close(whole[i : i + 1], one, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("config", [SMALL, INTEGRAL], ids=["heatmap_depth", "integral"])
    def test_no_state_is_left_behind(self, config: ModelConfig):
        model = seeded(config).eval()
        attributes = {name: set(vars(module)) for name, module in model.named_modules()}
        with torch.no_grad():
            first = model(images(2))
            model(images(3, seed=9))
            again = model(images(2))
        assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
        for before, after in zip(fields_of(first), fields_of(again), strict=True):
            assert torch.equal(before, after)

    def test_width_and_height_are_kept_apart(self):
        """Defect 17: 96 px wide, 64 px high, so 16 rows and 24 columns."""
        model = seeded().eval()
        with torch.no_grad():
            assert model(images(1)).heatmaps.shape == (1, 18, 16, 24)
        assert model.codec.map_size == (16, 24)

    def test_codec_follows_the_head(self):
        config = replace(SMALL, head=HeadConfig(channels=8, output_stride=8), sigma=1.5)
        codec = seeded(config).codec
        assert (codec.stride, codec.sigma, codec.input_size, codec.map_size) == (8, 1.5, (96, 64), (8, 12))
        assert codec.skeleton.name == "body_18"

    def test_statistics_of_imagenet_are_not_in_the_checkpoint(self):
        assert not {"mean", "standard_deviation"} & set(seeded().state_dict())


class TestConfig:
    def test_survives_json(self):
        config = replace(INTEGRAL, skeleton="h36m_17", sigma=1.25)
        assert model_config_from_dict(json.loads(json.dumps(asdict(config)))) == config

    def test_a_checkpoints_backbone_config_is_all_that_is_needed(self):
        model = seeded().eval()
        elsewhere = replace(SMALL, backbone="/nowhere/at/all", weights="neither/this")
        rebuilt = PoseNet(elsewhere, json.loads(json.dumps(model.backbone.config))).eval()
        rebuilt.load_state_dict(model.state_dict())
        with torch.no_grad():
            assert torch.equal(rebuilt(images(1)).heatmaps, model(images(1)).heatmaps)

    def test_an_unknown_skeleton_names_the_known_ones(self):
        with pytest.raises(ConfigError, match=r"model.skeleton: expected one of mpii_16, body_18.*got 'octopus'"):
            PoseNet(replace(SMALL, skeleton="octopus"))

    @pytest.mark.parametrize(("skeleton", "joints"), [("mpii_16", 16), ("body_18", 18), ("canonical", 22)])
    def test_maps_are_as_many_as_joints(self, skeleton: str, joints: int):
        with torch.no_grad():
            assert seeded(replace(SMALL, skeleton=skeleton)).eval()(images(1)).heatmaps.shape[1] == joints
