"""Self-intersection of a posed body: do points of one limb lie inside another part?

Solids are fitted to each body at rest: limbs are tapered capsules, the trunk a stack of ellipses, the head an
ellipsoid. Trunk and head move rigidly with their bones, so a posed point is carried back to the rest of each bone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from headstart.skeleton import CANONICAL
from headstart.synth.affine import transformed
from headstart.synth.body import PARTS, Posed, Shape, load_body

#: Solids are shrunk to this share of their width, since parts of a body may touch.
SHRINK = 0.96
#: Share of a limb's points that may lie inside another part.
TOLERANCE = 0.02

_TRUNK_BONES = ("root", "spine05", "spine04", "spine03", "spine02", "spine01")
_LIMB_ENDS = {
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
}
_TESTED = ("hand", "forearm", "upper_arm", "shin", "foot", "thigh")
_PER_PART = 60


@dataclass(frozen=True)
class Solids:
    """Solids of one body at rest, mm."""

    radii: NDArray[np.float64]
    """(8, 2) capsule radii at both ends, limbs in the order of :func:`_limbs`."""
    slabs: NDArray[np.float64]
    """(6 + 1, 6): low z, high z, centre x, centre y, half width, half depth, of each trunk bone and of the head."""


@lru_cache(maxsize=1)
def _limbs() -> tuple[tuple[str, int, int], ...]:
    return tuple(
        (f"{side}_{limb}", CANONICAL.index(f"{side}_{start}"), CANONICAL.index(f"{side}_{end}"))
        for side in ("left", "right")
        for limb, (start, end) in _LIMB_ENDS.items()
    )


@lru_cache(maxsize=1)
def _body_rows() -> dict[str, NDArray[np.int64]]:
    """Vertices of the naked body of each part."""
    asset = load_body()
    part = asset.part[: asset.naked_vertices]
    return {name: np.flatnonzero(part == number) for number, name in enumerate(PARTS)}


@lru_cache(maxsize=1)
def _test_points() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Vertices that are tested and the part of each, evenly over the parts that move freely."""
    names = [name for name in PARTS if name.partition("_")[2] in _TESTED or name == "head"]
    rows = [_body_rows()[name] for name in names]
    picked = [r[np.linspace(0, len(r) - 1, _PER_PART).astype(int)] for r in rows]
    return np.concatenate(picked), np.repeat([PARTS.index(name) for name in names], _PER_PART)


def _allowed(part: str, solid: str) -> bool:
    """Whether points of ``part`` may lie in ``solid``: the same limb's neighbours do, at every joint."""
    side, _, limb = part.partition("_")
    neighbours = {
        "hand": ("hand", "forearm"),
        "forearm": ("forearm", "upper_arm", "hand"),
        "upper_arm": ("upper_arm", "forearm", "torso"),
        "foot": ("foot", "shin"),
        "shin": ("shin", "thigh", "foot"),
        "thigh": ("thigh", "shin", "torso"),
        "head": ("head", "torso"),
    }[limb or part]
    return solid.removeprefix(f"{side}_") in neighbours


@lru_cache(maxsize=1)
def _checked() -> NDArray[np.bool_]:
    """(N points, 15 solids): limbs, trunk bones, head."""
    solids = [name for name, _, _ in _limbs()] + ["torso"] * len(_TRUNK_BONES) + ["head"]
    _, parts = _test_points()
    return np.array([[not _allowed(PARTS[part], solid) for solid in solids] for part in parts])


def _capsule_radii(rest: NDArray[np.float32], joints: NDArray[np.float64]) -> NDArray[np.float64]:
    radii = []
    for name, start, end in _limbs():
        points = rest[_body_rows()[name]]
        axis = joints[end] - joints[start]
        along = transformed(points - joints[start], axis[None])[:, 0] / (axis @ axis)
        distance = np.linalg.norm(points - joints[start] - np.clip(along, 0, 1)[:, None] * axis, axis=1)
        radii.append([np.median(distance[(along > low) & (along < low + 0.5)]) for low in (0.0, 0.5)])
    return np.array(radii)


def _slab(points: NDArray[np.float32], low: float, high: float) -> list[float]:
    inside = points[(points[:, 2] > low) & (points[:, 2] < high)]
    least, most = np.percentile(inside[:, :2], (2, 98), axis=0)
    return [low, high, *((least + most) / 2), *((most - least) / 2)]


def fit_solids(shape: Shape, joints: NDArray[np.float64]) -> Solids:
    """Solids of a body from its canonical joints (22, 3) at rest."""
    asset = load_body()
    levels = [shape.heads[asset.bone(bone), 2] for bone in _TRUNK_BONES] + [shape.heads[asset.bone("neck01"), 2] - 40]
    torso, head = shape.rest[_body_rows()["torso"]], shape.rest[_body_rows()["head"]]
    slabs = [_slab(torso, min(low, high - 20), high) for low, high in itertools.pairwise(levels)]
    slabs[0][0] -= 60
    slabs.append(_slab(head, head[:, 2].min() + 60, head[:, 2].max()))
    return Solids(_capsule_radii(shape.rest, joints), np.array(slabs))


def intersects(posed: Posed, solids: Solids) -> bool:
    """Whether a limb or the head lies inside another part."""
    asset = load_body()
    rows, parts = _test_points()
    points = posed.vertices[rows].astype(np.float64)
    bones = [asset.bone(bone) for bone in (*_TRUNK_BONES, "head")]
    ends = np.array([(posed.joints[start], posed.joints[end]) for _, start, end in _limbs()])
    inside = np.zeros(len(points), np.bool_)
    _mark_inside(points, _checked(), ends, solids.radii, posed.transforms[bones], solids.slabs, inside)
    share = np.bincount(parts[inside], minlength=len(PARTS)) / _PER_PART
    return bool((share > TOLERANCE).any())


@numba.njit(cache=True, error_model="numpy")
def _mark_inside(points, checked, ends, radii, transforms, slabs, inside):  # type: ignore[no-untyped-def]
    axes = ends[:, 1] - ends[:, 0]
    limbs, rest = len(ends), np.empty(3)
    for index in range(len(points)):
        x, y, z = points[index, 0], points[index, 1], points[index, 2]
        for limb in range(limbs):
            if checked[index, limb] and not inside[index]:
                fx, fy, fz = x - ends[limb, 0, 0], y - ends[limb, 0, 1], z - ends[limb, 0, 2]
                ax, ay, az = axes[limb, 0], axes[limb, 1], axes[limb, 2]
                along = min(max((fx * ax + fy * ay + fz * az) / (ax * ax + ay * ay + az * az), 0.0), 1.0)
                dx, dy, dz = fx - along * ax, fy - along * ay, fz - along * az
                radius = SHRINK * (radii[limb, 0] * (1 - along) + radii[limb, 1] * along)
                inside[index] = dx * dx + dy * dy + dz * dz < radius * radius
        for slab in range(len(slabs)):
            if checked[index, limbs + slab] and not inside[index]:
                bone = transforms[slab]
                mx, my, mz = x - bone[0, 3], y - bone[1, 3], z - bone[2, 3]
                for axis in range(3):
                    rest[axis] = bone[0, axis] * mx + bone[1, axis] * my + bone[2, axis] * mz
                if slabs[slab, 0] < rest[2] < slabs[slab, 1]:
                    dx = (rest[0] - slabs[slab, 2]) / (SHRINK * slabs[slab, 4])
                    dy = (rest[1] - slabs[slab, 3]) / (SHRINK * slabs[slab, 5])
                    inside[index] = dx * dx + dy * dy < 1
