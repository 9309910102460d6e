"""Progress on a terminal (rich), as log lines elsewhere. The training loop reports; how it looks is decided here."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

logger = logging.getLogger("headstart")

#: Share of the whole after which time tells a rate: the first of it holds compiling and opening files.
_SOONEST = 0.005


class ProgressDisplay:
    """A bar on a terminal; elsewhere a line at most every ``interval`` seconds.

    ``total`` is in ``unit`` (images, people, seconds). Use as a context manager.
    """

    def __init__(self, title: str, total: float, unit: str, start: float = 0, interval: float = 10) -> None:
        self.title, self.total, self.unit, self.start, self.interval = title, total, unit, start, interval
        self.done = start
        self.began = self.reported = time.monotonic()
        self.bar: Progress | None = None
        self.task = TaskID(0)

    def __enter__(self) -> ProgressDisplay:
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.bar.start()
            start = int(self.start)  # rich's own type; what a resumed run had done, so that the rate is this run's
            self.task = self.bar.add_task(self.title, total=self.total, completed=start, unit=self.unit, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, done: float, note: str = "") -> None:
        """Now at ``done`` units; ``note`` says more (losses, rate)."""
        self.done = done
        if self.bar is not None:
            self.bar.update(self.task, completed=done, note=note)
        elif time.monotonic() - self.reported >= self.interval or done >= self.total:
            self.reported = time.monotonic()
            now = f"{self.title}: {done:.0f}/{self.total:.0f} {self.unit} {note}".rstrip()
            logger.info("%s, %s left", now, self._left())

    def _left(self) -> str:
        elapsed, advanced = time.monotonic() - self.began, self.done - self.start
        if advanced < _SOONEST * self.total:
            return "?"
        minutes, seconds = divmod(int(elapsed / advanced * max(self.total - self.done, 0)), 60)
        return f"{minutes}:{seconds:02d}"
