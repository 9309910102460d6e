"""Drawings of surfaces: ground, walls, cloth, leaves, prints, and slopes of folds. See texture.py for the channels."""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 256

Picture = NDArray[np.float32]
Maker = Callable[[np.random.Generator], Picture]


def noise(
    rng: np.random.Generator, roughness: float = 1.6, stretch: tuple[float, float] = (1, 1), low: float = 0
) -> Picture:
    """Repeating noise (256, 256) in 0..1 with mean near 0.5.

    ``roughness`` is the fall of amplitude with frequency (0 white, 2 clouds), ``stretch`` lengthens features along
    (x, y), ``low`` drops frequencies below that many repeats.
    """
    y, x = np.meshgrid(
        np.fft.fftfreq(SIZE) * SIZE * stretch[1], np.fft.rfftfreq(SIZE) * SIZE * stretch[0], indexing="ij"
    )
    radius = np.hypot(x, y)
    amplitude = np.where(radius > low, np.maximum(radius, 1) ** -roughness, 0)
    amplitude[0, 0] = 0
    field = np.fft.irfft2(amplitude * np.exp(2j * np.pi * rng.random(radius.shape)), (SIZE, SIZE))
    return np.clip(0.5 + 0.21 * field / field.std(), 0, 1).astype(np.float32)


def stacked(
    second: NDArray[np.floating], third: NDArray[np.floating] | float = 0.0, grain: NDArray[np.floating] | float = 0.5
) -> Picture:
    """A texture (256, 256, 3) from its channels."""
    full = np.zeros((SIZE, SIZE), np.float32)
    return np.stack([full + second, full + third, full + grain], -1).astype(np.float32)


def _grid(rng: np.random.Generator, columns: int, rows: int, joint: float, shifted: bool) -> tuple[Picture, Picture]:
    """Joints (1 on a joint) and a random value of each cell, in running bond where ``shifted``."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    row = np.floor(y * rows).astype(int)
    across = x * columns + (0.5 * (row % 2) if shifted else 0)
    column = np.floor(across).astype(int) % columns
    value = rng.random((rows, columns))[row, column]
    edge = np.minimum(np.abs(across - np.round(across)) / columns, np.abs(y * rows - np.round(y * rows)) / rows)
    return (edge < joint / 2).astype(np.float32), value.astype(np.float32)


def _grass(rng: np.random.Generator) -> Picture:
    blades = noise(rng, 0.5, (1, 0.45), 6)
    return stacked(np.clip(noise(rng, 1.7) * 1.6 - 0.3, 0, 1), (blades > 0.78) * 0.6, 0.15 + 0.7 * blades)


def _gravel(rng: np.random.Generator) -> Picture:
    stones = noise(rng, 0.9, low=9)
    return stacked(np.clip(noise(rng, 1.8), 0, 1) * 0.7, np.clip(stones * 4 - 2.4, 0, 1) * 0.7, 0.1 + 0.8 * stones)


def _asphalt(rng: np.random.Generator) -> Picture:
    return stacked(noise(rng, 1.5) * 0.6, (noise(rng, 0.1) > 0.9) * 0.5, 0.3 + 0.4 * noise(rng, 0.2))


def _sand(rng: np.random.Generator) -> Picture:
    ripples = noise(rng, 1.3, (0.5, 1.6), 3)
    return stacked(ripples, noise(rng, 2) * 0.4, 0.35 + 0.3 * noise(rng, 0.4))


def _concrete(rng: np.random.Generator) -> Picture:
    joints, value = _grid(rng, int(rng.integers(1, 3)), int(rng.integers(1, 3)), 0.008, False)
    stains = np.clip(noise(rng, 1.7, (1, 3)) * 2 - 0.8, 0, 1)
    return stacked(0.5 * stains + 0.2 * value, joints * 0.8, 0.4 + 0.2 * noise(rng, 0.8))


def _tiles(rng: np.random.Generator) -> Picture:
    count = int(rng.integers(2, 7))
    joints, value = _grid(rng, count, count, 0.012, bool(rng.random() < 0.3))
    return stacked(value * rng.uniform(0.1, 1.0), joints, 0.45 + 0.1 * noise(rng, 1))


def _checker(rng: np.random.Generator) -> Picture:
    y, x = np.mgrid[0:SIZE, 0:SIZE] * int(rng.integers(1, 4)) * 2 // SIZE
    return stacked(((x + y) % 2).astype(np.float32), 0.2 * noise(rng), 0.45 + 0.1 * noise(rng, 1))


def _bricks(rng: np.random.Generator) -> Picture:
    rows = int(rng.integers(3, 7)) * 2
    joints, value = _grid(rng, rows // 2, rows, 0.014, True)
    return stacked(value, joints, 0.3 + 0.4 * noise(rng, 0.8))


def _stones(rng: np.random.Generator) -> Picture:
    """A wall of field stones: cells around random points."""
    points = rng.random((int(rng.integers(20, 60)), 2)) * SIZE
    mask = np.ones((SIZE, SIZE), np.uint8)
    around = np.concatenate([points + np.array([dx * SIZE, dy * SIZE]) for dx in (-1, 0, 1) for dy in (-1, 0, 1)])
    y, x = np.mgrid[0:SIZE:2, 0:SIZE:2].astype(np.float32)
    distance = np.stack([np.hypot(x - px, 1.3 * (y - py)) for px, py in around if -60 < px < 316 and -60 < py < 316])
    nearest = np.sort(np.partition(distance, 1, 0)[:2], 0)
    cell = np.argmin(distance, 0)
    joints = cv2.resize(np.clip(1 - (nearest[1] - nearest[0]) / 5, 0, 1), mask.shape)
    value = cv2.resize((cell * 0.6180339 % 1).astype(np.float32), mask.shape, interpolation=cv2.INTER_NEAREST)
    return stacked(value * 0.8, joints, 0.25 + 0.5 * noise(rng, 1))


def _planks(rng: np.random.Generator) -> Picture:
    count = int(rng.integers(2, 9))
    joints, value = _grid(rng, count, int(rng.integers(1, 3)), 0.008, True)
    fibres = noise(rng, 1.1, (0.25, 5))
    return stacked(0.5 * value + 0.5 * fibres, joints, 0.3 + 0.4 * fibres)


def _plaster(rng: np.random.Generator) -> Picture:
    return stacked(
        np.clip(noise(rng, 1.9) * 1.4 - 0.4, 0, 1), (noise(rng, 1.6) > 0.86) * 0.4, 0.43 + 0.14 * noise(rng, 0.7)
    )


def _siding(rng: np.random.Generator) -> Picture:
    """Corrugated sheet, shutters or boards: lines in one direction."""
    count = int(rng.integers(4, 25))
    wave = (np.arange(SIZE) * count / SIZE) % 1
    lines = np.tile((wave if rng.random() < 0.5 else np.abs(wave - 0.5) * 2).astype(np.float32), (SIZE, 1))
    return stacked(lines if rng.random() < 0.5 else lines.T, 0.3 * noise(rng), 0.45 + 0.1 * noise(rng, 0.8))


def _facade(rng: np.random.Generator) -> Picture:
    """Windows in rows: second colour is glass, third the frames."""
    picture = stacked(0.1 * noise(rng), 0.0, 0.42 + 0.16 * noise(rng, 1.2))
    columns, rows = rng.integers(2, 6, 2)
    width, height = rng.uniform(0.4, 0.8, 2) * (SIZE / columns, SIZE / rows)
    for column in range(columns):
        for row in range(rows):
            x, y = int((column + 0.5) * SIZE / columns - width / 2), int((row + 0.5) * SIZE / rows - height / 2)
            cv2.rectangle(picture, (x - 3, y - 3), (int(x + width + 3), int(y + height + 3)), (0, 1, 0.5), -1)
            shade = float(rng.uniform(0.2, 0.8))
            cv2.rectangle(picture, (x, y), (int(x + width), int(y + height)), (1, 0, shade), -1)
            if rng.random() < 0.5:
                cv2.line(picture, (int(x + width / 2), y), (int(x + width / 2), int(y + height)), (0, 1, 0.5), 3)
    return picture


def put_text(
    picture: Picture, word: str, at: tuple[int, int], font: int, size: float, width: int, channel: int
) -> None:
    """One word in one colour channel; OpenCV draws text on bytes only."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.putText(mask, word, at, font, size, 255, width, cv2.LINE_AA)
    colour = np.array([0.0, 0.0, 0.5], np.float32)
    colour[channel] = 1.0
    share = mask[:, :, None].astype(np.float32) / 255
    picture += share * (colour - picture)


def write_text(rng: np.random.Generator, picture: Picture, channel: int, lines: int) -> None:
    """Random words in one channel."""
    letters = np.array(list(string.ascii_uppercase + string.digits))
    for _ in range(lines):
        word = "".join(rng.choice(letters, rng.integers(2, 9)))
        size = float(rng.uniform(0.7, 3.2))
        at = (int(rng.integers(0, SIZE // 2)), int(rng.integers(SIZE // 6, SIZE)))
        font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
        put_text(picture, word, at, font, size, max(1, int(size * rng.uniform(1, 4))), channel)


def draw_shapes(rng: np.random.Generator, picture: Picture, count: int, largest: float) -> None:
    """Random blobs, strokes and rings in both colour channels."""
    for _ in range(count):
        colour = [(1.0, 0.0, 0.5), (0.0, 1.0, 0.5), (0.5, 0.0, 0.6), (0.0, 0.0, 0.45)][rng.integers(4)]
        centre = tuple(int(v) for v in rng.integers(0, SIZE, 2))
        radii = tuple(int(v) for v in rng.uniform(4, largest, 2))
        kind = rng.integers(3)
        if kind == 0:
            cv2.ellipse(picture, centre, radii, float(rng.uniform(0, 180)), 0, 360, colour, int(rng.choice([-1, 4, 9])))
        elif kind == 1:
            points = (np.array(centre) + rng.normal(0, largest, (int(rng.integers(3, 7)), 2))).astype(np.int32)
            cv2.fillPoly(picture, [points], colour)
        else:
            points = (np.array(centre) + np.cumsum(rng.normal(0, largest / 2, (6, 2)), 0)).astype(np.int32)
            cv2.polylines(picture, [points], False, colour, int(rng.integers(3, 14)), cv2.LINE_AA)


def _graffiti(rng: np.random.Generator) -> Picture:
    picture = stacked(0.25 * noise(rng), 0.0, 0.42 + 0.16 * noise(rng))
    draw_shapes(rng, picture, int(rng.integers(5, 20)), 60)
    write_text(rng, picture, int(rng.integers(2)), int(rng.integers(1, 5)))
    return picture


def _poster(rng: np.random.Generator) -> Picture:
    picture = stacked(np.zeros((SIZE, SIZE), np.float32))
    draw_shapes(rng, picture, int(rng.integers(0, 8)), 70)
    write_text(rng, picture, int(rng.integers(2)), int(rng.integers(1, 5)))
    return picture


def _crowd(rng: np.random.Generator) -> Picture:
    """Heads and shirts in rows: spectators from far away."""
    picture = stacked(np.full((SIZE, SIZE), 0.2, np.float32), 0.1, 0.25)
    for row in range(0, SIZE + 20, 20):
        for x in range(int(rng.integers(0, 9)), SIZE, 14):
            shirt = tuple(float(v) for v in (*rng.choice([0.0, 0.5, 1.0], 2), rng.uniform(0.2, 0.9)))
            at = (x + int(rng.integers(-3, 4)), row + int(rng.integers(-3, 4)))
            cv2.ellipse(picture, (at[0], at[1] + 12), (6, 8), 0, 0, 360, shirt, -1)
            cv2.circle(picture, at, 4, (0.3, 0.0, float(rng.uniform(0.3, 0.9))), -1)
    return picture


def _leaves(rng: np.random.Generator) -> Picture:
    fine, coarse = noise(rng, 0.7, low=5), noise(rng, 1.4, low=2)
    return stacked(
        np.clip(coarse * 2 - 0.5, 0, 1), np.clip(fine * 4 - 2.6, 0, 1) * 0.8, np.clip(fine * 1.4 - 0.25, 0, 1)
    )


def _bark(rng: np.random.Generator) -> Picture:
    ridges = noise(rng, 1.0, (0.3, 2.5), 4)
    return stacked(ridges, 0.3 * noise(rng), ridges)


def _slopes(height: Picture) -> Picture:
    """A bump texture from heights (256, 256)."""
    slope_x = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    slope_y = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    scale = 0.16 / max(float(np.hypot(slope_x, slope_y).std()), 1e-6)
    return stacked(np.clip(0.5 + scale * slope_x, 0, 1), np.clip(0.5 + scale * slope_y, 0, 1))


def _folds(rng: np.random.Generator) -> Picture:
    """Creases of cloth: ridged noise, drawn out in one direction."""
    stretch = [(0.5, 1.6), (1.0, 1.0), (1.6, 0.6)][rng.integers(3)]
    ridges = 1 - np.abs(noise(rng, 1.9, stretch) - 0.5) * 4
    return _slopes(cv2.GaussianBlur(np.clip(ridges, -0.5, 1) + 0.6 * noise(rng, 2.2), (0, 0), 2.5).astype(np.float32))


def _rough(rng: np.random.Generator) -> Picture:
    return _slopes(noise(rng, 1.4, low=3))


#: What ground, walls and plants look like, by role.
SURFACES: list[tuple[str, Maker]] = [
    ("grass", _grass),
    ("gravel", _gravel),
    ("asphalt", _asphalt),
    ("sand", _sand),
    ("concrete", _concrete),
    ("tiles", _tiles),
    ("checker", _checker),
    ("bricks", _bricks),
    ("stones", _stones),
    ("planks", _planks),
    ("plaster", _plaster),
    ("siding", _siding),
    ("facade", _facade),
    ("graffiti", _graffiti),
    ("poster", _poster),
    ("crowd", _crowd),
    ("leaves", _leaves),
    ("bark", _bark),
]
BUMPS: list[tuple[str, Maker]] = [("folds", _folds), ("rough", _rough)]
