"""Tracking: people are matched from frame to frame by the overlap of their boxes, at constant velocity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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


def box_within(corners: Sequence[float], width: int, height: int) -> Box:
    """Corners (left, top, right, bottom) px, cut at the edges of a picture, as x, y, width, height."""
    left, right = (min(max(value, 0.0), float(width)) for value in (corners[0], corners[2]))
    top, bottom = (min(max(value, 0.0), float(height)) for value in (corners[1], corners[3]))
    return left, top, right - left, bottom - top


# Seconds over which a track's velocity is averaged: with each stride, half a second, the box swings to and fro.
_STEADY_S = 0.4


@dataclass
class Track:
    """One person over time."""

    number: int
    """1, 2, 3 ... in the order of first appearance; numbers are not used again."""
    box: Box
    seen_s: float
    """Time of the last frame with this person."""
    velocity: tuple[float, float] = (0.0, 0.0)
    """Of the middle of the box, px a second, averaged."""

    def expected(self, time_s: float) -> Box:
        """The box at ``time_s`` at constant velocity."""
        x, y, width, height = self.box
        elapsed = time_s - self.seen_s
        return x + self.velocity[0] * elapsed, y + self.velocity[1] * elapsed, width, height

    def move(self, box: Box, time_s: float, alone: bool) -> None:
        """Set the box; update the velocity only if the person is ``alone``, as boxes that overlap are less exact."""
        elapsed = time_s - self.seen_s
        if alone and elapsed > 0:
            share = elapsed / (elapsed + _STEADY_S)
            moved = np.subtract(_middle(box), _middle(self.box)) / elapsed
            x, y = (share * moved + (1 - share) * np.array(self.velocity)).tolist()
            self.velocity = x, y
        self.box, self.seen_s = box, time_s


def _middle(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


@dataclass
class Tracker:
    """Gives each box of a frame the number of its track, by the matching with the largest sum of overlaps.

    Boxes are first matched with the boxes that tracks should have by now at constant velocity, so that people who cross
    keep their numbers. Boxes and tracks that are left are matched by where the tracks were last seen: the person may
    have stopped. A track without a box is kept for ``patience_s`` seconds, and at least until the next frame.
    """

    min_overlap: float = 0.3
    """Least overlap (0..1) of a box and its track."""
    patience_s: float = 1.0
    tracks: list[Track] = field(default_factory=list)
    before_s: float = -math.inf
    """Time of the last frame, with or without people."""
    _count: int = 0

    def assign(self, boxes: Sequence[Box], time_s: float) -> list[int]:
        """The number of each box's track, in the order of the boxes; a box without a match starts a new track.

        Call it for every frame, also without boxes. ``time_s`` must not decrease.
        """
        # Frames may be further apart than ``patience_s``; tracks of the last frame are kept all the same.
        oldest_s = min(time_s - self.patience_s, self.before_s)
        self.tracks = [track for track in self.tracks if track.seen_s >= oldest_s]
        self.before_s = time_s
        found = self._matched(self.tracks, dict(enumerate(boxes)), lambda track: track.expected(time_s))
        rest = [track for track in self.tracks if track not in found.values()]
        left = {number: box for number, box in enumerate(boxes) if number not in found}
        found |= self._matched(rest, left, lambda track: track.box)
        together = (overlaps(boxes, boxes) > self.min_overlap).sum(1) > 1 if boxes else []
        return [
            self._continue(found.get(number), box, time_s, alone=not crowded)
            for number, (box, crowded) in enumerate(zip(boxes, together))
        ]

    def _matched(
        self, tracks: Sequence[Track], boxes: Mapping[int, Box], where: Callable[[Track], Box]
    ) -> dict[int, Track]:
        """Number of a box -> its track, for pairs that overlap enough."""
        if not (tracks and boxes):
            return {}
        overlap = overlaps([where(track) for track in tracks], list(boxes.values()))
        # Pairs below the threshold count 0, so that they do not displace good ones.
        enough = overlap >= self.min_overlap
        rows, columns = linear_sum_assignment(np.where(enough, overlap, 0.0), maximize=True)
        numbers = list(boxes)
        return {numbers[box]: tracks[row] for row, box in zip(rows.tolist(), columns.tolist()) if enough[row, box]}

    def _continue(self, track: Track | None, box: Box, time_s: float, alone: bool) -> int:
        if track is None:
            self._count += 1
            track = Track(self._count, box, time_s)
            self.tracks.append(track)
        track.move(box, time_s, alone)
        return track.number
