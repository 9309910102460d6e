"""When a run stops by itself: another run in its folder, unreadable pictures, numbers that are not finite."""

from __future__ import annotations

import errno
import logging
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from headstart import safeguards
from headstart.errors import ConfigError, TrainingError
from headstart.index import AnnotationIndex
from headstart.loader import Mixture
from headstart.locks import locked_file
from headstart.progress import Progress
from headstart.records import Batch
from headstart.safeguards import alone_in, first_not_finite, note_unreadable, one_line_if_out_of_memory


def batch(size: int, unreadable: int) -> Batch:
    """``size`` samples of the first people of the first data set, the first of them unreadable."""
    nothing = torch.zeros(size)
    fields = dict.fromkeys(Batch.__dataclass_fields__, nothing)
    rows = torch.arange(size) % 20
    return Batch(**{**fields, "row": rows, "dataset": nothing.long(), "readable": torch.arange(size) >= unreadable})


# --- another run in the folder ---

MAIN: Any = SimpleNamespace(is_main_process=True)


def test_a_run_has_its_folder_alone_and_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safeguards.time, "sleep", lambda seconds: None)
    out = tmp_path / "runs" / "first"
    with alone_in(out, MAIN):
        with pytest.raises(ConfigError, match=f"^{out}: another run trains in this folder"), alone_in(out, MAIN):
            pass
        assert (out / "lock").is_file()
        (out / "config.json").touch()
    assert [path.name for path in out.iterdir()] == ["config.json"]
    with alone_in(out, MAIN):  # resumed
        pass
    assert [path.name for path in out.iterdir()] == ["config.json"]


def test_a_run_that_fails_before_it_has_written_anything_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), alone_in(tmp_path / "runs" / "first", MAIN):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_freed_in_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a killed run, which its loader processes hold until they have noticed."""
    killed = locked_file(tmp_path / "lock")
    assert killed.__enter__()
    monkeypatch.setattr(safeguards.time, "sleep", lambda seconds: killed.__exit__(None, None, None))
    with alone_in(tmp_path, MAIN):
        pass


def test_the_other_processes_of_a_run_leave_the_lock_to_the_main_one(tmp_path: Path) -> None:
    other: Any = SimpleNamespace(is_main_process=False)
    with alone_in(tmp_path, MAIN):
        with alone_in(tmp_path, other):
            assert (tmp_path / "lock").is_file()
        assert (tmp_path / "lock").is_file(), "the other process has freed the main one's lock"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix("flock")
def test_a_file_system_without_locks_is_said_and_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without_locks(stream: Any, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", without_locks)
    caplog.set_level(logging.WARNING, "headstart")
    with alone_in(tmp_path / "run", MAIN):
        assert list((tmp_path / "run").iterdir()) == []
    (said,) = caplog.messages
    assert said.startswith(f"{tmp_path / 'run'}: its file system has no locks")
    assert said.endswith("start no second run in this folder while this one trains")


# --- pictures and numbers ---


@pytest.fixture
def mixture(index_2d: AnnotationIndex) -> Mixture:
    return Mixture([index_2d], [None], ())


@pytest.mark.parametrize(
    ("updates", "size", "listed", "stops"),
    [
        (0, 32, 4, False),  # five of at least 500
        (0, 32, 5, True),
        (699, 32, 223, False),  # 224 of 22,400 samples in all stages so far
        (699, 32, 224, True),
        (699, 8, 55, False),  # one of four processes: 56 of its own 5,600
        (699, 8, 56, True),
    ],
)
def test_one_in_a_hundred_samples_of_all_stages_may_be_unreadable(
    mixture: Mixture, updates: int, size: int, listed: int, stops: bool
) -> None:
    """Whatever the step in the stage, which begins at 0 again."""
    progress = Progress(stage=1, step=3, updates=updates, unreadable=[f"{n}.jpg" for n in range(listed)])
    if stops:
        with pytest.raises(TrainingError, match=f"{listed + 1} among"):
            note_unreadable(progress, batch(size, 1), mixture)
    else:
        note_unreadable(progress, batch(size, 1), mixture)
        note_unreadable(progress, batch(size, 1), mixture)
        assert len(progress.unreadable) == listed + 1
        assert Path(progress.unreadable[-1]) == mixture.indexes[0][0].image


@pytest.mark.parametrize(
    ("losses", "first"),
    [([1.0, 2.0], None), ([1.0, math.nan, math.inf], 1), ([-math.inf, 1.0], 0), ([0.0, 1e38, math.nan], 2)],
)
def test_the_first_loss_that_is_not_finite(losses: list[float], first: int | None) -> None:
    assert first_not_finite(torch.tensor(loss) for loss in losses) == first


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory.\nTried"),
            r"^CUDA out of memory\. Begin anew with a smaller --micro-batch",
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. "), r"Bus error\. If memory was full"),
    ],
)
def test_too_little_memory_is_one_line(error: RuntimeError, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught, one_line_if_out_of_memory():
        raise error
    assert "\n" not in str(caught.value)


def test_other_errors_stay_as_they_are() -> None:
    """An error of a worker's own code names the worker too."""
    error = RuntimeError("Caught RuntimeError in DataLoader worker process 0.")
    with pytest.raises(RuntimeError) as caught, one_line_if_out_of_memory():
        raise error
    assert caught.value is error
