"""Backbones of users' modules: what they are given, how their maps are measured, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart import train
from headstart.checkpoint import load_checkpoint, load_model, save_checkpoint
from headstart.errors import ConfigError, DataError, Interrupted
from headstart.models.backbone import build_backbone
from headstart.models.freezing import freeze_to_stride
from headstart.models.heads import HeadConfig
from headstart.models.own_backbone import is_own
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.study_plan import flops_per_sample
from own_modules import Write, writing
from tiny import MODEL, experiment, stage_2d

SIZE = (64, 96)  # width, height
OWN = "my_lab.own:net"
#: Maps of strides 4 and 16; the module keeps the weights that it was given.
TEXT = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(8, 16, 4, 4), nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, image):
        fine = self.fine(image)
        return fine, self.coarse(fine)

def net(weights=None):
    network = Net()
    network.given = weights
    return network
"""
#: One convolution, whose forward is to be filled in.
ONE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 4, 4{more})

    def forward(self, image):
        maps = self.layer(image)
        return {returned}

def net(weights):
    network = Net()
    {then}
    return network
"""


def one(returned: str = "maps", more: str = "", then: str = "pass") -> str:
    return ONE.format(returned=returned, more=more, then=then)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes my_lab/NAME.py below the working folder; what was imported is forgotten afterwards."""
    with writing("my_lab", tmp_path, monkeypatch) as write:
        yield write


def saved(model: PoseNet, path: Path) -> Path:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(model.config), "backbone_config": model.backbone.config})
    return path


def test_channels_and_strides_are_measured_and_nothing_is_left_behind(written: Write) -> None:
    written(TEXT)
    backbone = build_backbone(OWN, None, SIZE)
    assert backbone.levels == ((8, 4), (16, 16))
    assert [tuple(one.shape) for one in backbone(torch.zeros(3, 3, 96, 64))] == [(3, 8, 24, 16), (3, 16, 6, 4)]
    fresh = build_backbone(OWN, None, SIZE)
    assert all(module.training for module in fresh.modules())
    assert not any(value for name, value in fresh.state_dict().items() if name.endswith("num_batches_tracked"))


def test_one_map_need_not_be_in_a_list(written: Write) -> None:
    written(one())
    assert build_backbone(OWN, None, SIZE).levels == ((8, 4),)


@pytest.mark.parametrize(
    ("weights", "config", "given"),
    [(None, None, None), ("random", None, None), ("any.pth", None, "any.pth"), ("any.pth", {}, None)],
)
def test_it_gets_the_weights_as_they_are_but_none_where_a_checkpoint_has_them(
    written: Write, weights: str | None, config: dict[str, Any] | None, given: str | None
) -> None:
    written(TEXT)
    network: Any = build_backbone(OWN, weights, SIZE, config).network
    assert network.network.given == given


@pytest.mark.parametrize(
    ("then", "black", "white"),
    [
        ("pass", -0.485 / 0.229, (1 - 0.485) / 0.229),  # ImageNet's red
        ("network.image_mean, network.image_std = torch.tensor([0.5] * 3), (0.25, 0.5, 1)", -2.0, 2.0),
        ("network.image_mean, network.image_std = [0, 0, 0], [1, 1, 1]", 0.0, 1.0),
    ],
)
def test_its_module_states_how_images_are_normalised(written: Write, then: str, black: float, white: float) -> None:
    written(one(then=then))
    image = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    red = PoseNet(replace(MODEL, backbone=OWN)).normalise(image)[:, 0].flatten().tolist()
    assert red == pytest.approx([black, white], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, r"found no module my_lab, installed or in "),
        ("", r"own\.py: expected a function net\(weights\) that returns an nn\.Module; docs/training\.md; found None"),
        ("import no_such_package", r"own\.py, line 1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def net(weights)", r"own\.py, line 1: expected ':'"),
        ("net = 3", r"own\.py: expected a function net\(weights\).*; found 3"),
        ("def net(path): pass", r"own\.py: expected a function .*; found no parameter weights"),
        ("from operator import getitem as net", r"own\.py: expected a function .*; found no parameter weights"),
        ("def net(weights):\n    return 3", r"own\.py: expected a function .*; it returned 3"),
        ("def net(weights):\n    raise KeyError('lost')", r"own\.py, line 2: KeyError: 'lost'"),
        (one("maps[0]"), r"own\.py: expected a map \(B, C, h, w\), or a .*; found \(8, 24, 16\) for B = 2 images"),
        (one("maps[:1]"), r"own\.py: expected a map .*; found \(1, 8, 24, 16\) for B = 2 images"),
        (one("maps.flatten(2)"), r"own\.py: expected a map .*; found \(2, 8, 384\) for B = 2 images"),
        (one("{'maps': maps}"), r"own\.py: expected a map .*; found \{'maps': tensor.* for B = 2 images"),
        (one("[]"), r"own\.py: expected a map .*, fine to coarse; found maps of strides none"),
        (one("maps[..., ::2, ::2], maps"), r"own\.py: expected a map .* to coarse; found maps of strides 8, 4"),
        (one("maps[..., 1:]"), r"the same whole number for .*, found a map of 15 x 24 px of an image of 64 x 96 px"),
        (one("maps[..., ::2]"), r"the same whole number for width and height, found a map of 8 x 24 px"),
        (one("maps.view(2, -1)"), r"own\.py, line 12, given images \(2, 3, 96, 64\): RuntimeError: view size"),
        (one("maps @ maps"), r"own\.py, line 12, given images \(2, 3, 96, 64\): RuntimeError: "),
        (one(then="network.image_std = [1, 1, 1]"), r"own\.py: image_mean and image_std: expected three numbers each"),
        (
            one(then="network.image_mean, network.image_std = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)"),
            r"own\.py: image_mean and image_std: expected three numbers .*found \(123\.7, .*\) and \(58\.4, ",
        ),
        (one(then="Net.get_extra_state = lambda self: 'text'"), r"expected tensors alone .*value: _extra_state"),
    ],
)
def test_what_is_no_backbone_is_said_in_one_line(written: Write, text: str | None, says: str) -> None:
    if text is not None:
        written(text)
    with pytest.raises(ConfigError, match=says) as raised:
        build_backbone(OWN, None, SIZE)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"backbone {OWN!r}: ")


def test_a_stride_that_no_head_can_take_is_refused_with_it(written: Write) -> None:
    written(one().replace("8, 4, 4", "8, 3, 3"))
    with pytest.raises(ConfigError, match=r"output_stride: expected 3 \(the backbone's stride\) divided by a power"):
        PoseNet(replace(MODEL, backbone=OWN, input_size=(48, 48)))


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("my_lab.own:net", True),
        ("own:net", True),
        ("my_lab/own.py:net", True),  # is told that it is no module
        (":net", True),
        ("nano", False),
        ("microsoft/resnet-50", False),
        ("C:\\nets\\mine", False),
        ("C:/nets/mine", False),
        ("https://huggingface.co/microsoft/resnet-50", False),
    ],
)
def test_which_names_are_functions(name: str, own: bool) -> None:
    assert is_own(name) is own


@pytest.mark.posix("files with a colon in their names")
def test_a_folder_with_a_colon_is_still_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run:1").mkdir()
    assert not is_own("run:1")


def test_a_checkpoint_finds_the_module_again(written: Write, tmp_path: Path) -> None:
    written(TEXT)
    model = PoseNet(replace(MODEL, backbone=OWN, weights="gone.pth")).eval()
    loaded, header = load_model(saved(model, tmp_path / "own.safetensors"))
    assert header["model"]["backbone"] == OWN
    assert loaded.config.weights == "gone.pth"  # as the header has it; the function got None
    assert loaded.backbone.network.network.given is None
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded(image).heatmaps, model(image).heatmaps)


def test_a_checkpoint_whose_module_is_gone_or_another_is_one_line(written: Write, tmp_path: Path) -> None:
    written(TEXT)
    model = PoseNet(replace(MODEL, backbone=OWN))
    model.config = replace(MODEL, backbone="my_lab.gone:net")
    path = saved(model, tmp_path / "own.safetensors")
    with pytest.raises(
        ConfigError, match=r"own\.safetensors: backbone 'my_lab\.gone:net': found no module my_lab\.gon"
    ):
        load_model(path)
    written(TEXT.replace("(8, 16, 4, 4)", "(8, 24, 4, 4)").replace("BatchNorm2d(16)", "BatchNorm2d(24)"), "gone")
    with pytest.raises(DataError, match=r"own\.safetensors: .*coarse\.0\.weight has shape \(16, 8, 4, 4\) instead of"):
        load_model(path)


def test_a_checkpoint_calls_no_function_that_takes_no_weights(written: Write, tmp_path: Path) -> None:
    """It may name any function of any module that is there."""
    touched = tmp_path / "touched"
    written(f"{TEXT}\ndef wipe(path=None):\n    open({str(touched)!r}, 'w').close()")
    model = PoseNet(replace(MODEL, backbone=OWN))
    model.config = replace(MODEL, backbone="my_lab.own:wipe")
    with pytest.raises(ConfigError, match=r"found no parameter weights"):
        load_model(saved(model, tmp_path / "own.safetensors"))
    assert not touched.exists()


def test_layers_are_frozen_by_the_stride_of_their_maps(written: Write) -> None:
    written(TEXT)
    model = PoseNet(replace(MODEL, backbone=OWN))
    fine: Any = model.backbone.network.network.fine
    assert freeze_to_stride(model, 4) == [fine[0], fine[1]]
    assert sum(parameter.requires_grad for parameter in model.backbone.parameters()) == 4


def test_what_came_frozen_is_not_trained_after_a_stage_that_froze_more(
    written: Write, stick_people_2d: Path, tmp_path: Path
) -> None:
    """The first stage freezes the first convolution and its batch norm; the second trains all but what came frozen."""
    written(TEXT.replace("network.given = weights", "network.fine[0].weight.requires_grad_(False)"))
    frozen, learning = stage_2d(stick_people_2d, 8, freeze_stride=4), stage_2d(stick_people_2d, 8)
    model = replace(MODEL, backbone=OWN)
    train.run(experiment(frozen, model=model), tmp_path / "first")
    train.run(experiment(frozen, learning, model=model), tmp_path / "both")
    first, both = (load_checkpoint(tmp_path / name / "last.safetensors").part("model") for name in ("first", "both"))
    changed = {name for name, tensor in first.items() if not torch.equal(tensor, both[name])}
    fine = "backbone.network.network.fine"
    assert f"{fine}.0.weight" not in changed
    assert {f"{fine}.0.bias", f"{fine}.1.weight", f"{fine}.1.running_mean"} < changed


def test_a_study_counts_it(written: Write) -> None:
    """A 4x4 convolution of 3 to 8 channels on 16 x 16 px, then two 1x1 convolutions to 18 maps each."""
    written(one())
    convolution, head = 2 * 16 * 16 * 8 * 3 * 4 * 4, 2 * 16 * 16 * 8 * 2 * 18
    model = ModelConfig(OWN, head=HeadConfig(heatmap="cross_entropy"), input_size=(64, 64))
    # The first layer that learns has no gradient of its input.
    assert flops_per_sample(model) == 2 * convolution + 3 * head
    assert flops_per_sample(model, 4) == convolution + 2 * head


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """As if a signal came during step ``steps``."""
    seen: list[int] = []

    @contextmanager
    def signals() -> Any:
        yield lambda: bool(seen.append(1)) or len(seen) >= steps

    monkeypatch.setattr(train, "signals", signals)


def test_a_resumed_run_ends_bit_for_bit_as_one_never_stopped(
    written: Write, stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(TEXT)
    model = replace(MODEL, backbone=OWN, head=replace(MODEL.head, kind="pyramid"))
    whole = experiment(stage_2d(stick_people_2d, 16, freeze_stride=4), model=model, workers=1)
    train.run(whole, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            train.run(whole, tmp_path / "parts")
    train.run(whole, tmp_path / "parts", resume=True)
    first, second = (load_checkpoint(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert first.header["config"]["model"]["backbone"] == OWN
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


def test_fine_tuning_takes_its_weights_for_a_new_head(written: Write, stick_people_2d: Path, tmp_path: Path) -> None:
    written(TEXT)
    start = PoseNet(replace(MODEL, backbone=OWN))
    path = saved(start, tmp_path / "own.safetensors")
    model = replace(MODEL, backbone=OWN, head=replace(MODEL.head, kind="pyramid"))
    plan = experiment(
        stage_2d(stick_people_2d, 4, freeze_stride=16), model=model, start_from=str(path), start_with="backbone"
    )
    train.run(plan, tmp_path / "run")
    trained = load_checkpoint(tmp_path / "run" / "last.safetensors").part("model")
    assert all(torch.equal(trained[f"backbone.{name}"], tensor) for name, tensor in start.backbone.state_dict().items())
