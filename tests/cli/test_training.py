"""``headstart train``: what is run, and whose network it has if it starts from another's. Nothing is trained."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from headstart.checkpoint import SHIPPED, save_checkpoint
from headstart.cli.training import print_scores
from headstart.experiment import Experiment, as_json
from headstart.files import write_json
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.preparation import build_network
from headstart.recipes import build
from headstart.results import RunResult, Scores
from headstart.sources import Sources
from test_cli import fails, headstart, succeeds
from test_preparation import CPU
from tiny import experiment, stage_2d

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


SCORES = Scores(
    "lsp_pck on my_data.office val",
    "Data set my_data.office, split val. 14 joints: and so on. Metric: PCK.",
    "pck",
    "%",
    12.345,
    "higher",
    1234,
    per_joint={"left_knee": 50.0},
    others={"mpjpe_mm": 7.0},
)


def test_numbers_come_before_the_description(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores([SCORES])
    assert capsys.readouterr().out.splitlines() == [
        "lsp_pck on my_data.office val: pck 12.35 % (n = 1,234; higher is better)",
        "  beside it: mpjpe_mm 7.00",
        "  per joint: left_knee 50.00",
        f"  {SCORES.description}",
    ]


def test_the_description_is_wrapped_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 40 columns, 2 of them empty."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_scores([SCORES])
    lines = capsys.readouterr().out.splitlines()[3:]
    plain = [re.sub(r"\x1b\[\d*m", "", line) for line in lines]
    assert len(plain) == 2
    assert all(line.startswith("  ") and len(line) <= 40 for line in plain)
    assert " ".join(line.strip() for line in plain) == SCORES.description
    assert all("\x1b[2m" in line for line in lines)


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


def test_a_loss_that_the_recipe_lacks_can_be_added(begun: list[Experiment]) -> None:
    """And one of its own be switched off; others are not computed."""
    nano = ("--model.backbone", "nano", "--stages.0.losses.bone-ratio", "0.1")
    succeeds(
        *train(*nano, "--stages.0.losses.depth_smooth_l1=0", "--stages.0.losses.depth-l1", "0", recipe="scratch_3d")
    )
    assert list(begun[0].stages[0].losses.items()) == [
        ("heatmap_cross_entropy", 1.0),
        ("depth_smooth_l1", 0.0),
        ("bone_ratio", 0.1),
    ]
    assert "Unrecognized" in headstart(*train("--stages.0.losses.bone-rati", "0.1")).stderr


def test_the_configuration_of_a_run_with_other_fields(begun: list[Experiment], tmp_path: Path) -> None:
    tiny = experiment(stage_2d(tmp_path), stage_2d(tmp_path), precision="bf16")
    write_json(tmp_path / "config.json", as_json(tiny))
    succeeds("train", tmp_path / "config.json", "--seed", "3", "--stages.1.losses.bone-ratio", "0.1", "--out", "new")
    second = replace(tiny.stages[1], losses={"heatmap_cross_entropy": 1.0, "bone_ratio": 0.1})
    assert begun == [replace(tiny, seed=3, stages=(tiny.stages[0], second))]


def test_without_a_recipe_a_run_goes_on_as_it_began(begun: list[Experiment], tmp_path: Path) -> None:
    """Options that do not change what is computed may be others."""
    tiny = experiment(stage_2d(tmp_path))
    write_json(tmp_path / "config.json", as_json(tiny))
    succeeds("train", "--resume", "--out", tmp_path)
    succeeds("train", "--resume", "--out", tmp_path, "--workers", "3", "--threads", "1")
    assert begun == [tiny, replace(tiny, workers=3)]


def test_what_cannot_be_told_from_a_run(begun: list[Experiment], tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    missing = f"{config}: expected the config.json of a run, found "
    assert fails("train", "--resume", "--out", tmp_path).startswith(missing)
    needed = "expected RECIPE (headstart show recipes lists them), or --resume --out DIR to go on with a run"
    assert fails("train", "--out", tmp_path) == fails("train", "--out", tmp_path, "--seed", "1") == needed
    assert fails("train") == needed
    write_json(config, as_json(experiment(stage_2d(tmp_path))))
    fix = "Set for example --stages.0.data.0.root, or name a recipe"
    for first in ("--resume", config):
        line = fails("train", first, "--out", tmp_path, "--root", "lsp_extended=there")
        assert line == f"--root: the data are those of {config}. {fix}"
    line = fails("train", "--resume", "--out", tmp_path, "--three-d", "aspset")
    assert line == f"--three-d: the data are those of {config}. {fix}"
    assert "unknown recipe 'pretrain_2d twice'" in fails("train", "pretrain_2d", "twice", "--out", tmp_path)


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
        (("--micro-batch-size", "0"), "micro_batch_size: expected >= 1, got 0"),
        (("--micro-batch-size", "5"), "micro_batch_size: expected a divisor of batch_size 32, got 5"),
        (
            ("--stages.0.optimiser.backbone-factor", "nan"),
            "stages.0.optimiser.backbone_factor: expected > 0, got nan",
        ),
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


def test_eval_in_half_precision_is_refused_on_a_cpu_as_training_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    said = fails("eval", "shipped", "--protocol", "lsp_pck", "--root", tmp_path, "--precision", "fp16")
    assert said == fails(*train("--precision", "fp16", "--tracker", "none", out=str(tmp_path / "run")))
    assert said == ("precision: expected bf16, or single precision (train: no, eval: fp32), on a cpu; got fp16")


def test_eval_in_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each of them scored everybody."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = fails("eval", "shipped", "--protocol", "lsp_pck", "--root", str(tmp_path))
    assert said.startswith("2 processes were started")


@pytest.mark.parametrize(
    ("option", "name", "says"),
    [
        ("--predictions", "p.json", r"expected a file to write \(\.npz\), found \.json"),
        ("--coco-results", "results", r"expected a file to write \(\.json\), found no suffix"),
        ("--picture", "folder", r"expected a file to write \(\.png\), found a folder"),
        ("--picture", "file/sheet.png", "cannot be written: .*file is a file, not a folder"),
    ],
)
def test_eval_refuses_files_it_cannot_write_before_it_predicts(option: str, name: str, says: str, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    line = fails("eval", "shipped", "--protocol", "lsp_pck", "--root", tmp_path / "none", option, tmp_path / name)
    assert re.search(f"{option} .*{says}", line)
