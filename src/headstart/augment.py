"""Augmentation: which crop is cut (geometry, shared by image, points and camera axes) and how its pixels look.

Everything random comes from the generator that is handed in: one per (seed, epoch, position), see loader.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Crop
from headstart.ranges import Below1, Share, number_range
from headstart.records import Annotation
from headstart.skeleton import CANONICAL


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges and probabilities; a range r means +-r, uniform unless said otherwise."""

    scale: Below1 = 0.25
    """Crop extent is multiplied by 1 + U(-scale, scale)."""
    rotation_degrees: Annotated[float, number_range("0 to 180", lambda value: 0 <= value <= 180)] = 30.0
    """Normal with this standard deviation, cut at two of them."""
    rotation_probability: Share = 0.6
    flip_probability: Share = 0.5
    shift: Share = 0.05
    """Centre moves by this fraction of the crop's extent."""
    truncation_probability: Share = 0.1
    """How often the crop closes in on a part of the person, so that joints fall outside."""
    cut_probability: Share = 0.0
    """How often the image ends within the person, as in portraits: mostly somewhere between shoulders and feet."""
    brightness: Share = 0.15
    """Added to all pixels, fraction of 255."""
    contrast: Share = 0.2
    """Gain of all channels about mid-grey, 1 + U(-contrast, contrast)."""
    colour: Share = 0.15
    """Gain of each colour channel by itself."""
    occluder_probability: Share = 0.3
    """How often one to three shapes are laid over the person."""
    occluder_size: Share = 0.3
    """Largest side of an occluder, fraction of the crop."""


#: What little compute learns most from: people nearly upright and nearly whole (LOG.md, 2026-11-24).
MILD = AugmentConfig(scale=0.15, rotation_degrees=20.0, truncation_probability=0.0, occluder_probability=0.1)

_SHOULDERS = CANONICAL.indices(("left_shoulder", "right_shoulder"))
_HIPS = CANONICAL.indices(("left_hip", "right_hip"))
#: Where the image ends, from the shoulders (0) to the far side of the person's box (1).
_CUT_AT = (0.05, 0.95)
#: How often the image ends across the trunk's direction; else it may also end along it.
_CUT_ACROSS = 0.8
#: Of one who has fewer joints left, too little is seen.
_FEWEST_JOINTS = 4


def sample_crop(
    rng: np.random.Generator,
    bbox_xywh: NDArray[np.floating],
    size: tuple[int, int],
    config: AugmentConfig | None,
) -> Crop:
    """The crop of a box (x, y, w, h) px at ``size`` (width, height): random by ``config``, or centred for None."""
    if config is None:
        return Crop.from_box(bbox_xywh, size)
    bbox, scale = np.asarray(bbox_xywh, np.float64), 1 + rng.uniform(-config.scale, config.scale)
    shift = rng.uniform(-config.shift, config.shift, 2)
    if rng.random() < config.truncation_probability:
        scale *= rng.uniform(0.5, 0.75)
        shift = rng.uniform(-0.35, 0.35, 2)
    rotation = 0.0
    if rng.random() < config.rotation_probability:
        rotation = config.rotation_degrees * float(np.clip(rng.standard_normal(), -2, 2))
    return Crop.from_box(
        bbox,
        size,
        scale=scale,
        rotation_degrees=rotation,
        flip=bool(rng.random() < config.flip_probability),
        shift=(float(shift[0]), float(shift[1])),
    )


@dataclass(frozen=True)
class Cut:
    """An image that ends within a person. Edges are left, top, right, bottom in px, infinite where nothing is cut."""

    frame: NDArray[np.float64]
    """(4,) edges of the image."""
    bbox_xywh: NDArray[np.float64]
    """(4,) box of what remains of the person, up to the frame."""

    def hide(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """A copy of an image (H, W, 3) that ends at the frame, or where something, as a table, hides what is beyond it.

        Half of the time outside is black, as it is outside of images; else one colour, or a piece of the image.
        """
        height, width = image.shape[:2]
        left, top, right, bottom = np.clip(self.frame, 0, (width, height, width, height)).round().astype(int).tolist()
        seen = np.zeros_like(image)
        if rng.random() < 0.5:
            piece = _filling(rng, image, (max(height // 2, 1), max(width // 2, 1)))
            seen = np.asarray(cv2.resize(piece, (width, height)), np.uint8)
        seen[top:bottom, left:right] = image[top:bottom, left:right]
        return seen


def sample_cut(rng: np.random.Generator, person: Annotation, config: AugmentConfig | None) -> Cut | None:
    """Where the image of a person in canonical joints ends: mostly somewhere between the neck and the feet.

    None for one who stays whole: most people, by ``cut_probability``, and those without labels of shoulders and hips.
    Draws nothing from ``rng`` if the probability is 0.
    """
    if config is None or not config.cut_probability or rng.random() >= config.cut_probability:
        return None
    shoulders, hips = (_middle(person, joints) for joints in (_SHOULDERS, _HIPS))
    if shoulders is None or hips is None:
        return None
    along = hips - shoulders
    axis = int(np.abs(along).argmax()) if rng.random() < _CUT_ACROSS else int(rng.integers(2))
    side = axis + 2 * int(along[axis] >= 0)
    low, size = np.split(np.asarray(person.bbox_xywh, np.float64), 2)
    frame = np.array([-np.inf, -np.inf, np.inf, np.inf])
    end = np.concatenate([low, low + size])[side]
    frame[side] = shoulders[axis] + rng.uniform(*_CUT_AT) * (end - shoulders[axis])
    return cut_off(person, frame)


def _middle(person: Annotation, joints: Sequence[int]) -> NDArray[np.float64] | None:
    """Mean (2,) px, pixel edges, of the joints that are labelled; None if none is."""
    labelled = [joint for joint in joints if person.visibility[joint] > 0]
    return person.keypoints[labelled].mean(0) + 0.5 if labelled else None


def cut_off(person: Annotation, frame: NDArray[np.float64]) -> Cut | None:
    """What remains of a person inside a ``frame`` (left, top, right, bottom) px; None if that is too little."""
    points = person.keypoints[person.visibility > 0] + 0.5
    points = points[((points >= frame[:2]) & (points <= frame[2:])).all(1)]
    if len(points) < _FEWEST_JOINTS:
        return None
    low = np.where(np.isfinite(frame[:2]), frame[:2], points.min(0))
    high = np.where(np.isfinite(frame[2:]), frame[2:], points.max(0))
    return Cut(frame, np.concatenate([low, high - low])) if (high - low).max() >= 1 else None


def change_colours(rng: np.random.Generator, image: NDArray[np.uint8], config: AugmentConfig) -> NDArray[np.uint8]:
    """Contrast about mid-grey, gain of each channel, brightness: one affine map, (H, W, 3) uint8 in and out."""
    gain = (1 + rng.uniform(-config.contrast, config.contrast)) * (1 + rng.uniform(-config.colour, config.colour, 3))
    offset = 128 * (1 - gain) + 255 * rng.uniform(-config.brightness, config.brightness)
    return cv2.transform(image, np.column_stack([np.diag(gain), offset]))  # type: ignore[return-value]


def add_occluders(rng: np.random.Generator, image: NDArray[np.uint8], config: AugmentConfig) -> NDArray[np.uint8]:
    """Lay one to three ellipses or rectangles over the picture, filled with a colour or a piece of the picture.

    Writes into ``image`` (H, W, 3) uint8 and returns it. Labels stay: a hidden joint is still labelled.
    """
    if rng.random() >= config.occluder_probability:
        return image
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 4)):
        w = max(int(width * config.occluder_size * rng.uniform(0.2, 1)), 2)
        h = max(int(height * config.occluder_size * rng.uniform(0.2, 1)), 2)
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        mask = np.ones((h, w, 1), np.uint8)
        if rng.random() < 0.5:
            mask[:] = 0
            cv2.ellipse(mask, (w // 2, h // 2), (w // 2, h // 2), 0, 0, 360, 1, -1)
        np.copyto(image[y : y + h, x : x + w], _filling(rng, image, (h, w)), where=mask.view(bool))
    return image


def _filling(rng: np.random.Generator, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Either one colour or another piece of the same picture, (h, w, 3)."""
    h, w = size
    if rng.random() < 0.5:
        return np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (h, w, 3))
    x, y = int(rng.integers(0, image.shape[1] - w + 1)), int(rng.integers(0, image.shape[0] - h + 1))
    return image[y : y + h, x : x + w].copy()
