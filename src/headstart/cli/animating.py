"""``headstart predict --bvh --trc``: each person of a video as an animation."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.video import TrackedPerson


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

    def write(self, stem: Path) -> list[Path]:
        """STEM_personN.bvh and .trc at the video's usual rate; people seen in a single frame get none. The paths."""
        from headstart.animation import evenly, write_bvh, write_trc

        written = []
        for number, frames in sorted(self.tracks.items()):
            if len(frames) < 2:
                continue
            times = [one.time_s for one in frames]
            rate = round(1 / median(later - earlier for earlier, later in pairwise(times)), 3)
            even = evenly([one.smooth_prediction() for one in frames], times, rate)
            for wanted, suffix, write in ((self.bvh, ".bvh", write_bvh), (self.trc, ".trc", write_trc)):
                if wanted:
                    written.append(stem.with_name(f"{stem.name}_person{number}{suffix}"))
                    write(written[-1], even, rate)
        return written
