"""Reads the next inputs of ``headstart predict`` in the background."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Read = TypeVar("Read")

#: Inputs that are read, or being read, besides those that the caller has; threads that read them.
AHEAD, THREADS = 4, 2


@contextmanager
def reading_ahead(names: Sequence[str], read: Callable[[str], Read]) -> Iterator[Iterator[tuple[str, Future[Read]]]]:
    """Each name with what ``read`` gives for it, in order: ``result()`` waits for it, or raises what ``read`` raised.

    The block ends, with an exception or without, when what is just being read is read; no more is read then.
    """
    pool = ThreadPoolExecutor(THREADS, "read")
    try:
        yield _in_order(pool, names, read)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, names: Sequence[str], read: Callable[[str], Read]
) -> Iterator[tuple[str, Future[Read]]]:
    waiting: deque[tuple[str, Future[Read]]] = deque()
    for name in names:
        waiting.append((name, pool.submit(read, name)))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
