"""What ``from headstart import ...`` gives, and that asking for the package alone costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import pytest

import headstart
from headstart.errors import HeadstartError
from headstart.geometry import Camera
from headstart.predict import PoseEstimator
from headstart.records import FieldOfView, Prediction


def test_names_are_those_of_their_modules() -> None:
    wanted = {one.__name__: one for one in (Camera, FieldOfView, HeadstartError, PoseEstimator, Prediction)}
    assert {name: getattr(headstart, name) for name in headstart.__all__ if name != "__version__"} == wanted
    assert {*headstart.__all__} <= {*dir(headstart)}


def test_modules_are_found_as_before() -> None:
    from headstart import skeleton

    assert skeleton.BODY_18.index("pelvis") >= 0
    with pytest.raises(AttributeError, match="module 'headstart' has no attribute 'PoseEstimater'"):
        _ = headstart.PoseEstimater


def test_the_package_alone_imports_nothing_heavy() -> None:
    """And not even the estimator asks for torch before it has a network."""
    program = (
        "import sys, headstart; heavy = {'torch', 'cv2', 'numpy'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "headstart.PoseEstimator; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_type_checkers_are_told_that_there_are_types() -> None:
    assert (resources.files("headstart") / "py.typed").is_file()
