"""What ``headstart predict`` has done so far, over all its inputs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import dirname, realpath
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.pose_files import JsonPeople
    from headstart.records import Prediction
    from headstart.video import TrackedPerson


@dataclass
class Outcome:
    """Counts, people, and the names that outputs have taken."""

    people: list[Prediction] = field(default_factory=list)
    """For tables and arrays; of videos only if those were asked for."""
    json: JsonPeople | None = None
    count: int = 0
    pictures: int = 0
    videos: int = 0
    failed: int = 0
    _names: set[str] = field(default_factory=set)

    def add(self, person: Prediction | TrackedPerson) -> None:
        """One person more for the JSON."""
        self.count += 1
        if self.json is not None:
            self.json.add(person.to_dict())

    def fail(self, error: HeadstartError) -> None:
        """Say what is wrong with one input; the others go on."""
        self.failed += 1
        print(f"headstart: {error}", file=sys.stderr)

    def spare(self, files: Sequence[str], out: Path | None) -> None:
        """Inputs that lie in the output folder have taken their names: no result may replace them."""
        if out is not None:
            self._names |= {Path(name).stem.lower() for name in files if _folder(name) == realpath(out)}

    def unused_name(self, name: str) -> str:
        """The file's name without its suffix; NAME_2 and so on where another input has taken it."""
        stem, number = Path(name.replace("webcam:", "webcam_")).stem, 2
        unused = stem
        while unused.lower() in self._names:
            unused, number = f"{stem}_{number}", number + 1
        self._names.add(unused.lower())
        return unused

    def write(self, json_output: Path | None, csv: Path | None, npz: Path | None) -> None:
        """Write table and arrays, and say what is where."""
        from headstart.pose_files import is_standard_output, write_csv, write_npz

        if csv is not None:
            write_csv(csv, self.people)
        if npz is not None:
            write_npz(npz, self.people)
        inputs = [counted(self.pictures, "picture", "pictures")] if self.pictures or not self.videos else []
        inputs += [counted(self.videos, "video", "videos")] if self.videos else []
        found = counted(self.count, "pose", "poses") if self.videos else counted(self.count, "person", "people")
        for path in filter(None, (json_output, csv, npz)):
            to = "standard output" if is_standard_output(path) else path
            print(f"{', '.join(inputs)}, {found} -> {to}")


def _folder(name: str) -> str:
    """That in which a file really lies; unlike ``Path.resolve`` for links too that lead round in a circle."""
    return dirname(realpath(name))


def counted(count: int, one: str, many: str) -> str:
    """``1 person``, ``2 people``."""
    return f"{count} {one if count == 1 else many}"


def described(people: Sequence[Prediction]) -> str:
    """The people of a picture in words, see :func:`described_scores`."""
    return described_scores([one.score for one in people])


def described_scores(scores: Sequence[float]) -> str:
    """``1 person``, ``1 person (unsure: score 0.08)``, ``3 people (2 unsure: score below 0.15)``: a score a person."""
    from headstart.closing_in import UNSURE

    said, unsure = counted(len(scores), "person", "people"), [score for score in scores if score < UNSURE]
    if not unsure:
        return said
    if len(scores) == 1:
        return f"{said} (unsure: score {unsure[0]:.2f})"
    return f"{said} ({len(unsure)} unsure: score below {UNSURE})"
