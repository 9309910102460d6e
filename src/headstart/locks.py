"""One process at a time in a folder, or at a task: a lock that the system frees when its holder dies, however it dies.

A process can hold the lock for a child that it starts: the child inherits it, and it lasts until both have ended. On
Windows a child inherits no lock and takes its own.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from headstart.errors import ConfigError

logger = logging.getLogger("headstart")

#: Seconds between two attempts to get a lock that another process holds.
LOOK_AGAIN = 2.0

# Names the folder whose lock the parent has taken for its child.
_INHERITED = "HEADSTART_LOCKED"

if sys.platform == "win32":
    import msvcrt

    #: Whether a child can inherit a lock.
    INHERITABLE = False

    def _lock(stream: IO[Any]) -> None:
        """Lock the file, or raise BlockingIOError while another process does; the file is empty, so at byte 0."""
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(error.errno, error.strerror) from error

    def _free(path: Path, stream: IO[Any]) -> None:
        """Free the lock and delete its file, unless another process has it by then: no open file can be deleted."""
        stream.close()
        with suppress(OSError):
            path.unlink()

else:
    import fcntl

    INHERITABLE = True

    def _lock(stream: IO[Any]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _free(path: Path, stream: IO[Any]) -> None:
        """Delete the lock's file while the lock is held, as later the file may be another process's; then free it."""
        with stream, suppress(OSError):
            path.unlink()


def try_lock(folder: Path) -> IO[Any] | None:
    """The folder's lock, which closing the file frees; None while another process holds it. Makes the folder.

    Raises :class:`ConfigError` where the file system has no locks.
    """
    try:
        return _take(folder / "lock")
    except ConfigError as error:
        raise ConfigError(
            f"{error}, which keep two processes from running the same cell: choose another --work, on a file system"
            " with flock"
        ) from error


@contextmanager
def locked_file(path: Path) -> Iterator[bool]:
    """Whether this process got the lock whose file is ``path``; the file lasts as long as the lock. Makes its folder.

    What a killed process has left of the file holds no lock. Raises :class:`ConfigError` where the file system has no
    locks.
    """
    try:
        stream = _take(path)
    except ConfigError:
        path.unlink(missing_ok=True)
        raise
    try:
        yield stream is not None
    finally:
        if stream is not None:
            _free(path, stream)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock whose file is ``path`` (:func:`locked_file`) as soon as no other process does.

    Where the file system has no locks, or the file cannot be written, processes come in together.
    """
    with ExitStack() as held:
        with suppress(ConfigError, OSError):
            while not held.enter_context(locked_file(path)):
                time.sleep(LOOK_AGAIN)
        yield


def _take(path: Path) -> IO[Any] | None:
    """The locked file at ``path``; None while another process holds the lock. Makes its folder."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a")  # NFS grants the lock only to who may write
        try:
            _lock(stream)
        except BlockingIOError:
            stream.close()
            return None
        except OSError as error:
            stream.close()
            raise ConfigError(f"{path.parent}: its file system has no locks ({error.strerror})") from error
        if _is_at(path, stream):
            return stream
        stream.close()  # its holder deleted it after it was opened here: others would lock a new one


def _is_at(path: Path, stream: IO[Any]) -> bool:
    """Whether the open file still has its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, unless the process that started this one holds it. Waits for another holder to end.

    Raises as :func:`try_lock`, and in a process of a torchrun that does not hold the lock: its processes would wait for
    each other.
    """
    shared = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if os.environ.get(_INHERITED) == str(folder):
        if shared:
            _end_with_parent()
        yield
    elif shared:
        raise ConfigError(f"{folder.name}: started by torchrun; start it by: headstart study cell ... --processes N")
    else:
        with _wait_for(folder):
            yield


def _wait_for(folder: Path) -> IO[Any]:
    if (stream := try_lock(folder)) is None:
        logger.info("%s is being run by another process; waiting for it", folder.name)
    while stream is None:
        time.sleep(LOOK_AGAIN)
        stream = try_lock(folder)
    return stream


def _end_with_parent() -> None:
    """End with torchrun, which has inherited the lock but does not pass it on to the processes that it starts."""
    threading.Thread(target=_exit_after, args=(os.getppid(),), daemon=True).start()


def _exit_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def inherited(folder: Path) -> dict[str, str]:
    """Environment variables for a child for which the folder's lock is held."""
    return {_INHERITED: str(folder)} if INHERITABLE else {}


def inherited_files(lock: IO[Any]) -> list[int]:
    """File descriptors that a child for which ``lock`` is held must inherit."""
    return [lock.fileno()] if INHERITABLE else []


def is_held(folder: Path) -> bool:
    """Whether a process works in the folder. Raises as :func:`try_lock`."""
    if not (folder / "lock").is_file():
        return False
    try:
        stream = try_lock(folder)
    except PermissionError:  # another user's; on NFS, which locks writable files only, it looks held
        return _is_held_by_another(folder)
    if stream is not None:
        stream.close()
    return stream is None


def _is_held_by_another(folder: Path) -> bool:
    with (folder / "lock").open() as stream:
        try:
            _lock(stream)
        except OSError:
            return True
    return False
