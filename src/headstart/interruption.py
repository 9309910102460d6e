"""Signals that ask a run to stop, which it does after saving; several processes stop after the same step."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from torch import Tensor

#: Seconds after which processes ask one another whether one was told to stop. torchrun kills those that take over 30.
ASK_AFTER = 5.0


@contextmanager
def signals() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether SIGTERM or SIGINT has come; a SIGINT after that interrupts at once."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not in the main thread, which handles signals
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Agreement:
    """Whether a process of a run was asked to stop, of which all of them must learn after the same step.

    A signal reaches each process at another step, and their clocks differ. So they ask one another after a number of
    steps that all of them know: as many as take :data:`ASK_AFTER` by the mean of their clocks. To ask costs a wait for
    the device.
    """

    def __init__(
        self, interrupted: Callable[[], bool], mean: Callable[[Tensor], Tensor], device: torch.device | str = "cpu"
    ) -> None:
        """``mean``: over the processes, of a tensor on ``device``; every process gets the same numbers."""
        self.interrupted, self.mean, self.device = interrupted, mean, device
        self.steps = self.left = 1
        self.asked_at = time.monotonic()

    def after_step(self) -> bool:
        """Count a step; whether the run has to stop after it."""
        self.left -= 1
        if self.left:
            return False
        now = time.monotonic()
        own = torch.tensor([float(self.interrupted()), now - self.asked_at], device=self.device)
        interrupted, seconds = self.mean(own).tolist()
        # At most twice as many: the next steps may be slower than the last, whose batches were ready.
        fitting = int(self.steps * ASK_AFTER / max(seconds, 1e-3))
        self.steps = self.left = min(max(fitting, 1), 2 * self.steps)
        self.asked_at = now
        return interrupted > 0
