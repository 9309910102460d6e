"""Put a posed person into the scene: skin with a face, garments made from the body's helper meshes, shoes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.body import Posed, Shape, load_body, skin_points
from headstart.synth.colour import scaled
from headstart.synth.hair import add_hair
from headstart.synth.material import Material, Palette
from headstart.synth.mesh import MeshBuilder, some_corner
from headstart.synth.outfit import Outfit
from headstart.synth.tailor import Measures, helper, measures, rest_normals, waves
from headstart.synth.texture import TextureSet

#: A garment hides the skin that lies deeper than this inside it.
_HIDDEN_MM = 30.0
_ARM_MM, _LEG_MM = 280.0, 430.0


@dataclass(frozen=True)
class Person:
    """One dressed person, posed."""

    shape: Shape
    posed: Posed
    outfit: Outfit
    owner: int


def _top_cut(outfit: Outfit, at: Measures) -> NDArray[np.float32]:
    """mm outside the top, of every vertex: positive where there is none."""
    trunk = np.maximum(outfit.top_hem - at.height, at.height - outfit.neckline)
    neck_width = np.where(at.head, 200.0, trunk)
    sleeve = (at.arm - outfit.sleeve) * _ARM_MM
    return np.where(at.arm > -0.5, sleeve, neck_width).astype(np.float32)


def _bottom_cut(outfit: Outfit, at: Measures) -> NDArray[np.float32]:
    leg = np.where(at.leg > -0.5, (at.leg - outfit.trouser) * _LEG_MM, -500.0)
    return np.where(at.arm > -0.5, 500.0, np.maximum(at.height - outfit.waist, leg)).astype(np.float32)


def _foot_cut(limit: float, at: Measures) -> NDArray[np.float32]:
    return np.where(at.leg > -0.5, (limit - at.leg) * _LEG_MM, 500.0).astype(np.float32)


def _face_tint(outfit: Outfit, rng: np.random.Generator) -> NDArray[np.float32]:
    """Colour (V, 3) that multiplies the skin: lips, nails, brows, beard, eyes."""
    asset, at = load_body(), measures()
    points = asset.mean[: asset.vertices]
    tint = np.ones((asset.vertices, 3), np.float32)
    lips, nails, ears = asset.masks.T
    tint *= 1 + lips[:, None] * (np.array([rng.uniform(0.85, 1.25), 0.55, 0.6]) - 1)
    tint *= 1 + nails[:, None] * 0.15 + ears[:, None] * np.array([0.05, -0.06, -0.06])
    hair = np.minimum(np.array(outfit.hair) / np.array(outfit.skin), 1.0)
    brow = at.head & (np.abs(points[:, 2] - 789 - 0.1 * np.abs(points[:, 0])) < 6) & (points[:, 1] < -105)
    tint[brow & (np.abs(np.abs(points[:, 0]) - 32) < 21)] *= 0.25 + 0.75 * hair
    chin = at.head & (points[:, 2] < 712 - 0.25 * (points[:, 1] + 160)) & (points[:, 2] > 640) & (points[:, 1] < -45)
    beard = (chin * outfit.beard * (1 - lips))[:, None]
    return (tint * (1 - beard * (1 - hair))).astype(np.float32)


def _add_skin(
    builder: MeshBuilder,
    palette: Palette,
    textures: TextureSet,
    person: Person,
    hidden: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    asset, at, outfit = load_body(), measures(), person.outfit
    piece = helper("body")
    shown = some_corner(~hidden, piece.faces)
    faces = piece.faces[shown]
    tint = _face_tint(outfit, rng)
    skin = palette.add(
        Material(
            outfit.skin,
            scaled(outfit.skin, 0.9),
            texture=textures.pick(rng, "skin"),
            period_m=0.35,
            grain=0.5,
            sheen=float(rng.uniform(0.02, 0.1)),
            gloss=12,
        )
    )
    material = np.full(len(faces), skin, np.int32)
    if outfit.gloves:
        material[at.hand[faces].all(1)] = palette.add(outfit.hat)
    points, rest = person.posed.vertices, asset.mean[: asset.vertices]
    count = int(faces.max()) + 1
    builder.add(
        points[:count],
        faces,
        material,
        pattern=rest[:count],
        tint=tint[:count],
        part=piece.part[shown],
        owner=person.owner,
        axis=piece.axis[shown],
    )
    _add_eyes(builder, palette, person, rng)


def _add_eyes(builder: MeshBuilder, palette: Palette, person: Person, rng: np.random.Generator) -> None:
    asset = load_body()
    white = palette.add(Material((0.55, 0.52, 0.5), sheen=0.2, gloss=40))
    iris = (
        np.array([(0.05, 0.03, 0.02), (0.08, 0.15, 0.25), (0.07, 0.1, 0.05)][rng.choice(3, p=[0.65, 0.2, 0.15])]) / 0.5
    )
    for name in ("left_eye", "right_eye"):
        faces = asset.faces[name]
        low, high = int(faces.min()), int(faces.max()) + 1
        points = asset.mean[low:high]
        front = points[:, 1] < points[:, 1].min() + 3.0
        tint = np.where(front[:, None], iris, 1.0)
        builder.add(
            person.posed.vertices[low:high], faces - low, white, pattern=points, tint=tint, part=0, owner=person.owner
        )


def _add_layer(builder: MeshBuilder, material: int, person: Person, name: str, offset: Array, cut: Array) -> None:
    """A helper mesh of the body, moved outwards by ``offset`` (N,) mm at rest and skinned; ``cut`` (N,) mm."""
    piece = helper(name)
    kept = some_corner(cut <= 0, piece.faces)
    rest = person.shape.rest[piece.rows] + rest_normals(person.shape.rest, piece) * offset[:, None]
    builder.add(
        skin_points(rest, piece.rows, person.posed.transforms),
        piece.faces[kept],
        material,
        pattern=load_body().mean[piece.rows],
        cut=cut,
        part=piece.part[kept],
        axis=piece.axis[kept],
        owner=person.owner,
    )


def _hang(slack: float, fall: Array, rng: np.random.Generator, points: Array) -> NDArray[np.float32]:
    """How far cloth stands off (N,) mm: it lies on shoulders and hips (``fall`` 0), hangs free below (1)."""
    folds = 1 + 0.3 * waves(rng, points * (1, 1, 0.5), 190)
    return np.maximum(2.5 + slack * fall * folds, 2.0).astype(np.float32)


def _top_fall(at: Measures) -> NDArray[np.float32]:
    on_arm = 0.25 + 0.35 * np.clip(at.arm, 0, 1)
    return np.where(at.arm > -0.5, on_arm, np.clip((480 - at.height) / 330, 0.03, 1)).astype(np.float32)


def _bottom_fall(at: Measures) -> NDArray[np.float32]:
    return np.where(at.leg > -0.5, 0.3 + 0.7 * np.clip(at.leg / 1.2, 0, 1), 0.2).astype(np.float32)


def _rows(at: Measures, rows: NDArray[np.int64]) -> Measures:
    return Measures(**{name: getattr(at, name)[rows] for name in Measures.__dataclass_fields__})


def _add_shoes(builder: MeshBuilder, palette: Palette, person: Person, limit: float) -> None:
    """Shoes: the feet of the tights with a level sole, the lower edge in the sole's colour."""
    piece, at = helper("tights"), measures()
    cut = _foot_cut(limit, at)[piece.rows]
    kept = some_corner(cut <= 0, piece.faces)
    normals = rest_normals(person.shape.rest, piece)
    rest = person.shape.rest[piece.rows] + normals * 8.0
    floor = rest[:, 2].min()
    sole = (rest[:, 2] < floor + 32) & at.foot[piece.rows]
    rest[sole & (normals[:, 2] < 0.25), 2] = floor - 6
    tint = np.where(sole[:, None], np.array(person.outfit.socks.first) / np.array(person.outfit.shoes.first), 1.0)
    builder.add(
        skin_points(rest, piece.rows, person.posed.transforms),
        piece.faces[kept],
        palette.add(person.outfit.shoes),
        pattern=load_body().mean[piece.rows],
        tint=np.clip(tint, 0.1, 8),
        cut=cut,
        part=piece.part[kept],
        axis=piece.axis[kept],
        owner=person.owner,
    )


def _add_skirt(builder: MeshBuilder, material: int, person: Person, hem: float, rng: np.random.Generator) -> None:
    piece, at = helper("skirt"), measures()
    height = at.height[piece.rows]
    folds = 1 + 0.6 * waves(rng, load_body().mean[piece.rows] * (1, 1, 0.1), 120)
    fall = np.clip((100 - height) / 500, 0, 1)
    _add_layer(
        builder,
        material,
        person,
        "skirt",
        10 + person.outfit.slack_bottom * fall * folds,
        (hem - height).astype(np.float32),
    )


def add_person(
    builder: MeshBuilder, palette: Palette, textures: TextureSet, person: Person, rng: np.random.Generator
) -> None:
    """Everything of one person into the scene."""
    outfit, at = person.outfit, measures()
    tights = helper("tights")
    points, here = load_body().mean[tights.rows], _rows(at, tights.rows)
    top, bottom = _top_cut(outfit, at), _bottom_cut(outfit, at)
    hidden = bottom < -_HIDDEN_MM
    if outfit.sleeve > 0:
        hidden |= top < -_HIDDEN_MM
        cut = top[tights.rows]
        offset = _hang(outfit.slack_top, _top_fall(here), rng, points) + 3.0
        _add_layer(builder, palette.add(outfit.top), person, "tights", offset, cut)
    if outfit.shoe is not None:
        hidden |= _foot_cut(outfit.shoe, at) < -_HIDDEN_MM
        _add_shoes(builder, palette, person, outfit.shoe)
        sock = _foot_cut(min(outfit.sock, outfit.shoe), at)[tights.rows]
        _add_layer(builder, palette.add(outfit.socks), person, "tights", np.full(len(points), 1.5, np.float32), sock)
    cut = bottom[tights.rows]
    _add_layer(
        builder,
        palette.add(outfit.bottom),
        person,
        "tights",
        _hang(outfit.slack_bottom, _bottom_fall(here), rng, points),
        cut,
    )
    if outfit.skirt_hem is not None:
        _add_skirt(builder, palette.add(outfit.bottom), person, outfit.skirt_hem, rng)
    _add_skin(builder, palette, textures, person, hidden, rng)
    add_hair(builder, palette, textures, person.shape, person.posed, outfit, person.owner, rng)
