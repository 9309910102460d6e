"""A shot: one person in a furnished scene before one camera, with labels; and the steps that domains compose."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Camera
from headstart.synth.body import Posed, body_points, sample_shape
from headstart.synth.dress import add_person
from headstart.synth.feet import foot_points
from headstart.synth.framing import pixel_range, position
from headstart.synth.ground import moved
from headstart.synth.labels import joint_states
from headstart.synth.light import cast_light
from headstart.synth.lighting import draw_light
from headstart.synth.material import Palette
from headstart.synth.mesh import OTHER_PERSON, MeshBuilder
from headstart.synth.outfit import Person, draw_outfit
from headstart.synth.pose import Stance, sample_stance
from headstart.synth.render import Scene
from headstart.synth.scene import add_occluder, extent
from headstart.synth.stage import Stage
from headstart.synth.texture import TextureSet, load_textures


@dataclass(frozen=True)
class Shot:
    """A scene with its person and a camera, before the picture is taken; labels as in ``domains.SyntheticImage``."""

    scene: Scene
    stance: Stance
    camera: Camera
    subject: str
    camera_xyz: NDArray[np.float64]
    keypoints: NDArray[np.float64]
    states: NDArray[np.uint8]
    studio: bool = False
    """Whether it is photographed with the fixed settings of the studio."""


def stream(*key: str | int) -> np.random.Generator:
    """The random generator of this key."""
    return np.random.default_rng([zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key])


def textures_of(domain: str, split: str) -> TextureSet:
    """The textures of one split of a domain."""
    return load_textures(zlib.crc32(f"{domain}/{split}/textures".encode()))


def new_stage(domain: str, split: str, rng: np.random.Generator, ground: float) -> Stage:
    """An empty scene with the textures of the split."""
    return Stage(MeshBuilder(), Palette(), textures_of(domain, split), rng, ground)


def finish_scene(stage: Stage, indoor: bool, posed: Posed, hall: bool = False) -> Scene:
    """The scene of a furnished stage, with its light."""
    mesh = stage.builder.build()
    lights = draw_light(stage.rng, indoor, posed, hall)
    return Scene(mesh, stage.palette.table(), stage.textures, lights, cast_light(mesh, lights, stage.rng))


def aim(scene: Scene, stance: Stance, camera: Camera, subject: str, size: int, studio: bool = False) -> Shot:
    """A shot with its labels."""
    # Not in one product: the bits of its rows may depend on their number, and those of the 22 joints must stay.
    both = [camera.to_camera(points) for points in (stance.posed.joints, foot_points(stance.posed))]
    keypoints = np.concatenate([camera.project(points) for points in both])
    camera_xyz = np.concatenate(both)
    states = joint_states(scene.mesh, camera, camera_xyz, keypoints, size, size)
    return Shot(scene, stance, camera, subject, camera_xyz, keypoints, states, studio)


def add_bystander(stage: Stage, split: str, subject: Posed, camera: Camera, in_front: bool) -> None:
    """Another person: beside, behind, or between the camera and a part of the subject."""
    rng = stage.rng
    shape = sample_shape(rng)
    stance = sample_stance(rng, shape, split, recorded_share=0.7)
    low, high = extent(subject)
    eye, centre = position(camera), (low + high) / 2
    view = centre - eye
    distance = float(np.hypot(*view[:2]))
    view = np.array([view[0], view[1], 0.0]) / max(distance, 1.0)
    aside = np.array([-view[1], view[0], 0.0]) * (1 if rng.random() < 0.5 else -1)
    own = float(np.hypot(*(high - low)[:2])) / 2 + 650
    if in_front:
        at = centre - view * distance * rng.uniform(0.2, 0.5) + aside * rng.uniform(150, 600)
    else:
        at = centre + view * rng.uniform(-300, 6000) + aside * own * rng.uniform(1.0, 1.8)
    at[2] = stage.ground
    if np.hypot(*(at - centre)[:2]) > own and np.hypot(*(at - eye)[:2]) > 700:
        outfit = draw_outfit(rng, stage.textures, shape.woman)
        person = Person(shape, moved(stance.posed, np.eye(3), at), outfit, OTHER_PERSON)
        add_person(stage, person, rng)


def hide_joint(stage: Stage, posed: Posed, camera: Camera) -> None:
    """Add an occluder in front of a random joint, as seen from ``camera``."""
    joint = posed.joints[stage.rng.integers(len(posed.joints))]
    low, high = pixel_range(camera, body_points(posed))
    distance = float(np.linalg.norm(joint - position(camera)))
    size = float(np.sqrt(np.prod(high - low))) * distance / camera.fx * stage.rng.uniform(0.25, 0.75)
    add_occluder(stage, position(camera), joint + stage.rng.normal(0, 80, 3), size)
