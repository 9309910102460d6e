"""Where people are looked for in each frame of a video, and who is found there: several frames at once.

A detector looks in every frame, or every few. Between detections, and without a detector, each person's box is the one
around the joints of the frame before. So frames in which the detector looks need no other frame: these go through the
pose network together, then those that follow them, and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from headstart.confidence import UNSURE, certainty, seen_joints
from headstart.errors import DataError, HeadstartError
from headstart.geometry import Box, Camera
from headstart.records import RGB, Estimator, FieldOfView, Prediction
from headstart.video_files import Frame

#: Margin (see :func:`followed_box`) around the joints of one frame, in which those of the next are looked for.
FOLLOW_MARGIN = 1.25


@dataclass
class Follower:
    """Finds the people of one frame after the other."""

    estimator: Estimator
    name: str
    """The video's, for predictions and messages."""
    camera: Camera | FieldOfView | None = None
    detect_every: int = 1
    """With a detector: it looks at every ``detect_every``-th frame."""
    lost_below: float = UNSURE
    """A person of a lower certainty (confidence.py) is not followed."""
    boxes: list[Box] = field(default_factory=list)
    """Where to look for people in the next frame; empty: nobody is followed."""

    def people(self, frames: Iterable[Frame], at_once: int) -> Iterator[tuple[Frame, list[Prediction]]]:
        """Each frame with its people, in order. At most ``at_once`` frames are held, besides the one just given.

        An error comes after the frames before the one that cannot be read or used.
        """
        for group in _groups(frames, at_once if self._chains(at_once) > 1 else 1):
            try:
                together = self._find(group)
            except HeadstartError:
                together = None
            while group:
                people = self._find(group[:1])[0] if together is None else together.pop(0)
                yield group.pop(0), people

    def detects(self, frame: Frame) -> bool:
        """Whether the detector looks for people in this frame."""
        return self.estimator.detector is not None and frame.number % self.detect_every == 0

    def _chains(self, frames: int) -> int:
        """Number of chains in which each frame needs the one before, among so many frames."""
        return 1 if self.estimator.detector is None else -(-frames // self.detect_every)

    def _find(self, group: Sequence[Frame]) -> list[list[Prediction]]:
        """The people of consecutive frames; those that need no other frame go through the network together."""
        found: dict[int, list[Prediction]] = {}
        boxes = {0: self.boxes}  # of the frames, by their place in the group, of which the one before is known
        while left := [place for place in range(len(group)) if place not in found]:
            ready = [place for place in left if place in boxes or self.detects(group[place])]
            frames = [group[place] for place in ready]
            wanted = [self._wanted(frame, boxes.get(place, [])) for frame, place in zip(frames, ready)]
            for place, frame, people in zip(ready, frames, self._estimate(frames, wanted)):
                found[place] = people
                boxes[place + 1] = self._next_boxes(people, frame.image)
        self.boxes = boxes[len(group)]
        return [found[place] for place in range(len(group))]

    def _wanted(self, frame: Frame, followed: list[Box]) -> list[Box] | None:
        """The boxes of people followed; None where the detector looks, or, without one, for the whole frame."""
        anew = self.detects(frame) or (self.estimator.detector is None and not followed)
        return None if anew else followed

    def _estimate(self, frames: Sequence[Frame], boxes: Sequence[list[Box] | None]) -> list[list[Prediction]]:
        images, names = [frame.image for frame in frames], [self.name] * len(frames)
        return self.estimator.estimate(images, boxes, self.camera, names=names)

    def _next_boxes(self, people: Sequence[Prediction], image: RGB) -> list[Box]:
        return [box for one in people if (box := self._next_box(one, image)) is not None]

    def _next_box(self, person: Prediction, image: RGB) -> Box | None:
        """The box in which to look for the person in the next frame; None if they are lost."""
        box = followed_box(person, FOLLOW_MARGIN)
        if box is None or certainty(np.array([point[2] for point in person.keypoints.values()])) < self.lost_below:
            return None
        height, width = image.shape[:2]
        x, y, w, h = box
        inside = min(x + w, width) - max(x, 0) > 4 and min(y + h, height) - max(y, 0) > 4
        return box if inside else None


def _groups(frames: Iterable[Frame], at_once: int) -> Iterator[list[Frame]]:
    """Lists of ``at_once`` frames, which the caller empties; those before an error of the source come before it."""
    group: list[Frame] = []
    try:
        for frame in frames:
            group.append(frame)
            if len(group) == at_once:
                yield group
    except DataError:
        if group:
            yield group
        raise
    if group:
        yield group


def followed_box(person: Prediction, margin: float = 1.0) -> Box | None:
    """The box around a person's joints that are seen, None if they extend over less than 1 px.

    Each side is farther out by (margin - 1) / 2 times the longer side of the tight box. Joints are in pixel centres and
    boxes in pixel edges, half a pixel apart (geometry.py).
    """
    points = np.array([point[:2] for point in person.keypoints.values()]) + 0.5
    if len(points) == 0 or not np.isfinite(points).all():
        return None
    # Joints outside the image lie at the border of their crop: a box around them would grow from frame to frame.
    points = points[seen_joints(person.keypoints.values())]
    low, high = points.min(0), points.max(0)
    side = float((high - low).max())
    if side < 1:
        return None
    # The same on all sides, because the joints of somebody who stands are narrow.
    room = (margin - 1) / 2 * side
    x, y = (low - room).tolist()
    w, h = (high - low + 2 * room).tolist()
    return x, y, max(w, 1.0), max(h, 1.0)
