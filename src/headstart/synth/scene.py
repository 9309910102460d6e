"""Surroundings of people: ground, rooms, supports, things around them, occluders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array
from headstart.skeleton import CANONICAL
from headstart.synth.affine import bounds, transformed
from headstart.synth.body import PARTS, Posed, body_points, load_body
from headstart.synth.colour import earth_colour, from_hsv, leaf_colour, scaled, thing_colour
from headstart.synth.material import Material
from headstart.synth.pose import Stance
from headstart.synth.primitives import ball, box, cylinder, quad, turned
from headstart.synth.props import INDOOR, OUTDOOR
from headstart.synth.rotation import cross, unit
from headstart.synth.stage import Stage

#: Seats and blocks are fitted to these vertices of the naked body only, without the last 380, most of which belong to
#: the left foot. Including them would change the pictures (synthesize.GENERATOR).
_FITTED = slice(13000)
_FLOORS_OUT = ("grass", "grass", "gravel", "asphalt", "asphalt", "sand", "concrete", "tiles", "planks", "stones")
_FLOORS_IN = ("planks", "tiles", "concrete", "siding", "plaster", "checker", "weave")
_WALLS = ("plaster", "plaster", "bricks", "siding", "planks", "concrete", "tiles", "graffiti", "stones", "facade")


def extent(posed: Posed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest corner (3,) mm of the naked body."""
    return bounds(body_points(posed))


def front_of(posed: Posed) -> NDArray[np.float64]:
    """Level unit vector that the pelvis faces (any, if it faces straight up or down)."""
    forward = posed.transforms[load_body().bone("root"), :, :3] @ np.array([0.0, -1, 0])
    return unit([forward[0], forward[1] + 1e-6, 0.0])


def joint(posed: Posed, name: str) -> NDArray[np.float64]:
    """Place (3,) mm of a canonical joint."""
    return posed.joints[CANONICAL.index(name)]


def ledge_height(rng: np.random.Generator, stance: Stance, share: float) -> float:
    """Height in mm of what the pose stands on: a block, wall or beam with probability ``share``, else 0."""
    if stance.support in ("feet", "hands", "floor", "air") and rng.random() < share:
        return float(rng.uniform(250, 1600))
    return 0.0


def add_support(stage: Stage, stance: Stance) -> None:
    """Add what supports the pose: a seat, a bar, a wall, or the block that it stands on."""
    if stance.support == "seat":
        _add_seat(stage, stance.posed)
    elif stance.support == "hang":
        _add_bar(stage, stance.posed)
    elif stance.support == "wall":
        _add_wall(stage, stance.posed)
    if stage.ground < -1:
        _add_block(stage, stance)


def _add_seat(stage: Stage, posed: Posed) -> None:
    asset, rng = load_body(), stage.rng
    hips = np.isin(asset.part[_FITTED], [PARTS.index(name) for name in ("torso", "left_thigh", "right_thigh")])
    points = posed.vertices[_FITTED][hips]
    pelvis, front = joint(posed, "pelvis"), front_of(posed)
    near = np.hypot(*(points[:, :2] - pelvis[:2]).T) < 190
    top = float(points[near, 2].min()) + 8
    depth = rng.uniform(330, 480)
    at = pelvis - front * (depth / 2 - 170)
    yaw = float(np.arctan2(front[0], -front[1]))
    size = (rng.uniform(380, 1600), depth, top - stage.ground)
    stage.put(box(size), (at[0], at[1], stage.ground), yaw, stage.material("planks", "concrete", "weave"))


def _add_bar(stage: Stage, posed: Posed) -> None:
    rng = stage.rng
    left, right = (joint(posed, f"{side}_wrist") for side in ("left", "right"))
    grip = np.array([0, 0, 55.0])
    along = unit([*(left - right)[:2], 1e-6])
    middle, reach = (left + right) / 2 + grip, rng.uniform(700, 2500)
    material = stage.material()
    stage.put(
        cylinder(middle - along * reach, middle + along * reach, rng.uniform(14, 30), sides=8), np.zeros(3), 0, material
    )
    for end in (middle - along * reach, middle + along * reach):
        foot = (end[0], end[1], stage.ground)
        if rng.random() < 0.7:
            stage.put(cylinder(foot, end, rng.uniform(20, 60), sides=8), np.zeros(3), 0, material)


def _add_wall(stage: Stage, posed: Posed) -> None:
    """A wall in front of the body that its hands or feet touch."""
    rng, front = stage.rng, front_of(posed)
    reach = float(transformed(body_points(posed), front[None]).max()) + 4
    low, high = extent(posed)
    centre = (low + high) / 2
    depth = rng.uniform(150, 1200)
    at = centre + front * (reach - centre @ front + depth / 2)
    yaw = float(np.arctan2(front[0], -front[1]))
    height = high[2] - stage.ground + rng.uniform(-350, 1800)
    size = (rng.uniform(1200, 7000), depth, height)
    stage.put(box(size), (at[0], at[1], stage.ground), yaw, stage.material(*_WALLS, earthy=True))


def _add_block(stage: Stage, stance: Stance) -> None:
    """A block, wall or beam whose top carries the pose; under a jump it lies some way below."""
    rng = stage.rng
    low, _ = extent(stance.posed)
    top = 0.0 if stance.support != "air" else low[2] * rng.uniform(0.1, 0.9)
    if stance.support == "air" and rng.random() < 0.4:
        return
    points = stance.posed.vertices[_FITTED]
    touching = points[points[:, 2] < points[:, 2].min() + 60]
    base_low, base_high = touching[:, :2].min(0) - 60, touching[:, :2].max(0) + 60
    # Blocks, and more often walls and terraces that go on beyond the person.
    size = (base_high - base_low) * rng.uniform(1.0, 1.6, 2) + rng.choice(
        [0, 800, 6000], 2, p=[0.4, 0.3, 0.3]
    ) * rng.random(2)
    centre = (base_low + base_high) / 2
    solid = box((size[0], size[1], top - stage.ground))
    stage.put(solid, (centre[0], centre[1], stage.ground), 0.0, stage.material(*_WALLS, earthy=True))


def add_ground(stage: Stage, indoor: bool) -> None:
    """A level ground with one texture, and sometimes painted lines."""
    rng = stage.rng
    role = str(rng.choice(_FLOORS_IN if indoor else _FLOORS_OUT))
    first = (
        leaf_colour(rng)
        if role == "grass"
        else thing_colour(rng)
        if indoor and rng.random() < 0.2
        else earth_colour(rng)
    )
    material = Material(
        first,
        scaled(first, rng.uniform(0.5, 1.1)) if rng.random() < 0.8 else earth_colour(rng),
        earth_colour(rng) if role != "grass" else scaled(first, 1.6),
        texture=stage.textures.pick(rng, role),
        period_m=float(rng.uniform(0.5, 1.4) if role == "grass" else rng.uniform(0.8, 3.5)),
        angle=float(rng.uniform(0, np.pi)),
        grain=float(rng.uniform(0.4, 1)),
        sheen=float(rng.uniform(0, 0.12)) if indoor else 0.0,
    )
    half = 60000.0
    points, faces, _ = quad((-half, -half, stage.ground), (2 * half, 0, 0), (0, 2 * half, 0))
    stage.builder.add(points, faces, stage.palette.add(material), casts=False)
    if rng.random() < 0.35:
        _add_lines(stage)


def _add_lines(stage: Stage) -> None:
    """Painted lines of a court, a track or a road."""
    rng = stage.rng
    number = stage.palette.add(Material(from_hsv(rng.random(), float(rng.choice([0, 0, 0.7])), 0.9)))
    yaw, gap, width = rng.uniform(0, np.pi), rng.uniform(800, 2500), rng.uniform(40, 110)
    for place in range(-3, 4):
        points, faces, _ = quad((-15000, place * gap, stage.ground + 4), (30000, 0, 0), (0, width, 0))
        stage.builder.add(turned(points, yaw), faces, number, casts=False)


def add_room(stage: Stage, eye: Array, half: tuple[float, float], height: float) -> None:
    """Four walls and a ceiling around the origin and the camera, with windows, doors and pictures on them."""
    low = np.minimum(np.array([-half[0], -half[1]]), np.asarray(eye)[:2] - 400)
    high = np.maximum(np.array(half), np.asarray(eye)[:2] + 400)
    walls = stage.material(*_WALLS, earthy=True), stage.material(*_WALLS, earthy=True)
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    for number in range(4):
        # Seen from inside, a wall runs from left to right against the order of the corners.
        start, end = np.array([*corners[(number + 1) % 4], stage.ground]), np.array([*corners[number], stage.ground])
        points, faces, flat = quad(start, end - start, (0, 0, height))
        stage.builder.add(points, faces, walls[number % 2], pattern=flat, axis=np.ones(2, np.uint8), casts=False)
        _hang_pictures(stage, start, end, height)
    points, faces, _ = quad((low[0], low[1], stage.ground + height), (high[0] - low[0], 0, 0), (0, high[1] - low[1], 0))
    stage.builder.add(points, faces, stage.material("tiles", "plaster", earthy=True), casts=False)


def add_hall(stage: Stage, eye: Array, half: float, height: float) -> None:
    """A large dark hall around the origin and the camera: curtains, stands with people, mats on the floor."""
    rng, centre = stage.rng, np.asarray(eye)[:2] / 2
    half += float(np.hypot(*np.asarray(eye)[:2])) / 2
    for number in range(4):
        colour = scaled(thing_colour(rng), rng.uniform(0.02, 0.4))
        other = scaled(thing_colour(rng), rng.uniform(0.02, 0.6))
        role = str(rng.choice(["crowd", "crowd", "plaster", "siding", "poster", "graffiti"]))
        wall = Material(
            colour, other, scaled(other, 1.6), stage.textures.pick(rng, role), float(rng.uniform(1.0, 5.0)), grain=0.6
        )
        turn = np.array([[0, -1], [1, 0]])
        outward = np.linalg.matrix_power(turn, number) @ (half, 0.0)
        start = np.array([*(centre + outward + turn @ outward), stage.ground])
        points, faces, flat = quad(start, np.array([*(-2 * turn @ outward), 0.0]), (0, 0, height))
        stage.builder.add(points, faces, stage.palette.add(wall), pattern=flat, axis=np.ones(2, np.uint8), casts=False)
    corner = (*(centre - half), stage.ground + height)
    points, faces, _ = quad(corner, (2 * half, 0, 0), (0, 2 * half, 0))
    dark = stage.palette.add(Material(scaled(earth_colour(rng), 0.1)))
    stage.builder.add(points, faces, dark, casts=False)


def _hang_pictures(stage: Stage, start: Array, end: Array, height: float) -> None:
    """Windows, doors, posters, mirrors and dark openings on one wall."""
    rng = stage.rng
    along, length = unit(end - start), float(np.linalg.norm(end - start))
    inward = np.array([along[1], -along[0], 0.0])
    for place in np.arange(rng.uniform(300, 1500), length - 800, rng.uniform(900, 2500)):
        if rng.random() < 0.35:
            continue
        width, tall = rng.uniform(400, 1500), rng.uniform(400, min(2000.0, height * 0.7))
        bottom = rng.choice([0.0, rng.uniform(500, 1500)])
        bright = rng.random() < 0.3
        colour = from_hsv(0.58, 0.1, 0.95) if bright else thing_colour(rng)
        role = str(rng.choice(["poster", "facade", "siding", "plaster", "graffiti"]))
        picture = Material(
            colour, thing_colour(rng), thing_colour(rng), stage.textures.pick(rng, role), tall / 1000, glow=2.0 * bright
        )
        corner = start + along * place + inward * 25 + (0, 0, bottom)
        points, faces, flat = quad(corner, along * width, (0, 0, min(tall, height - bottom - 50)))
        stage.builder.add(
            points, faces, stage.palette.add(picture), pattern=flat, axis=np.ones(2, np.uint8), casts=False
        )


def add_things(stage: Stage, eye: Array, posed: Posed, count: int, indoor: bool, reach: float) -> None:
    """Random things around the person that do not block the camera's view."""
    low, high = extent(posed)
    centre, radius = (low + high)[:2] / 2, float(np.hypot(*(high - low)[:2])) / 2
    view = unit(centre - np.asarray(eye)[:2])
    distance = float(np.linalg.norm(centre - np.asarray(eye)[:2]))
    things = INDOOR if indoor else OUTDOOR
    for _ in range(count):
        # Most things stand behind the person, spread over the field of view.
        deep = (
            stage.rng.uniform(radius + 900, reach) if stage.rng.random() < 0.8 else stage.rng.uniform(-distance, reach)
        )
        aside = stage.rng.normal(0, 0.35) * (distance + deep)
        if (deep < radius + 700 and abs(aside) < radius + 3200) or distance + deep < 2500:
            continue
        spot = centre + view * deep + np.array([-view[1], view[0]]) * aside
        thing = things[stage.rng.integers(len(things))]
        thing(stage, np.array([*spot, stage.ground]), float(stage.rng.uniform(0, np.pi)))


def add_occluder(stage: Stage, eye: Array, target: Array, size_mm: float) -> None:
    """An occluder between the camera and the point ``target``; it covers about ``size_mm`` there."""
    rng, eye = stage.rng, np.asarray(eye, np.float64)
    share = float(rng.uniform(0.45, 0.85))
    at = eye + (np.asarray(target) - eye) * share
    size = size_mm * share
    kind = rng.choice(["box", "post", "bar", "leaves", "board"], p=[0.35, 0.2, 0.15, 0.15, 0.15])
    yaw = float(rng.uniform(0, np.pi))
    if kind == "box":
        top = max(at[2] + size * 0.3 - stage.ground, 100)
        stage.put(box((size, size, top)), (at[0], at[1], stage.ground), yaw, stage.material(*_WALLS))
    elif kind == "post":
        solid = cylinder((0, 0, 0), (0, 0, max(at[2] - stage.ground, 0) + 2500), size * 0.22)
        stage.put(solid, (at[0], at[1], stage.ground), yaw, stage.material("bark", "concrete", "siding"))
    elif kind == "bar":
        across = unit(cross(np.asarray(target) - eye, [0.0, 0, 1])) + rng.normal(0, 0.25, 3)
        stage.put(
            cylinder(at - across * 3000, at + across * 3000, size * 0.12, sides=8),
            np.zeros(3),
            0,
            stage.material("planks"),
        )
    elif kind == "leaves":
        stage.put(ball(rng, size * rng.uniform(0.3, 0.6, 3), 0.25, 9, 14), at, yaw, stage.leaves())
    else:
        stage.put(
            box((size, 20, size * rng.uniform(0.5, 1.5))),
            at - (0, 0, size / 2),
            yaw,
            stage.material("poster", "planks"),
        )
