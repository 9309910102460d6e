"""Twenty controls that pose the body's 104 bones.

A pose is one rotation per control, relative to the parent control, in the body's rest axes (z up, facing -y). A
control turns one bone or is spread over a chain of them: the spine bends along its length, and limbs twist along
theirs, as forearms do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.skeleton import mirrored_name
from headstart.synth.body import load_body
from headstart.synth.rotation import about, cross, fraction, twist_angle, unit

_LIMB = ("clavicle", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
_LIMB_BONE = {
    "clavicle": "clavicle",
    "upper_arm": "upperarm01",
    "forearm": "lowerarm01",
    "hand": "wrist",
    "thigh": "upperleg01",
    "shin": "lowerleg01",
    "foot": "foot",
}
CONTROLS = (
    *("root", "belly", "waist", "chest", "neck", "head"),
    *(f"{side}_{limb}" for side in ("left", "right") for limb in _LIMB),
)
#: The first bone of each control.
RIG_BONE = {
    "root": "root",
    "belly": "spine05",
    "waist": "spine03",
    "chest": "spine01",
    "neck": "neck01",
    "head": "head",
    **{
        f"{side}_{limb}": f"{bone}.{side[0].upper()}" for side in ("left", "right") for limb, bone in _LIMB_BONE.items()
    },
}
#: Bones that share a control's turn in equal parts.
_CHAINS = {"belly": ("spine05", "spine04"), "waist": ("spine03", "spine02"), "neck": ("neck01", "neck02", "neck03")}


@dataclass(frozen=True)
class Pose:
    """Rotations (20, 3, 3) of :data:`CONTROLS`, and how far each hand is closed (0 flat, 1 fist; left, right)."""

    rotations: NDArray[np.float64]
    grip: tuple[float, float] = (0.3, 0.3)

    def __getitem__(self, control: str) -> NDArray[np.float64]:
        return self.rotations[CONTROLS.index(control)]


def make_pose(turns: Mapping[str, Array], grip: tuple[float, float] = (0.3, 0.3)) -> Pose:
    """A pose from named control rotations; the others rest."""
    rotations = np.tile(np.eye(3), (len(CONTROLS), 1, 1))
    for control, rotation in turns.items():
        rotations[CONTROLS.index(control)] = rotation
    return Pose(rotations, grip)


def mirrored(pose: Pose) -> Pose:
    """The pose with left and right exchanged."""
    flip = np.diag([-1.0, 1.0, 1.0])
    order = [CONTROLS.index(mirrored_name(control)) for control in CONTROLS]
    return Pose(flip @ pose.rotations[order] @ flip, pose.grip[::-1])


@dataclass(frozen=True)
class Limb:
    """Rest geometry of an arm or leg of the mean body: unit directions of both segments, hinge axis, rest bend."""

    upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    hinge: NDArray[np.float64]
    bend: float


@lru_cache(maxsize=8)
def rest_limb(side: str, limb: str) -> Limb:
    """``limb`` is arm or leg; ``side`` left or right."""
    names = {"arm": ("upperarm01", "lowerarm01", "wrist"), "leg": ("upperleg01", "lowerleg01", "foot")}[limb]
    start, middle, end = (rest_head(f"{name}.{side[0].upper()}") for name in names)
    upper, lower = unit(middle - start), unit(end - middle)
    hinge = unit(cross(upper, lower)) if limb == "arm" else np.array([1.0, 0, 0])
    return Limb(upper, lower, hinge, float(np.arccos(np.clip(upper @ lower, -1, 1))))


def rest_head(bone: str) -> NDArray[np.float64]:
    """Head (3,) mm of a bone of the mean body."""
    asset = load_body()
    return asset.mean[asset.vertices + asset.bone(bone)].astype(np.float64)


def bone_rotations(pose: Pose) -> NDArray[np.float64]:
    """(104, 3, 3) rotations of the bones, relative to their parents, in rest axes."""
    asset = load_body()
    rotations = np.tile(np.eye(3), (len(asset.bones), 1, 1))
    for control in CONTROLS:
        chain = _CHAINS.get(control, (RIG_BONE[control],))
        share = pose[control] if len(chain) == 1 else fraction(pose[control], 1 / len(chain))
        for bone in chain:
            rotations[asset.bone(bone)] = share
    for side in ("left", "right"):
        _spread_twists(rotations, pose, side)
        _curl_fingers(rotations, pose.grip[side == "right"], side[0].upper())
    return rotations


def _spread_twists(rotations: NDArray[np.float64], pose: Pose, side: str) -> None:
    """Share the twist of a limb between its bones, so that the skin is not wrung at the joint."""
    asset, end = load_body(), side[0].upper()
    for control, first, second, axis in (
        ("upper_arm", "upperarm01", "upperarm02", rest_limb(side, "arm").upper),
        ("thigh", "upperleg01", "upperleg02", rest_limb(side, "leg").upper),
    ):
        half = about(axis, twist_angle(pose[f"{side}_{control}"], axis) / 2)
        rotations[asset.bone(f"{first}.{end}")] = pose[f"{side}_{control}"] @ half.T
        rotations[asset.bone(f"{second}.{end}")] = half
    axis = rest_limb(side, "arm").lower
    part = about(axis, 0.6 * twist_angle(pose[f"{side}_hand"], axis))
    rotations[asset.bone(f"lowerarm02.{end}")] = part
    rotations[asset.bone(f"wrist.{end}")] = part.T @ pose[f"{side}_hand"]


@lru_cache(maxsize=2)
def _finger_axis(end: str) -> NDArray[np.float64]:
    """Axis about which the fingers of one hand close."""
    index, little = rest_head(f"finger2-1.{end}"), rest_head(f"finger5-1.{end}")
    forward = unit((index + little) / 2 - rest_head(f"wrist.{end}"))
    palm = cross(unit(little - index), forward)
    palm = palm * np.sign(palm @ (rest_head(f"finger1-3.{end}") - (index + little) / 2))
    return unit(cross(forward, palm))


def _curl_fingers(rotations: NDArray[np.float64], grip: float, end: str) -> None:
    asset, axis = load_body(), _finger_axis(end)
    for finger in (2, 3, 4, 5):
        for joint, degrees in ((1, 60.0), (2, 80.0), (3, 45.0)):
            turn = about(axis, np.deg2rad(degrees * grip * (0.85 + 0.07 * finger)))
            rotations[asset.bone(f"finger{finger}-{joint}.{end}")] = turn
    rotations[asset.bone(f"finger1-2.{end}")] = about(axis, np.deg2rad(25 * grip))
    rotations[asset.bone(f"finger1-3.{end}")] = about(axis, np.deg2rad(40 * grip))
