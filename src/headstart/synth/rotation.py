"""Rotations: about an axis, between directions, decomposed into swing and twist. Matrices act on column vectors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.geometry import Array

X, Y, Z = np.eye(3)


def unit(vector: ArrayLike) -> NDArray[np.float64]:
    """The vector (N,) scaled to length 1; a zero vector stays."""
    return np.array(_scaled(_floats(vector)))


def cross(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Cross product of two vectors (3,); ten times as fast as ``numpy.cross``."""
    (a, b, c), (x, y, z) = _floats(first), _floats(second)
    return np.array([b * z - c * y, c * x - a * z, a * y - b * x])


def _floats(vector: ArrayLike) -> list[float]:
    return np.asarray(vector, np.float64).tolist()  # type: ignore[no-any-return]


def _scaled(vector: list[float]) -> list[float]:
    length = max(math.hypot(*vector), 1e-12)
    return [value / length for value in vector]


def about(axis: ArrayLike, radians: float) -> NDArray[np.float64]:
    """Rotation (3, 3) by ``radians`` about ``axis`` (3,) (Rodrigues)."""
    x, y, z = _scaled(_floats(axis))
    sine, cosine = math.sin(radians), math.cos(radians)
    rest = 1 - cosine
    return np.array(
        [
            [cosine + rest * x * x, rest * x * y - sine * z, rest * x * z + sine * y],
            [rest * x * y + sine * z, cosine + rest * y * y, rest * y * z - sine * x],
            [rest * x * z - sine * y, rest * y * z + sine * x, cosine + rest * z * z],
        ]
    )


def euler_degrees(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Rotation about x, then y, then z of the rotating axes."""
    return about(X, np.deg2rad(x)) @ about(Y, np.deg2rad(y)) @ about(Z, np.deg2rad(z))


def from_vector(vectors: Array) -> NDArray[np.float64]:
    """Rotation vectors (..., 3) in radians -> matrices (..., 3, 3)."""
    vectors = np.asarray(vectors, np.float64)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors / np.maximum(angle[..., 0], 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def to_vector(matrix: Array) -> NDArray[np.float64]:
    """Matrix (3, 3) -> rotation vector (3,) in radians. Within 1e-3 of pi the sign of the axis is arbitrary."""
    matrix = np.asarray(matrix, np.float64)
    axis = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    angle = np.arctan2(np.sqrt(axis @ axis), np.trace(matrix) - 1)
    if angle < np.pi - 1e-3:
        return unit(axis) * angle
    column = int(np.argmax(np.diag(matrix)))
    return unit(matrix[:, column] + np.eye(3)[column]) * angle


def fraction(matrix: Array, share: float) -> NDArray[np.float64]:
    """The rotation about the same axis by ``share`` of the angle."""
    vector = to_vector(matrix)
    return about(vector, share * math.hypot(*vector.tolist()))


def swing(start: Array, end: Array) -> NDArray[np.float64]:
    """The shortest rotation that takes direction ``start`` to direction ``end``."""
    start, end = unit(start), unit(end)
    axis = cross(start, end)
    length = math.hypot(*axis.tolist())
    if length < 1e-9:
        return np.eye(3) if start @ end > 0 else about(cross(start, [0.3, 0.5, 0.81]), np.pi)
    return about(axis, math.atan2(length, float(start @ end)))


def twist_angle(matrix: Array, axis: Array) -> float:
    """Twist of ``matrix`` about the unit ``axis`` in radians: what remains once its swing of that axis is undone."""
    rest = swing(axis, matrix @ axis).T @ matrix
    vector = np.array([rest[2, 1] - rest[1, 2], rest[0, 2] - rest[2, 0], rest[1, 0] - rest[0, 1]])
    return float(np.arctan2(axis @ vector, np.trace(rest) - 1))


def blend(first: Array, second: Array, share: float) -> NDArray[np.float64]:
    """Rotation ``share`` of the way from ``first`` to ``second``."""
    return np.asarray(first) @ fraction(np.asarray(first).T @ second, share)
