"""What a run leaves behind, as JSON: scores, cost and configuration. No torch here, so that reports load fast."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from headstart.errors import DataError
from headstart.files import without_nan, write_json

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
        return without_nan(asdict(self))

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


def _with_nan(value: Any) -> Any:
    """The same structure with NaN for None."""
    if isinstance(value, dict):
        return {key: _with_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_nan(inner) for inner in value]
    return math.nan if value is None else value


def form_of(digest: str) -> str:
    """The part of a digest before its colon: digests of one form can be compared. "" for those of earlier versions."""
    return digest.rpartition(":")[0]
