"""From predicted pixels to mm by what a protocol grants: the true depth of the pelvis, or a sum of bone lengths.

That uses labels, for scores alone; a picture without labels is lifted in lifting.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart import metrics
from headstart.errors import DataError
from headstart.loader import image_pixels_per_mm
from headstart.predictions import Predictions
from headstart.protocols import Protocol, ScaleRule
from headstart.records import Annotation
from headstart.skeleton import CANONICAL, Skeleton


def lift_by_rule(
    predictions: Predictions, people: Sequence[Annotation], rule: ScaleRule, protocol: Protocol
) -> NDArray[np.float64]:
    """Poses (N, J, 3) in mm by a protocol's scale rule (protocols.SCALE_RULES says each in a sentence)."""
    pixels = np.concatenate([predictions.keypoints, predictions.depth[..., None]], -1).astype(np.float64)
    if rule == "root_depth":
        return np.stack([_back_project(pose, person) for pose, person in zip(pixels, people)])
    bones = _bones(predictions.joints, protocol)
    if rule == "bone_sum":
        assert protocol.bone_sum_mm is not None
        wanted: NDArray[np.float64] | float = protocol.bone_sum_mm
    else:
        truth = np.array([p.camera_xyz for p in people])[:, CANONICAL.indices(predictions.joints)]
        wanted = metrics.bone_sum(truth, bones)
    return pixels * (wanted / metrics.bone_sum(pixels, bones))[:, None, None]


def _back_project(pose: NDArray[np.float64], person: Annotation) -> NDArray[np.float64]:
    """One pose (J, 3) from image px and depth px to camera mm at the true depth of the pelvis.

    Without a camera (some distributions have none) by the label's own px per mm, as in weak perspective.
    """
    pixels_per_mm = image_pixels_per_mm(person)
    if pixels_per_mm == 0 and person.camera_xyz is not None:
        expected = "a camera or joints labelled in the picture, from which to know how large the person is in it"
        raise DataError(person.image, expected, record=person.key, found="neither")
    if pixels_per_mm == 0:
        return np.full_like(pose, np.nan)
    if person.camera is None:
        return pose / pixels_per_mm
    assert person.camera_xyz is not None
    root_depth = float(person.camera_xyz[CANONICAL.index("pelvis"), 2])
    return person.camera.unproject(pose[:, :2], root_depth + pose[:, 2] / pixels_per_mm)


def have_scale(people: Sequence[Annotation]) -> bool:
    """Whether it is known of everybody in 3D how large they are in the picture."""
    return all(one.camera_xyz is None or image_pixels_per_mm(one) > 0 for one in people)


def _bones(joints: tuple[str, ...], protocol: Protocol) -> list[tuple[int, int]]:
    """Bones between the protocol's joints, as index pairs into the prediction's."""
    names = tuple(dict.fromkeys((*protocol.joints, protocol.root or "pelvis")))
    scored = Skeleton(protocol.name, names)
    return [(joints.index(names[parent]), joints.index(names[child])) for parent, child in scored.edges]
