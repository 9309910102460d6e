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
        wanted = metrics.bone_sum(xyz_labels(people)[:, CANONICAL.indices(predictions.joints)], bones)
    return pixels * (wanted / metrics.bone_sum(pixels, bones))[:, None, None]


def xyz_labels(people: Sequence[Annotation]) -> NDArray[np.float64]:
    """3D labels (N, canonical joints, 3) in mm, camera axes; NaN for who has none."""
    nothing = np.full((len(CANONICAL), 3), np.nan)
    return np.array([nothing if one.camera_xyz is None else one.camera_xyz for one in people], np.float64)


def labels_give_scale(xyz: NDArray[np.float64], rule: ScaleRule, protocol: Protocol) -> NDArray[np.bool_]:
    """Whose (N,) labels ``xyz`` (N, canonical joints, 3) mm hold what a rule takes from them.

    By ``root_depth`` that is the pelvis, by ``truth_scale`` every end of a bone. The others have no pose in mm, for
    which the model is not to blame: no metric may count them.
    """
    by_bones = (*protocol.joints, protocol.root or "pelvis")
    needed = {"root_depth": ("pelvis",), "truth_scale": by_bones}.get(rule, ())
    return np.asarray(np.isfinite(xyz[:, CANONICAL.indices(needed)]).all((1, 2)))


def _back_project(pose: NDArray[np.float64], person: Annotation) -> NDArray[np.float64]:
    """One pose (J, 3) from image px and depth px to camera mm at the true depth of the pelvis; NaN where that is.

    Without a camera (some distributions have none) by the label's own px per mm, as in weak perspective.
    """
    if person.camera_xyz is None:
        return np.full_like(pose, np.nan)
    pixels_per_mm = image_pixels_per_mm(person)
    if person.camera is None:
        if not pixels_per_mm > 0:
            expected = "a camera or joints labelled in the picture, from which to know how large the person is in it"
            raise DataError(person.image, expected, record=person.key, found="neither")
        return pose / pixels_per_mm
    root_depth = float(person.camera_xyz[CANONICAL.index("pelvis"), 2])
    return person.camera.unproject(pose[:, :2], root_depth + pose[:, 2] / pixels_per_mm)


def have_scale(people: Sequence[Annotation]) -> bool:
    """Whether it is known of everybody in 3D how large they are in the picture, or could be with a pelvis labelled."""
    without = (one for one in people if one.camera_xyz is not None and one.camera is None)
    return all(image_pixels_per_mm(one) > 0 for one in without)


def _bones(joints: tuple[str, ...], protocol: Protocol) -> list[tuple[int, int]]:
    """Bones between the protocol's joints, as index pairs into the prediction's."""
    names = tuple(dict.fromkeys((*protocol.joints, protocol.root or "pelvis")))
    scored = Skeleton(protocol.name, names)
    return [(joints.index(names[parent]), joints.index(names[child])) for parent, child in scored.edges]
