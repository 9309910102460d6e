"""Running the cells of a study: here, one or a few at a time, or on a Ray cluster. A cell is a process of its own.

A cell is finished when its ``result.json`` lies among the results, which is the last file written and appears in one
step. Who runs a cell holds a lock on its working folder, so two executors (or a retry beside an orphan) never run it
twice; a cell that was killed goes on from its checkpoint.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import ConfigError, TrainingError
from headstart.results import RunResult, write_atomically
from headstart.study import Cell, Study, cells
from headstart.study_plan import experiment, require_budget
from headstart.study_records import cell_record, finished

logger = logging.getLogger("headstart")


@dataclass(frozen=True)
class Folders:
    """Where a study's cells leave things; on a cluster both must lie on a file system that all nodes share."""

    results: Path
    """Small and kept: one folder a cell with cell.json, result.json, samples.npz."""
    work: Path
    """Large and passing: checkpoints and logs, one folder a cell."""


def run_cell(study: Study, cell: Cell, folders: Folders, roots: Mapping[str, str], keep: bool = False) -> RunResult:
    """Train, score and file one cell, or return what an earlier or simultaneous run of it left.

    ``keep`` leaves its weights in the working folder. Raises :class:`ConfigError` for a budget that was not kept, and
    for a working folder in which another plan has left a run.
    """
    from headstart.samples import write_samples
    from headstart.train import run

    record, work, kept = cell_record(study, cell), folders.work / cell.name, folders.results / cell.name
    with _alone(work):
        if (done := finished(folders.results, record)) is not None:
            return done
        plan = experiment(study, cell, roots)
        training = work / "run"
        _claim(work, record)
        # A run that was killed while filing its result has nothing left to train.
        own = training / "result.json"
        result = RunResult.load(own) if own.is_file() else run(plan, training, resume=True)
        if os.environ.get("RANK", "0") != "0":
            return result
        step = record["flops_per_sample"] * study.batch_size
        require_budget(cell, sum(stage.flops for stage in result.stages), record["budget_flops"], step)
        kept.mkdir(parents=True, exist_ok=True)
        if study.sheets and cell.seed == min(one.seed for one in cells(study)):
            write_samples(training / "last.safetensors", plan, study.sheets, kept / "samples.npz")
        write_atomically(kept / "cell.json", json.dumps(record, indent=1).encode())
        result.save(kept / "result.json")
        if not keep:
            shutil.rmtree(training)
        return result


def _claim(work: Path, record: Mapping[str, Any]) -> None:
    """Remember which plan's run lies in a working folder, so that its numbers are filed under no other."""
    path = work / "cell.json"
    # On a cluster of several processes the first writes, and the others may come before it.
    if path.is_file() or (work / "run" / "result.json").is_file():
        saved = json.loads(path.read_text()) if path.is_file() else {}
        if different := [name for name, value in record.items() if saved.get(name) != value]:
            names = ", ".join(different)
            raise ConfigError(
                f"{work} holds a run of another plan ({names} differ): delete it, or choose another --work"
            )
    write_atomically(path, json.dumps(record, indent=1).encode())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when its holder dies, however it dies. Waits for another holder.

    The processes of one torchrun share the work: their first takes the lock for all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    with (folder / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            logger.info("%s is being run by another process; waiting for it", folder.name)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def is_held(folder: Path) -> bool:
    """Whether a process runs the cell whose working folder this is."""
    if not (folder / "lock").is_file():
        return False
    with (folder / "lock").open("r") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@dataclass(frozen=True)
class Task:
    """A cell to run, as a command."""

    name: str
    arguments: tuple[str, ...]
    """Of ``headstart``."""
    log: Path
    processes: int = 1
    """More than one: torchrun, one process a GPU."""
    threads: int = 1

    def command(self) -> list[str]:
        """With the interpreter of whoever runs it, which on a cluster is the worker's."""
        launch = [sys.executable, "-m"]
        if self.processes > 1:
            launch += ["torch.distributed.run", "--standalone", f"--nproc-per-node={self.processes}", "-m"]
        return [*launch, "headstart.cli", *self.arguments]

    def environment(self) -> dict[str, str]:
        """Threads are set before any library starts its own."""
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return {**os.environ, **dict.fromkeys(names, str(self.threads))}

    def start(self) -> subprocess.Popen[bytes]:
        """In its own session, so that a signal to us reaches it through us alone."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as stream:
            return subprocess.Popen(
                self.command(), stdout=stream, stderr=stream, env=self.environment(), start_new_session=True
            )

    def last_words(self) -> str:
        """The last line of its log: an error says what it is there."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.is_file() else []
        return lines[-1] if lines else "no output"


def run_here(tasks: Sequence[Task], jobs: int, on_done: Callable[[Task], None]) -> None:
    """Run tasks on this machine, ``jobs`` at a time, in their order.

    A task that fails does not stop the others; raises :class:`TrainingError` naming every failed one at the end. On
    SIGTERM or SIGINT the running cells save checkpoints first.
    """
    waiting, running, failed = list(tasks), dict[Task, "subprocess.Popen[bytes]"](), list[Task]()
    with _signals_passed_on(running) as interrupted:
        while running or (waiting and not interrupted()):
            while waiting and len(running) < jobs and not interrupted():
                task = waiting.pop(0)
                running[task] = task.start()
            time.sleep(0.2)
            for task, process in [(task, process) for task, process in running.items() if process.poll() is not None]:
                del running[task]
                if process.returncode == 0:
                    on_done(task)
                elif not interrupted():
                    failed.append(task)
                    logger.error("cell %s failed: %s (log: %s)", task.name, task.last_words(), task.log)
        if interrupted():
            raise Interrupted("stopped; the same command goes on where it was")
    _require_none_failed(failed)


class Interrupted(TrainingError):
    """A signal asked the study to stop; its cells have saved their checkpoints."""


def _require_none_failed(failed: Sequence[Task]) -> None:
    if failed:
        named = "; ".join(f"{task.name}: {task.last_words()} ({task.log})" for task in failed[:5])
        raise TrainingError(f"{len(failed)} cells failed: {named}. The same command runs them again")


@contextmanager
def _signals_passed_on(running: Mapping[Task, subprocess.Popen[bytes]]) -> Iterator[Callable[[], bool]]:
    """SIGTERM and SIGINT go to the running cells as SIGTERM; the function says whether one has come."""
    received: list[int] = []

    def pass_on(number: int, frame: Any) -> None:
        received.append(number)
        for process in running.values():
            process.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_on_ray(
    tasks: Sequence[Task], address: str, cpus: float, gpus: float, on_done: Callable[[Task], None], retries: int = 10
) -> None:
    """Run tasks on a Ray cluster, as many at once as ``cpus`` and ``gpus`` a cell leave room for.

    A worker or a node that dies has its cell begun again elsewhere (at most ``retries`` times), from its last
    checkpoint. Raises :class:`ConfigError` without Ray or without a cluster at ``address``, :class:`TrainingError`
    naming the cells that failed by themselves.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--executor ray needs: pip install 'headstart[ray]'") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ConfigError(
            f"--address {address}: no Ray cluster answers there ({error}); start: ray start --head"
        ) from error
    failed: list[Task] = []
    try:
        submit = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=retries, scheduling_strategy="SPREAD")(_run_task)
        pending = {submit.remote(task): task for task in tasks}
        while pending:
            ready, _ = ray.wait(list(pending), num_returns=1)
            task = pending.pop(ready[0])
            try:
                returned = ray.get(ready[0])
            except ray.exceptions.RayError as error:
                logger.error("cell %s: %s", task.name, error)
                returned = 1
            if returned == 0:
                on_done(task)
            else:
                failed.append(task)
    finally:
        ray.shutdown()
    _require_none_failed(failed)


def _run_task(task: Task) -> int:
    """On the worker: the exit code of the cell. If the worker is stopped, so is the cell."""
    process = task.start()
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
