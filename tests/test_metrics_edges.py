"""Metrics at the edge of what they accept: people of no size, and of hardly any."""

from __future__ import annotations

import numpy as np
import pytest

from headstart import metrics
from headstart.geometry import procrustes_align

ONE = np.ones((1, 1), bool)


@pytest.mark.parametrize("reference", [0.0, -1.0])
def test_a_joint_that_is_off_is_no_miss_where_the_person_has_no_size(reference: float) -> None:
    """3 px over 0 px would be infinitely far: a miss, where there is nothing to score."""
    hits = metrics.pck(np.array([[[3.0, 0.0]]]), np.zeros((1, 1, 2)), ONE, np.array([reference]))
    assert np.isnan(hits).all()


def test_a_person_smaller_than_a_pixel_is_scored() -> None:
    hits = metrics.pck(np.array([[[0.1, 0.0]]]), np.zeros((1, 1, 2)), ONE, np.array([0.5]))
    assert hits.tolist() == [[1.0]]


def test_a_point_that_was_not_predicted_steers_no_fit() -> None:
    """Of weight 0 and not a number; twice the size and moved, the others are laid on the truth."""
    truth = np.random.default_rng(9).normal(0, 400, (5, 3))
    predicted = 2 * truth + 50
    predicted[4] = np.nan
    aligned = procrustes_align(predicted, truth, np.array([1.0, 1, 1, 1, 0]))
    np.testing.assert_allclose(aligned[:4], truth[:4], atol=1e-9)
    assert np.isnan(aligned[4]).all()
