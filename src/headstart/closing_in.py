"""Moves a crop onto the person in it, by the joints that the pose network sees: the next crop is the box around them.

A network trained on people who fill their crop stretches a small person: head and trunk are right, but the legs reach
to the far side of the crop, so the box around the joints stays too large. Each look but the first therefore also tries
a smaller crop around the middle of the joints and takes the one in which the network is more certain.
benchmarks/closing_in.py measures the gain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.confidence import certainty
from headstart.errors import ConfigError
from headstart.geometry import PADDING, Box, Crop
from headstart.records import CropJoints, PoseNetwork

#: Number of looks before the final crop is cut; a third one gains little (LOG.md, 2026-11-27).
LOOKS = 2
#: Side of the smaller crop over the longer side of the last one; 0.5 does as well.
SMALLER = 0.6
#: The box is around the joints with a confidence of at least SURE, and around at least the FEWEST most confident ones.
SURE, FEWEST = 0.15, 8

_Seen = tuple[NDArray[np.float64], NDArray[np.float64]]


def close_in(
    network: PoseNetwork, image: NDArray[np.uint8], box: Box, looks: int = LOOKS, *, flip_test: bool = False
) -> Box:
    """The box x, y, w, h px of the person who is somewhere in ``box`` of an RGB picture (H, W, 3).

    The first look costs one crop, each further one two. The result is ``box`` itself if the joints coincide, as they
    may where there is nobody. With ``flip_test`` the mirrored picture gives the mirrored box.
    """
    x, y, w, h = box
    # The whole person is in the box: without the usual padding they are larger in the crop.
    tried = [_around((x + w / 2, y + h / 2), w / PADDING, h / PADDING)]
    for _ in range(looks):
        seen = _joints_in(network, image, tried, flip_test)
        surest = max(range(len(tried)), key=lambda number: certainty(seen[number][1]))
        closer = confident_box(*seen[surest], image.shape[1], image.shape[0])
        if closer is None:
            break
        box, tried = closer, [closer, _smaller(tried[surest], *seen[surest])]
    return box


def _smaller(box: Box, points: NDArray[np.float64], confidence: NDArray[np.float64]) -> Box:
    """A square around the mean of the joints (J, 2), weighted by confidence, SMALLER than the box they were seen in.

    Joints are in pixel centres and boxes in pixel edges, half a pixel apart (geometry.py).
    """
    x, y = np.average(points + 0.5, axis=0, weights=confidence + 1e-6).tolist()
    side = SMALLER * max(box[2:])
    return _around((x, y), side, side)


def _around(middle: tuple[float, float], width: float, height: float) -> Box:
    return (middle[0] - width / 2, middle[1] - height / 2, width, height)


def _joints_in(network: PoseNetwork, image: NDArray[np.uint8], boxes: list[Box], flip_test: bool) -> list[_Seen]:
    """For each box the joints (J, 2), picture px, and their confidence (J,)."""
    crops = [Crop.from_box(np.array(box), network.input_size) for box in boxes]
    joints = joints_of(network, [crop.warp(image) for crop in crops], flip_test)
    points = [crop.to_image(one) for crop, one in zip(crops, joints.keypoints)]
    return list(zip(points, joints.confidence.astype(np.float64)))


def joints_of(network: PoseNetwork, crops: Sequence[NDArray[np.uint8]], flip_test: bool) -> CropJoints:
    """Joints of RGB crops, each (H, W, 3); raises :class:`ConfigError` where the network gives NaN or infinity."""
    joints = network(np.stack(crops), flip_test=flip_test)
    if not all(np.isfinite(part).all() for part in joints):
        raise ConfigError("the model gives NaN or infinity for some joints: its weights are broken; use another model")
    return joints


def confident_box(
    points: NDArray[np.floating], confidence: NDArray[np.floating], width: int, height: int
) -> Box | None:
    """Tight box of the joints (J, 2) px that the network is sure of, widened by 5 % on each side and cut at the edges
    of the picture (``width`` x ``height`` px); None if less than a pixel remains.

    Joints are in pixel centres and boxes in pixel edges, half a pixel apart (geometry.py).
    """
    least = min(SURE, float(np.sort(confidence)[-min(FEWEST, len(confidence))]))
    sure = points[confidence >= least] + 0.5
    low, high = sure.min(0), sure.max(0)
    room = (high - low) / 20
    low, high = np.maximum(low - room, 0), np.minimum(high + room, (width, height))
    w, h = (high - low).tolist()
    return (float(low[0]), float(low[1]), w, h) if min(w, h) >= 1 else None
