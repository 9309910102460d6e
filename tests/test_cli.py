"""The command as people type it: what it prints, what it returns, and what it says when something is wrong."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest

from headstart.cli import main
from headstart.protocols import PROTOCOLS
from headstart.recipes import RECIPES
from headstart.results import RunResult

COLUMNS = "120"
TINY = (
    *("--model.backbone", "nano", "--model.head.channels", "16", "--model.input-size", "64", "64"),
    *("--batch-size", "4", "--workers", "0", "--tracker", "none"),
)


def headstart(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command within this process: importing torch anew each time would take most of the time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["headstart", *map(str, arguments)])
        patch.setenv("COLUMNS", COLUMNS)
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def in_a_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as it is installed."""
    command = [str(Path(sys.executable).with_name("headstart")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def succeeds(*arguments: str | Path) -> str:
    done = headstart(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def fails(*arguments: str | Path) -> str:
    """The one line that a wrong input gives."""
    return one_line(headstart(*arguments))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, (done.stdout, done.stderr)
    (line,) = done.stderr.splitlines()
    assert line.startswith("headstart: ")
    return line.removeprefix("headstart: ")


def training(root: Path, out: Path, *more: str) -> list[str | Path]:
    data = ("--two-d", "lsp_extended", "--root", f"lsp_extended={root}", "--out", out, "--threads", "1")
    splits = ("--stages.0.data.0.split", "all", "--validation.0.split", "all")
    return ["train", "pretrain_2d", *data, *splits, *TINY, *more]


@pytest.fixture(scope="module")
def trained(stick_people_2d: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run's folder and what the command printed."""
    out = tmp_path_factory.mktemp("cli") / "run"
    return out, succeeds(*training(stick_people_2d, out, "--stages.0.budget.samples", "16"))


# --- speed and help ---


def test_nothing_heavy_is_imported_for_help() -> None:
    heavy = {"torch", "transformers", "accelerate", "cv2", "numpy", "pyarrow", "scipy"}
    program = f"import sys, headstart.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_version_is_the_packages_own() -> None:
    assert succeeds("--version").strip() == f"headstart {version('headstart')}"


def test_what_the_hub_says_comes_once() -> None:
    """Its library prints its own log lines, which came a second time by the command's."""
    says = (
        "from huggingface_hub.utils import logging; logging.get_logger('huggingface_hub.utils._http').warning('Retry')"
    )
    program = f"import sys; from headstart import cli; sys.argv = ['headstart', '--version']; cli.main(); {says}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["Retry"]


@pytest.mark.parametrize("verb", ["recipes", "protocols"])
def test_whoever_stops_reading_ends_it_without_a_word(verb: str) -> None:
    command = [sys.executable, "-m", "headstart.cli", "show", verb]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 141


def test_help_names_every_verb() -> None:
    text = succeeds("--help")
    assert all(verb in text for verb in ("data", "pack", "show", "train", "eval", "score"))
    assert "TrainArguments" not in text


def test_help_of_train_and_of_a_recipe() -> None:
    assert "--resume" in succeeds("train", "--help")
    text = succeeds("train", "zhou2017", "--help")
    for option in ("--stages.2.optimiser.learning-rate", "--model.backbone", "--augment.scale", "--batch-size"):
        assert option in text
    assert "(default: 0.0001)" in text


# --- the way of a newcomer ---


def test_data_counts_people_and_joints(stick_people_2d: Path) -> None:
    """20 people, 14 labelled joints each but one; pelvis and thorax follow from hips and shoulders: 319."""
    text = succeeds("data", "lsp_extended", "--root", stick_people_2d, "--split", "all", "--check")
    assert "lsp_extended all: 20 people, 319 labelled joints (319 visible, 0 occluded), 0 in 3D; 100.00%" in text
    assert "20 images readable" in text


def test_data_without_a_split_shows_those_that_lie_there(stick_people_2d: Path, stick_people_3d: Path) -> None:
    found = json.loads(succeeds("data", "lsp_extended", "--root", stick_people_2d, "--json"))
    assert {split: counts["people"] for split, counts in found.items()} == {"all": 20}
    found = json.loads(succeeds("data", "h36m", "--root", stick_people_3d, "--json"))
    assert {split: counts["people"] for split, counts in found.items()} == {"train": 16, "test": 8}


def test_show_recipes_protocols_and_config() -> None:
    text = succeeds("show", "recipes")
    assert all(name in text for name in RECIPES)
    assert "h36m_standard" in succeeds("show", "protocols")
    assert json.loads(succeeds("show", "config", "zhou2017"))["stages"][2]["losses"]["bone_ratio"] == 0.005


@pytest.mark.parametrize("what", ["samples", "targets"])
def test_show_pictures(stick_people_2d: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "sheet.png"
    options = ("--root", stick_people_2d, "--split", "all", "--out", path, "--count", "4", "--augment")
    assert succeeds("show", what, "lsp_extended", *options).strip() == str(path)
    assert cv2.imread(str(path)) is not None


def test_train_prints_scores_with_their_protocol(trained: tuple[Path, str], stick_people_2d: Path) -> None:
    out, text = trained
    assert text.startswith("lsp_extended_pck12 on lsp_extended all: pck ")
    assert "% (n = 20; higher is better)" in text
    assert "Data set lsp_extended, split all." in text
    assert text.splitlines()[-1] == str(out / "result.json")
    result = RunResult.load(out / "result.json")
    assert (result.name, result.stages[0].samples) == ("pretrain_2d", 16)
    assert result.config["stages"][0]["data"][0]["root"] == str(stick_people_2d)


def test_eval_gives_what_training_gave(trained: tuple[Path, str], stick_people_2d: Path, tmp_path: Path) -> None:
    files = ("--predictions", tmp_path / "p.npz", "--picture", tmp_path / "p.png")
    options = ("--protocol", "lsp_extended_pck12", "--root", stick_people_2d, "--split", "all", "--workers", "1")
    scores = json.loads(succeeds("eval", trained[0] / "last.safetensors", *options, *files, "--json"))
    expected = RunResult.load(trained[0] / "result.json").scores[0]
    assert scores["value"] == pytest.approx(expected.value)
    warned = " Here the model was trained on this very split, lsp_extended all: not a result."
    assert scores["description"].replace(warned, "") == expected.description
    assert warned in scores["description"]
    assert [scores[name] for name in ("protocol", "dataset", "split")] == [expected.protocol, "lsp_extended", "all"]
    assert (tmp_path / "p.npz").is_file()
    assert cv2.imread(str(tmp_path / "p.png")) is not None
    text = succeeds("eval", trained[0], *options)
    assert "lsp_extended_pck12 on lsp_extended all: pck" in text
    assert "per joint: right_shoulder" in text


def test_predictions_of_any_system_are_scored(trained: tuple[Path, str], stick_people_2d: Path, tmp_path: Path) -> None:
    """What `eval` wrote scores what `eval` printed; a joint that nobody has is null in JSON and said in words."""
    path, options = (
        tmp_path / "p.npz",
        ("--protocol", "lsp_extended_pck12", "--root", stick_people_2d, "--split", "all"),
    )
    printed = succeeds("eval", trained[0], *options, "--workers", "0", "--limit", "5", "--predictions", path)
    assert "Here a quick look at 5 of 20 people: not a result." in printed
    assert succeeds("score", path, *options, "--limit", "5") == printed
    found = json.loads(succeeds("score", path, *options, "--limit", "5", "--json"))
    assert f"{found['value']:.2f} %" in printed
    assert "expected a prediction for every person, found 15 of 20 missing" in fails("score", path, *options)
    ankle = ("--protocol", "lsp_pck_ankle", *options[2:], "--dataset", "lsp_extended")
    with pytest.MonkeyPatch.context() as patch:
        joints = ("left_ankle", "left_eye")
        patch.setitem(PROTOCOLS, "lsp_pck_ankle", replace(PROTOCOLS["lsp_pck"], joints=joints))
        with np.load(path) as file:
            np.savez(path, **{**file, "joints": [*file["joints"][:-1], "left_eye"]})
        text = succeeds("score", path, *ankle, "--limit", "5", "--json")
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["per_joint"]["left_eye"] is None
    assert "Here nobody is labelled with left_eye: the value is of 1 of the 2 joints." in found["description"]


def test_packed_pictures_train_and_score_like_files(stick_people_2d: Path, tmp_path: Path) -> None:
    options = ("--root", stick_people_2d, "--split", "all", "--out", tmp_path, "--size", "64", "--workers", "1")
    text = succeeds("pack", "lsp_extended", *options)
    assert text.startswith(f"{tmp_path / 'lsp_extended-all'}: 20 people, ")
    succeeds(*training(tmp_path, tmp_path / "run", "--stages.0.budget.samples", "8"))


def test_a_budget_can_change_its_unit(stick_people_2d: Path, tmp_path: Path) -> None:
    units = ("--stages.0.budget.samples", "None", "--stages.0.budget.epochs", "0.4")
    succeeds(*training(stick_people_2d, tmp_path / "run", *units))
    assert RunResult.load(tmp_path / "run" / "result.json").stages[0].steps == 2


def test_weights_of_losses_and_limits_of_data_can_be_set(stick_people_2d: Path, tmp_path: Path) -> None:
    more = ("--stages.0.losses.heatmap-cross-entropy", "2.0", "--stages.0.budget.samples", "4")
    succeeds(*training(stick_people_2d, tmp_path / "run", *more, "--stages.0.data.0.limit", "8"))
    stage = RunResult.load(tmp_path / "run" / "result.json").config["stages"][0]
    assert stage["losses"] == {"heatmap_cross_entropy": 2.0}
    assert stage["data"][0]["limit"] == 8


# --- wrong input: one line, exit code 2 ---


@pytest.mark.slow
def test_the_installed_command(stick_people_2d: Path, tmp_path: Path) -> None:
    """Right and wrong, in a process of its own, where nothing but the command writes to stderr."""
    done = in_a_process(*training(stick_people_2d, tmp_path / "run", "--stages.0.budget.samples", "8"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lsp_extended_pck12 on lsp_extended all: pck ")
    (tmp_path / "cut.safetensors").write_bytes(b"cut")
    options = ("--root", stick_people_2d, "--split", "all", "--protocol", "lsp_extended_pck")
    assert "cut.safetensors: expected" in one_line(in_a_process("eval", tmp_path / "cut.safetensors", *options))
    assert "joints.mat: expected" in one_line(in_a_process("data", "lsp_extended", "--root", tmp_path / "nowhere"))


def test_missing_root_and_malformed_file(tmp_path: Path) -> None:
    assert "joints.mat: expected" in fails("data", "lsp_extended", "--root", tmp_path / "nowhere", "--split", "all")
    (tmp_path / "joints.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut short")
    assert f"{tmp_path / 'joints.mat'}: expected" in fails("data", "lsp_extended", "--root", tmp_path)


def test_an_unreadable_picture_fails_the_check(tmp_path: Path, stick_people_2d: Path) -> None:
    (tmp_path / "joints.mat").write_bytes((stick_people_2d / "joints.mat").read_bytes())
    done = headstart("data", "lsp_extended", "--root", tmp_path, "--split", "all", "--check")
    line = done.stderr.splitlines()[-1]  # those before it are the progress
    assert done.returncode == 2
    assert line.startswith(f"headstart: {tmp_path / 'images' / 'im00001.jpg'}: expected a readable image")
    assert "20 unreadable images in all" in line


def test_unknown_names(stick_people_2d: Path, trained: tuple[Path, str], tmp_path: Path) -> None:
    assert "unknown data set 'lspet'; known: mpii" in fails("data", "lspet", "--root", tmp_path)
    assert "unknown recipe 'zhou'; known: zhou2017" in fails("train", "zhou", "--out", tmp_path / "run")
    assert "unknown recipe 'zhou'" in fails("show", "config", "zhou")
    options = ("--root", stick_people_2d, "--protocol", "mpjpe")
    assert "unknown protocol 'mpjpe'; known: h36m_standard" in fails("eval", trained[0], *options)
    assert "has no split 'test'; it has" in fails("data", "lsp_extended", "--root", stick_people_2d, "--split", "test")


def test_broken_checkpoints(stick_people_2d: Path, trained: tuple[Path, str], tmp_path: Path) -> None:
    content = (trained[0] / "last.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    options = ("--root", stick_people_2d, "--split", "all", "--protocol", "lsp_extended_pck")
    assert "cut.safetensors: expected a checkpoint" in fails("eval", tmp_path / "cut.safetensors", *options)
    assert "expected last.safetensors or best.safetensors" in fails("eval", tmp_path, *options)


def test_a_split_that_is_there_and_damaged_is_not_passed_over(stick_people_3d: Path, tmp_path: Path) -> None:
    """Without --split every split that lies there is read, and of the others it is said why they are not."""
    root = shutil.copytree(stick_people_3d, tmp_path / "h36m")
    whole = headstart("data", "h36m", "--root", root)
    assert whole.returncode == 0, whole.stderr
    broken = sorted(root.glob("annotations/*subject1_joint_3d.json"))[0]
    broken.write_text(broken.read_text()[:200])
    done = headstart("data", "h36m", "--root", root)
    assert f"h36m train left out: {broken}: expected" in done.stderr
    assert "h36m test: " in done.stdout


def test_configurations_that_cannot_run(stick_people_2d: Path, trained: tuple[Path, str], tmp_path: Path) -> None:
    root = stick_people_2d
    two_units = training(root, tmp_path / "a", "--stages.0.budget.seconds", "5")
    assert "budget: expected exactly one of samples, epochs, flops, seconds" in fails(*two_units)
    assert "holds another run; give --resume" in fails(*training(root, trained[0]))
    line = fails(*training(root, trained[0], "--resume", "--stages.0.budget.samples", "16", "--seed", "7"))
    assert "was made by another configuration: seed: 0 there, 7 here. Set what differs" in line
    assert "--root: expected NAME=DIR" in fails("train", "pretrain_2d", "--root", "lsp", "--out", tmp_path / "a")
    assert "joints.mat" in fails(*training(root, root / "joints.mat" / "run"))
    assert not (tmp_path / "a").exists()


def test_what_does_not_parse_is_explained() -> None:
    done = headstart("train", "zhou2017", "--out", "x", "--stages.0.budget.sampels", "5")
    assert done.returncode == 2
    assert "--stages.0.budget.sampels" in done.stderr
    assert headstart("nonsense").returncode == 2
