"""Cameras that no picture can come from are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.errors import ConfigError
from headstart.geometry import Camera
from headstart.given import check_camera

GOOD = Camera(1000.0, 1000.0, 320.0, 240.0, (-0.2, 0.1, 0.0, 0.0, -0.01))


def test_a_camera_with_a_lens_passes() -> None:
    check_camera(GOOD)


@pytest.mark.parametrize("coefficient", range(5))
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_lens_that_is_not_finite_is_refused(coefficient: int, wrong: float) -> None:
    values = list(GOOD.distortion)
    values[coefficient] = wrong
    with pytest.raises(ConfigError, match="finite numbers as distortion, k1, k2, p1, p2, k3"):
        check_camera(replace(GOOD, distortion=(values[0], values[1], values[2], values[3], values[4])))


@pytest.mark.parametrize("wrong", [(0.1, 0.2, 0.0, 0.0), (0.1,) * 8, ()])
def test_a_lens_of_other_models_is_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="expected five finite numbers as distortion"):
        check_camera(replace(GOOD, distortion=wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [list, np.array])
def test_a_lens_may_be_a_list_or_an_array(kind: Callable[..., Any]) -> None:
    """What ``cv2.calibrateCamera`` gives is an array."""
    camera, pixels, depth = replace(GOOD, distortion=kind(GOOD.distortion)), np.array([[9.0, 9.0]]), np.array([2000.0])
    check_camera(camera)
    np.testing.assert_array_equal(camera.unproject(pixels, depth), GOOD.unproject(pixels, depth))
