"""What is left of movements, and of noise, in --bvh and --trc, by --smooth and frame rate.

    python benchmarks/smoothing.py

Positions go in without any error, apart from noise, and through headstart.video.smooth_motion, as `headstart predict`
calls it. Prints the table of docs/predicting.md. Seconds on one core; no model is needed.

* Jump: with a camera, 0.25 m down within about 0.3 s and then 0.4 m up, in free flight.
* Wrist: relative to the pelvis, a sine; its amplitude afterwards, by least squares over the middle two of four seconds.
* Noise: normal, independent from frame to frame; its standard deviation afterwards, but for a second at each end of
  twelve. Of a wrist, and of the distance from the camera (headstart.smoothing.PATH says why 120 mm).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.records import Prediction
from headstart.smoothing import MotionFilter
from headstart.video import VideoOptions, smooth_motion

Values = NDArray[np.float64]
RATES = (25, 30, 60, 120, 240)
FILTERS: dict[str, MotionFilter] = {"`one-euro`": "one-euro", "`6`": 6.0}
SECONDS, NOISE_SECONDS, GRAVITY = 4.0, 12.0, 9810.0
HEIGHT, DEPTH = 400.0, 250.0
#: Amplitude in mm and frequency in Hz.
SINES = ((300.0, 1.0), (300.0, 2.5), (100.0, 4.0))
NOISE, NOISE_AWAY = 20.0, 120.0


def times(rate: float, seconds: float = SECONDS) -> Values:
    """(frames,) s."""
    return np.arange(round(seconds * rate)) / rate


def jump(seconds: Values) -> Values:
    """Height (frames,) mm of the pelvis above where it stands."""
    flight, start = 2 * np.sqrt(2 * HEIGHT / GRAVITY), 2.0
    after = seconds - start
    up = np.where((after >= 0) & (after <= flight), GRAVITY / 2 * after * (flight - after), 0)
    return np.asarray(up - DEPTH * np.exp(-(((after + 0.3) / 0.15) ** 2)))


def written(wrist: Values, pelvis: Values, rate: float, motion_filter: MotionFilter) -> tuple[Values, Values]:
    """Both (frames, 3) mm after smoothing: the wrist from the pelvis, and the pelvis from the camera."""
    people = [
        Prediction("clip#0", (0, 0, 1, 1), 1.0, {}, named(hand, np.zeros(3)), named(hand + place, place))
        for hand, place in zip(wrist, pelvis, strict=True)
    ]
    smooth = smooth_motion(people, rate, VideoOptions(motion_filter=motion_filter))
    places = [one.camera_xyz_mm["pelvis"] for one in smooth if one.camera_xyz_mm is not None]
    return np.array([one.xyz_mm["wrist"] for one in smooth]), np.array(places)


def named(wrist: Values, pelvis: Values) -> dict[str, tuple[float, float, float]]:
    """One frame's joints."""
    (a, b, c), (d, e, f) = wrist.tolist(), pelvis.tolist()
    return {"pelvis": (d, e, f), "wrist": (a, b, c)}


def along(axis: int, values: Values) -> Values:
    """Positions (frames, 3) that have ``values`` (frames,) along an axis, 0 along the others."""
    return np.stack([values if one == axis else np.zeros_like(values) for one in range(3)], 1)


def of_jump(rate: float, motion_filter: MotionFilter) -> tuple[float, float]:
    """Height and depth in mm. y is down."""
    height = jump(times(rate))
    _, pelvis = written(along(0, 0 * height), along(1, -height), rate, motion_filter)
    return float(-pelvis[:, 1].min()), float(pelvis[:, 1].max())


def of_sine(amplitude: float, hertz: float, rate: float, motion_filter: MotionFilter) -> float:
    """Half of the way between the turning points in mm.

    Not the amplitude of a sine fitted to them: One-Euro flattens the turning points and lets the way between them pass,
    and such a wave's first harmonic is larger than the wave.
    """
    seconds = times(rate)
    phase = 2 * np.pi * hertz * seconds
    # A cosine, so that frames show its turning points where a period has an even number of them.
    wrist, _ = written(along(0, amplitude * np.cos(phase)), along(0, 0 * phase), rate, motion_filter)
    middle = (seconds > SECONDS / 4) & (seconds < SECONDS * 3 / 4)
    return float(np.ptp(wrist[middle, 0])) / 2


def of_noise(rate: float, motion_filter: MotionFilter) -> tuple[float, float]:
    """Standard deviations in mm: a wrist's, and the distance's from the camera."""
    random = np.random.default_rng(0)
    shakes = [random.normal(0, size, len(times(rate, NOISE_SECONDS))) for size in (NOISE, NOISE_AWAY)]
    wrist, pelvis = written(along(0, shakes[0]), along(2, 4000 + shakes[1]), rate, motion_filter)
    inner = slice(round(rate), -round(rate))
    return float(wrist[inner, 0].std()), float(pelvis[inner, 2].std())


def figures(rate: float, motion_filter: MotionFilter) -> list[float]:
    """A column of the table for one filter, in the order of :func:`labels`."""
    sines = [of_sine(amplitude, hertz, rate, motion_filter) for amplitude, hertz in SINES]
    return [*of_jump(rate, motion_filter), *sines, *of_noise(rate, motion_filter)]


def labels() -> list[str]:
    """What each row is of."""
    return [
        f"jump, {HEIGHT:.0f} mm high",
        f"its countermovement, {DEPTH:.0f} mm",
        *(f"wrist, {amplitude:.0f} mm at {hertz:g} Hz" for amplitude, hertz in SINES),
        f"noise of a wrist, {NOISE:.0f} mm",
        f"noise of the distance, {NOISE_AWAY:.0f} mm",
    ]


def table(rates: Sequence[float] = RATES) -> str:
    """The table in Markdown."""
    columns = {(name, rate): figures(rate, chosen) for name, chosen in FILTERS.items() for rate in rates}
    lines = ["| True | `--smooth` | " + " | ".join(f"{rate:g} fps" for rate in rates) + " |"]
    lines.append("|---|---|" + "--:|" * len(rates))
    for row, label in enumerate(labels()):
        for number, name in enumerate(FILTERS):
            values = " | ".join(f"{columns[name, rate][row]:.0f}" for rate in rates)
            lines.append(f"| {'' if number else label} | {name} | {values} |")
    return "\n".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(table())
