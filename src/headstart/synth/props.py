"""Things around people: boxes, walls, steps, rails, benches, trees, cars, signs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from headstart.synth.colour import thing_colour
from headstart.synth.material import Material
from headstart.synth.primitives import ball, box, cylinder, quad, turned
from headstart.synth.stage import Stage

_HARD = ("concrete", "planks", "plaster", "siding", "bricks", "stones", "tiles", "graffiti")


def crate(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A box of any proportions."""
    size = stage.rng.uniform(200, 1300, 3) * (1, 1, 0.8)
    stage.put(box(size), at, yaw, stage.material(*_HARD))


def wall(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A long low or high wall."""
    size = (stage.rng.uniform(1500, 6000), stage.rng.uniform(120, 500), stage.rng.uniform(350, 2600))
    stage.put(box(size), at, yaw, stage.material(*_HARD, earthy=True))


def steps(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A flight of two to six steps."""
    material, rise = stage.material("concrete", "stones", "bricks", "tiles", earthy=True), stage.rng.uniform(130, 260)
    width, count = stage.rng.uniform(1200, 4000), int(stage.rng.integers(2, 7))
    for step in range(count):
        offset = turned(np.array([[0.0, step * 320.0, 0.0]]), yaw)[0]
        stage.put(box((width, 320.0, rise * (step + 1))), np.asarray(at) + offset, yaw, material)


def rail(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """Posts and bars."""
    rng, material = stage.rng, stage.material()
    length, height = rng.uniform(1500, 5000), rng.uniform(700, 1500)
    radius = rng.uniform(15, 45)
    for x in np.linspace(-length / 2, length / 2, int(rng.integers(2, 5))):
        stage.put(cylinder((x, 0, 0), (x, 0, height), radius, sides=8), at, yaw, material)
    for z in np.linspace(height, height * 0.35, int(rng.integers(1, 4))):
        stage.put(cylinder((-length / 2, 0, z), (length / 2, 0, z), radius, sides=8), at, yaw, material)


def pickets(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A fence of upright slats."""
    rng, material = stage.rng, stage.material("planks")
    gap, height, width = rng.uniform(90, 260), rng.uniform(700, 2000), rng.uniform(20, 90)
    for number in range(12):
        stage.put(
            box((width, 25, height)),
            np.asarray(at) + turned(np.array([[(number - 6) * gap, 0, 0]]), yaw)[0],
            yaw,
            material,
        )
    for z in (0.25, 0.85):
        stage.put(box((12 * gap, 35, 60)), np.asarray(at) + np.array([0, 0, z * height]), yaw, material)


def post(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A pole, a column or a lamp post."""
    radius = stage.rng.uniform(30, 220)
    solid = cylinder((0, 0, 0), (0, 0, stage.rng.uniform(1500, 6000)), radius, radius * stage.rng.uniform(0.6, 1))
    stage.put(solid, at, yaw, stage.material("concrete", "bark", "siding"))


def tree(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A trunk with lumps of leaves."""
    rng = stage.rng
    height, radius = rng.uniform(1500, 3500), rng.uniform(80, 260)
    bark = stage.material("bark", earthy=True)
    stage.put(
        cylinder((0, 0, 0), (rng.normal(0, 200), rng.normal(0, 200), height), radius, radius * 0.6), at, yaw, bark
    )
    leaves = stage.leaves()
    for _ in range(int(rng.integers(3, 7))):
        centre = np.asarray(at) + rng.normal(0, (700, 700, 400)) + (0, 0, height + 500)
        stage.put(ball(rng, rng.uniform(500, 1300, 3), 0.2, 9, 14), centre, yaw, leaves)


def bush(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """Leaves on the ground."""
    leaves = stage.leaves()
    for _ in range(int(stage.rng.integers(2, 5))):
        radii = stage.rng.uniform(250, 800, 3)
        centre = np.asarray(at) + stage.rng.normal(0, (450, 450, 0)) + (0, 0, radii[2] * 0.5)
        stage.put(ball(stage.rng, radii, 0.22, 8, 12), centre, yaw, leaves)


def table(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A table, a bench or a vaulting table: a slab on legs."""
    rng = stage.rng
    length, depth, height = rng.uniform(600, 2400), rng.uniform(300, 1100), rng.uniform(380, 1150)
    material, thick = stage.material("planks", "siding"), rng.uniform(40, 160)
    stage.put(box((length, depth, thick)), np.asarray(at) + np.array([0, 0, height - thick]), yaw, material)
    leg = rng.uniform(40, 120)
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        corner = turned(np.array([[x * (length - leg) / 2, y * (depth - leg) / 2, 0]]), yaw)[0]
        stage.put(box((leg, leg, height - thick)), np.asarray(at) + corner, yaw, material)


def chair(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A seat with a back."""
    width, height = stage.rng.uniform(400, 700), stage.rng.uniform(380, 500)
    material = stage.material("planks", "weave")
    stage.put(box((width, width, height)), at, yaw, material)
    back = turned(np.array([[0.0, width / 2, height]]), yaw)[0]
    stage.put(box((width, 70, stage.rng.uniform(350, 600))), np.asarray(at) + back, yaw, material)


def car(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A parked car: body, cabin, wheels."""
    paint, glass, rubber = stage.material(), stage.material(), stage.material()
    length, width = stage.rng.uniform(3600, 4800), stage.rng.uniform(1600, 1850)
    lift = np.asarray(at) + np.array([0, 0, 250])
    stage.put(box((length, width, 600)), lift, yaw, paint)
    stage.put(box((length * 0.55, width * 0.9, 520)), lift + np.array([0, 0, 600]), yaw, glass)
    for x in (-0.32, 0.32):
        axle = cylinder((x * length, -width / 2 - 20, 60), (x * length, width / 2 + 20, 60), 310, sides=14)
        stage.put(axle, lift, yaw, rubber)


def hoarding(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A banner or a notice board on two legs."""
    rng = stage.rng
    length, height, lift = rng.uniform(1000, 5000), rng.uniform(500, 1600), rng.uniform(0, 900)
    along = turned(np.array([[length, 0, 0]]), yaw)[0]
    points, faces, flat = quad(np.asarray(at) - along / 2 + (0, 0, lift), along, (0, 0, height))
    picture = Material(
        thing_colour(rng),
        thing_colour(rng),
        thing_colour(rng),
        stage.textures.pick(rng, "poster", "graffiti"),
        height / 1000,
    )
    number = stage.palette.add(picture)
    stage.builder.add(points, faces, number, pattern=flat, axis=np.ones(2, np.uint8))


def mat(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A gymnastics mat or a paving slab."""
    rng = stage.rng
    size = (rng.uniform(1000, 3500), rng.uniform(1000, 2500), rng.uniform(10, 350))
    stage.put(box(size), at, yaw, stage.material("siding", "weave"))


def sphere(stage: Stage, at: ArrayLike, yaw: float) -> None:
    """A ball or a boulder."""
    radius, stone = stage.rng.uniform(100, 450), stage.rng.random() < 0.5
    solid = ball(
        stage.rng, radius * stage.rng.uniform(0.7, 1.2, 3) if stone else radius * np.ones(3), 0.15 * stone, 9, 14
    )
    stage.put(
        solid, np.asarray(at) + np.array([0, 0, radius * 0.8]), yaw, stage.material("stones" if stone else "checker")
    )


Thing = Callable[[Stage, ArrayLike, float], None]
OUTDOOR: tuple[Thing, ...] = (
    crate,
    wall,
    steps,
    rail,
    pickets,
    post,
    tree,
    bush,
    table,
    car,
    hoarding,
    sphere,
    tree,
    bush,
)
INDOOR: tuple[Thing, ...] = (crate, table, chair, rail, mat, post, table, chair, crate, hoarding, sphere, steps)
