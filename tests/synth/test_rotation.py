"""Rotations, against those of scipy and worked out by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from headstart.synth.rotation import (
    X,
    Y,
    Z,
    about,
    blend,
    euler_degrees,
    fraction,
    from_vector,
    swing,
    to_vector,
    twist_angle,
)

AXES = [np.array(axis) for axis in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0), (0.36, 0.48, 0.8), (-0.8, 0.6, 0.0))]


@pytest.mark.parametrize(("axis", "start", "end"), [(X, Y, Z), (Y, Z, X), (Z, X, Y)])
def test_a_quarter_turn_follows_the_right_hand(axis, start, end):
    np.testing.assert_allclose(about(5 * axis, np.pi / 2) @ start, end, atol=1e-12)
    np.testing.assert_allclose(about(axis, np.pi / 2) @ axis, axis, atol=1e-12)


def test_angles_are_about_axes_that_turn_along():
    """First about x, then about the new y, then about the new z."""
    wanted = Rotation.from_euler("XYZ", (20, -35, 50), degrees=True).as_matrix()
    np.testing.assert_allclose(euler_degrees(20, -35, 50), wanted, atol=1e-12)


def test_many_vectors_to_matrices_at_once():
    vectors = np.random.default_rng(0).normal(size=(2, 3, 3))
    vectors[0, 0] = 0
    wanted = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(2, 3, 3, 3)
    np.testing.assert_allclose(from_vector(vectors), wanted, atol=1e-12)
    np.testing.assert_array_equal(from_vector(vectors)[0, 0], np.eye(3))


@pytest.mark.parametrize("radians", [0.0, 0.3, 1.0, np.pi / 2, 2.5, 3.0, np.pi - 2e-3])
@pytest.mark.parametrize("axis", AXES)
def test_a_vector_comes_back_from_its_matrix(axis, radians):
    np.testing.assert_allclose(to_vector(about(axis, radians)), radians * axis, atol=1e-9)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("radians", [np.pi - 1e-6, np.pi])
def test_half_a_turn_is_about_its_axis_in_one_of_both_directions(axis, radians):
    vector = to_vector(about(axis, radians))
    assert np.linalg.norm(vector) == pytest.approx(radians)
    assert abs(vector @ axis) == pytest.approx(radians)


def test_a_share_of_a_turn():
    axis = AXES[3]
    np.testing.assert_allclose(fraction(about(axis, 0.9), 1 / 3), about(axis, 0.3), atol=1e-9)
    np.testing.assert_allclose(fraction(about(axis, 0.9), 0.0), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(fraction(np.eye(3), 0.5), np.eye(3), atol=1e-9)


def test_a_quarter_of_the_way_from_one_turn_to_another():
    first = about(X, 0.5)
    np.testing.assert_allclose(blend(first, first @ about(Y, 0.8), 0.25), first @ about(Y, 0.2), atol=1e-9)


@pytest.mark.parametrize("radians", [1e-6, 0.4, np.pi / 2, 2.0, np.pi - 1e-6])
def test_a_swing_is_about_the_axis_across_both_directions(radians):
    """From x towards y is about z; lengths do not count."""
    end = [3 * np.cos(radians), 3 * np.sin(radians), 0]
    np.testing.assert_allclose(swing(2 * X, end), about(Z, radians), atol=1e-9)


@pytest.mark.parametrize("axis", AXES)
def test_a_swing_to_the_same_or_to_the_opposite_direction(axis):
    np.testing.assert_array_equal(swing(axis, 2 * axis), np.eye(3))
    turned = swing(axis, -axis)
    np.testing.assert_allclose(turned @ axis, -axis, atol=1e-9)
    np.testing.assert_allclose(turned @ turned, np.eye(3), atol=1e-9)
    assert np.linalg.det(turned) == pytest.approx(1)


@pytest.mark.parametrize("radians", [-3.0, -0.7, 0.0, 0.7, np.pi / 2, 3.0])
@pytest.mark.parametrize("axis", AXES)
def test_a_twist_is_what_a_swing_leaves(axis, radians):
    towards = np.array([0.2, -0.5, 0.7])
    assert twist_angle(swing(axis, towards) @ about(axis, radians), axis) == pytest.approx(radians, abs=1e-9)
