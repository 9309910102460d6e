"""Exact visibility of joints: which surface the line of sight to each joint meets first."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array, Camera
from headstart.skeleton import WITH_FEET
from headstart.synth.affine import seen_from
from headstart.synth.body import PARTS
from headstart.synth.mesh import SUBJECT, Mesh
from headstart.synth.raster import NEAR_MM


class State(IntEnum):
    """Whether a joint is visible, and why not."""

    VISIBLE = 0
    SELF_OCCLUDED = 1
    OBJECT_OCCLUDED = 2
    OUT_OF_FRAME = 3


#: Parts whose skin or cloth shows a joint, and the greatest depth of the joint under it in mm.
_SHOWN_BY: dict[str, tuple[tuple[str, ...], float]] = {
    "ankle": (("shin", "foot"), 110),
    "knee": (("thigh", "shin"), 150),
    "hip": (("torso", "thigh"), 260),
    "wrist": (("forearm", "hand"), 80),
    "elbow": (("upper_arm", "forearm"), 120),
    "shoulder": (("torso", "upper_arm"), 170),
    "pelvis": (("torso", "left_thigh", "right_thigh"), 290),
    "spine": (("torso",), 290),
    "thorax": (("torso", "head"), 220),
    "neck": (("torso", "head"), 160),
    "head_top": (("head",), 150),
    "nose": (("head",), 35),
    "eye": (("head",), 45),
    "ear": (("head",), 45),
    "big_toe": (("foot",), 65),
    "small_toe": (("foot",), 65),
    "heel": (("foot",), 65),
}


@lru_cache(maxsize=1)
def shown_by() -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(28, parts) whether a part shows a joint, and (28,) how deep the joint may lie, mm."""
    shows = np.zeros((len(WITH_FEET), len(PARTS)), np.bool_)
    depth = np.zeros(len(WITH_FEET))
    for row, name in enumerate(WITH_FEET.names):
        side, _, joint = name.partition("_")
        key = joint if side in ("left", "right") else name
        parts, depth[row] = _SHOWN_BY[key]
        for part in parts:
            shows[row, PARTS.index(part if part in PARTS else f"{side}_{part}")] = True
    return shows, depth


def first_hits(mesh: Mesh, camera: Camera, pixels: Array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest triangle (N,) (-1 none) on the line of sight through each pixel (N, 2), and its depth z in mm."""
    view = seen_from(camera, mesh.vertices)
    flat = np.stack(
        [camera.fx * view[:, 0] + camera.cx * view[:, 2], camera.fy * view[:, 1] + camera.cy * view[:, 2]], 1
    )
    points = np.concatenate([flat, view[:, 2:]], 1)
    faces, depths = np.full(len(pixels), -1, np.int64), np.full(len(pixels), np.inf)
    _search(points, mesh.faces, mesh.cut, np.asarray(pixels, np.float64), NEAR_MM, faces, depths)
    return faces, depths


@numba.njit(cache=True, error_model="numpy")
def _search(points, faces, cut, pixels, near_mm, found, depths):  # type: ignore[no-untyped-def]
    weight = np.empty(3)
    left, right, top, bottom = pixels[:, 0].min(), pixels[:, 0].max(), pixels[:, 1].min(), pixels[:, 1].max()
    for index in range(len(faces)):
        i, j, k = faces[index, 0], faces[index, 1], faces[index, 2]
        za, zb, zc = points[i, 2], points[j, 2], points[k, 2]
        if za < near_mm and zb < near_mm and zc < near_mm:
            continue
        ready = False
        if za > 1 and zb > 1 and zc > 1:
            na, nb, nc = 1 / za, 1 / zb, 1 / zc
            xa, xb, xc = points[i, 0] * na, points[j, 0] * nb, points[k, 0] * nc
            ya, yb, yc = points[i, 1] * na, points[j, 1] * nb, points[k, 1] * nc
            x0, x1, y0, y1 = min(xa, xb, xc), max(xa, xb, xc), min(ya, yb, yc), max(ya, yb, yc)
        else:
            x0, x1, y0, y1 = -np.inf, np.inf, -np.inf, np.inf
        if x1 < left or x0 > right or y1 < top or y0 > bottom:
            continue
        for number in range(len(pixels)):
            x, y = pixels[number]
            if not (x0 <= x <= x1 and y0 <= y <= y1):
                continue
            if not ready:
                a, b, c = points[i], points[j], points[k]
                ab, bc, ca = np.cross(a, b), np.cross(b, c), np.cross(c, a)
                volume = (a * bc).sum()
                ready = True
            if volume == 0:
                continue
            for corner, edge in enumerate((bc, ca, ab)):
                weight[corner] = (edge[0] * x + edge[1] * y + edge[2]) / volume
            near = weight.sum()
            if weight.min() < 0 or near <= 0 or 1 / near >= depths[number] or 1 / near < near_mm:
                continue
            across = 0.0
            for corner in range(3):
                across += weight[corner] / near * cut[faces[index, corner]]
            if across <= 0:
                depths[number], found[number] = 1 / near, index


def joint_states(
    mesh: Mesh, camera: Camera, camera_xyz: Array, pixels: Array, width: int, height: int
) -> NDArray[np.uint8]:
    """:class:`State` of joints at camera_xyz (J, 3) mm, pixels (J, 2): the first J of ``skeleton.WITH_FEET``."""
    faces, depths = first_hits(mesh, camera, pixels)
    shows, reach = shown_by()
    states = np.full(len(pixels), State.VISIBLE, np.uint8)
    for joint, (face, depth) in enumerate(zip(faces, depths)):
        x, y = pixels[joint]
        z = float(camera_xyz[joint, 2])
        if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5) or z <= 0:
            states[joint] = State.OUT_OF_FRAME
        elif face >= 0 and depth < z:
            states[joint] = _state_behind(mesh, int(face), z - depth, shows[joint], reach[joint])
    return states


def _state_behind(mesh: Mesh, face: int, buried: float, shows: NDArray[np.bool_], reach: float) -> State:
    """State of a joint that lies ``buried`` mm behind the triangle visible at its pixel."""
    if mesh.owner[face] != SUBJECT:
        return State.OBJECT_OCCLUDED
    return State.VISIBLE if shows[mesh.part[face]] and buried <= reach else State.SELF_OCCLUDED
