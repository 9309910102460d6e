"""Colours of people and things, in linear RGB."""

from __future__ import annotations

import colorsys

import numpy as np

from headstart.synth.material import Colour

#: Darkest to lightest hair, and grey, red and dyed ones.
_HAIR: tuple[tuple[float, Colour], ...] = (
    (0.34, (0.012, 0.010, 0.009)),
    (0.26, (0.045, 0.026, 0.016)),
    (0.15, (0.12, 0.065, 0.03)),
    (0.11, (0.32, 0.21, 0.09)),
    (0.08, (0.28, 0.27, 0.26)),
    (0.05, (0.20, 0.06, 0.02)),
    (0.01, (0.35, 0.05, 0.25)),
)


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Linear RGB of a colour given as it looks (display HSV)."""
    red, green, blue = (float(channel) ** 2.2 for channel in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    return red, green, blue


def cloth_colour(rng: np.random.Generator) -> Colour:
    """Black, white, grey, navy, denim and khaki half of the time, else anything."""
    kind = rng.random()
    if kind < 0.16:
        return from_hsv(rng.random(), rng.uniform(0, 0.2), rng.uniform(0.06, 0.2))
    if kind < 0.32:
        return from_hsv(rng.random(), rng.uniform(0, 0.08), rng.uniform(0.8, 0.97))
    if kind < 0.42:
        return from_hsv(rng.random(), rng.uniform(0, 0.1), rng.uniform(0.25, 0.7))
    if kind < 0.54:
        return from_hsv(rng.normal(0.61, 0.025), rng.uniform(0.3, 0.75), rng.uniform(0.15, 0.6))
    if kind < 0.6:
        return from_hsv(rng.normal(0.1, 0.02), rng.uniform(0.2, 0.5), rng.uniform(0.4, 0.8))
    return from_hsv(rng.random(), 0.2 + 0.75 * rng.beta(1.5, 1.5), rng.uniform(0.2, 0.9))


def earth_colour(rng: np.random.Generator, low: float = 0.2, high: float = 0.85) -> Colour:
    """What ground and walls are made of: mostly grey and brown."""
    hue = rng.normal(0.09, 0.03) if rng.random() < 0.7 else rng.random()
    return from_hsv(hue, rng.beta(1.2, 4.5), rng.uniform(low, high))


def thing_colour(rng: np.random.Generator) -> Colour:
    """Paint, plastic, wood: as dull as walls or as bright as toys."""
    if rng.random() < 0.6:
        return earth_colour(rng, 0.1, 0.95)
    return from_hsv(rng.random(), 0.2 + 0.7 * rng.beta(1.3, 1.6), rng.uniform(0.2, 0.85))


def leaf_colour(rng: np.random.Generator) -> Colour:
    """Grass and leaves, from fresh to dry."""
    return from_hsv(rng.normal(0.215, 0.035), rng.uniform(0.25, 0.62), rng.uniform(0.22, 0.55))


def skin_colour(rng: np.random.Generator) -> Colour:
    """From light to dark, some redder, some more yellow."""
    tone = rng.beta(1.1, 1.5)
    light, dark = np.array([0.70, 0.45, 0.34]), np.array([0.075, 0.036, 0.021])
    red, green, blue = np.exp(np.log(light) * (1 - tone) + np.log(dark) * tone) * rng.uniform(0.88, 1.1)
    return float(red * rng.uniform(0.95, 1.05)), float(green), float(blue * rng.uniform(0.88, 1.12))


def hair_colour(rng: np.random.Generator) -> Colour:
    """As frequent as among the people of sports photographs, roughly."""
    odds = np.array([share for share, _ in _HAIR])
    red, green, blue = np.array(_HAIR[rng.choice(len(_HAIR), p=odds / odds.sum())][1]) * rng.uniform(0.8, 1.4)
    return float(red), float(green), float(blue)


def scaled(colour: Colour, factor: float) -> Colour:
    """The colour, brighter or darker."""
    return min(colour[0] * factor, 0.98), min(colour[1] * factor, 0.98), min(colour[2] * factor, 0.98)
