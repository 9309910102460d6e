"""What a run leaves behind, as JSON: scores, cost and configuration. No torch here, so that reports load fast."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Literal

from headstart.errors import DataError

Better = Literal["lower", "higher"]
"""Which direction of a metric is better."""


@dataclass(frozen=True)
class Scores:
    """One metric under one protocol."""

    protocol: str
    """Its name, which says so where it is not scored on its own data: ``lsp_pck on my_data.office val``. Scores of one
    run have different names."""
    description: str
    """Full sentence: data set, split, subset, joints, root, alignment, scale rule, metric."""
    metric: str
    unit: str
    value: float
    better: Better
    n: int
    """Number of people scored."""
    per_joint: dict[str, float] = field(default_factory=dict)
    per_action: dict[str, float] = field(default_factory=dict)
    strata: dict[str, float] = field(default_factory=dict)
    """The same metric over a part of the joints, e.g. ``visible`` and ``occluded``."""
    others: dict[str, float] = field(default_factory=dict)
    """Companion metrics of the same predictions, e.g. ``pa_mpjpe_mm``."""
    dataset: str = ""
    """Data set that was scored; "": not recorded (earlier versions)."""
    split: str = ""
    """Split of it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, which knows no NaN: None stands for it."""
        return _without_nan(asdict(self))

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Scores:
        """Back from :meth:`to_dict`, or from a file of an earlier version (with NaN) or of a later one (with more)."""
        known = {f.name for f in fields(cls)}
        return cls(**_with_nan({name: value for name, value in plain.items() if name in known}))


@dataclass(frozen=True)
class StageCost:
    """What one stage of training consumed."""

    name: str
    steps: int
    samples: int
    flops: float
    """Training FLOPs, forward and backward, 2 per multiply-add."""
    seconds: float
    people: list[int] = field(default_factory=list)
    """In use of each training split, in the order of the stage's ``data`` in the configuration; empty: not recorded."""
    labels: list[str] = field(default_factory=list)
    """Digest of the labels of each, in the same order; empty: not recorded. Of another form where an earlier version
    made it, of a packed split's pictures too (:func:`form_of`)."""


@dataclass(frozen=True)
class RunResult:
    """One finished run."""

    name: str
    seed: int
    config: dict[str, Any]
    git_sha: str
    device: str
    stages: list[StageCost]
    scores: list[Scores]
    history: list[dict[str, Any]] = field(default_factory=list)
    """One row per log interval: stage, step, samples, flops, losses; validation rows carry metric values, by the name
    that each has in ``scores``."""
    versions: dict[str, str] = field(default_factory=dict)
    unreadable_images: list[str] = field(default_factory=list)
    processes: int | None = None
    """Processes that shared the training; None: not recorded."""
    test_labels: dict[str, str] = field(default_factory=dict)
    """Protocol, by its name in ``scores`` -> digest of the labels that it scores; empty: not recorded."""
    scored_later: dict[str, dict[str, str]] = field(default_factory=dict)
    """Protocol that was added to the study's tests after the run -> ``git_sha`` and ``device`` of its scoring."""

    def not_scored(self, tests: Iterable[str]) -> list[str]:
        """Those of the protocols under which it has no score."""
        scored = {score.protocol for score in self.scores}
        return [name for name in tests if name not in scored]

    def save(self, path: Path) -> None:
        """Write JSON atomically; null stands for what is not a finite number."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> RunResult:
        """Read back what :meth:`save` wrote; raises :class:`DataError` for anything else."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            stages = [StageCost(**stage) for stage in raw.pop("stages")]
            scores = [Scores.from_dict(score) for score in raw.pop("scores")]
            raw["history"] = _with_nan(raw.get("history", []))
            known = {f.name for f in fields(cls)}
            return cls(stages=stages, scores=scores, **{k: v for k, v in raw.items() if k in known})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(path, "a result.json written by headstart", found=str(error)) from error


def _without_nan(value: Any) -> Any:
    """The same structure with None for floats that are not finite."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(value: Any) -> Any:
    """The same structure with NaN for None."""
    if isinstance(value, dict):
        return {key: _with_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_nan(inner) for inner in value]
    return math.nan if value is None else value


def read_runs(directory: Path) -> Iterator[RunResult]:
    """Every ``result.json`` below ``directory``, in the order of their paths."""
    for path in sorted(directory.rglob("result.json")):
        yield RunResult.load(path)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step: a reader sees the old file or the new one, never a part.

    A failed write (a full disk) leaves the old file and no temporary one behind.
    """
    with atomic_file(path) as stream:
        stream.write(content)


def write_json(path: Path, value: Any, *, indent: int | None = 1) -> None:
    """Replace ``path`` by ``value`` as JSON, in one step; null stands for what is not a finite number.

    Raises :class:`TypeError` for what JSON cannot hold; the old file is then untouched.
    """
    write_atomically(path, json.dumps(_without_nan(value), indent=indent, allow_nan=False).encode())


def digest_of(files: Iterable[Path]) -> str:
    """16 hexadecimal digits that change with the content of any of the files."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def form_of(digest: str) -> str:
    """The part of a digest before its colon: digests of one form can be compared. "" for those of earlier versions."""
    return digest.rpartition(":")[0]


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """:func:`write_atomically` piece by piece: ``path`` is replaced when the block ends without an exception.

    A device or a pipe (``/dev/null``, ``>(jq .)``), which cannot be replaced, is written to directly.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as stream:
            yield stream
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Not named after the file, whose name may be as long as names can be.
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".headstart.")
    except OSError as error:  # whose message would name a file that nobody has asked for
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        try:
            os.replace(temporary, path)
        except PermissionError as error:  # on Windows that of a file which a program has open, too
            raise OSError(error.errno, error.strerror, str(path)) from error
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk names no file
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
