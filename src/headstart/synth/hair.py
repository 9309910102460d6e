"""Hair and hats: shells over the scalp, long hair from the body's helper mesh, tails and brims."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.body import PARTS, load_body, skin_points
from headstart.synth.colour import scaled
from headstart.synth.layer import add_layer
from headstart.synth.material import Material
from headstart.synth.outfit import Outfit, Person
from headstart.synth.primitives import ball
from headstart.synth.stage import Stage
from headstart.synth.tailor import helper, measures, waves
from headstart.synth.texture import TextureSet

_HEAD = PARTS.index("head")
#: Hat -> its edge above the hairline and how far it stands off the scalp, mm.
_HATS = {"cap": (14.0, 10.0), "beanie": (-4.0, 9.0), "helmet": (-2.0, 26.0)}


def _add_on_head(
    stage: Stage, person: Person, material: int, rest: Array, faces: NDArray[np.integer], pattern: Array
) -> None:
    """A piece of rest points (N, 3) mm that moves with the head."""
    rows = np.full(len(rest), load_body().landmarks["head_top"])
    points = skin_points(rest, rows, person.posed.transforms)
    stage.builder.add(points, faces, material, pattern=pattern, part=_HEAD, owner=person.owner)


def _add_tail(stage: Stage, person: Person, material: int, rng: np.random.Generator) -> None:
    """A tail or a bun at the back of the head, made of balls at rest."""
    head = person.shape.heads[load_body().bone("head")]
    back = person.shape.rest[helper("scalp").rows]
    start = np.array([0.0, back[:, 1].max() + 10, head[2] + rng.uniform(20, 90)])
    bun = rng.random() < 0.35
    for step in range(1 if bun else 5):
        radius = 38.0 if bun else 30.0 - 3 * step
        centre = start + step * np.array([rng.normal(0, 5), 14 - 6 * step, -38.0])
        points, faces = ball(rng, radius * np.array([1, 1, 1.0 if bun else 1.7]), 0.12)
        _add_on_head(stage, person, material, points + centre, faces, pattern=points)


def _add_brim(stage: Stage, person: Person, material: int, rng: np.random.Generator) -> None:
    """The peak of a cap: half a disc, forward or backward."""
    scalp = person.shape.rest[helper("scalp").rows]
    width, level = 0.9 * (scalp[:, 0].max()), scalp[:, 2].max() - 72
    sign = -1.0 if rng.random() < 0.8 else 1.0
    edge = scalp[:, 1].min() + 22 if sign < 0 else scalp[:, 1].max() - 30
    angle = np.linspace(0, np.pi, 9)
    rim = np.stack([width * np.cos(angle), edge + sign * 75 * np.sin(angle), level - 10 * np.sin(angle)], 1)
    points = np.concatenate([[[0.0, edge, level + 8]], rim])
    fan = np.array([[0, k, k + 1] for k in range(1, 9)], np.int32)
    _add_on_head(stage, person, material, points, fan, pattern=points)


def _add_long_hair(stage: Stage, person: Person, material: int, rng: np.random.Generator) -> None:
    """Hair that falls over neck and shoulders."""
    piece = helper("hair")
    points = load_body().mean[piece.rows]
    cut = (rng.uniform(430, 670) - points[:, 2] + 8 * waves(rng, points, 60)).astype(np.float32)
    add_layer(stage, person, piece, material, np.full(len(points), 4.0, np.float32), cut)


def _add_hat(stage: Stage, person: Person, rng: np.random.Generator) -> None:
    scalp, hat = helper("scalp"), stage.palette.add(person.outfit.hat)
    edge, thickness = _HATS[person.outfit.hair_style]
    cut = (edge - measures().hairline[scalp.rows]).astype(np.float32)
    add_layer(stage, person, scalp, hat, np.full(len(cut), thickness, np.float32), cut)
    if person.outfit.hair_style == "cap":
        _add_brim(stage, person, hat, rng)


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


def _add_scalp_hair(stage: Stage, person: Person, rng: np.random.Generator) -> int:
    """Hair close to the scalp, with a ragged edge; returns its material."""
    scalp, outfit = helper("scalp"), person.outfit
    above, points = measures().hairline[scalp.rows], load_body().mean[scalp.rows]
    ragged = above + 5 * waves(rng, points, 28) + 7 * waves(rng, points, 70)
    material = stage.palette.add(_hair_material(stage.textures, outfit, rng))
    volume = outfit.hair_volume * (0.6 if outfit.hair_style == "tail" else 0.25 if outfit.hair_style in _HATS else 1.0)
    lumps = np.clip(above / 35, 0.12, 1) * (1 + 0.25 * waves(rng, points, 60))
    add_layer(stage, person, scalp, material, (2 + volume * lumps).astype(np.float32), -ragged)
    return material


def add_hair(stage: Stage, person: Person, rng: np.random.Generator) -> None:
    """The outfit's hair style or hat on the posed head."""
    style = person.outfit.hair_style
    if style == "bald":
        return
    hair = _add_scalp_hair(stage, person, rng)
    if style == "long":
        _add_long_hair(stage, person, hair, rng)
    elif style == "tail":
        _add_tail(stage, person, hair, rng)
    elif style in _HATS:
        _add_hat(stage, person, rng)
