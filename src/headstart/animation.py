"""Poses of one person over time as BVH (animation tools) and TRC (OpenSim and other biomechanics tools).

Both formats have y upwards: camera axes (x right, y down, z away) are rotated by 180 degrees about x, so that someone
who faces the camera faces +z and has their left at +x. If every frame has positions relative to the camera, people
move through space with the camera at the origin; otherwise the pelvis stays at the origin. Poses are consecutive
frames, evenly spaced (:func:`evenly`); nothing is smoothed here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from headstart.errors import ConfigError, DataError
from headstart.files import write_atomically
from headstart.records import Point3, Prediction, by_name
from headstart.skeleton import Skeleton, conversion

Values = NDArray[np.float64]

#: BVH files are in centimetres, the customary unit of animation tools.
MM_PER_BVH_UNIT = 10.0
_Y_UP = np.array([1.0, -1.0, -1.0])
# Length of the end sites behind the last joints (feet or toes, hands): bones of length 0 vanish in some tools. BVH
# units.
_END = 5.0
# Directions of bones at rest, by the joint at their end: a T-pose that faces +z.
_SIDE, _UP, _DOWN, _FRONT = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.6, 0.8)
_REST = {
    **dict.fromkeys(("hip", "shoulder", "elbow", "wrist", "eye", "ear"), _SIDE),
    **dict.fromkeys(("knee", "ankle"), _DOWN),
    **dict.fromkeys(("spine", "thorax", "neck", "head_top"), _UP),
    "nose": _FRONT,
    "big_toe": (0.0, -0.6, 0.8),
    "small_toe": (0.48, -0.6, 0.64),
    "heel": (0.0, -0.8, -0.6),
}


@dataclass(frozen=True)
class _Node:
    """A joint of the BVH hierarchy, or a link: a joint without length that lets siblings turn apart."""

    name: str
    offset: Values
    """(3,) from its parent at rest, BVH units."""
    rotations: Values
    """(frames, 3) degrees about z, x, y, relative to its parent."""
    children: tuple[_Node, ...]


def write_bvh(path: str | Path, people: Sequence[Prediction], frames_per_second: float) -> None:
    """Write one person's frames as BVH in centimetres.

    Each bone has the median of its lengths over the frames, and its own direction in every frame: poses of a rigid
    body are reproduced exactly. Where several bones start at a joint, each has a link of length 0 before it and rotates
    on its own, as in the BVH files of the CMU recordings. Rotations about a bone's own axis are unknown and 0 relative
    to the parent.

    Raises :class:`ConfigError` without frames or for a rate that is not positive and finite, :class:`DataError` for
    frames with other joints than the first or with joints that are not finite.
    """
    skeleton, points = _positions(people, frames_per_second)
    points = points / MM_PER_BVH_UNIT
    root = skeleton.index("pelvis")
    turned = _root_rotation(skeleton, points)
    children = tuple(_branches(skeleton, points, root, turned))
    node = _Node("pelvis", np.zeros(3), _euler(turned), children)
    motion = np.concatenate([points[:, root], *_channels(node)], 1)
    lines = ["HIERARCHY", *_hierarchy(node, 0), "MOTION", f"Frames: {len(points)}"]
    lines += [f"Frame Time: {1 / frames_per_second:.8f}"]
    lines += [" ".join(f"{value:.6f}" for value in frame) for frame in motion]
    write_atomically(Path(path), ("\n".join(lines) + "\n").encode())


def write_trc(path: str | Path, people: Sequence[Prediction], frames_per_second: float, start_s: float = 0.0) -> None:
    """Write one person's frames as a TRC marker file in mm, one marker per joint.

    ``start_s``: time of the first frame, so that the people of one video share its clock. Frames are numbered from 1,
    which is the frame at 0 s. Raises as :func:`write_bvh` does.
    """
    skeleton, points = _positions(people, frames_per_second)
    names, count, rate = skeleton.names, len(points), f"{frames_per_second:.6g}"
    start = round(start_s * frames_per_second)
    axes = "\t".join(f"{axis}{number + 1}" for number in range(len(names)) for axis in "XYZ")
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{Path(path).name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{count}\t{len(names)}\tmm\t{rate}\t{start + 1}\t{count}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        f"\t\t{axes}",
        "",
    ]
    for number, frame in enumerate(points):
        values = "\t".join(f"{value:.5f}" for value in frame.ravel())
        lines.append(f"{start + number + 1}\t{start_s + number / frames_per_second:.6f}\t{values}")
    # The content has the file's name, which may have bytes that are not UTF-8.
    write_atomically(Path(path), ("\n".join(lines) + "\n").encode(errors="backslashreplace"))


def evenly(people: Sequence[Prediction], times_s: Sequence[float], frames_per_second: float) -> list[Prediction]:
    """One person's frames, resampled at even times from the first to the last of ``times_s`` (ascending).

    This fills gaps in which the person was lost, and evens out a variable frame rate. 3D joints are interpolated
    linearly; the rest of a prediction is that of the nearest frame. Camera positions are None unless all frames have
    them. Raises :class:`ConfigError` without frames or for a rate that is not positive and finite.
    """
    _require_frames(people, frames_per_second)
    count = round((times_s[-1] - times_s[0]) * frames_per_second) + 1
    wanted = times_s[0] + np.arange(count) / frames_per_second
    nearest = np.interp(wanted, times_s, np.arange(len(people))).round().astype(int)
    even = [
        replace(people[i], xyz_mm=pose, camera_xyz_mm=None)
        for i, pose in zip(nearest, _between([one.xyz_mm for one in people], times_s, wanted))
    ]
    camera = [one.camera_xyz_mm for one in people if one.camera_xyz_mm is not None]
    if len(camera) < len(people):
        return even
    return [replace(one, camera_xyz_mm=pose) for one, pose in zip(even, _between(camera, times_s, wanted))]


def _between(poses: Sequence[dict[str, Point3]], times_s: Sequence[float], wanted: Values) -> list[dict[str, Point3]]:
    """Poses at the times ``wanted``, interpolated linearly."""
    names = list(poses[0])
    points = np.array([[pose[name] for name in names] for pose in poses], np.float64)
    flat = points.reshape(len(points), -1).T
    moved = np.stack([np.interp(wanted, times_s, values) for values in flat], -1).reshape(len(wanted), len(names), 3)
    return [by_name(names, pose) for pose in moved]


def _require_frames(people: Sequence[Prediction], frames_per_second: float) -> None:
    if not people:
        raise ConfigError("an animation needs at least one frame of its person")
    if not 0 < frames_per_second < np.inf:
        raise ConfigError(f"frames_per_second: expected a number above 0, got {frames_per_second}")


def _positions(people: Sequence[Prediction], frames_per_second: float) -> tuple[Skeleton, Values]:
    """The joints, pelvis and thorax included, and their positions (frames, J, 3) mm, y upwards."""
    _require_frames(people, frames_per_second)
    absolute = all(one.camera_xyz_mm is not None for one in people)
    poses = [one.camera_xyz_mm if absolute and one.camera_xyz_mm is not None else one.xyz_mm for one in people]
    names = tuple(poses[0])
    different = [people[i].image for i, pose in enumerate(poses) if tuple(pose) != names]
    if different:
        raise DataError(different[0], f"the joints of the first frame ({len(names)})", found="others")
    source = Skeleton("predicted", names)
    whole = Skeleton("animated", names + tuple(joint for joint in ("pelvis", "thorax") if joint not in names))
    points = np.array([list(pose.values()) for pose in poses], np.float64) * _Y_UP
    if len(broken := np.flatnonzero(~np.isfinite(points).all((1, 2)))):
        raise DataError(people[broken[0]].image, "finite joints in every frame", found=f"others in frame {broken[0]}")
    return whole, np.asarray(conversion(source, whole), np.float64) @ points


def _branches(skeleton: Skeleton, points: Values, joint: int, turned: Rotation) -> Iterator[_Node]:
    """Nodes of the bones that start at ``joint``, whose rotations (frames,) are ``turned``."""
    ends = [child for parent, child in skeleton.edges if parent == joint]
    for child in ends:
        name = skeleton.names[child]
        bone = points[:, child] - points[:, joint]
        rest = _rest_direction(name)
        swing = _swing(rest, turned.inv().apply(bone))
        after = turned * swing
        offset = rest * float(np.median(np.linalg.norm(bone, axis=1)))
        inner, own = _limb(skeleton, points, child, after)
        node = _Node(name, offset, own, inner)
        yield _Node(f"{skeleton.names[joint]}_to_{name}", np.zeros(3), _euler(swing), (node,))


def _limb(skeleton: Skeleton, points: Values, joint: int, turned: Rotation) -> tuple[tuple[_Node, ...], Values]:
    """Children and own rotations of a joint: with one bone it turns itself, with several its links do."""
    nodes = tuple(_branches(skeleton, points, joint, turned))
    if len(nodes) != 1:
        return nodes, np.zeros((len(points), 3))
    return nodes[0].children, nodes[0].rotations


def _root_rotation(skeleton: Skeleton, points: Values) -> Rotation:
    """The pelvis over time: x along the hips to the left, y as near to the thorax as it goes."""
    left, right, pelvis, thorax = (
        points[:, skeleton.index(joint)] for joint in ("left_hip", "right_hip", "pelvis", "thorax")
    )
    across = _unit(left - right, (1.0, 0.0, 0.0))
    up = thorax - pelvis
    up = _unit(up - (up * across).sum(1, keepdims=True) * across, (0.0, 1.0, 0.0))
    front = np.cross(across, up)
    # Where the trunk lies along the hips the front is undefined: take no rotation.
    good = np.linalg.norm(front, axis=1) > 1e-6
    matrices = np.where(good[:, None, None], np.stack([across, up, front], -1), np.eye(3))
    return Rotation.from_matrix(matrices)


def _swing(rest: Values, directions: Values) -> Rotation:
    """The smallest rotations that take the unit vector ``rest`` (3,) to ``directions`` (frames, 3), of any length."""
    wanted = _unit(directions, tuple(rest))
    axis = np.cross(rest, wanted)
    sine, cosine = np.linalg.norm(axis, axis=1), wanted @ rest
    # For opposite directions: 180 degrees about any perpendicular axis.
    across = np.cross(rest, np.eye(3)[int(np.abs(rest).argmin())])
    axis = np.where(sine[:, None] > 1e-12, axis / np.maximum(sine, 1e-12)[:, None], across / np.linalg.norm(across))
    return Rotation.from_rotvec(axis * np.arctan2(sine, cosine)[:, None])


def _unit(vectors: Values, instead: tuple[float, ...]) -> Values:
    """Vectors (frames, 3) scaled to length 1; ``instead`` where their length is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > 1e-9, vectors / np.maximum(lengths, 1e-9), np.array(instead))


def _rest_direction(name: str) -> Values:
    side, _, part = name.partition("_")
    direction = np.array(_REST[part if side in ("left", "right") else name])
    if side != "right" or not direction[0]:
        return direction
    return np.where(direction != 0, direction * [-1, 1, 1], -0.0)  # zeros print as in the files of earlier versions


def _euler(rotation: Rotation) -> Values:
    """Angles (frames, 3) in degrees, R = Rz Rx Ry, the order of the channels, continuous over the frames.

    Tools interpolate and filter the angles themselves, so neither of the two ambiguities may switch between frames:
    an angle and the same plus 360 degrees; (z, x, y) and (z + 180, 180 - x, y + 180), which are the same rotation. The
    second would switch whenever x passes 90 degrees, as when a thigh passes the horizontal.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gimbal lock: any of the equivalent triples will do
        first = rotation.as_euler("ZXY", degrees=True)
    second = first * [1, -1, 1] + 180
    # The distances first-second and second-first are equal, so each pair of frames tells whether to switch.
    changes = _apart(first[:-1], second[1:]) < _apart(first[:-1], first[1:])
    seconds = np.logical_xor.accumulate(np.append(False, changes))
    return np.unwrap(np.where(seconds[:, None], second, first), axis=0, period=360)


def _apart(one: Values, other: Values) -> Values:
    """Sum of the differences (frames,) between triples (frames, 3) in degrees, modulo 360."""
    return np.abs((other - one + 180) % 360 - 180).sum(1)


def _channels(node: _Node) -> Iterator[Values]:
    yield node.rotations
    for child in node.children:
        yield from _channels(child)


def _hierarchy(node: _Node, depth: int) -> Iterator[str]:
    inner = "\t" * (depth + 1)
    position = "6 Xposition Yposition Zposition" if depth == 0 else "3"
    yield "\t" * depth + f"{'ROOT' if depth == 0 else 'JOINT'} {node.name}"
    yield "\t" * depth + "{"
    yield f"{inner}OFFSET " + " ".join(f"{value:.6f}" for value in node.offset)
    yield f"{inner}CHANNELS {position} Zrotation Xrotation Yrotation"
    for child in node.children:
        yield from _hierarchy(child, depth + 1)
    if not node.children:
        end = _END * _rest_direction(node.name)
        yield f"{inner}End Site"
        yield inner + "{"
        yield f"{inner}\tOFFSET " + " ".join(f"{value:.6f}" for value in end)
        yield inner + "}"
    yield "\t" * depth + "}"
