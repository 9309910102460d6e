"""Worker processes that do not outlive the process that they work for, however it ends."""

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
    """To be called in a worker: it then exits as soon as its parent has, even if that was killed.

    A pool's workers hold both ends of their queues, so nothing else tells them that nobody will ever ask again.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


@contextmanager
def one_line_if_killed() -> Iterator[None]:
    """Raises :class:`ConfigError` where a worker of a pool was killed, as by a system that is out of memory."""
    try:
        yield
    except BrokenProcessPool as error:
        raise ConfigError(
            "a worker process was killed (out of memory?): run it again with fewer --workers; what is whole is kept"
        ) from error


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
