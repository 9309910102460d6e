"""Affine maps of many points, computed on one thread in a fixed order.

Numpy multiplies matrices with a BLAS library, whose rounding depends on its number of threads; pictures must not.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array, Camera


def transformed(
    points: Array, linear: Array, offset: Array | None = None, dtype: type[np.floating] = np.float64
) -> NDArray[Any]:
    """``linear`` (M, K) @ each point (N, K), plus ``offset`` (M,): (N, M) of ``dtype``."""
    shift = np.zeros(len(linear)) if offset is None else np.asarray(offset, np.float64)
    out = np.empty((len(points), len(linear)), dtype)
    _transform(np.ascontiguousarray(points), np.ascontiguousarray(linear, np.float64), shift, out)
    return out


@numba.njit(cache=True, error_model="numpy")
def _transform(points, linear, offset, out):  # type: ignore[no-untyped-def]
    if linear.shape[1] == 3:
        for index in range(len(points)):
            x, y, z = points[index, 0], points[index, 1], points[index, 2]
            for row in range(len(linear)):
                out[index, row] = offset[row] + linear[row, 0] * x + linear[row, 1] * y + linear[row, 2] * z
        return
    for index in range(len(points)):
        for row in range(len(linear)):
            total = offset[row]
            for column in range(linear.shape[1]):
                total += linear[row, column] * points[index, column]
            out[index, row] = total


def bounds(points: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimum and maximum (K,) of each coordinate of points (N, K); ten times as fast as numpy for small K."""
    low, high = np.full(points.shape[1], np.inf), np.full(points.shape[1], -np.inf)
    _widen(points, low, high)
    return low, high


@numba.njit(cache=True, error_model="numpy")
def _widen(points, low, high):  # type: ignore[no-untyped-def]
    for index in range(len(points)):
        for axis in range(points.shape[1]):
            low[axis] = min(low[axis], points[index, axis])
            high[axis] = max(high[axis], points[index, axis])


def seen_from(camera: Camera, points: Array) -> NDArray[np.float64]:
    """World points (N, 3) mm in camera axes."""
    return transformed(points, camera.rotation, camera.translation_mm)


@numba.njit(cache=True, error_model="numpy")
def _combine(weights, rows, out):  # type: ignore[no-untyped-def]
    for number in range(len(weights)):
        weight = weights[number]
        for index in range(len(out)):
            out[index] += weight * rows[number, index]


def combined(weights: Array, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighted sum (N,) of rows (K, N)."""
    out = np.zeros(rows.shape[1], np.float32)
    _combine(np.asarray(weights, np.float32), rows, out)
    return out
