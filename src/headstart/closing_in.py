"""Where in a box the person is, by the pose network's own joints: it looks again at the box around them.

A network that was trained on people who fill their crop draws a small one's joints in towards the middle, but towards
the person: one or two looks later the crop is theirs. benchmarks/closing_in.py measures what that gains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Box, Crop
from headstart.records import Detection, PoseNetwork

#: How often the network looks again; a third time gains little (LOG.md, 2026-11-26).
LOOKS = 2
#: A box is drawn around the joints of at least the confidence SURE, or, where fewer reach it, around the FEWEST surest.
SURE, FEWEST = 0.15, 8
#: A certainty below this is that of most places without anybody, and of few people in full view (benchmarks/unsure.py).
UNSURE = 0.15


def close_in(
    network: PoseNetwork, image: NDArray[np.uint8], box: Box, looks: int = LOOKS, *, flip_test: bool = False
) -> Box:
    """The box x, y, w, h px of the person whom ``box`` of an RGB picture (H, W, 3) holds somewhere.

    It is ``box`` itself where the joints fall together, as they may where there is nobody. With ``flip_test`` the
    mirrored picture gives the mirrored box.
    """
    for _ in range(looks):
        for found in look(network, image, [box], flip_test=flip_test):
            box = found.bbox_xywh
    return box


def look(
    network: PoseNetwork, image: NDArray[np.uint8], boxes: list[Box], *, flip_test: bool = False
) -> list[Detection]:
    """What the network sees in each box: the box around the joints that it is sure of, and how sure.

    Boxes whose joints fall together are left out.
    """
    crops = [Crop.from_box(np.array(box), network.input_size) for box in boxes]
    joints = network(np.stack([crop.warp(image) for crop in crops]), flip_test=flip_test)
    found: list[Detection] = []
    for crop, keypoints, confidence in zip(crops, joints.keypoints, joints.confidence):
        box = box_of_joints(crop.to_image(keypoints), confidence, image.shape[1], image.shape[0])
        if box is not None:
            found.append(Detection(box, certainty(confidence)))
    return found


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
