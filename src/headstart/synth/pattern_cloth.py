"""Drawings of cloth, skin and hair. See texture.py for the channels."""

from __future__ import annotations

import string

import cv2
import numpy as np

from headstart.synth.pattern import SIZE, Maker, Picture, draw_shapes, noise, put_text, stacked


def _weave(rng: np.random.Generator) -> Picture:
    return stacked(0.5 * noise(rng, 1.9), 0.0, 0.42 + 0.16 * noise(rng, 0.3))


def _denim(rng: np.random.Generator) -> Picture:
    worn = np.clip(noise(rng, 1.7, (1, 2)) * 2 - 0.7, 0, 1)
    return stacked(worn, 0.0, 0.35 + 0.3 * noise(rng, 0.3, (0.4, 2)))


def _stripes(rng: np.random.Generator) -> Picture:
    count = int(rng.integers(2, 14))
    wave = (np.arange(SIZE) * count / SIZE) % 1
    second = (wave < rng.uniform(0.15, 0.6)).astype(np.float32)
    third = (np.abs(wave - 0.75) < rng.uniform(0, 0.12)).astype(np.float32)
    lines = stacked(
        np.tile(second[:, None], (1, SIZE)), np.tile(third[:, None], (1, SIZE)), 0.45 + 0.1 * noise(rng, 0.5)
    )
    return lines if rng.random() < 0.7 else np.ascontiguousarray(lines.transpose(1, 0, 2))


def _plaid(rng: np.random.Generator) -> Picture:
    count = int(rng.integers(3, 10))
    wave = (np.arange(SIZE) * count / SIZE) % 1
    wide, thin = (wave < 0.4).astype(np.float32), (np.abs(wave - 0.7) < 0.05).astype(np.float32)
    return stacked(
        np.float32(0.5) * (wide[:, None] + wide[None]),
        np.float32(0.8) * np.maximum(thin[:, None], thin[None]),
        0.45 + 0.1 * noise(rng, 0.5),
    )


def _camouflage(rng: np.random.Generator) -> Picture:
    return stacked(
        (noise(rng, 1.7) > 0.52).astype(np.float32), (noise(rng, 1.7) > 0.6) * 1.0, 0.45 + 0.1 * noise(rng, 0.5)
    )


def _dots(rng: np.random.Generator) -> Picture:
    picture = stacked(np.zeros((SIZE, SIZE), np.float32), 0.0, 0.45 + 0.1 * noise(rng, 0.5))
    step, channel = int(rng.integers(12, 40)), int(rng.integers(2))
    for number, y in enumerate(range(step // 2, SIZE, step)):
        for x in range(step // 2 + (number % 2) * step // 2, SIZE, step):
            cv2.circle(picture, (x, y), step // 4, (1.0, 0.0, 0.5) if channel else (0.0, 1.0, 0.5), -1, cv2.LINE_AA)
    return picture


def _floral(rng: np.random.Generator) -> Picture:
    picture = stacked(np.zeros((SIZE, SIZE), np.float32), 0.0, 0.45 + 0.1 * noise(rng, 0.5))
    draw_shapes(rng, picture, int(rng.integers(25, 70)), 16)
    return picture


def _print(rng: np.random.Generator) -> Picture:
    """Something on the chest: a word, a number or a badge at the middle of the repeat."""
    picture = stacked(np.zeros((SIZE, SIZE), np.float32), 0.0, 0.45 + 0.1 * noise(rng, 0.5))
    if rng.random() < 0.5:
        radius = int(rng.integers(20, 60))
        cv2.circle(picture, (SIZE // 2, SIZE // 2), radius, (1.0, 0.0, 0.5), int(rng.choice([-1, 8])))
    word = "".join(rng.choice(list(string.ascii_uppercase + string.digits), rng.integers(1, 6)))
    scale = float(rng.uniform(1.5, 4.5)) / max(len(word) / 2, 1)
    (width, height), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 8)
    at = (SIZE // 2 - width // 2, SIZE // 2 + height // 2)
    put_text(picture, word, at, cv2.FONT_HERSHEY_DUPLEX, scale, int(rng.integers(4, 12)), 1)
    return picture


def _skin(rng: np.random.Generator) -> Picture:
    return stacked(np.clip(noise(rng, 1.5) * 1.5 - 0.4, 0, 1), 0.0, 0.46 + 0.08 * noise(rng, 0.6))


def _strands(rng: np.random.Generator) -> Picture:
    locks = noise(rng, 1.0, (0.18, 4), 3)
    return stacked(locks, np.clip(locks * 3 - 2, 0, 1), 0.2 + 0.6 * locks)


#: What cloth, skin and hair look like, by role.
CLOTHS: list[tuple[str, Maker]] = [
    ("weave", _weave),
    ("denim", _denim),
    ("stripes", _stripes),
    ("plaid", _plaid),
    ("camouflage", _camouflage),
    ("dots", _dots),
    ("floral", _floral),
    ("print", _print),
    ("skin", _skin),
    ("strands", _strands),
]
