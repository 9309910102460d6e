"""Worker processes that do not outlive the process that they work for, however it ends."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import threading


def end_with_parent() -> None:
    """To be called in a worker: it then exits as soon as its parent has, even if that was killed.

    A pool's workers hold both ends of their queues, so nothing else tells them that nobody will ever ask again.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
