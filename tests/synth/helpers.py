"""Independent geometry for the tests: winding numbers and a plain ray caster, nothing shared with the generator."""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True)
def _winding(points, corners, out):
    for index in range(len(points)):
        px, py, pz = points[index, 0], points[index, 1], points[index, 2]
        total = 0.0
        for face in range(len(corners)):
            ax, ay, az = corners[face, 0, 0] - px, corners[face, 0, 1] - py, corners[face, 0, 2] - pz
            bx, by, bz = corners[face, 1, 0] - px, corners[face, 1, 1] - py, corners[face, 1, 2] - pz
            cx, cy, cz = corners[face, 2, 0] - px, corners[face, 2, 1] - py, corners[face, 2, 2] - pz
            la = np.sqrt(ax * ax + ay * ay + az * az)
            lb = np.sqrt(bx * bx + by * by + bz * bz)
            lc = np.sqrt(cx * cx + cy * cy + cz * cz)
            det = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
            ab, bc, ca = ax * bx + ay * by + az * bz, bx * cx + by * cy + bz * cz, cx * ax + cy * ay + cz * az
            total += np.arctan2(det, la * lb * lc + ab * lc + bc * la + ca * lb)
        out[index] = total / (2 * np.pi)


def winding_numbers(points, corners):
    """How often the surface of triangles (F, 3, 3) winds around each point (N, 3): 0 outside, 1 inside."""
    out = np.zeros(len(points))
    _winding(np.asarray(points, np.float64), np.asarray(corners, np.float64), out)
    return out


def first_hit(origin, direction, corners, cut):
    """Nearest triangle on a ray and its distance in units of ``direction`` (Moeller and Trumbore); (-1, inf) for none.

    ``cut`` (F, 3): a triangle exists only where the interpolated value is at most 0.
    """
    edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = np.cross(direction, edge_2)
    det = (edge_1 * p).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = origin - corners[:, 0]
        u = (t * p).sum(1) / det
        q = np.cross(t, edge_1)
        v = (q @ direction) / det
        distance = (edge_2 * q).sum(1) / det
        exists = (1 - u - v) * cut[:, 0] + u * cut[:, 1] + v * cut[:, 2] <= 0
        good = (np.abs(det) > 1e-9) & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0.01) & exists
    if not good.any():
        return -1, np.inf
    distance = np.where(good, distance, np.inf)
    return int(np.argmin(distance)), float(distance.min())
