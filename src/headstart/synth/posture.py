"""Draw poses from the table of postures: joint angles to control rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.synth.posture_table import FREE_ARMS, Arm, Leg, Posture, Range, load_postures
from headstart.synth.rig import CONTROLS, Pose, make_pose, mirrored, rest_limb
from headstart.synth.rotation import X, Y, Z, about, blend, cross, euler_degrees, from_vector, swing, unit

Turns = dict[str, NDArray[np.float64]]

#: How far the clavicle rises with a raised arm, and how far ankles bend to lay the sole flat.
_CLAVICLE_DEGREES, _ANKLE_DEGREES = 22.0, 40.0


def _draw(rng: np.random.Generator, ranges: tuple[Range, ...]) -> list[float]:
    return [float(rng.uniform(low, high)) for low, high in ranges]


def leg_turns(side: str, angles: list[float]) -> Turns:
    """Thigh, shin and foot of one leg; angles as in the table."""
    flexion, abduction, outward, knee, point = np.deg2rad(angles)
    sign = 1 if side == "left" else -1
    # The legs of the rest pose stand six degrees apart.
    thigh = about(X, -flexion) @ about(Y, -sign * (abduction - np.deg2rad(6))) @ about(Z, sign * outward)
    return {f"{side}_thigh": thigh, f"{side}_shin": about(X, knee), f"{side}_foot": about(X, point)}


def arm_turns(side: str, angles: list[float]) -> Turns:
    """Clavicle, upper arm and forearm of one arm; angles as in the table, directions in the chest's axes."""
    elevation, azimuth, flexion, swivel = np.deg2rad(angles)
    sign = 1 if side == "left" else -1
    out, forward, up = np.sin(elevation) * np.sin(azimuth), np.sin(elevation) * np.cos(azimuth), -np.cos(elevation)
    direction = np.array([sign * out, -forward, up])
    shoulder = about(Y, -sign * np.deg2rad(_CLAVICLE_DEGREES) * max(0.0, (up + 0.3) / 1.3))
    rest = rest_limb(side, "arm")
    hinge = _elbow_hinge(direction, sign, swivel)
    start = np.stack([rest.upper, rest.hinge, cross(rest.upper, rest.hinge)], 1)
    end = np.stack([direction, hinge, cross(direction, hinge)], 1)
    upper = shoulder.T @ end @ start.T
    return {
        f"{side}_clavicle": shoulder,
        f"{side}_upper_arm": upper,
        f"{side}_forearm": about(rest.hinge, flexion - rest.bend),
    }


def _elbow_hinge(direction: Array, sign: int, swivel: float) -> NDArray[np.float64]:
    """Axis of the elbow so that the forearm flexes forward, upward and inward, turned by ``swivel``."""
    towards = np.array([-0.5 * sign, -1.0, 0.7])
    towards = unit(towards - direction * (direction @ towards))
    return unit(cross(direction, about(direction, sign * swivel) @ towards))


def trunk_turns(trunk: list[float], nod: float, turn: float, tilt: float) -> Turns:
    """Spine, neck and head: (forward, sideways, twist) of the whole spine and the head's own three, in degrees."""
    shares = {"belly": 0.35, "waist": 0.4, "chest": 0.25}
    turns = {control: euler_degrees(*(share * angle for angle in trunk)) for control, share in shares.items()}
    return turns | {control: euler_degrees(nod / 2, tilt / 2, turn / 2) for control in ("neck", "head")}


def _free_arm(rng: np.random.Generator) -> Arm:
    weights = np.array([weight for weight, _ in FREE_ARMS])
    return FREE_ARMS[rng.choice(len(FREE_ARMS), p=weights / weights.sum())][1]


def _limbs(rng: np.random.Generator, posture: Posture) -> Turns:
    left_arm = posture.left_arm or _free_arm(rng)
    right_arm = posture.right_arm or (left_arm if posture.left_arm or rng.random() < 0.4 else _free_arm(rng))
    right_leg: Leg = posture.right_leg or posture.left_leg
    legs = _draw(rng, posture.left_leg), _draw(rng, right_leg)
    arms = _draw(rng, left_arm), _draw(rng, right_arm)
    if posture.together:
        legs = legs[0], [0.85 * a + 0.15 * b for a, b in zip(*legs)]
        arms = (arms[0], [0.85 * a + 0.15 * b for a, b in zip(*arms)]) if left_arm is right_arm else arms
    turns: Turns = {}
    for side, leg, arm in zip(("left", "right"), legs, arms):
        turns |= leg_turns(side, leg) | arm_turns(side, arm)
        turns[f"{side}_hand"] = euler_degrees(*rng.normal(0, (14, 14, 10)))
    return turns


def draw_posture(rng: np.random.Generator, name: str) -> Pose:
    """One pose of the family ``name``, mirrored half of the time."""
    posture = load_postures()[name]
    turns = _limbs(rng, posture)
    nod = float(rng.uniform(*posture.nod))
    turns |= trunk_turns(_draw(rng, posture.trunk), nod, float(rng.normal(0, 22)), float(rng.normal(0, 7)))
    forward, sideways = _draw(rng, posture.root)
    turns["root"] = about(X, np.deg2rad(forward)) @ about(Y, np.deg2rad(sideways))
    pose = make_pose(turns, _grips(rng, posture.support))
    return mirrored(pose) if rng.random() < 0.5 else pose


def _grips(rng: np.random.Generator, support: str) -> tuple[float, float]:
    if support == "hang":
        return 0.7, 0.7
    if support == "hands":
        return 0.08, 0.08
    left, right = rng.beta(1.2, 2.0, 2)
    # Fingers closed further would cut into the palm.
    return 0.75 * float(left), 0.75 * float(right)


def draw_any_posture(rng: np.random.Generator, families: tuple[str, ...] = ()) -> tuple[str, Pose]:
    """A pose of a random family (of ``families``, if given), sometimes blended with one of the same support."""
    names = families or tuple(load_postures())
    weights = np.array([load_postures()[name].weight for name in names])
    name = names[rng.choice(len(names), p=weights / weights.sum())]
    pose = draw_posture(rng, name)
    if rng.random() < 0.3:
        others = [other for other in names if load_postures()[other].support == load_postures()[name].support]
        pose = _between(pose, draw_posture(rng, others[rng.integers(len(others))]), float(rng.uniform(0.1, 0.5)))
    return name, jittered(rng, pose, 3.0)


def _between(first: Pose, second: Pose, share: float) -> Pose:
    rotations = first.rotations.copy()
    for index in range(1, len(CONTROLS)):
        rotations[index] = blend(first.rotations[index], second.rotations[index], share)
    return Pose(rotations, first.grip)


def jittered(rng: np.random.Generator, pose: Pose, degrees: float) -> Pose:
    """Every joint but root and knees turned a little at random; ``degrees`` is the standard deviation per axis."""
    noise = from_vector(np.deg2rad(rng.normal(0, degrees, (len(CONTROLS), 3))))
    noise[0] = np.eye(3)
    # Knees are hinges: one that bends sideways looks broken.
    for side in ("left", "right"):
        noise[CONTROLS.index(f"{side}_shin")] = np.eye(3)
    return Pose(pose.rotations @ noise, pose.grip)


def with_arms_apart(pose: Pose, degrees: float) -> Pose:
    """Both upper arms turned outwards, away from the trunk, about the axis from back to front."""
    rotations = pose.rotations.copy()
    for side, sign in (("left", -1.0), ("right", 1.0)):
        upper_arm = CONTROLS.index(f"{side}_upper_arm")
        rotations[upper_arm] = about([0, 1, 0], sign * np.deg2rad(degrees)) @ rotations[upper_arm]
    return Pose(rotations, pose.grip)


def with_flat_feet(pose: Pose) -> Pose:
    """Soles turned towards the level ground, as far as ankles allow; the feet keep their heading."""
    rotations = pose.rotations.copy()
    for side in ("left", "right"):
        shin = pose["root"] @ pose[f"{side}_thigh"] @ pose[f"{side}_shin"]
        wanted = shin.T @ swing(shin[:, 2], Z) @ shin
        angle = np.arccos(np.clip((np.trace(wanted) - 1) / 2, -1, 1))
        share = min(1.0, np.deg2rad(_ANKLE_DEGREES) / max(float(angle), 1e-6))
        rotations[CONTROLS.index(f"{side}_foot")] = blend(np.eye(3), wanted, share)
    return Pose(rotations, pose.grip)
