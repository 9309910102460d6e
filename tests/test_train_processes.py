"""Training in processes of its own: killed at random moments, stopped by signals, shared between two."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from headstart.checkpoint import load_checkpoint, seed_of_process

pytestmark = pytest.mark.slow

MODEL = (
    *("--model.backbone", "nano", "--model.head.channels", "16", "--model.input-size", "64", "64"),
    *("--workers", "0", "--tracker", "none", "--average-decay", "0.9"),
)
SPLITS = tuple(part for stage in range(3) for part in (f"--stages.{stage}.data.0.split", "all"))


def command(root_2d: Path, root_3d: Path, out: Path, *more: str) -> list[str]:
    """``headstart train`` in three stages."""
    roots = ("--two-d", "lsp_extended", "--root", f"lsp_extended={root_2d}", "--root", f"h36m={root_3d}")
    arguments = ("train", "pretrain_2d_then_3d", *roots, "--out", str(out), "--threads", "1", *MODEL, *SPLITS, *more)
    return [sys.executable, "-m", "headstart.cli", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def finish(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment(), timeout=200)
    assert done.returncode == 0, done.stderr
    return done


def stop_during(arguments: list[str], out: Path, number: signal.Signals, delay: float) -> tuple[int, str]:
    """Send a signal ``delay`` seconds after the process has written its first checkpoint; exit code and stderr."""
    before = written(out)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(arguments, text=True, env=environment(), **pipes)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 100
        while written(out) == before and process.poll() is None:
            assert time.monotonic() < deadline, "no checkpoint in time"
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(number)
        _, text = process.communicate(timeout=100)
    finally:
        process.kill()
    return process.returncode, text


def written(out: Path) -> int:
    """When the last checkpoint was written, ns; 0 for never."""
    path = out / "last.safetensors"
    return path.stat().st_mtime_ns if path.exists() else 0


def steps_saved(out: Path) -> int:
    """Steps that the checkpoint of a run has behind it."""
    return load_checkpoint(out / "last.safetensors", ()).header["progress"]["updates"]


def differences(first: Path, second: Path) -> list[str]:
    """Names of tensors that are not equal bit for bit."""
    one, two = load_checkpoint(first).tensors, load_checkpoint(second).tensors
    assert one.keys() == two.keys()
    return [name for name in one if not torch.equal(one[name], two[name])]


# --- killed and stopped ---

STEPS = ("--batch-size", "4", "--log-samples", "4", "--checkpoint-samples", "8")
BUDGETS = tuple(part for stage in range(3) for part in (f"--stages.{stage}.budget.samples", "120"))


@pytest.mark.posix("SIGKILL")
def test_killed_at_random_moments_the_run_ends_bit_for_bit_the_same(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path
) -> None:
    """SIGKILL three times, while it trains or writes; what is there afterwards is always a whole checkpoint."""
    options = (*STEPS, *BUDGETS, "--validation.1.split", "all")
    finish(command(stick_people_2d, stick_people_3d, tmp_path / "whole", *options))
    parts = command(stick_people_2d, stick_people_3d, tmp_path / "parts", *options, "--resume")
    killed_at = []
    for _ in range(3):
        code, text = stop_during(parts, tmp_path / "parts", signal.SIGKILL, random.uniform(0, 0.6))
        killed_at.append(steps_saved(tmp_path / "parts"))
        assert code == -signal.SIGKILL or killed_at[-1] == 90, text
    finish(parts)
    last = "last.safetensors"
    assert differences(tmp_path / "whole" / last, tmp_path / "parts" / last) == [], killed_at
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "parts")]
    assert results[0]["scores"] == results[1]["scores"]
    assert [stage["samples"] for stage in results[1]["stages"]] == [120, 120, 120]
    assert killed_at[0] < 90, "nothing was tested: the first kill came after the end"


@pytest.mark.posix("SIGKILL")
def test_killed_and_resumed_by_its_folder_alone_the_run_ends_bit_for_bit_the_same(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path
) -> None:
    """The second run is of the first one's configuration, and is resumed without naming that again."""
    options = (*STEPS, *BUDGETS, "--validation.1.split", "all", "--stages.0.losses.bone-ratio", "0.1")
    finish(command(stick_people_2d, stick_people_3d, tmp_path / "whole", *options))
    headstart = [sys.executable, "-m", "headstart.cli", "train"]
    anew = [*headstart, str(tmp_path / "whole" / "config.json"), "--out", str(tmp_path / "parts"), "--threads", "1"]
    code, text = stop_during(anew, tmp_path / "parts", signal.SIGKILL, 0.2)
    killed_at = steps_saved(tmp_path / "parts")
    assert code == -signal.SIGKILL, text
    assert killed_at < 90
    finish([*headstart, "--resume", "--out", str(tmp_path / "parts"), "--threads", "1"])
    last = "last.safetensors"
    assert differences(tmp_path / "whole" / last, tmp_path / "parts" / last) == [], killed_at
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "parts")]
    assert results[0]["config"] == results[1]["config"]
    assert results[0]["scores"] == results[1]["scores"]


OWN_RECIPE = """
from dataclasses import replace
from headstart.recipes import pretrain_2d

def mine(sources):
    return replace(pretrain_2d(sources), name="mine", seed=5)
"""


def test_a_users_recipe_is_trained_from_the_folder_of_its_module(stick_people_2d: Path, tmp_path: Path) -> None:
    (tmp_path / "my_recipes.py").write_text(OWN_RECIPE)
    headstart = [str(Path(sys.executable).with_name("headstart")), "train", "my_recipes:mine", "--out", "run"]
    data = ("--two-d", "lsp_extended", "--root", f"lsp_extended={stick_people_2d}", "--validation.0.split", "all")
    budget = ("--stages.0.data.0.split", "all", "--stages.0.budget.samples", "8", "--batch-size", "4")
    arguments = [*headstart, *data, *budget, *MODEL, "--threads", "1", "--stages.0.losses.bone-ratio", "0.1"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, env=environment(), timeout=200)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["name"], result["seed"]) == ("mine", 5)
    assert result["history"][-2]["bone_ratio"] > 0


@pytest.mark.posix("signals from other processes")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_with_130(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path, number: signal.Signals
) -> None:
    endless = ("--stages.0.budget.samples", "1000000", "--batch-size", "4", "--checkpoint-samples", "400")
    options = (*endless, "--validation.1.split", "all")
    arguments = command(stick_people_2d, stick_people_3d, tmp_path / "run", *options)
    code, text = stop_during(arguments, tmp_path / "run", number, 0.5)
    assert code == 130, text
    line = text.splitlines()[-1]
    steps = steps_saved(tmp_path / "run")
    assert line == f"headstart: stopped at step {steps} of 2d; go on with --resume"
    assert steps >= 100


FAILING = """
import sys
from pathlib import Path
from headstart import train
from tiny import experiment, stage_2d

def total(*_):
    raise RuntimeError("the loss broke")

train.losses.total = total
train.run(experiment(stage_2d(Path(sys.argv[1]), 40), workers=1), Path(sys.argv[2]))
"""


def test_a_program_that_fails_ends_although_its_workers_ignore_sigterm(stick_people_2d: Path, tmp_path: Path) -> None:
    program = tmp_path / "failing.py"
    program.write_text(FAILING)
    done = subprocess.run(
        [sys.executable, str(program), str(stick_people_2d), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**environment(), "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.returncode == 1
    assert "the loss broke" in done.stderr


# --- two processes ---

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from headstart.augment import AugmentConfig
from headstart.optimisation import Optimiser, Schedule
from headstart.train import run
from tiny import experiment, three_stages

root_2d, root_3d, out, batch, micro = sys.argv[1:]
plain = Optimiser("sgd", learning_rate=0.05, momentum=0.0, weight_decay=0.01, clip_norm=1.0)
stages = [
    replace(stage, optimiser=plain, schedule=Schedule("constant"), freeze_batch_norm=True)
    for stage in three_stages(Path(root_2d), Path(root_3d), 3 * int(batch))
]
sizes = {"batch_size": int(batch), "micro_batch_size": int(micro) or None}
run(experiment(*stages, **sizes, log_samples=1, checkpoint_samples=1), Path(out))
names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
if any("gloo" in name for name in names):
    sys.exit(f"threads of the process group are left, which may abort the process as it ends: {names}")
"""


def shared(root_2d: Path, root_3d: Path, out: Path, processes: int, micro: int = 0) -> dict[str, torch.Tensor]:
    """Weights after three steps of each of three stages with 6 samples a step, whoever computes them.

    ``micro``: samples that each process takes at a time; 0: all of its own.
    """
    program = out.with_suffix(".py")
    program.write_text(PROGRAM)
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    done = subprocess.run(
        [sys.executable, *launch, str(program), str(root_2d), str(root_3d), str(out), "6", str(micro)],
        capture_output=True,
        text=True,
        timeout=200,
        env={**environment(), "PYTHONPATH": str(Path(__file__).parent), "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr
    return load_checkpoint(out / "last.safetensors").part("model")


@pytest.mark.posix("training in several processes")
@pytest.mark.parametrize("micro", [0, 1])
def test_two_processes_learn_what_one_learns_from_the_double_batch(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path, micro: int
) -> None:
    """Loss and weights after every step of SGD, hence the gradients, in 2D, mixed and geometric stages.

    Batches of 6 from 20 2D and 16 3D people: the halves of a batch have unequal numbers of labels of each kind. The
    gradient is clipped, so its norm agrees too. In the 2D stage nothing depends on the depth maps. A process takes its
    half at once, or in three micro batches.
    """
    one = shared(stick_people_2d, stick_people_3d, tmp_path / "one", 1)
    two = shared(stick_people_2d, stick_people_3d, tmp_path / "two", 2, micro)
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    rows = [json.loads((tmp_path / name / "result.json").read_text())["history"] for name in ("one", "two")]
    assert [row["step"] for row in rows[0] if "loss" in row] == [1, 2, 3] * 3
    for first, second in zip(*rows):
        for name in first.keys() - {"images_per_second", "waiting_for_data"}:
            assert second[name] == (pytest.approx(first[name], rel=1e-4) if name != "stage" else first[name])


@pytest.mark.posix("training in several processes")
def test_two_processes_share_the_people_to_be_scored(
    stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path
) -> None:
    """Every person once, whoever predicts him: the score of ``headstart eval`` on the same checkpoint.

    While training one person is scored, of whom the second process has none: it ended the run.
    """
    splits = ("--stages.0.data.0.split", "all", "--validation.0.split", "all", "--validation.0.limit", "1")
    options = (*splits, "--stages.0.budget.samples", "8", "--batch-size", "4", *MODEL)
    data = ("--two-d", "lsp_extended", "--root", f"lsp_extended={stick_people_2d}", "--out", str(tmp_path / "run"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, "-m", "headstart.cli", "train", "pretrain_2d", *data, *options],
        capture_output=True,
        text=True,
        timeout=200,
        env={**environment(), "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr
    (scores,) = json.loads((tmp_path / "run" / "result.json").read_text())["scores"]
    assert scores["n"] == 20
    # One of the processes says how the run goes.
    assert done.stdout.splitlines()[-1] == str(tmp_path / "run" / "result.json")
    assert done.stdout.count("result.json") == 1
    assert done.stderr.count("8/8 images") == 1
    evaluation = [sys.executable, "-m", "headstart.cli", "eval", str(tmp_path / "run" / "last.safetensors"), "--json"]
    where = ("--protocol", "lsp_extended_pck12", "--root", str(stick_people_2d), "--split", "all", "--workers", "0")
    assert json.loads(finish([*evaluation, *where]).stdout)["value"] == pytest.approx(scores["value"])


STOPPED = """
import sys
from pathlib import Path
import torch
from accelerate import PartialState
from headstart import train
from headstart.errors import Interrupted
from tiny import experiment, stage_2d

root, out = Path(sys.argv[1]), Path(sys.argv[2])
honest, rank = train.note_unreadable, 0

def note(progress, *rest):
    honest(progress, *rest)
    if progress.updates == int(sys.argv[3]):
        out.with_name(f"going.{PartialState().process_index}").touch()

train.note_unreadable = note
rare = {"log_samples": 10**9, "checkpoint_samples": None}
try:
    train.run(experiment(stage_2d(root, 10**9), **rare), out, resume=True)
except Interrupted as said:
    out.with_name(f"said.{PartialState().process_index}").write_text(f"{said} {torch.initial_seed()}")
    raise
"""


@pytest.mark.posix("training in several processes")
def test_sigterm_to_torchrun_saves_after_the_same_step_of_both_although_nothing_is_logged(
    stick_people_2d: Path, tmp_path: Path
) -> None:
    """torchrun passes it on and kills after 30 s: the processes agreed only when they logged. Then they go on."""
    program, out = tmp_path / "stopped.py", tmp_path / "run"
    program.write_text(STOPPED)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(program)]
    environs = {**environment(), "PYTHONPATH": str(Path(__file__).parent), "ACCELERATE_USE_CPU": "true"}
    steps = [0]
    for _ in range(2):
        for left in [*tmp_path.glob("going.*"), *tmp_path.glob("said.*")]:
            left.unlink()
        arguments = [*launch, str(stick_people_2d), str(out), str(steps[-1] + 5)]
        with (tmp_path / "log.txt").open("w") as log:
            process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environs)
        try:
            deadline = time.monotonic() + 200
            while len(list(tmp_path.glob("going.*"))) < 2 and process.poll() is None:
                assert time.monotonic() < deadline, "no step in time"
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=100)
        finally:
            process.kill()
        said = [(tmp_path / f"said.{rank}").read_text().split() for rank in range(2)]
        step = load_checkpoint(out / "last.safetensors", ()).header["progress"]["step"]
        assert [words[3] for words in said] == [str(step)] * 2, (tmp_path / "log.txt").read_text()
        # The second process draws from a stream of its own, which is another one once it is resumed.
        assert [int(words[-1]) for words in said] == [0, seed_of_process(0, 1, steps[-1])]
        steps.append(step)
    assert 5 <= steps[1] < steps[2]
    assert not (out / "lock").exists()
