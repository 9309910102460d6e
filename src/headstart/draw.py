"""Pictures of labels and predictions: joints and bones on images, sheets of them, heatmaps.

Right is orange, left is blue, the middle is green, so that a mirrored label stands out. Visible joints are filled,
occluded ones hollow. Pictures of predictions for users (overlay and views of the 3D skeleton) are in draw_people.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.records import RGB
from headstart.skeleton import Skeleton

# RGB.
RIGHT, LEFT, MIDDLE = (255, 140, 0), (30, 120, 255), (60, 200, 80)


def joint_colour(joint: str) -> tuple[int, int, int]:
    """RGB by the side of the body."""
    if joint.startswith("right_"):
        return RIGHT
    return LEFT if joint.startswith("left_") else MIDDLE


def draw_pose(
    image: RGB,
    keypoints: NDArray[np.floating],
    skeleton: Skeleton,
    visibility: NDArray[np.integer] | None = None,
) -> RGB:
    """A copy of the RGB image (H, W, 3) with joints (J, 2) px and bones; those with visibility 0 or NaN are left out.

    A bone takes the colour of its far end. Where a joint of the trunk or the neck is left out, the bone starts at the
    one before it: Human3.6M's nose has no neck, but a thorax.
    """
    canvas = np.ascontiguousarray(image).copy()
    shown = np.isfinite(keypoints).all(1)
    states = np.full(len(keypoints), 2) if visibility is None else visibility
    shown &= states > 0
    thickness = max(round(max(image.shape[:2]) / 130), 1)
    for child in np.flatnonzero(shown):
        if (parent := _start_of_bone(skeleton, shown, int(child))) >= 0:
            colour = joint_colour(skeleton.names[child])
            cv2.line(canvas, _pixel(keypoints[parent]), _pixel(keypoints[child]), colour, thickness, cv2.LINE_AA)
    for number in np.flatnonzero(shown):
        fill = -1 if states[number] > 1 else thickness
        colour = joint_colour(skeleton.names[number])
        cv2.circle(canvas, _pixel(keypoints[number]), thickness + 2, colour, fill, cv2.LINE_AA)
    return canvas


def _start_of_bone(skeleton: Skeleton, shown: NDArray[np.bool_], child: int) -> int:
    """The shown joint that the bone to ``child`` starts at, or -1. Limbs do not skip a joint: elbows and knees bend."""
    parent = skeleton.parents[child]
    while parent >= 0 and not shown[parent] and joint_colour(skeleton.names[parent]) == MIDDLE:
        parent = skeleton.parents[parent]
    return parent if parent >= 0 and shown[parent] else -1


def draw_heatmaps(image: RGB, heatmaps: NDArray[np.floating]) -> RGB:
    """The RGB image (H, W, 3), darkened, under the brightest of its heatmaps (J, h, w) with values in 0..1."""
    strongest = np.clip(heatmaps.max(0), 0, 1).astype(np.float32)
    strongest = cv2.resize(strongest, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    coloured = cv2.applyColorMap((strongest * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.clip(image * 0.5 + coloured * 0.7, 0, 255).astype(np.uint8)


def sheet(images: Sequence[RGB], columns: int = 6, gap: int = 4, titles: Sequence[str] = ()) -> RGB:
    """One or more images of one size (H, W, 3), in rows on white, each with an optional title above it."""
    height, width = images[0].shape[:2]
    header = 18 if titles else 0
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    canvas = np.full((rows * (height + header + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, image in enumerate(images):
        y, x = (number // columns) * (height + header + gap), (number % columns) * (width + gap)
        canvas[y + header : y + header + height, x : x + width] = image
        if titles:
            position = (x + 2, y + 13)
            cv2.putText(canvas, titles[number], position, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def _pixel(point: NDArray[np.floating]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
