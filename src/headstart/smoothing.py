"""Low-pass filters of joints over time: One-Euro for each new frame; One-Euro and Butterworth for a whole recording.

The One-Euro filter gives steady joints when a person is still, and little lag when they move. Casiez, Roussel and
Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems", CHI 2012. A
first-order low-pass filter, whose cutoff frequency grows with the speed of the signal::

    alpha(f) = 1 / (1 + 1 / (2 pi f T))         T: seconds since the last sample
    speed    = low-pass of (x - x_smooth_last) / T at the cutoff of the derivative
    cutoff   = min_cutoff + beta * |speed|
    x_smooth = alpha(cutoff) * x + (1 - alpha(cutoff)) * x_smooth_last

The speed is that from the last smooth value to the sample, as in the paper's algorithm and, since 2023, in the authors'
code. It contains the lag, divided by T: the more frames a second, the faster a movement seems and the less it is
smoothed. Each smooth value lies between the sample and the last smooth value, so nothing overshoots.

It is causal: a smooth frame does not depend on later ones, and lags. For a whole recording :func:`both_ways` filters
without lag. So does :func:`butterworth`, the usual filter of biomechanics, whose cutoff does not depend on the motion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError
from headstart.records import Point3

Array = NDArray[np.float64]
#: How a whole recording is smoothed: One-Euro, not at all, or by a Butterworth filter with this cutoff in Hz.
MotionFilter = Literal["one-euro", "none"] | float


@dataclass(frozen=True)
class OneEuro:
    """Parameters of the filter, for a signal in any unit u."""

    min_cutoff_hz: float = 1.0
    """Cutoff of a signal at rest: a lower one smooths more and lags more."""
    beta: float = 1.0
    """Hz of cutoff gained per u/s of speed: higher follows fast movement with less lag."""
    derivative_cutoff_hz: float = 1.0
    """Cutoff of the speed itself; 1 Hz as in the paper."""

    def __post_init__(self) -> None:
        for name in ("min_cutoff_hz", "derivative_cutoff_hz"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigError(f"smoothing: {name} must be a finite number above 0, got {getattr(self, name)}")
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise ConfigError(f"smoothing: beta must be a finite number of at least 0, got {self.beta}")


class OneEuroFilter:
    """Filters arrays of one shape, sample by sample, each coordinate independently."""

    def __init__(self, parameters: OneEuro | None = None) -> None:
        self.parameters = parameters or OneEuro()
        self._value: Array | None = None
        self._speed: Array | None = None
        self._time_s = 0.0

    def __call__(self, sample: Array, time_s: float) -> Array:
        """The smooth value at ``time_s``; the first is the sample itself. If time does not grow, the last value."""
        if self._value is None or self._speed is None:
            self._value, self._speed, self._time_s = sample, np.zeros_like(sample), time_s
            return sample
        elapsed = time_s - self._time_s
        if elapsed > 0:
            share = weight(self.parameters.derivative_cutoff_hz, elapsed)
            self._speed = share * (sample - self._value) / elapsed + (1 - share) * self._speed
            shares = weight(self.parameters.min_cutoff_hz + self.parameters.beta * np.abs(self._speed), elapsed)
            self._value, self._time_s = shares * sample + (1 - shares) * self._value, time_s
        return self._value


def weight(cutoff_hz: Array | float, elapsed_s: float) -> Array | float:
    """alpha: the share of a new sample in a first-order low-pass filter, ``elapsed_s`` after the last one."""
    return 1.0 / (1.0 + 1.0 / (2 * math.pi * cutoff_hz * elapsed_s))


#: Seconds by which a recording is extended at both ends: three time constants of the slowest default.
_BEYOND_S = 1.0
# Periods of the cutoff by which it is extended at least for a Butterworth filter, whose response has then died out.
_BEYOND_PERIODS = 3
# Lower cutoffs would need an extension of minutes, and leave nothing of a movement.
_LOWEST_CUTOFF_HZ = 0.1


def both_ways(samples: Array, frames_per_second: float, parameters: OneEuro) -> Array:
    """A whole recording ``samples`` (N, ...), N > 0, evenly spaced, filtered forwards and then backwards.

    The lags of the two passes cancel, and the result is smoother than after one. At its ends the recording is extended
    by its point reflection, so that movement of constant speed stays unchanged.
    """
    beyond = math.ceil(_BEYOND_S * frames_per_second)
    whole = _extended(samples, beyond)
    there = _one_way(whole, frames_per_second, parameters)
    back = _one_way(there[::-1], frames_per_second, parameters)[::-1]
    return back[beyond : beyond + len(samples)]


def butterworth(samples: Array, frames_per_second: float, cutoff_hz: float) -> Array:
    """A whole recording ``samples`` (N, ...), N > 0, evenly spaced, through a Butterworth filter without lag.

    This is ``scipy.signal.filtfilt`` with ``butter(2, cutoff_hz)``: second order, forwards and backwards. Each pass
    leaves 0.71 of an amplitude at the cutoff, both leave half. The ends are extended as in :func:`both_ways`: scipy's
    own extension by nine samples needs ten frames, and at high frame rates it bends the ends (those of a walk by 1 cm
    at 240 frames per second and 6 Hz). Raises :class:`ConfigError` as :func:`check_motion_filter` does.
    """
    from scipy.signal import butter, filtfilt

    check_motion_filter(cutoff_hz, frames_per_second, "smoothing")
    beyond = math.ceil(max(_BEYOND_S, _BEYOND_PERIODS / cutoff_hz) * frames_per_second)
    numerator, denominator = butter(2, cutoff_hz, fs=frames_per_second)
    whole = filtfilt(numerator, denominator, _extended(samples, beyond), axis=0, padlen=0)
    return np.asarray(whole[beyond : beyond + len(samples)], np.float64)


def filtered(samples: Array, frames_per_second: float, motion_filter: MotionFilter, one_euro: OneEuro) -> Array:
    """A whole recording ``samples`` (N, ...), N > 0, evenly spaced, through a filter; ``one_euro`` is for that one."""
    if motion_filter == "none":
        return samples
    if motion_filter == "one-euro":
        return both_ways(samples, frames_per_second, one_euro)
    return butterworth(samples, frames_per_second, float(motion_filter))


def check_motion_filter(
    motion_filter: MotionFilter, frames_per_second: float = math.inf, name: str = "motion_filter"
) -> None:
    """Raise :class:`ConfigError` for an unknown filter and for a cutoff that is below 0.1 Hz, not finite, or not below
    half the frame rate. ``name`` begins the message.
    """
    highest_hz, lowest_hz = frames_per_second / 2, _LOWEST_CUTOFF_HZ
    if isinstance(motion_filter, str):
        if motion_filter not in ("one-euro", "none"):
            raise ConfigError(f"{name}: expected one-euro, none or a cutoff in Hz, got {motion_filter!r}")
    elif not lowest_hz <= motion_filter < math.inf:
        raise ConfigError(f"{name}: expected a cutoff of at least {lowest_hz} Hz, got {motion_filter:g}")
    elif motion_filter >= highest_hz:
        limit = f"{highest_hz:.6g} Hz, half of its {frames_per_second:.6g} frames per second"
        raise ConfigError(f"{name}: expected a cutoff below {limit}, got {motion_filter:g}")


def _extended(samples: Array, beyond: int) -> Array:
    """``samples`` (N, ...) with ``beyond`` more at both ends, by point reflection."""
    return np.pad(samples, [(beyond, beyond)] + [(0, 0)] * (samples.ndim - 1), "reflect", reflect_type="odd")


def _one_way(samples: Array, frames_per_second: float, parameters: OneEuro) -> Array:
    smooth = OneEuroFilter(parameters)
    return np.array([smooth(sample, number / frames_per_second) for number, sample in enumerate(samples)])


#: Keypoints in sides of the person's box: one side a second (a quick step) opens the filter by 5 Hz.
KEYPOINTS = OneEuro(min_cutoff_hz=1.5, beta=5.0)
#: 3D joints in metres, pelvis at the origin: depth is noisier than the image, so the rest is quieter. A stride swings a
#: foot about once a second: the paper's 1 Hz sees its speed late, 3 Hz in time (benchmarks/motion.py).
XYZ = OneEuro(min_cutoff_hz=1.0, beta=1.0, derivative_cutoff_hz=3.0)
#: The pelvis before the camera, in metres. Its distance is a stature over a height in px: 3 % of error are 12 cm at
#: 4 m, much more than that of joints around it, and shaking so far at 30 frames a second looks like speed. Hence half
#: the cutoff at rest and half the trust in speed: 0.37 of such shaking is left (0.55 by XYZ's parameters) and somebody
#: who walks at 1.4 m/s is followed 9 cm behind (5.5); a body has no movements as quick as a hand's.
PATH = OneEuro(min_cutoff_hz=0.5, beta=0.5)

Points = dict[str, Point3]


@dataclass
class PoseSmoother:
    """Smooths one person's joints by name.

    The filter of a joint that was not seen for ``forget_s`` seconds starts again, unless the joint was in the frame
    before (at ``before_s``, if known).
    """

    keypoints: OneEuro = KEYPOINTS
    xyz: OneEuro = XYZ
    path: OneEuro = PATH
    forget_s: float = 0.5
    before_s: float = math.inf
    """Time of the frame before the one that is smoothed next, with this person or without."""
    _filters: dict[tuple[str, str], OneEuroFilter] = field(default_factory=dict)
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def smooth_keypoints(self, points: Points, box_side: float, time_s: float) -> Points:
        """Joint -> (x, y, confidence) in image px; confidence is unchanged. ``box_side`` px is the unit of speed."""
        smooth = {}
        for name, (x, y, confidence) in points.items():
            # Only beta is scaled: positions in a unit that changes from frame to frame would jump.
            parameters = OneEuro(
                self.keypoints.min_cutoff_hz,
                self.keypoints.beta / max(box_side, 1.0),
                self.keypoints.derivative_cutoff_hz,
            )
            filtered = self._filter("2d", name, parameters, time_s)(np.array([x, y]), time_s)
            smooth[name] = (float(filtered[0]), float(filtered[1]), confidence)
        return smooth

    def smooth_xyz(self, points: Points, time_s: float) -> Points:
        """Joint -> (x, y, z) mm."""
        return {name: self._metres("3d", name, self.xyz, point, time_s) for name, point in points.items()}

    def smooth_path(self, pelvis: Point3, time_s: float) -> Point3:
        """Position of the pelvis (x, y, z) mm, camera at the origin."""
        return self._metres("path", "pelvis", self.path, pelvis, time_s)

    def _metres(self, kind: str, name: str, parameters: OneEuro, point: Point3, time_s: float) -> Point3:
        x, y, z = self._filter(kind, name, parameters, time_s)(np.asarray(point) / 1000, time_s) * 1000
        return float(x), float(y), float(z)

    def _filter(self, kind: str, name: str, parameters: OneEuro, time_s: float) -> OneEuroFilter:
        key = (kind, name)
        if key not in self._filters or self._seen[key] < min(time_s - self.forget_s, self.before_s):
            self._filters[key] = OneEuroFilter(parameters)
        self._filters[key].parameters = parameters
        self._seen[key] = time_s
        return self._filters[key]
