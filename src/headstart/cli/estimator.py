"""The estimator that ``headstart predict`` and ``headstart serve`` use, from what their options say."""

from __future__ import annotations

import sys
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
    height_mm: float,
    boxes: str = "give --boxes",
) -> PoseEstimator:
    """The estimator of ``model`` with the detector that ``detector`` means, see :func:`find_people`."""
    from headstart.predict import PoseEstimator

    estimator = PoseEstimator.from_pretrained(
        model, device=device, batch_size=batch_size, flip_test=flip_test, height_mm=height_mm
    )
    _say_what_is_unknown(estimator.network)
    estimator.detector = find_people(detector, estimator.network, device, boxes)
    return estimator


def _say_what_is_unknown(network: PoseNetwork) -> None:
    """One line about joints that the model never learnt, if there are any."""
    from headstart.predict import untrained_joints

    if not (untrained := untrained_joints(network)):
        return
    known = {"pelvis", "left_hip"} & set(network.skeleton.names)
    origin = "" if known else " Without a pelvis mm count from the middle of the joints."
    print(
        f"Left out, as no picture of the model's training has them labelled: {', '.join(untrained)}.{origin}",
        file=sys.stderr,
    )


def find_people(source: str, network: PoseNetwork, device: str | None, boxes: str) -> Detector | None:
    """The detector that ``source`` means: hub id, folder, "search" (the pose network itself), "none", or "auto".

    For "auto" without one on this machine it is None, and a line says what can be done; ``boxes``: how they are given.
    """
    if source == "none":
        return None
    if source == "search":
        from headstart.pose_search import PoseSearch

        return PoseSearch(network)
    from headstart.detect import DEFAULT_DETECTOR, TransformersDetector, find_detector

    if source != "auto":
        return TransformersDetector(source, device=device)
    found = find_detector(DEFAULT_DETECTOR, device=device)
    if found is None:
        print(
            f"No detector on this machine: each picture is taken as one person. To find people, fetch one once with"
            f" --detector {DEFAULT_DETECTOR} (needs a network), let the model itself search with --detector search"
            f" (slow and rough), or {boxes}.",
            file=sys.stderr,
        )
    return found
