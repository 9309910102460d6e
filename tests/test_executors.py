"""Whole studies in processes of their own: run, killed, resumed, and on a real Ray cluster of two nodes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart import executors
from headstart.errors import ConfigError, TrainingError
from headstart.executors import Folders, Task, run_cell, run_here
from headstart.locks import is_held, try_lock
from headstart.results import RunResult
from headstart.study import cells
from headstart.study_records import cell_record
from studies_in_small import EVERYTHING, study_of

pytestmark = pytest.mark.slow

STUDY = """
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.study import Grid, Study

STUDY = Study(
    "tiny", "Tiny", "Does it run?",
    models={{"nano": ModelConfig("nano", head=HeadConfig(channels=16, heatmap="cross_entropy"), input_size=(64, 64))}},
    samples={{"nano": {samples}}},
    grids=(Grid(("3d_alone", "2d_then_3d"), ("nano",), ("h36m",), ("h36m",), (0, 1)),),
    tests=("h36m_standard",), sheets=("h36m_standard",),
    roots={{"h36m": {three_d!r}}},
    batch_size=4, workers=0, curve_points=2, curve_people=4,
)
"""
NAMES = [
    name.format(seed)
    for seed in (0, 1)
    for name in ("nano-3d_alone-h36m-seed{}", "nano-2d_then_3d-share0.5-h36m-h36m-seed{}")
]


def write_study(folder: Path, three_d: Path, samples: int) -> list[str]:
    """The study's file, and the command that runs it."""
    folder.mkdir()
    text = STUDY.format(samples=samples, three_d=str(three_d))
    (folder / "study.py").write_text(text)
    command = [sys.executable, "-m", "headstart.cli", "study", "run", str(folder / "study.py")]
    return [*command, "--work", str(folder / "work")]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env={**os.environ, **environment})


def require_every_cell_once(folder: Path, steps: int) -> None:
    found = sorted(path.parent.name for path in folder.glob("results/*/result.json"))
    assert found == sorted(NAMES)
    for name in NAMES:
        result = RunResult.load(folder / "results" / name / "result.json")
        assert sum(stage.steps for stage in result.stages) == steps
        # Each logged step once: nothing was lost, and nothing trained twice.
        logged = [(row["stage"], row["step"]) for row in result.history if "loss" in row]
        assert len(logged) == len(set(logged))


def test_a_study_runs_skips_what_is_done_and_repeats_to_the_digit(tmp_path: Path, stick_people_3d: Path) -> None:
    first = write_study(tmp_path / "first", stick_people_3d, 16)
    done = run([*first, "--jobs", "2"])
    assert done.returncode == 0, done.stderr
    require_every_cell_once(tmp_path / "first", 4)
    assert not list((tmp_path / "first/work").rglob("*.safetensors"))
    record = json.loads((tmp_path / "first/study.json").read_text())
    assert record["protocols"] == ["h36m_standard"]
    with np.load(tmp_path / "first/results" / NAMES[0] / "samples.npz", allow_pickle=False) as samples:
        assert samples["label_2d"].shape == samples["predicted_2d"].shape == (len(samples["keys"]), 18, 2)
        assert len(samples["offsets"]) == len(samples["keys"]) + 1
        assert samples["offsets"][-1] == len(samples["jpegs"])
        assert np.isfinite(samples["error_mm"]).all()

    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "first/results").rglob("*.json")}
    again = run(first)
    assert again.returncode == 0, again.stderr
    assert "4 of 4 cells" in again.stdout
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "first/results").rglob("*.json")}

    name = NAMES[1]
    # Copied by content, so that its files have other times too.
    moved = shutil.copytree(stick_people_3d, tmp_path / "elsewhere", copy_function=shutil.copy)
    second = write_study(tmp_path / "second", moved, 16)
    second[4:6] = ["cell", second[5], name]
    assert run(second).returncode == 0
    results = [RunResult.load(tmp_path / study / "results" / name / "result.json") for study in ("first", "second")]
    scores = [[one.value for one in result.scores] for result in results]
    assert scores[0] == scores[1]
    assert [list(result.test_labels) for result in results] == [["h36m_standard"]] * 2
    assert results[0].test_labels == results[1].test_labels
    labels = [[stage.labels for stage in result.stages] for result in results]
    assert labels[0] == labels[1]
    assert all(re.fullmatch("labels1:[0-9a-f]{16}", digest) for stage in labels[0] for digest in stage)
    assert [len(stage) for stage in labels[0]] == [1, 1]
    # A cell alone, as in a job array, leaves what the report reads.
    assert json.loads((tmp_path / "second/study.json").read_text()) == record
    assert RunResult.load(tmp_path / "second/results" / name / "result.json").processes == 1


def test_a_cell_in_micro_batches_is_the_same_cell_and_says_so(tmp_path: Path, stick_people_3d: Path) -> None:
    command = write_study(tmp_path / "study", stick_people_3d, 16)
    command[4:6] = ["cell", command[5], NAMES[0]]
    done = run([*command, "--micro-batch-size", "2"])
    assert done.returncode == 0, done.stderr
    result = RunResult.load(tmp_path / "study/results" / NAMES[0] / "result.json")
    assert (result.config["batch_size"], result.config["micro_batch_size"]) == (4, 2)
    assert [(stage.steps, stage.samples) for stage in result.stages] == [(4, 16)]
    # Finished, without micro batches too: it is not trained again.
    status = run([*command[:4], "status", command[5], "--only", NAMES[0]])
    assert "1 of 1 cells finished" in status.stdout, status.stderr


@pytest.mark.posix("SIGKILL")
def test_a_killed_study_goes_on_without_a_lost_or_doubled_cell(tmp_path: Path, stick_people_3d: Path) -> None:
    command = write_study(tmp_path / "study", stick_people_3d, 240)
    work = tmp_path / "study/work"
    for number in (signal.SIGTERM, signal.SIGKILL):
        began = time.time()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_for(process, lambda: newest(work) > began)  # noqa: B023  # called before the loop goes on
        process.send_signal(number)
        code = process.wait(timeout=100)
        assert code == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    # A cell that outlived its killed parent finishes, or is waited for.
    done = run([*command, "--jobs", "2"])
    assert done.returncode == 0, done.stderr
    require_every_cell_once(tmp_path / "study", 60)
    status = run([*command[:4], "status", *command[5:]])
    assert "4 of 4 cells finished" in status.stdout


@pytest.mark.posix("training in several processes")
def test_a_cell_spans_processes_by_torchrun(tmp_path: Path, stick_people_3d: Path) -> None:
    """``--processes 2``: as many FLOPs and steps' worth of samples as alone, one result, filed once."""
    command = write_study(tmp_path / "study", stick_people_3d, 48)
    command[4:6] = ["cell", command[5], NAMES[1]]
    done = run([*command, "--processes", "2"], ACCELERATE_USE_CPU="true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{NAMES[1]}: h36m_standard ")
    (path,) = (tmp_path / "study/results").glob("*/result.json")
    result = RunResult.load(path)
    assert [stage.samples for stage in result.stages] == [24, 24]
    assert [stage.steps for stage in result.stages] == [6, 6]
    assert [stage.people for stage in result.stages] == [[16], [16]]
    assert result.processes == 2
    record = json.loads(path.with_name("cell.json").read_text())
    assert sum(stage.flops for stage in result.stages) == record["budget_flops"]
    assert path.with_name("samples.npz").is_file()


def test_a_failed_cell_does_not_stop_the_others_and_is_named(tmp_path: Path) -> None:
    tasks = [Task(name, (verb,), tmp_path / name) for name, verb in (("bad", "fly"), ("good", "--help"))]
    done: list[str] = []
    with pytest.raises(TrainingError, match="1 cells failed: bad"):
        run_here(tasks, 1, lambda task: done.append(task.name))
    assert done == ["good"]


class Program(Task):
    """A task that runs a line of Python instead of a verb."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", *self.arguments]


def test_cells_that_another_process_runs_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two executors on one file system share the cells, instead of one waiting for the cell that the other runs.

    The first is held until the free one is done, then begun; the second meanwhile finished by its holder.
    """
    monkeypatch.setattr(executors, "LOOK_AGAIN", 0.1)
    tasks = [Program(name, ("pass",), tmp_path / name) for name in ("held", "finished elsewhere", "free")]
    locks = {task.name: try_lock(task.work) for task in tasks[:2]}
    done: list[str] = []

    def on_done(task: Task) -> None:
        done.append(task.name)
        if (lock := locks["held"]) is not None:
            lock.close()

    run_here(tasks, 1, on_done, lambda task: task.name == "finished elsewhere" and "free" in done)
    assert sorted(done) == sorted(task.name for task in tasks)
    assert done[0] == "free"
    assert tasks[0].log.is_file()
    assert not tasks[1].log.exists()


def test_a_cell_that_cannot_be_started_does_not_stop_the_others(tmp_path: Path) -> None:
    """A file where the folder should be, as somebody else's folder would be: nothing can be locked there."""
    tasks = [Program(name, ("pass",), tmp_path / name) for name in ("mine", "theirs", "later")]
    tasks[1].work.touch()
    done: list[str] = []
    with pytest.raises(TrainingError, match="1 cells failed: theirs"):
        run_here(tasks, 1, lambda task: done.append(task.name))
    assert done == ["mine", "later"]


@pytest.mark.posix("locks that a child inherits")
def test_a_cell_is_locked_by_who_starts_it_and_for_as_long_as_it_runs(tmp_path: Path) -> None:
    """Before its own process could: those of a torchrun must not race for it."""
    task = Program("cell", ("import time; time.sleep(100)",), tmp_path / "cell")
    process = task.start()
    assert process is not None
    try:
        assert is_held(task.work)
        assert task.start() is None
    finally:
        process.kill()
        process.wait()
    assert not is_held(task.work)


def test_a_cell_runs_where_its_task_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray worker's directory is where its raylet was started; the study's data folders may be relative."""
    monkeypatch.chdir(tmp_path)
    task = Program("cell", ("import os; print(os.getcwd())",), tmp_path / "work")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    process = task.start()
    assert process is not None
    assert process.wait() == 0
    assert task.log.read_text() == f"{tmp_path}\n"


def test_jobs_see_different_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "gpus_here", lambda: ["0", "1"])
    line = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(1)"
    tasks = [Program(name, (line,), tmp_path / name) for name in ("a", "b")]
    run_here(tasks, 2, lambda task: None)
    assert sorted(task.log.read_text() for task in tasks) == ["0\n", "1\n"]


@pytest.mark.posix("titles of processes, by which Ray's are found")
def test_ray_runs_every_cell_once_though_a_worker_is_killed(
    tmp_path: Path, stick_people_3d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    import psutil
    from ray.cluster_utils import Cluster

    command = write_study(tmp_path / "study", stick_people_3d, 120)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")  # a busy machine
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        ray_command = [*command, "--executor", "ray", "--address", cluster.address]
        with (tmp_path / "log.txt").open("w") as log:
            process = subprocess.Popen(ray_command, stdout=log, stderr=log, env=os.environ)
        held = wait_for(process, lambda: [path for path in (tmp_path / "study/work").glob("*") if is_held(path)])
        assert held, (tmp_path / "log.txt").read_text()
        workers = [p for p in psutil.process_iter(["cmdline"]) if "ray::_run_task" in " ".join(p.info["cmdline"] or [])]
        assert workers
        workers[0].kill()
        assert process.wait(timeout=400) == 0, (tmp_path / "log.txt").read_text()
    finally:
        cluster.shutdown()
    require_every_cell_once(tmp_path / "study", 30)
    assert "4 of 4 cells" in (tmp_path / "log.txt").read_text()


def newest(work: Path) -> float:
    """When the last checkpoint was written."""
    # Not rglob: it fails where a folder vanishes meanwhile, as those of writes in progress do.
    times = [0.0]
    for folder, _, files in os.walk(work):
        if "last.safetensors" in files:
            with suppress(FileNotFoundError):  # filed in the meantime
                times.append(os.stat(Path(folder, "last.safetensors")).st_mtime)
    return max(times)


def wait_for(process: subprocess.Popen[bytes], condition: Callable[[], object], seconds: float = 300) -> object:
    """What ``condition`` gives once that is true; ``process`` must be alive until then."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("change", [{"losses": {"heatmap_cross_entropy": 2.0}}, {"tests": ("h36m_protocol1",)}, None])
def test_a_run_that_another_plan_left_in_the_working_folder_is_not_filed(tmp_path: Path, change: dict | None) -> None:
    """Kept weights, or a kill between training and filing, and then other losses or tests: not the numbers of before.

    None: a run of an earlier version, which did not say whose it was.
    """
    study = study_of(EVERYTHING)
    cell, folders = cells(study)[0], Folders(tmp_path / "results", tmp_path / "work")
    work = tmp_path / "work" / cell.name
    RunResult("cell", 0, {}, "sha", "cpu", [], []).save(work / "run" / "result.json")
    if change is not None:
        (work / "cell.json").write_text(json.dumps(cell_record(replace(study, **change), cell)))
    with pytest.raises(ConfigError, match=r"holds a run of another plan .* choose another --work"):
        run_cell(study, cell, folders, {})
    assert not (tmp_path / "results").exists()
