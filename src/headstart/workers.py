"""Worker processes that do not outlive the process that started them, however it ends."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from headstart.errors import ConfigError

#: Numerical libraries read these for their number of threads as they are imported.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def end_with_parent() -> None:
    """Called in a worker: let it exit as soon as its parent has ended, even if that was killed.

    The workers of a pool hold both ends of their queues, so they would wait for the next task for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


@contextmanager
def one_line_if_killed() -> Iterator[None]:
    """Raises :class:`ConfigError` if a worker of a pool was killed, for example by a system that is out of memory."""
    try:
        yield
    except BrokenProcessPool as error:
        raise ConfigError(
            "a worker process was killed (out of memory?): run it again with fewer --workers; what is whole is kept"
        ) from error


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
