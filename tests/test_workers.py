from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

PROGRAM = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from headstart.workers import end_with_parent

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(2, mp_context=context, initializer=end_with_parent) as pool:
        list(pool.map(time.sleep, [0.01] * 4))
        print("ready", flush=True)
        list(pool.map(time.sleep, [600] * 4))
"""


@pytest.mark.parametrize(
    "method", ["spawn", *(pytest.param(name, marks=pytest.mark.posix("fork")) for name in ("fork", "forkserver"))]
)
def test_workers_end_with_a_parent_that_was_killed(tmp_path, method):
    (tmp_path / "program.py").write_text(PROGRAM)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "program.py"), method], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) >= 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    for process in alive:
        process.kill()
    assert not alive
