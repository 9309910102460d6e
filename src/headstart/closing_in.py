"""Where in a box the person is, by the pose network's own joints: it looks again at the box around them.

A network that was trained on people who fill their crop stretches a small one until he does: head and trunk are where
they should be, legs reach for the crop's far side, and the box around them is too large for the next look as well. A
smaller crop around the middle of the joints is therefore looked at too: where it is the right one, the network is surer
in it. benchmarks/closing_in.py measures what that gains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import PADDING, Box, Crop
from headstart.records import Detection, PoseNetwork

#: How often the network looks before the crop is cut; a third time gains little (LOG.md, 2026-11-27).
LOOKS = 2
#: Side of the smaller crop, as a share of the longer one of the last look's; 0.5 does as well.
SMALLER = 0.6
#: A box is drawn around the joints of at least the confidence SURE, or, where fewer reach it, around the FEWEST surest.
SURE, FEWEST = 0.15, 8
#: A certainty below this is that of most places without anybody, and of few people in full view (benchmarks/unsure.py).
UNSURE = 0.15

_Seen = tuple[NDArray[np.float64], NDArray[np.float64]]


def close_in(
    network: PoseNetwork, image: NDArray[np.uint8], box: Box, looks: int = LOOKS, *, flip_test: bool = False
) -> Box:
    """The box x, y, w, h px of the person whom ``box`` of an RGB picture (H, W, 3) holds somewhere.

    The first look takes one crop, each one more takes two. The result is ``box`` itself where the joints fall together,
    as they may where there is nobody. With ``flip_test`` the mirrored picture gives the mirrored box.
    """
    x, y, w, h = box
    # Nothing of the person lies outside: without the usual room around the box they are larger in the crop.
    tried = [_around((x + w / 2, y + h / 2), w / PADDING, h / PADDING)]
    for _ in range(looks):
        seen = _joints_in(network, image, tried, flip_test)
        surest = max(range(len(tried)), key=lambda number: certainty(seen[number][1]))
        closer = box_of_joints(*seen[surest], image.shape[1], image.shape[0])
        if closer is None:
            break
        box, tried = closer, [closer, _smaller(tried[surest], *seen[surest])]
    return box


def _smaller(box: Box, points: NDArray[np.float64], confidence: NDArray[np.float64]) -> Box:
    """A square in the middle of the joints (J, 2), the sure ones counting most, SMALLER than the box they were seen in.

    Joints count from the centre of the first pixel, boxes from its edge: half a pixel lies between.
    """
    x, y = np.average(points + 0.5, axis=0, weights=confidence + 1e-6).tolist()
    return _around((x, y), SMALLER * max(box[2:]), SMALLER * max(box[2:]))


def _around(middle: tuple[float, float], width: float, height: float) -> Box:
    return (middle[0] - width / 2, middle[1] - height / 2, width, height)


def _joints_in(network: PoseNetwork, image: NDArray[np.uint8], boxes: list[Box], flip_test: bool) -> list[_Seen]:
    """For each box the joints (J, 2), picture px, and their confidence (J,)."""
    crops = [Crop.from_box(np.array(box), network.input_size) for box in boxes]
    joints = network(np.stack([crop.warp(image) for crop in crops]), flip_test=flip_test)
    points = [crop.to_image(one) for crop, one in zip(crops, joints.keypoints)]
    return list(zip(points, joints.confidence.astype(np.float64)))


def look(
    network: PoseNetwork, image: NDArray[np.uint8], boxes: list[Box], *, flip_test: bool = False
) -> list[Detection]:
    """What the network sees in each box: the box around the joints that it is sure of, and how sure.

    Boxes whose joints fall together are left out.
    """
    seen = [
        (box_of_joints(points, confidence, image.shape[1], image.shape[0]), certainty(confidence))
        for points, confidence in _joints_in(network, image, boxes, flip_test)
    ]
    return [Detection(box, score) for box, score in seen if box is not None]


def certainty(confidence: NDArray[np.floating]) -> float:
    """What two thirds of the joints (J,) reach: a few that are sure by chance do not make a person."""
    return float(np.quantile(confidence, 1 / 3))


def box_of_joints(
    points: NDArray[np.floating], confidence: NDArray[np.floating], width: int, height: int
) -> Box | None:
    """Tight box of the joints (J, 2) px that the network is sure of, with a twentieth of room on each side, cut at
    the picture's edges; None where nothing of a pixel's size remains.

    Joints count from the centre of the first pixel, boxes from its edge: half a pixel lies between.
    """
    least = min(SURE, float(np.sort(confidence)[-min(FEWEST, len(confidence))]))
    sure = points[confidence >= least] + 0.5
    low, high = sure.min(0), sure.max(0)
    room = (high - low) / 20
    low, high = np.maximum(low - room, 0), np.minimum(high + room, (width, height))
    w, h = (high - low).tolist()
    return (float(low[0]), float(low[1]), w, h) if min(w, h) >= 1 else None
