"""What a line of sight meets first, against an independent ray caster and by hand."""

import numpy as np
import pytest
from helpers import first_hit

from headstart.geometry import Camera
from headstart.skeleton import WITH_FEET
from headstart.synth.body import PARTS
from headstart.synth.labels import State, first_hits, joint_states
from headstart.synth.mesh import OTHER_PERSON, SUBJECT, THING, MeshBuilder
from headstart.synth.primitives import quad

#: Looks along world y, z up; wider than high, pixels that are not square.
TURN = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
CAMERA = Camera(64, 48, 15.5, 11.5, rotation=TURN, translation_mm=np.array([30.0, -20.0, 100.0]))
NEAR_MM = 60.0


def triangles(count: int, rng: np.random.Generator):
    """A mesh of triangles anywhere before and beside the camera, some behind it, with holes; corners in camera axes."""
    middles = np.stack([rng.normal(0, 500, count), rng.normal(0, 400, count), rng.uniform(-300, 3000, count)], 1)
    corners = middles[:, None] + rng.normal(size=(count, 3, 3)) * rng.choice([30, 100, 300], count)[:, None, None]
    world = (corners.reshape(-1, 3) - CAMERA.translation_mm) @ TURN
    builder = MeshBuilder()
    builder.add(world, np.arange(3 * count).reshape(-1, 3), 0, cut=rng.normal(-0.5, 1, 3 * count))
    mesh = builder.build()
    seen = mesh.vertices.astype(np.float64) @ TURN.T + CAMERA.translation_mm
    return mesh, seen[mesh.faces], mesh.cut[mesh.faces].astype(np.float64)


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 2), (2, 15), (3, 60), (4, 200)])
def test_lines_of_sight_meet_what_rays_meet(seed, count):
    rng = np.random.default_rng(seed)
    mesh, corners, cut = triangles(count, rng)
    pixels = rng.uniform((0, 0), (32, 24), (120, 2))
    # A ray of depth 1 mm a unit begins where the camera begins to draw.
    rays = np.concatenate([(pixels - (15.5, 11.5)) / (64, 48), np.ones((120, 1))], 1)
    expected = [first_hit(NEAR_MM * ray, ray, corners, cut) for ray in rays]
    faces, depths = first_hits(mesh, CAMERA, pixels)
    assert faces.tolist() == [face for face, _ in expected]
    np.testing.assert_allclose(depths, [NEAR_MM + further for _, further in expected], atol=1e-6)
    assert count < 15 or 0.1 < (faces >= 0).mean() < 0.99


@pytest.mark.parametrize(("depth", "found"), [(59.0, -1), (61.0, 0)])
def test_nothing_is_met_nearer_than_60_mm(depth, found):
    corners = np.array([[-900.0, -900, depth], [900, -900, depth], [0, 900, depth]])
    builder = MeshBuilder()
    builder.add((corners - CAMERA.translation_mm) @ TURN, np.array([[0, 1, 2]]), 0)
    assert first_hits(builder.build(), CAMERA, np.array([[15.0, 11.0]]))[0].tolist() == [found]


def test_a_triangle_seen_from_its_edge_is_not_met():
    builder = MeshBuilder()
    corners = np.array([[0.0, -900, 500], [0, 900, 500], [0, 0, 900]])
    builder.add((corners - CAMERA.translation_mm) @ TURN, np.array([[0, 1, 2]]), 0)
    assert first_hits(builder.build(), CAMERA, np.array([[15.5, 11.5]]))[0].tolist() == [-1]


def states(depths: dict[str, float], part: str, owner: int = SUBJECT) -> list[State]:
    """Of joints at these depths in mm, on an axis that meets a wall of one part at 2 m in its first triangle."""
    builder = MeshBuilder()
    points, faces, _ = quad((-900, 1900, -900), (1800, 0, 0), (0, 0, 1800))
    builder.add(points, faces, 0, part=PARTS.index(part), owner=owner)
    pixels, xyz = np.tile([17.0, 14.0], (28, 1)), np.tile([0.0, 0.0, 1000.0], (28, 1))
    rows = WITH_FEET.indices(tuple(depths))
    xyz[rows, 2] = list(depths.values())
    mesh = builder.build()
    assert first_hits(mesh, CAMERA, pixels)[0][0] == 0
    return [State(state) for state in joint_states(mesh, CAMERA, xyz, pixels, 32, 24)[rows]]


@pytest.mark.parametrize(
    ("joint", "part", "reach"),
    [
        ("nose", "head", 35),
        ("left_hip", "left_thigh", 260),
        ("right_hip", "torso", 260),
        ("left_heel", "left_foot", 65),
        ("right_small_toe", "right_foot", 65),
    ],
)
def test_a_joint_may_lie_so_deep_under_the_parts_that_show_it(joint, part, reach):
    for depth, state in (
        (1900, State.VISIBLE),
        (2000 + reach - 1, State.VISIBLE),
        (2000 + reach + 1, State.SELF_OCCLUDED),
        (0, State.OUT_OF_FRAME),
        (-100, State.OUT_OF_FRAME),
    ):
        assert states({joint: depth}, part) == [state], depth


def test_the_other_foot_and_the_own_shin_hide_a_foot():
    seen = {"left_big_toe": 2010.0, "right_big_toe": 2010.0, "right_heel": 1990.0}
    own = State.SELF_OCCLUDED
    assert states(seen, "left_foot") == [State.VISIBLE, own, State.VISIBLE]
    assert states(seen, "left_shin") == [own, own, State.VISIBLE]


def test_who_hides_a_joint():
    seen = {"left_hip": 2010.0, "right_hip": 2010.0, "nose": 2010.0, "left_wrist": 1990.0}
    own, other = State.SELF_OCCLUDED, State.OBJECT_OCCLUDED
    assert states(seen, "left_thigh") == [State.VISIBLE, own, own, State.VISIBLE]
    for owner in (OTHER_PERSON, THING):
        assert states(seen, "left_thigh", owner) == [other, other, other, State.VISIBLE]
