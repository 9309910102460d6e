"""Headstart: 2D pre-training for 3D human pose estimation.

The names that most programs need are here, the others in their modules (docs/python.md). They are imported on first
use, so that ``import headstart`` and the command line start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.errors import HeadstartError as HeadstartError
    from headstart.geometry import Camera as Camera
    from headstart.predict import PoseEstimator as PoseEstimator
    from headstart.records import FieldOfView as FieldOfView
    from headstart.records import Prediction as Prediction

__version__ = "0.1.0"

# Where each name is defined.
_HOME = {
    "Camera": "geometry",
    "FieldOfView": "records",
    "HeadstartError": "errors",
    "PoseEstimator": "predict",
    "Prediction": "records",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
