"""Joints by full name, and everything that follows from names: flips, edges, conversions.

The vocabulary is :data:`WITH_FEET`: the 22 joints of :data:`CANONICAL`, and the six of the feet. A data set keeps its
own joint order in a :class:`Skeleton` of its own (in its adapter); joints are only ever matched by name. Definitions,
the same for every data set:

* ``pelvis``: midpoint of the hips unless the data set labels it.
* ``thorax``: base of the neck between the shoulders; midpoint of the shoulders unless labelled.
  Human3.6M's "neck" (joint 13 of 32) is this joint; its "torso" or "spine" is never used for it.
* ``neck``: upper neck, where it meets the skull (MPII "upper neck", LSP "neck"). Never made from other joints. People
  label it lower: LSP-Extended's median lies 0.10 torsos above the shoulders' midpoint, that of synthetic people 0.3.
* ``head_top``: top of the skull. Never made from other joints.
* ``spine``: middle of the back, between pelvis and thorax (Human3.6M "torso"). Never made from other joints.
* ``left_big_toe``, ``left_small_toe``, ``left_heel``, and the same on the right: as COCO-WholeBody, Halpe and BODY_25
  have them. The toe of motion capture (Human3.6M, MPI-INF-3DHP, SMPL's "foot") is the base of the toes, none of
  these. Never made from other joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError

_PARENT: dict[str, str] = {
    "spine": "pelvis",
    "thorax": "spine",
    "neck": "thorax",
    "nose": "neck",
    "head_top": "neck",
}
for _side in ("left", "right"):
    _PARENT |= {
        f"{_side}_hip": "pelvis",
        f"{_side}_knee": f"{_side}_hip",
        f"{_side}_ankle": f"{_side}_knee",
        f"{_side}_shoulder": "thorax",
        f"{_side}_elbow": f"{_side}_shoulder",
        f"{_side}_wrist": f"{_side}_elbow",
        f"{_side}_eye": "nose",
        f"{_side}_ear": f"{_side}_eye",
        f"{_side}_big_toe": f"{_side}_ankle",
        f"{_side}_small_toe": f"{_side}_ankle",
        f"{_side}_heel": f"{_side}_ankle",
    }

# A joint that a data set does not label, but that two labelled ones define.
_MIDPOINTS: dict[str, tuple[str, str]] = {
    "pelvis": ("right_hip", "left_hip"),
    "thorax": ("right_shoulder", "left_shoulder"),
}


def mirrored_name(name: str) -> str:
    """The joint on the other side of the body: ``left_knee`` for ``right_knee``; middle joints are their own."""
    side, _, rest = name.partition("_")
    other = {"left": "right", "right": "left"}.get(side)
    return f"{other}_{rest}" if other else name


@dataclass(frozen=True)
class Skeleton:
    """An ordered set of joints.

    ``name`` is for messages; ``names`` are full joint names, unique; both sides of every paired joint must be there.
    """

    name: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ConfigError(f"skeleton {self.name}: joint names must be unique, got {self.names}")
        lonely = [joint for joint in self.names if mirrored_name(joint) not in self.names]
        if lonely:
            raise ConfigError(f"skeleton {self.name}: no mirrored joint for {', '.join(lonely)}")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, joint: str) -> int:
        """Position of ``joint``; raises :class:`ConfigError` naming the joints there are."""
        try:
            return self.names.index(joint)
        except ValueError:
            raise ConfigError(f"skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.names)}") from None

    def indices(self, joints: tuple[str, ...]) -> list[int]:
        """Positions of several joints, in their order."""
        return [self.index(joint) for joint in joints]

    @cached_property
    def flip_index(self) -> tuple[int, ...]:
        """``points[..., flip_index, :]`` renames the joints of a mirrored person."""
        return tuple(self.names.index(mirrored_name(joint)) for joint in self.names)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Index of the nearest ancestor that this skeleton has, -1 where there is none."""
        return tuple(self.nearest_ancestor(joint) for joint in self.names)

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) index pairs: the bones."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent >= 0)

    def nearest_ancestor(self, joint: str) -> int:
        """Index of the nearest joint before any joint, which this skeleton need not have; -1 where there is none."""
        ancestor = _PARENT.get(joint)
        while ancestor is not None and ancestor not in self.names:
            ancestor = _PARENT.get(ancestor)
        return self.names.index(ancestor) if ancestor else -1


MPII_16 = Skeleton(
    "mpii_16",
    (
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "neck",
        "head_top",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
)

CANONICAL = Skeleton(
    "canonical",
    (*MPII_16.names, "spine", "nose", "right_eye", "left_eye", "right_ear", "left_ear"),
)

#: The joints of the feet, in the order of COCO-WholeBody.
FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))

#: Every joint that labels are kept of. The first 22 are those of :data:`CANONICAL`, in their order.
WITH_FEET = Skeleton("canonical_28", (*CANONICAL.names, *FEET))

#: MPII-16 and the two further joints of Human3.6M: what models predict unless a recipe says otherwise.
BODY_18 = Skeleton("body_18", (*MPII_16.names, "spine", "nose"))

#: The same with feet.
BODY_24 = Skeleton("body_24", (*BODY_18.names, *FEET))

H36M_17 = Skeleton(
    "h36m_17",
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
        "nose",
        "head_top",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
    ),
)

#: LSP and LSP-Extended.
LSP_14 = Skeleton("lsp_14", (*MPII_16.names[:6], *MPII_16.names[10:], "neck", "head_top"))

COCO_17 = Skeleton(
    "coco_17",
    (
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
)

#: COCO's joints, and the feet of COCO-WholeBody.
COCO_23 = Skeleton("coco_23", (*COCO_17.names, *FEET))

MODEL_SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (MPII_16, BODY_18, H36M_17, LSP_14, COCO_17, CANONICAL, BODY_24, COCO_23, WITH_FEET)
}


@cache
def vocabulary(source: Skeleton) -> Skeleton:
    """The joints that labels of ``source`` are kept in: :data:`CANONICAL`, or :data:`WITH_FEET` if it has a foot."""
    return CANONICAL if set(FEET).isdisjoint(source.names) else WITH_FEET


@cache
def conversion(source: Skeleton, target: Skeleton) -> NDArray[np.float32]:
    """Averaging matrix (len(target), len(source)): ``target_points = matrix @ source_points``.

    A joint of the same name is copied; pelvis and thorax become midpoints where the source lacks them; any other
    joint that the source lacks has a zero row (unlabelled). The array is shared: do not write to it.
    """
    matrix = np.zeros((len(target), len(source)), np.float32)
    for row, joint in enumerate(target.names):
        parents = (joint,) if joint in source.names else _MIDPOINTS.get(joint, ())
        if parents and all(parent in source.names for parent in parents):
            matrix[row, source.indices(parents)] = 1.0 / len(parents)
    matrix.flags.writeable = False
    return matrix


def convert_points(
    matrix: NDArray[np.float32], points: NDArray[np.floating], labelled: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Carry points (source, D) to the target joints of ``matrix`` (target, source).

    Returns points (target, D), NaN where unlabelled, and their labelled mask (target,). A target joint is labelled
    only where every joint that it is made from is: half-known midpoints never arise.
    """
    used = matrix > 0
    known = np.asarray(used.any(1) & ~(used & ~labelled[None]).any(1))
    clean = np.where(labelled[:, None], points, 0.0).astype(np.float32)
    converted = np.asarray(matrix @ clean, np.float32)
    converted[~known] = np.nan
    return converted, known
