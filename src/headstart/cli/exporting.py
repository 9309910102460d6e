"""``headstart export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from headstart.cli.placeholders import File, OptionalDataSet, OptionalFolder, OptionalSplit
from headstart.cli.ranges import require_at_least
from headstart.errors import ConfigError


def export(
    checkpoint: Annotated[
        tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[CHECKPOINT]", help_behavior_hint="")
    ] = None,
    *,
    out: File,
    format: Literal["onnx"] = "onnx",
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    calibrate: OptionalDataSet = None,
    root: OptionalFolder = None,
    split: OptionalSplit = None,
    count: int = 200,
) -> None:
    """Write a checkpoint as one ONNX file, images in and joints out, after a check against PyTorch.

    docs/onnx.md shows how to cut crops for it and how to read its outputs without Headstart.

    Args:
        checkpoint: file, or folder of a run (its last weights); the model that ships if not given.
        out: file to write, e.g. model.onnx.
        format: onnx.
        precision: fp16 halves the file; int8 makes it up to four times smaller (twice for the model that ships, as
            deconvolutions stay in fp32). Measure what they lose with headstart eval model.onnx.
        calibrate: data set whose people int8 measures its ranges on and the file is compared with PyTorch on.
        root: folder of that data set, or a packed one.
        split: its split (that for training if not given).
        count: how many of its people.
    """
    if (calibrate is None) != (root is None):
        raise ConfigError("expected --calibrate DATASET and --root DIR together")
    require_at_least(1, count=count)
    if out.is_dir():
        raise ConfigError(f"--out {out}: expected a file to write, found a folder")
    if out.suffix != ".onnx":  # --model and eval tell the file by it, and no checkpoint can be overwritten
        raise ConfigError(f"--out {out}: expected a name that ends in .onnx")
    from headstart.checkpoint import shipped_weights
    from headstart.export import crops_of, export_onnx

    checkpoint = checkpoint or shipped_weights()
    images = None
    if calibrate is not None and root is not None:
        from headstart.sources import train_split

        images = crops_of(calibrate, root, split or train_split(calibrate), count, checkpoint)
    header = export_onnx(checkpoint, out, precision, images)
    print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, {header.precision}, {len(header.joints)} joints from"
        f" {header.input_size[0]} x {header.input_size[1]} px crops"
    )
    if untrained := [name for name in header.joints if name not in (header.trained_joints or header.joints)]:
        print(f"  no image of the training had these joints labelled, their places are chance: {', '.join(untrained)}")
    if (measured := header.agreement) is not None:
        print(
            f"  PyTorch differs by at most {measured.largest_px:.2g} px in place (median {measured.median_px:.2g}) and"
            f" {measured.largest_depth_px:.2g} px in depth; {measured.joints} of {measured.of_joints} joints compared,"
            f" worst {measured.worst_joint}"
        )
