"""The camera that options describe."""

from __future__ import annotations

import pytest

from headstart.cli.cameras import camera_of
from headstart.errors import ConfigError
from headstart.geometry import Camera
from headstart.records import FieldOfView


@pytest.mark.parametrize(
    ("text", "camera"),
    [
        ("500,49.5,39.5", Camera(500, 500, 49.5, 39.5)),
        ("500,510,49.5,39.5", Camera(500, 510, 49.5, 39.5)),
        (
            "500, 510, 49.5, 39.5, -0.1, 0.2, 1e-3, -2e-3, 0.03",
            Camera(500, 510, 49.5, 39.5, (-0.1, 0.2, 1e-3, -2e-3, 0.03)),
        ),
    ],
)
def test_every_form(text: str, camera: Camera) -> None:
    found = camera_of(text, None)
    assert isinstance(found, Camera)
    assert (found.matrix == camera.matrix).all()
    assert found.distortion == camera.distortion


def test_without_one_and_with_an_assumed_one() -> None:
    assert camera_of(None, None) is None
    assert camera_of(None, 60) == FieldOfView(60)


@pytest.mark.parametrize("text", ["", "500", "1,2", "1,2,3,4,5", "1,2,3,4,5,6,7,8", "1,2,3,4,5,6,7,8,9,10", "1,b,3"])
def test_other_numbers_of_numbers(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--camera: expected F,CX,CY or FX,FY,CX,CY or FX,FY,CX,CY,K1,K2,P1,P2,K3"):
        camera_of(text, None)


def test_a_distortion_that_is_not_finite() -> None:
    with pytest.raises(ConfigError, match="five finite numbers"):
        camera_of("500,510,49.5,39.5,0,0,0,0,nan", None)
