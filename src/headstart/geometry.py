"""Axes, units and coordinate frames: the one statement of them, and the maps between them.

* **Image pixels**: x to the right, y down, in pixels. Integer coordinates are pixel *centres*: the centre of the
  top left pixel is (0, 0) and an image of width W spans x from -0.5 to W - 0.5. Adapters convert (MATLAB's 1-based
  pixels lose 1). A map of stride s relates to its input by ``map = (pixel + 0.5) / s - 0.5``. Mirroring an image of
  width W sends x to W - 1 - x. Labels are never rounded.
* **Boxes**: (x, y, width, height) in pixels, (x, y) the outer top left corner.
* **Camera axes**: x right, y down, z forward along the optical axis (OpenCV), millimetres, camera at the origin.
* **World axes**: whatever the data set says, millimetres; ``camera = rotation @ world + translation_mm``.
* **Depth**: z in camera axes, relative to the pelvis, millimetres; larger is farther away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

Box = tuple[float, float, float, float]
"""x, y, width, height in image px, (x, y) the outer top left corner."""

Distortion = tuple[float, float, float, float, float]

#: Sides of a crop over those of the box in it: the room around a person in training, scoring and use.
PADDING = 1.25

# Undoing a lens's distortion; lengths are in focal lengths, each some 1,000 px.
# Newton's method needs four or five steps for well-behaved lenses, more near the radius beyond which it finds nothing.
_NEWTON_STEPS = 12
# If it fails from the pixel itself, it goes outwards from the middle: at most so many steps, none shorter than this.
_STEPS_OUTWARDS = 200
_SHORTEST_STEP = 1e-6
# Largest distance of a ray's image from its pixel; beyond one focal length from the principal point, a share of that.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with OpenCV's lens distortion.

    ``fx, fy, cx, cy`` in pixels; ``distortion`` (k1, k2, p1, p2, k3), unitless; ``rotation`` (3, 3) and
    ``translation_mm`` (3,) take world to camera axes.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
    rotation: Array = field(default_factory=lambda: np.eye(3))
    translation_mm: Array = field(default_factory=lambda: np.zeros(3))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Intrinsic matrix (3, 3)."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def to_camera(self, world_mm: Array) -> NDArray[np.float64]:
        """World (..., 3) mm -> camera axes (..., 3) mm."""
        return np.asarray(world_mm, np.float64) @ np.asarray(self.rotation).T + np.asarray(self.translation_mm)

    def project(self, camera_mm: Array) -> NDArray[np.float64]:
        """Camera axes (N, 3) mm -> image pixels (N, 2); NaN for points that are not in front of the camera."""
        points = np.asarray(camera_mm, np.float64).reshape(-1, 3)
        in_front = points[:, 2] > 0
        pixels = np.full((len(points), 2), np.nan)
        if in_front.any():
            still = np.zeros(3)
            projected, _ = cv2.projectPoints(points[in_front], still, still, self.matrix, np.array(self.distortion))
            pixels[in_front] = projected[:, 0]
        return pixels

    def unproject(self, pixels: Array, depth_mm: Array) -> NDArray[np.float64]:
        """Pixels (N, 2) and their z (N,) mm -> camera axes (N, 3) mm, lens distortion undone; finite for finite input.

        Beyond some radius OpenCV's polynomial may turn back towards the middle, which no real lens does: only rays
        within that radius are found. A pixel beyond the image of all of them gets the outermost one on its line to the
        principal point.
        """
        seen = (np.asarray(pixels, np.float64).reshape(-1, 2) - (self.cx, self.cy)) / (self.fx, self.fy)
        lens: Distortion = tuple(map(float, np.ravel(self.distortion)))  # type: ignore[assignment]  # an array, too
        rays = _undistorted(seen, lens) if len(seen) and any(lens) else seen
        return np.concatenate([rays, np.ones((len(rays), 1))], 1) * np.asarray(depth_mm, np.float64).reshape(-1, 1)


@dataclass(frozen=True)
class Crop:
    """A similarity from image pixels to crop pixels, for image, points and camera axes alike.

    ``matrix`` (2, 3) takes image to crop pixels; a mirrored crop has a negative determinant. ``size`` is
    (width, height) of the crop in pixels.
    """

    matrix: NDArray[np.float64]
    size: tuple[int, int]

    @classmethod
    def from_box(
        cls,
        bbox_xywh: Array,
        size: tuple[int, int],
        *,
        padding: float = PADDING,
        scale: float = 1.0,
        rotation_degrees: float = 0.0,
        flip: bool = False,
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> Crop:
        """The crop whose content is the box, ``padding`` times its size, turned, mirrored and shifted.

        ``scale`` > 1 shows more of the surroundings; positive rotation turns the content clockwise as seen;
        ``shift`` moves the centre by that fraction of the crop's extent. The box keeps its aspect ratio: the side
        that needs more room decides.
        """
        x, y, box_width, box_height = (float(value) for value in bbox_xywh)
        width, height = size
        pixels_per_image_pixel = min(width / max(box_width, 1e-6), height / max(box_height, 1e-6)) / (padding * scale)
        # Outer corner (x, y) and integer pixel centres: the box's centre lies half a pixel before x + w/2.
        centre = np.array([x + box_width / 2 - 0.5, y + box_height / 2 - 0.5])
        centre = centre + np.array(shift) * np.array(size) / pixels_per_image_pixel
        angle = np.deg2rad(rotation_degrees)
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if flip:
            linear = np.array([[-1.0, 0.0], [0.0, 1.0]]) @ linear
        linear *= pixels_per_image_pixel
        target = np.array([(width - 1) / 2, (height - 1) / 2])
        return cls(np.concatenate([linear, (target - linear @ centre)[:, None]], 1), size)

    @property
    def scale(self) -> float:
        """Crop pixels per image pixel."""
        return _similarity_scale(self.matrix)

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged."""
        return _determinant(self.matrix) < 0

    @property
    def inverse(self) -> NDArray[np.float64]:
        """(2, 3) matrix from crop to image pixels."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return np.concatenate([linear, -linear @ self.matrix[:, 2:]], 1)

    def to_crop(self, pixels: Array) -> NDArray[np.float64]:
        """Image pixels (..., 2) -> crop pixels (..., 2)."""
        return transform_points(self.matrix, pixels)

    def to_image(self, pixels: Array) -> NDArray[np.float64]:
        """Crop pixels (..., 2) -> image pixels (..., 2)."""
        return transform_points(self.inverse, pixels)

    def rotate_camera_axes(self, xyz_mm: Array) -> NDArray[np.float64]:
        """Turn and mirror root-relative camera axes (..., 3) mm with the picture; z stays."""
        turned = np.array(xyz_mm, np.float64)
        turned[..., :2] = turned[..., :2] @ (self.matrix[:, :2] / self.scale).T
        return turned

    def warp(self, image: NDArray[np.uint8], fill: tuple[int, int, int] = (0, 0, 0)) -> NDArray[np.uint8]:
        """Cut the crop out of an image (H, W, 3) uint8; what lies outside the image is ``fill``.

        Large reductions first halve the image by area, so that thin structures do not alias.
        """
        matrix, picture = self.matrix, np.asarray(image)
        while _similarity_scale(matrix) < 0.5 and min(picture.shape[:2]) > 2:
            height, width = (side // 2 for side in picture.shape[:2])
            # Odd rows and columns go first, so that one small pixel is exactly four large ones.
            even = picture[: 2 * height, : 2 * width]
            picture = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            matrix = _after_halving(matrix)
        # OpenCV warps four channels in less than half the time of three (measured: LOG.md).
        padded = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
        warped = cv2.warpAffine(padded, matrix, self.size, flags=cv2.INTER_LINEAR, borderValue=(*fill, 0))
        return cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR)  # type: ignore[return-value]


def _undistorted(seen: Array, distortion: Distortion) -> NDArray[np.float64]:
    """Rays (N, 2) at z = 1 that the lens shows at ``seen`` (N, 2), in focal lengths from the principal point."""
    rays, good = _newton(seen, seen, distortion)
    rest = ~good & np.isfinite(seen).all(1)
    rays[rest] = _in_parts(seen[rest], distortion)
    return rays


def _in_parts(seen: Array, distortion: Distortion) -> NDArray[np.float64]:
    """The same in steps outwards from the principal point: Newton's method converges from a known ray nearby."""
    rays, gone = np.zeros(seen.shape), np.zeros((len(seen), 1))
    step = way = np.hypot(*seen.T)[:, None]
    for _ in range(_STEPS_OUTWARDS):
        if not ((gone < way) & (step > _SHORTEST_STEP)).any():
            break
        tried = np.minimum(gone + step, way)
        found, good = _newton(tried / way * seen, rays, distortion)
        rays, gone = np.where(good[:, None], found, rays), np.where(good[:, None], tried, gone)
        step = np.where(good[:, None], 2 * step, step / 2)
    return rays


def _newton(seen: Array, start: Array, distortion: Distortion) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rays (N, 2) by Newton's method from ``start`` (N, 2), and which (N,) of them are right."""
    rays, near = np.array(start, np.float64), _TOLERANCE * np.maximum(np.abs(seen).max(1), 1)
    with np.errstate(all="ignore"):  # steps that diverge are found by where they end
        for _ in range(_NEWTON_STEPS):
            shown, ((xx, xy), (yx, yy)) = _distorted(rays, distortion)
            x, y = (seen - shown).T
            rays += np.stack([yy * x - xy * y, xx * y - yx * x], 1) / (xx * yy - xy * yx)[:, None]
            # The step just made leaves about the square of this error.
            if not (np.hypot(x, y) > 1e3 * near).any():
                break
        missed = np.hypot(*(seen - _distorted(rays, distortion)[0]).T)
        return rays, (missed <= near) & (np.hypot(*rays.T) <= _turning_radius(distortion))


def _distorted(rays: Array, distortion: Distortion) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the lens shows rays (N, 2), and the derivatives of that: (2, 2, N); all in focal lengths."""
    points, still = np.concatenate([rays, np.ones((len(rays), 1))], 1), np.zeros(3)
    shown, slopes = cv2.projectPoints(points, still, still, np.eye(3), np.array(distortion))
    # Columns 3 and 4: by the x and y of the camera's translation, which at z = 1 are those of the ray.
    by_ray = np.asarray(slopes, np.float64)[:, 3:5].reshape(-1, 2, 2)
    return np.asarray(shown, np.float64)[:, 0], by_ray.transpose(1, 2, 0)


@lru_cache(maxsize=64)
def _turning_radius(distortion: Distortion) -> float:
    """Radius of a ray, in focal lengths, beyond which the radial polynomial shows rays nearer to the middle again."""
    k1, k2, _, _, k3 = (k if abs(k) > 1e-12 else 0.0 for k in distortion)  # numpy divides by the first that is not 0
    squares = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    turning = squares.real[(np.abs(squares.imag) < 1e-9 * np.abs(squares)) & (squares.real > 0)]
    return math.sqrt(turning.min()) if turning.size else math.inf


def _similarity_scale(matrix: Array) -> float:
    return math.sqrt(abs(_determinant(matrix)))


def _determinant(matrix: Array) -> float:
    """Of the linear part of a (2, 3) matrix, written out: numpy's takes ten times as long, for every sample."""
    return float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])


def _after_halving(matrix: Array) -> NDArray[np.float64]:
    """The (2, 3) matrix that does the same to a picture of half the size (full = 2 * half + 0.5)."""
    halved = np.array(matrix, np.float64)
    halved[:, 2] += halved[:, :2] @ np.array([0.5, 0.5])
    halved[:, :2] *= 2
    return halved


def transform_points(matrix: Array, points: Array) -> NDArray[np.float64]:
    """Apply a (2, 3) affine to points (..., 2)."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def root_relative(xyz: Array, root_index: int) -> Array:
    """Points (..., J, 3) with the joint ``root_index`` moved to the origin."""
    return xyz - xyz[..., root_index : root_index + 1, :]


def procrustes_align(predicted: Array, truth: Array, weights: Array | None = None) -> NDArray[np.float64]:
    """Predicted points (..., J, 3) after the best similarity onto ``truth`` (..., J, 3).

    Rotation, translation and scale by (weighted) least squares; reflections are excluded (Umeyama 1991, eq. 40-43).
    ``weights`` (..., J), unitless and not negative, say how much each point counts for the fit, all equally by
    default. A point of weight 0 may hold anything, NaN too: it moves with the others and changes nothing.
    """
    predicted = np.asarray(predicted, np.float64)
    share = _shares(predicted, weights)
    source, _ = _centred(predicted, share)
    target, truth_mean = _centred(np.asarray(truth, np.float64), share)
    # Zeroed, not multiplied: 0 * NaN is NaN.
    fitted = np.where(share > 0, source, 0.0)
    left, singular, right = np.linalg.svd(np.swapaxes(share * np.where(share > 0, target, 0.0), -1, -2) @ fitted)
    sign = np.ones_like(singular)
    sign[..., -1] = np.where(np.linalg.det(left) * np.linalg.det(right) < 0, -1.0, 1.0)
    rotation = (left * sign[..., None, :]) @ right
    spread = (share * fitted**2).sum((-1, -2))
    scale = (singular * sign).sum(-1) / np.where(spread > 0, spread, 1.0)
    return scale[..., None, None] * (source @ np.swapaxes(rotation, -1, -2)) + truth_mean


def _shares(points: Array, weights: Array | None) -> NDArray[np.float64]:
    """Weights (..., J) as shares (..., J, 1) that sum to 1, or to 0 where nothing counts."""
    if weights is None:
        weights = np.ones(points.shape[:-1])
    share = np.asarray(weights, np.float64)[..., None]
    total = share.sum(-2, keepdims=True)
    return share / np.where(total > 0, total, 1.0)


def _centred(points: Array, share: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (..., J, 3) minus their weighted mean, and that mean (..., 1, 3)."""
    mean = (share * np.where(share > 0, points, 0.0)).sum(-2, keepdims=True)
    return points - mean, mean
