"""The command line: parse, import what the verb needs, call one function, print.

Nothing heavy is imported before the verb is known: ``headstart --help`` must answer at once.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from headstart.errors import ConfigError, HeadstartError

if TYPE_CHECKING:
    from headstart.recipes import Sources
    from headstart.results import Scores

Name = tyro.conf.Positional[str]


def data(
    name: Name,
    root: Path,
    split: str | None = None,
    check: bool = False,
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Read a data set, count its people and joints, and say what is wrong with it.

    Args:
        name: data set, e.g. mpii, lsp_extended, coco, h36m.
        root: its folder.
        split: one split; without it every split that lies there.
        check: also decode every image; any that cannot be read fails the check.
        json_output: print JSON.
    """
    from headstart import datasets
    from headstart.display import ProgressDisplay
    from headstart.index import open_index
    from headstart.inspection import summarise

    found, last_error = {}, None
    for one in [split] if split else datasets.splits(name):
        try:
            index = open_index(name, root, one)
        except HeadstartError as error:
            if split:
                raise
            last_error = error
            continue
        with ProgressDisplay(f"{name} {one}", len(index), "images") as display:
            found[one] = summarise(index, check, display.update)
    if not found and last_error:
        raise last_error
    if json_output:
        print(json.dumps({one: asdict(summary) for one, summary in found.items()}))
    for one, summary in found.items() if not json_output else ():
        joints = summary.joints_visible + summary.joints_occluded
        print(
            f"{name} {one}: {summary.people:,} people, {joints:,} labelled joints"
            f" ({summary.joints_visible:,} visible, {summary.joints_occluded:,} occluded),"
            f" {summary.joints_3d:,} in 3D; {summary.share_inside_crop:.2%} of the labelled joints inside the crop"
        )
        if check:
            print(f"{name} {one}: {summary.people - len(summary.unreadable):,} images readable")
    broken = [line for summary in found.values() for line in summary.unreadable]
    if broken:
        raise ConfigError("; ".join([*broken[:5], f"{len(broken)} unreadable images in all"]))


def pack(
    name: Name,
    root: Path,
    split: str,
    out: Path | None = None,
    size: int = 256,
    margin: float = 1.6,
    quality: int = 92,
    workers: int = 2,
) -> None:
    """Store the surroundings of every person as small pictures beside their labels; training then reads those.

    Goes on where it was killed. Train with ``--root NAME=OUT`` afterwards.

    Args:
        name: data set.
        root: its folder.
        split: split to pack.
        out: folder in which NAME-SPLIT/ is written; data/NAME if not given.
        size: crop size in px that training will use.
        margin: stored side over the larger side of the person's box.
        quality: of the JPEGs; 0 stores PNG.
        workers: processes.
    """
    from headstart import pack as packing
    from headstart.display import ProgressDisplay
    from headstart.index import open_index

    index = open_index(name, root, split)
    folder = (out or Path("data") / name) / f"{name}-{split}"
    config = packing.PackConfig(size, margin, quality)
    with ProgressDisplay(f"packing {name} {split}", len(index), "people") as display:
        manifest = packing.pack(
            index,
            folder,
            config,
            source={"dataset": name, "split": split},
            workers=workers,
            on_progress=lambda done, total: display.update(done),
        )
    packed = sum(file.stat().st_size for file in folder.glob("*.arrow"))
    print(f"{folder}: {len(index) - len(manifest['unreadable']):,} people, {packed / 1e6:,.0f} MB")
    for line in manifest["unreadable"]:
        print(f"left out: {line}", file=sys.stderr)


def synth(
    domain: Name,
    split: str = "train",
    count: int = 1000,
    seed: int = 0,
    size: int = 256,
    workers: int = 2,
    out: Path = Path("data/synthetic"),
) -> None:
    """Make labelled pictures of people: no registration, no download. Goes on where it was killed.

    Train with `--root synthetic_DOMAIN=OUT`.

    Args:
        domain: wild, studio or occluded.
        split: train, val or test; they share no body, recording, scene, texture or camera.
        count: pictures.
        seed: another seed, other pictures.
        size: side of the pictures in px.
        workers: processes; the bytes do not depend on it.
        out: folder in which synthetic_DOMAIN-SPLIT/ is written.
    """
    from headstart.display import ProgressDisplay
    from headstart.synthesize import SynthConfig, synthesize

    with ProgressDisplay(f"synthetic {domain} {split}", count, "images") as display:
        config = SynthConfig(domain, split, count, seed, size)
        folder = synthesize(config, out, workers=workers, on_progress=lambda done, total: display.update(done))
    print(folder)


def show(
    what: tyro.conf.Positional[Literal["recipes", "protocols", "config", "samples", "targets"]],
    name: tyro.conf.Positional[str] = "",
    root: Path | None = None,
    split: str | None = None,
    out: Path = Path("sheet.png"),
    count: int = 24,
    seed: int = 0,
    augment: bool = False,
) -> None:
    """List recipes or protocols, print a recipe's whole configuration, or draw labels on crops.

    Args:
        what: recipes, protocols, config RECIPE, samples DATASET, targets DATASET.
        name: the recipe, or the data set.
        root: samples and targets: folder of the data set.
        split: samples and targets: split (the training split if not given).
        out: samples and targets: picture to write.
        count: samples and targets: how many people.
        seed: samples and targets: which people.
        augment: samples and targets: with the augmentation of training.
    """
    if what == "recipes":
        from headstart.recipes import RECIPES

        for recipe, function in RECIPES.items():
            print(f"{recipe}\n    {' '.join((function.__doc__ or '').split())}\n")
    elif what == "protocols":
        from headstart.protocols import PROTOCOLS

        for protocol in PROTOCOLS.values():
            print(f"{protocol.name}\n    {protocol.describe()}\n")
    elif what == "config":
        from headstart.recipes import Sources, build

        print(json.dumps(asdict(build(name, Sources())), indent=1))
    else:
        _show_pictures(what == "targets", name, root, split, out, count, seed, augment)


def _show_pictures(
    heatmaps: bool, name: str, root: Path | None, split: str | None, out: Path, count: int, seed: int, augment: bool
) -> None:
    from headstart.augment import AugmentConfig
    from headstart.index import open_index
    from headstart.inspection import picture_of_samples, write_picture
    from headstart.recipes import train_split
    from headstart.skeleton import BODY_18

    if root is None:
        raise ConfigError("show samples|targets: expected --root, the folder of the data set")
    index = open_index(name, root, split or train_split(name))
    config = AugmentConfig() if augment else None
    write_picture(str(out), picture_of_samples(index, BODY_18, (256, 256), config, count, seed, heatmaps))
    print(out)


@dataclass(frozen=True)
class TrainArguments:
    """Train by a recipe. Every field of its configuration can be set: --stages.0.budget.samples 50000."""

    recipe: Name
    """Name of a recipe; `headstart show recipes` lists them."""
    out: Path
    """Folder of the run: checkpoints, logs, result.json."""
    resume: bool = False
    """Go on where the run in OUT was stopped."""
    two_d: tuple[str, ...] = ("mpii",)
    """Data sets with 2D labels."""
    three_d: tuple[str, ...] = ("h36m",)
    """Data sets with 3D labels."""
    root: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default=())
    """NAME=DIR, repeatable: folder of a data set (data/NAME if not given)."""
    threads: int | None = None
    """CPU threads of the training process."""


def train(arguments: list[str]) -> None:
    """Parse in two steps: the recipe's name decides what can be overridden."""
    about_recipe = _has_recipe(arguments) and not {"-h", "--help"}.isdisjoint(arguments)
    given, rest = tyro.cli(
        TrainArguments,
        # Whoever asks what a recipe can do has no folder for it yet.
        args=[arguments[0], "--out", "DIR", *arguments[1:]] if about_recipe else arguments,
        prog="headstart train",
        return_unknown_args=True,
        add_help=not _has_recipe(arguments),
    )
    from headstart import recipes
    from headstart.train import Experiment, run

    experiment = recipes.build(given.recipe, _sources(given))
    experiment = tyro.cli(
        Experiment,
        default=experiment,
        args=rest,
        prog=f"headstart train {given.recipe}",
        description="The recipe's whole configuration; headstart train --help has the options beside it.",
    )
    if given.threads:
        import torch

        torch.set_num_threads(given.threads)
    result = run(experiment, given.out, given.resume)
    print_scores(result.scores)
    print(given.out / "result.json")


def _has_recipe(arguments: list[str]) -> bool:
    """Whether --help should show the recipe's configuration instead of the verb's own options."""
    return bool(arguments) and not arguments[0].startswith("-")


def _sources(given: TrainArguments) -> Sources:
    from headstart.recipes import Sources

    pairs = [one.partition("=") for one in given.root]
    if any(not folder for _, _, folder in pairs):
        raise ConfigError(f"--root: expected NAME=DIR, got {' '.join(given.root)}")
    return Sources(given.two_d, given.three_d, {name: folder for name, _, folder in pairs})


def evaluate(
    checkpoint: tyro.conf.Positional[Path],
    protocol: str,
    root: Path,
    dataset: str | None = None,
    split: str | None = None,
    flip_test: bool | None = None,
    batch_size: int = 64,
    workers: int = 2,
    limit: int | None = None,
    predictions: Path | None = None,
    picture: Path | None = None,
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Score a checkpoint under a protocol; `headstart show protocols` lists them.

    Args:
        checkpoint: file, or folder of a run (its best).
        protocol: name of the protocol.
        root: folder of the data set, or a packed one.
        dataset: data set, where it is not the protocol's own.
        split: split, where it is not the protocol's own.
        flip_test: average with the mirrored image; the protocol says if not given.
        batch_size: people at once.
        workers: loader processes.
        limit: score only so many people, evenly spread (a quick look, not a result).
        predictions: also write the predictions (.npz).
        picture: also draw predictions beside labels (.png).
        json_output: print JSON.
    """
    from headstart.scoring import evaluate_checkpoint

    scores = evaluate_checkpoint(
        checkpoint,
        protocol,
        root,
        dataset=dataset,
        split=split,
        flip_test=flip_test,
        batch_size=batch_size,
        workers=workers,
        limit=limit,
        predictions_path=predictions,
        picture_path=picture,
    )
    if json_output:
        print(json.dumps(asdict(scores)))
    else:
        print_scores([scores])


def print_scores(scores: list[Scores]) -> None:
    """Each number with its protocol's full description."""
    for one in scores:
        print(f"{one.protocol}: {one.metric} {one.value:.2f} {one.unit} (n = {one.n:,}; {one.better} is better)")
        print(f"  {one.description}")
        parts: dict[str, dict[str, float]] = {
            "beside it": one.others,
            "per joint": one.per_joint,
            "per group": one.per_action,
            "apart": one.strata,
        }
        for title, values in parts.items():
            if values:
                print(f"  {title}: " + ", ".join(f"{name} {value:.2f}" for name, value in values.items()))


_VERBS: dict[str, Any] = {
    "data": data,
    "pack": pack,
    "synth": synth,
    "show": show,
    "train": TrainArguments,
    "eval": evaluate,
}


def main() -> None:
    """Entry point: exit code 0, 2 for bad input or configuration, 130 when a signal stopped a run."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("headstart").setLevel(logging.INFO)
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["train"] and len(arguments) > 1:
            train(arguments[1:])
        else:
            tyro.extras.subcommand_cli_from_dict(
                _VERBS, prog="headstart", description="2D pre-training for 3D human pose estimation.", args=arguments
            )
    except HeadstartError as error:
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(130 if type(error).__name__ == "Interrupted" else 2)
    except OSError as error:  # a folder that cannot be written, a full disk
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("headstart: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
