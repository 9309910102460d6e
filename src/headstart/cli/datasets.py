"""Verbs that read and make data: ``headstart data``, ``pack``, ``synth``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from headstart.cli.placeholders import AsJson, DataSet, Folder, OptionalFolder, OptionalSplit, Pixels, Split
from headstart.errors import ConfigError, HeadstartError

if TYPE_CHECKING:
    from headstart.inspection import Summary
    from headstart.label_checks import Checks3D


def data(
    name: tyro.conf.Positional[DataSet],
    root: Folder,
    split: OptionalSplit = None,
    check: bool = False,
    json_output: AsJson = False,
) -> None:
    """Read a data set, count its people and joints, and say what is wrong with it.

    Args:
        name: data set, e.g. mpii, lsp_extended, coco, h36m, or my_data.office for an adapter of yours in
            my_data/office.py (docs/data-sets.md).
        root: its folder.
        split: one split; without it every split that lies there.
        check: also decode every image; any that cannot be read fails the check, and 3D labels that cannot be right.
        json_output: print JSON.
    """
    from headstart import datasets

    found = _summaries(name, root, split, check)
    unused = {one: datasets.unused_joints(name, root, one) for one in found}
    if json_output:
        plain = {one: {**asdict(summary), "joints_not_canonical": unused[one]} for one, summary in found.items()}
        print(json.dumps(plain))
    else:
        _print_summaries(name, found, check)
        _print_unused(name, list(dict.fromkeys(joint for joints in unused.values() for joint in joints)))
    wrong = [f"{name} {one}: {'; '.join(problems)}" for one, problems in _problems(found).items()]
    broken = [line for summary in found.values() for line in summary.unreadable]
    if broken:
        wrong.append("; ".join([*broken[:5], f"{len(broken)} unreadable images in all"]))
    for line in wrong[:-1] if check else wrong:
        print(f"headstart: {line}", file=sys.stderr)
    if check and wrong:
        raise ConfigError(wrong[-1])


def _summaries(name: str, root: Path, split: str | None, read_images: bool) -> dict[str, Summary]:
    """Split -> what it holds; without ``split`` of all that lie there, and it is said why the others do not."""
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
            found[one] = summarise(index, read_images, display.update)
    if not found:
        raise list(left_out.values())[-1]
    for one, reason in left_out.items():
        print(f"headstart: {name} {one} left out: {reason}", file=sys.stderr)
    return found


def _problems(found: dict[str, Summary]) -> dict[str, list[str]]:
    """Split -> what cannot be right about its 3D labels; without the splits that are in order."""
    checks = {split: summary.checks_3d for split, summary in found.items()}
    return {split: one.problems for split, one in checks.items() if one is not None and one.problems}


def _print_summaries(name: str, found: dict[str, Summary], checked: bool) -> None:
    for split, summary in found.items():
        joints = summary.joints_visible + summary.joints_occluded
        print(
            f"{name} {split}: {summary.people:,} people, {joints:,} labelled joints"
            f" ({summary.joints_visible:,} visible, {summary.joints_occluded:,} occluded),"
            f" {summary.joints_3d:,} in 3D; {summary.share_inside_crop:.2%} of the labelled joints inside the crop"
        )
        for kind, labels in (("2D", summary.labels_2d), ("3D", summary.labels_3d)):
            if any(labels.values()):
                print(f"{name} {split}, {kind} labels: {_counts(labels)}")
        if summary.checks_3d is not None:
            print(f"{name} {split}, 3D of {summary.checks_3d.people:,} people: {_measurements(summary.checks_3d)}")
        if checked:
            print(f"{name} {split}: {summary.people - len(summary.unreadable):,} images readable")


def _print_unused(name: str, joints: list[str]) -> None:
    """Joints of the labels that are not kept, by the reason; a canonical one (COCO's ``neck``) has another."""
    from headstart.skeleton import CANONICAL, FEET, WITH_FEET

    reasons = {
        "no canonical joint has the name": [joint for joint in joints if joint not in WITH_FEET.names],
        f"{name} has no such joint": [joint for joint in joints if joint in CANONICAL.names],
        "the data set coco_feet reads them": [joint for joint in joints if joint in FEET],
    }
    for reason, those in reasons.items():
        if those:
            print(f"{name}: not used, as {reason}: {', '.join(those)}")


def _counts(labels: dict[str, int]) -> str:
    if len(set(labels.values())) == 1:
        return f"{next(iter(labels.values())):,} of every joint"
    counts = ", ".join(f"{joint} {count:,}" for joint, count in labels.items() if count)
    missing = ", ".join(joint for joint, count in labels.items() if not count)
    return f"{counts}; none of {missing}" if missing else counts


def _measurements(checks: Checks3D) -> str:
    """What is known of 3D labels, on one line; distances and lengths are medians."""
    from headstart.label_checks import APART

    parts = []
    if checks.hip_to_shoulder_mm is not None:
        parts.append(f"{checks.hip_to_shoulder_mm:,.1f} mm from hip to shoulder")
    for how, apart in (("as their cameras project them", checks.projected), ("scaled onto them", checks.fitted)):
        if apart is not None:
            distance = f"{apart.median_px:,.1f} px ({apart.median_share:.1%} of the box) from the 2D labels"
            parts.append(f"{distance} {how}, {apart.people_beyond:,} of {apart.people:,} people beyond {APART:.0%}")
    if checks.knees_forward is not None:
        parts.append(f"knees forward in {checks.knees_forward:.0%} of {checks.bent_legs:,} bent legs")
    return "; ".join(parts) or "too few joints to measure"


def pack(
    name: tyro.conf.Positional[DataSet],
    root: Folder,
    split: Split,
    out: OptionalFolder = None,
    size: Pixels = 256,
    margin: float = 1.6,
    quality: int = 92,
    workers: int = 2,
) -> None:
    """Store the surroundings of every person as small images beside their labels; training then reads those.

    Goes on where it was killed. Train with --root NAME=OUT afterwards.

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
            on_progress=display.update,
        )
    packed = sum(file.stat().st_size for file in folder.glob("*.arrow"))
    print(f"{folder}: {len(index) - len(manifest['unreadable']):,} people, {packed / 1e6:,.0f} MB")
    for line in manifest["unreadable"]:
        print(f"left out: {line}", file=sys.stderr)


def synth(
    domain: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DOMAIN")],
    split: Split = "train",
    count: int = 1000,
    seed: int = 0,
    size: Pixels = 256,
    workers: int = 2,
    out: Folder = Path("data/synthetic"),
) -> None:
    """Make labelled images of people: no registration, no download. Goes on where it was killed.

    Train with --root synthetic_DOMAIN=OUT.

    Args:
        domain: wild, studio or occluded.
        split: train, val or test; they share no body, recording, scene, texture or camera.
        count: images.
        seed: of the random numbers; another seed gives other images.
        size: side of the images in px.
        workers: processes; the bytes do not depend on it.
        out: folder in which synthetic_DOMAIN-SPLIT/ is written.
    """
    from headstart.display import ProgressDisplay
    from headstart.synthesize import SynthConfig, synthesize

    with ProgressDisplay(f"synthetic {domain} {split}", count, "images") as display:
        config = SynthConfig(domain, split, count, seed, size)
        folder = synthesize(config, out, workers=workers, on_progress=display.update)
    print(folder)
