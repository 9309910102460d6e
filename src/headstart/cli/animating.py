"""``headstart predict --bvh --trc``: each person of a video as an animation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.video import TrackedPerson

# Mean and median of a steady video differ by less: whole ms are up to 4 % off at 120 or 240 frames a second.
_STEADY = 0.05
# From the first to the last frame two times in whole ms are at most one off.
_ROUNDING_S = 0.0015


@dataclass
class Animations:
    """What is kept of a video's people until their files are written: their smooth joints, no pictures."""

    bvh: bool
    trc: bool
    tracks: dict[int, list[TrackedPerson]] = field(default_factory=dict)
    """Number of a person -> his frames, ascending."""

    def add(self, person: TrackedPerson) -> None:
        """One person of one frame."""
        if self.bvh or self.trc:
            self.tracks.setdefault(person.track, []).append(person)

    def write(self, stem: Path) -> dict[Path, float]:
        """STEM_personN.bvh and .trc at the video's rate, none of who is in a single frame; path -> s when it begins."""
        from headstart.animation import evenly, write_bvh, write_trc

        written: dict[Path, float] = {}
        moving = {number: frames for number, frames in sorted(self.tracks.items()) if len(frames) > 1}
        # One rate for all of a video, or its people would not fit together: that of who is in most frames.
        rate = _rate(max(moving.values(), key=len)) if moving else 0.0
        for number, frames in moving.items():
            times = [one.time_s for one in frames]
            even = evenly([one.smooth_prediction() for one in frames], times, rate)
            if self.bvh:
                written[stem.with_name(f"{stem.name}_person{number}.bvh")] = times[0]
                write_bvh(stem.with_name(f"{stem.name}_person{number}.bvh"), even, rate)
            if self.trc:
                written[stem.with_name(f"{stem.name}_person{number}.trc")] = times[0]
                write_trc(stem.with_name(f"{stem.name}_person{number}.trc"), even, rate, times[0])
        return written


def _rate(frames: Sequence[TrackedPerson]) -> float:
    """Frames per second for a person's frames (two or more, ascending): the header's where they come at that rate.

    MKV and WebM count in whole ms: most intervals of 30 frames a second are 33 ms, which would make it 30.3; the mean
    has no such error. Where frames come unevenly the mean is the rate of none of them: the usual one is taken, and
    what is missing is filled in.
    """
    first, last = frames[0], frames[-1]
    mean = (last.frame - first.frame) / (last.time_s - first.time_s)
    usual = 1 / median((later.time_s - one.time_s) / (later.frame - one.frame) for one, later in pairwise(frames))
    if abs(mean / usual - 1) > _STEADY:
        return usual
    header = first.video_rate
    agrees = header and abs((last.frame - first.frame) * (1 / header - 1 / mean)) < _ROUNDING_S
    return header if header and agrees else mean
