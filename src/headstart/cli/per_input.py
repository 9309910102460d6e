"""``headstart predict --per-input``: each input's results in a folder of their own, which appears when complete."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from os.path import abspath, getsize, isdir, lexists
from pathlib import Path
from shutil import rmtree
from types import FrameType
from typing import Any

from headstart import __version__
from headstart.cli.outputs import RECORD, Outputs
from headstart.errors import ConfigError
from headstart.files import write_json
from headstart.locks import locked_file


@dataclass(frozen=True)
class PerInput:
    """The folders of all inputs, each with a record of the input and of the options, ``run.json``.

    A folder's name depends on its input alone, so that processes can share ``root``. One of them at a time works on an
    input: it holds a lock, whose file lies hidden beside the folder.
    """

    root: Path
    options: Mapping[str, Any]
    """Those that results depend on, as plain data for JSON."""
    skip_finished: bool = False

    @classmethod
    def of(cls, outputs: Outputs, options: Mapping[str, Any], *, skip_finished: bool = False) -> PerInput:
        """Below the folder of :meth:`Outputs.for_each_input`, whose other fields are options too."""
        given = {**options, **asdict(outputs)}
        folder = given.pop("folder")
        return cls(folder, json.loads(json.dumps(given, default=str)), skip_finished)

    def folder_of(self, name: str) -> Path:
        """``root/athletes/ann/jump.mp4`` for that path below the working folder; else the whole path is below ``root``.

        The file's suffix stays: a phone's IMG_1.HEIC and IMG_1.MOV are two inputs.
        """
        if name.startswith("webcam:"):
            return self.root / name.replace(":", "_")
        path = Path(abspath(name))
        if path.is_relative_to(here := Path.cwd()):
            return self.root / path.relative_to(here)
        drive = "".join(character for character in path.drive if character.isalnum())  # of Windows: C:
        return self.root / drive / path.relative_to(path.anchor)

    def check(self, files: Sequence[str]) -> None:
        """Raise :class:`ConfigError` if a folder would replace something that is not such a folder."""
        for name in files:
            folder = self.folder_of(name)
            if lexists(folder) and not (isdir(folder) and (folder / RECORD).is_file()):
                kind = f"a folder without {RECORD}" if isdir(folder) else "a file"
                raise ConfigError(
                    f"--per-input: the results of {name} go to the folder {folder}, where there is {kind}; name another"
                    " folder with --out"
                )

    def unfinished(self, files: Sequence[str]) -> list[str]:
        """The inputs that have no complete results with these options; says how many have, and which options differ."""
        differ = {name: self._differing(name) for name in files}
        left = [name for name in files if differ[name] != []]
        for name in left:
            if differing := differ[name]:
                print(f"{name}: finished before with another value of {', '.join(differing)}; computed again")
        if len(left) < len(files):
            print(f"{len(files) - len(left)} of {len(files)} inputs were finished before (--skip-finished)")
        return left

    def _differing(self, name: str) -> list[str] | None:
        """What has another value now than in the complete results of an input; None if there are none."""
        record = _read(self.folder_of(name) / RECORD)
        if record is None or not record.get("finished") or record.get("bytes") is None:  # a camera has no end
            return None
        now = self._record(name, finished=True)
        differ = [key for key, value in now["options"].items() if record["options"].get(key) != value]
        return differ + (["the file's size"] if record.get("bytes") != now["bytes"] else [])

    @contextmanager
    def working_on(self, names: Collection[str]) -> Iterator[list[str]]:
        """Those of the inputs that no other process works on; none begins with them before the block ends.

        The others are named, and with --skip-finished left out too if another process has just finished them. A process
        that dies, however it dies, frees its inputs.
        """
        with ExitStack() as held:
            yield [name for name in names if self._begin(name, held)]

    def _begin(self, name: str, held: ExitStack) -> bool:
        """Whether this process is to do the input, for which it then has a lock in ``held``."""
        if not self._lock(name, held):
            print(f"{name}: skipped, as another process is working on it")
            return False
        if self.skip_finished and self._differing(name) == []:
            print(f"{name}: skipped, as another process has just finished it")
            return False
        return True

    def _lock(self, name: str, held: ExitStack) -> bool:
        try:
            return held.enter_context(locked_file(self._beside(name, ".lock")))
        except ConfigError:
            _warn_once(f"{self.root}: its file system has no locks: do not give one input to two processes")
            return True

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """A hidden folder to write to, deleted after the block, and before it what a killed process has left there."""
        hidden, earlier = self._hidden(name)
        for left in (hidden, earlier):
            rmtree(left, ignore_errors=True)
        hidden.mkdir(parents=True)
        try:
            yield hidden
        finally:
            for left in (hidden, earlier):
                rmtree(left, ignore_errors=True)

    def publish(self, name: str, *, finished: bool) -> None:
        """Give the hidden folder its name, in place of the folder of an earlier run, and with its record."""
        folder, (hidden, earlier) = self.folder_of(name), self._hidden(name)
        write_json(hidden / RECORD, self._record(name, finished))
        if folder.exists():
            folder.rename(earlier)
        try:
            hidden.rename(folder)
        except OSError:
            if earlier.exists():
                earlier.rename(folder)
            raise

    def _hidden(self, name: str) -> tuple[Path, Path]:
        """Where results are written, and where those of an earlier run are put before they are deleted."""
        return self._beside(name, ""), self._beside(name, ".earlier")

    def _beside(self, name: str, suffix: str) -> Path:
        """A hidden path beside an input's folder; without the input's name, which may be as long as names can be."""
        folder = self.folder_of(name)
        number = sha256(os.fsencode(folder.name)).hexdigest()[:16]
        return folder.with_name(f".headstart.{number}{suffix}")

    def _record(self, name: str, finished: bool) -> dict[str, Any]:
        size = getsize(name) if os.path.isfile(name) else None
        about = {"input": name, "bytes": size, "finished": finished, "headstart": __version__}
        return about | {"options": dict(self.options)}


@cache
def _warn_once(warning: str) -> None:
    print(f"headstart: {warning}", file=sys.stderr)


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, with which a cluster ends a job, do what Ctrl-C does: the files begun are deleted on the way out."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, which handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("options"), dict) else None
