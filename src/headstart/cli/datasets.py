"""Verbs that read and make data: ``headstart data``, ``pack``, ``synth``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from headstart.errors import ConfigError, HeadstartError


def data(
    name: tyro.conf.Positional[str],
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

    found, left_out = {}, dict[str, HeadstartError]()
    for one in [split] if split else datasets.splits(name):
        try:
            index = open_index(name, root, one)
        except HeadstartError as error:
            if split:
                raise
            left_out[one] = error
            continue
        with ProgressDisplay(f"{name} {one}", len(index), "images") as display:
            found[one] = summarise(index, check, display.update)
    if not found:
        raise list(left_out.values())[-1]
    for one, reason in left_out.items():
        print(f"headstart: {name} {one} left out: {reason}", file=sys.stderr)
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
    name: tyro.conf.Positional[str],
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
    domain: tyro.conf.Positional[str],
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
