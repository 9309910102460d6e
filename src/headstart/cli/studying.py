"""``headstart study plan|run|status|cell``."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from headstart.cli.placeholders import AsJson, OptionalFolder
from headstart.cli.ranges import require_at_least
from headstart.cli.roots import parse_roots
from headstart.errors import ConfigError, HeadstartError

if TYPE_CHECKING:
    from headstart.executors import Folders, Task
    from headstart.results import RunResult, Scores
    from headstart.study import Cell, Study


logger = logging.getLogger("headstart")


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
    micro_batch_size: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")] = None
    """Samples that each process of a cell takes at a time, where its batch does not fit in memory (gradient
    accumulation). The report compares cells of one micro batch size only."""
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
    """Plan or run a study, whose cells train the same model in several ways at the same budget, or show its status.

    ``plan`` lists the cells, their FLOPs and the hours they should take on this machine. ``run`` skips finished cells
    and continues those that were killed; cells whose weights were kept are scored under tests that were added since.
    ``status`` shows the state of each cell. ``headstart report NAME`` reports the results.
    """
    from headstart.study import cells as cells_of
    from headstart.study import load_study, unknown, unknown_data_sets
    from headstart.study_plan import check_matched

    _require_sound(given)
    plan = load_study(given.name)
    _require_divisor(plan, given)
    every = cells_of(plan)
    seeds = dict.fromkeys(str(cell.seed) for cell in every)
    wrong_seeds = unknown("--seeds", map(str, given.seeds), seeds, "seeds of the study")
    for problem in (*unknown_data_sets("--root", parse_roots(given.root)), *wrong_seeds):
        raise ConfigError(problem)
    cells = [cell for cell in every if not given.seeds or cell.seed in given.seeds]
    cells = [cell for cell in cells if fnmatchcase(cell.name, given.only)]
    if not cells:
        raise ConfigError(
            f"--only {given.only}: no cell (of these --seeds) fits; headstart study plan {given.name} lists them"
        )
    if (networks := len({cell.backbone for cell in cells})) > 1:
        logger.info("counting the FLOPs of %d networks", networks)  # seconds of a large one
    check_matched(plan, cells)
    actions = {"plan": _print_plan, "run": _run_all, "status": _print_status, "cell": _run_one}
    actions[given.action](plan, cells, given)


def _require_sound(given: StudyArguments) -> None:
    """Raises :class:`ConfigError` for numbers out of range, and for a cell where none is taken."""
    require_at_least(1, jobs=given.jobs, threads=given.threads, processes=given.processes)
    if given.flops_per_second is not None and not 0 < given.flops_per_second < float("inf"):
        raise ConfigError(f"--flops-per-second: expected above 0, got {given.flops_per_second:g}")
    if given.cell and given.action != "cell":
        # Or `run NAME CELL` would train the whole study.
        raise ConfigError(f"study {given.action} takes no cell; give: study cell {given.name} {given.cell}, or --only")


def _require_divisor(plan: Study, given: StudyArguments) -> None:
    """Raises :class:`ConfigError` for a micro batch size that would end each cell at its start."""
    size, part = given.micro_batch_size, plan.batch_size // given.processes
    if size is not None and (size < 1 or part % size):
        of = "the study's batch_size" if given.processes == 1 else f"what {given.processes} processes have of a batch"
        raise ConfigError(f"--micro-batch-size: expected a divisor of {part}, {of}, got {size}")


def _folders(plan: Study, given: StudyArguments) -> Folders:
    from headstart.executors import Folders
    from headstart.study import study_folder

    own = study_folder(given.name)
    out = given.out or own
    # Other results, other runs: what was kept of the study's own is not to be filed as a repeat.
    usual = Path("runs") / f"study-{plan.name}" if out.resolve() == own.resolve() else out / "work"
    return Folders((out / "results").absolute(), (given.work or usual).absolute())


def _run_one(plan: Study, cells: list[Cell], given: StudyArguments) -> None:
    named, folders = {cell.name: cell for cell in cells}, _folders(plan, given)
    if given.cell not in named:
        raise ConfigError(f"no cell {given.cell!r} in this study; headstart study plan {given.name} lists its cells")
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
    roots = parse_roots(given.root)
    return run_cell(plan, cell, folders, roots, given.keep, given.micro_batch_size or 0).scores


def _run_together(plan: Study, cell: Cell, folders: Folders, given: StudyArguments) -> list[Scores]:
    """By torchrun, for whose processes the lock is held here."""
    from headstart.executors import run_here
    from headstart.results import RunResult

    run_here([_task(cell, folders, given)], 1, lambda task: None, _is_done(plan, [cell], folders))
    return RunResult.load(folders.results / cell.name / "result.json").scores


def _write_study(plan: Study, folders: Folders) -> None:
    from headstart.study_records import write_study_record

    write_study_record(folders.results.parent / "study.json", plan)


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
    arguments += [] if given.micro_batch_size is None else ["--micro-batch-size", str(given.micro_batch_size)]
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
    from headstart.cli.planning import print_json, print_table, rows_of, seconds_of

    trained = _trained(plan, cells, _folders(plan, given))
    missing = set(_missing(plan, cells, trained))
    seconds = seconds_of(plan, cells, given.threads, given.flops_per_second)
    rows = rows_of(plan, cells, seconds, trained, missing)
    if given.json_output:
        print_json(plan, rows, given.jobs)
    else:
        where = "at that rate" if given.flops_per_second else "on this machine"
        print_table(plan, rows, seconds, where, given.jobs)


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
    width = max(map(len, states))
    for name, state in states.items():
        print(f"  {name:<{width}} {state}")
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
