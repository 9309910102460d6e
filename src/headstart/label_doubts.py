"""Where a model contradicts the labels of a person: limbs whose sides are exchanged, joints that lie elsewhere.

Crowds label cheaply and err: Johnson and Everingham 2011 ("Learning effective human pose estimation from inaccurate
annotation") name the two kinds that are treated here, left and right exchanged, and joints in a wrong place. A model
that has seen many people and still disagrees with a label, sure of itself, is more often right than the label is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError
from headstart.records import Annotation, Visibility
from headstart.skeleton import CANONICAL, FEET, WITH_FEET, Skeleton, conversion

#: Limb -> canonical joints (6,) of both sides.
_LIMBS = {
    limb: np.array(CANONICAL.indices(tuple(f"{side}_{joint}" for side in ("left", "right") for joint in joints)))
    for limb, joints in {"arms": ("shoulder", "elbow", "wrist"), "legs": ("hip", "knee", "ankle")}.items()
}
_TRUNK_DIAGONALS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
#: The trunk of somebody seen from above or bent double is short: never less than this share of the box's longer side.
_LEAST_SIZE = 0.2
#: Sides of joints that lie closer together than this (in trunks) cannot be told apart by where they are.
_APART = 0.25
_FLIP = np.array(WITH_FEET.flip_index)
_FEET = np.array(WITH_FEET.indices(FEET))


@dataclass(frozen=True)
class DoubtConfig:
    """When the model is believed. Distances are fractions of the trunk, |shoulder - opposite hip|."""

    sides: float = 0.15
    """Both arms, or both legs, change sides where that brings their labels nearer by this much on average."""
    distance: float = 0.5
    """A joint that is labelled further than this from where the model sees it is dropped ..."""
    confidence: float = 0.35
    """... if the model is at least so sure of it (0..1)."""

    def __post_init__(self) -> None:
        """Raises :class:`ConfigError` for values that would exchange or drop what the model does not contradict."""
        if not (self.sides >= 0 and self.distance > 0 and 0 <= self.confidence <= 1):
            got = f"{self.sides}, {self.distance} and {self.confidence}"
            raise ConfigError(f"sides, distance and confidence: expected >= 0, > 0 and 0 to 1, got {got}")


@dataclass(frozen=True)
class Doubt:
    """What is doubted about one person."""

    order: NDArray[np.intp]
    """(J,) whose label each joint should have: its own, or that of its other side."""
    dropped: NDArray[np.bool_]
    """(J,) labels, after the exchange, that should not be learned from."""

    @property
    def exchanged(self) -> tuple[str, ...]:
        """Which of ``arms`` and ``legs`` change sides."""
        return tuple(limb for limb, joints in _LIMBS.items() if (self.order[joints] != joints).any())

    def __bool__(self) -> bool:
        return bool(self.exchanged) or bool(self.dropped.any())


def doubt(
    person: Annotation,
    predicted: NDArray[np.floating],
    confidence: NDArray[np.floating],
    config: DoubtConfig = DoubtConfig(),
    source: Skeleton = CANONICAL,
) -> Doubt:
    """Compare labels with a prediction (J, 2) image px, NaN where there is none, and its confidence (J,) in 0..1.

    Joints are those of the person's index. Joints that the model does not predict and unlabelled ones are not doubted.
    Midpoints that the data set's own joints (``source``) lack are dropped with the joints that they were made from.
    """
    size = trunk_size(person)
    order = np.arange(len(person.visibility))
    for limb, joints in _LIMBS.items():
        if _nearer_exchanged(person, predicted, joints, size) > config.sides:
            moved = np.append(joints, _FEET) if limb == "legs" and len(order) > len(CANONICAL) else joints
            order[moved] = _FLIP[moved]
    distance = np.linalg.norm(predicted - person.keypoints[order], axis=-1) / size
    labelled = person.visibility[order] > 0
    # NaN compares as False: what is not predicted is kept.
    dropped = labelled & (distance > config.distance) & (confidence >= config.confidence)
    return Doubt(order, dropped | (labelled & _made_from(dropped, source)))


def _made_from(joints: NDArray[np.bool_], source: Skeleton) -> NDArray[np.bool_]:
    """Joints (J,) that are, or are midpoints of, any of ``joints`` (J,), where labels have those of ``source``."""
    kept = CANONICAL if len(joints) == len(CANONICAL) else WITH_FEET
    chosen = [name in kept.names and joints[kept.index(name)] for name in source.names]
    return np.asarray(conversion(source, kept)[:, chosen].any(1))


def without_doubt(person: Annotation, doubted: Doubt) -> Annotation:
    """The person with sides exchanged back, 3D too, and doubted joints unlabelled."""
    keypoints, visibility = person.keypoints[doubted.order].copy(), person.visibility[doubted.order].copy()
    keypoints[doubted.dropped] = np.nan
    visibility[doubted.dropped] = Visibility.UNLABELLED
    xyz = person.camera_xyz
    if xyz is not None:
        xyz = np.where(doubted.dropped[:, None], np.nan, xyz[doubted.order]).astype(np.float32)
    return replace(person, keypoints=keypoints, visibility=visibility, camera_xyz=xyz)


def trunk_size(person: Annotation) -> float:
    """The longer labelled diagonal of the trunk in px, and no less than a fifth of the box's longer side."""
    sizes = [_LEAST_SIZE * float(max(person.bbox_xywh[2:]))]
    for ends in _TRUNK_DIAGONALS:
        shoulder, hip = CANONICAL.indices(ends)
        if person.visibility[shoulder] and person.visibility[hip]:
            sizes.append(float(np.linalg.norm(person.keypoints[shoulder] - person.keypoints[hip])))
    return max(sizes)


def _nearer_exchanged(
    person: Annotation, predicted: NDArray[np.floating], joints: NDArray[np.intp], size: float
) -> float:
    """Mean distance to the labels as they are, less that to the exchanged ones, each cut at one trunk; 0: cannot say.

    Only pairs of which both sides are labelled count; it takes two of them, and one whose sides lie apart.
    """
    others = _FLIP[joints]
    known = (person.visibility[joints] > 0) & (person.visibility[others] > 0) & np.isfinite(predicted[joints, 0])
    as_is = np.linalg.norm(predicted[joints] - person.keypoints[joints], axis=-1)[known] / size
    exchanged = np.linalg.norm(predicted[joints] - person.keypoints[others], axis=-1)[known] / size
    apart = np.linalg.norm(person.keypoints[joints] - person.keypoints[others], axis=-1)[known] / size > _APART
    if known.sum() < 4 or not apart.any():
        return 0.0
    return float((np.minimum(as_is, 1) - np.minimum(exchanged, 1)).mean())
