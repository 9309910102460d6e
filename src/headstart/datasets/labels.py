"""From the raw numbers of a label file to the arrays of an annotation: checked, masked, boxed. No file is read here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, shortened
from headstart.records import Visibility

#: px. A person smaller than this (one labelled joint, say) gets a box of this size, so that no crop is a few pixels.
MINIMUM_SIDE = 16.0


def field(path: Path, record: str | int, holder: Any, name: str) -> Any:
    """``holder[name]`` of a JSON object or ``holder.name`` of a MATLAB struct; :class:`DataError` if there is none."""
    missing = object()
    value = holder.get(name, missing) if isinstance(holder, dict) else getattr(holder, name, missing)
    if value is missing:
        raise DataError(path, f"a field {name!r}", record=record, found=shortened(repr(holder)))
    return value


def structs(value: Any) -> list[Any]:
    """The MATLAB structs in ``value``, which scipy may have squeezed to a lone struct or to an empty array."""
    flat = np.atleast_1d(np.asarray(value, dtype=object)).ravel()
    return [item for item in flat if hasattr(item, "_fieldnames")]


def is_empty(value: Any) -> bool:
    """Whether MATLAB left the field empty: ``[]`` arrives as an array of size 0, ``''`` as an empty string."""
    return len(value) == 0 if isinstance(value, str | list) else isinstance(value, np.ndarray) and value.size == 0


def numbers(
    path: Path, record: str | int, name: str, value: Any, shape: tuple[int, ...], *, finite: bool = True
) -> NDArray[np.float64]:
    """``value`` as float64 of exactly this shape, never as MATLAB's uint8 (60 - 100 = 216 there).

    Text that is a number counts as that number. Raises :class:`DataError` naming file and record for other text,
    ragged lists, other shapes and, unless ``finite`` is False, for NaN, infinity and null.
    """
    wanted = f"{name} as {' x '.join(map(str, shape)) or 'one'} number(s)"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(path, wanted, record=record, found=shortened(repr(value))) from error
    if array.shape != shape:
        raise DataError(path, wanted, record=record, found=f"shape {array.shape}")
    if finite and not np.isfinite(array).all():
        raise DataError(path, wanted, record=record, found="a number that is missing or infinite")
    return array


def from_matlab_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """MATLAB's pixels, the first of which is 1, to pixel centres that start at 0."""
    return points - 1.0


def masked(points: NDArray[np.floating], visibility: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Points (K, 2) px with NaN wherever ``visibility`` (K,) says unlabelled: no placeholder survives."""
    return np.where((visibility != Visibility.UNLABELLED)[:, None], points, np.nan).astype(np.float32)


def joints_box(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Box (4,) xywh px of the labelled points (K, 2); NaN rows do not count and at least one row must.

    It spans whole pixels (a point at pixel centre 3 fills 3 to 4 in box coordinates, see ``geometry``), and its
    larger side is at least :data:`MINIMUM_SIDE`.
    """
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    side = high - low + 1.0
    if side.max() < MINIMUM_SIDE:
        low, side = low - (MINIMUM_SIDE - side) / 2, np.full(2, MINIMUM_SIDE)
    return np.concatenate([low, side]).astype(np.float32)
