"""Can the 3D labels of a split be right? Where they fall in the picture, how long a trunk is, which way knees bend.

An adapter that takes metres for millimetres, y up for y down or a left arm for a right one yields records that are
sound one by one. Over a split its mistake shows, and is tried out: of the usual mistakes the one whose undoing brings
3D and 2D labels together is named. The limits leave room: five synthetic sets, and those test files of adapters whose
2D and 3D are of one pose, have medians of at most 4 % of the box between 2D and 3D, without cameras too (10 % at least
if sides are exchanged, 13 % and more for other mistakes), trunks of 190 to 550 mm, and knees that point forward in 93
to 98 % of bent legs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.index import AnnotationIndex
from headstart.records import Annotation
from headstart.sampling import evenly_spread
from headstart.skeleton import CANONICAL, WITH_FEET

#: Of the larger side of the box: 2D and 3D labels that lie farther apart are not of the same pose.
APART = 0.1
#: Wide enough for the trunks of babies and giants, narrow enough to notice a factor of ten.
HIP_TO_SHOULDER_MM = (100, 1000)
#: Share of bent legs whose knee points forward, of at least so many: mirrored people have 0.02 to 0.07.
KNEES_FORWARD, FEWEST_LEGS = 0.3, 50

# A mistake is named below APART too where undoing it halves a distance above this.
_SOME = 0.03
_FEWEST_JOINTS = 4
_TRIED_ON = 200  # people
_BENT = 0.1  # knee from the line from hip to ankle, over that line: 23 degrees

_AXES = {
    "y points up": np.diag([1, -1, 1]),
    "x is mirrored": np.diag([-1, 1, 1]),
    "z points towards the viewer": np.diag([1, 1, -1]),
    "y points up and z towards the viewer": np.diag([1, -1, -1]),
    "z points up": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "x and y are exchanged": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    "y and z are exchanged": np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
}
_EXPECTED_AXES = "(camera axes are x right, y down, z away)"
_UNITS = {"metres": 1000.0, "centimetres": 10.0}


@dataclass(frozen=True)
class Apart:
    """How far 2D labels lie from 3D ones in the picture; medians over people of the median over their joints."""

    people: int
    """With at least four joints labelled in both."""
    median_px: float
    median_share: float
    """Of the larger side of the box."""
    people_beyond: int
    """Farther than :data:`APART`."""


@dataclass(frozen=True)
class Checks3D:
    """What the 3D labels of a split look like."""

    people: int
    """With any 3D label."""
    hip_to_shoulder_mm: float | None
    """Median over people of the mean of both sides; None where no side has both joints."""
    projected: Apart | None
    """Of people with a camera: 3D joints as it projects them; a joint behind it counts as a whole box apart."""
    fitted: Apart | None
    """Of people without one: x and y of the 3D joints, scaled (never mirrored) and moved onto the 2D labels."""
    bent_legs: int
    knees_forward: float | None
    """Share of the bent legs; None where there are none."""
    problems: list[str] = field(default_factory=list)
    """What cannot be right: what was found, expected, and the likely cause."""


def check_3d(index: AnnotationIndex) -> Checks3D | None:
    """Measure the 3D labels of a split; None where it has none."""
    xyz = np.asarray(index.column("xyz"))
    labelled = np.flatnonzero(np.isfinite(xyz).any((1, 2)))
    if not len(labelled):
        return None
    knees, measured = _knees_forward(xyz[labelled]), _measure(index, labelled.tolist())
    groups = [[one for one in measured if one.has_camera == has_camera] for has_camera in (True, False)]
    projected, fitted = (_summary(group) for group in groups)
    found = Checks3D(
        people=len(labelled),
        hip_to_shoulder_mm=_hip_to_shoulder(xyz[labelled]),
        projected=projected,
        fitted=fitted,
        bent_legs=len(knees),
        knees_forward=float(knees.mean()) if len(knees) else None,
    )
    causes = [_cause(index, group) for group in groups]
    return replace(found, problems=_problems(found, causes))


class _Measured(NamedTuple):
    """How far the 2D and the 3D labels of the person in ``row`` lie apart, in px and over the side of the box."""

    row: int
    has_camera: bool
    px: float
    share: float


def _measure(index: AnnotationIndex, rows: Sequence[int]) -> list[_Measured]:
    people = ((row, index[row]) for row in rows)
    distances = ((row, person, _distance(person)) for row, person in people)
    return [
        _Measured(row, person.camera is not None, px, px / _side(person))
        for row, person, px in distances
        if px is not None
    ]


def _summary(group: Sequence[_Measured]) -> Apart | None:
    if not group:
        return None
    px, shares = (float(np.median([getattr(one, name) for one in group])) for name in ("px", "share"))
    return Apart(len(group), px, shares, sum(one.share > APART for one in group))


def _side(person: Annotation) -> float:
    return max(float(person.bbox_xywh[2:].max()), 1.0)


def _distance(person: Annotation) -> float | None:
    """Median distance in px between the 2D and the 3D labels of a person; None where too few joints have both."""
    assert person.camera_xyz is not None
    both = (person.visibility > 0) & np.isfinite(person.camera_xyz).all(1)
    if both.sum() < _FEWEST_JOINTS:
        return None
    apart = np.hypot(*(_in_picture(person, both) - person.keypoints[both]).T)
    return float(np.median(np.where(np.isfinite(apart), apart, _side(person))))


def _in_picture(person: Annotation, both: NDArray[np.bool_]) -> Array:
    """The 3D joints ``both`` in px; NaN behind the camera."""
    assert person.camera_xyz is not None
    xyz = person.camera_xyz[both]
    if person.camera is not None:
        return person.camera.project(xyz)
    flat, pixels = xyz[:, :2].astype(np.float64), person.keypoints[both]
    return person.pixels_per_mm() * (flat - flat.mean(0)) + pixels.mean(0)


def _hip_to_shoulder(xyz: Array) -> float | None:
    """Median length of the trunk (people, canonical, 3) in mm."""
    sides = [_joint(xyz, f"{side}_shoulder") - _joint(xyz, f"{side}_hip") for side in ("left", "right")]
    lengths = np.stack([np.linalg.norm(side, axis=1) for side in sides])
    lengths = lengths[:, np.isfinite(lengths).any(0)]
    return float(np.median(np.nanmean(lengths, axis=0))) if lengths.size else None


def _knees_forward(xyz: Array) -> NDArray[np.bool_]:
    """Of each bent leg of (people, canonical, 3), whether its knee lies before the line from hip to ankle.

    Before is where hips and trunk face: knees of a mirrored person (left and right exchanged in 3D, or one axis
    reversed) bend backwards. It needs no camera, and works where 2D labels were projected from the 3D ones, too.
    """
    to_left = _joint(xyz, "left_hip") - _joint(xyz, "right_hip")
    forward = np.cross(to_left, _joint(xyz, "thorax") - _joint(xyz, "pelvis"))
    found = []
    for side in ("left", "right"):
        hip, knee, ankle = (_joint(xyz, f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        leg, thigh = ankle - hip, knee - hip
        squared = np.maximum((leg**2).sum(1), 1e-9)
        bend = thigh - leg * ((thigh * leg).sum(1) / squared)[:, None]
        facing = (bend * forward).sum(1)
        bent = (np.linalg.norm(bend, axis=1) > _BENT * np.sqrt(squared)) & np.isfinite(facing)
        found.append(facing[bent] > 0)
    return np.concatenate(found)


def _joint(xyz: Array, name: str) -> NDArray[np.float64]:
    return xyz[:, CANONICAL.index(name)].astype(np.float64)


def _problems(found: Checks3D, causes: Sequence[str | None]) -> list[str]:
    """What cannot be right; ``causes`` of 2D and 3D being apart, with and without cameras."""
    lines = []
    low, high = HIP_TO_SHOULDER_MM
    if found.hip_to_shoulder_mm is not None and not low <= found.hip_to_shoulder_mm <= high:
        length = f"{found.hip_to_shoulder_mm:,.{0 if found.hip_to_shoulder_mm >= 10 else 2}f} mm"
        likely = _unit(found.hip_to_shoulder_mm)
        lines.append(f"hip to shoulder measure {length} (median), expected {low} to {high:,}; likely {likely}")
    for how, apart, cause in (
        ("projected by their cameras", found.projected, causes[0]),
        ("with x and y scaled onto the 2D labels", found.fitted, causes[1]),
    ):
        if apart is not None and cause is not None:
            distance = f"{apart.median_share:.1%} of the box ({apart.median_px:,.0f} px)"
            lines.append(
                f"3D joints {how} lie {distance} from the 2D labels (median of {apart.people:,} people), expected"
                f" a few %, below {APART:.0%} at any rate; likely {cause}"
            )
    backward = found.knees_forward is not None and found.knees_forward < KNEES_FORWARD
    if backward and found.bent_legs >= FEWEST_LEGS and not any(causes):  # such a cause often explains the knees, too
        lines.append(
            f"knees point forward in {found.knees_forward:.0%} of {found.bent_legs:,} bent legs, expected nearly all;"
            f" likely left and right are exchanged, or an axis is reversed, as z towards the viewer {_EXPECTED_AXES}"
        )
    return lines


def _unit(length: float) -> str:
    for name, factor in _UNITS.items():
        if HIP_TO_SHOULDER_MM[0] <= length * factor <= HIP_TO_SHOULDER_MM[1]:
            return f"the labels are in {name}"
    return "another unit, or joints in another order than SKELETON says"


def _cause(index: AnnotationIndex, group: Sequence[_Measured]) -> str | None:
    """The mistake that explains how far apart a group's labels are, or None where sound ones may be as far."""
    share = float(np.median([one.share for one in group])) if group else 0.0
    if share <= _SOME:
        return None
    people = [index[group[place].row] for place in evenly_spread(len(group), _TRIED_ON)]
    left = {mistake: _median_share([undone(person) for person in people]) for mistake, undone in _mistakes().items()}
    best = min(left, key=lambda mistake: left[mistake])
    if left[best] < min(share / 2, APART):
        return best
    if share <= APART:
        return None
    return _mistaken_camera(people) or "joints in another order than SKELETON says, or labels of somebody else"


def _mistakes() -> dict[str, Callable[[Annotation], Annotation]]:
    """What is usually wrong with 3D labels -> how to mend it."""
    axes = {f"{name} {_EXPECTED_AXES}": partial(_turned, matrix=matrix) for name, matrix in _AXES.items()}
    return axes | {"left and right are exchanged in 2D or in 3D": _sides_exchanged}


def _turned(person: Annotation, matrix: NDArray[np.integer]) -> Annotation:
    assert person.camera_xyz is not None
    return replace(person, camera_xyz=person.camera_xyz @ matrix.T)


def _sides_exchanged(person: Annotation) -> Annotation:
    assert person.camera_xyz is not None
    order = WITH_FEET.flip_index[: len(person.camera_xyz)]  # without feet it is that of CANONICAL
    return replace(person, camera_xyz=person.camera_xyz[list(order)])


def _mistaken_camera(people: Sequence[Annotation]) -> str | None:
    """Whether the people agree with their pictures by another camera than their own."""
    if any(person.camera is None for person in people):
        return None
    if _median_share([_from_world(person) for person in people]) < APART:
        return "world axes, where camera axes are expected (Camera.to_camera makes them)"
    if _median_share([replace(person, camera=None) for person in people]) < APART:
        return (
            "the camera is not that of the image (fx, fy, cx, cy in px of its size), or the joints are relative to a"
            " root: such people have no camera"
        )
    return None


def _from_world(person: Annotation) -> Annotation:
    assert person.camera_xyz is not None
    assert person.camera is not None
    return replace(person, camera_xyz=person.camera.to_camera(person.camera_xyz).astype(np.float32))


def _median_share(people: Sequence[Annotation]) -> float:
    """Over people; 1 where nobody has enough joints."""
    shares = [apart / _side(person) for person in people if (apart := _distance(person)) is not None]
    return float(np.median(shares)) if shares else 1.0
