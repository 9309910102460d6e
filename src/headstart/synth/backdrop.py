"""What lies behind the modelled scene: sky, hills, houses, trees, stands, painted for one camera in linear light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Camera
from headstart.synth.colour import earth_colour, from_hsv, leaf_colour, thing_colour
from headstart.synth.material import Colour
from headstart.synth.texture import TextureSet

Picture = NDArray[np.float32]


@dataclass
class _Canvas:
    """A square picture being painted, with a level horizon at row ``horizon``; ``focal`` is the focal length in px."""

    picture: Picture
    horizon: int
    focal: float
    textures: TextureSet
    rng: np.random.Generator
    haze: Colour


def colourful(textures: TextureSet, number: int, colours: tuple[Colour, Colour, Colour], level: int = 0) -> Picture:
    """A texture (256 >> level, 256 >> level, 3) in these colours, in linear light."""
    red, green, blue = np.moveaxis(textures.picture(number, level).astype(np.float32) / 255, -1, 0)[..., None]
    first, second, third = (np.array(colour, np.float32) for colour in colours)
    return ((first * (1 - red) + second * red) * (1 - green) + third * green) * (2 * blue)


def _tiled(
    canvas: _Canvas, role: str, colours: tuple[Colour, Colour, Colour], shape: tuple[int, int], repeat: float
) -> Picture:
    """A texture filling ``shape``, each repeat ``repeat`` px wide."""
    size = int(np.clip(repeat, 12, 400))
    level = int(np.clip(np.log2(256 / size), 0, 4))
    picture = colourful(canvas.textures, canvas.textures.pick(canvas.rng, role), colours, level)
    picture = np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    rows, columns = -(-shape[0] // size), -(-shape[1] // size)
    return np.tile(picture, (rows, columns, 1))[: shape[0], : shape[1]]


def _hazy(colour: Colour, haze: Colour, share: float) -> Colour:
    red, green, blue = (c * (1 - share) + h * share for c, h in zip(colour, haze))
    return red, green, blue


def _skyline(rng: np.random.Generator, width: int, roughness: float, knots: int) -> NDArray[np.float32]:
    """A smooth random line (width,) in 0..1."""
    total = np.zeros(width, np.float32)
    weight = 1.0
    for _ in range(4):
        knots_now = rng.random((1, max(knots, 2))).astype(np.float32)
        total += weight * cv2.resize(knots_now, (width, 1), interpolation=cv2.INTER_CUBIC)[0]
        weight *= roughness
        knots *= 3
    return (total - total.min()) / max(float(np.ptp(total)), 1e-6)


def _sky(rng: np.random.Generator, canvas_size: int, horizon: int) -> tuple[Picture, Colour]:
    """A sky (S, S, 3) and its colour at the horizon."""
    kind = rng.choice(["clear", "grey", "white", "dusk", "dark"], p=[0.42, 0.2, 0.22, 0.1, 0.06])
    zenith = {
        "clear": from_hsv(rng.normal(0.585, 0.02), rng.uniform(0.45, 0.85), rng.uniform(0.5, 0.9)),
        "grey": from_hsv(0.6, rng.uniform(0, 0.15), rng.uniform(0.5, 0.75)),
        "white": from_hsv(0.6, rng.uniform(0, 0.06), rng.uniform(0.85, 1.0)),
        "dusk": from_hsv(rng.uniform(0.58, 0.75), 0.5, rng.uniform(0.2, 0.5)),
        "dark": from_hsv(0.62, 0.5, rng.uniform(0.03, 0.15)),
    }[str(kind)]
    low = (
        from_hsv(rng.uniform(0.02, 0.13), rng.uniform(0.3, 0.7), 0.9)
        if kind == "dusk"
        else _hazy(zenith, (0.75, 0.8, 0.85), 0.6)
    )
    low = zenith if kind == "dark" else low
    share = np.clip((horizon - np.arange(canvas_size)) / canvas_size, 0, 1)[:, None, None].astype(np.float32) ** 0.7
    sky = np.array(low, np.float32) * (1 - share) + np.array(zenith, np.float32) * share
    sky = np.broadcast_to(sky, (canvas_size, canvas_size, 3)).copy()
    if kind in ("clear", "grey", "dusk") and rng.random() < 0.75:
        clouds = np.zeros((canvas_size, canvas_size), np.float32)
        for octave, weight in ((3, 1.0), (7, 0.6), (17, 0.35), (40, 0.2)):
            grid = rng.random((octave * 2, octave)).astype(np.float32)
            clouds += weight * cv2.resize(grid, (canvas_size, canvas_size), interpolation=cv2.INTER_CUBIC)
        cover = np.clip((clouds - rng.uniform(0.9, 1.3)) * rng.uniform(1.5, 4), 0, 1)[..., None]
        light = np.array((0.9, 0.9, 0.92), np.float32) * (1.0 if kind == "clear" else 0.7)
        sky = sky * (1 - cover) + light * cover * (0.75 + 0.25 * clouds[..., None] / 1.5)
    return sky, low


def _paint_above(canvas: _Canvas, heights: NDArray[np.float32], fill: Picture) -> None:
    """Fill from the horizon up to ``heights`` (width,) px with the rows of ``fill``."""
    size = len(canvas.picture)
    rows = np.arange(max(int(canvas.horizon - heights.max() - 1), 0), min(canvas.horizon + 2, size))
    if len(rows):
        inside = np.clip(rows[:, None] - (canvas.horizon - heights[None]), 0, 1)[..., None]
        part = canvas.picture[rows[0] : rows[-1] + 1]
        # The fill hangs from the horizon, which may lie below the picture.
        part += inside * (fill[(rows - canvas.horizon) % len(fill)] - part)


def _hills(canvas: _Canvas) -> None:
    width = len(canvas.picture)
    heights = _skyline(canvas.rng, width, 0.4, 3) * canvas.rng.uniform(0.02, 0.12) * canvas.focal
    base = leaf_colour(canvas.rng) if canvas.rng.random() < 0.6 else earth_colour(canvas.rng)
    colour = _hazy(base, canvas.haze, float(canvas.rng.uniform(0.3, 0.8)))
    tones = (colour, _hazy(colour, canvas.haze, 0.2), _hazy(colour, (0, 0, 0), 0.3))
    _paint_above(canvas, heights, _tiled(canvas, "leaves", tones, (width, width), canvas.rng.uniform(60, 200)))


def _trees(canvas: _Canvas) -> None:
    rng, width = canvas.rng, len(canvas.picture)
    tall = rng.uniform(0.03, 0.35) * canvas.focal
    heights = tall * (0.4 + 0.6 * _skyline(rng, width, 0.75, int(rng.integers(4, 14))))
    colour = _hazy(leaf_colour(rng), canvas.haze, float(rng.uniform(0, 0.25)))
    dark = (colour[0] * 0.3, colour[1] * 0.35, colour[2] * 0.35)
    tones = (colour, dark, (min(colour[0] * 1.5, 0.9), min(colour[1] * 1.4, 0.9), colour[2]))
    _paint_above(canvas, heights, _tiled(canvas, "leaves", tones, (width, width), max(tall * rng.uniform(0.6, 2), 30)))


def _houses(canvas: _Canvas) -> None:
    rng, width = canvas.rng, len(canvas.picture)
    x = int(rng.integers(-40, 60))
    while x < width:
        across = int(canvas.focal * rng.uniform(0.06, 0.4)) + 4
        tall = float(canvas.focal * rng.uniform(0.06, 0.5))
        if rng.random() < 0.75:
            colours = (earth_colour(rng), from_hsv(0.6, 0.2, rng.uniform(0.05, 0.5)), earth_colour(rng))
            role = str(rng.choice(["facade", "facade", "bricks", "concrete", "siding", "graffiti"]))
            fill = _tiled(canvas, role, colours, (width, width), tall * rng.uniform(0.4, 1.4))
            columns = np.zeros(width, np.float32)
            columns[max(x, 0) : max(x + across, 0)] = tall
            _paint_above(canvas, columns, fill)
        x += across + int(rng.integers(0, 40))


def _band(canvas: _Canvas) -> None:
    """Something long behind the scene: stand, hoarding, hedge, fence, wall."""
    rng, width = canvas.rng, len(canvas.picture)
    role, low, high = [
        ("crowd", 0.05, 0.5), ("poster", 0.03, 0.09), ("leaves", 0.03, 0.12), ("bricks", 0.04, 0.2),
        ("siding", 0.03, 0.2), ("concrete", 0.03, 0.25), ("graffiti", 0.05, 0.2), ("stones", 0.03, 0.15),
    ][rng.integers(8)]  # fmt: skip
    tall = float(canvas.focal * rng.uniform(low, high))
    colours = (thing_colour(rng), thing_colour(rng), thing_colour(rng))
    if role == "leaves":
        colours = (leaf_colour(rng), leaf_colour(rng), (0.01, 0.02, 0.01))
    slope = np.linspace(rng.uniform(0.7, 1), rng.uniform(0.7, 1), width).astype(np.float32)
    _paint_above(canvas, tall * slope, _tiled(canvas, role, colours, (width, width), tall * rng.uniform(0.5, 2)))


def paint_backdrop(rng: np.random.Generator, textures: TextureSet, camera: Camera, width: int, height: int) -> Picture:
    """The backdrop (height, width, 3) of one camera: horizon, roll and scale fit its geometry."""
    down = np.asarray(camera.rotation) @ np.array([0.0, 0, -1])
    roll = float(np.arctan2(-down[0], down[1]))
    size = int(1.5 * max(width, height))
    pitch = float(np.arctan2(down[2], np.hypot(down[0], down[1])))
    middle = np.array([camera.cx, camera.cy]) - (width / 2, height / 2)
    horizon = int(np.clip(size / 2 + middle[1] - np.tan(pitch) * camera.fy, -4 * size, 4 * size))
    sky, haze = _sky(rng, size, horizon)
    canvas = _Canvas(sky, horizon, camera.fx, textures, rng, haze)
    for painter, chance in ((_hills, 0.4), (_houses, 0.45), (_trees, 0.6), (_band, 0.45), (_trees, 0.2)):
        if rng.random() < chance and 0 < horizon < 2 * size:
            painter(canvas)
    turn = np.asarray(cv2.getRotationMatrix2D((size / 2, size / 2), -np.degrees(roll), 1.0), np.float64)
    turn[:, 2] += np.array([width / 2 - size / 2, height / 2 - size / 2])
    turned = cv2.warpAffine(canvas.picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.float32)
