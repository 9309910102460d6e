"""Finds people with the pose network alone, for machines without a detector.

The network looks at overlapping squares of several sizes. Where it is certain of most joints, it looks again at the box
around those joints, which moves onto the person. This takes a hundred crops a picture and is much worse than a
detector, but needs nothing else; benchmarks/find_people.py measures it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headstart.closing_in import LOOKS, look
from headstart.geometry import Box
from headstart.records import Detection, PoseNetwork
from headstart.tracking import overlaps

#: Sides of the squares, as shares of the picture's longer side, and how far apart they lie, in sides.
SIZES, STEP = (0.8, 0.55, 0.38, 0.26), 0.4
#: Number of places that are looked at again.
PLACES = 12
#: Boxes that overlap more (intersection over union) are the same person.
SAME = 0.4


class PoseSearch:
    """A :class:`~headstart.records.Detector` made of a pose network."""

    def __init__(self, network: PoseNetwork, *, threshold: float = 0.55, batch_size: int = 32) -> None:
        """``threshold``: least score (:func:`~headstart.closing_in.certainty`). ``batch_size``: crops at once."""
        self.network, self.threshold, self.batch_size = network, threshold, batch_size

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The people in one RGB picture (H, W, 3), best first; boxes are cut at its edges."""
        height, width = image.shape[:2]
        found = self._look(image, list(squares(width, height)))
        for _ in range(LOOKS):
            found = self._look(image, [one.bbox_xywh for one in distinct(found)[:PLACES]])
        return [one for one in distinct(found) if one.score >= self.threshold]

    def _look(self, image: NDArray[np.uint8], boxes: list[Box]) -> list[Detection]:
        starts = range(0, len(boxes), self.batch_size)
        return [one for start in starts for one in look(self.network, image, boxes[start:][: self.batch_size])]


def squares(width: int, height: int) -> Iterator[Box]:
    """Boxes x, y, w, h px that cover a picture: the whole of it, then squares of each size, cut to the picture."""
    yield 0.0, 0.0, float(width), float(height)
    for size in SIZES:
        side = size * max(width, height)
        w, h = min(side, width), min(side, height)
        for x in np.linspace(0, width - w, int(np.ceil((width - w) / (STEP * side))) + 1):
            for y in np.linspace(0, height - h, int(np.ceil((height - h) / (STEP * side))) + 1):
                yield float(x), float(y), float(w), float(h)


def distinct(found: list[Detection]) -> list[Detection]:
    """Best first, without those that overlap a better one by more than SAME."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if not (overlaps([one.bbox_xywh], [other.bbox_xywh for other in kept]) > SAME).any():
            kept.append(one)
    return kept
