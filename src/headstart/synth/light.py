"""Light of a scene: a sun or lamp with shadows, a fill light, and a sky that reaches only what it sees."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.affine import transformed
from headstart.synth.mesh import Mesh, some_corner
from headstart.synth.raster import depth_map
from headstart.synth.rotation import cross, unit

_SKY_DIRECTIONS = 7
_SKY_SIZE, _NEAR_SIZE, _FAR_SIZE = 112, 384, 256


@dataclass(frozen=True)
class Lights:
    """Colours are linear RGB strengths; directions point towards the light."""

    sun_direction: NDArray[np.float64]
    sun_colour: NDArray[np.float64]
    softness: float
    """Radius of the shadow's blur in mm."""
    fill_direction: NDArray[np.float64]
    fill_colour: NDArray[np.float64]
    sky_colour: NDArray[np.float64]
    """What comes from above."""
    bounce_colour: NDArray[np.float64]
    """What comes from below."""
    centre: NDArray[np.float64]
    """(3,) mm: middle of what casts shadows."""
    reach_mm: float
    """Shadows are sharp within this distance of the centre, coarse within five times it."""
    shading_balls: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """(K, 4) mm, centre and radius: approximate the body where it hides the sky from surfaces close to it."""


@dataclass(frozen=True)
class LightMaps:
    """Depth maps along each light; ``matrices`` take world mm to columns, rows and height of a map."""

    near: NDArray[np.float32]
    near_matrix: NDArray[np.float32]
    far: NDArray[np.float32]
    far_matrix: NDArray[np.float32]
    sky: NDArray[np.float32]
    """(K, S, S)."""
    sky_matrices: NDArray[np.float32]
    """(K, 3, 4)."""
    sky_directions: NDArray[np.float32]
    """(K, 3)."""


def _along(direction: Array, centre: Array, reach: float, size: int) -> NDArray[np.float64]:
    """(3, 4) world mm -> columns, rows, height in mm, looking against ``direction``."""
    direction = unit(direction)
    across = unit(cross([0.0, 0, 1] if abs(direction[2]) < 0.99 else [1.0, 0, 0], direction))
    up = cross(direction, across)
    scale = size / (2 * reach)
    linear = np.stack([across * scale, up * scale, direction])
    offset = np.array([size / 2, size / 2, 0.0])
    offset[:2] -= linear[:2] @ centre
    return np.concatenate([linear, offset[:, None]], 1)


def _map(mesh: Mesh, faces: NDArray[np.int32], matrix: Array, size: int) -> NDArray[np.float32]:
    return depth_map(transformed(mesh.vertices, matrix[:, :3], matrix[:, 3], np.float32), faces, size)


def sky_directions(rng: np.random.Generator) -> NDArray[np.float64]:
    """Directions (K, 3) spread over the upper half sphere, turned at random."""
    index = np.arange(_SKY_DIRECTIONS) + 0.5
    height = index / _SKY_DIRECTIONS * 0.9 + 0.08
    azimuth = index * 2.39996 + rng.uniform(0, 2 * np.pi)
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(azimuth), ring * np.sin(azimuth), height], 1)


def cast_light(mesh: Mesh, lights: Lights, rng: np.random.Generator) -> LightMaps:
    """Depth maps of everything that casts shadows, seen from the sun (sharp and coarse) and from the sky."""
    solid = mesh.faces[mesh.casts & some_corner(mesh.cut <= 0, mesh.faces)]
    centre, reach = lights.centre, lights.reach_mm
    near = _along(lights.sun_direction, centre, reach, _NEAR_SIZE)
    far = _along(lights.sun_direction, centre, reach * 5, _FAR_SIZE)
    directions = sky_directions(rng)
    sky = np.stack([_along(direction, centre, reach, _SKY_SIZE) for direction in directions])
    return LightMaps(
        near=_map(mesh, solid, near, _NEAR_SIZE),
        near_matrix=near.astype(np.float32),
        far=_map(mesh, solid, far, _FAR_SIZE),
        far_matrix=far.astype(np.float32),
        sky=np.stack([_map(mesh, solid, matrix, _SKY_SIZE) for matrix in sky]),
        sky_matrices=sky.astype(np.float32),
        sky_directions=directions.astype(np.float32),
    )
