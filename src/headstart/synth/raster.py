"""Z-buffers in numba: which triangle each sample of the picture shows, and orthographic depth maps for light.

Triangles are set up in homogeneous coordinates (Olano and Greer 1997), so those that reach behind the camera need no
clipping. Single-threaded; to use more cores, run several processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array, Camera
from headstart.synth.affine import seen_from
from headstart.synth.mesh import Mesh

#: Nothing nearer than this to the camera is drawn, mm.
NEAR_MM = 60.0


@dataclass(frozen=True)
class Samples:
    """What each sample (rows, columns) of a supersampled picture shows."""

    face: NDArray[np.int32]
    """Triangle, -1 for none."""
    nearness: NDArray[np.float32]
    """1 / depth in 1/mm, 0 for none."""
    first: NDArray[np.float32]
    """Weight of the triangle's first corner, perspective-correct."""
    second: NDArray[np.float32]
    """Weight of its second corner."""


def rasterise(mesh: Mesh, camera: Camera, width: int, height: int, scale: int) -> Samples:
    """Samples of a picture of (width, height) px at ``scale`` x ``scale`` samples a pixel; lens distortion is ignored.

    Sample (i, j) lies at pixel ((j + 0.5) / scale - 0.5, (i + 0.5) / scale - 0.5).
    """
    view = seen_from(camera, mesh.vertices).astype(np.float32)
    # Homogeneous sample coordinates: (x / z, y / z) are columns and rows of the sample grid.
    columns = scale * (camera.fx * view[:, 0] + (camera.cx + 0.5) * view[:, 2]) - 0.5 * view[:, 2]
    rows = scale * (camera.fy * view[:, 1] + (camera.cy + 0.5) * view[:, 2]) - 0.5 * view[:, 2]
    points = np.stack([columns, rows, view[:, 2]], 1)
    shape = (height * scale, width * scale)
    samples = Samples(
        np.full(shape, -1, np.int32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
    )
    _fill(points, mesh.faces, mesh.cut, samples.face, samples.nearness, samples.first, samples.second)
    return samples


@numba.njit(cache=True, fastmath=True, error_model="numpy", inline="always")
def _span(low, high, limit):  # type: ignore[no-untyped-def]
    """Whole samples between two coordinates, inside 0..limit."""
    first = max(0, int(np.ceil(low))) if low > 0 else 0
    last = min(limit - 1, int(np.floor(high))) if high < limit - 1 else limit - 1
    return first, last


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _fill(points, faces, cut, face, nearness, first, second):  # type: ignore[no-untyped-def]
    height, width = face.shape
    for index in range(len(faces)):
        a, b, c = faces[index]
        za, zb, zc = points[a, 2], points[b, 2], points[c, 2]
        if za < NEAR_MM and zb < NEAR_MM and zc < NEAR_MM:
            continue
        cut_a, cut_b, cut_c = cut[a], cut[b], cut[c]
        if cut_a > 0 and cut_b > 0 and cut_c > 0:
            continue
        x0, x1, y0, y1 = 0, width - 1, 0, height - 1
        if za >= NEAR_MM and zb >= NEAR_MM and zc >= NEAR_MM:
            xa, xb, xc = points[a, 0] / za, points[b, 0] / zb, points[c, 0] / zc
            ya, yb, yc = points[a, 1] / za, points[b, 1] / zb, points[c, 1] / zc
            if max(xa, xb, xc) < 0 or min(xa, xb, xc) > width or max(ya, yb, yc) < 0 or min(ya, yb, yc) > height:
                continue
            x0, x1 = _span(min(xa, xb, xc), max(xa, xb, xc), width)
            y0, y1 = _span(min(ya, yb, yc), max(ya, yb, yc), height)
            if x0 > x1 or y0 > y1:
                continue
        ax, ay, az = np.float64(points[a, 0]), np.float64(points[a, 1]), np.float64(za)
        bx, by, bz = np.float64(points[b, 0]), np.float64(points[b, 1]), np.float64(zb)
        cx, cy, cz = np.float64(points[c, 0]), np.float64(points[c, 1]), np.float64(zc)
        # Rows of the inverse of the matrix of corners: (weight / depth) of each corner is linear over the picture.
        ea0, ea1, ea2 = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        eb0, eb1, eb2 = cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax
        ec0, ec1, ec2 = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        volume = ax * ea0 + ay * ea1 + az * ea2
        if abs(volume) < 1e-6:
            continue
        inverse = 1.0 / volume
        has_cut = cut_a > 0 or cut_b > 0 or cut_c > 0
        for y in range(y0, y1 + 1):
            wa = (ea0 * x0 + ea1 * y + ea2) * inverse
            wb = (eb0 * x0 + eb1 * y + eb2) * inverse
            wc = (ec0 * x0 + ec1 * y + ec2) * inverse
            for x in range(x0, x1 + 1):
                if wa >= 0 and wb >= 0 and wc >= 0:
                    near = wa + wb + wc
                    if nearness[y, x] < near < 1.0 / NEAR_MM:
                        ia, ib = wa / near, wb / near
                        if not has_cut or ia * cut_a + ib * cut_b + (1 - ia - ib) * cut_c <= 0:
                            nearness[y, x] = near
                            face[y, x] = index
                            first[y, x] = ia
                            second[y, x] = ib
                wa += ea0 * inverse
                wb += eb0 * inverse
                wc += ec0 * inverse


def depth_map(points: Array, faces: NDArray[np.int32], size: int) -> NDArray[np.float32]:
    """Largest third coordinate (size, size) of triangles seen along it; points (V, 3) are columns, rows, height."""
    heights = np.full((size, size), -1e9, np.float32)
    _fill_heights(np.asarray(points, np.float32), faces, heights)
    return heights


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _fill_heights(points, faces, heights):  # type: ignore[no-untyped-def]
    size = len(heights)
    for index in range(len(faces)):
        a, b, c = faces[index]
        xa, ya, xb, yb, xc, yc = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        x0, x1 = _span(min(xa, xb, xc), max(xa, xb, xc), size)
        y0, y1 = _span(min(ya, yb, yc), max(ya, yb, yc), size)
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if x0 > x1 or y0 > y1 or abs(area) < 1e-9:
            continue
        inverse = 1.0 / area
        za = points[a, 2]
        rise_b, rise_c = points[b, 2] - za, points[c, 2] - za
        step_b, step_c = (yc - ya) * inverse, (ya - yb) * inverse
        for y in range(y0, y1 + 1):
            wb = ((x0 - xa) * (yc - ya) - (xc - xa) * (y - ya)) * inverse
            wc = ((xb - xa) * (y - ya) - (x0 - xa) * (yb - ya)) * inverse
            for x in range(x0, x1 + 1):
                if wb >= 0 and wc >= 0 and wb + wc <= 1:
                    height = za + wb * rise_b + wc * rise_c
                    if height > heights[y, x]:
                        heights[y, x] = height
                wb += step_b
                wc += step_c
