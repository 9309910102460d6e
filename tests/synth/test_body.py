"""The packed body: statures and bones of real adults, joints on the side that their names say."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from headstart.skeleton import CANONICAL
from headstart.synth.affine import bounds, transformed
from headstart.synth.body import STATURE_MM, load_body, sample_shape, skin
from headstart.synth.pose import rest_joints
from headstart.synth.rig import bone_rotations, make_pose, mirrored
from headstart.synth.rotation import about, blend, cross, swing, to_vector, unit


@pytest.fixture(scope="module")
def shapes():
    rng = np.random.default_rng(3)
    return [sample_shape(rng) for _ in range(240)]


def test_statures_follow_the_published_distribution(shapes):
    asset = load_body()
    for woman, (mean, deviation) in zip((False, True), STATURE_MM):
        tall = np.array(
            [s.rest[asset.landmarks["head_top"], 2] - s.rest[asset.sole, 2] for s in shapes if s.woman == woman]
        )
        assert abs(tall.mean() - mean) < 3 * deviation / np.sqrt(len(tall))
        assert 0.75 * deviation < tall.std() < 1.25 * deviation


# Segment over stature: Drillis and Contini (1966) as tabled by Winter, widened for real variety.
@pytest.mark.parametrize(
    ("start", "end", "low", "high"),
    [
        ("left_hip", "left_knee", 0.19, 0.28),
        ("left_knee", "left_ankle", 0.195, 0.28),
        ("right_shoulder", "right_elbow", 0.13, 0.19),
        ("right_elbow", "right_wrist", 0.12, 0.17),
        ("left_shoulder", "right_shoulder", 0.17, 0.28),
        ("left_hip", "right_hip", 0.09, 0.16),
        ("neck", "head_top", 0.09, 0.15),
    ],
)
def test_bones_have_human_proportions(shapes, start, end, low, high):
    first, last = CANONICAL.indices((start, end))
    for shape in shapes[:60]:
        joints = rest_joints(shape)
        assert low < np.linalg.norm(joints[first] - joints[last]) / shape.stature_mm < high


def test_knees_halve_the_leg_as_in_labelled_photographs(shapes):
    hip, knee, ankle = CANONICAL.indices(("left_hip", "left_knee", "left_ankle"))
    legs = np.array([rest_joints(shape)[[hip, knee, ankle]] for shape in shapes])
    thigh, shin = (np.linalg.norm(np.diff(legs, axis=1), axis=-1)).T
    share = thigh / (thigh + shin)
    assert 0.49 < share.mean() < 0.51
    assert 0.43 < share.min() < share.max() < 0.57


def test_left_is_left_and_joints_stand_in_order(shapes):
    joints = rest_joints(shapes[0])
    for name in CANONICAL.names:
        if name.startswith("left_"):
            assert joints[CANONICAL.index(name), 0] > 5 > -5 > joints[CANONICAL.index(name.replace("left", "right")), 0]
    heights = joints[CANONICAL.indices(("left_ankle", "left_knee", "pelvis", "spine", "thorax", "neck", "head_top")), 2]
    assert (np.diff(heights) > 0).all()
    assert joints[CANONICAL.index("nose"), 1] < joints[CANONICAL.index("neck"), 1]


def test_skinning_keeps_bone_lengths(shapes):
    shape, rng = shapes[0], np.random.default_rng(0)
    turns = {
        name: about(rng.normal(size=3), 0.7) for name in ("root", "left_thigh", "left_shin", "right_upper_arm", "chest")
    }
    rest, posed = rest_joints(shape), skin(shape, bone_rotations(make_pose(turns))).joints
    for start, end in (("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("right_elbow", "right_wrist")):
        pair = CANONICAL.indices((start, end))
        assert np.linalg.norm(np.subtract(*posed[pair])) == pytest.approx(
            np.linalg.norm(np.subtract(*rest[pair])), abs=0.5
        )


def test_knee_flexion_lifts_the_left_foot_backwards(shapes):
    rest = rest_joints(shapes[0])
    posed = skin(shapes[0], bone_rotations(make_pose({"left_shin": about([1, 0, 0], 1.2)}))).joints
    ankle, other = CANONICAL.indices(("left_ankle", "right_ankle"))
    assert posed[ankle, 2] > rest[ankle, 2] + 100
    assert posed[ankle, 1] > rest[ankle, 1] + 100
    np.testing.assert_allclose(posed[other], rest[other], atol=1e-3)


def test_mirroring_a_pose_exchanges_the_sides(shapes):
    pose = make_pose({"left_thigh": about([1, 0.2, 0.1], -1.0), "chest": about([0, 0, 1], 0.4)})
    joints, flipped = (skin(shapes[0], bone_rotations(p)).joints for p in (pose, mirrored(pose)))
    np.testing.assert_allclose(flipped[list(CANONICAL.flip_index)] * (-1, 1, 1), joints, atol=15)


def test_vectors_by_plain_floats_are_those_of_numpy():
    rng = np.random.default_rng(2)
    first, second, points = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(cross(first, second), np.cross(first, second), atol=1e-12)
    np.testing.assert_allclose(unit(first[:2]), first[:2] / np.linalg.norm(first[:2]), atol=1e-12)
    assert list(unit([0.0, 0.0, 0.0])) == [0.0, 0.0, 0.0]
    turn = Rotation.from_rotvec(first / np.linalg.norm(first) * 0.7).as_matrix()
    np.testing.assert_allclose(about(first, 0.7), turn, atol=1e-12)
    np.testing.assert_array_equal(bounds(points), (points.min(0), points.max(0)))
    np.testing.assert_allclose(transformed(points, turn, second), points @ turn.T + second, atol=1e-6)


def test_rotation_helpers():
    rng = np.random.default_rng(1)
    for _ in range(20):
        start, end = rng.normal(size=(2, 3))
        turned = swing(start, end) @ start
        np.testing.assert_allclose(turned / np.linalg.norm(turned), end / np.linalg.norm(end), atol=1e-9)
        turn = about(rng.normal(size=3), rng.uniform(0, np.pi))
        np.testing.assert_allclose(blend(np.eye(3), turn, 1.0), turn, atol=1e-6)
    np.testing.assert_allclose(np.abs(to_vector(about([0, 1, 0], np.pi))), [0, np.pi, 0], atol=1e-5)
