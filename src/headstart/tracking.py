"""Who is who from frame to frame: people are joined by the overlap of their boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from headstart.geometry import Box


def overlaps(first: Sequence[Box], second: Sequence[Box]) -> NDArray[np.float64]:
    """Intersection over union (len(first), len(second)) of boxes, 0..1; empty boxes overlap nothing."""
    one = np.asarray(first, np.float64).reshape(-1, 1, 4)
    two = np.asarray(second, np.float64).reshape(1, -1, 4)
    near = np.maximum(one[..., :2], two[..., :2])
    far = np.minimum(one[..., :2] + one[..., 2:], two[..., :2] + two[..., 2:])
    shared = np.clip(far - near, 0, None).prod(-1)
    together = one[..., 2:].prod(-1) + two[..., 2:].prod(-1) - shared
    return np.where(together > 0, shared / np.where(together > 0, together, 1.0), 0.0)


@dataclass
class Track:
    """One person over time."""

    number: int
    """1, 2, 3 ... in the order of first appearance; never used again."""
    box: Box
    seen_s: float
    """Time of the last frame with this person."""


@dataclass
class Tracker:
    """Gives each box of a frame the number of its track, by the matching with the largest sum of overlaps.

    A track that finds no box waits for ``patience_s`` seconds where it was last seen, and then ends; at least until
    the next frame, however long that takes.
    """

    min_overlap: float = 0.3
    """Boxes that overlap less are never the same person (0..1)."""
    patience_s: float = 1.0
    tracks: list[Track] = field(default_factory=list)
    before_s: float = -math.inf
    """Time of the last frame, with or without people."""
    _count: int = 0

    def assign(self, boxes: Sequence[Box], time_s: float) -> list[int]:
        """The track's number for each box, in their order; boxes of nobody known start a track.

        To be called for every frame, ``boxes`` may be empty; ``time_s`` never falls.
        """
        # Frames may be further apart than anybody's patience: who was there a frame ago has not been missed yet.
        oldest_s = min(time_s - self.patience_s, self.before_s)
        self.tracks = [track for track in self.tracks if track.seen_s >= oldest_s]
        self.before_s = time_s
        found: dict[int, Track] = {}
        if boxes and self.tracks:
            overlap = overlaps([track.box for track in self.tracks], boxes)
            # Pairs below the threshold must not push out good ones: they are worth nothing.
            rows, columns = linear_sum_assignment(np.where(overlap >= self.min_overlap, overlap, 0.0), maximize=True)
            pairs = zip(rows.tolist(), columns.tolist())
            found = {box: self.tracks[row] for row, box in pairs if overlap[row, box] >= self.min_overlap}
        return [self._continue(found.get(number), box, time_s) for number, box in enumerate(boxes)]

    def _continue(self, track: Track | None, box: Box, time_s: float) -> int:
        if track is None:
            self._count += 1
            track = Track(self._count, box, time_s)
            self.tracks.append(track)
        track.box, track.seen_s = box, time_s
        return track.number
