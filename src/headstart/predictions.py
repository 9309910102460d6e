"""Predicted poses, by key and in image pixels, and the .npz files (without pickles) that hold them.

Another system's poses come in the same kind of file (:func:`read_predictions`; docs/scoring.md).
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, shortened
from headstart.files import write_atomically
from headstart.skeleton import WITH_FEET

#: Arrays of poses, and their shape beyond (people, joints).
_POSES: dict[str, tuple[int, ...]] = {"keypoints": (2,), "depth": (), "confidence": (), "xyz_mm": (3,)}


@dataclass(frozen=True)
class Predictions:
    """Poses of N people, J joints, in the pixels of their images."""

    keys: list[str]
    joints: tuple[str, ...]
    keypoints: NDArray[np.float32]
    """(N, J, 2) image px."""
    depth: NDArray[np.float32]
    """(N, J) relative to the pelvis, in image px (mm times the person's px per mm): x, y and depth share one unit."""
    confidence: NDArray[np.float32]
    """(N, J) in 0..1."""
    about: dict[str, Any]
    """How they were made: decode, flip_test, data set, split, checkpoint. Without ``decode``: by another system."""
    xyz_mm: NDArray[np.float32] | None = None
    """(N, J, 3) mm in camera axes, relative to any point, by a system that predicts mm; scored in place of what
    ``keypoints`` and ``depth`` give."""

    def save(self, path: Path) -> None:
        """Write one .npz without pickles, atomically."""
        arrays: dict[str, NDArray[Any]] = {
            "keys": np.array(self.keys, dtype=str),
            "joints": np.array(self.joints, dtype=str),
            "keypoints": self.keypoints,
            "depth": self.depth,
            "confidence": self.confidence,
            "about": np.array(json.dumps(self.about)),
        }
        if self.xyz_mm is not None:
            arrays["xyz_mm"] = self.xyz_mm
        stream = BytesIO()
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for flags
        write_atomically(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read back; raises :class:`DataError` for anything that :meth:`save` did not write."""
        arrays = _arrays(path)
        try:
            return cls(
                keys=[str(key) for key in arrays["keys"]],
                joints=tuple(str(joint) for joint in arrays["joints"]),
                keypoints=arrays["keypoints"],
                depth=arrays["depth"],
                confidence=arrays["confidence"],
                about=json.loads(str(arrays["about"])),
                xyz_mm=arrays.get("xyz_mm"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(path, "predictions (.npz) written by headstart", found=str(error)) from error


def read_predictions(path: Path) -> Predictions:
    """Poses of any system: what :meth:`Predictions.save` wrote, or as little of it as a score needs.

    ``keys`` (N,), ``joints`` (J,) by canonical names, and ``keypoints`` or ``xyz_mm`` or both. NaN stands for arrays of
    poses that the file lacks. Raises :class:`DataError` naming what is missing, misshapen, unknown, twice there or
    not finite.
    """
    arrays = _arrays(path)
    keys, joints = (_names(path, arrays, name) for name in ("keys", "joints"))
    unknown = [joint for joint in joints if joint not in WITH_FEET.names]
    if unknown:
        raise DataError(path, f"joints by the names {', '.join(WITH_FEET.names)}", found=", ".join(unknown))
    if not {"keypoints", "xyz_mm"} & arrays.keys():
        raise DataError(path, "an array keypoints (px) or xyz_mm", found=", ".join(arrays))
    poses = {name: _poses(path, arrays, name, keys, joints) for name in _POSES}
    return Predictions(
        keys,
        tuple(joints),
        poses["keypoints"],
        poses["depth"],
        poses["confidence"],
        _about(path, arrays),
        poses["xyz_mm"] if "xyz_mm" in arrays else None,
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file}
    except (OSError, EOFError, TypeError, ValueError, BadZipFile, zlib.error) as error:
        # A TypeError: the one array of an .npy file, which is no context manager.
        found = "a single array" if isinstance(error, TypeError) else getattr(error, "strerror", None) or str(error)
        raise DataError(path, "predictions (.npz)", found=found) from error


def _names(path: Path, arrays: Mapping[str, NDArray[Any]], name: str) -> list[str]:
    """A list of texts in which none is twice."""
    if name not in arrays or arrays[name].ndim != 1:
        found = f"one of shape {arrays[name].shape}" if name in arrays else ", ".join(arrays) or "nothing"
        raise DataError(path, f"an array {name} with a text for each", found=found)
    names = _texts(path, name, arrays[name])
    twice = [one for one, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(path, f"each of {name} once", record=twice[0], found=f"{len(twice)} more than once")
    return names


def _texts(path: Path, name: str, values: NDArray[Any]) -> list[str]:
    """Bytes are taken for UTF-8; numbers are written out."""
    try:
        texts = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)
    except UnicodeDecodeError as error:
        raise DataError(path, f"texts in UTF-8 in {name}", found=str(error)) from error
    return [str(text) for text in texts]


def _poses(
    path: Path, arrays: Mapping[str, NDArray[Any]], name: str, keys: Sequence[str], joints: Sequence[str]
) -> NDArray[np.float32]:
    """An array of poses, finite; NaN everywhere if the file has none."""
    shape = (len(keys), len(joints), *_POSES[name])
    if name not in arrays:
        return np.full(shape, np.nan, np.float32)
    values = arrays[name]
    if values.shape != shape or values.dtype.kind not in "fiu":
        expected = f"numbers of shape {shape} in {name}: {len(keys)} keys, {len(joints)} joints"
        raise DataError(path, expected, found=f"{values.dtype} of shape {values.shape}")
    with np.errstate(over="ignore"):  # what is too large for it becomes infinite, and is named below
        in_float32 = values.astype(np.float32)
    lost = np.argwhere(~np.isfinite(in_float32))
    if len(lost):
        person, joint = lost[0][:2]
        found = f"{values[tuple(lost[0])]} at {joints[joint]}, {len(lost)} such in all"
        raise DataError(path, f"finite numbers in {name}", record=keys[person], found=found)
    return in_float32


def _about(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """What the file says of itself, in JSON; nothing if it says nothing."""
    text = str(arrays.get("about", "{}"))
    try:
        about = json.loads(text)
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise DataError(path, "a JSON object in about", found=shortened(text))
    return about


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """The parts that several processes made with one network, so without ``xyz_mm``, as one."""
    return Predictions(
        [key for part in parts for key in part.keys],
        parts[0].joints,
        np.concatenate([part.keypoints for part in parts]),
        np.concatenate([part.depth for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        parts[0].about,
    )


def in_order(predictions: Predictions, keys: list[str], source: str | Path = "predictions") -> Predictions:
    """Predictions in the order of ``keys``; a missing one is an error that names ``source``, never a skipped person."""
    position = {key: i for i, key in enumerate(predictions.keys)}
    missing = [key for key in keys if key not in position]
    if missing:
        raise DataError(
            source, "a prediction for every person", record=missing[0], found=f"{len(missing)} of {len(keys)} missing"
        )
    order = [position[key] for key in keys]
    return replace(
        predictions,
        keys=keys,
        keypoints=predictions.keypoints[order],
        depth=predictions.depth[order],
        confidence=predictions.confidence[order],
        xyz_mm=None if predictions.xyz_mm is None else predictions.xyz_mm[order],
    )
