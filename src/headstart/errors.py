"""Errors that a user can mend: one clear line each, exit code 2 at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class HeadstartError(Exception):
    """Base of every error caused by input, disk or configuration rather than by a bug."""


class DataError(HeadstartError):
    """A file that is missing, truncated, malformed or not what its format promises.

    The message is one line: file, record, what was expected, what was found, what to do.
    """

    def __init__(
        self,
        path: str | Path,
        expected: str,
        *,
        record: str | int | None = None,
        found: str | None = None,
        fix: str | None = None,
    ) -> None:
        where = f"{path}" if record is None else f"{path}, record {record}"
        parts = [f"{where}: expected {expected}"]
        if found is not None:
            parts.append(f"found {found}")
        message = ", ".join(parts)
        super().__init__(f"{message}. {fix}" if fix else message)
        self.path = Path(path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets errors travel from worker processes; by default ``__init__`` would be called with the message alone."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class ConfigError(HeadstartError):
    """A configuration that cannot be run; the message names the field and the allowed values."""


class TrainingError(HeadstartError):
    """Training had to stop (NaN loss, full disk, too many unreadable images); says where and what to do."""


class Interrupted(TrainingError):
    """A signal asked for an end; what is done is kept, and the same command goes on with it."""


class ExportError(HeadstartError):
    """An exported model that does not agree with the checkpoint it was made from; no file is left."""


def first_line(error: Exception) -> str:
    """What another library says, for a message of one line; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def first_few(parts: list[str], most: int) -> str:
    """The first of ``parts`` and how many more there are, for a message of one line."""
    more = [f"and {len(parts) - most} more"] if len(parts) > most else []
    return "; ".join(parts[:most] + more)


def shortened(text: str) -> str:
    """``text`` on one line of at most 60 characters, for a message."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
