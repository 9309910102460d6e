"""Metrics: from arrays to one value per person and joint; aggregation is separate.

Conventions, the same everywhere: N people, J joints. ``labelled`` (N, J) says which joints exist; coordinates of the
others are never looked at, so they may hold anything, NaN too, and a label at (0, 0) counts like any other. A value
is NaN where there is nothing to score: a person without labels counts for nothing, it does not score 0. A labelled
joint whose coordinates are not finite is an error, because a lost prediction must not pass as an unlabelled joint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError, HeadstartError
from headstart.geometry import procrustes_align
from headstart.skeleton import Skeleton

Array = NDArray[np.floating]
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: mm; Mehta et al. 2017 (MPI-INF-3DHP), the threshold of its script ``mpii_compute_3d_pck.m``.
PCK3D_THRESHOLD_MM = 150.0
#: mm; 0:5:150, the 31 thresholds of the same script.
AUC_THRESHOLDS_MM = np.arange(0.0, 151.0, 5.0)

#: MPII-16 joint for each Human3.6M-17 joint: ``mpii_to_h36m`` of the published code of Zhou et al. 2017
#: (xingyizhou/pytorch-pose-hg-3d, src/lib/datasets/h36m.py). Rows 7 and 9 are replaced by midpoints below; row 8,
#: Human3.6M's thorax, takes MPII's upper neck: a quirk of the figure, kept for fidelity.
ZHOU2017_MPII_TO_H36M = (6, 2, 1, 0, 3, 4, 5, 7, 8, 9, 9, 13, 14, 15, 12, 11, 10)
#: Bones whose lengths are summed, 15 pairs of Human3.6M-17 indices (``edges_3d`` there): legs and hips, pelvis -
#: spine - thorax - head top (the nose, 9, is left out), arms and shoulders.
ZHOU2017_BONES = (
    *((3, 2), (2, 1), (1, 0), (0, 4), (4, 5), (5, 6)),
    *((0, 7), (7, 8), (8, 10)),
    *((16, 15), (15, 14), (14, 8), (8, 11), (11, 12), (12, 13)),
)
#: mm; sum of those bones that every prediction is stretched to (``mean_bone_length`` there).
ZHOU2017_BONE_SUM_MM = 4000.0

Average = Literal["joints", "frames", "groups"]


# --- one value per person and joint ---


def joint_errors(predicted: Array, truth: Array, labelled: Mask) -> Values:
    """Euclidean distance (N, J) of points (N, J, D) as they stand, in their unit; NaN where not labelled."""
    predicted, truth = _known(predicted, labelled, "predicted"), _known(truth, labelled, "true")
    return np.where(labelled, np.linalg.norm(predicted - truth, axis=-1), np.nan)


def distances_2d(predicted: Array, truth: Array, labelled: Mask, reference: Array) -> Values:
    """Distance (N, J) of points (N, J, 2) px as a fraction of each person's ``reference`` (N,) px.

    NaN where not labelled, and for a whole person whose reference is NaN or not positive: no scale, no score.
    """
    reference = np.asarray(reference, np.float64)
    scale = np.where(reference > 0, reference, np.nan)
    return joint_errors(predicted, truth, labelled) / scale[:, None]


def pck(predicted: Array, truth: Array, labelled: Mask, reference: Array, threshold: float = 0.2) -> Values:
    """Hits (N, J) in {0, 1}: distance <= ``threshold`` times ``reference`` (N,) px; NaN where not scored.

    Points (N, J, 2) px. ``<=`` as in the evaluation scripts of MPII and LSP (``computePCK.m``, SimpleBaseline).
    """
    return _hits(distances_2d(predicted, truth, labelled, reference), threshold, inclusive=True)


def torso_size(truth: Array, labelled: Mask, skeleton: Skeleton) -> Values:
    """Torso (N,) px: |left shoulder - right hip| of points (N, J, 2); NaN unless both are labelled."""
    shoulder, hip = skeleton.indices(("left_shoulder", "right_hip"))
    both = labelled[:, shoulder] & labelled[:, hip]
    difference = np.where(both[:, None], truth[:, shoulder] - truth[:, hip], np.nan)
    return np.linalg.norm(difference, axis=-1)


def mpjpe(predicted: Array, truth: Array, labelled: Mask, root: int, scored: Mask | None = None) -> Values:
    """Errors (N, J) mm of points (N, J, 3) mm after moving the joint ``root`` of both to the origin.

    NaN for every joint of a person whose root is not labelled. ``scored`` (J,) restricts the score to some joints;
    the root need not be one of them.
    """
    return joint_errors(*_root_centred(predicted, truth, labelled, root, scored))


def n_mpjpe(predicted: Array, truth: Array, labelled: Mask, root: int, scored: Mask | None = None) -> Values:
    """:func:`mpjpe` after the best scale of each person, by least squares over the joints that are scored.

    Rhodin et al. 2018. The scale is never negative: a mirrored body is no scaled body.
    """
    predicted, truth, labelled = _root_centred(predicted, truth, labelled, root, scored)
    agreement = (predicted * truth).sum((1, 2))
    extent = (predicted**2).sum((1, 2))
    scale = np.maximum(agreement, 0.0) / np.where(extent > 0, extent, 1.0)
    return joint_errors(scale[:, None, None] * predicted, truth, labelled)


def pa_mpjpe(predicted: Array, truth: Array, labelled: Mask, scored: Mask | None = None) -> Values:
    """Errors (N, J) mm after the best similarity (rotation, translation, scale; no reflection) of each person.

    Fitted over the joints that are labelled and scored, and no others. NaN for a person with fewer than three of
    them: one or two points can be laid on any others, and their 0 mm would mean nothing.
    """
    labelled = _scored(labelled, scored)
    labelled = labelled & (labelled.sum(1, keepdims=True) >= 3)
    predicted, truth = _known(predicted, labelled, "predicted"), _known(truth, labelled, "true")
    aligned = procrustes_align(predicted, truth, labelled.astype(np.float64))
    return joint_errors(aligned, truth, labelled)


def pck3d(errors: Values, threshold: float = PCK3D_THRESHOLD_MM) -> Values:
    """Hits in {0, 1} of errors (N, J) mm: error < ``threshold``; NaN stays.

    ``<``, unlike the 2D metric: ``mpii_compute_3d_pck.m`` of MPI-INF-3DHP compares so.
    """
    return _hits(errors, threshold, inclusive=False)


def auc(errors: Values) -> Values:
    """Share (N, J) of the 31 thresholds 0:5:150 mm that each error (N, J) mm beats; NaN stays.

    Its mean is the mean of 3DPCK over the thresholds, as in ``mpii_compute_3d_pck.m``. No error is < 0, so an exact
    pose has 30/31 = 96.8 %, there as here.
    """
    beaten = np.zeros(errors.shape)
    for threshold in AUC_THRESHOLDS_MM:
        beaten += pck3d(errors, threshold)
    return beaten / len(AUC_THRESHOLDS_MM)


def zhou2017_rescale(predicted_xyz: Array) -> Values:
    """Human3.6M-17 skeletons (N, 17, 3) mm, pelvis at the origin, from MPII-16 joints (N, 16, 3) in any one unit.

    The published procedure of Zhou et al. 2017: x, y as fractions of the map, z from the depth map, each skeleton
    stretched to 4000 mm of bone. For fidelity to published figures only: the exact pose does not score 0 in it.
    """
    relative = np.asarray(predicted_xyz, np.float64)
    relative = relative - relative[:, 6:7]
    pose = relative[:, ZHOU2017_MPII_TO_H36M]
    pose[:, 7] = (pose[:, 0] + pose[:, 8]) / 2
    pose[:, 9] = (pose[:, 8] + pose[:, 10]) / 2
    length = bone_sum(pose, ZHOU2017_BONES)
    return pose * (ZHOU2017_BONE_SUM_MM / np.where(length > 0, length, 1.0))[:, None, None]


def zhou2017_mpjpe(predicted_xyz: Array, truth: Array, labelled: Mask) -> Values:
    """Errors (N, 17) mm of :func:`zhou2017_rescale` of (N, 16, 3) against Human3.6M-17 (N, 17, 3) mm, pelvis at 0."""
    root_known = labelled & labelled[:, :1]
    relative = truth - truth[:, :1]
    return joint_errors(zhou2017_rescale(predicted_xyz), relative, root_known)


def bone_sum(points: Array, bones: Sequence[tuple[int, int]]) -> Values:
    """Summed length (N,) of ``bones``, index pairs into points (N, J, 3), in their unit."""
    ends = np.asarray(bones)
    return np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=-1).sum(-1)


# --- aggregation: sums and counts over the values that exist, never averages of batch averages ---


def mean_of_all(values: Values, mask: Mask | None = None) -> float:
    """Sum over count of all values that exist (and are in ``mask``, same shape); NaN if there are none."""
    chosen = values[~np.isnan(values) if mask is None else ~np.isnan(values) & mask]
    return float(chosen.mean()) if chosen.size else float("nan")


def mean_over_joints(values: Values) -> Values:
    """Each person's mean (N,) of values (N, J); NaN for a person without any."""
    count = (~np.isnan(values)).sum(-1)
    return np.where(count > 0, np.nansum(values, -1) / np.maximum(count, 1), np.nan)


def per_joint(values: Values, joints: Sequence[str]) -> dict[str, float]:
    """Mean of each column of values (N, J), by the joint's name; NaN for a joint that nobody has."""
    if values.shape[1] != len(joints):
        raise ConfigError(f"{values.shape[1]} columns of values, but {len(joints)} joint names")
    return {joint: mean_of_all(values[:, column]) for column, joint in enumerate(joints)}


def grouped(values: Values, groups: Sequence[str], how: Average = "frames") -> dict[str, float]:
    """:func:`summarise` of the people of each group, sorted by name; ``groups`` (N,) one name a person."""
    names = np.asarray(groups, dtype=object)
    if names.shape != values.shape[:1]:
        raise ConfigError(f"{len(values)} people, but {len(names)} group names")
    return {name: summarise(values[names == name], how) for name in sorted(set(groups))}


def strata(values: Values, masks: Mapping[str, Mask]) -> dict[str, float]:
    """Sum over count of the values (N, J) in each mask (N, J), e.g. visible and occluded joints apart."""
    return {name: mean_of_all(values, mask) for name, mask in masks.items()}


def summarise(values: Values, how: Average, groups: Sequence[str] = ()) -> float:
    """One number of values (N, J); NaN if there are none.

    ``joints``: sum over count of all joints (official MPII). ``frames``: mean over the joints of each person, then
    over people. ``groups``: that within each group, then the mean over the groups that have a value.
    """
    if how == "joints":
        return mean_of_all(values)
    if how == "frames":
        return mean_of_all(mean_over_joints(values))
    return mean_of_all(np.array(list(grouped(values, groups).values()), np.float64))


# --- helpers ---


def _hits(values: Values, threshold: float, *, inclusive: bool) -> Values:
    """1 where ``values`` are within the threshold, 0 where not, NaN where NaN."""
    within = values <= threshold if inclusive else values < threshold
    return np.where(np.isnan(values), np.nan, within.astype(np.float64))


def _known(points: Array, labelled: Mask, whose: str) -> Values:
    """Points (N, J, D) with 0 where not labelled; raises :class:`HeadstartError` for a labelled one not finite."""
    known = np.where(labelled[..., None], np.asarray(points, np.float64), 0.0)
    broken = ~np.isfinite(known).all(-1)
    if broken.any():
        person, joint = np.argwhere(broken)[0]
        raise HeadstartError(
            f"{whose} coordinates are not finite for {int(broken.sum())} labelled joints, "
            f"the first is joint {joint} of person {person}; a diverged model, or a joint that it does not predict"
        )
    return known


def _scored(labelled: Mask, scored: Mask | None) -> Mask:
    """Labelled joints (N, J) that count; ``scored`` (J,), None for all."""
    return labelled if scored is None else labelled & scored


def _root_centred(
    predicted: Array, truth: Array, labelled: Mask, root: int, scored: Mask | None
) -> tuple[Values, Values, Mask]:
    """Both poses with their root at the origin, 0 where nothing is scored, and the mask of what is."""
    counts = _scored(labelled & labelled[:, root : root + 1], scored)
    needed = counts.copy()
    needed[:, root] = labelled[:, root]
    poses = (_known(predicted, needed, "predicted"), _known(truth, needed, "true"))
    centred = [np.where(counts[..., None], pose - pose[:, root : root + 1], 0.0) for pose in poses]
    return centred[0], centred[1], counts
