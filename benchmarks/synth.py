"""How fast are synthetic people made, and where does the time go? One command, one table.

    python benchmarks/synth.py [--count 60] [--workers 2]
    python benchmarks/synth.py --memory-count 10000     # does memory stay flat? an hour
    python benchmarks/synth.py --memory-count 10000 --domains wild --keep data/synthetic     # and keep the pictures

Pictures of 256 x 256 with all labels. "CPU ms" is one process of one thread; the last column is the wall-clock rate of
``--workers`` processes, which is only worth reading on an idle machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import cv2

from headstart.synth import domains, render, shot

#: Stage -> the functions that make it up, where their caller looks them up.
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "shape and pose": ((domains, "sample_shape"), (domains, "sample_stance")),
    "clothes and hair": ((domains, "add_person"),),
    "other people": ((domains, "add_bystander"),),
    "things": ((domains, "add_things"), (domains, "add_room"), (domains, "add_support"), (domains, "add_ground")),
    "light maps": ((shot, "cast_light"),),
    "rasterise": ((render, "rasterise"),),
    "shade": ((render, "shade"),),
    "backdrop": ((domains, "paint_backdrop"),),
    "lens": ((domains, "photograph"),),
    "states": ((shot, "joint_states"),),
}


def timed(function: Callable[..., Any], spent: dict[str, float], stage: str) -> Callable[..., Any]:
    """The function, adding its CPU seconds to ``spent[stage]``."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[stage] += time.process_time() - start

    return wrapper


def one_process(domain: str, count: int) -> tuple[float, dict[str, float]]:
    """CPU ms a picture, whole and by stage."""
    domains.generate(domain, "train", 0, 0)
    spent: dict[str, float] = defaultdict(float)
    originals = [(module, name, getattr(module, name)) for parts in STAGES.values() for module, name in parts]
    for stage, parts in STAGES.items():
        for module, name in parts:
            setattr(module, name, timed(getattr(module, name), spent, stage))
    start = time.process_time()
    for index in range(1, count + 1):
        domains.generate(domain, "train", 0, index)
    total = time.process_time() - start
    for module, name, original in originals:
        setattr(module, name, original)
    return 1000 * total / count, {stage: 1000 * seconds / count for stage, seconds in spent.items()}


def several_processes(domain: str, count: int, workers: int) -> float:
    """Pictures a second of ``workers`` warm processes."""
    with multiprocessing.get_context("spawn").Pool(workers, cv2.setNumThreads, (1,)) as pool:
        make = partial(_make, domain)
        pool.map(make, range(2 * workers), 1)
        start = time.perf_counter()
        pool.map(make, range(2 * workers, 2 * workers + count), 4)
        return count / (time.perf_counter() - start)


def _make(domain: str, index: int) -> None:
    domains.generate(domain, "train", 0, index)


def resident_mb() -> float:
    """Resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def print_memory(domain: str, count: int, out: Path, size: int = 256) -> None:
    """Print resident memory about ten times while this process writes a data set below ``out``."""
    from headstart.synthesize import SynthConfig, synthesize

    printed = 0

    def look(done: int) -> None:
        nonlocal printed
        if done * 10 // count > printed:
            printed += 1
            print(f"{domain}: {done} pictures, {resident_mb():.0f} MB", flush=True)

    synthesize(SynthConfig(domain, "train", count, size=size), out, on_progress=look)


def main() -> None:
    """Measure every domain and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-count", type=int, help="measure memory over so many pictures instead")
    parser.add_argument("--domains", nargs="+", choices=domains.DOMAINS, default=list(domains.DOMAINS))
    parser.add_argument("--keep", type=Path, help="with --memory-count: keep the pictures below this folder")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    if given.memory_count:
        with tempfile.TemporaryDirectory() as folder:
            for domain in given.domains:
                print_memory(domain, given.memory_count, given.keep or Path(folder))
        return
    for domain in given.domains:
        total, stages = one_process(domain, given.count)
        rate = several_processes(domain, given.count * given.workers, given.workers)
        print(f"{domain}: {total:.0f} CPU ms a picture; {rate:.1f} pictures/s with {given.workers} processes")
        rest = total - sum(stages.values())
        for stage, milliseconds in [*stages.items(), ("everything else", rest)]:
            print(f"    {stage:18s} {milliseconds:5.1f} ms {milliseconds / total:5.0%}")


if __name__ == "__main__":
    main()
