"""Domains: which bodies, poses, places and cameras a picture shows. A new domain is one function and one entry.

``generate(domain, split, seed, index, size)`` is pure: the same arguments give the same bytes on any worker. Splits
share no body, recording, texture, scene or camera: each draws from streams of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError
from headstart.geometry import Camera
from headstart.skeleton import CANONICAL, LSP_14
from headstart.synth.affine import bounds
from headstart.synth.backdrop import paint_backdrop
from headstart.synth.body import Shape, body_points, sample_shape
from headstart.synth.dress import add_person
from headstart.synth.framing import draw_framing, framed, look_at, position, roaming_camera
from headstart.synth.ground import moved
from headstart.synth.labels import State
from headstart.synth.lens import draw_development, photograph
from headstart.synth.mesh import SUBJECT
from headstart.synth.outfit import Person, draw_outfit
from headstart.synth.pose import SPLITS, Stance, sample_stance
from headstart.synth.render import Scene, render
from headstart.synth.scene import (
    add_ground,
    add_hall,
    add_room,
    add_support,
    add_things,
    extent,
    front_of,
    ledge_height,
)
from headstart.synth.shot import Shot, add_bystander, aim, finish_scene, hide_joint, new_stage, stream


@dataclass(frozen=True)
class SyntheticImage:
    """One labelled picture. Axes and pixels as in ``headstart.geometry``; joints as ``skeleton.WITH_FEET``."""

    key: str
    image: NDArray[np.uint8]
    """(size, size, 3) RGB."""
    keypoints: NDArray[np.float64]
    """(28, 2) px; they may lie outside the picture."""
    states: NDArray[np.uint8]
    """(28,) of ``labels.State``."""
    camera_xyz: NDArray[np.float64]
    """(28, 3) mm in camera axes."""
    camera: Camera
    mask: NDArray[np.bool_]
    """(size, size): pixels that show the person."""
    bbox_xywh: NDArray[np.float64]
    """(4,) px: tight around the 14 joints of LSP (ankles to top of the head), clipped to the picture."""
    subject: str
    action: str
    sequence: str
    """Recording behind the pose; empty for postures."""
    frame: int


Domain = Callable[[str, int, int, int], Shot]
_ATTEMPTS = 5
_LIMB_JOINTS = CANONICAL.indices(LSP_14.names)


def wild(split: str, seed: int, index: int, size: int) -> Shot:
    """Everything varies: people, clothes, poses, places, light, lens, truncation, occluders, other people."""
    for attempt in range(_ATTEMPTS):
        shot = _wild_once(split, seed, index, size, stream("wild", split, seed, index, attempt))
        # Like a photographer who steps aside when something stands in the way.
        if (shot.states[_LIMB_JOINTS] < State.OBJECT_OCCLUDED).sum() >= len(_LIMB_JOINTS) // 2:
            break
    return shot


def _wild_once(split: str, seed: int, index: int, size: int, rng: np.random.Generator) -> Shot:
    shape = sample_shape(rng)
    stance = sample_stance(rng, shape, split, recorded_share=0.12)
    indoor, hall = bool(rng.random() < 0.4), bool(rng.random() < 0.5)
    hall = hall and indoor
    # A vault goes over something.
    stage = new_stage("wild", split, rng, -ledge_height(rng, stance, 0.85 if "vault" in stance.action else 0.25))
    behind = front_of(stance.posed) if stance.support == "wall" else None
    camera = roaming_camera(rng, body_points(stance.posed), stage.ground, size, behind)
    camera = framed(camera, body_points(stance.posed), size, *draw_framing(rng, 0.1))
    add_ground(stage, indoor)
    add_support(stage, stance)
    if hall:
        add_hall(stage, position(camera), rng.uniform(7000, 20000), rng.uniform(6000, 12000))
    elif indoor:
        add_room(stage, position(camera), (rng.uniform(2500, 9000), rng.uniform(2500, 9000)), rng.uniform(2800, 7000))
    reach = float(np.exp(rng.uniform(np.log(3000), np.log(25000))))
    add_things(
        stage, position(camera), stance.posed, int(rng.integers(1, 10)), indoor, min(reach, 8000) if indoor else reach
    )
    person = Person(shape, stance.posed, draw_outfit(rng, stage.textures, shape.woman), SUBJECT)
    add_person(stage, person, rng)
    if rng.random() < 0.3:
        add_bystander(stage, split, stance.posed, camera, in_front=bool(rng.random() < 0.15))
    if rng.random() < 0.15:
        hide_joint(stage, stance.posed, camera)
    scene = finish_scene(stage, indoor, stance.posed, hall)
    return aim(scene, stance, camera, f"wild-{split}-{seed}-{index}", size)


#: Named subjects of the studio, as many as Human3.6M has.
STUDIO_SUBJECTS = {"train": ("S1", "S5", "S6", "S7"), "val": ("S8",), "test": ("S9", "S11")}
#: Scripted actions -> recorded actions.
STUDIO_RECORDED: dict[str, tuple[str, ...]] = {
    "walking": ("walking", "walking_extra"),
    "directions": ("basketball_signal",),
    "running": ("running",),
    "playing": ("basketball", "soccer"),
    "jumping": ("jumping",),
}
#: Scripted actions -> families of postures.
STUDIO_POSTURES: dict[str, tuple[str, ...]] = {
    "waiting": ("stand", "contrapposto"),
    "exercising": ("lunge", "side_lunge", "squat", "bend", "one_leg", "kick", "throw", "wide_stance"),
    "sitting": ("sit", "sit_crossed"),
    "sitting_down": ("sit_floor", "kneel_one", "kneel", "crouch", "straddle_sit"),
}
_STUDIO_VIEWS, _RING_VIEWS = 4, 8


@lru_cache(maxsize=32)
def studio_subject(name: str) -> Shape:
    """The body of a named subject, the same in every picture."""
    return sample_shape(stream("studio subject", name), woman=name in ("S5", "S8", "S11"))


def studio_cameras(split: str, size: int) -> tuple[Camera, ...]:
    """Four fixed cameras at the corners; every split has its own."""
    rng = stream("studio cameras", split)
    cameras = []
    for corner in range(_STUDIO_VIEWS):
        azimuth = np.deg2rad(45 + 90 * corner + rng.normal(0, 6))
        eye = np.array([5200 * np.cos(azimuth), 4300 * np.sin(azimuth), rng.normal(1550, 90)])
        target = np.array([*rng.normal(0, 120, 2), rng.normal(900, 50)])
        cameras.append(look_at(eye, target, 1.145 * size * rng.normal(1, 0.004), size, float(rng.normal(0, 0.01))))
    return tuple(cameras)


@lru_cache(maxsize=2)
def _studio_moment(split: str, seed: int, moment: int) -> tuple[Scene, Stance, str]:
    rng = stream("studio", split, seed, moment)
    name = str(rng.choice(STUDIO_SUBJECTS[split]))
    action = str(rng.choice([*STUDIO_RECORDED, *STUDIO_POSTURES]))
    recorded, families = STUDIO_RECORDED.get(action), STUDIO_POSTURES.get(action, ())
    stance = sample_stance(rng, studio_subject(name), split, float(recorded is not None), recorded, families)
    place = np.array([*rng.uniform(-900, 900, 2), 0.0])
    stance = replace(stance, posed=moved(stance.posed, np.eye(3), place), action=action)
    room = stream("studio room", split)
    stage = new_stage("studio", split, room, 0.0)
    add_ground(stage, True)
    add_room(stage, np.zeros(3), (6200.0, 5200.0), 3400.0)
    stage = replace(stage, rng=rng)
    add_support(stage, stance)
    session = stream("studio outfit", split, name, int(rng.integers(2)))
    outfit = draw_outfit(session, stage.textures, studio_subject(name).woman)
    add_person(stage, Person(studio_subject(name), stance.posed, outfit, SUBJECT), session)
    lit = replace(stage, rng=stream("studio light", split))
    return finish_scene(lit, True, stance.posed), stance, name


def studio(split: str, seed: int, index: int, size: int) -> Shot:
    """Like Human3.6M: named subjects, one room, four fixed cameras that see the same moments, scripted actions.

    Pictures are crops around the person, so the intrinsics differ from picture to picture as those of crops do.
    """
    moment, view = divmod(index, _STUDIO_VIEWS)
    scene, stance, name = _studio_moment(split, seed, moment)
    rng = stream("studio view", split, seed, index)
    camera = framed(
        studio_cameras(split, size)[view], body_points(stance.posed), size, float(rng.uniform(0.7, 0.82)), (0.0, 0.0)
    )
    return aim(scene, stance, camera, name, size, studio=True)


@lru_cache(maxsize=2)
def _ring_moment(split: str, seed: int, moment: int, size: int) -> tuple[Scene, Stance, tuple[Camera, ...]]:
    rng = stream("occluded", split, seed, moment)
    shape = sample_shape(rng)
    stance = sample_stance(rng, shape, split, recorded_share=0.6)
    stage = new_stage("occluded", split, rng, 0.0)
    low, high = extent(stance.posed)
    turn, cameras = rng.uniform(0, 2 * np.pi), []
    for number in range(_RING_VIEWS):
        azimuth, away = turn + number * 2 * np.pi / _RING_VIEWS, rng.uniform(3000, 4200)
        eye = np.array(
            [
                away * np.cos(azimuth),
                away * np.sin(azimuth),
                rng.choice([rng.uniform(900, 1800), rng.uniform(2200, 3000)]),
            ]
        )
        cameras.append(look_at(eye, (low + high) / 2, size, size))
    add_ground(stage, True)
    add_room(stage, np.zeros(3), (rng.uniform(4600, 6500), rng.uniform(4600, 6500)), rng.uniform(3100, 4000))
    add_support(stage, stance)
    for camera in rng.permutation(np.arange(_RING_VIEWS))[: int(rng.integers(3, 7))]:
        hide_joint(stage, stance.posed, cameras[camera])
    person = Person(shape, stance.posed, draw_outfit(rng, stage.textures, shape.woman), SUBJECT)
    add_person(stage, person, rng)
    return finish_scene(stage, True, stance.posed), stance, tuple(cameras)


def occluded(split: str, seed: int, index: int, size: int) -> Shot:
    """Like Occlusion-Person: eight cameras around a furnished room, things in front of the person in most views."""
    moment, view = divmod(index, _RING_VIEWS)
    scene, stance, cameras = _ring_moment(split, seed, moment, size)
    rng = stream("occluded view", split, seed, index)
    fill, shift = draw_framing(rng, 0.05)
    camera = framed(cameras[view], body_points(stance.posed), size, fill, shift)
    return aim(scene, stance, camera, f"occluded-{split}-{seed}-{moment}", size)


DOMAINS: dict[str, Domain] = {"wild": wild, "studio": studio, "occluded": occluded}


def compose(domain: str, split: str, seed: int, index: int, size: int) -> Shot:
    """The scene and camera of one picture, not yet rendered."""
    if domain not in DOMAINS or split not in SPLITS:
        raise ConfigError(f"no {domain!r} split {split!r}; domains: {', '.join(DOMAINS)}; splits: {', '.join(SPLITS)}")
    return DOMAINS[domain](split, seed, index, size)


def generate(domain: str, split: str, seed: int, index: int, size: int = 256) -> SyntheticImage:
    """One labelled picture of (size, size) px."""
    shot = compose(domain, split, seed, index, size)
    rng = stream("picture", domain, split, seed, index)
    far = stream("backdrop", domain, split, seed, index)
    rendered = render(
        shot.scene, shot.camera, size, size, lambda: paint_backdrop(far, shot.scene.textures, shot.camera, size, size)
    )
    pelvis = float(shot.camera_xyz[CANONICAL.index("pelvis"), 2])
    # The settings of the studio's cameras are the same for all pictures of a split.
    look = draw_development(stream("studio look", split) if shot.studio else rng, shot.studio)
    picture = photograph(rendered.linear, rendered.depth, rendered.subject, pelvis, look, rng)
    return SyntheticImage(
        key=f"{domain}-{split}-{seed}-{index:07d}",
        image=picture,
        keypoints=shot.keypoints,
        states=shot.states,
        camera_xyz=shot.camera_xyz,
        camera=shot.camera,
        mask=rendered.subject,
        bbox_xywh=_box(shot, size),
        subject=shot.subject,
        action=shot.stance.action,
        sequence=shot.stance.recording,
        frame=shot.stance.frame,
    )


def _box(shot: Shot, size: int) -> NDArray[np.float64]:
    """Box (4,) px, tight around the joints as those of LSP and MPII; one of the whole body is a tenth larger."""
    joints = np.clip(shot.keypoints[_LIMB_JOINTS], -0.5, size - 0.5)
    low, high = bounds(joints)
    # Outer corners: the pixel centre (0, 0) lies half a pixel inside the picture.
    return np.concatenate([low + 0.5, high - low])
