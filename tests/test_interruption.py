"""Signals that ask a run to stop: remembered inside, handled as before outside."""

from __future__ import annotations

import signal
import threading

import pytest
import torch

from headstart import interruption
from headstart.interruption import Agreement, signals

NEEDS_SIGNALS = pytest.mark.posix("signals to this process")


@NEEDS_SIGNALS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_remembered_and_whoever_handled_it_before_does_so_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with signals() as interrupted:
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted()
    assert signal.getsignal(number) is before


@NEEDS_SIGNALS
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_ctrl_c_after_a_signal_interrupts_at_once_and_sigterm_does_not(first: signal.Signals) -> None:
    with signals():
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@NEEDS_SIGNALS
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


# --- several processes ---


class Clocks:
    """Two processes whose steps take ``seconds`` and twice as long; asks are counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self.seconds, self.asked, self.other = 0.0, seconds, 0, False
        monkeypatch.setattr(interruption.time, "monotonic", lambda: self.now)

    def mean(self, own: torch.Tensor) -> torch.Tensor:
        """Of this process and the other one, which says that it was interrupted, or not."""
        self.asked += 1
        return (own + torch.tensor([float(self.other), 2 * own[1].item()])) / 2

    def steps(self, agreement: Agreement, count: int) -> list[bool]:
        stopping = []
        for _ in range(count):
            self.now += self.seconds
            stopping.append(agreement.after_step())
        return stopping


def test_processes_ask_each_other_about_every_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 0.1 s and 0.2 s are 0.15 s: 5 s are 33 of them, which are reached by doubling, after 63 steps."""
    clocks = Clocks(monkeypatch, 0.1)
    agreement = Agreement(lambda: False, clocks.mean)
    assert not any(clocks.steps(agreement, 63))
    assert (clocks.asked, agreement.steps) == (6, 33)
    clocks.steps(agreement, 10 * 33)
    assert (clocks.asked, agreement.steps) == (16, 33)


def test_after_slow_steps_they_ask_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """One ask comes late; steps of 10 s and 20 s are longer than what they wait for, so they ask after each."""
    clocks = Clocks(monkeypatch, 0.1)
    agreement = Agreement(lambda: False, clocks.mean)
    clocks.steps(agreement, 63)
    clocks.seconds = 10.0
    clocks.steps(agreement, 33)
    assert agreement.steps == 1
    clocks.asked = 0
    clocks.steps(agreement, 4)
    assert clocks.asked == 4


@pytest.mark.parametrize("first", ["this", "other"])
def test_all_stop_at_the_next_ask_after_one_was_interrupted(monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    clocks, interrupted = Clocks(monkeypatch, 0.1), []
    agreement = Agreement(lambda: bool(interrupted), clocks.mean)
    clocks.steps(agreement, 63 + 3)
    if first == "this":
        interrupted.append(1)
    else:
        clocks.other = True
    assert clocks.steps(agreement, 30) == [False] * 29 + [True]
