"""Memory that a process keeps for its next large arrays instead of returning it to the system each time."""

from __future__ import annotations

import ctypes
import sys

# Numbers of malloc.h: what to change, and to what.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_SETTINGS = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**28), (_M_ARENA_MAX, 1))


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory for this process; returns whether it does (glibc on Linux only).

    By default glibc maps every large array anew (above 32 MB; smaller ones until one was freed) and unmaps it when it
    is freed. A training step on a CPU makes hundreds of them, and a tenth to a third of its time goes into clearing
    pages (``benchmarks/kept_memory.py``). The process then keeps as much memory as it ever needed at once. This cannot
    be undone. Threads share one arena, because the others cannot hold arrays above 64 MB (malloc(3), mallopt(3)).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    done = [mallopt(name, value) == 1 for name, value in _SETTINGS]
    return all(done)
