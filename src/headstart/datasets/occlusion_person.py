"""Occlusion-Person (Zhang et al., AdaFuse, IJCV 2021): rendered people behind furniture, with labels of occlusion.

Files: ``root/annot/unrealcv_{train,validation}.pkl`` (or directly under ``root``), a list of dicts, one a picture;
pictures ``root/images/IMAGE``, IMAGE such as ``a05_sa01_s14_sce00/00_000000.jpg`` (recording, camera, frame).

* **Occlusion**: ``joints_vis_2d`` (in the picture and not hidden) is ``VISIBLE``; ``joints_vis`` (in the picture)
  without it is ``OCCLUDED``; a joint outside the picture is unlabelled in 2D and keeps its 3D.
* **Joints**: the authors' "belly" and "neck" are the names that they give to joints 7 and 8 of Human3.6M too, and
  in their vocabulary "neck" is another joint than "upper neck": here they are ``spine`` and ``thorax``. "root" is
  the pelvis. There is no head top.
* **Units**: the files do not state them. Thighs say whether lengths are in mm or cm; anything else is an error.
* **Camera**: ``camera = R (world - T)``, so the translation here is ``-R T``.
* **Box**: the given ``box`` (left, top, right, bottom), with some room already.

Key: the picture's path without suffix.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import box_from_corners
from headstart.datasets.calibration import pinhole
from headstart.datasets.files import require_directory
from headstart.datasets.labels import field, masked, numbers
from headstart.datasets.pickles import load_pickle
from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.records import Annotation, Visibility
from headstart.skeleton import Skeleton

Array = NDArray[np.float64]

SPLITS = ("train", "validation")

SKELETON = Skeleton(
    "occlusion_person_15",
    (
        "pelvis",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "spine",
        "thorax",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
    ),
)

_JOINTS = len(SKELETON)
_THIGHS = (SKELETON.indices(("right_hip", "left_hip")), SKELETON.indices(("right_knee", "left_knee")))
#: A human thigh, hip to knee, in mm: wide enough for children and giants, narrow enough to tell mm from cm.
_THIGH_MM = (250.0, 600.0)
#: px: 3D labels that miss their 2D labels by more (median of the first records) are in other axes than stated.
_DISAGREEMENT = 5.0
_CHECKED = 100
_EXPECTED = "Occlusion-Person's list of records"


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every picture of ``train`` or ``validation`` in the order of the file."""
    path = _labels(root, split)
    records = load_pickle(path, _EXPECTED)
    if not isinstance(records, list) or not records:
        raise DataError(path, _EXPECTED, found=f"a {type(records).__name__} without records")
    images = require_directory(root / "images", "Occlusion-Person's images (unpack images.zip)")
    to_mm = _millimetres(path, records)
    _require_projection(path, records[:_CHECKED], to_mm)
    for number, record in enumerate(records):
        yield _annotation(path, number, record, images, to_mm)


def _labels(root: Path, split: str) -> Path:
    name = f"unrealcv_{split}.pkl"
    return root / name if (root / name).is_file() else root / "annot" / name


def _millimetres(path: Path, records: list[Any]) -> float:
    """mm in one unit of length of the file: 1 or 10."""
    hips, knees = _THIGHS
    points = np.stack([_array(path, row, record, "joints_3d", (_JOINTS, 3)) for row, record in enumerate(records)])
    thigh = float(np.median(np.linalg.norm(points[:, hips] - points[:, knees], axis=2)))
    for factor in (1.0, 10.0):
        if _THIGH_MM[0] <= thigh * factor <= _THIGH_MM[1]:
            return factor
    raise DataError(path, "joints_3d in mm or cm", found=f"thighs {thigh:.3g} units long (median)")


def _require_projection(path: Path, records: list[Any], to_mm: float) -> None:
    """Axes and order of 2D and 3D agree, or :class:`DataError`."""
    distances = []
    for row, record in enumerate(records):
        camera = _camera(path, row, record, to_mm)
        projected = camera.project(_array(path, row, record, "joints_3d", (_JOINTS, 3)) * to_mm)
        distances.append(np.linalg.norm(projected - _array(path, row, record, "joints_2d", (_JOINTS, 2)), axis=1))
    error = float(np.nanmedian(np.concatenate(distances)))
    if not error <= _DISAGREEMENT:
        raise DataError(path, "joints_3d to project on joints_2d", found=f"a median distance of {error:.1f} px")


def _annotation(path: Path, row: int, record: Any, images: Path, to_mm: float) -> Annotation:
    image = str(field(path, row, record, "image"))
    pixels = _array(path, row, record, "joints_2d", (_JOINTS, 2))
    visibility = _visibility(path, row, record)
    recording, frame = _recording(image)
    return Annotation(
        key=image.rpartition(".")[0] or image,
        image=images / image,
        bbox_xywh=box_from_corners(_box(path, row, record)),
        keypoints=masked(pixels, visibility),
        visibility=visibility,
        camera_xyz=(_array(path, row, record, "joints_3d", (_JOINTS, 3)) * to_mm).astype(np.float32),
        camera=_camera(path, row, record, to_mm),
        subject=str(field(path, row, record, "subject")),
        action=str(field(path, row, record, "action")),
        sequence=recording,
        frame=frame,
    )


def _recording(image: str) -> tuple[str, int]:
    """Recording with camera, and frame, from ``RECORDING/CAMERA_FRAME.jpg``; frame -1 where the name is another."""
    match = re.fullmatch(r"(.+)_(\d+)\.\w+", image)
    return (match[1], int(match[2])) if match else (image, -1)


def _visibility(path: Path, row: int, record: Any) -> NDArray[np.uint8]:
    in_picture = _array(path, row, record, "joints_vis", (_JOINTS, 1))[:, 0] > 0
    unhidden = _array(path, row, record, "joints_vis_2d", (_JOINTS, 1))[:, 0] > 0
    if (unhidden & ~in_picture).any():
        raise DataError(path, "joints_vis wherever joints_vis_2d", record=row, found="joints seen outside the image")
    states = np.where(unhidden, Visibility.VISIBLE, Visibility.OCCLUDED)
    return np.where(in_picture, states, Visibility.UNLABELLED).astype(np.uint8)


def _box(path: Path, row: int, record: Any) -> Array:
    corners = _array(path, row, record, "box", (4,))
    if (corners[2:] <= corners[:2]).any():
        raise DataError(path, "a box left, top, right, bottom", record=row, found=str(corners.tolist()))
    return corners


def _camera(path: Path, row: int, record: Any, to_mm: float) -> Camera:
    """World to camera axes; world mm = world of the file times ``to_mm``."""
    raw = field(path, row, record, "camera")
    rotation = _array(path, row, raw, "R", (3, 3))
    centre_mm = _flat(path, row, raw, "T", 3) * to_mm
    fx, fy, cx, cy = (_flat(path, row, raw, name, 1)[0] for name in ("fx", "fy", "cx", "cy"))
    try:
        return pinhole(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), rotation, -rotation @ centre_mm)
    except ValueError as error:
        raise DataError(path, "a camera", record=row, found=str(error)) from error


def _array(path: Path, row: int, holder: Any, name: str, shape: tuple[int, ...]) -> Array:
    return numbers(path, row, name, field(path, row, holder, name), shape)


def _flat(path: Path, row: int, holder: Any, name: str, length: int) -> Array:
    """A vector that may come as a column, a row or, of length 1, as a plain number."""
    return numbers(path, row, name, np.ravel(field(path, row, holder, name)), (length,))
