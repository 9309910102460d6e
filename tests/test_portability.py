"""What macOS and Windows do differently, acted out on any system."""

from __future__ import annotations

import errno
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import torch

from headstart import executors, files, index, locks
from headstart.augment import MILD
from headstart.checkpoint import load_checkpoint, save_checkpoint
from headstart.cli import outcome
from headstart.cli.outputs import Outputs
from headstart.errors import ConfigError
from headstart.executors import Task
from headstart.files import write_atomically
from headstart.index import AnnotationIndex, open_index
from headstart.inspection import write_picture
from headstart.loader import CropDataset, build_eval_loader, build_train_loader, collate
from headstart.locks import is_held
from headstart.results import RunResult
from headstart.sampling import Draw, MixtureSampler
from headstart.skeleton import BODY_18
from test_results import run_result

# --- locks of Windows ---


def windows_locking(descriptor: int, mode: int, count: int) -> None:
    """msvcrt.locking, whose locks are of a handle too, and which refuses with EACCES."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(errno.EACCES, "Permission denied") from error


@pytest.fixture
def windows_locks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """locks.py as Windows imports it, where there is no fcntl."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=windows_locking, LK_NBLCK=2))  # type: ignore[misc]
    monkeypatch.setattr(sys, "platform", "win32")
    spec = importlib.util.spec_from_file_location("locks_of_windows", locks.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.undo()
    return module


@pytest.mark.posix("flock to act its own locks out with")
def test_windows_has_locks_without_fcntl(tmp_path: Path, windows_locks: ModuleType) -> None:
    with windows_locks.alone(tmp_path):
        assert windows_locks.try_lock(tmp_path) is None
        assert windows_locks.is_held(tmp_path)
    assert not windows_locks.is_held(tmp_path)


@pytest.mark.posix("flock to act its own locks out with")
def test_no_child_is_told_that_it_has_a_lock_of_windows(tmp_path: Path, windows_locks: ModuleType) -> None:
    """subprocess refuses pass_fds there, and a child that took the lock for its parent's would run without one."""
    stream = windows_locks.try_lock(tmp_path)
    assert windows_locks.inherited_files(stream) == []
    assert windows_locks.inherited(tmp_path) == {}
    stream.close()


CHILD = """
import sys, time
from pathlib import Path
from headstart.locks import alone
with alone(Path(sys.argv[1])):
    time.sleep(100)
"""


class Child(Task):
    """A cell that does nothing, under its lock."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", CHILD, str(self.work)]


def test_a_cell_takes_the_lock_that_it_cannot_inherit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "INHERITABLE", False)
    task = Child("cell", (), tmp_path / "cell")
    process = task.start()
    assert process is not None
    try:
        ends = time.monotonic() + 60
        while not is_held(task.work) and time.monotonic() < ends:
            time.sleep(0.1)
        assert task.start() is None
    finally:
        process.kill()
        process.wait()
    assert not is_held(task.work)


def test_several_processes_need_a_lock_that_can_be_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "INHERITABLE", False)
    with pytest.raises(ConfigError, match=r"--processes: expected 1 on Windows"):
        Task("cell", (), tmp_path / "cell", processes=2).start()


@pytest.mark.parametrize(("platform", "terminated"), [("linux", 1), ("win32", 0)])
def test_cells_may_save_when_somebody_presses_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, platform: str, terminated: int
) -> None:
    """To terminate is to kill on Windows; there the cells have had the Ctrl-C themselves."""
    monkeypatch.setattr(sys, "platform", platform)
    calls: list[None] = []
    process: Any = SimpleNamespace(terminate=lambda: calls.append(None))
    with executors._signals_passed_on({0: (Task("cell", (), Path()), process)}) as interrupted:
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
    assert len(calls) == terminated


# --- files of Windows ---


def fsync_of_windows(descriptor: int) -> None:
    import fcntl

    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


@pytest.mark.posix("fcntl")
def test_a_checkpoint_is_synced_through_a_writable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fsync_of_windows)
    save_checkpoint(tmp_path / "last.safetensors", {"model.w": torch.ones(2)}, {})
    assert load_checkpoint(tmp_path / "last.safetensors").tensors["model.w"].tolist() == [1, 1]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux says which files are mapped")
def test_a_checkpoint_that_was_read_can_be_replaced(tmp_path: Path) -> None:
    """Windows replaces no mapped file: a run that had been resumed could not have saved again."""
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, {"ema.w": torch.ones(100_000)}, {})
    loaded = load_checkpoint(path)
    assert str(path) not in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert loaded.tensors["ema.w"].sum() == 100_000


def test_an_index_that_another_process_has_made_meanwhile_is_taken(
    stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows replaces no mapped file: two cells that open a data set for the first time would not both get it."""
    made = index.write_index

    def made_by_another_first(path: Path, *arguments: Any) -> int:
        (people, *rest), taken = arguments, path.with_suffix(".taken")
        count = made(taken, people, *rest)
        taken.rename(path)
        raise index.DataError(path, "room to write the index", found=f"Permission denied, {count} people")

    monkeypatch.setattr(index, "write_index", made_by_another_first)
    assert len(open_index("lsp_extended", stick_people_2d, "all", tmp_path)) == 20


def test_a_table_that_is_open_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the temporary file, which nobody has asked for."""

    def refuse(source: str, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Access is denied", source, None, str(target))

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(PermissionError) as caught:
        write_atomically(tmp_path / "people.csv", b"1")
    assert caught.value.filename == str(tmp_path / "people.csv")
    assert list(tmp_path.iterdir()) == []


def test_pictures_go_by_python_to_names_beyond_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV hands UTF-8 to a Windows that reads it as another encoding, and says that all is well."""
    monkeypatch.setattr(cv2, "imwrite", lambda path, picture: True)
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write_picture(str(tmp_path / "Jörg" / "ü.png"), picture)
    written = np.frombuffer((tmp_path / "Jörg" / "ü.png").read_bytes(), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(written, cv2.IMREAD_COLOR)[..., ::-1], picture)


def test_an_input_is_spared_by_an_output_folder_in_capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file system that does not tell them apart: OUT/me.png would replace the photo."""
    for name in ("pictures", "Pictures"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(outcome, "samefile", lambda one, other: str(one).lower() == str(other).lower())
    found = outcome.Outcome(Outputs(folder=tmp_path / "Pictures"))
    found.spare([str(tmp_path / "pictures" / "me.png")])
    assert found.unused_name("me.png") == "me_2"


@pytest.mark.parametrize("language", ["C", "C.UTF-8"])
def test_results_are_read_in_utf8_whatever_the_system_speaks(tmp_path: Path, language: str) -> None:
    """Written by other tools, or by hand, JSON is not ASCII; Windows reads cp1252 where nobody says otherwise."""
    path = tmp_path / "result.json"
    run_result().save(path)
    path.write_text(path.read_text(encoding="utf-8").replace("gr\\u00f6\\u00dfer", "größer"), encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from headstart.results import RunResult;"
        "sys.exit(RunResult.load(Path(sys.argv[1])).config['note'] != 'gr\\u00f6\\u00dfer')"
    )
    environment = {**os.environ, "LC_ALL": language, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, env=environment)
    assert RunResult.load(path).config["note"] == "größer"


# --- workers that are not forked ---


@pytest.mark.parametrize(("method", "people", "workers"), [("spawn", 60, 0), ("spawn", 600, 2), ("fork", 60, 2)])
def test_a_few_people_are_not_worth_workers_that_import_everything_first(
    index_3d: AnnotationIndex, monkeypatch: pytest.MonkeyPatch, method: str, people: int, workers: int
) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: method)
    loader = build_eval_loader(CropDataset([index_3d], BODY_18, (64, 64)), np.zeros(people, np.int64), 32, 2)
    assert loader.num_workers == workers


WORKING = """
import sys
if __name__ == "__main__":
    import multiprocessing, time
    from pathlib import Path
    import torch
    from headstart.augment import MILD
    from headstart.index import open_index
    from headstart.loader import Batches, CropDataset, build_train_loader
    from headstart.sampling import MixtureSampler
    from headstart.skeleton import BODY_18
    multiprocessing.set_start_method(sys.argv[1])
    dataset = CropDataset([open_index("lsp_extended", Path(sys.argv[2]), "all")], BODY_18, (64, 64), MILD, 7)
    batches = Batches(build_train_loader(dataset, MixtureSampler([20], [1.0], 6, 5), 1))
    torch.save(torch.cat([next(batches).image for _ in range(2)]), sys.argv[3])
    print(multiprocessing.active_children()[0].pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=pytest.mark.posix("fork"))])
def test_workers_that_are_not_forked_make_the_same_pictures_and_end_with_a_killed_run(
    stick_people_2d: Path, index_2d: AnnotationIndex, tmp_path: Path, method: str
) -> None:
    (tmp_path / "program.py").write_text(WORKING, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "program.py"), method, str(stick_people_2d), str(tmp_path / "images.pt")]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    worker = psutil.Process(int(run.stdout.readline()))
    run.kill()
    run.wait()
    dataset = CropDataset([index_2d], BODY_18, (64, 64), MILD, 7)
    batches = iter(build_train_loader(dataset, MixtureSampler([20], [1.0], 6, 5), 0))
    assert torch.equal(torch.load(tmp_path / "images.pt"), torch.cat([next(batches).image for _ in range(2)]))
    _, alive = psutil.wait_procs([worker], timeout=30)
    for process in alive:
        process.kill()
    assert not alive


# --- GPUs of Macs ---


def test_no_double_precision_goes_to_the_device(index_3d: AnnotationIndex) -> None:
    """MPS refuses float64: training on a Mac would end at its first batch. The meta device stands for it."""
    dataset = CropDataset([index_3d], BODY_18, (64, 64))
    batch = collate([dataset[Draw(0, 0, 0, 0)]]).to("meta")
    moved = {f.name: getattr(batch, f.name) for f in fields(batch) if getattr(batch, f.name).is_meta}
    assert {"image", "keypoints", "xyz"} <= moved.keys()
    assert torch.float64 not in {tensor.dtype for tensor in moved.values()}
