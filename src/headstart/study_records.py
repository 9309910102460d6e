"""The JSON beside the results of a study: enough for a report that never imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headstart.errors import ConfigError
from headstart.results import RunResult, write_atomically
from headstart.study import ARMS, Cell, Study, cells, model_of
from headstart.study_plan import budget_flops, flops_per_sample


def cell_record(study: Study, cell: Cell) -> dict[str, Any]:
    """What stands in ``cell.json`` beside a result: enough for a report that never imports torch."""
    about = {name: value for name, value in asdict(cell).items() if name != "budget"}  # budget_flops says it
    return {
        "study": study.name,
        "cell": cell.name,
        **about,
        "budget_flops": budget_flops(study, cell),
        "flops_per_sample": flops_per_sample(model_of(study, cell)),
        "batch_size": study.batch_size,
        "settings": _settings_digest(study),
        "plan": _plan_digest(study, cell),
    }


def _settings_digest(study: Study) -> str:
    """Of all that the cells of a study share, so that results of different settings never stand in one table."""
    shared = [asdict(study.optimiser), asdict(study.schedule), asdict(study.augment), dict(study.losses)]
    rest = [study.batch_size, study.average_decay, study.geometric_share, study.geometric_loss, study.precision]
    return hashlib.sha256(json.dumps([*shared, *rest], sort_keys=True).encode()).hexdigest()[:12]


def _plan_digest(study: Study, cell: Cell) -> str:
    """Of what else decides a cell's numbers: its whole network and its first weights, splits, tests. Not of folders."""
    splits = {name: study.splits[name] for name in (cell.two_d or "", cell.three_d) if name in study.splits}
    plan: list[Any] = [asdict(model_of(study, cell)), splits, study.tests]
    if cell.geometric and cell.two_d and not ARMS[cell.arm].mixes:
        plan.append("2D data in the geometric stage")  # of which it once had none
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:12]


def study_record(study: Study) -> dict[str, Any]:
    """What stands in ``study.json``."""
    planned = cells(study)
    used = {cell.arm for cell in planned}
    return {
        "name": study.name,
        "title": study.title,
        "question": study.question,
        "arms": {name: arm.description for name, arm in ARMS.items() if name in used},
        "baseline": study.baseline,
        "main": study.main,
        "protocols": list(study.tests),
        "planned_cells": len(planned),
        "budget_flops": {
            name: samples * flops_per_sample(study.models[name]) for name, samples in study.samples.items()
        },
    }


def claim(work: Path, record: Mapping[str, Any]) -> None:
    """Remember which plan's run lies in a working folder, so that its numbers are filed under no other.

    Raises :class:`ConfigError` where the run of another lies there, or one that does not say whose it is.
    """
    path = work / "cell.json"
    # On a cluster of several processes the first writes, and the others may come before it.
    if path.is_file() or (work / "run" / "result.json").is_file():
        saved = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if different := [name for name, value in record.items() if saved.get(name) != value]:
            names = ", ".join(different)
            raise ConfigError(
                f"{work} holds a run of another plan ({names} differ): delete it, or choose another --work"
            )
    write_atomically(path, json.dumps(record, indent=1).encode())


def finished(results: Path, record: Mapping[str, Any]) -> RunResult | None:
    """The result of a cell if it is done; ``record`` is its :func:`cell_record`.

    Raises :class:`ConfigError` if what lies there was made by another plan: its numbers belong to another study.
    """
    folder = results / str(record["cell"])
    if not (folder / "result.json").is_file():
        return None
    saved = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
    # What an earlier version did not write down is not held against its results.
    different = [name for name, value in record.items() if name in saved and saved[name] != value]
    if different:
        raise ConfigError(
            f"{folder}: made by another plan ({', '.join(f'{n} {saved.get(n)} != {record[n]}' for n in different)}):"
            " delete the folder, or choose another --out"
        )
    return RunResult.load(folder / "result.json")
