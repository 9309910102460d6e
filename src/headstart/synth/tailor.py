"""Where each point of the body and of the garment helpers lies along limbs, trunk and head, to place hems.

Everything is measured once on the mean body, so a hem is at the same place on every body.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.affine import transformed
from headstart.synth.body import PARTS, load_body
from headstart.synth.mesh import projection_axis, vertex_normals
from headstart.synth.rig import rest_head


@dataclass(frozen=True)
class Measures:
    """Coordinates of all V vertices of the asset, body and helpers."""

    arm: NDArray[np.float32]
    """0 at the shoulder, 1 at the elbow, 2 at the wrist; -1 off the arms."""
    leg: NDArray[np.float32]
    """0 at the hip, 1 at the knee, 2 at the ankle; -1 off the legs."""
    height: NDArray[np.float32]
    """mm above the hips."""
    hairline: NDArray[np.float32]
    """mm above the edge of the hair; negative on face and neck."""
    head: NDArray[np.bool_]
    foot: NDArray[np.bool_]
    hand: NDArray[np.bool_]


def _along(points: Array, start: Array, end: Array) -> NDArray[np.float64]:
    axis = end - start
    return transformed(points - start, axis[None])[:, 0] / (axis @ axis)


def _limb(points: Array, names: tuple[str, str, str], member: NDArray[np.bool_], side: str) -> NDArray[np.float64]:
    first, middle, last = (rest_head(f"{name}.{side}") for name in names)
    upper, lower = _along(points, first, middle), _along(points, middle, last)
    return np.where(member, np.where(upper < 1, upper, 1 + np.maximum(lower, 0)), -1)


@lru_cache(maxsize=1)
def measures() -> Measures:
    """The measures of the mean body, made once a process."""
    asset = load_body()
    points = asset.mean[: asset.vertices].astype(np.float64)
    part = np.array(PARTS)[asset.part]
    arm, leg = np.full(len(points), -1.0), np.full(len(points), -1.0)
    for side in ("left", "right"):
        on_arm = np.isin(part, [f"{side}_upper_arm", f"{side}_forearm", f"{side}_hand"])
        on_leg = np.isin(part, [f"{side}_thigh", f"{side}_shin", f"{side}_foot"])
        arm = np.maximum(arm, _limb(points, ("upperarm01", "lowerarm01", "wrist"), on_arm, side[0].upper()))
        leg = np.maximum(leg, _limb(points, ("upperleg01", "lowerleg01", "foot"), on_leg, side[0].upper()))
    line = 806 - 0.75 * (points[:, 1] + 130)
    return Measures(
        arm=arm.astype(np.float32),
        leg=leg.astype(np.float32),
        height=(points[:, 2] - rest_head("upperleg01.L")[2]).astype(np.float32),
        hairline=(points[:, 2] - line).astype(np.float32),
        head=part == "head",
        foot=np.isin(part, ["left_foot", "right_foot"]),
        hand=np.isin(part, ["left_hand", "right_hand"]),
    )


@dataclass(frozen=True)
class Helper:
    """One helper mesh: its vertices' rows in the asset and its faces among them."""

    rows: NDArray[np.int64]
    faces: NDArray[np.int32]
    part: NDArray[np.uint8]
    """(F,) body part of each face."""
    axis: NDArray[np.uint8]
    """(F,) axis that each face of the mean body faces most."""


@lru_cache(maxsize=8)
def helper(name: str) -> Helper:
    """tights, skirt, hair, body, or scalp (the body's own head above the ears)."""
    asset, where = load_body(), measures()
    if name == "scalp":
        body = asset.faces["body"]
        # The inside of the mouth and the neck stay out.
        faces = body[(where.head[body] & (where.hairline[body] > -45)).all(1)]
    else:
        faces = asset.faces[name]
    rows = np.unique(faces)
    number = np.full(asset.vertices, -1, np.int32)
    number[rows] = np.arange(len(rows))
    # Long hair is the head's, wherever it hangs.
    part = np.full(len(faces), PARTS.index("head"), np.uint8) if name == "hair" else asset.part[faces[:, 0]]
    return Helper(rows.astype(np.int64), number[faces], part, projection_axis(asset.mean, faces))


def rest_normals(rest: NDArray[np.float32], piece: Helper) -> NDArray[np.float32]:
    """Outward normals (N, 3) of a helper on a body at rest (V, 3)."""
    return vertex_normals(np.ascontiguousarray(rest[piece.rows]), piece.faces)


def waves(rng: np.random.Generator, points: Array, length_mm: float) -> NDArray[np.float32]:
    """Smooth random values (N,) of standard deviation near 1 over points (N, 3) mm: folds and lumps."""
    directions = rng.normal(0, 1, (3, 4)) * (2 * np.pi / length_mm) * (1, 0.7, 1.3, 1)
    phases = transformed(points, directions.T, rng.uniform(0, 2 * np.pi, 4)).astype(np.float32)
    return np.sin(phases).sum(1) / np.float32(np.sqrt(2))
