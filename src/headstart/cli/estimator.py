"""Builds the estimator of ``headstart predict`` and ``headstart serve`` from their options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.predict import PoseEstimator
    from headstart.records import Detector, PoseNetwork


def build_estimator(
    model: str | None,
    detector: str,
    device: str | None,
    *,
    batch_size: int = 32,
    flip_test: bool,
    scales: Sequence[float] = (1.0,),
    height_mm: float,
    threads: int | None = None,
) -> PoseEstimator:
    """The estimator of ``model`` with the detector that ``detector`` names; see :func:`find_people`.

    ``threads``: of the CPU, for network and detector, in the whole process.
    """
    from headstart.predict import PoseEstimator

    estimator = PoseEstimator.from_pretrained(
        model,
        detector=None,
        device=device,
        batch_size=batch_size,
        flip_test=flip_test,
        scales=scales,
        height_mm=height_mm,
        threads=threads,
    )
    if threads is not None:
        _limit(threads)
    _say_what_is_unknown(estimator.network)
    estimator.detector = find_people(detector, device, batch_size, estimator.network if model is None else None)
    return estimator


def _limit(threads: int) -> None:
    """Let OpenCV and PyTorch take no more threads of the CPU; for an .onnx file PyTorch may be missing."""
    import cv2

    cv2.setNumThreads(threads)
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)


def _say_what_is_unknown(network: PoseNetwork) -> None:
    """Print a line about joints that no picture of the training had labelled, if there are any."""
    from headstart.networks import untrained_joints

    if not (untrained := untrained_joints(network)):
        return
    known = {"pelvis", "left_hip"} & set(network.skeleton.names)
    origin = "" if known else " Without a pelvis mm count from the middle of the joints."
    print(
        f"Left out, as no image of the model's training has them labelled: {', '.join(untrained)}.{origin}",
        file=sys.stderr,
    )


def find_people(
    source: str, device: str | None, batch_size: int = 32, shipped: PoseNetwork | None = None
) -> Detector | None:
    """The detector that ``source`` names: hub id, folder, "shipped", "none", or "auto".

    "auto" is the better one of transformers if it is on this machine, else the one that ships. ``shipped``: the pose
    network that ships, if it has been loaded.
    """
    from headstart.detect import TransformersDetector, find_detector
    from headstart.person_detector import PersonDetector

    if source == "none":
        return None
    if source in ("auto", "shipped"):
        found = find_detector(device=device) if source == "auto" else None
        return found or PersonDetector(pose=shipped, device=device, batch_size=batch_size)
    return TransformersDetector(source, device=device)
