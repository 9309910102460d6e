"""Photographs: the person decides the exposure, and everything else stays within the picture's range."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.synth.lens import Development, draw_development, photograph

PLAIN = Development(
    exposure=0.5,
    highlight=0.8,
    contrast=1.0,
    saturation=1.0,
    balance=(1.0, 1.0, 1.0),
    blur_px=0.1,
    far_blur_px=0.0,
    motion_px=0.0,
    motion_angle=0.0,
    noise=0.0,
    chroma_noise=0.0,
    shrink=1.0,
    sharpen=0.0,
    vignette=0.0,
    quality=0,
    grey=False,
)


def taken(person: float, around: float, pixels: int = 32, how: Development = PLAIN):
    """A square person of one brightness before one of another; (64, 64, 3)."""
    linear = np.full((64, 64, 3), around, np.float32)
    subject = np.zeros((64, 64), np.bool_)
    low = 32 - pixels // 2
    subject[low : low + pixels, low : low + pixels] = True
    linear[subject] = person
    depth = np.full((64, 64), 3000, np.float32)
    return photograph(linear, depth, subject, 3000.0, how, np.random.default_rng(0)), subject


def shown(value: float) -> float:
    """What a linear value becomes: shoulder, then gamma."""
    return 255 * (value * (1 + value / 5) / (1 + value)) ** (1 / 2.2)


def test_white_clothes_before_dark_ground_do_not_burn_out():
    picture, subject = taken(person=1.0, around=0.005)
    assert picture[32, 32] == pytest.approx(shown(0.8), abs=2)
    assert (picture[subject] < 230).all()


def test_dark_people_before_bright_ground_are_lifted():
    picture, _ = taken(person=0.01, around=3.0)
    assert picture[32, 32] == pytest.approx(shown(0.035), abs=2)


def test_a_grey_picture_meets_the_wanted_exposure():
    picture, _ = taken(person=0.2, around=0.2)
    # log(0.2 + 0.01) is what is metered.
    assert picture[32, 32] == pytest.approx(shown(0.5**2.2 * 0.2 / 0.21), abs=2)


def test_a_person_of_a_few_pixels_is_not_metered():
    picture, _ = taken(person=50.0, around=0.2, pixels=8)
    # Every second pixel is looked at: 16 of the person, too few.
    assert (picture[2, 2] > 60).all()


@pytest.mark.parametrize("studio", [False, True])
def test_random_cameras_stay_in_range(studio):
    for seed in range(20):
        how = draw_development(np.random.default_rng(seed), studio)
        picture, subject = taken(person=1.0, around=0.05, how=how)
        assert picture.dtype == np.uint8
        assert 40 < picture[subject].mean() < 254


def edges(pixels: int, shrink: float) -> tuple[float, float]:
    """Column and row where a dark corner at the lower right begins, to a fraction of a pixel."""
    linear = np.full((pixels, pixels, 3), 0.5, np.float32)
    begin = 3 * pixels // 4
    linear[begin:, begin:] = 0.05
    depth, subject = np.full((pixels, pixels), 3000, np.float32), np.ones((pixels, pixels), np.bool_)
    picture = photograph(linear, depth, subject, 3000.0, replace(PLAIN, shrink=shrink), np.random.default_rng(0))
    grey = picture.astype(float).mean(2)
    bright, dark = grey[:8, :8].mean(), grey[-8:, -8:].mean()
    lit = (grey - dark) / (bright - dark)
    return float(lit[-8:].mean(0).sum()), float(lit[:, -8:].mean(1).sum())


@pytest.mark.parametrize("shrink", [0.45, 0.501, 0.617, 0.73, 0.899])
def test_pictures_made_small_and_large_again_stay_in_place(shrink):
    assert edges(255, shrink) == pytest.approx(edges(255, 1.0), abs=0.1)


def test_a_stored_picture_keeps_its_colours():
    """JPEG is written from blue, green, red: a red wall must not come back blue."""
    linear = np.empty((64, 64, 3), np.float32)
    linear[:] = (0.5, 0.1, 0.02)
    depth, subject = np.full((64, 64), 3000, np.float32), np.ones((64, 64), np.bool_)
    plain, stored = (
        photograph(linear, depth, subject, 3000.0, replace(PLAIN, quality=quality), np.random.default_rng(0))
        for quality in (0, 95)
    )
    red, green, blue = plain[32, 32].astype(int)
    assert red > green + 20 > blue + 40
    np.testing.assert_allclose(stored.astype(int), plain, atol=6)
