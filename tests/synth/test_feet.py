"""Toes and heels against anatomy: at the ends of the foot, level with the sole, on their own side."""

import numpy as np
import pytest

from headstart.skeleton import CANONICAL, FEET
from headstart.synth.body import PARTS, load_body, sample_shape, skin
from headstart.synth.feet import foot_points, foot_vertices
from headstart.synth.rig import bone_rotations, make_pose
from headstart.synth.rotation import about


@pytest.fixture(scope="module")
def shapes():
    rng = np.random.default_rng(7)
    return [sample_shape(rng) for _ in range(40)]


def standing(shape):
    """Joints by name -> (3,) mm of the body at rest, and its posed body."""
    posed = skin(shape, bone_rotations(make_pose({})))
    return dict(zip((*CANONICAL.names, *FEET), np.concatenate([posed.joints, foot_points(posed)]))), posed


def test_toes_are_in_front_the_heel_is_behind_and_the_small_toe_outside(shapes):
    """The person faces -y with the left side at +x."""
    for shape in shapes:
        at, _ = standing(shape)
        for side, outwards in (("left", 1), ("right", -1)):
            big, small, heel, ankle = (at[f"{side}_{name}"] for name in ("big_toe", "small_toe", "heel", "ankle"))
            assert big[1] + 20 < small[1] < ankle[1] - 80
            assert heel[1] > ankle[1] + 25
            assert outwards * (small[0] - big[0]) > 45
            assert outwards * big[0] > 20
            assert outwards * heel[0] > 20


def test_they_lie_level_with_the_sole(shapes):
    for shape in shapes:
        at, posed = standing(shape)
        sole = posed.vertices[: load_body().naked_vertices, 2].min()
        for joint in FEET:
            assert 0 <= at[joint][2] - sole < 30, joint


def test_nothing_of_the_foot_lies_before_the_big_toe_or_far_behind_the_heel(shapes):
    asset, feet = load_body(), [PARTS.index(f"{side}_foot") for side in ("left", "right")]
    for shape in shapes[:5]:
        at, posed = standing(shape)
        foot = posed.vertices[: asset.naked_vertices][np.isin(asset.part[: asset.naked_vertices], feet)]
        assert foot[:, 1].min() == pytest.approx(min(at["left_big_toe"][1], at["right_big_toe"][1]), abs=3)
        assert foot[:, 1].max() < max(at["left_heel"][1], at["right_heel"][1]) + 12


def test_feet_are_as_long_as_those_of_adults(shapes):
    """0.152 of stature (Drillis and Contini), less the rounding of the heel, which lies below its rearmost point."""
    shares = []
    for shape in shapes:
        at, _ = standing(shape)
        shares.append(np.linalg.norm(at["left_big_toe"] - at["left_heel"]) / shape.stature_mm)
    assert 0.14 < np.mean(shares) < 0.16
    assert 0.125 < min(shares) < max(shares) < 0.175


def test_both_feet_are_marked_at_mirrored_vertices():
    points = load_body().mean[list(foot_vertices())]
    np.testing.assert_allclose(points[:3] * (-1, 1, 1), points[3:], atol=0.01)


def test_a_foot_that_points_takes_its_toes_down_and_its_heel_up(shapes):
    """By the ankle alone: it turns about the ankle as one piece, the other foot stays."""
    before, _ = standing(shapes[0])
    posed = skin(shapes[0], bone_rotations(make_pose({"left_foot": about([1, 0, 0], 0.6)})))
    after = dict(zip(FEET, foot_points(posed)))
    assert after["left_big_toe"][2] < before["left_big_toe"][2] - 60
    assert after["left_small_toe"][2] < before["left_small_toe"][2] - 50
    assert after["left_heel"][2] > before["left_heel"][2] + 15
    for first, second in (
        ("left_big_toe", "left_heel"),
        ("left_small_toe", "left_heel"),
        ("left_big_toe", "left_small_toe"),
    ):
        length = np.linalg.norm(before[first] - before[second])
        assert np.linalg.norm(after[first] - after[second]) == pytest.approx(length, abs=4)
    for joint in FEET[3:]:
        np.testing.assert_allclose(after[joint], before[joint], atol=1e-3)
