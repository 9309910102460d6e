"""Light of a place: sun and sky, an overcast day, lamps and windows, or the spots of a hall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.synth.body import Posed
from headstart.synth.light import Lights
from headstart.synth.rotation import unit
from headstart.synth.scene import extent, joint


def _warm(rng: np.random.Generator, spread: float) -> NDArray[np.float64]:
    shift = rng.normal(0, spread)
    return np.exp(np.array([shift, 0.15 * shift, -shift]))


#: Joint -> radius in mm of the body around it; between two joints of a limb lies a third ball.
_BALLS = {"pelvis": 125.0, "spine": 120.0, "thorax": 120.0, "nose": 85.0} | {
    f"{side}_{joint}": radius
    for side in ("left", "right")
    for joint, radius in (("shoulder", 60.0), ("elbow", 45.0), ("wrist", 40.0), ("knee", 62.0), ("ankle", 62.0))
}
_LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))


def _shading_balls(posed: Posed) -> NDArray[np.float32]:
    """Balls (K, 4) mm inside the body, see ``Lights``."""
    balls = [[*joint(posed, name), radius] for name, radius in _BALLS.items()]
    for side in ("left", "right"):
        for upper, lower in _LIMBS:
            ends = joint(posed, f"{side}_{upper}"), joint(posed, f"{side}_{lower}")
            balls.append([*((ends[0] + ends[1]) / 2), 70.0 if upper == "hip" else 46.0])
    return np.array(balls, np.float32)


def draw_light(rng: np.random.Generator, indoor: bool, posed: Posed, hall: bool = False) -> Lights:
    """Sun and sky, an overcast day, lamps and windows (``indoor``), or spots in a dark ``hall``."""
    low, high = extent(posed)
    azimuth, height = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(35, 85) if indoor else rng.uniform(12, 75))
    sun = np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])
    other = rng.uniform(0, 2 * np.pi)
    strength = (
        rng.uniform(0.2, 1.3)
        if indoor
        else float(rng.choice([rng.uniform(0, 0.35), rng.uniform(1.2, 3.2)], p=[0.4, 0.6]))
    )
    if hall:
        strength = rng.uniform(0.8, 2.5)
    sky = (
        (rng.uniform(0.1, 0.4) if hall else rng.uniform(0.3, 0.8))
        * _warm(rng, 0.12)
        * (1 if indoor else np.array([0.88, 1.0, 1.18]))
    )
    return Lights(
        sun_direction=sun,
        sun_colour=strength * _warm(rng, 0.12) * np.array([1.06, 1.0, 0.9]),
        softness=float(rng.uniform(25, 140) if indoor else rng.uniform(5, 25) + (80 if strength < 0.4 else 0)),
        fill_direction=unit([np.cos(other), np.sin(other), rng.uniform(0, 0.8)]),
        fill_colour=rng.uniform(0, 0.4) * _warm(rng, 0.15),
        sky_colour=sky,
        bounce_colour=sky * rng.uniform(0.25, 0.7),
        centre=(low + high) / 2,
        reach_mm=float(np.linalg.norm(high - low)) * 0.75 + 450,
        shading_balls=_shading_balls(posed),
    )
