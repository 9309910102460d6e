"""Locks on folders: who holds them, for how long, and what a file system without them says."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from headstart import locks
from headstart.errors import ConfigError
from headstart.locks import alone, inherited, is_held, locked_file, one_at_a_time, try_lock


def test_a_lock_is_held_until_its_file_is_closed(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with alone(tmp_path):
        assert try_lock(tmp_path) is None
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def like_nfs(stream: IO[Any], operation: int) -> None:
    """NFS grants an exclusive lock through a writable file only."""
    import fcntl

    if fcntl.fcntl(stream, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


@pytest.mark.posix("flock")
def test_a_free_folder_on_nfs_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with alone(tmp_path):
        pass
    monkeypatch.setattr("fcntl.flock", like_nfs)
    assert not is_held(tmp_path)


def without_locks(stream: IO[Any], operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


@pytest.mark.posix("flock")
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").touch()
    monkeypatch.setattr("fcntl.flock", without_locks)
    for enter in (is_held, try_lock, lambda folder: alone(folder).__enter__()):
        with pytest.raises(ConfigError, match=rf"{re.escape(str(tmp_path))}: its file system has no locks .*--work"):
            enter(tmp_path)


def test_who_waits_goes_on_when_the_holder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = try_lock(tmp_path)
    assert held is not None
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: held.close())
    with alone(tmp_path):
        assert is_held(tmp_path)


def test_one_at_a_time_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, waited = one_at_a_time(tmp_path / "lock"), []
    first.__enter__()

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            first.__exit__(None, None, None)

    monkeypatch.setattr(locks.time, "sleep", sleep)
    with one_at_a_time(tmp_path / "lock"):
        assert len(waited) == 3
        with locked_file(tmp_path / "lock") as got:
            assert not got
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix("flock")
def test_without_locks_all_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", without_locks)
    with one_at_a_time(tmp_path / "lock"), one_at_a_time(tmp_path / "lock"):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rank", ["0", "1"])
def test_processes_of_a_torchrun_without_the_lock_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    """Rank 1 went past the lock that rank 0 waited for."""
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"started by torchrun; .* study cell \.\.\. --processes N"), alone(tmp_path):
        pass


LAUNCHER = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(100)"
MEMBER = """
import sys, time
from pathlib import Path
from headstart.locks import alone
with alone(Path({folder!r})):
    print("in", flush=True)
    time.sleep(100)
"""


@pytest.mark.posix("locks that a child inherits")
def test_what_torchrun_started_ends_with_it(tmp_path: Path) -> None:
    """It shares a lock that only torchrun holds: if it lived on, another could begin beside it."""
    environment = {**os.environ, **inherited(tmp_path), "WORLD_SIZE": "2"}
    program = [sys.executable, "-c", LAUNCHER, MEMBER.format(folder=str(tmp_path))]
    launcher = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)
    assert launcher.stdout is not None
    assert launcher.stdout.readline() == "in\n"
    launcher.kill()
    # The pipe ends when its last writer has; communicate gives up after 20 s.
    assert launcher.communicate(timeout=20) == ("", None)


@pytest.mark.posix("locks that a child inherits")
def test_what_torchrun_started_ends_by_itself_when_it_is_done(tmp_path: Path) -> None:
    """While the process that started it lives on, and waits for it."""
    environment = {**os.environ, **inherited(tmp_path), "WORLD_SIZE": "2"}
    program = MEMBER.format(folder=str(tmp_path)).replace("time.sleep(100)", "pass")
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"in\n")


class TestFiles:
    """Locks whose files are deleted with them, which is where such locks usually fail."""

    def test_the_file_lasts_as_long_as_the_lock(self, tmp_path: Path):
        path = tmp_path / "very" / "deep" / "one.lock"
        with locked_file(path) as first:
            assert path.exists()
            with locked_file(path) as second, locked_file(path.with_name("two.lock")) as other:
                assert (first, second, other) == (True, False, True)
            assert path.exists()
        assert list(path.parent.iterdir()) == []

    def test_one_process_at_a_time(self, tmp_path: Path):
        """Each adds 1 to a number in a file while it has the lock: none is lost, although the lock's file comes and
        goes.
        """
        (tmp_path / "number").write_text("0")
        program = [sys.executable, "-c", ADDER, str(tmp_path)]
        adders = [subprocess.Popen([*program, str(number)]) for number in range(3)]
        assert [adder.wait(timeout=120) for adder in adders] == [0, 0, 0]
        assert int((tmp_path / "number").read_text()) == 3 * 200

    @pytest.mark.posix("SIGKILL")
    def test_what_a_killed_process_leaves_holds_no_lock(self, tmp_path: Path):
        path = tmp_path / "one.lock"
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        with locked_file(path) as got:
            assert not got
        holder.kill()
        holder.communicate(timeout=20)
        assert path.exists()
        with locked_file(path) as got:
            assert got
        assert not path.exists()

    @pytest.mark.posix("flock")
    def test_a_file_system_without_locks_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("fcntl.flock", without_locks)
        with pytest.raises(ConfigError, match=f"^{re.escape(str(tmp_path))}: its file system has no locks"):
            locked_file(tmp_path / "one.lock").__enter__()
        assert list(tmp_path.iterdir()) == []


# Begins when all three are there; a busy machine may let one add hundreds before the next comes to its turn.
ADDER = """
import sys, time
from pathlib import Path
from headstart.locks import locked_file
folder, added = Path(sys.argv[1]), 0
(folder / f"ready-{sys.argv[2]}").touch()
while len(list(folder.glob("ready-*"))) < 3:
    time.sleep(0.01)
while added < 200:
    with locked_file(folder / "deep" / "lock") as got:
        if got:
            number = int((folder / "number").read_text())
            time.sleep(0)
            (folder / "number").write_text(str(number + 1))
            added += 1
"""
HOLDER = """
import sys, time
from pathlib import Path
from headstart.locks import locked_file
with locked_file(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(100)
"""
