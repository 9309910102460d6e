"""``headstart show``: recipes, protocols, configurations and labels, to look at."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import tyro

from headstart.cli.placeholders import File, OptionalFolder, OptionalSplit
from headstart.errors import ConfigError


def show(
    what: tyro.conf.Positional[Literal["recipes", "protocols", "config", "samples", "targets"]],
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")] = "",
    root: OptionalFolder = None,
    split: OptionalSplit = None,
    out: File = Path("sheet.png"),
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
            print(f"{recipe}\n{_in_lines(function.__doc__ or '')}\n")
    elif what == "protocols":
        from headstart.protocols import PROTOCOLS

        for protocol in PROTOCOLS.values():
            print(f"{protocol.name}\n    {protocol.describe()}\n")
    elif what == "config":
        from headstart.recipes import build
        from headstart.sources import Sources

        print(json.dumps(asdict(build(name, Sources())), indent=1))
    else:
        _show_pictures(what == "targets", name, root, split, out, count, seed, augment)


def _in_lines(docstring: str) -> str:
    """What a recipe is, and a line each for its claim, command, cost and what was measured."""
    text = " ".join(docstring.split()).replace("``", "`")
    return "\n".join(f"    {line}" for line in re.split(r" (?=(?:Claim|Command|Cost|Measured): )", text))


def _show_pictures(
    heatmaps: bool, name: str, root: Path | None, split: str | None, out: Path, count: int, seed: int, augment: bool
) -> None:
    from headstart.augment import AugmentConfig
    from headstart.index import open_index
    from headstart.inspection import picture_of_samples, write_picture
    from headstart.skeleton import BODY_18
    from headstart.sources import train_split

    if root is None:
        raise ConfigError("show samples|targets: expected --root, the folder of the data set")
    index = open_index(name, root, split or train_split(name))
    config = AugmentConfig() if augment else None
    write_picture(str(out), picture_of_samples(index, BODY_18, (256, 256), config, count, seed, heatmaps))
    print(out)
