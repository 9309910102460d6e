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


def uniform(colour, how: Development):
    """Display values (3,) 0..255 of a wall of one colour, in the middle of the picture."""
    linear = np.empty((64, 64, 3), np.float32)
    linear[:] = colour
    depth, subject = np.full((64, 64), 3000, np.float32), np.zeros((64, 64), np.bool_)
    return photograph(linear, depth, subject, 3000.0, how, np.random.default_rng(0)).astype(float)


class TestGrading:
    RED = (0.5, 0.1, 0.02)

    def test_grey_is_how_bright_colours_look(self):
        plain = uniform(self.RED, PLAIN)[32, 32]
        grey = 0.3 * plain[0] + 0.59 * plain[1] + 0.11 * plain[2]
        np.testing.assert_allclose(uniform(self.RED, replace(PLAIN, grey=True))[32, 32], grey, atol=1)
        half = uniform(self.RED, replace(PLAIN, saturation=0.5))[32, 32]
        np.testing.assert_allclose(half, (plain + grey) / 2, atol=1)

    def test_contrast_turns_about_a_middle_grey(self):
        plain = uniform(self.RED, PLAIN)[32, 32]
        found = uniform(self.RED, replace(PLAIN, contrast=1.4))[32, 32]
        np.testing.assert_allclose(found, np.clip(0.42 * 255 + 1.4 * (plain - 0.42 * 255), 0, 255), atol=1.5)

    def test_balance_is_a_factor_of_light(self):
        gain = 0.5**2.2 / 0.21
        found = uniform(0.2, replace(PLAIN, balance=(1.5, 1.0, 0.5)))[32, 32]
        np.testing.assert_allclose(found, [shown(0.2 * gain * factor) for factor in (1.5, 1.0, 0.5)], atol=1)

    def test_corners_lose_the_vignette_and_sides_half_of_it(self):
        plain, dark = uniform(0.2, PLAIN), uniform(0.2, replace(PLAIN, vignette=0.3))
        for row, column, left in ((0, 0, 0.7), (63, 63, 0.7), (0, 63, 0.7), (32, 0, 0.85), (63, 32, 0.85), (32, 32, 1)):
            np.testing.assert_allclose(dark[row, column], left * plain[row, column], atol=1)


class TestMetering:
    def test_the_outer_sixth_does_not_count(self):
        linear = np.full((64, 64, 3), 5.0, np.float32)
        linear[10:54, 10:54] = 0.2
        depth, subject = np.full((64, 64), 3000, np.float32), np.zeros((64, 64), np.bool_)
        picture = photograph(linear, depth, subject, 3000.0, PLAIN, np.random.default_rng(0))
        assert picture[32, 32] == pytest.approx(shown(0.5**2.2 * 0.2 / 0.21), abs=1)

    def test_the_dark_is_not_lifted_without_end(self):
        """0.001 is metered as 0.011, of which the logarithm is -4.5; it counts as -4."""
        assert uniform(0.001, PLAIN)[32, 32] == pytest.approx(shown(0.5**2.2 * 0.001 * np.exp(4)), abs=1)

    def test_forty_pixels_of_every_second_row_and_column_are_metered(self):
        linear, depth = np.full((64, 64, 3), 0.2, np.float32), np.full((64, 64), 3000, np.float32)
        subject = np.zeros((64, 64), np.bool_)
        subject[:10, :16] = True
        linear[subject] = 50.0
        picture = photograph(linear, depth, subject, 3000.0, PLAIN, np.random.default_rng(0))
        assert picture[5, 5] == pytest.approx(shown(0.8), abs=2)

    def test_lifting_the_dark_ends_at_the_highlights(self):
        """Most of a person is dark and wants a gain of 35; a tenth is light, and stands for 0.8 at a gain of 0.8."""
        linear, depth = np.full((64, 64, 3), 3.0, np.float32), np.full((64, 64), 3000, np.float32)
        subject = np.zeros((64, 64), np.bool_)
        subject[12:52, 12:52] = True
        linear[subject] = 0.001
        linear[12:16, 12:52] = 1.0
        picture = photograph(linear, depth, subject, 3000.0, PLAIN, np.random.default_rng(0))
        assert picture[14, 32] == pytest.approx(shown(0.8), abs=2)
