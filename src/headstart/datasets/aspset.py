"""ASPset-510 (Nibali et al., Image and Vision Computing 2021): sports out of doors, three cameras, public domain.

Files, as the archives from https://archive.org/details/aspset510 unpack them::

    root/splits.csv                                       no header: subject, clip, split, view ("all": three views)
    root/{trainval,test}/joints_3d/SUBJECT/SUBJECT-CLIP.c3d     17 named points, world mm, 50 frames a second
    root/{trainval,test}/cameras/SUBJECT/SUBJECT-VIEW.json      intrinsic_matrix 3x4 px, extrinsic_matrix 4x4 mm
    root/{trainval,test}/boxes/SUBJECT/SUBJECT-CLIP-VIEW.csv    a header line, then left, top, right, bottom a frame
    root/{trainval,test}/videos/SUBJECT/SUBJECT-CLIP-VIEW.mkv   3840x2160, frame i of the video is frame i of the joints

The world is the left camera. 2D labels are the projected 3D labels; there are no labels of occlusion, so a joint is
``VISIBLE`` inside the picture and unlabelled in 2D outside. A clip has the frames that joints and boxes both have.
Where a box file is missing or a box is empty, the box is that of the joints. The test labels came out in 2024, in an
archive of their own. The published test figures use every fifth frame (10 a second).

``head`` (between neck and head top) has no counterpart in other data sets and keeps its own name; ``neck`` lies some
9 cm above the shoulders and 24 cm below ``head_top``, as MPII's does; ``pelvis`` is labelled, some 6 cm above the
line between the hips. ``action`` is empty: the clips are numbered, not named.

Reading C3D needs the package ``c3d`` (``pip install 'headstart[aspset]'``). Key: ``SUBJECT-CLIP-VIEW-FRAME``.
"""

import csv
import importlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import box_around, box_from_corners, inside, visible_where
from headstart.datasets.calibration import pinhole
from headstart.datasets.files import load_json, require_file
from headstart.datasets.labels import field
from headstart.errors import ConfigError, DataError
from headstart.geometry import Camera
from headstart.records import Annotation
from headstart.skeleton import Skeleton

Array = NDArray[np.float64]

SPLITS = ("train", "val", "test")

SKELETON = Skeleton(
    "aspset_17",
    (
        "right_ankle",
        "right_knee",
        "right_hip",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_ankle",
        "left_knee",
        "left_hip",
        "left_wrist",
        "left_elbow",
        "left_shoulder",
        "head_top",
        "head",
        "neck",
        "spine",
        "pelvis",
    ),
)

VIEWS = ("left", "mid", "right")
SIZE = (3840, 2160)


@dataclass(frozen=True)
class _Clip:
    folder: Path
    """``root/trainval`` or ``root/test``."""
    subject: str
    name: str
    views: tuple[str, ...]

    def file(self, kind: str, view: str, suffix: str) -> Path:
        """``KIND/SUBJECT/SUBJECT-CLIP-VIEW.SUFFIX``; an empty view leaves its part out."""
        parts = [part for part in (self.subject, self.name, view) if part]
        return self.folder / kind / self.subject / f"{'-'.join(parts)}.{suffix}"


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every frame of every view of the split's clips, in the order of ``splits.csv``."""
    for clip in _clips(root, split):
        world_mm = read_joints(clip.file("joints_3d", "", "c3d"))
        for view in clip.views:
            yield from _view(clip, view, world_mm)


def _clips(root: Path, split: str) -> list[_Clip]:
    path = require_file(root / "splits.csv", "ASPset-510's clips: subject, clip, split, view")
    folder = root / ("test" if split == "test" else "trainval")
    clips = []
    for number, row in enumerate(_rows(path), 1):
        if len(row) != 4 or row[2] not in SPLITS or row[3] not in (*VIEWS, "all"):
            raise DataError(path, "subject, clip, train/val/test, left/mid/right/all", record=number, found=str(row))
        if row[2] == split:
            clips.append(_Clip(folder, row[0], row[1], VIEWS if row[3] == "all" else (row[3],)))
    if not clips:
        raise DataError(path, f"clips of split {split}", found="none")
    return clips


def _rows(path: Path) -> list[list[str]]:
    """Cells of a CSV file without empty lines; stripped."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(path, "comma-separated values", found=str(error)) from error


def _view(clip: _Clip, view: str, world_mm: Array) -> Iterator[Annotation]:
    camera = _camera(clip.folder / "cameras" / clip.subject / f"{clip.subject}-{view}.json")
    video = require_file(clip.file("videos", view, "mkv"), "a clip of ASPset-510")
    boxes = _boxes(clip.file("boxes", view, "csv"), len(world_mm))
    recording = f"{clip.subject}-{clip.name}-{view}"
    for frame, corners in enumerate(boxes[: len(world_mm)]):
        xyz = camera.to_camera(world_mm[frame])
        pixels = camera.project(xyz)
        labelled = inside(pixels, SIZE)
        if labelled.any():
            yield Annotation(
                f"{recording}-{frame:05d}",
                video,
                _box(corners, pixels),
                *visible_where(pixels, labelled),
                xyz.astype(np.float32),
                camera,
                subject=clip.subject,
                sequence=recording,
                frame=frame,
            )


def _box(corners: Array, pixels: Array) -> NDArray[np.float32]:
    given = np.isfinite(corners).all() and (corners[2:] > corners[:2]).all()
    return box_from_corners(corners) if given else box_around(pixels)


def _boxes(path: Path, frames: int) -> Array:
    """(n, 4) left, top, right, bottom px; NaN for ``frames`` frames where there is no file."""
    if not path.is_file():
        return np.full((frames, 4), np.nan)
    rows = _rows(path)[1:]
    try:
        return np.array([[float(cell) for cell in row] for row in rows], np.float64).reshape(len(rows), 4)
    except ValueError as error:
        raise DataError(path, "a header line and four numbers a frame", found=str(error)) from error


def _camera(path: Path) -> Camera:
    content = load_json(path, "a camera of ASPset-510: intrinsic_matrix, extrinsic_matrix")
    try:
        intrinsic = np.array(field(path, "camera", content, "intrinsic_matrix"), np.float64).reshape(3, 4)
        extrinsic = np.array(field(path, "camera", content, "extrinsic_matrix"), np.float64).reshape(4, 4)
        return pinhole(intrinsic, extrinsic[:3, :3], extrinsic[:3, 3])
    except (ValueError, TypeError) as error:
        found = f"{error} in {json.dumps(content)[:60]}"
        raise DataError(path, "intrinsic_matrix 3x4 and extrinsic_matrix 4x4", found=found) from error


def read_joints(path: Path) -> Array:
    """World positions (n, 17, 3) mm of :data:`SKELETON` from a C3D file, by label; NaN for missing points."""
    reader_type = _c3d_reader()
    with require_file(path, "joints of a clip (C3D)").open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reader warns of files without analogue channels, which these all are
        try:
            reader = reader_type(stream)
            labels = [str(label).strip() for label in reader.point_labels]
            unit = str(reader.get("POINT:UNITS").string_value).strip()
            frames = [points[:, :4] for _, points, _ in reader.read_frames(copy=True)]
        except Exception as error:  # damaged files raise errors of many types
            found = f"an unreadable C3D file ({type(error).__name__}: {error})"
            raise DataError(path, "joints of a clip", found=found, fix="Check that the download is complete") from error
    if unit != "mm" or not frames or set(SKELETON.names) - set(labels):
        found = f"{len(frames)} frames in {unit!r} of {', '.join(labels)}"
        raise DataError(path, f"frames in mm of {', '.join(SKELETON.names)}", found=found)
    return _positions(np.stack(frames).astype(np.float64)[:, [labels.index(name) for name in SKELETON.names]])


def _positions(points: Array) -> Array:
    """(n, 17, 3) from (n, 17, 4) with residual: C3D writes a missing point as the origin with a negative residual."""
    missing = (points[..., 3] < 0) & (points[..., :3] == 0).all(-1)
    return np.where(missing[..., None], np.nan, points[..., :3])


def _c3d_reader() -> Any:
    try:
        return importlib.import_module("c3d").Reader
    except ImportError as error:
        raise ConfigError("ASPset-510 is stored as C3D: pip install 'headstart[aspset]'") from error
