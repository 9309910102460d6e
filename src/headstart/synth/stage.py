"""A scene under construction, to which people and things are added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headstart.synth.colour import earth_colour, leaf_colour, scaled, thing_colour
from headstart.synth.material import Material, Palette
from headstart.synth.mesh import MeshBuilder
from headstart.synth.primitives import turned
from headstart.synth.texture import TextureSet


@dataclass(frozen=True)
class Stage:
    """A scene under construction. World axes in mm, z up; the ground is at height ``ground``."""

    builder: MeshBuilder
    palette: Palette
    textures: TextureSet
    rng: np.random.Generator
    ground: float

    def material(self, *roles: str, earthy: bool = False) -> int:
        """A random material for walls and things, with a texture of one of the roles or none."""
        rng = self.rng
        first = earth_colour(rng) if earthy else thing_colour(rng)
        plain = not roles or rng.random() < 0.3
        return self.palette.add(
            Material(
                first,
                scaled(first, rng.uniform(0.4, 1.2)) if earthy or rng.random() < 0.6 else thing_colour(rng),
                earth_colour(rng),
                texture=self.textures.pick(rng, "plaster") if plain else self.textures.pick(rng, *roles),
                period_m=float(rng.uniform(0.5, 2.5)),
                offset=(float(rng.random()), float(rng.random())),
                grain=float(rng.uniform(0.3, 1)),
                sheen=0.0 if rng.random() < 0.7 else float(rng.uniform(0.02, 0.2)),
            )
        )

    def leaves(self) -> int:
        """A random foliage."""
        colour = leaf_colour(self.rng)
        return self.palette.add(
            Material(
                colour,
                scaled(colour, 0.35),
                scaled(colour, 1.5),
                texture=self.textures.pick(self.rng, "leaves"),
                period_m=float(self.rng.uniform(0.4, 1.2)),
                bump=self.textures.pick(self.rng, "rough"),
                bump_period_m=0.5,
                bump_strength=2.5,
            )
        )

    def put(self, solid: tuple[NDArray, NDArray], at: ArrayLike, yaw: float, material: int) -> None:
        """Add a solid, turned about the vertical by ``yaw`` radians and moved to ``at`` (3,) mm."""
        points, faces = solid
        self.builder.add(turned(points, yaw) + np.asarray(at), faces, material, pattern=points)
