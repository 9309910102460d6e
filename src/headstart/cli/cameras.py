"""The camera that ``--camera`` or ``--field-of-view`` of ``headstart predict`` describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.errors import ConfigError

if TYPE_CHECKING:
    from headstart.geometry import Camera
    from headstart.records import FieldOfView


def camera_of(text: str | None, field_of_view: float | None) -> Camera | FieldOfView | None:
    """The camera that is described, if there is one; raises :class:`ConfigError` if it cannot be one."""
    from headstart.argument_checks import check_camera
    from headstart.records import FieldOfView

    if text is None:
        return None if field_of_view is None else FieldOfView(field_of_view)
    if field_of_view is not None:
        raise ConfigError("expected --camera or --field-of-view, not both")
    lens = _lens(text)
    check_camera(lens)
    return lens


def _lens(text: str) -> Camera:
    """The camera of ``F,CX,CY`` or ``FX,FY,CX,CY``, the second with or without ``K1,K2,P1,P2,K3``."""
    from headstart.geometry import Camera

    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 3:
        values.insert(0, values[0])
    if len(values) not in (4, 9):
        expected = "F,CX,CY or FX,FY,CX,CY or FX,FY,CX,CY,K1,K2,P1,P2,K3, for example 1100,639.5,359.5"
        raise ConfigError(f"--camera: expected {expected}, got {text!r}")
    fx, fy, cx, cy, *distortion = values
    k1, k2, p1, p2, k3 = distortion or [0.0] * 5
    return Camera(fx, fy, cx, cy, (k1, k2, p1, p2, k3))
