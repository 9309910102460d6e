"""Put a posed body on level ground, on its soles, its hands or the whole body, in balance."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.affine import transformed
from headstart.synth.body import Posed, load_body
from headstart.synth.rotation import Z, about, cross, swing

_CONTACT_MM = 35.0
_SETTLING_STEPS = 12


@lru_cache(maxsize=1)
def _sampled_rows() -> NDArray[np.int64]:
    """Every seventh vertex of the naked body: enough for contact and balance."""
    return np.arange(0, load_body().naked_vertices, 7)


def moved(posed: Posed, rotation: Array, translation: Array) -> Posed:
    """The posed body after a rigid motion: rotation (3, 3), then translation (3,) mm."""
    vertices = transformed(posed.vertices, rotation, translation).astype(np.float32)
    transforms = np.einsum("ij,bjk->bik", rotation, posed.transforms)
    transforms[:, :, 3] += translation
    return replace(posed, vertices=vertices, joints=posed.joints @ rotation.T + translation, transforms=transforms)


def balanced(posed: Posed, keep: float = 0.25) -> Posed:
    """Turn the whole body until its centre is above its support; a share ``keep`` of its lean remains."""
    points = posed.vertices[_sampled_rows()].astype(np.float64)
    lowest = points[points[:, 2] < points[:, 2].min() + 60].mean(0)
    lean = points.mean(0) - lowest
    if lean[2] < 150:
        return posed
    upright = lean * (keep, keep, 1.0)
    return moved(posed, swing(lean, upright), np.zeros(3))


def settled(posed: Posed) -> Posed:
    """Let the body roll on level ground until its centre lies over what touches it."""
    points = posed.vertices[_sampled_rows()].astype(np.float64)
    turn = np.eye(3)
    for _ in range(_SETTLING_STEPS):
        now = transformed(points, turn)
        touching = now[now[:, 2] < now[:, 2].min() + _CONTACT_MM, :2]
        pull = now.mean(0)[:2] - np.clip(now.mean(0)[:2], touching.min(0), touching.max(0))
        distance = float(np.hypot(*pull))
        if distance < 15:
            break
        turn = about(cross(Z, [*pull, 0.0]), min(0.12, distance / 1000)) @ turn
    return moved(posed, turn, np.zeros(3))


def on_level(posed: Posed, height_mm: float = 0.0, sink: float = 0.0) -> Posed:
    """Centred over the origin, lowest point at ``height_mm``; a share ``sink`` of the skin may sink in."""
    points = posed.vertices[_sampled_rows()]
    low = float(np.quantile(points[:, 2], sink))
    return moved(posed, np.eye(3), np.array([-points[:, 0].mean(), -points[:, 1].mean(), height_mm - low]))


def point_at(posed: Posed, heading: float) -> Posed:
    """Turned about the vertical by ``heading`` radians."""
    return moved(posed, about(Z, heading), np.zeros(3))
