"""From joints in pixels to millimetres, for pictures without measurements.

A picture does not show how large a person is. Headstart assumes a stature and scales the body to it by its long bones:
the lengths of thighs, shanks, upper arms, forearms and trunk (mid-hips to mid-shoulders) are fractions of stature, from
Drillis and Contini (1966) as in Winter, "Biomechanics and Motor Control of Human Movement" (2009), figure 4.1. Each
bone is weighted by the confidence of its less certain end, and left out if the network does not have both ends. Without
a camera weak perspective is assumed (x, y and z have one scale). With a camera joints lie on their rays, and the
distance follows from the stature.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError
from headstart.geometry import Camera
from headstart.skeleton import Skeleton, conversion

Values = NDArray[np.float64]

#: mm; between the mean statures of women and men worldwide (1.59 and 1.71 m, NCD-RisC 2016) and of Europe.
DEFAULT_HEIGHT_MM = 1700.0

#: Fractions of stature between joint centres (Winter 2009, figure 4.1: heights of ankle 0.039, knee 0.285, hip 0.530
#: and shoulder 0.818; upper arm 0.186, forearm 0.146).
BONE_FRACTIONS: dict[tuple[str, str], float] = {
    **{(f"{side}_hip", f"{side}_knee"): 0.245 for side in ("left", "right")},
    **{(f"{side}_knee", f"{side}_ankle"): 0.246 for side in ("left", "right")},
    **{(f"{side}_shoulder", f"{side}_elbow"): 0.186 for side in ("left", "right")},
    **{(f"{side}_elbow", f"{side}_wrist"): 0.146 for side in ("left", "right")},
}
TRUNK_FRACTION = 0.288

#: (joints whose mean is one end, joints of the other end) -> fraction, with the trunk.
_BONES: dict[tuple[tuple[str, ...], tuple[str, ...]], float] = {
    **{((first,), (second,)): fraction for (first, second), fraction in BONE_FRACTIONS.items()},
    (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")): TRUNK_FRACTION,
}

# No joint is nearer to the camera than this share of the pelvis' distance, however wrong its depth.
_NEAREST = 0.05
_PELVIS = Skeleton("pelvis", ("pelvis",))


class Lifted(NamedTuple):
    """One pose in mm, camera axes."""

    relative_mm: Values
    """(J, 3), pelvis at the origin."""
    camera_mm: Values | None
    """(J, 3), camera at the origin; None without a camera."""


def lift(
    pixels: Values, confidence: Values, skeleton: Skeleton, height_mm: float, camera: Camera | None = None
) -> Lifted:
    """Joints (J, 3), x, y and relative depth in image px, to mm for a person of ``height_mm``.

    ``confidence`` (J,) in 0..1. Depth in px is depth in mm times the person's px per mm at the pelvis. Without a pelvis
    in the skeleton the origin is the middle of the hips, or else of all joints. Raises :class:`ConfigError` for a
    skeleton without any of the long bones.
    """
    if camera is None:
        centred = pixels - pelvis_of(pixels, skeleton)
        return Lifted(centred * mm_per_unit(centred, confidence, skeleton, height_mm), None)
    focal_length = (camera.fx + camera.fy) / 2
    # z over the pelvis' z: px per mm at the pelvis is the focal length over its distance.
    depth = np.maximum(1 + (pixels[:, 2] - pelvis_of(pixels, skeleton)[2]) / focal_length, _NEAREST)
    # Lengths on the rays are proportional to the pelvis' distance, so one division gives that distance.
    unit = camera.unproject(pixels[:, :2], depth)
    absolute = unit * mm_per_unit(unit, confidence, skeleton, height_mm)
    return Lifted(absolute - pelvis_of(absolute, skeleton), absolute)


def mm_per_unit(points: Values, confidence: Values, skeleton: Skeleton, height_mm: float) -> float:
    """Factor from the unit of ``points`` (J, 3) to mm: the weighted sum of its bones becomes that of ``height_mm``."""
    known = {ends: fraction for ends, fraction in _BONES.items() if {*ends[0], *ends[1]} <= {*skeleton.names}}
    if not known:
        raise ConfigError(f"joints {', '.join(skeleton.names)}: expected both ends of a limb, to scale it to a stature")
    ends = [(skeleton.indices(first), skeleton.indices(second)) for first, second in known]
    lengths = [np.linalg.norm(points[first].mean(0) - points[second].mean(0)) for first, second in ends]
    # If all confidences are about 0, bones are weighted equally.
    share = np.maximum([confidence[first + second].min() for first, second in ends], 1e-3)
    return height_mm * float(share @ np.array([*known.values()])) / max(float(share @ np.array(lengths)), 1e-9)


def pelvis_of(points: Values, skeleton: Skeleton) -> Values:
    """The pelvis (D,) of points (J, D), or the middle of the hips, or else of all joints."""
    share = np.asarray(conversion(skeleton, _PELVIS), np.float64)[0]
    return share @ points if share.any() else points.mean(0)
