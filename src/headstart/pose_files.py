"""Predictions as files: JSON, CSV and NPZ, each written in one step; JSON can be read back.

Numbers are rounded to four decimals (px, mm, confidence): far below any error of a pose, and the files stay readable.
Times have six, as 0.1 ms is 2.4 % of a frame at 240 a second, and so of a speed. The coefficients of a lens are kept in
full: at the edge of a wide picture four decimals of them are px.
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

from headstart.errors import ConfigError, DataError, first_line
from headstart.files import atomic_file, write_atomically
from headstart.records import Point3, Prediction

_DECIMALS = 4
_TIME_DECIMALS = 6
_COLUMNS = ("image", "person")
#: Columns for people of videos (video.TrackedPerson): name -> type, and the value for people of pictures in arrays.
_TIME_COLUMNS: dict[str, tuple[type, float]] = {"frame": (int, -1), "time_s": (float, np.nan), "track": (int, -1)}
_BOX_COLUMNS = ("score", "box_x_px", "box_y_px", "box_width_px", "box_height_px")
_JOINT_COLUMNS = ("joint", "x_px", "y_px", "confidence", "x_mm", "y_mm", "z_mm")
_CAMERA_COLUMNS = ("camera_x_mm", "camera_y_mm", "camera_z_mm")


#: Names of standard output. Where a shell has redirected it to a file, that file is written to and not replaced.
_STANDARD_OUTPUT = frozenset(map(Path, ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")))


def is_standard_output(path: str | Path | None) -> bool:
    """Whether a name means standard output: ``-``, ``/dev/stdout``."""
    return path is not None and Path(path) in _STANDARD_OUTPUT


class JsonPeople:
    """Writes a list of people entry by entry, so that an hour of video needs no more memory than a photo.

    Use as a context manager: the file appears when it is complete, and not at all after an error. With a name of
    standard output (:func:`is_standard_output`) entries go one by one, in ASCII, to what ``sys.stdout`` is when this
    object is made. Raises :class:`ConfigError` if that is closed.
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
        """Write one person, as :meth:`~headstart.records.Prediction.to_dict` gives it; mappings go in unchanged.

        Raises :class:`ValueError` for NaN and infinity, which JSON does not have.
        """
        plain = person.to_dict() if isinstance(person, Prediction) else person
        # A terminal may not be able to show all names of files; escaped they are the same JSON.
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
    """Write a list with one object per person; see :meth:`JsonPeople.add`."""
    with JsonPeople(path) as file:
        for one in people:
            file.add(one)


def read_json(path: str | Path) -> list[Prediction]:
    """The people that :func:`write_json` wrote. Raises :class:`DataError` for anything else.

    Smooth joints of videos and keys that callers have added are not read.
    """
    try:
        return [_from_dict(one) for one in json.loads(Path(path).read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(path, "predictions (.json) written by headstart", found=first_line(error)) from error


def write_csv(path: str | Path, people: Sequence[Prediction]) -> None:
    """Write a table with one row per joint; the header names units. ``person`` counts the people of a picture from 0.

    The columns frame, time_s and track (videos) and camera_x_mm, camera_y_mm and camera_z_mm are there if any person
    has them, and are empty for people who do not.
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
        when = _rounded({name: one.extra.get(name, "") for name in timed})
        about = (one.image, number, *when.values(), *_rounded([one.score, *one.bbox_xywh]))
        writer.writerows((*about, *row) for row in _joint_rows(one, bool(camera)))
    write_atomically(Path(path), _encoded(stream.getvalue()))


def _is_timed(person: Prediction) -> bool:
    return bool(_when_and_who(person.extra))


def _when_and_who(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Frame, time_s and track if they are numbers; otherwise they are a caller's own keys."""
    return {name: kind(extra[name]) for name, (kind, _) in _TIME_COLUMNS.items() if isinstance(extra.get(name), Real)}


def _joint_rows(person: Prediction, with_camera: bool) -> Iterator[list[Any]]:
    """Name and numbers of each joint; camera positions are empty for a person without them."""
    for joint, point in person.keypoints.items():
        row = [joint, *point, *person.xyz_mm[joint]]
        if with_camera:
            row += ["", "", ""] if person.camera_xyz_mm is None else person.camera_xyz_mm[joint]
        yield _rounded(row)


def write_npz(path: str | Path, people: Sequence[Prediction]) -> None:
    """Write arrays of P people with the same J joints, without pickles: image (P,), bbox_xywh_px (P, 4), score (P,),
    joints (J,), keypoints_px (P, J, 3) x, y, confidence, xyz_mm (P, J, 3), and camera_xyz_mm (P, J, 3) if all have it.

    If there are people of videos, also frame (P,), time_s (P,) and track (P,); people of pictures have -1, NaN and -1
    there. Raises :class:`ConfigError` where people have different joints.
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
    """UTF-8. Bytes of a file name that are not UTF-8 become ``\\udcXX``, which JSON reads back as the same name."""
    return text.encode(errors="backslashreplace")


def _array(poses: Sequence[dict[str, Point3]], joints: tuple[str, ...]) -> NDArray[np.float64]:
    """Poses as (P, J, 3)."""
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
    """``extra`` of a prediction: height_mm, camera, frame, time_s and track where they have the form of ours."""
    if isinstance(plain.get("height_mm"), Real):
        yield "height_mm", float(plain["height_mm"])
    lens = plain.get("camera")
    if isinstance(lens, Mapping) and lens.keys() >= {"fx", "fy", "cx", "cy", "assumed"}:
        yield "camera", dict(lens)
    yield from _when_and_who(plain).items()


def _points(plain: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, Point3]]:
    for name, (first, second, third) in plain.items():
        yield name, (float(first), float(second), float(third))


def _rounded(value: Any, decimals: int = _DECIMALS) -> Any:
    """The same structure with its floats rounded: ``time_s`` less than others, those of ``distortion`` not at all."""
    if isinstance(value, float):
        return round(value, decimals)
    if isinstance(value, Mapping):
        return {key: inner if key == "distortion" else _rounded(inner, _decimals(key)) for key, inner in value.items()}
    return [_rounded(inner, decimals) for inner in value] if isinstance(value, (list, tuple)) else value


def _decimals(key: str) -> int:
    return _TIME_DECIMALS if key == "time_s" else _DECIMALS
