"""Reading the files of data sets, with one clear line when they are not what they should be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from headstart.errors import DataError

CHECK_DOWNLOAD = "Check that --root is right and that the download is complete"


def require_file(path: Path, expected: str) -> Path:
    """``path`` if it is a file; otherwise raises :class:`DataError` naming it and what it should hold."""
    if not path.is_file():
        raise DataError(path, expected, found="no such file", fix=CHECK_DOWNLOAD)
    return path


def require_directory(path: Path, expected: str) -> Path:
    """``path`` if it is a folder; otherwise raises :class:`DataError`."""
    if not path.is_dir():
        raise DataError(path, expected, found="no such folder", fix=CHECK_DOWNLOAD)
    return path


def load_json(path: Path, expected: str) -> Any:
    """Parsed JSON; raises :class:`DataError` if missing, truncated or not JSON."""
    try:
        return json.loads(require_file(path, expected).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(path, expected, found=f"invalid JSON ({error})", fix=CHECK_DOWNLOAD) from error


def load_yaml(path: Path, expected: str) -> Any:
    """Parsed YAML of plain data; raises :class:`DataError` if missing or not YAML."""
    import yaml

    try:
        return yaml.safe_load(require_file(path, expected).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        found = f"invalid YAML ({' '.join(str(error).split())})"
        raise DataError(path, expected, found=found, fix=CHECK_DOWNLOAD) from error


def load_mat(path: Path, variable: str, expected: str) -> Any:
    """One variable of a MATLAB file up to version 7 (structs as objects with attributes, cells as arrays)."""
    require_file(path, expected)
    try:
        content = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False, variable_names=[variable])
    except Exception as error:
        raise DataError(path, expected, found=f"unreadable MATLAB file ({error})", fix=CHECK_DOWNLOAD) from error
    if variable not in content:
        raise DataError(path, f"variable {variable!r} ({expected})", found="none of that name", fix=CHECK_DOWNLOAD)
    return content[variable]


@contextmanager
def open_h5(path: Path, expected: str) -> Iterator[h5py.File]:
    """An HDF5 file (also MATLAB 7.3), closed afterwards.

    Missing keys and data that cannot be read become :class:`DataError`, within the block too.
    """
    require_file(path, expected)
    try:
        with h5py.File(path, "r") as stream:
            yield stream
    except OSError as error:
        raise DataError(path, expected, found=f"unreadable HDF5 file ({error})", fix=CHECK_DOWNLOAD) from error
    except KeyError as error:
        raise DataError(path, expected, found=f"missing key: {error}", fix=CHECK_DOWNLOAD) from error


def require_shape(path: Path, name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """``array`` if its shape agrees with ``shape`` (None: any length); otherwise raises :class:`DataError`."""
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape))
    if not fits:
        wanted = " x ".join("any" if want is None else str(want) for want in shape)
        raise DataError(path, f"{name} of shape {wanted}", found=" x ".join(map(str, array.shape)), fix=CHECK_DOWNLOAD)
    return array


def natural_key(path: Path | str) -> tuple[int | str, ...]:
    """Sort key that orders ``frame_2`` before ``frame_10``."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path)) if part)
