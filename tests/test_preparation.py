"""What a run begins with: a checkpoint of its own or none, the network's weights, a codec for each size of crops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headstart.checkpoint import load_checkpoint, save_checkpoint
from headstart.errors import ConfigError
from headstart.experiment import as_json
from headstart.models.pose_net import PoseNet
from headstart.preparation import build_network, load_saved, stage_codec
from tiny import MODEL, experiment, stage_2d

CPU = torch.device("cpu")
TINY = experiment(stage_2d(Path("nowhere")))


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """The checkpoint of a run, of weights alone."""
    path, network = tmp_path / "last.safetensors", PoseNet(MODEL)
    tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    save_checkpoint(path, tensors, {"config": as_json(TINY), "backbone_config": network.backbone.config})
    return path


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    for resume in (False, True):
        assert load_saved(tmp_path / "last.safetensors", as_json(TINY), resume) is None


def test_what_is_there_is_loaded_to_go_on_from_and_refused_otherwise(last: Path) -> None:
    saved = load_saved(last, as_json(TINY), resume=True)
    assert saved is not None
    assert saved.header == load_checkpoint(last).header
    with pytest.raises(ConfigError, match="seed was 0, is 5"):
        load_saved(last, as_json(replace(TINY, seed=5)), resume=True)
    with pytest.raises(ConfigError, match=f"^{last.parent} holds another run; give --resume"):
        load_saved(last, as_json(TINY), resume=False)


def test_a_result_alone_is_another_run_too(tmp_path: Path) -> None:
    (tmp_path / "result.json").touch()
    for resume in (False, True):
        with pytest.raises(ConfigError, match="holds another run"):
            load_saved(tmp_path / "last.safetensors", as_json(TINY), resume)


def test_the_network_has_the_weights_that_were_saved_or_its_own_of_the_seed(last: Path) -> None:
    saved = load_checkpoint(last)
    going_on = build_network(TINY, saved, last, CPU).state_dict()
    assert all(torch.equal(tensor, saved.part("model")[name]) for name, tensor in going_on.items())
    torch.manual_seed(3)
    fresh = build_network(TINY, None, last, CPU).state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in PoseNet(MODEL).state_dict().items())


def test_the_layout_is_the_experiments(last: Path) -> None:
    for channels_last in (False, True):
        network = build_network(replace(TINY, channels_last=channels_last), None, last, CPU)
        weight = next(p for p in network.parameters() if p.ndim == 4 and min(p.shape) > 1)
        assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_gaussians_cover_the_same_part_of_a_person_on_smaller_crops() -> None:
    network = PoseNet(replace(MODEL, sigma=2.0))
    assert stage_codec(network, stage_2d(Path("nowhere"))) == network.codec
    smaller = stage_codec(network, stage_2d(Path("nowhere"), input_size=(32, 32)))
    assert (smaller.input_size, smaller.sigma) == ((32, 32), 1.0)
    assert smaller == replace(network.codec, input_size=(32, 32), sigma=1.0)


def test_crops_are_multiples_of_the_coarsest_maps_pixels() -> None:
    with pytest.raises(ConfigError, match=r"stage 2d: input_size \(40, 64\): expected multiples of 32 px"):
        stage_codec(PoseNet(MODEL), stage_2d(Path("nowhere"), input_size=(40, 64)))
