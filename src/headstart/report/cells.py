"""A study's folder as records: its question, its cells, and whether they may be compared at all.

``FOLDER/study.json`` says what is asked; ``FOLDER/results/CELL/cell.json`` what a cell is and ``result.json`` beside it
(:class:`~headstart.results.RunResult`) what came out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.results import RunResult, Scores
from headstart.statistics import SignificanceTest

Record = TypeVar("Record")


@dataclass(frozen=True)
class Variant:
    """Everything of a cell but its seed: cells of one variant are repeats of each other."""

    arm: str
    geometric: bool
    share_2d: float
    """Share of the budget spent on 2D pre-training."""
    backbone: str
    two_d: str | None
    three_d: str
    budget_flops: float
    """Training FLOPs, all stages together."""
    three_d_limit: int | None
    """People of the 3D set that are used; None for all."""


@dataclass(frozen=True)
class Cell:
    """One finished run of a study."""

    id: str
    variant: Variant
    seed: int
    flops_per_sample: float
    batch_size: int
    result: RunResult
    folder: Path
    settings: str = ""
    """Digest of what all cells of a study share: losses, optimiser, augmentation and so on."""

    @property
    def flops(self) -> float:
        """Training FLOPs that were spent."""
        return sum(stage.flops for stage in self.result.stages)

    @property
    def samples(self) -> int:
        """Training samples, repeats counted."""
        return sum(stage.samples for stage in self.result.stages)

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return sum(stage.seconds for stage in self.result.stages)

    @property
    def device_seconds(self) -> float:
        """Seconds of training times processes; where their number was not recorded, one."""
        return self.seconds * (self.result.processes or 1)

    @property
    def micro_batch_size(self) -> int:
        """Samples that each process took at a time: what batch norm saw. The process's part of a batch, if it is not
        recorded."""
        return self.result.config.get("micro_batch_size") or self.batch_size // (self.result.processes or 1)

    @property
    def accumulates(self) -> bool:
        """Whether a process took its part of a batch in several micro batches."""
        return self.micro_batch_size < self.batch_size // (self.result.processes or 1)

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """Final scores by protocol."""
        return {score.protocol: score for score in self.result.scores}

    def curve(self, protocol: str) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
        """FLOPs spent since the start (n,), values of the protocol (n,), and stage number of each point."""
        points: list[tuple[float, float, int]] = []
        stage, before = 0, 0.0
        for row in self.result.history:
            while stage + 1 < len(self.result.stages) and row["stage"] != self.result.stages[stage].name:
                before += self.result.stages[stage].flops
                stage += 1
            if protocol in row and np.isfinite(row[protocol]):
                within = row.get("flops", row["samples"] * self.flops_per_sample)
                points.append((before + within, float(row[protocol]), stage))
        compute, values = (np.array([point[axis] for point in points], np.float64) for axis in (0, 1))
        return compute, values, [point[2] for point in points]


@dataclass(frozen=True)
class Study:
    """What was asked, and the cells that answer it."""

    folder: Path
    name: str
    title: str
    question: str
    arms: dict[str, str]
    """Arm -> what it does, in words."""
    baseline: str
    main: str
    protocols: tuple[str, ...]
    budget_flops: float | dict[str, float]
    """Training FLOPs of a cell; by backbone where they differ."""
    created: str = ""
    significance_test: SignificanceTest = "paired"
    """Which test the arms are compared by; chosen before the cells were run."""
    planned_cells: int = 0
    """How many the study has when it is finished; 0 where study.json does not say."""
    cells: tuple[Cell, ...] = ()
    unfinished: tuple[str, ...] = ()
    """Cells without a result yet."""

    @cached_property
    def variants(self) -> dict[Variant, dict[int, Cell]]:
        """Variant -> seed -> cell, arms in the study's order."""
        order = {arm: number for number, arm in enumerate(self.arms)}
        found: dict[Variant, dict[int, Cell]] = {}
        for cell in sorted(self.cells, key=lambda cell: (order.get(cell.variant.arm, len(order)), cell.id)):
            found.setdefault(cell.variant, {})[cell.seed] = cell
        return {variant: dict(sorted(cells.items())) for variant, cells in found.items()}

    def partner(self, variant: Variant) -> Variant | None:
        """The baseline that a variant is compared with: same backbone, 3D data, budget and, if it has any, 2D data.

        With the same geometric stage if the baseline was run with one, else without; likewise with the same share of
        2D, else its usual one. What has no 2D data itself is compared with a baseline of a single 2D set only.
        """
        candidates = self.baselines(variant)
        if variant.two_d is None and len({other.two_d for other in candidates}) > 1:
            candidates = [other for other in candidates if other.two_d is None]
        usual = self.usual_share(self.baseline)

        def distance(other: Variant) -> tuple[bool, ...]:
            share = other.share_2d
            return other.geometric != variant.geometric, share != variant.share_2d, share != usual

        return min(candidates, key=distance, default=None)

    def baselines(self, variant: Variant) -> list[Variant]:
        """What a variant may be compared with: no other 2D data than its own."""
        same = ("backbone", "three_d", "budget_flops", "three_d_limit")
        return [
            other
            for other in self.variants
            if other.arm == self.baseline
            and all(getattr(other, name) == getattr(variant, name) for name in same)
            and (other.two_d in (None, variant.two_d) or variant.two_d is None)
        ]

    def is_usual(self, variant: Variant) -> bool:
        """Whether a variant belongs in the main tables: usual backbone, budget, share of 2D and amount of 3D data.

        Usual is what most cells have. Other values are for the sections about what varies.
        """
        (backbone, budget, limit), shares, geometric = self._usual
        return (
            (variant.backbone, variant.budget_flops, variant.three_d_limit) == (backbone, budget, limit)
            and variant.share_2d == shares.get(variant.arm)
            and variant.geometric == geometric.get(variant.arm)
        )

    def usual_budget(self, backbone: str) -> float:
        """Training FLOPs of most cells of a backbone; of several that are as frequent the study's own."""
        own = self.budget_flops.get(backbone) if isinstance(self.budget_flops, dict) else self.budget_flops
        found = [cell.variant.budget_flops for cell in self.cells if cell.variant.backbone == backbone]
        return float(_most(sorted(found, key=lambda budget: (budget != own, budget))))

    def usual_share(self, arm: str) -> float | None:
        """Share of 2D that an arm has in the main tables; None for an arm that is not in them."""
        return self._usual[1].get(arm)

    @cached_property
    def _usual(self) -> tuple[tuple[str, float, int | None], dict[str, float], dict[str, bool]]:
        backbone = _most(cell.variant.backbone for cell in self.cells)
        here = [cell.variant for cell in self.cells if cell.variant.backbone == backbone]
        budget = self.usual_budget(backbone)
        # Ties go to all of the data, to the middle of the dial and to no geometric stage.
        limit = _most(sorted((variant.three_d_limit for variant in here), key=lambda limit: limit is not None))
        here = [one for one in here if (one.budget_flops, one.three_d_limit) == (budget, limit)]
        shares = {
            arm: _most(sorted(found, key=lambda share: abs(share - 0.5))) for arm, found in _grouped(here, "share_2d")
        }
        geometric = {arm: _most(sorted(found)) for arm, found in _grouped(here, "geometric")}
        return (backbone, budget, limit), shares, geometric


def load_study(folder: Path) -> Study:
    """Everything below ``folder``; raises :class:`DataError` naming the file that is missing or malformed."""
    study = _read(folder / "study.json", Study, folder=folder)
    if study.significance_test not in get_args(SignificanceTest):
        expected = f"significance_test: one of {', '.join(get_args(SignificanceTest))}"
        raise DataError(folder / "study.json", expected, found=repr(study.significance_test))
    cells, unfinished = [], []
    for path in sorted((folder / "results").glob("*/cell.json")):
        if (path.parent / "result.json").exists():
            cells.append(_load_cell(path))
        else:
            unfinished.append(path.parent.name)
    if not cells:
        raise DataError(
            folder / "results",
            "at least one finished cell (CELL/cell.json and CELL/result.json)",
            found="none",
            fix=f"Run it with: headstart study run {study.name}",
        )
    return replace(study, protocols=tuple(study.protocols), cells=tuple(cells), unfinished=tuple(unfinished))


def _load_cell(path: Path) -> Cell:
    raw = _json(path)
    raw["id"] = raw.pop("cell", path.parent.name)
    variant = _record(path, Variant, raw)
    result = RunResult.load(path.parent / "result.json")
    cell = _record(path, Cell, raw, variant=variant, result=result, folder=path.parent)
    if cell.seed != result.seed:
        raise DataError(path.parent / "result.json", f"seed {cell.seed} as in cell.json", found=str(result.seed))
    return cell


def _read(path: Path, kind: type[Record], **known: Any) -> Record:
    return _record(path, kind, _json(path), **known)


def _json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(path, "a JSON file written by `headstart study`", found=str(error)) from error
    if not isinstance(raw, dict):
        raise DataError(path, "a JSON object", found=type(raw).__name__)
    return raw


def _record(path: Path, kind: type[Record], raw: dict[str, Any], **known: Any) -> Record:
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**({name: value for name, value in raw.items() if name in names} | known))
    except TypeError as error:
        raise DataError(path, f"the fields of a {kind.__name__.lower()}", found=str(error)) from error


def _most(values: Iterable[Any]) -> Any:
    return Counter(values).most_common(1)[0][0]


def _grouped(variants: Sequence[Variant], name: str) -> list[tuple[str, list[Any]]]:
    """(arm, values of a field over its cells) pairs."""
    return [
        (arm, [getattr(one, name) for one in variants if one.arm == arm])
        for arm in dict.fromkeys(one.arm for one in variants)
    ]
