"""``headstart study plan|run|status|cell``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from headstart.cli.placeholders import AsJson, OptionalFolder
from headstart.cli.roots import parse_roots
from headstart.errors import ConfigError, HeadstartError

if TYPE_CHECKING:
    from headstart.executors import Folders, Task
    from headstart.results import RunResult, Scores
    from headstart.study import Cell, Study


@dataclass(frozen=True)
class StudyArguments:
    """Which study, where, and on what machines."""

    action: tyro.conf.Positional[Literal["plan", "run", "status", "cell"]]
    """plan, run, status; cell runs a single one (what run starts in processes of their own; a task of a job array)."""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="STUDY")]
    """A folder with a study.py: its name below studies/ in the working folder, or its path."""
    cell: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[CELL]", help_behavior_hint="")] = ""
    """cell only: its name, as plan prints it."""
    out: OptionalFolder = None
    """Folder of the study's results (the study's own if not given)."""
    work: OptionalFolder = None
    """Folder for checkpoints and logs of cells under way (OUT/work, or runs/study-NAME if neither is given)."""
    root: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=DIR")] = field(default=())
    """Folder of a data set, where it is not the study's own."""
    jobs: int = 1
    """Cells at once on this machine."""
    threads: int = 1
    """CPU threads of each cell; results repeat to the bit only with the same number."""
    processes: int = 1
    """Processes (GPUs) of each cell, by torchrun."""
    executor: Literal["here", "ray"] = "here"
    """Where cells run: this machine, or a Ray cluster."""
    address: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "auto"
    """ray: of the cluster."""
    cpus: float = 1.0
    """ray: CPUs that a cell takes."""
    gpus: float = 0.0
    """ray: GPUs that a cell takes."""
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]", help_behavior_hint="")] = ()
    """Only cells with these seeds (a first look)."""
    only: Annotated[str, tyro.conf.arg(metavar="PATTERN")] = "*"
    """Only cells whose names fit this pattern: '*studio*'."""
    flops_per_second: Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")] = None
    """plan: hours on a machine that trains at this rate, instead of a measurement of this one."""
    keep: bool = False
    """Keep every cell's weights in the working folder, so that tests may be added to the study later."""
    json_output: AsJson = False
    """plan and status: print JSON."""


def study(given: Annotated[StudyArguments, tyro.conf.arg(name="")]) -> None:
    """Plan, run or look at a study: its cells train the same model in several ways at the same budget.

    What ``plan`` lists is the cells, their FLOPs and the hours they should take here. ``run`` skips cells that are
    finished and goes on with those that were killed; where tests have come to the study since, cells whose weights were
    kept are scored under those. ``status`` says how far it is. ``headstart report NAME`` reads the results.
    """
    from headstart.study import cells as cells_of
    from headstart.study import load_study, unknown_data_sets
    from headstart.study_plan import check_matched

    if min(given.jobs, given.threads, given.processes) < 1:
        raise ConfigError("--jobs, --threads, --processes: expected 1 or more")
    plan = load_study(given.name)
    for problem in unknown_data_sets("--root", parse_roots(given.root)):
        raise ConfigError(problem)
    cells = [cell for cell in cells_of(plan) if not given.seeds or cell.seed in given.seeds]
    cells = [cell for cell in cells if fnmatchcase(cell.name, given.only)]
    if not cells:
        raise ConfigError(f"no cell fits --only {given.only} --seeds {given.seeds}: study plan lists their names")
    check_matched(plan, cells)
    if given.action == "plan":
        _print_plan(plan, cells, given)
    elif given.action == "status":
        _print_status(plan, cells, given)
    elif given.action == "cell":
        _run_one(plan, cells, given)
    else:
        _run_all(plan, cells, given)


def _folders(plan: Study, given: StudyArguments) -> Folders:
    from headstart.executors import Folders
    from headstart.study import study_folder

    own = study_folder(given.name)
    # Other results, other runs: what was kept of the study's own is not to be filed as a repeat.
    usual = Path("runs") / f"study-{plan.name}" if given.out is None or _same(given.out, own) else given.out / "work"
    return Folders(((given.out or own) / "results").absolute(), (given.work or usual).absolute())


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _run_one(plan: Study, cells: list[Cell], given: StudyArguments) -> None:
    named, folders = {cell.name: cell for cell in cells}, _folders(plan, given)
    if given.cell not in named:
        raise ConfigError(f"cell {given.cell!r}: headstart study plan {given.name} lists the cells there are")
    if not _study_file(folders).exists():
        _write_study(plan, folders)
    if given.processes > 1:
        scores = _run_together(plan, named[given.cell], folders, given)
    else:
        scores = _run_alone(plan, named[given.cell], folders, given)
    print(f"{given.cell}: " + ", ".join(f"{one.protocol} {one.value:.2f} {one.unit}" for one in scores))


def _run_alone(plan: Study, cell: Cell, folders: Folders, given: StudyArguments) -> list[Scores]:
    import torch

    from headstart.executors import run_cell

    torch.set_num_threads(given.threads)
    return run_cell(plan, cell, folders, parse_roots(given.root), given.keep).scores


def _run_together(plan: Study, cell: Cell, folders: Folders, given: StudyArguments) -> list[Scores]:
    """By torchrun, for whose processes the lock is held here."""
    from headstart.executors import run_here
    from headstart.results import RunResult

    run_here([_task(cell, folders, given)], 1, lambda task: None, _is_done(plan, [cell], folders))
    return RunResult.load(folders.results / cell.name / "result.json").scores


def _study_file(folders: Folders) -> Path:
    return folders.results.parent / "study.json"


def _write_study(plan: Study, folders: Folders) -> None:
    """What the report reads beside the results."""
    from headstart.results import write_json
    from headstart.study_records import require_chosen_before, study_record

    require_chosen_before(_study_file(folders), plan)
    record = {**study_record(plan), "created": time.strftime("%Y-%m-%d")}
    write_json(_study_file(folders), record)


def _run_all(plan: Study, cells: list[Cell], given: StudyArguments) -> None:
    from headstart.display import ProgressDisplay
    from headstart.executors import run_here, run_on_ray

    folders = _folders(plan, given)
    trained = _trained(plan, cells, folders)
    missing = _missing(plan, cells, trained)
    _require_weights(plan, {cell: trained[cell] for cell in missing if cell in trained}, folders)
    _write_study(plan, folders)
    tasks, is_done = [_task(cell, folders, given) for cell in missing], _is_done(plan, missing, folders)
    done = len(cells) - len(missing)
    with ProgressDisplay(f"study {plan.name}", len(cells), "cells", start=done) as display:

        def on_done(task: Task) -> None:
            nonlocal done
            done += 1
            display.update(done, task.name)

        if given.executor == "ray":
            run_on_ray(tasks, given.address, given.cpus, given.gpus, on_done, is_done)
        else:
            run_here(tasks, given.jobs, on_done, is_done)
    where = given.out or (folders.results.parent if given.name.endswith(".py") else given.name)
    print(f"{folders.results}: {done} of {len(cells)} cells. Now: headstart report {where}")


def _task(cell: Cell, folders: Folders, given: StudyArguments) -> Task:
    from headstart.executors import Task
    from headstart.study import study_folder

    path = str((study_folder(given.name) / "study.py").absolute())
    arguments = ["study", "cell", path, cell.name, "--out", str(folders.results.parent), "--work", str(folders.work)]
    arguments += [part for one in given.root for part in ("--root", one)]
    arguments += ["--threads", str(given.threads), *(["--keep"] if given.keep else [])]
    return Task(cell.name, tuple(arguments), folders.work / cell.name, given.processes, given.threads)


def _trained(plan: Study, cells: list[Cell], folders: Folders) -> dict[Cell, RunResult]:
    """Those that are trained, whichever tests they have still to be scored under."""
    from headstart.study_records import filed

    found = ((cell, filed(folders.results, plan, cell)) for cell in cells)
    return {cell: result for cell, result in found if result is not None}


def _missing(plan: Study, cells: list[Cell], trained: Mapping[Cell, RunResult]) -> list[Cell]:
    """Those that are not trained, or not scored under every test."""
    return [cell for cell in cells if cell not in trained or trained[cell].not_scored(plan.tests)]


def _require_weights(plan: Study, unscored: Mapping[Cell, RunResult], folders: Folders) -> None:
    """Raises :class:`ConfigError` for cells that can neither be scored as the study asks nor should be trained."""
    if unscored:
        from headstart.added_tests import require_weights

        for cell, result in unscored.items():
            require_weights(result, plan.tests, folders.work / cell.name / "run" / "last.safetensors")


def _is_done(plan: Study, cells: list[Cell], folders: Folders) -> Callable[[Task], bool]:
    """Whether a cell has been finished since, by another executor."""
    from headstart.study_records import finished

    named = {cell.name: cell for cell in cells}

    def is_done(task: Task) -> bool:
        try:
            return finished(folders.results, plan, named[task.name]) is not None
        except HeadstartError:  # of another plan, or broken: the cell's own process says so, and the others go on
            return False

    return is_done


def _print_plan(plan: Study, cells: list[Cell], given: StudyArguments) -> None:
    from headstart.study import samples_of
    from headstart.study_plan import budget_flops, flops_per_sample, seconds_per_sample

    trained = _trained(plan, cells, _folders(plan, given))
    missing = set(_missing(plan, cells, trained))
    used = {cell.backbone: plan.models[cell.backbone] for cell in cells}
    seconds = {
        name: flops_per_sample(model) / given.flops_per_second
        if given.flops_per_second
        else seconds_per_sample(model, plan, given.threads)
        for name, model in used.items()
    }
    rows: list[dict[str, Any]] = [
        {
            "cell": cell.name,
            "samples": samples_of(plan, cell),
            "flops": budget_flops(plan, cell),
            "hours": seconds[cell.backbone] * samples_of(plan, cell) / 3600,
            "trained": cell in trained,
            "finished": cell not in missing,
        }
        for cell in cells
    ]
    left = sum(row["hours"] for row in rows if not row["trained"])
    if given.json_output:
        print(json.dumps({"study": plan.name, "cells": rows, "hours_left": left / given.jobs}))
        return
    print(f"{plan.title}\n{plan.question}\n")
    for row in rows:
        state = "to be scored" if row["trained"] else f"{row['hours'] * 60:.1f} min"
        state = "finished" if row["finished"] else state
        print(f"  {row['cell']:<64} {row['samples']:>9,} samples {row['flops']:.3g} FLOPs  {state}")
    where = "at that rate" if given.flops_per_second else "on this machine"
    for name, model in used.items():
        print(f"{name}: {flops_per_sample(model):.3g} FLOPs and {seconds[name] * 1000:.3g} ms a sample {where}")
    print(
        f"{len(cells)} cells, {len(cells) - len(missing)} finished; about {left / given.jobs:.1f} hours of"
        f" training left with --jobs {given.jobs} (scoring comes on top)"
    )


def _print_status(plan: Study, cells: list[Cell], given: StudyArguments) -> None:
    folders = _folders(plan, given)
    trained = _trained(plan, cells, folders)
    missing = set(_missing(plan, cells, trained))
    states = {
        cell.name: _state(folders.work / cell.name, cell in trained) if cell in missing else "finished"
        for cell in cells
    }
    if given.json_output:
        print(json.dumps(states))
        return
    for name, state in states.items():
        print(f"  {name:<64} {state}")
    print(f"{plan.name}: {len(cells) - len(missing)} of {len(cells)} cells finished")


def _state(work: Path, trained: bool) -> str:
    """Of a cell that is not finished, by what lies in its working folder."""
    from headstart.locks import is_held

    if is_held(work):
        return "running"
    has_weights = (work / "run" / "last.safetensors").is_file()
    if trained:
        return "to be scored" if has_weights else "to be scored, but its weights are gone"
    return "stopped" if has_weights else "missing"
