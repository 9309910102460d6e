"""MPI-INF-3DHP (Mehta et al., 3DV 2017): eight actors in a studio, six test sequences in and out of doors.

Files, as the official scripts unpack them::

    root/S{1..8}/Seq{1,2}/annot.mat                      cells annot2, annot3, univ_annot3: 14 x 1 of (n, 56), (n, 84)
    root/S{1..8}/Seq{1,2}/camera.calibration             intrinsics and extrinsics, mm
    root/S{1..8}/Seq{1,2}/imageSequence/video_{C}.avi    or imageFrames/video_{C}/frame_%06d.jpg
    root/[mpi_inf_3dhp_test_set/]TS{1..6}/annot_data.mat, imageSequence/img_%06d.jpg (from 1)

Train holds the eight cameras of the official set "vnect" (chest high, knee high and two that look down) of all
subjects found. Extracted frames are preferred to videos. The number of a frame says which label it has: from 0 where
``frame_000000`` exists, else from 1 (as ffmpeg and SPIN's script number them). In a video, label t belongs to picture
t, counted from 0 as pictures are decoded. Test holds the frames of ``valid_frame``; ``action`` is the activity.

**3D labels** are ``annot3``, millimetres in camera axes: they project on the 2D labels. The official test scores
``univ_annot3`` (every person scaled to one height): :mod:`~headstart.datasets.mpi_inf_3dhp_universal` reads that.
The test labels hold no calibration: a camera is fitted to 2D and 3D of a sequence (a pinhole, with lens distortion
where that does not do); if it leaves more than 2 px (median), the sequence has no camera and its 3D is relative to
the pelvis.

**Joints** are the 17 of the test set. ``neck`` is taken for MPII's and LSP's, as other public loaders do; ``head``
(between neck and head top) has no counterpart elsewhere and keeps its own name. Joints outside the picture are
unlabelled in 2D; the files do not say which are occluded. Pixels are taken as written.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import box_around, inside, visible_where
from headstart.datasets.calibration import (
    Calibrated,
    fit_camera,
    read_skeletool_calibration,
    reprojection_error,
)
from headstart.datasets.files import load_mat, open_h5, require_directory, require_file, require_shape
from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.records import Annotation
from headstart.skeleton import Skeleton

_logger = logging.getLogger("headstart")

Array = NDArray[np.float64]

SPLITS = ("train", "test")

SKELETON = Skeleton(
    "mpi_inf_3dhp_17",
    (
        "head_top",
        "neck",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "spine",
        "head",
    ),
)

#: Position of each joint of :data:`SKELETON` among the 28 of the training files.
OF_28 = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
VNECT_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
ACTIVITIES = ("stand/walk", "exercise", "sit on chair", "crouch/reach", "on the floor", "sports", "miscellaneous")

#: The published video of this camera ends before its labels do.
_SHORT_VIDEOS = {("S6", "Seq2", 2): 3911}
_CAMERAS_IN_FILE = 14
#: px: labels that miss their own projection by more (median) belong to another camera or sequence.
_DISAGREEMENT = 10.0
#: mm: ``univ_annot3`` is ``annot3`` times one factor for each sequence, up to rounding.
_ROUNDING_MM = 1.0


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every labelled frame of ``train`` (by subject, sequence, camera) or ``test`` (valid frames of TS1 to TS6)."""
    return read(root, split)


def read(root: Path, split: str, *, universal: bool = False) -> Iterator[Annotation]:
    """As :func:`annotations`; ``universal``: people in the size of ``univ_annot3``, not in their own."""
    return _train(root, universal) if split == "train" else _test(root, universal)


def _train(root: Path, universal: bool) -> Iterator[Annotation]:
    folders = [root / f"S{subject}" / f"Seq{sequence}" for subject in range(1, 9) for sequence in (1, 2)]
    present = [folder for folder in folders if folder.is_dir()]
    if not present:
        raise DataError(root, "folders S1/Seq1 to S8/Seq2 (MPI-INF-3DHP training set)", found="none of them")
    for folder in present:
        yield from _train_sequence(folder, universal)


def _train_sequence(folder: Path, universal: bool) -> Iterator[Annotation]:
    labels = folder / "annot.mat"
    pixels, points = _cells(labels, "annot2", 2), _cells(labels, "annot3", 3)
    scaled = _cells(labels, "univ_annot3", 3) if universal else None
    calibration = folder / "camera.calibration"
    cameras = read_skeletool_calibration(calibration)
    for number in VNECT_CAMERAS:
        if number not in cameras:
            raise DataError(calibration, f"camera {number}", found=f"cameras {sorted(cameras)}")
        if len(pixels[number]) != len(points[number]):
            found = f"{len(pixels[number])} and {len(points[number])} frames"
            raise DataError(labels, "annot2 and annot3 alike", record=f"camera {number}", found=found)
        _require_projection(labels, number, cameras[number].camera, pixels[number], points[number])
        if scaled is not None:
            points[number] = _in_place(labels, f"camera {number}", scaled[number], points[number])
        yield from _train_camera(folder, number, cameras[number], pixels[number], points[number])


def _require_projection(path: Path, number: int, camera: Camera, pixels: Array, points: Array) -> None:
    error = reprojection_error(camera, pixels, points)
    if error > _DISAGREEMENT:
        found = f"a median distance of {error:.0f} px"
        raise DataError(path, "annot3 to project on annot2", record=f"camera {number}", found=found)


def _in_place(path: Path, record: str, universal: Array, points: Array) -> Array:
    """People of ``universal`` (n, 17, 3) mm, moved to where they project on the same pixels as ``points`` (n, 17, 3).

    The files scale a person about the pelvis, which stays where it is: the other joints leave their pixels. Scaled
    about the camera, the pose has the same joints relative to the pelvis. Raises :class:`DataError` if the poses are
    not the same up to one factor.
    """
    if universal.shape != points.shape:
        found = f"{len(universal)} and {len(points)} frames"
        raise DataError(path, "univ_annot3 and annot3 alike", record=record, found=found)
    root = points[:, [SKELETON.index("pelvis")]]
    relative, wanted = points - root, universal - universal[:, [SKELETON.index("pelvis")]]
    factor = float((relative * wanted).sum() / max((relative**2).sum(), 1e-9))
    apart = np.abs(wanted - factor * relative).max(initial=0.0)
    if not (factor > 0 and apart <= _ROUNDING_MM) and len(points):
        found = f"joints up to {apart:.0f} mm from {factor:.3f} times annot3"
        raise DataError(path, "univ_annot3 to be annot3 times one factor, about the pelvis", record=record, found=found)
    return wanted + factor * root


def _train_camera(
    folder: Path, number: int, calibrated: Calibrated, pixels: Array, points: Array
) -> Iterator[Annotation]:
    """Annotations of one camera: pixels (n, 17, 2), points (n, 17, 3) mm."""
    subject, sequence = folder.parts[-2:]
    recording = f"{subject}_{sequence}_{number}"
    for frame, image in _train_images(folder, number, len(pixels)):
        labelled = inside(pixels[frame], calibrated.size)
        if labelled.any():
            yield Annotation(
                f"{recording}_{frame:06d}",
                image,
                box_around(pixels[frame]),
                *visible_where(pixels[frame], labelled),
                points[frame].astype(np.float32),
                calibrated.camera,
                subject=subject,
                sequence=recording,
                frame=frame,
            )


def _cells(path: Path, variable: str, dimensions: int) -> list[Array]:
    """The cells of a training file, one a camera: (n, 17, ``dimensions``)."""
    cells = np.atleast_1d(load_mat(path, variable, "labels of 14 cameras"))
    if cells.dtype != object or cells.size != _CAMERAS_IN_FILE:
        raise DataError(path, f"{variable} with 14 cells", found=f"{cells.dtype} of shape {cells.shape}")
    return [_joints(path, f"{variable}{{{number + 1}}}", cell, dimensions) for number, cell in enumerate(cells.ravel())]


def _joints(path: Path, name: str, cell: NDArray[np.floating], dimensions: int) -> Array:
    rows = np.atleast_2d(np.asarray(cell))  # a single frame arrives squeezed
    if rows.size == 0:
        return np.zeros((0, len(SKELETON), dimensions))
    require_shape(path, name, rows, (None, 28 * dimensions))
    return rows.astype(np.float64).reshape(len(rows), 28, dimensions)[:, OF_28]


def _train_images(folder: Path, camera: int, labelled: int) -> list[tuple[int, Path]]:
    """(frame, picture or video) for the frames that have both a label and a picture, in order."""
    frames = folder / "imageFrames" / f"video_{camera}"
    if frames.is_dir():
        found = [pair for pair in _numbered_frames(frames) if pair[0] < labelled]
        if len(found) < labelled:
            _logger.warning(
                "%s: %d images for %d labelled frames; the others are left out", frames, len(found), labelled
            )
        return found
    video = require_file(folder / "imageSequence" / f"video_{camera}.avi", f"video, or frames in {frames}")
    last = _SHORT_VIDEOS.get((*folder.parts[-2:], camera), labelled)  # type: ignore[arg-type]
    return [(frame, video) for frame in range(min(labelled, last))]


def _numbered_frames(folder: Path) -> list[tuple[int, Path]]:
    """(0-based frame, picture) by the number in the name, never by place in the listing."""
    matches = [(re.fullmatch(r"frame_(\d+)\.(jpg|jpeg|png)", path.name), path) for path in folder.iterdir()]
    numbered = sorted((int(match[1]), path) for match, path in matches if match)
    if not numbered or numbered[0][0] > 1:
        found = f"{numbered[0][1].name} as the first" if numbered else "none"
        raise DataError(folder, "images frame_%06d.jpg numbered from 0 or from 1", found=found)
    first = numbered[0][0]
    return [(number - first, path) for number, path in numbered]


def _test(root: Path, universal: bool) -> Iterator[Annotation]:
    nested = root / "mpi_inf_3dhp_test_set"
    for number in range(1, 7):
        folder = (nested if nested.is_dir() else root) / f"TS{number}"
        yield from _test_sequence(require_directory(folder, "a test sequence of MPI-INF-3DHP"), universal)


def _test_sequence(folder: Path, universal: bool) -> Iterator[Annotation]:
    pixels, points, valid, activity = _test_arrays(folder / "annot_data.mat")
    images = require_directory(folder / "imageSequence", "images img_000001.jpg ...")
    name = folder.name
    size = (1920, 1080) if name in ("TS5", "TS6") else (2048, 2048)
    camera = fit_camera(pixels[valid], points[valid])
    if universal:
        points[valid] = _universal_test(folder / "annot_data.mat", points, valid)
    for frame in np.flatnonzero(valid).tolist():
        yield Annotation(
            f"{name}_{frame:06d}",
            images / f"img_{frame + 1:06d}.jpg",
            box_around(pixels[frame]),
            *visible_where(pixels[frame], inside(pixels[frame], size)),
            _camera_or_root_relative(points[frame], camera),
            camera,
            subject=name,
            action=_activity(folder / "annot_data.mat", frame, activity[frame]),
            sequence=name,
            frame=frame,
        )


def _test_arrays(path: Path) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.int64]]:
    """2D (n, 17, 2) px, 3D (n, 17, 3) mm, valid (n,), activity (n,) from 1."""
    with open_h5(path, "labels of a test sequence") as content:
        pixels = require_shape(path, "annot2", content["annot2"][()], (None, 1, 17, 2))[:, 0]
        frames = len(pixels)
        points = require_shape(path, "annot3", content["annot3"][()], (frames, 1, 17, 3))[:, 0]
        valid = require_shape(path, "valid_frame", content["valid_frame"][()], (frames, 1))[:, 0]
        activity = require_shape(path, "activity_annotation", content["activity_annotation"][()], (frames, 1))[:, 0]
    return pixels.astype(np.float64), points.astype(np.float64), valid > 0, activity.astype(np.int64)


def _universal_test(path: Path, points: Array, valid: NDArray[np.bool_]) -> Array:
    """``univ_annot3`` of the valid frames of ``points`` (n, 17, 3) mm, in place."""
    with open_h5(path, "labels of a test sequence") as content:
        scaled = require_shape(path, "univ_annot3", content["univ_annot3"][()], (len(points), 1, 17, 3))[:, 0]
    return _in_place(path, "univ_annot3", scaled[valid].astype(np.float64), points[valid])


def _activity(path: Path, frame: int, number: int) -> str:
    if not 1 <= number <= len(ACTIVITIES):
        raise DataError(path, "activities 1 to 7", record=f"frame {frame}", found=str(number))
    return f"{number} {ACTIVITIES[number - 1]}"


def _camera_or_root_relative(points: Array, camera: Camera | None) -> NDArray[np.float32]:
    root = points[SKELETON.index("pelvis")]
    return (points if camera is not None else points - root).astype(np.float32)
