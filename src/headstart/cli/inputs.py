"""Finds the files that the inputs of ``headstart predict`` name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from glob import escape, glob, has_magic
from itertools import islice
from os.path import abspath
from pathlib import Path

from headstart.cli.outcome import Outcome
from headstart.errors import DataError

# Most files that are looked at below a folder without any of its own, which may be a whole disk.
_ENOUGH = 10_000


def files_of(inputs: Sequence[str], outcome: Outcome) -> list[str]:
    """The files of all inputs, each once: pictures and videos of folders, in order of their names; matches of globs.

    Inputs without files are failures of ``outcome``.
    """
    files: dict[str, str] = {}
    for one in inputs:
        try:
            for name in _meant(one):
                files.setdefault(abspath(name), name)
        except DataError as error:
            outcome.fail(error)
        except OSError as error:  # a folder that may not be entered, a name that is too long
            reason = error.strerror or str(error)
            outcome.fail(DataError(one[:200], "a file or folder that can be looked at", found=reason))
    return list(files.values())


def _meant(one: str) -> list[str]:
    path = Path(one)
    if not one:  # an unset variable of the shell; Path("") would be the working folder
        found = []
    elif path.is_dir():
        found = _inside(path)
    elif has_magic(one) and not path.exists():
        found = sorted(name for name in glob(one, recursive=True) if Path(name).is_file())
    else:
        found = [one]
    if not found:
        raise DataError(
            one or "''", "images or videos", found="none", fix=_deeper(path) if one and path.is_dir() else None
        )
    return found


def _inside(folder: Path) -> list[str]:
    """Pictures and videos in a folder, without hidden ones: a Mac adds ``._photo.jpg`` to each photo on other disks."""
    from headstart.photos import PHOTO_SUFFIXES
    from headstart.video_files import VIDEO_SUFFIXES

    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    except OSError as error:
        raise DataError(folder, "a folder of images", found=error.strerror or str(error)) from error
    shown = [path for path in inside if path.suffix.lower() in PHOTO_SUFFIXES | VIDEO_SUFFIXES]
    return [str(path) for path in _readable(shown, folder)]


def _readable(files: Sequence[Path], folder: Path) -> Iterator[Path]:
    """The files of a folder without those that need a package that is not installed; says which these are."""
    from headstart.heif import needed_for

    unread: dict[str, list[str]] = {}
    for path in files:
        if needed := needed_for(path.suffix):
            unread.setdefault(needed, []).append(path.name)
        else:
            yield path
    for needed, names in unread.items():
        print(f"headstart: {folder}: left out {_listed(names)}. {needed}", file=sys.stderr)


def _listed(names: Sequence[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _deeper(folder: Path) -> str | None:
    """A hint how to name the pictures or videos in folders of this folder, if there are any."""
    from headstart.photos import PHOTO_SUFFIXES
    from headstart.video_files import VIDEO_SUFFIXES

    known = PHOTO_SUFFIXES | VIDEO_SUFFIXES
    found = (path for path in islice(_below(folder), _ENOUGH) if path.suffix.lower() in known)
    first = next(found, None)
    if first is None:
        return None
    below = Path(escape(str(folder)), "**", f"*{first.suffix}")
    return f"Its folders hold some: give them as '{below}'"


def _below(folder: Path) -> Iterator[Path]:
    """Files in a folder and all its folders, without hidden ones and those that cannot be listed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in files if not name.startswith("."))
