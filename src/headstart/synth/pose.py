"""Natural poses: recorded motion or a posture, posed on a body, on what carries it, free of self-intersection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError
from headstart.synth.body import Posed, Shape, named_joints, skin
from headstart.synth.collide import fit_solids, intersects
from headstart.synth.ground import balanced, on_level, point_at, settled
from headstart.synth.posture import draw_any_posture, jittered, with_arms_apart, with_flat_feet
from headstart.synth.posture_table import Support, load_postures
from headstart.synth.rig import CONTROLS, Pose, bone_rotations, make_pose, mirrored
from headstart.synth.rotation import from_vector

SPLITS = ("train", "val", "test")
_ATTEMPTS = 200
#: How far the arms of a recorded pose are opened at the last attempt: some bodies are stouter than the actors.
_ARMS_APART_DEGREES = 45.0


@dataclass(frozen=True)
class Library:
    """Recorded motion, ten frames a second (CMU; see assets/POSES.md)."""

    rotations: NDArray[np.float64]
    """(N, 20, 3) rotation vectors of the controls."""
    recording: NDArray[np.int64]
    """(N,) index into ``names``."""
    frame: NDArray[np.int64]
    """(N,) 0-based index within the recording."""
    names: tuple[str, ...]
    splits: tuple[str, ...]

    def rows(self, split: str, actions: tuple[str, ...] | None = None) -> NDArray[np.int64]:
        """Frames of the recordings of a split, of some actions only where given."""
        wanted = [
            (mine == split) and (actions is None or name.split("/")[0] in actions)
            for name, mine in zip(self.names, self.splits)
        ]
        rows = np.flatnonzero(np.array(wanted)[self.recording])
        if not len(rows):
            raise ConfigError(f"no recordings of split {split!r} and actions {actions}; splits are {', '.join(SPLITS)}")
        return rows


@dataclass(frozen=True)
class Stance:
    """A posed body on its support, and where the pose comes from."""

    posed: Posed
    support: Support
    action: str
    recording: str
    frame: int


@lru_cache(maxsize=1)
def load_library() -> Library:
    """Read the library that ships with the package; kept for the life of the process."""
    with resources.files("headstart.synth").joinpath("assets/poses.npz").open("rb") as file:
        packed = dict(np.load(file))
    if tuple(str(name) for name in packed["controls"]) != CONTROLS:
        raise ConfigError("assets/poses.npz was made for other controls; run tools/export_poses.py again")
    return Library(
        packed["rotations"].astype(np.float64) / 8192,
        packed["recording"].astype(np.int64),
        packed["frame"].astype(np.int64),
        tuple(str(name) for name in packed["recording_names"]),
        tuple(str(split) for split in packed["recording_splits"]),
    )


def recorded_pose(row: int) -> Pose:
    """The pose of one recorded frame."""
    return make_pose(dict(zip(CONTROLS, from_vector(load_library().rotations[row]))))


def stand_up(shape: Shape, pose: Pose, support: Support, rng: np.random.Generator) -> Posed:
    """The body in the pose, on its support at the origin (jumps are in the air), facing a random direction."""
    if support in ("feet", "seat"):
        pose = with_flat_feet(pose)
    posed = skin(shape, bone_rotations(pose))
    if support in ("feet", "hands"):
        posed = balanced(posed)
    elif support == "floor":
        posed = settled(posed)
    heights = {"air": (80.0, 900.0), "hang": (150.0, 900.0), "wall": (0.0, 900.0)}
    height = float(rng.uniform(*heights[support])) if support in heights else 0.0
    posed = point_at(posed, float(rng.uniform(0, 2 * np.pi)))
    return on_level(posed, height, sink=0.01 if support == "floor" else 0.0)


def place_recorded(shape: Shape, row: int, rng: np.random.Generator, arms_apart: float = 0.0) -> Stance:
    """A recorded frame on a body, slightly varied and mirrored half of the time; its lowest point is on the ground.

    ``arms_apart``: degrees by which the arms are opened.
    """
    library = load_library()
    name = library.names[library.recording[row]]
    pose = jittered(rng, recorded_pose(row), degrees=2.0)
    pose = with_arms_apart(pose, arms_apart) if arms_apart else pose
    pose = Pose(pose.rotations, (float(rng.beta(2, 3)), float(rng.beta(2, 3))))
    posed = skin(shape, bone_rotations(mirrored(pose) if rng.random() < 0.5 else pose))
    posed = point_at(posed, float(rng.uniform(0, 2 * np.pi)))
    return Stance(on_level(posed), "feet", name.split("/")[0], name, int(library.frame[row]))


def place_posture(shape: Shape, rng: np.random.Generator, families: tuple[str, ...] = ()) -> Stance:
    """A random posture on a body, of some families only where given."""
    name, pose = draw_any_posture(rng, families)
    support = load_postures()[name].support
    return Stance(stand_up(shape, pose, support, rng), support, name, "", -1)


def rest_joints(shape: Shape) -> NDArray[np.float64]:
    """Canonical joints (22, 3) mm of the body at rest."""
    still = np.tile(np.eye(3, 4), (len(shape.heads), 1, 1))
    return named_joints(shape, shape.rest, still)


def sample_stance(
    rng: np.random.Generator,
    shape: Shape,
    split: str,
    recorded_share: float = 0.35,
    actions: tuple[str, ...] | None = None,
    families: tuple[str, ...] = (),
) -> Stance:
    """A natural pose that does not cut into itself: recorded frames of the split, or postures.

    If none is found, recorded poses are tried again with their arms more and more open: for a stout body, the forearms
    may intersect the belly in every frame of an action. Raises :class:`ConfigError` if that does not help either.
    """
    rows = load_library().rows(split, actions)
    solids = fit_solids(shape, rest_joints(shape))
    recorded = bool(rng.random() < recorded_share)
    stance = None
    for attempt in range(2 * _ATTEMPTS):
        row = int(rows[rng.integers(len(rows))])
        apart = _ARMS_APART_DEGREES * max(attempt / _ATTEMPTS - 1, 0.0)
        stance = place_recorded(shape, row, rng, apart) if recorded else place_posture(shape, rng, families)
        if not intersects(stance.posed, solids):
            return stance
    raise ConfigError(f"no pose free of self-intersection in {attempt + 1} attempts (split {split}, actions {actions})")
