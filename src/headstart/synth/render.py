"""A scene to a picture in linear light, and which triangle each pixel shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Camera
from headstart.synth.light import LightMaps, Lights
from headstart.synth.mesh import SUBJECT, Mesh
from headstart.synth.raster import Samples, rasterise
from headstart.synth.shade import shade
from headstart.synth.texture import TextureSet

#: Samples a pixel along each axis.
SUPERSAMPLING = 2


@dataclass(frozen=True)
class Scene:
    """Everything but the camera."""

    mesh: Mesh
    materials: NDArray[np.float32]
    textures: TextureSet
    lights: Lights
    maps: LightMaps


@dataclass(frozen=True)
class Rendered:
    """A picture (H, W, 3) in linear light, not yet seen through a real lens."""

    linear: NDArray[np.float32]
    depth: NDArray[np.float32]
    """(H, W) mm, infinite where nothing is."""
    subject: NDArray[np.bool_]
    """(H, W): pixels that show the subject."""


def render(
    scene: Scene, camera: Camera, width: int, height: int, paint_behind: Callable[[], NDArray[np.float32]]
) -> Rendered:
    """The scene as ``camera`` sees it; ``paint_behind`` gives (height, width, 3) linear where nothing stands."""
    samples = rasterise(scene.mesh, camera, width, height, SUPERSAMPLING)
    open_view = bool((samples.face < 0).any())
    backdrop = paint_behind() if open_view else np.zeros((height, width, 3), np.float32)
    linear = shade(
        scene.mesh, scene.materials, scene.textures, scene.lights, scene.maps, camera, samples, backdrop, SUPERSAMPLING
    )
    nearest = np.maximum.reduce(_subgrids(samples.nearness))
    with np.errstate(divide="ignore"):
        depth = np.where(nearest > 0, 1 / nearest, np.inf).astype(np.float32)
    return Rendered(linear, depth, subject_mask(scene.mesh, samples))


def subject_mask(mesh: Mesh, samples: Samples) -> NDArray[np.bool_]:
    """Pixels (height, width) at least half of which show the subject."""
    mine = np.append(mesh.owner == SUBJECT, False)[samples.face].astype(np.uint8)
    return np.add.reduce(_subgrids(mine)) * 2 >= SUPERSAMPLING**2


def _subgrids(samples: NDArray) -> list[NDArray]:
    """The samples of every pixel as SUPERSAMPLING**2 pictures."""
    steps = range(SUPERSAMPLING)
    return [samples[row::SUPERSAMPLING, column::SUPERSAMPLING] for row in steps for column in steps]
