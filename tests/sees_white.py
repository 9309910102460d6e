"""A network that sees a painted rectangle, so that what must come out is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headstart.records import CropJoints
from headstart.skeleton import MODEL_SKELETONS


class SeesWhite:
    """A network whose person is the white part of a crop: joints around its edge; the more of the crop it fills, the
    surer, but unsure of a person who is cut off."""

    skeleton = MODEL_SKELETONS["body_18"]
    input_size = (64, 64)

    def __init__(self) -> None:
        self.crops = 0

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        self.crops += len(crops)
        seen = [self.person(crop[..., 0] > 127) for crop in crops]
        keypoints, confidence = (np.stack(part) for part in zip(*seen))
        return CropJoints(keypoints.astype(np.float32), np.zeros((len(crops), 18)), confidence)

    def person(self, white: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if not white.any():
            return np.full((18, 2), 32.0), np.full(18, 0.05)
        rows, columns = np.nonzero(white)
        low, high = np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])
        cut = low.min() == 0 or high.max() == 64
        turns = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        around = (low + high) / 2 + (high - low) / 2 * np.stack([np.cos(turns), np.sin(turns)], 1)
        return around, np.full(18, 0.1 if cut else min(1.0, 2 * white.mean()))


def painted(width: int, height: int, *boxes: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, w, h in boxes:
        image[y : y + h, x : x + w] = 255
    return image
