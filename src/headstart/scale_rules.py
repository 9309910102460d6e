"""From predicted pixels to mm by the true depth of the pelvis (Sun et al. 2018; see protocols.METRICS).

This needs labels and is for scores only; lifting.py does it for pictures without labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.predictions import Predictions
from headstart.records import Annotation
from headstart.skeleton import CANONICAL

_PELVIS = CANONICAL.index("pelvis")


def lift_with_labels(predictions: Predictions, people: Sequence[Annotation]) -> NDArray[np.float64]:
    """Predicted poses (N, J, 3) in mm, camera axes, to be taken relative to the root; NaN for people without 3D labels.

    Raises :class:`DataError` for somebody with 3D labels whose scale neither a camera nor 2D labels give.
    """
    pixels = np.concatenate([predictions.keypoints, predictions.depth[..., None]], -1).astype(np.float64)
    return np.stack([_back_project(pose, person) for pose, person in zip(pixels, people)])


def _back_project(pose: NDArray[np.float64], person: Annotation) -> NDArray[np.float64]:
    """One pose (J, 3) from image px and depth px to camera mm at the true depth of the pelvis; NaN if that is NaN.

    Without a camera (some distributions have none) by the labels' px per mm, as in weak perspective.
    """
    if person.camera_xyz is None:
        return np.full_like(pose, np.nan)
    pixels_per_mm = person.pixels_per_mm()
    if person.camera is None:
        if not pixels_per_mm > 0:
            expected = "a camera or joints labelled in the image, from which to know how large the person is in it"
            raise DataError(person.image, expected, record=person.key, found="neither")
        return pose / pixels_per_mm
    root_depth = float(person.camera_xyz[_PELVIS, 2])
    return person.camera.unproject(pose[:, :2], root_depth + pose[:, 2] / pixels_per_mm)


def xyz_labels(people: Sequence[Annotation]) -> NDArray[np.float64]:
    """3D labels (N, joints of the index, 3) in mm, camera axes; NaN for people without."""
    labels = [np.full((len(one.visibility), 3), np.nan) if one.camera_xyz is None else one.camera_xyz for one in people]
    return np.array(labels, np.float64)


def labels_give_scale(xyz: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether (N,) labels ``xyz`` (N, joints of the index, 3) mm have a pelvis.

    People without one get no pose in mm, through no fault of the model; metrics must leave them out.
    """
    return np.asarray(np.isfinite(xyz[:, _PELVIS]).all(-1))


def have_scale(people: Sequence[Annotation]) -> bool:
    """Whether a camera or 2D labels give the scale of everybody with 3D labels (the pelvis may still be missing)."""
    without = (one for one in people if one.camera_xyz is not None and one.camera is None)
    return all(one.pixels_per_mm() > 0 for one in without)
