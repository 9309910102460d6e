"""Human3.6M as written by the h36m-fetch tool: ``processed/S*/<Action>-<subaction>/annot.h5``.

Rows are frames of up to four cameras one after another: ``pose/2d`` (N, 32, 2) px, ``pose/3d`` (N, 32, 3) mm in camera
axes, ``frame`` (N,) from 1, ``camera``, ``subject``, ``action``, ``subaction`` (N,); ``intrinsics/<camera>`` =
[fx, x0, fy, y0]. ``pose/3d-univ`` is the same motion on a skeleton of one size and is not read. Pictures:
``imageSequence/<camera>/img_%06d.jpg`` beside the file. The tool keeps every 64th frame of S9 and S11
(0, 64, 128 ... here), all that the standard protocol scores, and of the others those in which some joint has moved by
40 mm.

``pose/2d`` is used as it is. It includes lens distortion; the intrinsics are a linear fit without it: projecting
``pose/3d`` with them gives ``pose/2d`` up to a few pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import box_around, inside, visible_where
from headstart.datasets.files import natural_key, open_h5, require_shape
from headstart.datasets.h36m_common import (
    SUBJECTS,
    Recording,
    Subjects,
    action_name,
    held_subjects,
    malformed,
)
from headstart.datasets.labels import numbers
from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.records import Annotation

FILES = "processed/S*/<Action>-<subaction>/annot.h5 (h36m-fetch)"

#: H36M_17 among the 32 joints of the motion capture: 12 is the spine, 13 the thorax, 14 the nose, 15 the head top.
JOINTS_OF_32 = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]

#: Camera -> (width, height) px of its pictures, which the files do not state; those of two cameras have two more rows.
_SMALLEST = (1000, 1000)
_SIZES = {54138969: (1000, 1002), 60457274: (1000, 1002)}

_EXPECTED = "h36m-fetch annotations"


def _base(root: Path) -> Path:
    return root / "processed" if (root / "processed").is_dir() else root


def is_held(root: Path) -> bool:
    """Whether the files of this form lie under ``root``."""
    return any(_base(root).glob("S*/*/annot.h5"))


def annotations(root: Path, split: str, subjects: Subjects = SUBJECTS) -> Iterator[Annotation]:
    """Every frame on file, by subject, recording, camera, frame."""
    base = _base(root)
    held = [int(path.name[1:]) for path in base.glob("S*") if path.name[1:].isdigit()]
    for subject in held_subjects(base, split, held, subjects):
        folders = sorted((path for path in (base / f"S{subject}").iterdir() if path.is_dir()), key=natural_key)
        for folder in folders:
            yield from _recordings(folder, subject)


@dataclass(frozen=True)
class _Rows:
    """One annot.h5: N rows of 17 joints."""

    path: Path
    pixels: NDArray[np.float64]
    """(N, 17, 2) px."""
    xyz: NDArray[np.float64]
    """(N, 17, 3) mm, camera axes."""
    frame: NDArray[np.int64]
    """(N,) from 1."""
    camera: NDArray[np.int64]
    """(N,) serial number."""
    subaction: int
    cameras: dict[int, Camera]


def _recordings(folder: Path, subject: int) -> Iterator[Annotation]:
    rows = _read(folder / "annot.h5", subject)
    action = action_name(folder.name.partition("-")[0])
    for row in np.lexsort((rows.frame, rows.camera)):
        recording = Recording(subject, action, rows.subaction, int(rows.camera[row]))
        yield _annotation(folder, recording, rows, int(row))


def _annotation(folder: Path, recording: Recording, rows: _Rows, row: int) -> Annotation:
    number = int(rows.frame[row])
    pixels = numbers(rows.path, row, "pose/2d", rows.pixels[row], (17, 2))
    xyz = numbers(rows.path, row, "pose/3d", rows.xyz[row], (17, 3))
    keypoints, visibility = visible_where(pixels, inside(pixels, _SIZES.get(recording.camera, _SMALLEST)))
    return Annotation(
        **recording.fields(number - 1),
        image=folder / "imageSequence" / str(recording.camera) / f"img_{number:06d}.jpg",
        bbox_xywh=box_around(pixels),
        keypoints=keypoints,
        visibility=visibility,
        camera_xyz=xyz.astype(np.float32),
        camera=rows.cameras[recording.camera],
    )


def _read(path: Path, subject: int) -> _Rows:
    with open_h5(path, _EXPECTED) as file:
        pixels = _stored(path, file, "pose/2d", (None, 32, 2))
        count = len(pixels)
        xyz = _stored(path, file, "pose/3d", (count, 32, 3))
        frame, camera, owner, subaction = (
            numbers(path, name, name, _stored(path, file, name, (count,)), (count,)).astype(np.int64)
            for name in ("frame", "camera", "subject", "subaction")
        )
        cameras = {number: _camera(path, file, number) for number in np.unique(camera).tolist()}
    _require_one(path, "subject", owner, subject)
    take = int(subaction[0])
    _require_one(path, "subaction", subaction, _subaction_of(path.parent, take))
    if frame.min() < 1:
        raise DataError(path, "frame numbers from 1", record=int(frame.argmin()), found=str(frame.min()))
    return _Rows(path, pixels[:, JOINTS_OF_32], xyz[:, JOINTS_OF_32], frame, camera, take, cameras)


def _stored(path: Path, file: h5py.File, name: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """A data set of at least one row as numbers."""
    if name not in file:
        raise DataError(path, f"data set {name} ({_EXPECTED})", found="none of that name")
    with malformed(path, f"numbers in {name}", name):
        array = np.asarray(file[name][()], np.float64)
    if not len(require_shape(path, name, array, shape)):
        raise DataError(path, f"at least one row in {name}", found="none")
    return array


def _camera(path: Path, file: h5py.File, number: int) -> Camera:
    name = f"intrinsics/{number}"
    fx, x0, fy, y0 = numbers(path, name, "[fx, x0, fy, y0]", _stored(path, file, name, (4,)), (4,)).tolist()
    return Camera(fx, fy, x0, y0)


def _subaction_of(folder: Path, otherwise: int) -> int:
    """The number at the end of ``<Action>-<subaction>``, if the folder is named so."""
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdigit() else otherwise


def _require_one(path: Path, name: str, column: NDArray[np.int64], wanted: int) -> None:
    """Every row must be of the folder's subject and subaction: a mixed-up file would mix up its pictures."""
    values = np.unique(column).tolist()
    if values != [wanted]:
        raise DataError(path, f"{name} {wanted} in every row, as in the folder's name", found=f"{values}")
