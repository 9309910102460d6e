"""Checks of what an adapter yields, one record at a time: types, shapes and values.

They run for every person of every data set: a few numbers are compared as Python's, which is faster than numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart import datasets
from headstart.errors import DataError, first_line, shortened
from headstart.geometry import Camera
from headstart.records import Annotation
from headstart.skeleton import Skeleton

_KINDS = "fiu"  # of numpy's types
_ROWS = (np.ndarray, list, tuple)
_WHOLE, _NUMBER = (int, np.integer), (int, float, np.number)
_LAST_FRAME = 2**31 - 1


def checked_annotations(dataset: str, root: Path, split: str) -> Iterator[Annotation]:
    """Every person of a split as the adapter yields them, in the data set's own joints.

    Raises :class:`DataError` that names the record and what was expected for anything that is not as
    :class:`~headstart.records.Annotation` says, for a key that comes twice (predictions are joined on keys), and for a
    split without people.
    """
    seen: set[str] = set()
    skeleton, camera = datasets.skeleton(dataset), None
    for number, person in enumerate(_people(dataset, root, split)):
        wrong = _wrong(person, skeleton, camera)
        if wrong:
            key = getattr(person, "key", None)
            record = f"{key!r}" if isinstance(key, str) and key else f"number {number}"
            raise DataError(root, wrong[0], record=f"{record} of {dataset} {split}", found=_described(wrong[1]))
        if person.key in seen:
            raise DataError(root, f"unique keys in {dataset} {split}", found=f"{person.key!r} twice")
        seen.add(person.key)
        camera = person.camera
        yield person
    if not seen:
        raise DataError(root, f"people in split {split} of {dataset}", found="none")


def _people(dataset: str, root: Path, split: str) -> Iterator[Annotation]:
    """What the adapter yields. A file that it cannot read is a :class:`DataError`, whoever wrote the adapter."""
    try:
        people = datasets.iter_annotations(dataset, root, split)
        if not isinstance(people, Iterable):
            raise DataError(root, f"annotations(root, {split!r}) of {dataset} to yield people", found=repr(people))
        yield from people
    except OSError as error:
        expected = f"a file that the adapter of {dataset} can read"
        raise DataError(str(error.filename or root), expected, found=error.strerror or first_line(error)) from error


def _wrong(person: Any, skeleton: Skeleton, good_camera: Camera | None) -> tuple[str, Any] | None:
    """What was expected and what was found, or None if nothing is wrong. ``good_camera`` has been checked before."""
    if not isinstance(person, Annotation):
        return "a headstart.records.Annotation", person
    return _wrong_text(person) or _wrong_numbers(person, good_camera) or _wrong_points(person, skeleton)


def _wrong_text(person: Annotation) -> tuple[str, Any] | None:
    if not isinstance(person.key, str) or not person.key:
        return "key as text, not empty", person.key
    if not isinstance(person.image, Path):
        return "image as a pathlib.Path", person.image
    texts = person.subject, person.action, person.sequence
    if not (isinstance(texts[0], str) and isinstance(texts[1], str) and isinstance(texts[2], str)):
        return "subject, action and sequence as text, '' where there is none", texts
    return None


def _wrong_numbers(person: Annotation, good_camera: Camera | None) -> tuple[str, Any] | None:
    if not _is_box(person.bbox_xywh):
        return "bbox_xywh as four finite px: x, y, width and height, which are not below 0 nor both 0", person.bbox_xywh
    if not isinstance(person.frame, _WHOLE) or not -1 - _LAST_FRAME <= person.frame <= _LAST_FRAME:
        return "frame as a whole number of 32 bits, -1 for none", person.frame
    if not (person.head_size is None or isinstance(person.head_size, _NUMBER)):
        return "head_size as px or None", person.head_size
    if not isinstance(person.upright, (bool, np.bool_)):
        return "upright as True or False", person.upright
    if person.camera is not good_camera and not _is_camera(person.camera):
        return (
            "camera as None or a geometry.Camera of finite numbers: fx and fy above 0 px, cx, cy, distortion (5),"
            " rotation (3, 3), translation_mm (3)",
            person.camera,
        )
    return None


def _is_box(box: Any) -> bool:
    if not isinstance(box, _ROWS):
        return False
    try:
        x, y, width, height = box.tolist() if isinstance(box, np.ndarray) else map(float, box)
        return math.isfinite(x + y + width + height) and min(width, height) >= 0 and max(width, height) > 0
    except (TypeError, ValueError):
        return False


def _is_camera(camera: Any) -> bool:
    if not isinstance(camera, Camera):
        return camera is None
    try:
        lens = [*map(float, (camera.fx, camera.fy, camera.cx, camera.cy)), *map(float, camera.distortion)]
        rotation, translation = (np.asarray(part, np.float64) for part in (camera.rotation, camera.translation_mm))
    except (TypeError, ValueError):
        return False
    finite = math.isfinite(sum(lens) + sum(rotation.ravel().tolist()) + sum(translation.ravel().tolist()))
    return finite and len(lens) == 9 and min(lens[:2]) > 0 and rotation.shape == (3, 3) and translation.size == 3


def _wrong_points(person: Annotation, skeleton: Skeleton) -> tuple[str, Any] | None:
    joints, keypoints, visibility, xyz = len(skeleton.names), person.keypoints, person.visibility, person.camera_xyz
    if not _is_array(keypoints, (joints, 2)):
        return f"keypoints as {_array_of(joints, 2)}, in px", keypoints
    if not _is_array(visibility, (joints,)) or not _are_states(visibility):
        return f"visibility as a numpy array ({joints},) of 0 (unlabelled), 1 (occluded) and 2 (visible)", visibility
    if xyz is not None and not _is_array(xyz, (joints, 3)):
        return f"camera_xyz as None or {_array_of(joints, 3)}, in mm", xyz
    joint = _place_missing(keypoints, visibility)
    if joint is not None:
        return f"finite keypoints where visibility is not 0 ({skeleton.names[joint]})", keypoints[joint]
    if xyz is not None and person.camera is not None and 0 in (depths := xyz[:, 2].tolist()):
        joint = depths.index(0)
        return (
            "no joint of camera_xyz at z = 0, in the plane of the camera: a missing joint is NaN, and a person whose"
            f" joints are relative to a root has no camera ({skeleton.names[joint]})",
            xyz[joint],
        )
    return None


def _place_missing(keypoints: NDArray[np.floating], visibility: NDArray[Any]) -> int | None:
    """The first labelled joint that is not finite. Searching bytes takes a tenth of the time of ``any``."""
    finite = np.isfinite(keypoints)
    if b"\0" not in finite.tobytes():
        return None
    missing = (visibility > 0) > (finite[:, 0] & finite[:, 1])
    return int(missing.argmax()) if b"\1" in missing.tobytes() else None


def _array_of(joints: int, columns: int) -> str:
    return f"a numpy array ({joints}, {columns}) of numbers, a row for each joint of SKELETON"


def _is_array(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind in _KINDS


def _are_states(visibility: Any) -> bool:
    """Whether a numeric array holds values of Visibility alone."""
    if visibility.dtype == np.uint8:
        return not visibility.tobytes().strip(b"\0\1\2")  # a tenth of the time of numpy's isin
    return bool(np.isin(visibility, (0, 1, 2)).all())


def _described(value: Any) -> str:
    """A value for a message: with its type, or the type and shape of an array."""
    kind = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
    return f"{shortened(str(value) if isinstance(value, np.ndarray) else repr(value))} ({kind})"
