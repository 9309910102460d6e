"""The files that the inputs of ``headstart predict`` mean, and outputs that must not harm them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from glob import glob, has_magic
from os.path import abspath, realpath
from pathlib import Path

from headstart.cli.outcome import Outcome
from headstart.errors import ConfigError, DataError


def files_of(inputs: Sequence[str], outcome: Outcome) -> list[str]:
    """Files that inputs mean, each once; folders give their pictures and videos by name, globs what they match."""
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
    if not one:  # Path("") would be the working folder; it is a variable of the shell that is not set
        found = []
    elif path.is_dir():
        found = _inside(path)
    elif has_magic(one) and not path.exists():
        found = sorted(name for name in glob(one, recursive=True) if Path(name).is_file())
    else:
        found = [one]
    if not found:
        raise DataError(one or "''", "pictures", found="none")
    return found


def _inside(folder: Path) -> list[str]:
    """Hidden files are left out, as globs do: a Mac puts ``._photo.jpg`` beside each photo on a foreign disk."""
    from headstart.photos import PHOTO_SUFFIXES
    from headstart.video_files import VIDEO_SUFFIXES

    try:
        inside = [path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES | VIDEO_SUFFIXES]
    except OSError as error:
        raise DataError(folder, "a folder of pictures", found=error.strerror or str(error)) from error
    return sorted(str(path) for path in inside if not path.name.startswith(".") and not path.is_dir())


def check_outputs(files: Sequence[str], named: Mapping[str, Path | None], folder: Path | None) -> None:
    """Raise :class:`ConfigError` for outputs that cannot be, or that would replace an input or each other.

    ``named``: option -> file to write; ``folder``: that of the pictures.
    """
    inputs = set(map(realpath, files))
    taken: dict[str, str] = {}
    for option, path in named.items():
        if path is None:
            continue
        place = realpath(path)
        if path.is_dir():
            raise ConfigError(f"{option} {path}: expected a file to write, found a folder")
        if place in inputs:
            raise ConfigError(f"{option} {path}: would replace an input; name another file")
        if place in taken:
            raise ConfigError(f"{taken[place]} and {option} both name {path}; name two files")
        taken[place] = option
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder}: expected a folder, found a file")
