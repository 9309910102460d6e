"""Toes and heels: points of the skin at the ends of the foot, where people see them in photographs, in shoes or not.

``big_toe`` and ``small_toe`` are the foremost points of the first and the fifth toe, ``heel`` the corner between the
back of the heel and the sole. In a shoe they lie some 10 mm under its surface.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headstart.skeleton import FEET
from headstart.synth.body import Posed, load_body

_FORWARD, _BACK_AND_DOWN = (0, -1, 0), (0, 4, -3)
#: The bone that carries the point, and the direction in which it is the outermost, of the body at rest.
_OUTERMOST = {
    "big_toe": ("toe1-2", _FORWARD),
    "small_toe": ("toe5-3", _FORWARD),
    "heel": ("foot", _BACK_AND_DOWN),
}


@lru_cache(maxsize=1)
def foot_vertices() -> tuple[int, ...]:
    """Vertices of the naked body that mark the six joints of ``skeleton.FEET``, found on the mean body."""
    asset = load_body()
    points, bone_of = asset.mean[: asset.naked_vertices], asset.weight_bones[: asset.naked_vertices, 0]
    found = []
    for joint in FEET:
        side, _, part = joint.partition("_")
        bone, direction = _OUTERMOST[part]
        carried = np.flatnonzero(bone_of == asset.bone(f"{bone}.{side[0].upper()}"))
        found.append(int(carried[np.argmax(points[carried] @ np.array(direction, np.float32))]))
    return tuple(found)


def foot_points(posed: Posed) -> NDArray[np.float64]:
    """Toes and heels (6, 3) mm of a posed body, in the order of ``skeleton.FEET``."""
    return posed.vertices[list(foot_vertices())].astype(np.float64)
