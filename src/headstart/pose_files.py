"""Predictions as files: JSON, CSV and NPZ. Written in one step, read back to the same predictions.

Numbers are rounded to four decimals (px, mm, confidence): far below any error of a pose, and the files stay readable.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from io import BytesIO, StringIO
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError, DataError
from headstart.records import Point3, Prediction
from headstart.results import atomic_file, write_atomically

_DECIMALS = 4
_COLUMNS = ("image", "person")
#: Of people of videos (video.TrackedPerson): column -> its type, and what people of pictures have in arrays.
_TIME_COLUMNS: dict[str, tuple[type, float]] = {"frame": (int, -1), "time_s": (float, np.nan), "track": (int, -1)}
_BOX_COLUMNS = ("score", "box_x_px", "box_y_px", "box_width_px", "box_height_px")
_JOINT_COLUMNS = ("joint", "x_px", "y_px", "confidence", "x_mm", "y_mm", "z_mm")
_CAMERA_COLUMNS = ("camera_x_mm", "camera_y_mm", "camera_z_mm")


#: Names of standard output. A file that a shell has put there must not be replaced: it would get the rest of the lines.
_STANDARD_OUTPUT = frozenset(map(Path, ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")))


def is_standard_output(path: str | Path | None) -> bool:
    """Whether a name means standard output: ``-``, ``/dev/stdout``."""
    return path is not None and Path(path) in _STANDARD_OUTPUT


class JsonPeople:
    """Writes a list of people entry by entry, so that an hour of video needs no more memory than a photo.

    Use as a context manager: the file appears when it is whole, and not at all after an error. To standard output
    (see :func:`is_standard_output`), as it is when this object is made, entries go one by one, in ASCII.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.count = Path(path), 0
        self._stack = ExitStack()
        self._output: TextIO | None = None
        if is_standard_output(path):
            self._output = sys.stdout
            if self._output is None:
                raise ConfigError(f"--json {path}: standard output is closed; name a file")

    def __enter__(self) -> JsonPeople:
        if self._output is None:
            self._stream = self._stack.enter_context(atomic_file(self.path))
        return self

    def add(self, person: Prediction | Mapping[str, Any]) -> None:
        """One person: see :meth:`~headstart.records.Prediction.to_dict`; mappings as they are."""
        plain = person.to_dict() if isinstance(person, Prediction) else person
        # A terminal's encoding need not know the names of files; escaped they are the same JSON.
        line = json.dumps(_rounded(plain), allow_nan=False, ensure_ascii=self._output is not None)
        self._write(f"{',' if self.count else '['}\n{line}")
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write("\n]\n" if self.count else "[]\n")
        self._stack.__exit__(kind, error, trace)

    def _write(self, text: str) -> None:
        if self._output is None:
            self._stream.write(_encoded(text))
        else:
            self._output.write(text)


def write_json(path: str | Path, people: Iterable[Prediction | Mapping[str, Any]]) -> None:
    """A list with one object a person, see :meth:`~headstart.records.Prediction.to_dict`; mappings as they are."""
    with JsonPeople(path) as file:
        for one in people:
            file.add(one)


def read_json(path: str | Path) -> list[Prediction]:
    """What :func:`write_json` wrote; raises :class:`DataError` for anything else."""
    try:
        return [_from_dict(one) for one in json.loads(Path(path).read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(path, "predictions (.json) written by headstart", found=str(error)) from error


def write_csv(path: str | Path, people: Sequence[Prediction]) -> None:
    """A table with one row a joint; the header names units. ``person`` counts the people of each picture from 0.

    Columns of when and who (frame, time_s, track: the same person in every frame of a video) and of positions relative
    to the camera are there if any person has them, and empty for the others.
    """
    timed = tuple(_TIME_COLUMNS) if any(map(_is_timed, people)) else ()
    camera = _CAMERA_COLUMNS if any(one.camera_xyz_mm is not None for one in people) else ()
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS + timed + _BOX_COLUMNS + _JOINT_COLUMNS + camera)
    seen: dict[tuple[str, Any], int] = {}
    for one in people:
        place = (one.image, one.extra.get("frame"))
        number = seen[place] = seen.get(place, -1) + 1
        when = [one.extra.get(name, "") for name in timed]
        about = (one.image, number, *_rounded([*when, one.score, *one.bbox_xywh]))
        writer.writerows((*about, *row) for row in _joint_rows(one, bool(camera)))
    write_atomically(Path(path), _encoded(stream.getvalue()))


def _is_timed(person: Prediction) -> bool:
    return bool(_when_and_who(person.extra))


def _when_and_who(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Frame, time and track where they are numbers, as those of a video are; callers have keys of their own."""
    return {name: kind(extra[name]) for name, (kind, _) in _TIME_COLUMNS.items() if isinstance(extra.get(name), Real)}


def _joint_rows(person: Prediction, with_camera: bool) -> Iterator[list[Any]]:
    """Name and numbers of each joint; empty positions before a camera that the person does not have."""
    for joint, point in person.keypoints.items():
        row = [joint, *point, *person.xyz_mm[joint]]
        if with_camera:
            row += ["", "", ""] if person.camera_xyz_mm is None else person.camera_xyz_mm[joint]
        yield _rounded(row)


def write_npz(path: str | Path, people: Sequence[Prediction]) -> None:
    """Arrays over P people with the same J joints, without pickles: image (P,), bbox_xywh_px (P, 4), score (P,),
    joints (J,), keypoints_px (P, J, 3) x, y, confidence, xyz_mm (P, J, 3), and camera_xyz_mm (P, J, 3) if all have it.
    With people of videos also frame (P,), time_s (P,) and track (P,), the same person in every frame; people of
    pictures have -1, NaN and -1 there.
    """
    joints = tuple(people[0].keypoints) if people else ()
    arrays: dict[str, NDArray[Any]] = {
        "image": np.array([one.image for one in people], dtype=str),
        "bbox_xywh_px": np.array([one.bbox_xywh for one in people], np.float64).reshape(-1, 4),
        "score": np.array([one.score for one in people], np.float64),
        "joints": np.array(joints, dtype=str),
        "keypoints_px": _array([one.keypoints for one in people], joints),
        "xyz_mm": _array([one.xyz_mm for one in people], joints),
    }
    camera = [one.camera_xyz_mm for one in people if one.camera_xyz_mm is not None]
    if people and len(camera) == len(people):
        arrays["camera_xyz_mm"] = _array(camera, joints)
    if any(map(_is_timed, people)):
        for name, (kind, missing) in _TIME_COLUMNS.items():
            arrays[name] = np.array([_when_and_who(one.extra).get(name, missing) for one in people], kind)
    stream = BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for flags
    write_atomically(Path(path), stream.getvalue())


def _encoded(text: str) -> bytes:
    """UTF-8; the bytes of a file name that are none become ``\\udcXX``, which JSON reads back to the same name."""
    return text.encode(errors="backslashreplace")


def _array(poses: Sequence[dict[str, Point3]], joints: tuple[str, ...]) -> NDArray[np.float64]:
    """(P, J, 3); raises :class:`ConfigError` where people have different joints."""
    if any(tuple(pose) != joints for pose in poses):
        raise ConfigError("people of several models in one .npz: their joints differ; write them apart")
    return np.array([list(pose.values()) for pose in poses], np.float64).reshape(len(poses), len(joints), 3)


def _from_dict(plain: Mapping[str, Any]) -> Prediction:
    x, y, width, height = (float(value) for value in plain["bbox"])
    camera = plain.get("joints3d_camera_mm")
    return Prediction(
        image=str(plain["image"]),
        bbox_xywh=(x, y, width, height),
        score=float(plain["score"]),
        keypoints=dict(_points(plain["joints2d"])),
        xyz_mm=dict(_points(plain["joints3d_mm"])),
        camera_xyz_mm=None if camera is None else dict(_points(camera)),
        extra=dict(_extra(plain)),
    )


def _extra(plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What else a prediction says about itself, and of a video when and who; keys of other callers are not read."""
    if isinstance(plain.get("height_mm"), Real):
        yield "height_mm", float(plain["height_mm"])
    lens = plain.get("camera")
    if isinstance(lens, Mapping) and lens.keys() >= {"fx", "fy", "cx", "cy", "assumed"}:
        yield "camera", dict(lens)
    yield from _when_and_who(plain).items()


def _points(plain: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, Point3]]:
    for name, (first, second, third) in plain.items():
        yield name, (float(first), float(second), float(third))


def _rounded(value: Any) -> Any:
    """The same structure with its floats rounded."""
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, (list, tuple)) else value
