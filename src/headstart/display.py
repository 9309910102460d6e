"""Progress: a bar on a terminal (rich), log lines elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from headstart.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

logger = logging.getLogger("headstart")

#: Share of the whole that must be done before the time left is estimated: at first, files are opened and code compiled.
_SOONEST = 0.005


def is_main_process() -> bool:
    """Whether this is the process that reports: the only one, or the first of those that torchrun has started."""
    return os.environ.get("RANK", "0") == "0"


def require_one_process() -> None:
    """Raise :class:`ConfigError` in a process that torchrun started beside others: each would do all of the work."""
    if (started := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise ConfigError(
            f"{started} processes were started (by torchrun, for example; WORLD_SIZE), and each would do all the work:"
            " start one"
        )


class ProgressDisplay:
    """A bar on a terminal; elsewhere a line at most every ``interval`` seconds, and one at the end.

    Of the processes of one run, the main one shows it.

    ``total`` is in ``unit`` (images, people, seconds), of which ``start`` were done before. Use as a context manager.
    """

    def __init__(self, title: str, total: float, unit: str, start: float = 0, interval: float = 10) -> None:
        self.title, self.total, self.unit, self.start, self.interval = title, total, unit, start, interval
        self.done = start
        self.began = self.reported = time.monotonic()
        self.shown = is_main_process()
        self.bar: Progress | None = None
        self.task: TaskID

    def __enter__(self) -> ProgressDisplay:
        if self.shown and sys.stderr.isatty():
            from rich.console import Console  # here, as the command line imports this module for its help too
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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
            start = int(self.start)  # an int for rich; it makes the rate that of this run alone
            self.task = self.bar.add_task(self.title, total=self.total, completed=start, unit=self.unit, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, done: float, note: str = "") -> None:
        """Show that ``done`` units are done; ``note`` is shown beside them (losses, rate)."""
        self.done = done
        if self.bar is not None:
            self.bar.update(self.task, completed=done, note=note)
        elif self.shown and (time.monotonic() - self.reported >= self.interval or done >= self.total):
            self.reported = time.monotonic()
            now = f"{self.title}: {done:.0f}/{self.total:.0f} {self.unit} {note}".rstrip()
            logger.info("%s, %s left", now, self._left())

    def _left(self) -> str:
        elapsed, advanced = time.monotonic() - self.began, self.done - self.start
        if advanced < _SOONEST * self.total:
            return "?"
        minutes, seconds = divmod(int(elapsed / advanced * max(self.total - self.done, 0)), 60)
        return f"{minutes}:{seconds:02d}"
