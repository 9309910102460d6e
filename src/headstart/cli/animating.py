"""``headstart predict --bvh --trc``: one animation for each person of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from headstart.errors import ConfigError

if TYPE_CHECKING:
    from headstart.smoothing import MotionFilter
    from headstart.video import TrackedPerson, VideoOptions

# Two times in whole ms are at most one off.
_ROUNDING_S = 0.0015


def motion_filter_of(text: str, animated: bool) -> MotionFilter:
    """The filter of ``--smooth``; raises :class:`ConfigError` for an unknown one, and unless motion is ``animated``."""
    from headstart.smoothing import check_motion_filter

    if text == "one-euro":
        return "one-euro"
    if not animated:
        raise ConfigError("--smooth: is for --bvh and --trc, and none is asked for")
    if text == "none":
        return "none"
    try:
        cutoff_hz = float(text)
    except ValueError:
        expected = "expected one-euro, none or a cutoff in Hz, for example 6"
        raise ConfigError(f"--smooth: {expected}, got {text!r}") from None
    check_motion_filter(cutoff_hz, name="--smooth")
    return cutoff_hz


@dataclass
class Animations:
    """Keeps the people of a video, without pictures, until their files are written."""

    bvh: bool
    trc: bool
    options: VideoOptions | None = None
    """Parameters of the smoothing."""
    tracks: dict[int, list[TrackedPerson]] = field(default_factory=dict)
    """Number of a person -> their frames, ascending."""

    def add(self, person: TrackedPerson) -> None:
        """Add one person of one frame, if animations are wanted."""
        if self.bvh or self.trc:
            self.tracks.setdefault(person.track, []).append(person)

    def write(self, stem: Path) -> dict[Path, float]:
        """Write STEM_personN.bvh and .trc for each person with at least two frames; path -> its first time, s.

        Raises :class:`ConfigError` for a filter whose cutoff is half the frame rate or more.
        """
        from headstart.animation import evenly, write_bvh, write_trc
        from headstart.video import smooth_motion

        written: dict[Path, float] = {}
        moving = {number: frames for number, frames in sorted(self.tracks.items()) if len(frames) > 1}
        # One rate for all people of a video, so that they fit together: by the person with most frames.
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
    """Frames per second of a person's frames (two or more, ascending): the header's if their times agree with it.

    Evenly spaced frames have the rate of their mean interval; the median would be wrong in MKV and WebM, whose times
    are whole ms: at 30 frames per second most intervals are 33 ms, which is 30.3 per second. Where frames were dropped,
    the mean is wrong, and the rate is that of the median interval, or the header's if whole ms cannot tell them apart.
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
