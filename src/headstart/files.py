"""Files that appear whole or not at all, JSON among them, and digests of files."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any, BinaryIO
from uuid import uuid4

# Seconds after which temporary files that nobody has written to are a killed process's.
_LEFT_BEHIND = 3600.0


def write_json(path: Path, value: Any, *, indent: int | None = 1) -> None:
    """Replace ``path`` by ``value`` as JSON, in one step; null stands for what is not a finite number.

    Raises :class:`TypeError` for what JSON cannot hold; the old file is then untouched.
    """
    write_atomically(path, json.dumps(without_nan(value), indent=indent, allow_nan=False).encode())


def without_nan(value: Any) -> Any:
    """The same structure of dicts and lists with None for floats that are not finite."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step: a reader sees the old file or the new one, never a part.

    A failed write (a full disk) leaves the old file and no temporary one behind.
    """
    with atomic_file(path) as stream:
        stream.write(content)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """:func:`write_atomically` piece by piece: ``path`` is replaced when the block ends without an exception.

    A device or a pipe (``/dev/null``, ``>(jq .)``), which cannot be replaced, is written to directly.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as stream:
            yield stream
        return
    with replaced(path) as temporary, temporary.open("wb") as stream:
        yield stream


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path for a new file, which replaces ``path`` when the block ends without an exception; as :func:`beside`."""
    with beside(path) as folder:
        temporary = folder / "new"
        yield temporary
        os.chmod(temporary, folder.stat().st_mode & 0o666)  # safetensors writes for the owner alone
        put(temporary, path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A new hidden folder in that of ``path``, which is made; deleted after the block with what it still holds.

    No other process has its name. Libraries may leave temporary files of their own in it when they are killed. An
    :class:`OSError` of the block that names a file in it, or none, names ``path`` instead.
    """
    path = _target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f"{_mark(path)}{uuid4().hex[:16]}")
    try:
        folder.mkdir()
        yield folder
    except OSError as error:  # a full disk names no file; nobody has asked for the temporary ones
        if error.errno is None or not str(error.filename or folder).startswith(str(folder)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        rmtree(folder, ignore_errors=True)


def put(temporary: Path, path: Path) -> None:
    """Replace ``path`` by a finished file of :func:`beside` in one step, once all of it is on the disk."""
    with temporary.open("r+b") as stream:  # Windows syncs no file that is open for reading alone
        os.fsync(stream.fileno())
    os.replace(str(temporary), _target(path))


def remove_leftovers(path: Path) -> None:
    """Delete what processes that were killed while they wrote ``path`` have left beside it, once it is an hour old."""
    path = _target(path)
    for left in path.parent.glob(f"{_mark(path)}*"):
        with suppress(OSError):  # it is being deleted by another process
            if time.time() - max(one.stat().st_mtime for one in (left, *left.iterdir())) > _LEFT_BEHIND:
                rmtree(left, ignore_errors=True)


def _mark(path: Path) -> str:
    """How names of temporary folders for ``path`` begin: without its name, which may be as long as names can be."""
    return f".headstart.{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}."


def _target(path: Path) -> Path:
    """The file itself where ``path`` is a link to it, which stays one."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def digest_of(files: Iterable[Path]) -> str:
    """16 hexadecimal digits that change with the content of any of the files."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
