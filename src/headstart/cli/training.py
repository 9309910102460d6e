"""``headstart train`` and ``headstart eval``."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from headstart.cli.docstrings import about, unwrapped, wrapped
from headstart.cli.placeholders import (
    AsJson,
    DataSets,
    Folder,
    OptionalCount,
    OptionalDataSet,
    OptionalFile,
    OptionalSplit,
    Protocol,
    Scales,
)
from headstart.cli.ranges import require_at_least
from headstart.cli.roots import parse_roots
from headstart.errors import ConfigError

if TYPE_CHECKING:
    from headstart.experiment import Experiment
    from headstart.results import Scores
    from headstart.sources import Sources


_NO_RECIPE = "expected RECIPE (headstart show recipes lists them), or --resume --out DIR to go on with a run"


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """Train by a recipe; fields of its configuration can be set: --stages.0.budget.samples 50000.

    `headstart train RECIPE --help` lists them, with the weight of every loss.
    """

    # At most one; tyro makes a string of "[]" where an option that it does not know comes before an optional one.
    recipe: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RECIPE", help_behavior_hint="")
    ] = ()
    """Name of a recipe (`headstart show recipes`), module:function of yours, or a run's config.json; none to resume."""
    out: Folder
    """Folder of the run: checkpoints, logs, result.json."""
    resume: bool = False
    """Go on where the run in OUT was stopped; without RECIPE, with the configuration that it has."""
    two_d: DataSets = ("mpii",)
    """Data sets with 2D labels."""
    three_d: DataSets = ("h36m",)
    """Data sets with 3D labels."""
    root: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=DIR")] = field(default=())
    """Folder of a data set (data/NAME if not given)."""
    unscored: Annotated[tuple[str, ...], tyro.conf.arg(metavar="DATASET ...", help_behavior_hint="")] = ()
    """Data sets that have no split to score: trained on alone."""
    threads: OptionalCount = None
    """CPU threads of the training process."""


def train(arguments: list[str]) -> None:
    """Parse in two steps: the recipe's name decides what can be overridden."""
    if not arguments:
        raise ConfigError(_NO_RECIPE)
    about_recipe = _has_recipe(arguments) and not {"-h", "--help"}.isdisjoint(arguments)
    given, rest = tyro.cli(
        unwrapped(TrainArguments),
        # Help needs no --out.
        args=[arguments[0], "--out", "DIR", *arguments[1:]] if about_recipe else arguments,
        prog="headstart train",
        description=about(TrainArguments),
        return_unknown_args=True,
        add_help=not _has_recipe(arguments),
    )
    from headstart.display import is_main_process
    from headstart.train import run

    require_at_least(1, threads=given.threads)
    _check_folder(given.out)
    experiment = _overridden(_recipe(given), given, rest)
    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    result = run(experiment, given.out, given.resume)
    if is_main_process():
        print_scores(result.scores)
        print(given.out / "result.json")


def _check_folder(out: Path) -> None:
    """Raise :class:`ConfigError` for a folder that cannot be written, before data are read for the run."""
    from headstart.cli.outputs import check_writable

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: expected a folder, found a file")
    check_writable("--out", out)


def _recipe(given: TrainArguments) -> Experiment:
    """The recipe, or the configuration of a run: the named one, or that of the run which goes on."""
    from headstart import recipes

    name = " ".join(given.recipe)
    if not name and not given.resume:
        raise ConfigError(_NO_RECIPE)
    name = name or str(given.out / "config.json")
    chosen = [option for option in ("two_d", "three_d", "root", "unscored") if _is_given(given, option)]
    if name.endswith(".json") and chosen:
        fix = "Set for example --stages.0.data.0.root, or name a recipe"
        raise ConfigError(f"--{chosen[0].replace('_', '-')}: the data are those of {name}. {fix}")
    return recipes.build(name, _sources(given))


def _is_given(given: TrainArguments, option: str) -> bool:
    """Whether an option has another value than its default."""
    return getattr(given, option) != getattr(TrainArguments(out=given.out), option)


def _overridden(recipe: Experiment, given: TrainArguments, rest: list[str]) -> Experiment:
    """The recipe with the fields that the command line sets, beginning with the network of another ``start_from``."""
    from headstart.preparation import continued_model

    parse = partial(_parsed, rest, " ".join(("headstart train", *given.recipe)))
    experiment = parse(recipe)
    if experiment.start_from in (None, recipe.start_from):
        return experiment
    last = given.out / "last.safetensors"
    # A resumed run has its network in its own checkpoint, as start_from may be gone by then.
    started = replace(recipe, start_from=experiment.start_from, start_with=experiment.start_with)
    model = continued_model(started, last if given.resume and last.is_file() else None)
    experiment = parse(replace(recipe, model=model))
    if experiment.model.weights != model.weights:
        raise ConfigError(f"--model.weights: the weights are those of --start-from {experiment.start_from}; give one")
    return experiment


def _parsed(arguments: list[str], program: str, recipe: Experiment) -> Experiment:
    """The recipe with the fields that ``arguments`` set. Losses that it lacks can be added by their weights."""
    from headstart.experiment import Experiment
    from headstart.losses import LOSSES

    named = (re.match(r"--stages\.\d+\.losses\.([^=]+:[^=]+)", one) for one in arguments)
    own = [found[1].replace("-", "_") for found in named if found]  # module:function; tyro takes - for _ too
    others = dict.fromkeys([*LOSSES, *own], 0.0)
    offered = [replace(stage, losses={**stage.losses, **others, **stage.losses}) for stage in recipe.stages]
    parsed = tyro.cli(
        unwrapped(Experiment),
        args=arguments,
        prog=program,
        default=replace(recipe, stages=tuple(offered)),
        description=wrapped("The recipe's whole configuration; headstart train --help has the options beside it."),
    )
    stages = [
        replace(stage, losses={name: weight for name, weight in stage.losses.items() if weight or name in own.losses})
        for stage, own in zip(parsed.stages, recipe.stages)
    ]
    return replace(parsed, stages=tuple(stages))


def _has_recipe(arguments: list[str]) -> bool:
    """Whether --help should show the recipe's configuration instead of the verb's own options."""
    return bool(arguments) and not arguments[0].startswith("-")


def _sources(given: TrainArguments) -> Sources:
    from headstart.sources import Sources

    return Sources(given.two_d, given.three_d, parse_roots(given.root), given.unscored)


def evaluate(
    checkpoint: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CHECKPOINT")],
    protocol: Protocol,
    root: Folder,
    dataset: OptionalDataSet = None,
    split: OptionalSplit = None,
    flip_test: Annotated[bool | None, tyro.conf.arg(metavar="{True,False}", help_behavior_hint="")] = None,
    scales: Scales = (1.0,),
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    batch_size: int = 64,
    workers: int = 2,
    limit: OptionalCount = None,
    predictions: OptionalFile = None,
    picture: OptionalFile = None,
    coco_results: OptionalFile = None,
    json_output: AsJson = False,
) -> None:
    """Score a checkpoint under a protocol; `headstart show protocols` lists them.

    Args:
        checkpoint: file, or folder of a run (its last weights), or an exported .onnx file; "shipped": the model that
            ships.
        protocol: name of the protocol; my_data.office:NAME for one of yours.
        root: folder of the data set, or a packed one.
        dataset: data set, where it is not the protocol's own.
        split: split, where it is not the protocol's own.
        flip_test: average with the mirrored image; the protocol says if not given.
        scales: multi-scale testing: average over the image at these scales, for example 0.9 1 1.15. Published figures
            rarely use it.
        precision: bf16, or on a GPU fp16, is mixed precision, in which a run that trains in it is scored too.
        batch_size: people at once.
        workers: loader processes.
        limit: score only so many people, evenly spread (a quick look, not a result).
        predictions: also write the predictions (.npz), which `headstart score` reads.
        picture: also draw predictions beside labels (.png).
        coco_results: also write the predictions for COCO's people (.json), which pycocotools scores.
        json_output: print JSON.
    """
    from headstart.display import require_one_process
    from headstart.scoring import evaluate_checkpoint

    require_one_process()
    require_at_least(1, batch_size=batch_size, limit=limit)
    require_at_least(0, workers=workers)
    _check_files(predictions, picture, coco_results)
    scores = evaluate_checkpoint(
        checkpoint,
        protocol,
        root,
        dataset=dataset,
        split=split,
        flip_test=flip_test,
        scales=scales,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        limit=limit,
        predictions_path=predictions,
        picture_path=picture,
        coco_results_path=coco_results,
    )
    print_score(scores, json_output)


def _check_files(predictions: Path | None, picture: Path | None, coco_results: Path | None) -> None:
    """Raise :class:`ConfigError` for files that could not be written once everybody is predicted."""
    from headstart.cli.outputs import check_writable

    kinds = {
        "--predictions": (predictions, ".npz"),
        "--coco-results": (coco_results, ".json"),
        "--picture": (picture, ""),
    }
    for option, (path, suffix) in kinds.items():
        if path is None:
            continue
        if not path.name.endswith(suffix) or path.is_dir():
            found = "a folder" if path.is_dir() else path.suffix or "no suffix"
            raise ConfigError(f"{option} {path}: expected a file to write ({suffix or '.png'}), found {found}")
        check_writable(option, path)


def print_score(score: Scores, as_json: bool) -> None:
    """Print one score as JSON, with null for NaN, or as :func:`print_scores` does."""
    if as_json:
        print(json.dumps(score.to_dict(), allow_nan=False))
    else:
        print_scores([score])


def print_scores(scores: list[Scores]) -> None:
    """Print each score with its parts, and its protocol's full description below."""
    for one in scores:
        print(f"{one.protocol}: {one.metric} {one.value:.2f} {one.unit} (n = {one.n:,}; {one.better} is better)")
        parts: dict[str, dict[str, float]] = {
            "beside it": one.others,
            "per joint": one.per_joint,
            "per group": one.per_action,
            "apart": one.strata,
        }
        for title, values in parts.items():
            if values:
                print(f"  {title}: " + ", ".join(f"{name} {value:.2f}" for name, value in values.items()))
        _print_description(one.description)


def _print_description(text: str) -> None:
    """Dimmed and wrapped on a terminal; elsewhere as one line."""
    if not sys.stdout.isatty():
        print(f"  {text}")
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    Console().print(Padding(Text(text, style="dim"), (0, 0, 0, 2)))
