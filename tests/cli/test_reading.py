"""Reading ahead: in order, bounded, errors at their place, and over when the block is."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import numpy as np
import pytest

from headstart.cli.reading import AHEAD, THREADS, reading_ahead
from headstart.errors import DataError

NAMES = [f"{number}.jpg" for number in range(20)]


def test_results_come_in_order_though_some_take_longer() -> None:
    def read(name: str) -> str:
        sleep(0.02 if NAMES.index(name) % 3 == 0 else 0)
        return name.upper()

    with reading_ahead(NAMES, read) as reading:
        found = [(name, result.result()) for name, result in reading]
    assert found == [(name, name.upper()) for name in NAMES]
    with reading_ahead([], read) as reading:
        assert list(reading) == []


def test_the_next_ones_are_read_while_the_caller_works() -> None:
    read_next = threading.Event()

    def read(name: str) -> None:
        if name == NAMES[AHEAD]:
            read_next.set()

    with reading_ahead(NAMES, read) as reading:
        next(reading)
        assert read_next.wait(30)


def test_no_more_is_read_than_may_be_held() -> None:
    """Each result is dropped before the next is asked for, as where each is worked on by itself."""
    alive: set[str] = set()
    most = 0
    begun: list[str] = []
    lock = threading.Lock()

    def read(name: str) -> np.ndarray:
        nonlocal most
        array = np.zeros(1000)
        with lock:
            begun.append(name)
            alive.add(name)
            most = max(most, len(alive))
        weakref.finalize(array, alive.discard, name)
        return array

    with reading_ahead(NAMES, read) as reading:
        for _, result in reading:
            result.result()
            sleep(0.005)  # the threads get as far as they may
            del result
    assert sorted(begun, key=NAMES.index) == NAMES
    assert most <= AHEAD + 1


def test_an_error_comes_at_its_place_and_the_others_are_read() -> None:
    def read(name: str) -> str:
        if name == NAMES[7]:
            raise DataError(name, "a whole image")
        return name

    seen = []
    with reading_ahead(NAMES, read) as reading:
        for name, result in reading:
            if name == NAMES[7]:
                with pytest.raises(DataError, match=r"7\.jpg: expected a whole image"):
                    result.result()
            else:
                seen.append(result.result())
    assert seen == NAMES[:7] + NAMES[8:]


def test_after_an_interruption_nothing_more_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    hold, shut_down = threading.Event(), ThreadPoolExecutor.shutdown

    def shutdown(pool: ThreadPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        shut_down(pool, wait=False, cancel_futures=cancel_futures)
        hold.set()
        shut_down(pool, wait=wait)

    def read(name: str) -> None:
        begun.append(name)
        if name != NAMES[0]:
            hold.wait(30)

    def work() -> None:
        with reading_ahead(NAMES, read) as reading:
            next(reading)[1].result()
            raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", shutdown)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert set(begun) <= set(NAMES[: 1 + THREADS])  # what was waiting is not read any more
    assert not [one for one in threading.enumerate() if one.name.startswith("read")]
