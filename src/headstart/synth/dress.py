"""Put a posed person into the scene: skin with a face, garments made from the body's helper meshes, shoes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.body import PARTS, load_body
from headstart.synth.colour import scaled
from headstart.synth.hair import add_hair
from headstart.synth.layer import add_layer, add_shaped_layer
from headstart.synth.material import Material
from headstart.synth.mesh import some_corner
from headstart.synth.outfit import Outfit, Person
from headstart.synth.stage import Stage
from headstart.synth.tailor import Measures, helper, measures, rest_normals, waves

#: A garment hides the skin that lies deeper than this inside it.
_HIDDEN_MM = 30.0
_ARM_MM, _LEG_MM = 280.0, 430.0


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


def _add_skin(stage: Stage, person: Person, hidden: NDArray[np.bool_], rng: np.random.Generator) -> None:
    asset, at, outfit = load_body(), measures(), person.outfit
    piece = helper("body")
    shown = some_corner(~hidden, piece.faces)
    faces = piece.faces[shown]
    tint = _face_tint(outfit, rng)
    skin = stage.palette.add(
        Material(
            outfit.skin,
            scaled(outfit.skin, 0.9),
            texture=stage.textures.pick(rng, "skin"),
            period_m=0.35,
            grain=0.5,
            sheen=float(rng.uniform(0.02, 0.1)),
            gloss=12,
        )
    )
    material = np.full(len(faces), skin, np.int32)
    if outfit.gloves:
        material[at.hand[faces].all(1)] = stage.palette.add(outfit.hat)
    points, rest = person.posed.vertices, asset.mean[: asset.vertices]
    count = int(faces.max()) + 1
    stage.builder.add(
        points[:count],
        faces,
        material,
        pattern=rest[:count],
        tint=tint[:count],
        part=piece.part[shown],
        owner=person.owner,
        axis=piece.axis[shown],
    )
    _add_eyes(stage, person, rng)


def _add_eyes(stage: Stage, person: Person, rng: np.random.Generator) -> None:
    asset, head = load_body(), PARTS.index("head")
    white = stage.palette.add(Material((0.55, 0.52, 0.5), sheen=0.2, gloss=40))
    iris = (
        np.array([(0.05, 0.03, 0.02), (0.08, 0.15, 0.25), (0.07, 0.1, 0.05)][rng.choice(3, p=[0.65, 0.2, 0.15])]) / 0.5
    )
    for name in ("left_eye", "right_eye"):
        faces = asset.faces[name]
        low, high = int(faces.min()), int(faces.max()) + 1
        points, posed = asset.mean[low:high], person.posed.vertices[low:high]
        front = points[:, 1] < points[:, 1].min() + 3.0
        tint = np.where(front[:, None], iris, 1.0)
        stage.builder.add(posed, faces - low, white, pattern=points, tint=tint, part=head, owner=person.owner)


def _hang(slack: float, fall: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """How far the tights stand off (N,) mm: they lie on shoulders and hips (``fall`` 0), hang free below (1)."""
    points = load_body().mean[helper("tights").rows]
    folds = 1 + 0.3 * waves(rng, points * (1, 1, 0.5), 190)
    return np.maximum(2.5 + slack * fall * folds, 2.0).astype(np.float32)


def _top_fall(at: Measures) -> NDArray[np.float32]:
    on_arm = 0.25 + 0.35 * np.clip(at.arm, 0, 1)
    return np.where(at.arm > -0.5, on_arm, np.clip((480 - at.height) / 330, 0.03, 1)).astype(np.float32)


def _bottom_fall(at: Measures) -> NDArray[np.float32]:
    return np.where(at.leg > -0.5, 0.3 + 0.7 * np.clip(at.leg / 1.2, 0, 1), 0.2).astype(np.float32)


def _add_top(stage: Stage, person: Person, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The top; returns which vertices (V,) of the skin it hides."""
    tights, outfit, at = helper("tights"), person.outfit, measures()
    cut = _top_cut(outfit, at)
    offset = _hang(outfit.slack_top, _top_fall(at)[tights.rows], rng) + 3.0
    add_layer(stage, person, tights, stage.palette.add(outfit.top), offset, cut[tights.rows])
    return cut < -_HIDDEN_MM


def _add_bottom(stage: Stage, person: Person, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Shorts or trousers; returns which vertices (V,) of the skin they hide."""
    tights, outfit, at = helper("tights"), person.outfit, measures()
    cut = _bottom_cut(outfit, at)
    offset = _hang(outfit.slack_bottom, _bottom_fall(at)[tights.rows], rng)
    add_layer(stage, person, tights, stage.palette.add(outfit.bottom), offset, cut[tights.rows])
    return cut < -_HIDDEN_MM


def _add_footwear(stage: Stage, person: Person, limit: float) -> NDArray[np.bool_]:
    """Shoes that end at the limb coordinate ``limit``, and socks; returns which vertices (V,) of the skin they hide."""
    tights, outfit, at = helper("tights"), person.outfit, measures()
    cut = _foot_cut(limit, at)
    _add_shoes(stage, person, cut[tights.rows])
    sock = _foot_cut(min(outfit.sock, limit), at)[tights.rows]
    offset = np.full(len(tights.rows), 1.5, np.float32)
    add_layer(stage, person, tights, stage.palette.add(outfit.socks), offset, sock)
    return cut < -_HIDDEN_MM


def _add_shoes(stage: Stage, person: Person, cut: Array) -> None:
    """Shoes: the feet of the tights with a level sole, the lower edge in the sole's colour."""
    tights, outfit = helper("tights"), person.outfit
    normals = rest_normals(person.shape.rest, tights)
    rest = person.shape.rest[tights.rows] + normals * 8.0
    floor = rest[:, 2].min()
    sole = (rest[:, 2] < floor + 32) & measures().foot[tights.rows]
    rest[sole & (normals[:, 2] < 0.25), 2] = floor - 6
    tint = np.where(sole[:, None], np.array(outfit.socks.first) / np.array(outfit.shoes.first), 1.0)
    material = stage.palette.add(outfit.shoes)
    add_shaped_layer(stage, person, tights, material, rest, cut, tint=np.clip(tint, 0.1, 8))


def _add_skirt(stage: Stage, person: Person, hem: float, rng: np.random.Generator) -> None:
    skirt, outfit = helper("skirt"), person.outfit
    height = measures().height[skirt.rows]
    folds = 1 + 0.6 * waves(rng, load_body().mean[skirt.rows] * (1, 1, 0.1), 120)
    offset = 10 + outfit.slack_bottom * np.clip((100 - height) / 500, 0, 1) * folds
    cut = (hem - height).astype(np.float32)
    add_layer(stage, person, skirt, stage.palette.add(outfit.bottom), offset, cut)


def _add_clothes(stage: Stage, person: Person, rng: np.random.Generator) -> NDArray[np.bool_]:
    """All garments; returns which vertices (V,) of the skin they hide."""
    outfit = person.outfit
    hidden = np.zeros(load_body().vertices, np.bool_)
    if outfit.sleeve > 0:
        hidden |= _add_top(stage, person, rng)
    if outfit.shoe is not None:
        hidden |= _add_footwear(stage, person, outfit.shoe)
    hidden |= _add_bottom(stage, person, rng)
    if outfit.skirt_hem is not None:
        _add_skirt(stage, person, outfit.skirt_hem, rng)
    return hidden


def add_person(stage: Stage, person: Person, rng: np.random.Generator) -> None:
    """Everything of one person into the scene.

    ``rng`` draws what the outfit leaves open, such as folds. It is not the stage's: a subject of the studio must look
    the same in every scene.
    """
    hidden = _add_clothes(stage, person, rng)
    _add_skin(stage, person, hidden, rng)
    add_hair(stage, person, rng)
