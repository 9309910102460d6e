"""Signals that ask a run to stop: remembered inside, handled as before outside."""

from __future__ import annotations

import signal
import threading

import pytest

from headstart.interruption import signals

pytestmark = pytest.mark.posix("signals to this process")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_remembered_and_whoever_handled_it_before_does_so_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with signals() as interrupted:
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_ctrl_c_after_a_signal_interrupts_at_once_and_sigterm_does_not(first: signal.Signals) -> None:
    with signals():
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_in_another_thread_signals_are_left_alone() -> None:
    seen: list[bool] = []

    def wait() -> None:
        with signals() as interrupted:
            seen.append(interrupted())

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signal.getsignal(signal.SIGTERM) is before
