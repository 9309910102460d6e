"""Sets of procedural textures with their mipmaps, made from a seed once per process.

A texture is a repeating picture of 256 x 256: red and green are the weights of a material's second and third colour,
blue is grain around one half. Bump textures hold the slopes along x and y around one half in red and green.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.synth.pattern import BUMPS, SIZE, SURFACES
from headstart.synth.pattern_cloth import CLOTHS

_VARIANTS = 4


@dataclass(frozen=True)
class TextureSet:
    """All textures of one seed. ``starts[t, level]`` is the first texel of a level, ``sizes[level]`` its width."""

    texels: NDArray[np.uint8]
    """(N, 3)."""
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    roles: dict[str, tuple[int, ...]]
    """What a texture is good for -> numbers of textures."""

    def pick(self, rng: np.random.Generator, *roles: str) -> int:
        """A random texture of any of the roles."""
        numbers = [number for role in roles for number in self.roles[role]]
        return numbers[rng.integers(len(numbers))]

    def picture(self, number: int, level: int = 0) -> NDArray[np.uint8]:
        """The texture (256 >> level, 256 >> level, 3)."""
        start, size = self.starts[number, level], SIZE >> level
        return self.texels[start : start + size * size].reshape(size, size, 3)


def _levels(picture: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """The picture and its halvings down to 4 x 4."""
    levels = [picture]
    while len(levels[-1]) > 4:
        half = len(levels[-1]) // 2
        levels.append(np.asarray(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA), np.float32))
    return [(np.clip(level, 0, 1) * 255).astype(np.uint8) for level in levels]


@lru_cache(maxsize=3)
def load_textures(seed: int) -> TextureSet:
    """Every pattern in several variants; the same seed gives the same set."""
    makers: list[tuple[str, Callable]] = [
        (role, maker) for role, maker in (*SURFACES, *CLOTHS, *BUMPS) for _ in range(_VARIANTS)
    ]
    pictures = [_levels(maker(np.random.default_rng([seed, number]))) for number, (_, maker) in enumerate(makers)]
    lengths = np.array([[len(level) ** 2 for level in levels] for levels in pictures])
    starts = np.concatenate([[0], np.cumsum(lengths.ravel())[:-1]]).reshape(lengths.shape)
    texels = np.concatenate([level.reshape(-1, 3) for levels in pictures for level in levels])
    roles = {role: tuple(n for n, (other, _) in enumerate(makers) if other == role) for role, _ in makers}
    sizes = np.array([len(level) for level in pictures[0]], np.int64)
    return TextureSet(texels, starts.astype(np.int64), sizes, roles)
