"""Human3.6M as 224x224 pictures cut around the person, the form that Zhou et al. (2017) trained on.

``s_%02d_act_%02d_subact_%02d_ca_%02d/matlab_meta.mat`` under the root or its ``images``: ``num_images`` n; ``Y2d``
(34, n) px and ``Y3d_mono`` (51, n) mm in camera axes, a frame a column, joint after joint (x1, y1, x2, y2 ...: MATLAB's
column order of a 2x17 or 3x17 matrix, numpy's ``reshape(17, 2, n)``) in the order of H36M_17; ``bbox`` (4, n): left,
top, right, bottom in the original picture, 1-based and inclusive: what the picture was cut to. Pictures:
``{folder}_%06d.jpg`` from 1. Only every fifth frame is filled; the other columns are zero and have no picture.

``Y2d`` should be in pixels of the cut picture, but files may exist in which it is in pixels of the original.
Each file is checked: if at least 95 % of its points lie in the 224x224 square (and a tenth around it, for joints
that the cut misses) they are taken as they are; otherwise, if 95 % lie in their frame's ``bbox`` likewise, they are
mapped through it; otherwise the file is refused.

The whole picture is the release's own box of the person with room around it, and what the published figures were
trained on. Boxes here have no such room, which every crop adds: the box is the picture shrunk about its centre, so
that the crop is the picture. The camera of a cut picture is not on file: 3D joints are relative to the pelvis.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import inside, visible_where
from headstart.datasets.files import load_mat
from headstart.datasets.h36m_common import SUBJECTS, Recording, Subjects, action_name, held_subjects, malformed
from headstart.datasets.labels import numbers
from headstart.errors import DataError
from headstart.geometry import PADDING, root_relative
from headstart.records import Annotation

FILES = "s_##_act_##_subact_##_ca_##/matlab_meta.mat (Zhou 2017)"

#: Width and height of the pictures in px.
CROP_SIZE = 224

_SIDE = CROP_SIZE / PADDING
_CORNER = (CROP_SIZE - _SIDE) / 2

_META = "matlab_meta.mat"
_FOLDER = re.compile(r"s_(\d+)_act_(\d+)_subact_(\d+)_ca_(\d+)")
_INSIDE = 0.95
_MARGIN = 0.1

Array = NDArray[np.float64]


def _folders(root: Path) -> dict[tuple[int, ...], Path]:
    """(subject, action, subaction, camera) -> folder; missing ones are skipped, as 11, 2, 2, 1, which nobody has."""
    folders = [path for base in (root, root / "images") for path in base.glob("s_*_act_*_subact_*_ca_*")]
    matches = [(_FOLDER.fullmatch(path.name), path) for path in folders]
    return {tuple(map(int, match.groups())): path for match, path in matches if match and path.is_dir()}


def is_held(root: Path) -> bool:
    """Whether the files of this form lie under ``root``."""
    return any((path / _META).exists() for path in _folders(root).values())


def annotations(root: Path, split: str, subjects: Subjects = SUBJECTS) -> Iterator[Annotation]:
    """Every filled frame, by subject, action, subaction, camera, frame."""
    folders = _folders(root)
    held = held_subjects(root, split, {subject for subject, *_ in folders}, subjects)
    for (subject, action, subaction, camera), folder in sorted(folders.items()):
        if subject in held:
            yield from _frames(folder, Recording(subject, action_name(action), subaction, camera))


@dataclass(frozen=True)
class _Meta:
    """The filled frames of one matlab_meta.mat, F of them."""

    frame: NDArray[np.int64]
    """(F,) from 0."""
    pixels: Array
    """(F, 17, 2) px of the cut or of the original picture: :func:`_in_crop` tells."""
    xyz: Array
    """(F, 17, 3) mm, camera axes."""
    box: Array
    """(F, 4) left, top, right, bottom in the original picture, from 1."""


def _frames(folder: Path, recording: Recording) -> Iterator[Annotation]:
    path = folder / _META
    meta = _read(path)
    pixels = _in_crop(path, meta)
    xyz = root_relative(meta.xyz, 0).astype(np.float32)
    for row, frame in enumerate(meta.frame.tolist()):
        keypoints, visibility = visible_where(pixels[row], inside(pixels[row], (CROP_SIZE, CROP_SIZE)))
        yield Annotation(
            **recording.fields(frame),
            image=folder / f"{folder.name}_{frame + 1:06d}.jpg",
            bbox_xywh=np.array([_CORNER, _CORNER, _SIDE, _SIDE], np.float32),
            keypoints=keypoints,
            visibility=visibility,
            camera_xyz=xyz[row],
        )


def _read(path: Path) -> _Meta:
    count = _count(path)
    pixels = _matrix(path, "Y2d", 34, count).reshape(17, 2, count).transpose(2, 0, 1)
    xyz = _matrix(path, "Y3d_mono", 51, count).reshape(17, 3, count).transpose(2, 0, 1)
    box = _matrix(path, "bbox", 4, count).T
    filled = xyz.any((1, 2))
    half = filled != pixels.any((1, 2))
    half |= filled & ((box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1]))
    if half.any():
        expected = "Y2d, Y3d_mono and bbox filled in the same columns"
        raise DataError(path, expected, record=f"column {int(half.argmax()) + 1}", found="one without the other")
    return _Meta(np.flatnonzero(filled), pixels[filled], xyz[filled], box[filled])


def _count(path: Path) -> int:
    expected = "num_images, one positive number"
    with malformed(path, expected):
        count = int(load_mat(path, "num_images", "number of frames"))
    if count < 1:
        raise DataError(path, expected, found=str(count))
    return count


def _matrix(path: Path, name: str, rows: int, count: int) -> Array:
    """Variable ``name`` (rows, count) as float64: MATLAB stores whole numbers as bytes, and squeezing loses n = 1."""
    values: Any = load_mat(path, name, f"{rows} x num_images")
    shape = (rows,) if count == 1 else (rows, count)
    return numbers(path, "all frames", name, values, shape).reshape(rows, count)


def _in_crop(path: Path, meta: _Meta) -> Array:
    """Joints (F, 17, 2) in pixels of the cut pictures; the module's docstring says how the two are told apart."""
    if not len(meta.frame) or _share_inside(meta.pixels / CROP_SIZE) >= _INSIDE:
        return meta.pixels
    corner, size = meta.box[:, None, :2], meta.box[:, None, 2:] - meta.box[:, None, :2] + 1
    # Pixels are centres: the cut starts half a pixel before the centre of its first pixel.
    fraction = (meta.pixels - corner + 0.5) / size
    if _share_inside(fraction) >= _INSIDE:
        return fraction * CROP_SIZE - 0.5
    found = "most points in neither"
    raise DataError(path, f"Y2d within {CROP_SIZE} x {CROP_SIZE} px or within bbox", record="Y2d", found=found)


def _share_inside(fraction: Array) -> float:
    """Share of points (F, 17, 2) that lie in the unit square or a margin around it."""
    return float(((fraction >= -_MARGIN) & (fraction <= 1 + _MARGIN)).all(-1).mean())
