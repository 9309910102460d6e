"""Films of recorded motions in which every joint is known, for motion.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, RotationSpline

from headstart.geometry import Camera
from headstart.records import RGB
from headstart.skeleton import BODY_18, CANONICAL, conversion
from headstart.synth.backdrop import paint_backdrop
from headstart.synth.body import Posed, Shape, body_points, sample_shape, skin
from headstart.synth.dress import add_person
from headstart.synth.framing import look_at
from headstart.synth.ground import moved, point_at
from headstart.synth.lens import draw_development, photograph
from headstart.synth.mesh import OTHER_PERSON, SUBJECT
from headstart.synth.outfit import Person, draw_outfit
from headstart.synth.pose import load_library
from headstart.synth.render import render
from headstart.synth.rig import Pose, bone_rotations
from headstart.synth.scene import add_ground, add_room, add_things
from headstart.synth.shot import finish_scene, new_stage, stream
from headstart.video_files import VideoWriter

Values = NDArray[np.float64]
#: Frames a second, width and height in px, and how long films are at most.
RATE, SIZE, SECONDS = 30, (480, 360), 2.5


def bodies(shape: Shape, name: str) -> list[Posed]:
    """A recording on a body, frame by frame in world mm; the middle of a long one."""
    library = load_library()
    rows = np.flatnonzero([library.names[number].endswith(f"/{name}") for number in library.recording])
    times = np.arange(len(rows)) / 10
    first = max(0.0, (times[-1] - SECONDS) / 2)
    wanted = np.arange(first, min(times[-1], first + SECONDS), 1 / RATE)
    controls = [RotationSpline(times, Rotation.from_rotvec(one)) for one in library.rotations[rows].swapaxes(0, 1)]
    found: list[Posed] = []
    for rotations in np.stack([control(wanted).as_matrix() for control in controls], 1):
        body = skin(shape, bone_rotations(Pose(rotations, (0.3, 0.3))))
        at = np.array([0.0, 0.0, -float(body_points(body)[:, 2].min())])
        if found:
            feet = CANONICAL.indices(("left_ankle", "right_ankle"))
            before, now = found[-1].joints[feet], body.joints[feet] + at
            height = np.minimum(before[:, 2], now[:, 2])
            share = np.exp((height.min() - height) / 15)
            at[:2] = (share @ (before - now))[:2] / share.sum()
        found.append(moved(body, np.eye(3), at))
    return found


def led(frames: list[Posed], heading: float, aside: float) -> list[Posed]:
    """A motion that leads along ``heading``, its path about the origin, ``aside`` mm behind it."""
    walked = frames[-1].joints[0] - frames[0].joints[0]
    turned = [point_at(one, heading - float(np.arctan2(walked[1], walked[0]))) for one in frames]
    path = np.array([one.joints[CANONICAL.index("pelvis")] for one in turned])
    middle = (path.min(0) + path.max(0)) / 2
    return [moved(one, np.eye(3), np.array([-middle[0], aside - middle[1], 0.0])) for one in turned]


@dataclass(frozen=True)
class Film:
    """A video, and who is where in it."""

    path: Path
    camera: Camera
    stature_mm: float
    joints: Values
    """(frames, people, 18, 3) mm, camera axes."""


def shoot(folder: Path, split: str, names: Sequence[str]) -> Film:
    """People who follow recordings, side by side if there are two, before a camera that stands still."""
    key, path = (split, *names), folder / f"{'-'.join(names)}.mp4"
    shapes = [sample_shape(stream("film body", *key, number)) for number in range(len(names))]
    cast = [
        led(bodies(shape, name), np.pi * number if len(names) > 1 else 0.3, 900.0 * number)
        for number, (shape, name) in enumerate(zip(shapes, names))
    ]
    count = min(map(len, cast))
    points = np.concatenate([body_points(one)[::50] for frames in cast for one in frames[:count:3]])
    low, high = points.min(0), points.max(0)
    away = max(1.3 * max(high[0] - low[0], (high[2] - low[2]) * SIZE[0] / SIZE[1]), 3000) + (high[1] - low[1]) / 2
    eye = (low + high) / 2 - np.array([0.0, away, -150.0])
    camera = replace(look_at(eye, (low + high) / 2, SIZE[0], SIZE[0]), cy=(SIZE[1] - 1) / 2)
    with VideoWriter(path, Fraction(RATE)) as writer:
        for number in range(count):
            people = [(shape, frames[number]) for shape, frames in zip(shapes, cast)]
            writer.write(picture(key, people, cast[0][0], camera, eye, number), number / RATE)
    seen = np.array([[camera.to_camera(frames[number].joints) for frames in cast] for number in range(count)])
    return Film(path, camera, shapes[0].stature_mm, conversion(CANONICAL, BODY_18) @ seen)


def picture(
    key: tuple[str, ...], people: list[tuple[Shape, Posed]], first: Posed, camera: Camera, eye: Values, number: int
) -> RGB:
    """One frame: the same room, clothes, light and lens in all of them, but for the sensor's noise."""
    stage = new_stage("wild", key[0], stream("film room", *key), 0.0)
    add_ground(stage, True)
    add_room(stage, eye, (9000.0, 9000.0), 4000.0)
    add_things(stage, eye, first, 4, True, 6000)
    for place, (shape, posed) in enumerate(people):
        rng = stream("film clothes", *key, place)
        outfit = draw_outfit(rng, stage.textures, shape.woman)
        add_person(stage, Person(shape, posed, outfit, OTHER_PERSON if place else SUBJECT), rng)
    scene = finish_scene(replace(stage, rng=stream("film light", *key)), True, people[0][1])
    far = stream("film backdrop", *key)
    rendered = render(scene, camera, *SIZE, lambda: paint_backdrop(far, scene.textures, camera, *SIZE))
    look = replace(draw_development(stream("film lens", *key)), motion_px=0.0, far_blur_px=0.0, shrink=1.0, grey=False)
    noise = stream("film noise", *key, number)
    return photograph(rendered.linear, rendered.depth, rendered.subject, 4000.0, look, noise)
