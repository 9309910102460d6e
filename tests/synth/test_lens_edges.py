"""Focus, motion, sharpening and noise by value, and which cameras are drawn."""

from dataclasses import replace

import numpy as np
import pytest
from test_lens import PLAIN

from headstart.synth.lens import Development, defocus, draw_development, photograph

#: Of a Gaussian of 1 px: its share in the middle pixel, and in all pixels to one side.
MIDDLE = 1 / np.sum(np.exp(-(np.arange(-9, 10) ** 2) / 2))
ASIDE = (1 - MIDDLE) / 2


class TestDefocus:
    def test_a_point_behind_the_subject(self):
        """1 - 1.12 x 2 m / depth is a quarter: 2.2 quarters of the point are blurred, the rest stays."""
        linear = np.zeros((41, 41, 3), np.float32)
        linear[20, 20] = 1
        depth = np.full((41, 41), 1.12 * 2000 / 0.75, np.float32)
        found = defocus(linear, depth, 2000.0, 1.0)
        assert found[20, 20] == pytest.approx(0.45 + 0.55 * MIDDLE**2, abs=1e-3)
        for row, column in ((20, 21), (19, 20)):
            assert found[row, column] == pytest.approx(0.55 * MIDDLE**2 * np.exp(-0.5), abs=1e-3)
        assert found[21, 21] == pytest.approx(0.55 * MIDDLE**2 * np.exp(-1), abs=1e-3)

    def test_twice_the_blur_is_four_times_as_wide(self):
        linear = np.zeros((61, 61, 3), np.float32)
        linear[30, 30] = 1
        found = defocus(linear, np.full((61, 61), 1e6, np.float32), 2000.0, 2.0)
        assert found[30, 30] == pytest.approx(MIDDLE**2 / 4, rel=0.01)

    @pytest.mark.parametrize("depth_mm", [500.0, 2000.0, 2239.0])
    def test_the_subject_and_what_is_near_it_stay_sharp(self, depth_mm):
        linear = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
        np.testing.assert_array_equal(defocus(linear, np.full((16, 16), depth_mm, np.float32), 2000.0, 2.0), linear)

    def test_without_blur_nothing_changes(self):
        linear = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
        np.testing.assert_array_equal(defocus(linear, np.full((16, 16), 1e6, np.float32), 2000.0, 0.0), linear)

    def test_the_colour_of_the_subject_does_not_bleed(self):
        linear, depth = np.full((40, 40, 3), 0.3, np.float32), np.full((40, 40), 1e6, np.float32)
        linear[:, :20], depth[:, :20] = (5.0, 0.0, 0.0), 2000.0
        np.testing.assert_allclose(defocus(linear, depth, 2000.0, 2.0), linear, atol=1e-3)


def display(linear, how: Development):
    """(H, W, 3) 0..255, of people of nobody."""
    depth, subject = np.full(linear.shape[:2], 3000, np.float32), np.zeros(linear.shape[:2], np.bool_)
    return photograph(linear, depth, subject, 3000.0, how, np.random.default_rng(0)).astype(float)


def a_light(how: Development):
    """How a light of one pixel in the middle of (65, 65) is spread: shares of its brightness."""
    linear = np.full((65, 65, 3), 0.2, np.float32)
    linear[32, 32] = 2.0
    around, sharp = display(linear, how)[0, 0, 0], display(linear, PLAIN)[32, 32, 0]
    return (display(linear, how)[..., 0] - around) / (sharp - around)


@pytest.mark.parametrize(
    ("angle", "way"), [(0.0, (0, 1)), (np.pi / 2, (1, 0)), (np.pi / 4, (1, 1)), (3 * np.pi / 4, (1, -1))]
)
def test_motion_smears_a_light_along_its_angle(angle, way):
    """4 px of way, evenly to both sides; y points down."""
    spread = a_light(replace(PLAIN, motion_px=4.0, motion_angle=angle))
    rows, columns = np.nonzero(spread > 0.05)
    np.testing.assert_array_equal((rows - 32) * way[1], (columns - 32) * way[0])
    assert np.hypot(rows - 32, columns - 32).max() == pytest.approx(2, abs=0.9)
    np.testing.assert_allclose(spread, spread[::-1, ::-1], atol=0.02)
    assert spread.sum() == pytest.approx(1, abs=0.1)
    assert spread[32, 32] == pytest.approx(1 / len(rows), abs=0.02)


def test_blur_spreads_a_light_as_a_gaussian():
    spread = a_light(replace(PLAIN, blur_px=1.0))
    assert spread[32, 32] == pytest.approx(MIDDLE**2, abs=0.01)
    assert spread[32, 33] == spread[31, 32] == pytest.approx(MIDDLE**2 * np.exp(-0.5), abs=0.01)


def test_sharpening_lifts_the_light_side_of_an_edge_and_lowers_the_dark():
    """Half of what a blur of 1 px would move there, the other way."""
    linear = np.full((64, 64, 3), 0.1, np.float32)
    linear[:, 32:] = 0.2
    plain, sharp = display(linear, PLAIN), display(linear, replace(PLAIN, sharpen=0.5))
    step = plain[32, 40] - plain[32, 20]
    np.testing.assert_allclose(sharp[32, 32], plain[32, 40] + 0.5 * ASIDE * step, atol=1)
    np.testing.assert_allclose(sharp[32, 31], plain[32, 20] - 0.5 * ASIDE * step, atol=1)
    np.testing.assert_allclose(sharp[:, [10, 50]], plain[:, [10, 50]], atol=1)


class TestNoise:
    FLAT = np.full((96, 128, 3), 0.2, np.float32)

    def test_noise_of_light_is_the_same_in_all_colours(self):
        change = display(self.FLAT, replace(PLAIN, noise=0.02)) - display(self.FLAT, PLAIN)
        np.testing.assert_array_equal(change[..., 0], change[..., 1])
        np.testing.assert_array_equal(change[..., 0], change[..., 2])
        assert change[..., 0].std() == pytest.approx(0.02 * 255, rel=0.05)
        assert abs(np.corrcoef(change[:, 1:, 0].ravel(), change[:, :-1, 0].ravel())[0, 1]) < 0.05

    def test_noise_of_colour_is_twice_as_coarse(self):
        """Between pixels of half the size on straight lines: f^2 + (1 - f)^2 is 2/3 in the mean, along both sides."""
        change = display(self.FLAT, replace(PLAIN, chroma_noise=0.04)) - display(self.FLAT, PLAIN)
        assert change.std(axis=(0, 1)) == pytest.approx(2 / 3 * 0.04 * 255, rel=0.08)
        assert np.abs(np.corrcoef(change.reshape(-1, 3).T) - np.eye(3)).max() < 0.1
        for one, next_to_it in ((change[:, 1:], change[:, :-1]), (change[1:], change[:-1])):
            assert 0.5 < np.corrcoef(one.ravel(), next_to_it.ravel())[0, 1] < 0.8


class TestDraws:
    def drawn(self, studio: bool) -> list[Development]:
        return [draw_development(np.random.default_rng(seed), studio) for seed in range(2000)]

    def test_how_often_what_happens(self):
        """Within four standard deviations of the shares in the code."""
        some = self.drawn(studio=False)
        for share, seen in (
            (0.4, [one.far_blur_px > 0 for one in some]),
            (0.07, [one.motion_px > 0 for one in some]),
            (0.2, [one.shrink < 1 for one in some]),
            (0.4, [one.vignette > 0 for one in some]),
            (0.025, [one.grey for one in some]),
        ):
            assert np.mean(seen) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(some)))

    def test_a_studio_has_no_motion_and_no_depth_of_field(self):
        some = self.drawn(studio=True)
        assert {(one.far_blur_px, one.motion_px) for one in some} == {(0, 0)}
        assert max(one.blur_px for one in some) <= 0.5
        assert max(one.noise for one in some) <= 0.009
        assert max(one.highlight for one in some) <= 1.2
        assert np.mean([one.shrink < 1 for one in some]) == pytest.approx(0.06, abs=0.022)

    @pytest.mark.parametrize(("studio", "spread"), [(False, 1.0), (True, 0.3)])
    def test_means_and_spreads(self, studio, spread):
        """A studio's pictures vary by three tenths; the limits of exposures narrow their spread a little."""
        some = self.drawn(studio)
        for mean, deviation, values in (
            (0.5, 0.1, [one.exposure for one in some]),
            (0.92, 0.16, [one.saturation for one in some]),
            (0.0, 0.11, [np.log(one.balance[0]) for one in some]),
            (0.0, 0.035, [np.log(one.balance[1]) for one in some]),
        ):
            assert np.mean(values) == pytest.approx(mean, abs=4 * deviation / np.sqrt(len(some)))
            assert np.std(values) == pytest.approx(deviation * spread, rel=0.1)

    @pytest.mark.parametrize("studio", [False, True])
    def test_ranges(self, studio):
        for one in self.drawn(studio):
            assert 0.3 <= one.exposure <= 0.68
            assert 0.55 <= one.highlight <= 3
            assert 0.25 <= one.blur_px <= 1.2
            assert 40 <= one.quality <= 96
            assert 0.4 <= one.shrink <= 1
            assert 0 <= one.vignette <= 0.35
            assert 0 <= one.motion_angle <= np.pi
            assert 1.0 <= one.contrast <= (1.22 if studio else 1.9)
            assert 0 <= one.sharpen <= (1.05 if studio else 1.4)
            assert one.far_blur_px <= 3
            assert one.motion_px <= 5
            red, _, blue = one.balance
            assert red * blue == pytest.approx(1)
