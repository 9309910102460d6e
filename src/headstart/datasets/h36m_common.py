"""What the four forms of Human3.6M share: subjects, actions, names of recordings, malformed files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.datasets.files import CHECK_DOWNLOAD
from headstart.errors import DataError

#: Split -> numbers of its subjects.
Subjects = Mapping[str, tuple[int, ...]]

#: The split of nearly all papers ("protocol 2", "standard").
SUBJECTS: Subjects = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}

_ACTIONS = (
    "Directions",
    "Discussion",
    "Eating",
    "Greeting",
    "Phoning",
    "Posing",
    "Purchases",
    "Sitting",
    "SittingDown",
    "Smoking",
    "Photo",
    "Waiting",
    "Walking",
    "WalkDog",
    "WalkTogether",
)

#: Other names of the same actions.
_ALIASES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}

_logger = logging.getLogger(__name__)


def action_name(index_or_name: int | str) -> str:
    """Canonical action of the official index (2..16) or of a folder's name; what is unknown stays as it is."""
    if isinstance(index_or_name, str):
        return _ALIASES.get(index_or_name, index_or_name)
    known = 2 <= index_or_name < 2 + len(_ACTIONS)
    return _ACTIONS[index_or_name - 2] if known else f"action_{index_or_name}"


@dataclass(frozen=True)
class Recording:
    """One video: a subject doing an action (each is done twice: the subaction) before a camera."""

    subject: int
    action: str
    subaction: int
    camera: int

    @property
    def sequence(self) -> str:
        """For example ``S9/Directions/1/54138969``."""
        return f"S{self.subject}/{self.action}/{self.subaction}/{self.camera}"

    def fields(self, frame: int) -> dict[str, Any]:
        """Key and origin of the 0-based ``frame``, as fields of an Annotation."""
        return {
            "key": f"{self.sequence}/{frame:06d}",
            "subject": f"S{self.subject}",
            "action": self.action,
            "sequence": self.sequence,
            "frame": frame,
        }


def named(subjects: Subjects) -> dict[str, tuple[str, ...]]:
    """Split -> its subjects, by names that no other data set has (``SUBJECTS`` of an adapter)."""
    return {split: tuple(f"Human3.6M S{number}" for number in numbers) for split, numbers in subjects.items()}


def held_subjects(where: Path, split: str, held: Iterable[int], subjects: Subjects = SUBJECTS) -> list[int]:
    """Subjects of the split among ``held``, in order; warns of missing ones.

    Raises :class:`DataError` naming ``where`` if all are missing.
    """
    wanted = subjects[split]
    present = [subject for subject in wanted if subject in set(held)]
    absent = ", ".join(f"S{subject}" for subject in wanted if subject not in present)
    if not present:
        raise DataError(where, f"subjects of split {split!r}: {absent}", found="none of them", fix=CHECK_DOWNLOAD)
    if absent:
        _logger.warning("%s: split %r is incomplete, it lacks %s", where, split, absent)
    return present


@contextmanager
def malformed(path: Path, expected: str, record: str | int | None = None) -> Iterator[None]:
    """Turn Python's errors for missing keys and wrong types in parsed data into :class:`DataError`."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__} ({' '.join(str(error).split())})"
        raise DataError(path, expected, record=record, found=found, fix=CHECK_DOWNLOAD) from error
