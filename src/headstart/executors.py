"""Runs the cells of a study, each in a process of its own: on this machine, or on a Ray cluster.

A cell is finished when its ``result.json`` lies among the results: it is the last file written, and appears in one
step. Whoever starts a cell locks its working folder, and the cell inherits the lock, so two executors (or a retry
beside an orphan) never run it twice. A cell that was killed continues from its checkpoint.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart.devices import gpus_here, visible_devices
from headstart.display import is_main_process
from headstart.errors import ConfigError, Interrupted, TrainingError
from headstart.files import write_json
from headstart.locks import INHERITABLE, LOOK_AGAIN, alone, inherited, inherited_files, try_lock
from headstart.results import RunResult
from headstart.study import Cell, Study, cells
from headstart.study_plan import experiment, require_budget
from headstart.study_records import cell_record, claim, filed, finished
from headstart.workers import THREAD_VARIABLES

logger = logging.getLogger("headstart")


@dataclass(frozen=True)
class Folders:
    """Where a study's cells leave things; on a cluster both must lie on a file system that all nodes share."""

    results: Path
    """Small and kept: one folder a cell with cell.json, result.json, samples.npz."""
    work: Path
    """Large and temporary: checkpoints and logs, one folder a cell."""


def run_cell(
    study: Study, cell: Cell, folders: Folders, roots: Mapping[str, str], keep: bool = False, micro_batch_size: int = 0
) -> RunResult:
    """Train, score and file one cell, or return what an earlier or simultaneous run of it left.

    A finished cell is scored under tests that were added to the study since, and its result gains these scores.
    ``keep`` leaves its weights in the working folder. ``micro_batch_size``: samples of a process at a time; 0: all.
    Raises :class:`ConfigError` for a budget not kept, a run of another plan in the folder, and torchrun without a lock.
    """
    from headstart.added_tests import with_added_tests
    from headstart.samples import write_samples
    from headstart.train import run

    record, work, kept = cell_record(study, cell), folders.work / cell.name, folders.results / cell.name
    with alone(work):
        if (done := finished(folders.results, study, cell)) is not None:
            return done
        plan = replace(experiment(study, cell, roots), micro_batch_size=micro_batch_size or None)
        training = work / "run"
        if (trained := filed(folders.results, study, cell)) is None:
            claim(work, study, cell)
        # A run that was killed while filing its result has nothing left to train.
        own, last = training / "result.json", training / "last.safetensors"
        result = trained or (RunResult.load(own) if own.is_file() else run(plan, training, resume=True))
        result = with_added_tests(plan, last, result)
        if not is_main_process():
            return result
        step = record["flops_per_sample"] * study.batch_size
        require_budget(cell, sum(stage.flops for stage in result.stages), record["budget_flops"], step)
        kept.mkdir(parents=True, exist_ok=True)
        if study.sheets and cell.seed == min(one.seed for one in cells(study)):
            write_samples(last, plan, study.sheets, kept / "samples.npz", add=trained is not None)
        if trained is None:
            write_json(kept / "cell.json", record)
        result.save(kept / "result.json")
        if trained is None and not keep:
            shutil.rmtree(training)
        return result


@dataclass(frozen=True)
class Task:
    """A cell to run, as a command."""

    name: str
    arguments: tuple[str, ...]
    """Of ``headstart``."""
    work: Path
    """The cell's working folder: its lock and its log."""
    processes: int = 1
    """More than one: torchrun, one process a GPU."""
    threads: int = 1
    folder: Path = field(default_factory=Path.cwd)
    """Where the command runs, on a cluster too: what relative paths of the study start from."""

    @property
    def log(self) -> Path:
        """What the cell prints."""
        return self.work / "log.txt"

    def command(self) -> list[str]:
        """With the interpreter of whoever runs it, which on a cluster is the worker's."""
        launch = [sys.executable, "-m"]
        if self.processes > 1:
            launch += ["torch.distributed.run", "--standalone", f"--nproc-per-node={self.processes}", "-m"]
        return [*launch, "headstart.cli", *self.arguments]

    def environment(self, devices: str | None = None) -> dict[str, str]:
        """Threads are set before any library starts its own; ``devices`` are the GPUs that the cell sees."""
        seen = {} if devices is None else {"CUDA_VISIBLE_DEVICES": devices}
        return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(self.threads)), **seen, **inherited(self.work)}

    def start(self, devices: str | None = None) -> subprocess.Popen[bytes] | None:
        """In its own session, so that a signal to us reaches it through us alone (Windows has none); None if another
        process runs the cell. Raises :class:`ConfigError` where the file system has no locks, and for several processes
        where they could not share one."""
        if self.processes > 1 and not INHERITABLE:
            raise ConfigError("--processes: expected 1 on Windows, where processes cannot share a cell's lock")
        lock = try_lock(self.work)
        if lock is None:
            return None
        with lock, self.log.open("ab") as stream:
            return subprocess.Popen(
                self.command(),
                stdout=stream,
                stderr=stream,
                env=self.environment(devices),
                cwd=self.folder,
                start_new_session=True,
                pass_fds=inherited_files(lock),  # held until the child ends, even if we do before
            )

    def last_words(self) -> str:
        """The last line of its log: an error says what it is there."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.is_file() else []
        return lines[-1] if lines else "no output"


Running = tuple[Task, "subprocess.Popen[bytes]"]


class _Queue:
    """Tasks that wait. One that another process runs goes to the end, and is tried again after a while."""

    def __init__(self, tasks: Iterable[Task], is_done: Callable[[Task], bool], on_done: Callable[[Task], None]) -> None:
        self.due = dict.fromkeys(tasks, 0.0)
        """Task -> when to try it, in seconds of the monotonic clock."""
        self.is_done, self.on_done = is_done, on_done
        self.failed: list[Task] = []
        """Tasks that could not be started; :func:`run_here` adds those that failed."""

    def start_next(self, devices: str | None) -> Running | None:
        """The first task that nobody runs or has run, started."""
        for task in [task for task, due in self.due.items() if due <= time.monotonic()]:
            seen_before = self.due.pop(task) > 0
            if self.is_done(task):
                self.on_done(task)
                continue
            try:
                process = task.start(devices)
            except OSError as error:  # a folder of somebody else, say
                self.failed.append(task)
                logger.error("cell %s could not be started: %s", task.name, error)
                continue
            if process is not None:
                return task, process
            self.due[task] = time.monotonic() + LOOK_AGAIN
            if not seen_before:
                logger.info("cell %s is being run by another process; the others first", task.name)
        return None


def run_here(
    tasks: Sequence[Task],
    jobs: int,
    on_done: Callable[[Task], None],
    is_done: Callable[[Task], bool] = lambda task: False,
) -> None:
    """Run tasks on this machine, ``jobs`` at a time, in their order, but those that another process runs last.

    ``is_done`` tells of a cell that was missing whether another executor has finished it since. GPUs are dealt out. A
    task that fails does not stop the others; raises :class:`TrainingError` naming every failed one at the end. On
    SIGTERM or SIGINT the running cells save checkpoints first.
    """
    queue, running = _Queue(tasks, is_done, on_done), dict[int, Running]()
    gpus, processes = gpus_here(), max((task.processes for task in tasks), default=1)
    with _signals_passed_on(running) as interrupted:
        while running or (queue.due and not interrupted()):
            for slot in [slot for slot in range(jobs) if slot not in running and not interrupted()]:
                if started := queue.start_next(visible_devices(slot, processes, gpus)):
                    running[slot] = started
                    if interrupted():  # by a signal that came before there was a process to pass it on to
                        started[1].terminate()
            time.sleep(0.2)
            for slot, (task, process) in [one for one in running.items() if one[1][1].poll() is not None]:
                del running[slot]
                if process.returncode == 0:
                    on_done(task)
                elif not interrupted():
                    queue.failed.append(task)
                    logger.error("cell %s failed: %s (log: %s)", task.name, task.last_words(), task.log)
        if interrupted():
            raise Interrupted("stopped; run the same command to continue")
    _require_none_failed(queue.failed)


def _require_none_failed(failed: Sequence[Task]) -> None:
    if failed:
        named = "; ".join(f"{task.name}: {task.last_words()} ({task.log})" for task in failed[:5])
        raise TrainingError(f"{len(failed)} cells failed: {named}. The same command runs them again")


@contextmanager
def _signals_passed_on(running: Mapping[int, Running]) -> Iterator[Callable[[], bool]]:
    """SIGTERM and SIGINT go to the running cells as SIGTERM; the function says whether one has come.

    On Windows a terminated process could not save, and Ctrl-C reaches the cells by itself: they share our console.
    """
    received: list[int] = []

    def pass_on(number: int, frame: Any) -> None:
        received.append(number)
        if sys.platform != "win32":
            for _, process in running.values():
                process.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_on_ray(
    tasks: Sequence[Task],
    address: str,
    cpus: float,
    gpus: float,
    on_done: Callable[[Task], None],
    is_done: Callable[[Task], bool] = lambda task: False,
    retries: int = 10,
) -> None:
    """Run tasks on a Ray cluster, as many at once as ``cpus`` and ``gpus`` a cell leave room for.

    A worker or a node that dies has its cell begun again elsewhere (at most ``retries`` times), from its last
    checkpoint. A cell that another process runs is looked at again later, as in :func:`run_here`. Raises
    :class:`ConfigError` without Ray or without a cluster at ``address``, :class:`TrainingError` naming the cells that
    failed by themselves.
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
            if returned == 0 or (returned is None and is_done(task)):
                on_done(task)
            elif returned is None:
                pending[submit.remote(task)] = task
            else:
                failed.append(task)
    finally:
        ray.shutdown()
    _require_none_failed(failed)


def _run_task(task: Task) -> int | None:
    """On the worker: the exit code of the cell, or None if another process runs it. If the worker is stopped, so is
    the cell."""
    process = task.start()
    if process is None:
        time.sleep(LOOK_AGAIN)
        return None
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
