"""From linear light to a photograph: focus, motion, exposure, tone, sensor noise, sharpening, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: Fewer pixels of the subject than this are not metered.
_FEW = 40
#: Linear value below which the median of the subject is lifted, highlights permitting.
_DIM = 0.035


@dataclass(frozen=True)
class Development:
    """How one picture is taken and stored."""

    exposure: float
    """Display value of the subject's surroundings, 0..1, before the tone curve."""
    highlight: float
    """Linear value that the brightest parts of the subject may reach; about 1.3 is white."""
    contrast: float
    saturation: float
    balance: tuple[float, float, float]
    """Factors of red, green and blue."""
    blur_px: float
    far_blur_px: float
    """Blur of what lies well behind the subject."""
    motion_px: float
    motion_angle: float
    noise: float
    chroma_noise: float
    shrink: float
    """The picture is stored at this share of its size, then enlarged again."""
    sharpen: float
    vignette: float
    quality: int
    """Of the JPEG; 0 for none."""
    grey: bool


def draw_development(rng: np.random.Generator, studio: bool = False) -> Development:
    """Settings of a random camera and photographer; those of a studio vary little."""
    spread = 0.3 if studio else 1.0
    warm, green = rng.normal(0, 0.11 * spread), rng.normal(0, 0.035 * spread)
    poor = 0.0 if studio else float(rng.random() < 0.1)
    return Development(
        exposure=float(np.clip(rng.normal(0.5, 0.1 * spread), 0.3, 0.68)),
        highlight=float(np.exp(rng.uniform(np.log(0.55), np.log(1.2 if studio or rng.random() < 0.9 else 3.0)))),
        contrast=float(rng.uniform(1.0, 1.1 + 0.4 * spread) if studio else rng.uniform(1.15, 1.9)),
        saturation=float(rng.normal(0.92, 0.16 * spread)),
        balance=(float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
        blur_px=float(rng.uniform(0.25, 0.5) + poor * rng.uniform(0, 0.7)),
        far_blur_px=float(rng.uniform(0.5, 3) if rng.random() < 0.4 and not studio else 0.0),
        motion_px=float(rng.uniform(1.5, 5) if rng.random() < 0.07 and not studio else 0.0),
        motion_angle=float(rng.uniform(0, np.pi)),
        noise=float(rng.uniform(0.002, 0.009) + poor * rng.uniform(0, 0.025)),
        chroma_noise=float(rng.uniform(0, 0.008) + poor * rng.uniform(0, 0.015)),
        shrink=float(rng.uniform(0.4, 0.9)) if rng.random() < 0.2 * spread else 1.0,
        sharpen=float(rng.uniform(0, 0.9 + 0.5 * spread)),
        vignette=float(rng.uniform(0, 0.35) if rng.random() < 0.4 else 0.0),
        quality=int(rng.integers(40, 97)),
        grey=bool(rng.random() < 0.025 * spread),
    )


def defocus(
    linear: NDArray[np.float32], depth: NDArray[np.float32], focus_mm: float, blur_px: float
) -> NDArray[np.float32]:
    """Blur (H, W, 3) what lies behind the subject, more the farther; sharp edges of the subject stay."""
    if blur_px <= 0:
        return linear
    behind = np.clip((1 - (focus_mm * 1.12) / depth) * 2.2, 0, 1).astype(np.float32)
    weight = cv2.GaussianBlur(behind, (0, 0), blur_px) + 1e-4
    # Normalised by the weight of the background, so that the subject's colour does not bleed into it.
    blurred = cv2.GaussianBlur(linear * behind[..., None], (0, 0), blur_px) / weight[..., None]
    mix = behind[..., None]
    return (linear * (1 - mix) + blurred * mix).astype(np.float32)


def _streak(length: float, angle: float) -> NDArray[np.float32]:
    size = int(length) | 1
    kernel = np.zeros((size + 2, size + 2), np.float32)
    middle = (size + 1) / 2
    dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    start = (round((middle - dx) * 16), round((middle - dy) * 16))
    end = (round((middle + dx) * 16), round((middle + dy) * 16))
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_8, 4)
    return kernel / kernel.sum()


def _gain(linear: NDArray[np.float32], subject: NDArray[np.bool_], how: Development) -> float:
    """Gain that exposes the middle of the picture correctly without overexposing the subject."""
    height, width = linear.shape[:2]
    middle = linear[height // 6 : -height // 6 : 3, width // 6 : -width // 6 : 3]
    level = max(float(np.mean(np.log(middle.mean(2) + 0.01))), -4.0)
    gain = (how.exposure**2.2) / np.exp(level)
    person = linear[::2, ::2][subject[::2, ::2]].mean(1)
    if len(person) < _FEW:
        return gain
    dark, bright = np.quantile(person, (0.5, 0.95))
    gain = min(gain, how.highlight / max(float(bright), 1e-3))
    return max(gain, min(_DIM / max(float(dark), 1e-3), how.highlight / max(float(bright), 1e-3)))


def _expose(linear: NDArray[np.float32], subject: NDArray[np.bool_], how: Development) -> NDArray[np.float32]:
    """Tone-mapped display values."""
    exposed = linear * (np.array(how.balance, np.float32) * np.float32(_gain(linear, subject, how)))
    # A shoulder keeps highlights from clipping hard.
    return np.asarray(cv2.pow(exposed * (1 + exposed / 5) / (1 + exposed), 1 / 2.2), np.float32)


def _grade(picture: NDArray[np.float32], how: Development) -> NDArray[np.float32]:
    grey = np.float32(0.3) * picture[..., 0] + np.float32(0.59) * picture[..., 1] + np.float32(0.11) * picture[..., 2]
    saturation = 0.0 if how.grey else how.saturation
    picture = grey[..., None] + np.float32(saturation) * (picture - grey[..., None])
    picture = 0.42 + np.float32(how.contrast) * (picture - 0.42)
    if how.vignette:
        y, x = np.mgrid[-1 : 1 : picture.shape[0] * 1j, -1 : 1 : picture.shape[1] * 1j].astype(np.float32)
        picture = picture * (1 - np.float32(how.vignette) * (x * x + y * y)[..., None] / 2)
    return picture


def _optics(sharp: NDArray[np.float32], how: Development) -> NDArray[np.float32]:
    picture: cv2.typing.MatLike = sharp
    if how.motion_px:
        picture = cv2.filter2D(picture, -1, _streak(how.motion_px, how.motion_angle))
    picture = cv2.GaussianBlur(picture, (0, 0), how.blur_px)
    if how.shrink < 1:
        height, width = picture.shape[:2]
        # A size, not a factor: OpenCV rounds the size but keeps the factor, which moves people off their labels.
        size = (max(round(width * how.shrink), 1), max(round(height * how.shrink), 1))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    if how.sharpen:
        picture = picture + np.float32(how.sharpen) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0))
    return np.asarray(picture, np.float32)


def _sensor(picture: NDArray[np.float32], how: Development, rng: np.random.Generator) -> NDArray[np.float32]:
    shape = picture.shape[:2]
    luma = rng.standard_normal(shape, dtype=np.float32) * np.float32(how.noise)
    half = (shape[1] // 2 + 1, shape[0] // 2 + 1)
    chroma = rng.standard_normal((half[1], half[0], 3), dtype=np.float32) * np.float32(how.chroma_noise)
    return np.asarray(picture + luma[..., None] + cv2.resize(chroma, (shape[1], shape[0])), np.float32)


def photograph(
    linear: NDArray[np.float32],
    depth: NDArray[np.float32],
    subject: NDArray[np.bool_],
    focus_mm: float,
    how: Development,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 RGB as a camera stores it, exposed for the pixels ``subject`` (H, W).

    ``linear`` (H, W, 3) is linear light, ``depth`` (H, W) and ``focus_mm`` are in mm.
    """
    focused = defocus(linear, depth, focus_mm, how.far_blur_px)
    picture = _sensor(_optics(_grade(_expose(focused, subject, how), how), how), how, rng)
    stored = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if not how.quality:
        return stored
    _, packed = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, how.quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
