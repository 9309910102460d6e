"""Checks of what a caller gives with a picture: boxes, camera, stature and name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any

import numpy as np

from headstart.errors import ConfigError, DataError, shortened
from headstart.geometry import Box, Camera

#: Statures, mm: a value outside is likely in metres or centimetres.
HEIGHTS_MM = (300, 3000)
#: Scales of multi-scale testing: at others a person is tiny or leaves the crop.
SCALE_RANGE = (0.5, 2.0)
#: Least side of a box, px: a smaller one holds no person and is likely given as a share of the picture.
LEAST_BOX = 1.0
#: Largest side of a box, in longer sides of the picture.
LARGEST_BOX = 100.0


def check_height(height_mm: float) -> None:
    """Raise :class:`ConfigError` unless somebody can be ``height_mm`` tall."""
    least, most = HEIGHTS_MM
    if not least <= height_mm <= most:
        raise ConfigError(f"height_mm: expected a stature of {least:,} to {most:,} millimetres, got {height_mm:g}")


def check_scales(scales: Sequence[float]) -> None:
    """Raise :class:`ConfigError` unless there are scales, and a network can look at a crop in each."""
    least, most = SCALE_RANGE
    if not scales or not all(least <= scale <= most for scale in scales):
        got = ", ".join(f"{scale:g}" for scale in scales) or "none"
        raise ConfigError(f"scales: expected one or more of {least:g} to {most:g}, for example 0.9 1 1.15, got {got}")


def is_single_scale(scales: Sequence[float]) -> bool:
    """Whether a network looks at each crop once, as it is: no multi-scale testing."""
    return tuple(scales) == (1,)


def check_threads(threads: int | None) -> None:
    """Raise :class:`ConfigError` unless it is None (all) or at least 1."""
    if threads is not None and threads < 1:
        raise ConfigError(f"threads: expected >= 1, got {threads}")


def check_camera(camera: Camera) -> None:
    """Raise :class:`ConfigError` unless it is a camera with finite parameters and focal lengths above 0."""
    if not isinstance(camera, Camera):
        raise ConfigError(f"camera: expected a Camera or a FieldOfView, got {camera!r}")
    lens = (camera.fx, camera.fy, camera.cx, camera.cy)
    if not np.isfinite(lens).all() or min(camera.fx, camera.fy) <= 0:
        raise ConfigError(f"camera: expected finite px and a focal length above 0, got fx, fy, cx, cy = {lens}")
    if np.shape(np.ravel(camera.distortion)) != (5,) or not np.isfinite(camera.distortion).all():
        raise ConfigError(
            f"camera: expected five finite numbers as distortion, k1, k2, p1, p2, k3, got {camera.distortion}"
        )


def check_names(names: Sequence[str], pictures: int) -> None:
    """Raise :class:`ConfigError` unless ``names`` has one for each of the pictures."""
    if isinstance(names, str) or len(names) != pictures:
        raise ConfigError(
            f"names: expected a list with one name for each image, {pictures} in all, got {shortened(repr(names))}"
        )


def check_boxes(boxes: Sequence[Any], pictures: int) -> None:
    """Raise :class:`ConfigError` unless there is a list of boxes, or None, for each of the pictures.

    What the boxes hold is for :func:`check_box`, picture by picture.
    """
    if len(boxes) != pictures or not all(own is None or _is_list_of_lists(own) for own in boxes):
        raise ConfigError(
            f"boxes: expected a list of boxes (or None) for each image, {pictures} in all, such as"
            " [[[x, y, width, height]]] for one image with one person, got " + shortened(repr(boxes))
        )


def _is_list_of_lists(value: Any) -> bool:
    """Whether it may be the boxes of one picture, not the numbers of one box."""
    if not isinstance(value, Collection) or isinstance(value, str):
        return False
    return not any(isinstance(box, Real) for box in value)


def check_box(box: Sequence[float], width: int, height: int, name: str, number: int) -> Box:
    """The box [x, y, width, height] px as floats; :class:`DataError` unless it may hold a person and is in the picture.

    It may extend beyond the picture's edges. ``width`` and ``height`` (px) are the picture's; ``name`` and ``number``
    (from 0) are for the message.
    """
    expected = "a box [x, y, width, height] in pixels"
    try:
        x, y, w, h = (float(value) for value in box)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(name, expected, record=f"box {number}", found=str(box)) from error
    found = str([x, y, w, h])
    if not np.isfinite([x, y, w, h]).all() or w <= 0 or h <= 0:
        raise DataError(name, f"{expected}, finite and with a size", record=f"box {number}", found=found)
    if min(w, h) < LEAST_BOX or max(w, h) > LARGEST_BOX * max(width, height):
        raise DataError(name, f"{expected}, of a person's size", record=f"box {number}", found=found)
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        found = f"{found}, which lies outside its {width} x {height}"
        raise DataError(name, "a box in the image", record=f"box {number}", found=found)
    return x, y, w, h
