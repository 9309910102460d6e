"""Memory that a process keeps: counted in page faults, which no other program's load changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Arrays of 40 MB, above what glibc keeps of its own accord (32 MB); 4 kB a page.
PROGRAM = """
import resource, sys
import numpy as np
from headstart.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.full(40_000_000, 1, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
kept = keep_freed_memory()
np.full(80_000_000, 1, np.uint8)
print(first, kept, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, kept, after = done.stdout.split()
    assert kept == "True"
    # Without: ten times at least the 20 pages of 2 MB (where pages are that large), mostly 9,765 of 4 kB.
    assert int(before) > 150
    assert int(after) < 20


def test_other_systems_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.memory import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
