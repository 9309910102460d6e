"""Shapes that things are made of: boxes, cylinders, balls, quads. Vertices (V, 3) mm and faces (F, 3)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.synth.rotation import unit

Solid = tuple[NDArray[np.float64], NDArray[np.int32]]


@lru_cache(maxsize=1)
def _unit_box() -> Solid:
    """A cube of side 1 about the origin; every face has its own corners, so that edges stay sharp."""
    points, faces = [], []
    for axis in range(3):
        for sign in (-0.5, 0.5):
            first, second = [k for k in range(3) if k != axis]
            for a, b in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
                corner = np.zeros(3)
                corner[axis], corner[first], corner[second] = sign, a, b
                points.append(corner)
            # Corners run against the clock as seen from outside.
            a, b, c, d = range(len(points) - 4, len(points))
            outward = (sign > 0) != (axis == 1)
            faces += [(a, b, c), (a, c, d)] if outward else [(c, b, a), (d, c, a)]
    return np.array(points), np.array(faces, np.int32)


def box(size: ArrayLike) -> Solid:
    """A box of the given size (3,) standing on the origin."""
    points, faces = _unit_box()
    return (points + np.array([0, 0, 0.5])) * np.asarray(size, np.float64), faces


def cylinder(
    start: ArrayLike, end: ArrayLike, radius: float, end_radius: float | None = None, sides: int = 10
) -> Solid:
    """A cylinder or cone between two points, closed at both ends."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = unit(last - first)
    across = unit(np.cross(axis, [0.0, 0, 1] if abs(axis[2]) < 0.9 else [1.0, 0, 0]))
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(axis, across)
    points = np.concatenate([first + radius * ring, last + (radius if end_radius is None else end_radius) * ring])
    k, after = np.arange(sides), (np.arange(sides) + 1) % sides
    side = np.concatenate([np.stack([k, after, sides + after], 1), np.stack([k, sides + after, sides + k], 1)])
    caps = [np.stack([np.full(sides - 2, base), base + k[1:-1], base + k[2:]], 1) for base in (0, sides)]
    return points, np.concatenate([side, *caps]).astype(np.int32)


@lru_cache(maxsize=4)
def _unit_ball(rings: int, sides: int) -> Solid:
    polar = np.linspace(0, np.pi, rings + 1)[:, None]
    around = np.arange(sides)[None] * 2 * np.pi / sides
    points = np.stack(
        np.broadcast_arrays(np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)), -1
    )
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij"))
    a, b = i * sides + j, i * sides + (j + 1) % sides
    return points.reshape(-1, 3), np.concatenate(
        [np.stack([a, a + sides, b], 1), np.stack([b, a + sides, b + sides], 1)]
    ).astype(np.int32)


def ball(rng: np.random.Generator, radii: ArrayLike, lumps: float = 0.0, rings: int = 8, sides: int = 12) -> Solid:
    """An ellipsoid about the origin with radii (3,), lumpy by the share ``lumps``."""
    points, faces = _unit_ball(rings, sides)
    waves = np.sin(points @ rng.normal(0, 3.0, (3, 4)) + rng.uniform(0, 6.3, 4)).sum(1) / 2
    return points * (1 + lumps * waves)[:, None] * np.asarray(radii, np.float64), faces


def quad(
    corner: ArrayLike, along: ArrayLike, up: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]:
    """A parallelogram, and its own flat coordinates in mm: x along, z up, starting at the upper left."""
    at, right, rise = (np.asarray(vector, np.float64) for vector in (corner, along, up))
    points = np.stack([at, at + right, at + right + rise, at + rise])
    width, height = float(np.linalg.norm(right)), float(np.linalg.norm(rise))
    flat = np.array([[0, 0, -height], [width, 0, -height], [width, 0, 0], [0, 0, 0]], np.float64)
    return points, np.array([[0, 1, 2], [0, 2, 3]], np.int32), flat


def turned(points: ArrayLike, yaw: float) -> NDArray[np.float64]:
    """Points turned about the vertical."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    return np.asarray(points) @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1.0]])
