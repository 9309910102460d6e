"""Predicted poses as they lie between the network and the scores: by key, in image pixels, on disk without pickles."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.results import write_atomically


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
    """How they were made: decode, flip_test, data set, split, checkpoint."""

    def save(self, path: Path) -> None:
        """Write one .npz without pickles, atomically."""
        stream = BytesIO()
        np.savez_compressed(
            stream,
            keys=np.array(self.keys, dtype=str),
            joints=np.array(self.joints, dtype=str),
            keypoints=self.keypoints,
            depth=self.depth,
            confidence=self.confidence,
            about=np.array(json.dumps(self.about)),
        )
        write_atomically(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read back; raises :class:`DataError` for anything that :meth:`save` did not write."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(
                    keys=[str(key) for key in file["keys"]],
                    joints=tuple(str(joint) for joint in file["joints"]),
                    keypoints=file["keypoints"],
                    depth=file["depth"],
                    confidence=file["confidence"],
                    about=json.loads(str(file["about"])),
                )
        except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as error:
            raise DataError(path, "predictions (.npz) written by headstart", found=str(error)) from error


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """The parts that several processes made, as one."""
    return Predictions(
        [key for part in parts for key in part.keys],
        parts[0].joints,
        np.concatenate([part.keypoints for part in parts]),
        np.concatenate([part.depth for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        parts[0].about,
    )


def in_order(predictions: Predictions, keys: list[str]) -> Predictions:
    """Predictions in the order of ``keys``; a missing one is an error, never a skipped person."""
    position = {key: i for i, key in enumerate(predictions.keys)}
    missing = [key for key in keys if key not in position]
    if missing:
        raise DataError(
            "predictions", "one for every person", record=missing[0], found=f"{len(missing)} of {len(keys)} missing"
        )
    order = [position[key] for key in keys]
    return Predictions(
        keys,
        predictions.joints,
        predictions.keypoints[order],
        predictions.depth[order],
        predictions.confidence[order],
        predictions.about,
    )
