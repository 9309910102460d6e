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

_OTHER_RECIPES = """\
Other recipes
    Yours: package.module:function, a function of Sources that returns an Experiment (docs/python.md).
    A run's: runs/NAME/config.json trains it again."""


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
        what: recipes [RECIPE], protocols [PROTOCOL or MODULE], config RECIPE, samples DATASET, targets DATASET.
        name: the recipe or the protocol (all if not given), the data set, or the module of protocols of yours.
        root: samples and targets: folder of the data set.
        split: samples and targets: split (the training split if not given).
        out: samples and targets: picture to write.
        count: samples and targets: how many people.
        seed: samples and targets: which people.
        augment: samples and targets: with the augmentation of training.
    """
    if what == "recipes":
        _show_recipes(name)
    elif what == "protocols":
        _show_protocols(name)
    elif what == "config":
        from headstart.recipes import build
        from headstart.sources import Sources

        print(json.dumps(asdict(build(name, Sources())), indent=1))
    else:
        _show_pictures(what == "targets", name, root, split, out, count, seed, augment)


def _show_recipes(name: str) -> None:
    """All of this package and where others come from; with a name that one."""
    from headstart.recipes import RECIPES

    if name and name not in RECIPES:
        raise ConfigError(f"recipe {name!r}: expected one of {', '.join(RECIPES)}")
    for recipe in [name] if name else RECIPES:
        print(f"{recipe}\n{_in_lines(RECIPES[recipe].__doc__ or '')}\n")
    if not name:
        print(_OTHER_RECIPES)


def _show_protocols(name: str) -> None:
    """Those of this package; with a name that one; with the name of a user's module those in it."""
    from headstart.protocols import PROTOCOLS, own_protocols, protocol

    if "." in name and ":" not in name:
        shown = list(own_protocols(name, f"protocols of {name!r}").values())
    else:
        shown = [protocol(name)] if name else list(PROTOCOLS.values())
    for one in shown:
        print(f"{one.name}\n    {one.describe()}\n")


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
    if count < 1 or seed < 0:
        raise ConfigError(f"--count and --seed: expected at least 1 and 0, got {count} and {seed}")
    index = open_index(name, root, split or train_split(name))
    config = AugmentConfig() if augment else None
    write_picture(str(out), picture_of_samples(index, BODY_18, (256, 256), config, count, seed, heatmaps))
    print(out)
