"""Pinhole cameras from matrices, from MPI-INF-3DHP's calibration file, or fitted where there is no calibration."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from headstart.datasets.files import require_file
from headstart.errors import DataError
from headstart.geometry import Camera

Array = NDArray[np.float64]

# About this many evenly spread frames are used to judge a camera, and this many points to fit distortion.
_FRAMES, _POINTS = 50, 2000
# Largest median reprojection error of a fitted camera.
_TOLERANCE_PX = 2.0


@dataclass(frozen=True)
class Calibrated:
    """A camera and the (width, height) px of its pictures."""

    camera: Camera
    size: tuple[int, int]


def pinhole(intrinsic: Array, rotation: Array, translation_mm: Array) -> Camera:
    """Camera from an intrinsic matrix (3 or more, 3 or more) px, world to camera rotation (3, 3), translation (3,) mm.

    ValueError for what is no such camera: a mirrored or scaled rotation, skew, a focal length of 0 or less.
    """
    fx, fy, cx, cy, skew = (float(intrinsic[row, column]) for row, column in ((0, 0), (1, 1), (0, 2), (1, 2), (0, 1)))
    if not (np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-2) and np.linalg.det(rotation) > 0):
        raise ValueError("the rotation matrix is no rotation")
    if fx <= 0 or fy <= 0 or abs(skew) > 1e-3 * fx:
        raise ValueError(f"focal lengths {fx:g} and {fy:g} px with skew {skew:g}")
    return Camera(fx, fy, cx, cy, rotation=rotation, translation_mm=translation_mm)


def read_skeletool_calibration(path: Path) -> dict[int, Calibrated]:
    """Cameras by number from a "Skeletool Camera Calibration File": seven lines a camera, name to radial.

    Intrinsic and extrinsic are 4 x 4, row by row, px and mm; extrinsic takes world to camera axes. Lens distortion
    is refused: the published files state none (``radial 0``).
    """
    expected = "camera calibration (name, sensor, size, animated, intrinsic, extrinsic, radial)"
    lines = require_file(path, expected).read_text(encoding="utf-8", errors="replace").splitlines()
    fields = [line.split() for line in lines if line.strip()]
    starts = [row for row, words in enumerate(fields) if words[0] == "name"]
    if not starts:
        raise DataError(path, expected, found="no line 'name'")
    blocks = [fields[start:end] for start, end in zip(starts, [*starts[1:], len(fields)])]
    try:
        return dict(_camera({words[0]: words[1:] for words in block}) for block in blocks)
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(path, expected, found=f"a damaged camera ({error})") from error


def _camera(block: dict[str, list[str]]) -> tuple[int, Calibrated]:
    """Number and camera; ValueError, KeyError or IndexError where a field is missing or not a number."""
    intrinsic = np.array(block["intrinsic"], np.float64).reshape(4, 4)
    extrinsic = np.array(block["extrinsic"], np.float64).reshape(4, 4)
    if float(block["radial"][0]) != 0:
        raise ValueError(f"radial {block['radial'][0]}, which is not supported")
    camera = pinhole(intrinsic, extrinsic[:3, :3], extrinsic[:3, 3])
    return int(block["name"][0]), Calibrated(camera, (int(block["size"][0]), int(block["size"][1])))


def reprojection_error(camera: Camera, pixels: Array, points: Array) -> float:
    """Median distance in px between 2D labels (n, K, 2) px and projected 3D labels (n, K, 3) mm of a few frames."""
    step = max(len(pixels) // _FRAMES, 1)
    projected = camera.project(points[::step])
    distance = np.linalg.norm(projected - pixels[::step].reshape(-1, 2), axis=1)
    known = distance[np.isfinite(distance)]
    return float(np.median(known)) if known.size else 0.0


def fit_camera(pixels: Array, points: Array) -> Camera | None:
    """The camera that explains 2D (n, K, 2) px by 3D (n, K, 3) mm; None if its median error is above 2 px.

    A pinhole first, by least squares: x = fx X / Z + cx is linear in fx and cx. Lens distortion is added only if a
    pinhole is not enough.
    """
    flat, target = points.reshape(-1, 3), pixels.reshape(-1, 2)
    usable = (flat[:, 2] > 0) & np.isfinite(flat).all(1) & np.isfinite(target).all(1)
    flat, target = flat[usable], target[usable]
    rays = flat[:, :2] / flat[:, 2:]
    if len(rays) < 2 or np.ptp(rays, axis=0).min() <= 0:
        return None
    (fx, cx), (fy, cy) = (np.polyfit(rays[:, axis], target[:, axis], 1).tolist() for axis in (0, 1))
    pinhole_fit = Camera(fx, fy, cx, cy)
    if fx > 0 and fy > 0 and reprojection_error(pinhole_fit, pixels, points) <= _TOLERANCE_PX:
        return pinhole_fit
    distorted = _with_distortion(pinhole_fit, target, flat)
    return distorted if distorted.fx > 0 and reprojection_error(distorted, pixels, points) <= _TOLERANCE_PX else None


def _with_distortion(start: Camera, pixels: Array, points: Array) -> Camera:
    """The camera with OpenCV's five coefficients that fits at some of the points (N, 3) mm and their pixels (N, 2)."""
    step = max(len(points) // _POINTS, 1)

    def camera(values: Array) -> Camera:
        fx, fy, cx, cy, *distortion = values.tolist()
        return Camera(fx, fy, cx, cy, tuple(distortion))

    def residual(values: Array) -> Array:
        return np.asarray(camera(values).project(points[::step]) - pixels[::step]).ravel()

    first = np.array([start.fx, start.fy, start.cx, start.cy, *start.distortion])
    fitted = least_squares(residual, first, x_scale=np.array([1e3] * 4 + [0.1] * 5), max_nfev=100)
    return camera(fitted.x)
