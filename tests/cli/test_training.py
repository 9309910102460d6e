"""``headstart train``: whose network a run has that starts from another's weights. Nothing is trained."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from headstart.checkpoint import SHIPPED, save_checkpoint
from headstart.experiment import Experiment
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.preparation import build_network
from headstart.recipes import build
from headstart.results import RunResult
from headstart.sources import Sources
from test_cli import fails, succeeds
from test_preparation import CPU

THERE = ModelConfig("nano", None, HeadConfig(channels=16, heatmap="cross_entropy"), input_size=(96, 64), sigma=1.5)
OWN = build("pretrain_2d", Sources(("lsp_extended",), ())).model


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The folder of a finished run, and that of one that went on from it."""
    network = PoseNet(THERE)
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, config in (("there", THERE), ("on", replace(THERE, sigma=3.0))):
        header = {"model": asdict(config), "backbone_config": network.backbone.config}
        save_checkpoint(tmp_path / name / "last.safetensors", tensors, header)
    return tmp_path


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """What would have been run."""
    seen: list[Experiment] = []

    def run(experiment: Experiment, out: Path, resume: bool) -> RunResult:
        seen.append(experiment)
        if not resume:
            build_network(experiment, None, out / "last.safetensors", CPU)
        return RunResult(experiment.name, 0, {}, "", "cpu", [], [])

    monkeypatch.setattr("headstart.train.run", run)
    return seen


def train(*more: str | Path, recipe: str = "pretrain_2d", out: str = "new") -> tuple[str | Path, ...]:
    return ("train", recipe, "--two-d", "lsp_extended", "--three-d", "h36m", "--out", out, *more)


def test_its_network_is_that_of_the_weights(runs: Path, begun: list[Experiment]) -> None:
    succeeds(*train("--start-from", runs / "there", "--seed", "4"))
    succeeds(*train("--start_from=" + str(runs / "there" / "last.safetensors"), "--model.input-size", "64", "64"))
    assert [one.model for one in begun] == [THERE, replace(THERE, input_size=(64, 64))]
    assert (begun[0].seed, begun[0].start_from) == (4, str(runs / "there"))


def test_with_the_backbone_alone_the_rest_is_the_recipes(runs: Path, begun: list[Experiment]) -> None:
    succeeds(*train("--start-from", runs / "there", "--start-with", "backbone", "--model.head.channels", "8"))
    head = replace(OWN.head, channels=8)
    assert begun[0].model == replace(OWN, backbone="nano", head=head)


def test_recipes_that_start_somewhere_keep_their_network(runs: Path, begun: list[Experiment]) -> None:
    shipped = build("finetune", Sources(("lsp_extended",), ()))
    succeeds(*train("--model.input-size", "192", "192", recipe="finetune"))
    succeeds(*train("--start-from", runs / "there", recipe="finetune"))
    succeeds(*train("--start-from", "shipped"))
    assert [one.model for one in begun] == [replace(shipped.model, input_size=(192, 192)), THERE, shipped.model]
    assert [one.start_from for one in begun] == [SHIPPED, str(runs / "there"), SHIPPED]


def test_a_run_that_goes_on_needs_not_what_it_started_from(runs: Path, begun: list[Experiment]) -> None:
    succeeds(*train("--start-from", runs / "gone", "--resume", out=str(runs / "on")))
    assert begun[0].model == replace(THERE, sigma=3.0)
    assert "gone" in fails(*train("--start-from", runs / "gone", "--resume", out=str(runs / "none")))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--model.backbone", "resnet18"), "another network: model.backbone: 'nano' there, 'resnet18' here. Leave out"),
        (("--model.head.channels", "32"), "another network: model.head.channels: 16 there, 32 here. Leave out"),
        (("--model.weights", "microsoft/resnet-50"), "--model.weights: the weights are those of --start-from "),
    ],
)
def test_flags_that_contradict_the_weights(
    flags: tuple[str, str], says: str, runs: Path, begun: list[Experiment]
) -> None:
    assert says in fails(*train("--start-from", runs / "there", *flags))


def test_input_sizes_are_named_where_they_do_not_fit(begun: list[Experiment]) -> None:
    line = fails(*train("--model.backbone", "nano", "--model.input-size", "250", "250"))
    assert line == "model.input_size (250, 250): expected multiples of 32 px"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--stages.0.optimiser.learning-rate", "-1"), "stages.0.optimiser.learning_rate: expected > 0, got -1.0"),
        (("--batch-size", "0"), "batch_size: expected >= 1, got 0"),
        (("--model.sigma", "0"), "model.sigma: expected > 0, got 0.0"),
        (("--threads", "0"), "--threads: expected >= 1, got 0"),
    ],
)
def test_values_that_cannot_be_trained_with(flags: tuple[str, str], says: str, tmp_path: Path) -> None:
    assert fails(*train(*flags, out=str(tmp_path / "new"))) == says
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("flag", "value", "least"), [("--batch-size", "0", 1), ("--limit", "-1", 1), ("--workers", "-1", 0)]
)
def test_values_that_cannot_be_scored_with(flag: str, value: str, least: int) -> None:
    line = fails("eval", "shipped", "--protocol", "h36m_standard", "--root", "DIR", flag, value)
    assert line == f"{flag}: expected >= {least}, got {value}"
