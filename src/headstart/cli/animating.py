"""``headstart predict --bvh --trc``: each person of a video as an animation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.video import TrackedPerson, VideoOptions

# Two times in whole ms are at most one off.
_ROUNDING_S = 0.0015


@dataclass
class Animations:
    """What is kept of a video's people until their files are written: their joints, no pictures."""

    bvh: bool
    trc: bool
    options: VideoOptions | None = None
    """How they are smoothed."""
    tracks: dict[int, list[TrackedPerson]] = field(default_factory=dict)
    """Number of a person -> their frames, ascending."""

    def add(self, person: TrackedPerson) -> None:
        """One person of one frame."""
        if self.bvh or self.trc:
            self.tracks.setdefault(person.track, []).append(person)

    def write(self, stem: Path) -> dict[Path, float]:
        """STEM_personN.bvh and .trc at the video's rate, none of who is in a single frame; path -> s when it begins."""
        from headstart.animation import evenly, write_bvh, write_trc
        from headstart.video import smooth_motion

        written: dict[Path, float] = {}
        moving = {number: frames for number, frames in sorted(self.tracks.items()) if len(frames) > 1}
        # One rate for all of a video, or its people would not fit together: that of who is in most frames.
        rate = _rate(max(moving.values(), key=len)) if moving else 0.0
        for number, frames in moving.items():
            times = [one.time_s for one in frames]
            even = evenly([one.prediction for one in frames], times, rate)
            smooth = smooth_motion(even, rate, self.options)
            from_start = partial(write_trc, start_s=times[0])
            for wanted, suffix, write in ((self.bvh, ".bvh", write_bvh), (self.trc, ".trc", from_start)):
                if wanted:
                    path = stem.with_name(f"{stem.name}_person{number}{suffix}")
                    write(path, smooth, rate)
                    written[path] = times[0]
        return written


def _rate(frames: Sequence[TrackedPerson]) -> float:
    """Frames per second for a person's frames (two or more, ascending): the header's where they come at that rate.

    MKV and WebM count in whole ms: most intervals of 30 frames a second are 33 ms, which would make it 30.3; the mean
    has no such error. Where frames come unevenly, a few of them dropped, the mean is the rate of none of them: the
    usual one is taken, or that of the header where whole ms cannot tell the two apart.
    """
    first, last = frames[0], frames[-1]
    header, count = first.video_rate, last.frame - first.frame
    mean = (last.time_s - first.time_s) / count
    usual = median((later.time_s - one.time_s) / (later.frame - one.frame) for one, later in pairwise(frames))
    if all(abs(one.time_s - first.time_s - (one.frame - first.frame) * mean) < _ROUNDING_S for one in frames):
        agrees = header and abs(count * (1 / header - mean)) < _ROUNDING_S
        return header if header and agrees else 1 / mean
    whole_ms = abs(usual * 1000 - round(usual * 1000)) < 1e-6
    return header if header and whole_ms and abs(1 / header - usual) <= 0.0005 else 1 / usual
