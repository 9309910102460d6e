"""Collects the results of ``headstart predict`` over all its inputs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from os.path import dirname, isdir, realpath, samefile
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.cli.outputs import Outputs
from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.cli.per_input import PerInput
    from headstart.coco_labels import CocoLabels
    from headstart.pose_files import JsonPeople
    from headstart.records import Prediction
    from headstart.skeleton import Skeleton
    from headstart.video import TrackedPerson


@dataclass
class Outcome:
    """Counts, people, and names of outputs in use."""

    outputs: Outputs = field(default_factory=Outputs)
    per_input: PerInput | None = None
    """With --per-input: the folders, in which ``outputs`` are names; this outcome itself then writes nothing."""
    place: Path | None = None
    """Of one input with --per-input: the name that the folder of its outputs will have."""
    count: int = 0
    pictures: int = 0
    videos: int = 0
    failed: int = 0
    _people: list[Prediction] = field(default_factory=list)
    """For table and arrays."""
    _json: JsonPeople | None = None
    _labels: CocoLabels | None = None
    _names: set[str] = field(default_factory=set)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the JSON open for :meth:`add`; at the end write table and arrays, and print where everything is."""
        from headstart.pose_files import JsonPeople, is_standard_output

        if self.per_input is not None:
            yield
            return
        json = self.outputs.json
        self._json = JsonPeople(json) if json else None
        # JSON has standard output for itself.
        with redirect_stdout(sys.stderr) if is_standard_output(json) else nullcontext():
            with self._json or nullcontext():
                yield
            if self.kept:
                self._write_tables()
                self._say_where()

    @property
    def kept(self) -> bool:
        """Whether there is something to write: with --per-input not for an input that could not be read at all."""
        return self.place is None or self.count > 0 or not self.failed

    @contextmanager
    def working_on(self, names: Collection[str]) -> Iterator[list[str]]:
        """Those of the inputs that this process is to do now; see :meth:`PerInput.working_on`."""
        if self.per_input is None:
            yield list(names)
            return
        with self.per_input.working_on(names) as free:
            yield free

    @contextmanager
    def of_input(self, name: str) -> Iterator[Outcome]:
        """Where the results of one input go: here, or with --per-input to an outcome and a folder of its own.

        The folder appears when the block ends without an exception; what an error has left of the input is marked as
        not finished there.
        """
        if self.per_input is None:
            yield self
            return
        with self.per_input.making(name) as folder:
            own = Outcome(self.outputs.inside(folder), place=self.per_input.folder_of(name))
            with own.writing():
                yield own
            if own.kept:
                self.per_input.publish(name, finished=not own.failed)
        self.failed += own.failed

    def shown(self, path: Path) -> Path:
        """An output's name for a message: with --per-input that which it will have."""
        return path if self.place is None else self.place / path.name

    def add(self, person: Prediction | TrackedPerson) -> None:
        """Count a person, write them to the JSON, and keep them for table and arrays if those are wanted."""
        from headstart.records import Prediction

        self.count += 1
        if self._json is not None:
            self._json.add(person.to_dict())
        if self.outputs.tabular:
            self._people.append(person if isinstance(person, Prediction) else person.frame_prediction())

    def label(self, skeleton: Skeleton, pictures: Sequence[str]) -> None:
        """Collect labels of these pictures from now on, for a model of the joints of ``skeleton``."""
        from headstart.coco_labels import CocoLabels, labelled_joints, shared_folder

        self._labels = CocoLabels(labelled_joints(skeleton), shared_folder(pictures))

    def add_picture(self, name: str, size: tuple[int, int], people: Sequence[Prediction]) -> None:
        """Count a picture of ``size`` (width, height) px and add the people in it."""
        self.pictures += 1
        for person in people:
            self.add(person)
        if self._labels is not None:
            self._labels.add(name, size, people)

    def fail(self, error: HeadstartError) -> None:
        """Count and print the error of one input; the others go on."""
        self.failed += 1
        said = str(error)
        if self.place is not None and self.outputs.folder is not None:
            said = said.replace(str(self.outputs.folder), str(self.place))
        print(f"headstart: {said}", file=sys.stderr)

    def spare(self, files: Sequence[str]) -> None:
        """Keep the names of ``files`` that lie in the output folder from results, which would replace them."""
        if (folder := self.outputs.folder) is not None:
            self._names |= {Path(name).stem.lower() for name in files if _lies_in(name, folder)}

    def unused_name(self, name: str) -> str:
        """The file's name without its suffix; NAME_2 and so on if that is in use."""
        stem, number = Path(name.replace("webcam:", "webcam_")).stem, 2
        unused = stem
        while unused.lower() in self._names:
            unused, number = f"{stem}_{number}", number + 1
        self._names.add(unused.lower())
        return unused

    def _write_tables(self) -> None:
        from headstart.pose_files import write_csv, write_npz

        if self.outputs.csv is not None:
            write_csv(self.outputs.csv, self._people)
        if self.outputs.npz is not None:
            write_npz(self.outputs.npz, self._people)
        if self.outputs.coco is not None and self._labels is not None:
            self._labels.write(self.outputs.coco)

    def _say_where(self) -> None:
        from headstart.pose_files import is_standard_output

        inputs = [counted(self.pictures, "image", "images")] if self.pictures or not self.videos else []
        inputs += [counted(self.videos, "video", "videos")] if self.videos else []
        found = counted(self.count, "pose", "poses") if self.videos else counted(self.count, "person", "people")
        outputs = self.outputs
        for path in filter(None, (outputs.json, outputs.csv, outputs.npz, outputs.coco)):
            to = "standard output" if is_standard_output(path) else self.shown(path)
            print(f"{', '.join(inputs)}, {found} -> {to}")
        if self._labels is not None:
            print(f"{outputs.coco}: names of images are relative to {self._labels.folder}")


def _lies_in(name: str, folder: Path) -> bool:
    """Whether a file lies in a folder: by ``samefile``, as names ignore case on a Mac and on Windows.

    ``realpath``, unlike ``Path.resolve``, allows links that form a loop.
    """
    own = dirname(realpath(name))
    return isdir(own) and isdir(folder) and samefile(own, folder)


def counted(count: int, one: str, many: str) -> str:
    """``1 person``, ``2 people``."""
    return f"{count} {one if count == 1 else many}"


def described(people: Sequence[Prediction]) -> str:
    """The people of a picture in words; see :func:`described_scores`."""
    return described_scores([one.score for one in people])


def described_scores(scores: Sequence[float]) -> str:
    """``1 person``, ``1 person (unsure: score 0.08)`` or ``3 people (2 unsure: score below 0.15)``, by their scores."""
    from headstart.confidence import UNSURE

    said, unsure = counted(len(scores), "person", "people"), [score for score in scores if score < UNSURE]
    if not unsure:
        return said
    if len(scores) == 1:
        return f"{said} (unsure: score {unsure[0]:.2f})"
    return f"{said} ({len(unsure)} unsure: score below {UNSURE})"
