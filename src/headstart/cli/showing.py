"""``headstart show``: recipes, protocols, configurations and labels, to look at."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import tyro

from headstart.cli.placeholders import File, OptionalFolder, OptionalSplit
from headstart.cli.ranges import require_at_least
from headstart.errors import ConfigError

_OTHER_RECIPES = """\
Other recipes
    Yours: package.module:function, a function of Sources that returns an Experiment (docs/python.md).
    A run's: runs/NAME/config.json trains it again."""


_CARD = "docs/model-card.md"
_COST = {"samples": "training_samples", "core-hours": "core_hours"}


def show(
    what: tyro.conf.Positional[Literal["recipes", "protocols", "config", "weights", "samples", "targets"]],
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")] = "",
    root: OptionalFolder = None,
    split: OptionalSplit = None,
    out: File = Path("sheet.png"),
    count: int = 24,
    seed: int = 0,
    augment: bool = False,
) -> None:
    """List recipes or protocols, print a recipe's whole configuration or the terms of weights, or draw labels on crops.

    Args:
        what: recipes [RECIPE], protocols [PROTOCOL or MODULE], config RECIPE, weights [RUN or FILE], samples DATASET,
            targets DATASET.
        name: the recipe or the protocol (all if not given), the data set, the module of protocols of yours, or the
            weights (those of the model that ships if not given).
        root: samples and targets: folder of the data set.
        split: samples and targets: split (the training split if not given).
        out: samples and targets: image to write.
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
    elif what == "weights":
        _show_weights(name or "shipped")
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


def _show_weights(name: str) -> None:
    """What a checkpoint's header says of its network, terms, data and cost; no tensor is read."""
    from headstart.checkpoint import find_checkpoint, load_header, model_of

    path = find_checkpoint(name)
    header = load_header(path)
    model, about, config = model_of(header, path), header.get("about", {}), header.get("config", {})
    width, height = model.input_size
    used = dict.fromkeys(source["dataset"] for stage in config.get("stages", ()) for source in stage["data"])
    # Weights that shipped before their headers had terms.
    unknown = f"not recorded in this file; see SHIP.md beside it, and {_CARD}"
    terms = unknown if path == find_checkpoint("shipped") else ""
    lines = [
        ("network", f"{model.backbone}, head {model.head.kind}, crops of {width} x {height} px"),
        ("terms", about.get("terms", terms)),
        *(("data", f"{source}: {words}") for source, words in about.get("data", dict.fromkeys(used, "")).items()),
        ("started from", config.get("start_from") or model.weights or "random weights"),
        *((title, f"{about[entry]:,}") for title, entry in _COST.items() if entry in about),
        ("headstart", header.get("versions", {}).get("headstart", "")),
        ("commit", header.get("git_sha", "")),
        ("more", about.get("card", "")),
    ]
    print(path, *(f"    {title:<13} {text.removesuffix(': ')}" for title, text in lines if text), sep="\n")


def _in_lines(docstring: str) -> str:
    """What a recipe is, and a line each for its claim, command, cost and what was measured."""
    text = " ".join(docstring.split()).replace("``", "`")
    return "\n".join(f"    {line}" for line in re.split(r" (?=(?:Claim|Command|Cost|Measured): )", text))


def _show_pictures(
    heatmaps: bool, name: str, root: Path | None, split: str | None, out: Path, count: int, seed: int, augment: bool
) -> None:
    from headstart.augment import AugmentConfig
    from headstart.index import open_index
    from headstart.inspection import picture_of_samples, shown_joints, write_picture
    from headstart.sources import train_split

    if root is None:
        raise ConfigError("show samples|targets: expected --root, the folder of the data set")
    require_at_least(1, count=count)
    require_at_least(0, seed=seed)
    index = open_index(name, root, split or train_split(name))
    config = AugmentConfig() if augment else None
    write_picture(str(out), picture_of_samples(index, shown_joints(index), (256, 256), config, count, seed, heatmaps))
    print(out)
