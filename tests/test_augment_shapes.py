"""What is laid over people: rectangles and ellipses, both."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.augment import AugmentConfig, add_occluders


def shapes(seed: int) -> list[NDArray[np.bool_]]:
    """Each covered piece (h, w) of a noisy picture within the box around it; shapes that touch are one piece."""
    noise = np.random.default_rng(5).integers(0, 256, (192, 256, 3), dtype=np.uint8)
    config = AugmentConfig(occluder_probability=1, occluder_size=0.3)
    changed = (add_occluders(np.random.default_rng(seed), noise.copy(), config) != noise).any(-1)
    count, pieces, boxes, _ = cv2.connectedComponentsWithStats(changed.astype(np.uint8))
    return [pieces[y : y + h, x : x + w] == n for n, (x, y, w, h, _) in zip(range(1, count), boxes[1:])]


def test_some_shapes_are_rectangles_and_some_ellipses() -> None:
    """An ellipse fills pi / 4 = 0.785 of its box and none of its corners."""
    pieces = [piece for seed in range(60) for piece in shapes(seed) if min(piece.shape) >= 20]
    rectangles = [piece for piece in pieces if piece.mean() > 0.995]
    ellipses = [
        piece for piece in pieces if 0.75 < piece.mean() < 0.82 and not piece[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    ]
    assert len(rectangles) > 15
    assert len(ellipses) > 15
