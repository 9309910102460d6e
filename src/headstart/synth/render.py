"""A scene to a picture in linear light, and which triangle each pixel shows."""

from __future__ import annotations

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


def render(scene: Scene, camera: Camera, width: int, height: int, backdrop: NDArray[np.float32]) -> Rendered:
    """The scene as ``camera`` sees it, in front of ``backdrop`` (height, width, 3) linear."""
    samples = rasterise(scene.mesh, camera, width, height, SUPERSAMPLING)
    linear = shade(
        scene.mesh, scene.materials, scene.textures, scene.lights, scene.maps, camera, samples, backdrop, SUPERSAMPLING
    )
    nearest = samples.nearness.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING).max((1, 3))
    with np.errstate(divide="ignore"):
        depth = np.where(nearest > 0, 1 / nearest, np.inf).astype(np.float32)
    return Rendered(linear, depth, subject_mask(scene.mesh, samples, width, height))


def subject_mask(mesh: Mesh, samples: Samples, width: int, height: int) -> NDArray[np.bool_]:
    """Pixels (height, width) at least half of which show the subject."""
    owner = np.append(mesh.owner, 255)[samples.face]
    share = (owner == SUBJECT).reshape(height, SUPERSAMPLING, width, SUPERSAMPLING).mean((1, 3))
    return share >= 0.5
