"""Cameras: where they stand, where they look, and how they frame a person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array, Camera
from headstart.synth.affine import bounds, seen_from
from headstart.synth.rotation import Z, about, cross, unit


def look_at(eye: Array, target: Array, focal_px: float, size: int, roll: float = 0.0) -> Camera:
    """A camera at ``eye`` whose optical axis meets ``target`` (world mm, z up); ``roll`` in radians."""
    forward = unit(np.asarray(target, np.float64) - eye)
    right = unit(cross(forward, Z if abs(forward[2]) < 0.999 else [0.0, 1, 0]))
    down = cross(forward, right)
    rotation = about([0.0, 0, 1], roll) @ np.stack([right, down, forward])
    middle = (size - 1) / 2
    return Camera(focal_px, focal_px, middle, middle, rotation=rotation, translation_mm=-rotation @ eye)


def position(camera: Camera) -> NDArray[np.float64]:
    """The camera's place (3,) in world mm."""
    return np.asarray(-np.asarray(camera.rotation).T @ np.asarray(camera.translation_mm))


def pixel_range(camera: Camera, points: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest pixel (2,) of points (N, 3) in world mm, through an ideal lens; all must lie in front."""
    view = seen_from(camera, points)
    pixels = view[:, :2] / np.maximum(view[:, 2:], 1.0) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    return bounds(pixels)


def framed(camera: Camera, points: Array, size: int, fill: float, shift: tuple[float, float]) -> Camera:
    """The same camera zoomed and cropped so that the points (N, 3) mm fill the share ``fill`` of the picture.

    ``shift`` moves their middle by that share of the picture. This is what a crop of a larger photograph is.
    """
    low, high = pixel_range(camera, points)
    zoom = fill * size / max(float((high - low).max()), 1e-6)
    middle = (low + high) / 2
    wanted = (size - 1) / 2 + np.array(shift) * size
    return replace(
        camera,
        fx=camera.fx * zoom,
        fy=camera.fy * zoom,
        cx=float(wanted[0] + zoom * (camera.cx - middle[0])),
        cy=float(wanted[1] + zoom * (camera.cy - middle[1])),
    )


def roaming_camera(
    rng: np.random.Generator, points: Array, ground: float, size: int, behind: Array | None = None
) -> Camera:
    """A hand-held camera anywhere around the person: mostly level, sometimes from above or from the ground.

    ``behind`` (3,) is a direction in which a wall stands: the camera keeps to the other side.
    """
    low, high = bounds(points)
    reach = float(np.linalg.norm(high - low))
    distance = reach * float(np.exp(rng.uniform(np.log(1.3), np.log(5.5))))
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad(rng.normal(4, 8) if rng.random() < 0.7 else rng.uniform(-22, 48))
    target = (low + high) / 2
    offset = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    if behind is not None and offset @ behind > -0.2:
        offset = offset - 1.6 * max(float(offset @ behind), 0.4) * np.asarray(behind)
    eye = target + distance * unit(offset)
    eye[2] = max(eye[2], ground + 200)
    roll = np.deg2rad(rng.normal(0, 3) if rng.random() < 0.9 else rng.uniform(-20, 20))
    return look_at(eye, target, size * distance / reach, size, float(roll))


def draw_framing(rng: np.random.Generator, truncated: float) -> tuple[float, tuple[float, float]]:
    """Fill and shift; in the share ``truncated`` of the pictures parts of the person lie outside."""
    if rng.random() < truncated:
        return float(rng.uniform(0.9, 1.5)), (float(rng.normal(0, 0.15)), float(rng.normal(0, 0.15)))
    return float(rng.uniform(0.5, 0.9)), (float(rng.normal(0, 0.03)), float(rng.normal(0, 0.03)))
