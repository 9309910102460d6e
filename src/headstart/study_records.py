"""The JSON beside the results of a study: enough for a report that never imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from headstart.errors import ConfigError, DataError
from headstart.results import RunResult, write_json
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
        "tests": list(study.tests),
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
        "significance_test": study.significance_test,
        "protocols": list(study.tests),
        "planned_cells": len(planned),
        "budget_flops": {
            name: samples * flops_per_sample(study.models[name]) for name, samples in study.samples.items()
        },
    }


def claim(work: Path, study: Study, cell: Cell) -> None:
    """Remember which plan's run lies in a working folder, so that its numbers are filed under no other.

    Tests may have come to the study since. Raises :class:`ConfigError` where the run of another plan lies there, or one
    that does not say whose it is.
    """
    path = work / "cell.json"
    # On a cluster of several processes the first writes, and the others may come before it.
    if path.is_file() or (work / "run" / "result.json").is_file():
        saved = _read(path) if path.is_file() else {}
        record = _with_tests_of(study, cell, saved.get("tests", study.tests))
        # Earlier versions did not write the tests, which are part of the plan, down beside it.
        if different := _differing(saved, record, record.keys() - {"tests"}):
            what = _in_words(different, saved, record) if saved else "it does not say of which"
            raise ConfigError(
                f"{work} holds a run of another plan ({what}), maybe that of another study named {record['study']}:"
                " delete it, or choose another --work"
            )
    write_json(path, cell_record(study, cell))


def finished(results: Path, study: Study, cell: Cell) -> RunResult | None:
    """The result of a cell if it is trained and scored under every test of the study; raises as :func:`filed`."""
    result = filed(results, study, cell)
    return None if result is None or result.not_scored(study.tests) else result


def filed(results: Path, study: Study, cell: Cell) -> RunResult | None:
    """The result of a cell that was trained; tests that came to the study since may be missing in it.

    Raises :class:`ConfigError` if what lies there was made by another plan, or scored under other tests than the
    study's: its numbers belong to another study.
    """
    folder = results / cell.name
    if not (folder / "result.json").is_file():
        return None
    saved, result = _read(folder / "cell.json"), RunResult.load(folder / "result.json")
    scored = [score.protocol for score in result.scores]
    at_first = saved.get("tests", [name for name in scored if name not in result.scored_later])
    tests = at_first if set(scored) <= set(study.tests) else scored
    record = _with_tests_of(study, cell, tests)
    # What an earlier version did not write down is not held against its results.
    before = {**saved, "tests": list(tests)}
    different = _differing(before, record, before.keys())
    words = _in_words(different, before, record)
    if different == ["tests"]:
        raise ConfigError(
            f"{folder} is finished, but {words}. Its scores stand under the tests that it was scored on: put these back"
            " to keep it, or choose another --out. (Tests may be added where --keep has left the weights.)"
        )
    if different:
        raise ConfigError(f"{folder}: made by another plan ({words}): delete the folder, or choose another --out")
    return result


def _with_tests_of(study: Study, cell: Cell, before: Sequence[str]) -> dict[str, Any]:
    """The record that a cell had under the tests ``before``, if all that the study has done to these is add others."""
    return cell_record(replace(study, tests=tuple(before)) if set(before) <= set(study.tests) else study, cell)


def require_chosen_before(path: Path, study: Study) -> None:
    """Raises :class:`ConfigError` if ``study.json`` says that there are results already for another test."""
    results = path.parent / "results"
    if not path.is_file() or not any(results.glob("*/result.json")):
        return
    before, now = _read(path).get("significance_test", "paired"), study.significance_test
    if before != now:
        raise ConfigError(
            f"{path}: significance_test was {before} when the first cells were run, and is {now} now: it is chosen"
            " before there are results. Put it back, or choose another --out"
        )


def _differing(saved: Mapping[str, Any], record: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Which of ``names`` a saved record has otherwise; tests alone where the plan differs and they do."""
    different = [name for name, value in record.items() if name in names and saved.get(name) != value]
    if "plan" in different and saved.get("tests", record["tests"]) != record["tests"]:
        return [*(name for name in different if name not in ("plan", "tests")), "tests"]
    return different


def _in_words(names: Sequence[str], saved: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return "; ".join(_difference(name, saved.get(name), record[name]) for name in names)


def _difference(name: str, before: Any, now: Any) -> str:
    if name == "tests":
        return f"tests were {', '.join(before)} and are {', '.join(now)} now"
    if name in _DIGESTS:
        return f"{name}, that is {_DIGESTS[name]}: {before} != {now}"
    return f"{name} {before} != {now}"


_DIGESTS = {
    "settings": "its losses, optimiser, schedule, augmentation, batch size or the like",
    "plan": "its network, first weights, splits or tests",
}


def _read(path: Path) -> dict[str, Any]:
    """Raises :class:`DataError` for what is no JSON object."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(path, "a JSON object written by `headstart study`", found=str(error)) from error
