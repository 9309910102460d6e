"""Fitting cameras to 2D and 3D labels."""

import numpy as np
import pytest

from headstart.datasets.calibration import fit_camera, pinhole
from headstart.geometry import Camera


def points(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-1000, -1000, 2500], [1000, 1000, 5000], (30, 17, 3))


def test_a_pinhole_is_found_exactly() -> None:
    truth = Camera(1500.0, 1490.0, 1020.0, 1070.0)
    found = fit_camera(truth.project(points()).reshape(30, 17, 2), points())
    assert found is not None
    assert (found.fx, found.fy, found.cx, found.cy) == pytest.approx((1500.0, 1490.0, 1020.0, 1070.0), abs=1e-6)
    assert found.distortion == (0, 0, 0, 0, 0)


def test_lens_distortion_is_found_where_a_pinhole_does_not_do() -> None:
    truth = Camera(1683.9, 1672.6, 939.8, 560.0, (-0.277, 0.131, -0.0004, -0.0011, -0.049))
    pixels = truth.project(points()).reshape(30, 17, 2)
    found = fit_camera(pixels, points())
    assert found is not None
    np.testing.assert_allclose(found.project(points()), pixels.reshape(-1, 2), atol=0.5)


def test_labels_without_a_camera_have_none() -> None:
    noise = np.random.default_rng(1).normal(0, 40, (30, 17, 2))
    truth = Camera(1500.0, 1490.0, 1020.0, 1070.0)
    assert fit_camera(truth.project(points()).reshape(30, 17, 2) + noise, points()) is None
    assert fit_camera(np.zeros((0, 17, 2)), np.zeros((0, 17, 3))) is None
    assert fit_camera(np.zeros((1, 17, 2)), np.ones((1, 17, 3))) is None


def test_matrices_that_are_no_camera_are_refused() -> None:
    good = np.diag([1000.0, 1000.0, 1.0])
    for intrinsic, rotation in (
        (np.diag([-1.0, 1, 1]), np.eye(3)),
        (good, np.diag([1.0, 1, -1])),
        (good, 2 * np.eye(3)),
    ):
        with pytest.raises(ValueError, match=r"rotation|focal"):
            pinhole(intrinsic, rotation, np.zeros(3))
