"""People found by the pose network alone, where no detector is at hand.

The network looks at overlapping squares of several sizes. Where it is sure of most joints somebody is likely to be:
there it looks again at the box around those joints, which moves onto the person. Slow (a hundred crops a picture) and
much worse than a detector, but it needs nothing else; benchmarks/find_people.py measures it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Crop
from headstart.records import Detection, PoseNetwork
from headstart.tracking import Box, overlaps

#: Sides of the squares, as shares of the picture's longer side, and how far apart they lie, in sides.
SIZES, STEP = (0.8, 0.55, 0.38, 0.26), 0.4
#: Places that are looked at more closely, and how often.
PLACES, LOOKS = 12, 2
#: Joints that the network is less sure of do not count for a box; at least so many do.
SURE, FEWEST = 0.15, 8
#: Boxes that overlap more (intersection over union) are the same person.
SAME = 0.4


class PoseSearch:
    """A :class:`~headstart.records.Detector` made of a pose network."""

    def __init__(self, network: PoseNetwork, *, threshold: float = 0.55, batch_size: int = 32) -> None:
        """``threshold``: the least score (:func:`certainty`) of a person."""
        self.network, self.threshold, self.batch_size = network, threshold, batch_size

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The people in one RGB picture (H, W, 3), best first; boxes are cut at its edges."""
        height, width = image.shape[:2]
        found = self._look(image, list(squares(width, height)))
        for _ in range(LOOKS):
            found = self._look(image, [one.bbox_xywh for one in distinct(found)[:PLACES]])
        return [one for one in distinct(found) if one.score >= self.threshold]

    def _look(self, image: NDArray[np.uint8], boxes: list[Box]) -> list[Detection]:
        """What the network sees in each box: the box around the joints that it is sure of, and how sure."""
        found: list[Detection] = []
        for start in range(0, len(boxes), self.batch_size):
            crops = [Crop.from_box(np.array(box), self.network.input_size) for box in boxes[start:][: self.batch_size]]
            joints = self.network(np.stack([crop.warp(image) for crop in crops]))
            for crop, keypoints, confidence in zip(crops, joints.keypoints, joints.confidence):
                box = box_of_joints(crop.to_image(keypoints), confidence, image.shape[1], image.shape[0])
                if box is not None:
                    found.append(Detection(box, certainty(confidence)))
        return found


def squares(width: int, height: int) -> Iterator[Box]:
    """Boxes x, y, w, h px that cover a picture: the whole of it, then squares of each size, cut to the picture."""
    yield 0.0, 0.0, float(width), float(height)
    for size in SIZES:
        side = size * max(width, height)
        w, h = min(side, width), min(side, height)
        for x in np.linspace(0, width - w, int(np.ceil((width - w) / (STEP * side))) + 1):
            for y in np.linspace(0, height - h, int(np.ceil((height - h) / (STEP * side))) + 1):
                yield float(x), float(y), float(w), float(h)


def certainty(confidence: NDArray[np.floating]) -> float:
    """What two thirds of the joints (J,) reach: a few that are sure by chance do not make a person."""
    return float(np.quantile(confidence, 1 / 3))


def box_of_joints(
    points: NDArray[np.floating], confidence: NDArray[np.floating], width: int, height: int
) -> Box | None:
    """Tight box of the joints (J, 2) px that the network is sure of, with a twentieth of room on each side, cut at
    the picture's edges; None where nothing of a pixel's size remains."""
    least = min(SURE, float(np.sort(confidence)[-FEWEST]))
    sure = points[confidence >= least]
    low, high = sure.min(0), sure.max(0)
    room = (high - low) / 20
    low, high = np.maximum(low - room, 0), np.minimum(high + room, (width, height))
    w, h = (high - low).tolist()
    return (float(low[0]), float(low[1]), w, h) if min(w, h) >= 1 else None


def distinct(found: list[Detection]) -> list[Detection]:
    """Best first, without those that overlap a better one."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if not (overlaps([one.bbox_xywh], [other.bbox_xywh for other in kept]) > SAME).any():
            kept.append(one)
    return kept
