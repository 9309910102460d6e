"""Cameras that no picture can come from are refused by name."""

from __future__ import annotations

from dataclasses import replace

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
    with pytest.raises(ConfigError, match="finite distortion k1, k2, p1, p2, k3"):
        check_camera(replace(GOOD, distortion=(values[0], values[1], values[2], values[3], values[4])))
