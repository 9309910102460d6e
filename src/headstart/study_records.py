"""The JSON beside the results of a study: enough for a report that never imports torch."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from headstart.augment import AugmentConfig
from headstart.errors import ConfigError, DataError
from headstart.files import write_json
from headstart.optimisation import Optimiser
from headstart.results import RunResult
from headstart.study import ARMS, Arm, Cell, Study, cells
from headstart.study_plan import budget_flops, flops_per_sample, model_of

#: Fields of :class:`~headstart.optimisation.Optimiser` and :class:`~headstart.augment.AugmentConfig` that the first
#: results of studies did not have.
_LATER_FIELDS = ("backbone_factor", "cut_probability")


def cell_record(study: Study, cell: Cell) -> dict[str, Any]:
    """Content of ``cell.json``, which lies beside a result."""
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
    """Digest of what all cells of a study share: results of different settings are never compared."""
    shared = [_as_before(study.optimiser), asdict(study.schedule), _as_before(study.augment), dict(study.losses)]
    rest = [study.batch_size, study.average_decay, study.geometric_share, study.geometric_loss, study.precision]
    return hashlib.sha256(json.dumps([*shared, *rest], sort_keys=True).encode()).hexdigest()[:12]


def _as_before(settings: Optimiser | AugmentConfig) -> dict[str, Any]:
    """The fields; of those that came after the first results, only the ones that differ from the default.

    So they change no digest of before.
    """
    default = asdict(type(settings)())
    return {
        name: value for name, value in asdict(settings).items() if name not in _LATER_FIELDS or value != default[name]
    }


def _plan_digest(study: Study, cell: Cell) -> str:
    """Digest of what else decides a cell's numbers: network, initial weights, splits and tests; not folders."""
    splits = {name: study.splits[name] for name in (cell.two_d or "", cell.three_d) if name in study.splits}
    plan: list[Any] = [asdict(model_of(study, cell)), splits, study.tests]
    arm = study.arms[cell.arm]
    if cell.geometric and cell.two_d and not arm.mixes:
        plan.append("2D data in the geometric stage")  # which had none in earlier versions
    # Of an arm of this package, earlier versions recorded only the name.
    if cell.arm not in ARMS or _behaviour(arm) != _behaviour(ARMS[cell.arm]):
        plan.append(_behaviour(arm))
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:12]


def _behaviour(arm: Arm) -> dict[str, Any]:
    """The fields of an arm that differ from their defaults, so that fields added later change no digest of before."""
    defaults = {one.name: one.default for one in fields(Arm)}
    return {name: one for name, one in asdict(arm).items() if name != "description" and one != defaults[name]}


def study_record(study: Study) -> dict[str, Any]:
    """Content of ``study.json``, but for its date."""
    planned = cells(study)
    used = {cell.arm for cell in planned}
    return {
        "name": study.name,
        "title": study.title,
        "question": study.question,
        "arms": {name: arm.description for name, arm in study.arms.items() if name in used},
        "baseline": study.baseline,
        "main": study.main,
        "significance_test": study.significance_test,
        "protocols": list(study.tests),
        "planned_cells": len(planned),
        "budget_flops": {
            name: samples * flops_per_sample(study.models[name]) for name, samples in study.samples.items()
        },
    }


def write_study_record(path: Path, study: Study) -> None:
    """Bring ``study.json`` up to date. Its ``created`` is the day on which the plan became what it is.

    Raises :class:`ConfigError` as :func:`require_chosen_before`, :class:`DataError` for a file that is no JSON object.
    """
    require_chosen_before(path, study)
    record, saved = study_record(study), _read(path) if path.is_file() else {}
    # What an earlier version did not write down makes no other plan.
    same = all(record.get(name) == value for name, value in saved.items() if name != "created")
    today = time.strftime("%Y-%m-%d")
    record["created"] = saved.get("created", today) if same else today
    if record != saved:
        write_json(path, record)


def claim(work: Path, study: Study, cell: Cell) -> None:
    """Record in a working folder which plan its run belongs to, so that its result is never filed under another.

    Tests may have been added to the study since. Raises :class:`ConfigError` if the folder holds the run of another
    plan, or one without a record.
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
    """The result of a cell if it is trained; scores under tests that were added to the study since may be missing.

    Raises :class:`ConfigError` if the result was made by another plan, or scored under other tests than the study's.
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
    """The record of a cell with the tests ``before`` if the study has all of them, else with the study's tests."""
    return cell_record(replace(study, tests=tuple(before)) if set(before) <= set(study.tests) else study, cell)


def require_chosen_before(path: Path, study: Study) -> None:
    """Raises :class:`ConfigError` if there are results, and ``study.json`` names another significance test."""
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
    """Those of ``names`` whose saved value differs; not the digest ``plan`` where the tests in it explain that."""
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
    "plan": "its network, first weights, arm, splits or tests",
}


def _read(path: Path) -> dict[str, Any]:
    """Raises :class:`DataError` for a file that is no JSON object."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(path, "a JSON object written by `headstart study`", found=str(error)) from error
