"""Where ``headstart predict`` writes, and checks that no input is replaced."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os.path import exists, isdir, isfile, realpath
from pathlib import Path

from headstart.errors import ConfigError

#: With --per-input: the record of an input and of the options, in its folder.
RECORD = "run.json"

_DEFAULT_FOLDER = Path("predictions")


@dataclass(frozen=True)
class Outputs:
    """Outputs by the options."""

    json: Path | None = None
    """JSON of the people: a file, or a name of standard output."""
    csv: Path | None = None
    npz: Path | None = None
    folder: Path | None = None
    """--out: folder of images, videos and animations."""
    bvh: bool = False
    trc: bool = False
    overlay: bool = True
    """Whether the folder gets the images and videos with skeletons drawn on them."""
    coco: Path | None = None
    """Labels of all images in COCO's format; not with --per-input."""

    @property
    def animated(self) -> bool:
        """Whether animations of people in videos are written."""
        return self.bvh or self.trc

    @property
    def tabular(self) -> bool:
        """Whether a table or arrays are written, for which all people are kept until the end."""
        return self.csv is not None or self.npz is not None

    def completed(self) -> Outputs:
        """With ./predictions for JSON and pictures if no output is named, and for animations if no folder is.

        Raises :class:`ConfigError` for a folder that nothing would be written to.
        """
        if self.folder is not None and not (self.overlay or self.animated):
            raise ConfigError("--out: with --no-overlay only --bvh and --trc are written there; ask for one of them")
        if not any((self.json, self.csv, self.npz, self.coco, self.folder)):
            return replace(self, json=_DEFAULT_FOLDER / "people.json", folder=_DEFAULT_FOLDER)
        if self.animated and self.folder is None:
            return replace(self, folder=_DEFAULT_FOLDER)
        return self

    def for_each_input(self) -> Outputs:
        """With --per-input: JSON, table and arrays are names of files in each input's folder; JSON if none is named.

        Raises :class:`ConfigError` for anything but the name of a file.
        """
        named = {"--json": self.json, "--csv": self.csv, "--npz": self.npz}
        for option, path in named.items():
            if path is not None and (len(path.parts) != 1 or path.name in ("", "-", RECORD)):
                expected = f"the name of a file in each input's folder, for example people.{option[2:]}"
                raise ConfigError(f"{option} {path}: with --per-input expected {expected}")
        json = None if any(named.values()) else Path("people.json")
        return replace(self, json=self.json or json, folder=self.folder or _DEFAULT_FOLDER)

    def inside(self, folder: Path) -> Outputs:
        """The outputs of :meth:`for_each_input` in one input's ``folder``."""
        json, csv, npz = (path and folder / path for path in (self.json, self.csv, self.npz))
        return replace(self, json=json, csv=csv, npz=npz, folder=folder)


def check_outputs(outputs: Outputs, files: Sequence[str]) -> None:
    """Raise :class:`ConfigError` for outputs that cannot be written, or that would replace each other or one of the
    ``files`` read. ``--json`` may be standard output.
    """
    from headstart.pose_files import is_standard_output

    inputs = set(map(realpath, files))
    taken: dict[str, tuple[str, Path]] = {}
    named = {"--json": outputs.json, "--csv": outputs.csv, "--npz": outputs.npz, "--coco": outputs.coco}
    for option, path in named.items():
        if path is None or (option == "--json" and is_standard_output(path)):
            continue
        if is_standard_output(path):
            raise ConfigError(f"{option} {path}: expected a file to write; only --json can go to standard output")
        if isdir(path):  # unlike Path.is_dir for names too that are too long
            raise ConfigError(f"{option} {path}: expected a file to write, found a folder")
        if realpath(path) in inputs:
            raise ConfigError(f"{option} {path}: would replace an input; name another file")
        _take(option, path, taken)
    if outputs.folder is not None:
        if exists(outputs.folder) and not isdir(outputs.folder):
            raise ConfigError(f"--out {outputs.folder}: expected a folder, found a file")
        _take("--out", outputs.folder, taken)


def _take(option: str, path: Path, taken: dict[str, tuple[str, Path]]) -> None:
    """Add an output to ``taken`` by its real path; raise :class:`ConfigError` if it is in conflict with another."""
    place = realpath(path)
    if place in taken:
        raise ConfigError(f"{taken[place][0]} and {option} both name {path}; name two places")
    for other, (owner, named) in taken.items():
        # Outputs may be inside the folder of --out, but not inside a file.
        if Path(other) in Path(place).parents:
            raise ConfigError(f"{option} {path}: cannot be inside {named}, the file of {owner}; name another place")
        if Path(place) in Path(other).parents and option != "--out":
            raise ConfigError(f"{owner} {named}: cannot be inside {path}, the file of {option}; name another place")
    check_writable(option, path)
    taken[place] = option, path


def check_writable(option: str, path: Path) -> None:
    """Raise :class:`ConfigError` unless a file or folder can be made at ``path`` with the folders that it lacks."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a name that is too long, a loop of links
        raise ConfigError(f"{option} {path}: cannot be written: {error.strerror}") from error
    if exists(path) and not isfile(path):  # the folder of --out, a device, or a pipe, which has no real path
        existing = path
    else:
        existing = next(parent for parent in Path(realpath(path)).parents if exists(parent))
        if not isdir(existing):
            raise ConfigError(f"{option} {path}: cannot be written: {existing} is a file, not a folder")
    if not os.access(existing, os.W_OK):
        raise ConfigError(f"{option} {path}: cannot be written: no permission to write in {existing}")
