"""``headstart clean``: labels that a model contradicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from headstart.cli.placeholders import DataSet, Folder, OptionalFile, OptionalSplit
from headstart.cli.ranges import require_at_least


def clean(
    name: tyro.conf.Positional[DataSet],
    root: Folder,
    out: Folder,
    split: OptionalSplit = None,
    model: Annotated[Path | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="")] = None,
    predictions: OptionalFile = None,
    sides: float = 0.15,
    distance: float = 0.5,
    confidence: float = 0.35,
    batch_size: int = 64,
    workers: int = 2,
) -> None:
    """Copy a packed split without the labels that a model contradicts: exchanged sides put right, wrong joints dropped.

    Beside the copy lie doubts.csv (who, what) and doubts.png (before and after): look at it before you train with
    --root NAME=OUT. Never clean what you score on: pack that split into OUT as it is. Distances are fractions of
    the trunk. Goes on where it was killed.

    Args:
        name: data set.
        root: folder that `headstart pack` wrote.
        out: folder in which NAME-SPLIT/ is written.
        split: split to clean (the training split if not given).
        model: checkpoint, folder of a run, or exported .onnx file, the fastest on a CPU; the model that ships if not
            given.
        predictions: file (.npz) that `headstart eval --predictions` wrote, instead of a model.
        sides: both arms or both legs change sides if that brings labels nearer by so much on average.
        distance: drop a joint labelled farther than this from the prediction (fraction of the trunk).
        confidence: drop a joint only if the model's confidence in it is at least this (0 to 1).
        batch_size: people at once.
        workers: loader processes.
    """
    from headstart.checkpoint import shipped_weights
    from headstart.cleaning import clean as cleaned
    from headstart.cleaning import opinions, packed_split
    from headstart.label_doubts import DoubtConfig
    from headstart.predictions import Predictions
    from headstart.sources import train_split

    require_at_least(1, batch_size=batch_size)
    require_at_least(0, workers=workers)
    config, split = DoubtConfig(sides, distance, confidence), split or train_split(name)
    source, folder = packed_split(name, root, split), out / f"{name}-{split}"
    if predictions is not None:
        opinion = Predictions.load(predictions)
    else:
        opinion = opinions(source, model or shipped_weights(), folder, batch_size, workers)
    found = cleaned(source, folder, opinion, config)
    print(
        f"{folder}: {found.people:,} people, {found.doubted:,} changed; sides of arms exchanged for"
        f" {found.arms_exchanged:,}, of legs for {found.legs_exchanged:,}; {found.joints_dropped:,} of"
        f" {found.joints:,} labelled joints dropped"
    )
    if found.doubted:
        print(f"{folder / 'doubts.png'}: look at it before you train")
