"""Hair and hats: shells over the scalp, long hair from the body's helper mesh, tails and brims."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.body import Posed, Shape, load_body, skin_points
from headstart.synth.colour import scaled
from headstart.synth.material import Material, Palette
from headstart.synth.mesh import MeshBuilder, some_corner
from headstart.synth.outfit import Outfit
from headstart.synth.primitives import ball
from headstart.synth.tailor import helper, measures, rest_normals, waves
from headstart.synth.texture import TextureSet

_HEAD_PART = 0


def _shell(shape: Shape, posed: Posed, offset: NDArray[np.float32]) -> NDArray[np.float32]:
    piece = helper("scalp")
    rest = shape.rest[piece.rows] + rest_normals(shape.rest, piece) * offset[:, None]
    return skin_points(rest, piece.rows, posed.transforms)


def _on_head(points: Array, posed: Posed) -> NDArray[np.float32]:
    """Rest points (N, 3) that move with the head."""
    row = load_body().landmarks["head_top"]
    return skin_points(points, np.full(len(points), row), posed.transforms)


def _add_shell(
    builder: MeshBuilder, material: int, shape: Shape, posed: Posed, owner: int, offset: NDArray[np.float32], cut: Array
) -> None:
    piece = helper("scalp")
    kept = some_corner(cut <= 0, piece.faces)
    pattern = load_body().mean[piece.rows]
    builder.add(
        _shell(shape, posed, offset),
        piece.faces[kept],
        material,
        pattern=pattern,
        cut=cut,
        part=_HEAD_PART,
        owner=owner,
        axis=piece.axis[kept],
    )


def _add_tail(
    builder: MeshBuilder, material: int, shape: Shape, posed: Posed, owner: int, rng: np.random.Generator
) -> None:
    """A tail or a bun at the back of the head, made of balls at rest."""
    head = shape.heads[load_body().bone("head")]
    back = shape.rest[helper("scalp").rows]
    start = np.array([0.0, back[:, 1].max() + 10, head[2] + rng.uniform(20, 90)])
    bun = rng.random() < 0.35
    for step in range(1 if bun else 5):
        radius = 38.0 if bun else 30.0 - 3 * step
        centre = start + step * np.array([rng.normal(0, 5), 14 - 6 * step, -38.0])
        points, faces = ball(rng, radius * np.array([1, 1, 1.0 if bun else 1.7]), 0.12)
        builder.add(_on_head(points + centre, posed), faces, material, pattern=points, part=_HEAD_PART, owner=owner)


def _add_brim(
    builder: MeshBuilder, material: int, shape: Shape, posed: Posed, owner: int, rng: np.random.Generator
) -> None:
    """The peak of a cap: half a disc, forward or backward."""
    scalp = shape.rest[helper("scalp").rows]
    width, level = 0.9 * (scalp[:, 0].max()), scalp[:, 2].max() - 72
    sign = -1.0 if rng.random() < 0.8 else 1.0
    edge = scalp[:, 1].min() + 22 if sign < 0 else scalp[:, 1].max() - 30
    angle = np.linspace(0, np.pi, 9)
    rim = np.stack([width * np.cos(angle), edge + sign * 75 * np.sin(angle), level - 10 * np.sin(angle)], 1)
    points = np.concatenate([[[0.0, edge, level + 8]], rim])
    fan = np.array([[0, k, k + 1] for k in range(1, 9)], np.int32)
    builder.add(_on_head(points, posed), fan, material, pattern=points, part=_HEAD_PART, owner=owner)


def _hair_material(textures: TextureSet, outfit: Outfit, rng: np.random.Generator) -> Material:
    return Material(
        outfit.hair,
        scaled(outfit.hair, 1.9),
        scaled(outfit.hair, 2.6),
        texture=textures.pick(rng, "strands"),
        period_m=float(rng.uniform(0.12, 0.25)),
        sheen=float(rng.uniform(0.02, 0.1)),
        gloss=14,
        bump=textures.pick(rng, "rough"),
        bump_period_m=0.1,
        bump_strength=1.5,
    )


def add_hair(
    builder: MeshBuilder,
    palette: Palette,
    textures: TextureSet,
    shape: Shape,
    posed: Posed,
    outfit: Outfit,
    owner: int,
    rng: np.random.Generator,
) -> None:
    """The outfit's hair style or hat on the posed head."""
    style = outfit.hair_style
    if style == "bald":
        return
    above = measures().hairline[helper("scalp").rows]
    points = load_body().mean[helper("scalp").rows]
    ragged = above + 5 * waves(rng, points, 28) + 7 * waves(rng, points, 70)
    hair = palette.add(_hair_material(textures, outfit, rng))
    volume = outfit.hair_volume * (0.6 if style == "tail" else 0.25 if style in ("cap", "beanie", "helmet") else 1.0)
    lumps = np.clip(above / 35, 0.12, 1) * (1 + 0.25 * waves(rng, points, 60))
    _add_shell(builder, hair, shape, posed, owner, (2 + volume * lumps).astype(np.float32), -ragged)
    if style == "long":
        piece = helper("hair")
        height = load_body().mean[piece.rows, 2]
        cut = (rng.uniform(430, 670) - height + 8 * waves(rng, load_body().mean[piece.rows], 60)).astype(np.float32)
        kept = some_corner(cut <= 0, piece.faces)
        rest = shape.rest[piece.rows] + rest_normals(shape.rest, piece) * 4.0
        strands = skin_points(rest, piece.rows, posed.transforms)
        pattern = load_body().mean[piece.rows]
        builder.add(strands, piece.faces[kept], hair, pattern=pattern, cut=cut, part=_HEAD_PART, owner=owner)
    elif style == "tail":
        _add_tail(builder, hair, shape, posed, owner, rng)
    elif style in ("cap", "beanie", "helmet"):
        hat = palette.add(outfit.hat)
        edge = {"cap": 14.0, "beanie": -4.0, "helmet": -2.0}[style]
        thickness = {"cap": 10.0, "beanie": 9.0, "helmet": 26.0}[style]
        offset = np.full(len(points), thickness, np.float32)
        _add_shell(builder, hat, shape, posed, owner, offset, (edge - above).astype(np.float32))
        if style == "cap":
            _add_brim(builder, hat, shape, posed, owner, rng)
