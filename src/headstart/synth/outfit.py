"""A person, and what they wear: cuts, colours and cloths, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.synth.body import Posed, Shape
from headstart.synth.colour import cloth_colour, hair_colour, scaled, skin_colour
from headstart.synth.material import Colour, Material
from headstart.synth.texture import TextureSet

#: How often each cloth is worn.
_CLOTHS = {
    "weave": 0.62,
    "print": 0.14,
    "stripes": 0.08,
    "plaid": 0.04,
    "denim": 0.04,
    "floral": 0.03,
    "camouflage": 0.02,
    "dots": 0.02,
    "graffiti": 0.01,
}


@dataclass(frozen=True)
class Outfit:
    """Lengths are limb coordinates (1 elbow or knee, 2 wrist or ankle), heights mm above the hips."""

    skin: Colour
    hair: Colour
    sleeve: float
    """Length of the sleeves; below 0 the chest is bare."""
    top_hem: float
    neckline: float
    trouser: float
    waist: float
    skirt_hem: float | None
    shoe: float | None
    """Limb coordinate where the shoe ends; None barefoot."""
    sock: float
    gloves: bool
    slack_top: float
    """How loose the top hangs, mm."""
    slack_bottom: float
    hair_style: str
    """bald, short, long, tail, cap, beanie or helmet."""
    hair_volume: float
    beard: float
    """0..1."""
    top: Material
    bottom: Material
    shoes: Material
    socks: Material
    hat: Material
    """Also what gloves are made of."""


@dataclass(frozen=True)
class Person:
    """One dressed person, posed."""

    shape: Shape
    posed: Posed
    outfit: Outfit
    owner: int
    """``mesh.SUBJECT`` or ``mesh.OTHER_PERSON``."""


def cloth(rng: np.random.Generator, textures: TextureSet, plain: float = 0.0) -> Material:
    """A random cloth; ``plain`` is the chance that it has no pattern."""
    names, odds = list(_CLOTHS), np.array(list(_CLOTHS.values()))
    role = "weave" if rng.random() < plain else names[rng.choice(len(names), p=odds / odds.sum())]
    first = cloth_colour(rng)
    if role in ("weave", "denim"):
        second, third = scaled(first, rng.uniform(0.7, 1.3)), scaled(first, 1.5)
    else:
        second, third = cloth_colour(rng), cloth_colour(rng)
    # A print shows once on the chest: its repeat is as wide as the trunk, its middle on the breastbone.
    period, offset = (
        (0.46, (0.5, 0.5 + 0.40 / 0.46)) if role == "print" else (float(rng.uniform(0.12, 0.7)), (0.0, 0.0))
    )
    return Material(
        first,
        second,
        third,
        texture=textures.pick(rng, role),
        period_m=period,
        offset=offset,
        grain=float(rng.uniform(0.2, 0.7)),
        sheen=0.0 if rng.random() < 0.6 else float(rng.uniform(0.02, 0.12)),
        bump=textures.pick(rng, "folds"),
        bump_period_m=float(rng.uniform(0.35, 0.8)),
        bump_strength=float(rng.uniform(0.3, 1.3)),
    )


def _bottom_length(rng: np.random.Generator) -> float:
    low, high = [(0.22, 0.5), (0.5, 0.95), (1.1, 1.6), (1.85, 2.02)][rng.choice(4, p=[0.3, 0.25, 0.07, 0.38])]
    return float(rng.uniform(low, high))


def _sleeve_length(rng: np.random.Generator, woman: bool) -> float:
    if not woman and rng.random() < 0.09:
        return -1.0
    low, high = [(0.05, 0.2), (0.35, 0.85), (1.0, 1.6), (1.85, 2.0)][rng.choice(4, p=[0.32, 0.38, 0.06, 0.24])]
    return float(rng.uniform(low, high))


def _hair_style(rng: np.random.Generator, woman: bool) -> str:
    styles = ("bald", "short", "long", "tail", "cap", "beanie", "helmet")
    odds = (0.0, 0.2, 0.34, 0.36, 0.04, 0.03, 0.03) if woman else (0.1, 0.62, 0.05, 0.02, 0.11, 0.06, 0.04)
    return str(rng.choice(styles, p=odds))


def draw_outfit(rng: np.random.Generator, textures: TextureSet, woman: bool) -> Outfit:
    """Random clothes for one person, from sportswear to street clothes."""
    tight = bool(rng.random() < (0.6 if woman else 0.25))
    slack_top = float(rng.uniform(2, 6) if tight else rng.uniform(8, 34))
    slack_bottom = float(rng.uniform(1, 5) if tight else rng.uniform(6, 30))
    top, bottom = cloth(rng, textures), cloth(rng, textures, plain=0.75)
    suit = bool(rng.random() < (0.35 if woman else 0.1))
    skirted = bool(rng.random() < (0.13 if woman else 0.005))
    shoe_colour = cloth_colour(rng)
    shoes = Material(
        shoe_colour,
        cloth_colour(rng),
        scaled(shoe_colour, 1.4),
        textures.pick(rng, "graffiti", "weave"),
        0.25,
        sheen=0.06,
    )
    plain = Material(cloth_colour(rng), texture=textures.pick(rng, "weave"), period_m=0.3, bump=-1)
    return Outfit(
        skin=skin_colour(rng),
        hair=hair_colour(rng),
        sleeve=_sleeve_length(rng, woman),
        top_hem=float(rng.uniform(35, 75) if rng.random() < 0.7 else rng.uniform(80, 200)),
        neckline=float(rng.uniform(515, 572)),
        trouser=_bottom_length(rng),
        waist=float(rng.uniform(60, 130)),
        skirt_hem=float(rng.uniform(-650, -160)) if skirted else None,
        shoe=None
        if rng.random() < 0.25
        else float(rng.uniform(1.9, 1.97) if rng.random() < 0.75 else rng.uniform(1.6, 1.88)),
        sock=float(rng.choice([2.2, 1.85, 1.5], p=[0.5, 0.35, 0.15])),
        gloves=bool(rng.random() < 0.06),
        slack_top=slack_top,
        slack_bottom=slack_bottom,
        hair_style=_hair_style(rng, woman),
        hair_volume=float(rng.uniform(5, 30)),
        beard=0.0 if woman else float(max(0.0, rng.uniform(-1.2, 1.0))),
        top=top,
        bottom=top if suit else bottom,
        shoes=shoes,
        socks=Material(cloth_colour(rng), texture=textures.pick(rng, "stripes", "weave"), period_m=0.2),
        hat=plain,
    )
