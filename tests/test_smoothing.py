"""The One-Euro filter against its equations, and what it is for: still joints rest, fast ones are followed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import butter, filtfilt

from headstart.errors import ConfigError
from headstart.smoothing import (
    PATH,
    XYZ,
    OneEuro,
    OneEuroFilter,
    PoseSmoother,
    both_ways,
    butterworth,
    check_motion_filter,
    filtered,
    weight,
)

RATE = 30.0


def run(signal: np.ndarray, parameters: OneEuro | None = None) -> np.ndarray:
    smooth = OneEuroFilter(parameters)
    return np.array([smooth(sample, number / RATE) for number, sample in enumerate(signal)])


def test_two_steps_worked_out_by_hand() -> None:
    # T = 1 s, cutoffs 1/(2 pi) Hz: alpha = 1/2. Speed: (4 - 0)/1 * 1/2 = 2; cutoff (1 + 3 * 2)/(2 pi): alpha = 7/8.
    hz = 1 / (2 * math.pi)
    smooth = OneEuroFilter(OneEuro(hz, 3 * hz, hz))
    assert smooth(np.array([0.0]), 0.0) == [0.0]
    assert smooth(np.array([4.0]), 1.0) == pytest.approx([4 * 7 / 8])
    # Next: speed (3.5 - 3.5)/1 / 2 + 2/2 = 1; cutoff 4 hz: alpha 4/5; the value stays where the sample is.
    assert smooth(np.array([3.5]), 2.0) == pytest.approx([3.5])
    assert smooth(np.array([8.5]), 3.0) == pytest.approx([3.5 + 5 * 10 / 11])  # speed 3, cutoff 10 hz


def test_steps_of_another_length_worked_out_by_hand() -> None:
    """T = 1/2 s. Speed: cutoff 2/(2 pi) Hz, so alpha 1/2: (3 - 0)/T * 1/2 = 3 a second. Value: cutoff
    (2/3 + 3 * 4/9 = 2)/(2 pi) Hz, so alpha 1/2 too: 3/2. A fall of as much is as fast as a rise.
    """
    hz = 1 / (2 * math.pi)
    for sign in (1.0, -1.0):
        smooth = OneEuroFilter(OneEuro(min_cutoff_hz=2 / 3 * hz, beta=4 / 9 * hz, derivative_cutoff_hz=2 * hz))
        smooth(np.array([0.0]), 10.0)
        assert smooth(np.array([sign * 3.0]), 10.5) == pytest.approx([sign * 1.5])
        # Again 1/2 s later: speed (3 - 1.5)/T / 2 + 3 / 2 = 3, so the same alpha.
        assert smooth(np.array([sign * 3.0]), 11.0) == pytest.approx([sign * 2.25])


def test_weight_is_one_half_at_its_own_time_constant() -> None:
    assert weight(1 / (2 * math.pi * 0.25), 0.25) == pytest.approx(0.5)


def test_a_still_joint_shakes_much_less() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (600, 2))
    still = run(100 + noise, OneEuro(1.0, 0.0))
    assert still[30:].std() < 0.4 * noise.std()
    assert still[30:].mean() == pytest.approx(100, abs=0.1)


def test_fast_movement_is_followed_with_less_lag_than_by_a_fixed_cutoff() -> None:
    ramp = np.arange(60.0)[:, None] * 10
    lag = ramp[-1] - run(ramp, OneEuro(1.0, 0.05))[-1]
    fixed = ramp[-1] - run(ramp, OneEuro(1.0, 0.0))[-1]
    assert 0 < lag < fixed / 5


@given(arrays(np.float64, (12, 3), elements=st.floats(-1e3, 1e3)))
def test_never_leaves_the_range_of_what_was_seen(signal: np.ndarray) -> None:
    smooth = run(signal)
    assert (smooth <= signal.max(0) + 1e-9).all()
    assert (smooth >= signal.min(0) - 1e-9).all()


@given(arrays(np.float64, (8, 2), elements=st.floats(-100, 100)), st.floats(-50, 50))
def test_a_shifted_signal_gives_the_shifted_result(signal: np.ndarray, shift: float) -> None:
    np.testing.assert_allclose(run(signal + shift), run(signal) + shift, atol=1e-9)


def test_a_time_that_stands_still_changes_nothing() -> None:
    smooth = OneEuroFilter()
    smooth(np.array([1.0]), 0.0)
    assert smooth(np.array([9.0]), 0.0) == [1.0]


@pytest.mark.parametrize("wrong", [{"min_cutoff_hz": 0.0}, {"beta": -1.0}, {"derivative_cutoff_hz": math.nan}])
def test_wrong_parameters_are_named(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=name):
        OneEuro(**wrong)


class TestBothWays:
    @pytest.mark.parametrize("count", [1, 2, 7, 200])
    def test_even_movement_stays_as_it_is(self, count: int) -> None:
        """1.4 m/s: one way follows 9 cm behind."""
        walk = np.arange(count)[:, None] * np.array([1.4, 0.0, -0.7]) / RATE
        np.testing.assert_allclose(both_ways(walk, RATE, PATH), walk, atol=0.01)

    def test_a_swing_is_not_late(self) -> None:
        """A hand that swings once a second by 30 cm to either side: one way its turning points come 1.5 frames late."""
        swing = 0.3 * np.sin(2 * np.pi * np.arange(150) / RATE)[:, None]
        smooth = both_ways(swing, RATE, XYZ)
        lags = [np.correlate(one[30:-30, 0], swing[30 + k : 120 + k, 0])[0] for one in (smooth,) for k in range(-3, 4)]
        assert int(np.argmax(lags)) == 3
        assert np.abs(smooth - swing).max() < 0.5 * np.abs(run(swing, XYZ) - swing)[30:].max()

    def test_noise_is_less_than_after_one_way(self) -> None:
        noise = np.random.default_rng(0).normal(0, 0.01, (300, 2))
        assert both_ways(noise, RATE, XYZ).std() < 0.8 * run(noise, XYZ).std()

    def test_forwards_or_backwards_in_time_is_nearly_the_same(self) -> None:
        shaking = np.random.default_rng(1).normal(0, 0.05, (90, 2)).cumsum(0) / 5
        there, back = both_ways(shaking, RATE, XYZ), both_ways(shaking[::-1], RATE, XYZ)[::-1]
        np.testing.assert_allclose(there, back, atol=0.01)


class TestButterworth:
    @pytest.mark.parametrize("rate", [25.0, 240.0])
    def test_half_of_an_amplitude_is_left_at_the_cutoff_and_nothing_is_late(self, rate: float) -> None:
        """Each pass leaves 1 / sqrt(2), by definition; a constant passes."""
        wave = np.sin(2 * np.pi * 6 * np.arange(6 * rate) / rate)
        inner = slice(int(2 * rate), int(-2 * rate))
        found = butterworth(np.stack([wave, 5 + 0 * wave], 1), rate, 6.0)
        np.testing.assert_allclose(found[inner, 0], wave[inner] / 2, atol=1e-6)
        np.testing.assert_allclose(found[:, 1], 5)

    def test_second_order_forwards_and_backwards(self) -> None:
        """|H|^2 of one pass is 1 / (1 + (tan(pi f / fs) / tan(pi cutoff / fs))^4), by the bilinear transform."""
        wave = np.sin(2 * np.pi * 12 * np.arange(600) / 100)
        share = 1 / (1 + (math.tan(math.pi * 0.12) / math.tan(math.pi * 0.06)) ** 4)
        np.testing.assert_allclose(butterworth(wave, 100.0, 6.0)[200:400], share * wave[200:400], atol=1e-6)

    def test_far_from_the_ends_it_is_what_scipy_gives(self) -> None:
        shaking = np.random.default_rng(0).normal(0, 1, (300, 4, 3)).cumsum(0)
        wanted = filtfilt(*butter(2, 6.0, fs=60.0), shaking, axis=0)
        np.testing.assert_allclose(butterworth(shaking, 60.0, 6.0)[100:200], wanted[100:200], atol=1e-6)

    @pytest.mark.parametrize("count", [1, 2, 7, 9, 10, 200])
    @pytest.mark.parametrize(("rate", "cutoff_hz"), [(30.0, 6.0), (240.0, 6.0), (240.0, 0.5), (25.0, 12.0)])
    def test_even_movement_stays_as_it_is_however_short(self, count: int, rate: float, cutoff_hz: float) -> None:
        """Scipy's own extension needs ten frames, and moves the ends of this walk by up to 6 cm."""
        walk = np.arange(count)[:, None] * np.array([1.4, 0.0, -0.7]) / rate
        np.testing.assert_allclose(butterworth(walk, rate, cutoff_hz), walk, atol=5e-4)

    def test_forwards_or_backwards_in_time_is_the_same(self) -> None:
        shaking = np.random.default_rng(1).normal(0, 0.05, (90, 2)).cumsum(0)
        there, back = butterworth(shaking, RATE, 6.0), butterworth(shaking[::-1], RATE, 6.0)[::-1]
        np.testing.assert_allclose(there, back, atol=1e-6)

    def test_a_cutoff_of_half_the_frame_rate_is_refused(self) -> None:
        butterworth(np.zeros((5, 2)), 25.0, 12.4)
        message = "smoothing: expected a cutoff below 12.5 Hz, half of its 25 frames per second, got 12.5"
        with pytest.raises(ConfigError, match=message):
            butterworth(np.zeros((5, 2)), 25.0, 12.5)


class TestMotionFilter:
    def test_each_name_is_its_filter(self) -> None:
        shaking = np.random.default_rng(2).normal(0, 0.05, (40, 3))
        np.testing.assert_array_equal(filtered(shaking, RATE, "none", XYZ), shaking)
        np.testing.assert_array_equal(filtered(shaking, RATE, "one-euro", PATH), both_ways(shaking, RATE, PATH))
        np.testing.assert_array_equal(filtered(shaking, RATE, 6, XYZ), butterworth(shaking, RATE, 6.0))

    @pytest.mark.parametrize(
        ("wrong", "got"),
        [("kalman", "'kalman'"), (0.0, "0"), (-6.0, "-6"), (0.09, "0.09"), (math.nan, "nan"), (math.inf, "inf")],
    )
    def test_others_are_named(self, wrong: str | float, got: str) -> None:
        with pytest.raises(ConfigError, match=f"mine: expected .*, got {got}$"):
            check_motion_filter(wrong, name="mine")  # type: ignore[arg-type]

    @pytest.mark.parametrize("good", ["one-euro", "none", 0.1, 6, 600.0])
    def test_these_are_good_while_the_frame_rate_is_not_known(self, good: str | float) -> None:
        check_motion_filter(good)  # type: ignore[arg-type]


class TestPoseSmoother:
    def test_confidence_passes_and_names_stay(self) -> None:
        smoother = PoseSmoother()
        assert smoother.smooth_keypoints({"nose": (10.0, 20.0, 0.7)}, 100, 0.0) == {"nose": (10.0, 20.0, 0.7)}
        later = smoother.smooth_keypoints({"nose": (12.0, 20.0, 0.1)}, 100, 1 / RATE)["nose"]
        assert 10 < later[0] < 12
        assert later[1:] == (20.0, 0.1)

    def test_the_size_of_the_person_does_not_matter(self) -> None:
        small, large = PoseSmoother(), PoseSmoother()
        for step, x in enumerate([0.0, 3.0, 5.0, 20.0]):
            one = small.smooth_keypoints({"nose": (x, 0.0, 1.0)}, 50, step / RATE)["nose"]
            two = large.smooth_keypoints({"nose": (x * 10, 0.0, 1.0)}, 500, step / RATE)["nose"]
            assert two[0] == pytest.approx(10 * one[0])

    def test_a_person_who_comes_nearer_is_measured_by_the_box_of_now(self) -> None:
        """Two people move alike; the box of one has grown tenfold: the same px are a tenth of the speed."""
        near, far = PoseSmoother(), PoseSmoother()
        for smoother in (near, far):
            smoother.smooth_keypoints({"nose": (0.0, 0.0, 1.0)}, 50, 0.0)
        one = near.smooth_keypoints({"nose": (20.0, 0.0, 1.0)}, 500, 1 / RATE)["nose"]
        two = far.smooth_keypoints({"nose": (20.0, 0.0, 1.0)}, 50, 1 / RATE)["nose"]
        assert one[0] < 0.8 * two[0]

    def test_a_box_without_a_side_counts_as_one_of_a_pixel(self) -> None:
        one, none = PoseSmoother(), PoseSmoother()
        for step, x in enumerate([0.0, 0.02, 0.1]):
            smooth, same = (
                smoother.smooth_keypoints({"nose": (x, 0.0, 1.0)}, side, step / RATE)["nose"]
                for smoother, side in ((one, 1), (none, 0))
            )
            assert smooth == same

    def test_the_cutoff_of_speed_is_the_one_that_was_asked_for(self) -> None:
        slow, quick = (PoseSmoother(keypoints=OneEuro(1.0, 5.0, derivative_cutoff_hz=hz)) for hz in (0.1, 10.0))
        for smoother in (slow, quick):
            smoother.smooth_keypoints({"nose": (0.0, 0.0, 1.0)}, 50, 0.0)
        one, two = (s.smooth_keypoints({"nose": (20.0, 0.0, 1.0)}, 50, 1 / RATE)["nose"][0] for s in (slow, quick))
        assert one < 0.8 * two

    def test_millimetres_in_and_out(self) -> None:
        smoother = PoseSmoother(xyz=OneEuro(1 / (2 * math.pi), 0.0))
        assert smoother.smooth_xyz({"nose": (0.0, -600.0, 50.0)}, 0.0)["nose"] == pytest.approx((0.0, -600.0, 50.0))
        smoother.forget_s = 2.0
        assert smoother.smooth_xyz({"nose": (100.0, -600.0, 50.0)}, 1.0)["nose"] == pytest.approx((50.0, -600.0, 50.0))

    def test_a_joint_long_unseen_starts_where_it_is_seen_again(self) -> None:
        smoother = PoseSmoother(forget_s=0.5)
        smoother.smooth_xyz({"nose": (0.0, 0.0, 0.0)}, 0.0)
        assert smoother.smooth_xyz({"nose": (500.0, 0.0, 0.0)}, 2.0)["nose"] == pytest.approx((500.0, 0.0, 0.0))

    def test_a_joint_of_the_frame_just_before_goes_on_however_far_apart_frames_are(self) -> None:
        """Known defect: below two frames a second nothing was smoothed. T = 2 s and 1/(4 pi) Hz: alpha is 1/2."""
        smoother = PoseSmoother(xyz=OneEuro(1 / (4 * math.pi), 0.0), forget_s=0.5)
        smoother.smooth_xyz({"nose": (0.0, 0.0, 0.0)}, 0.0)
        smoother.before_s = 0.0
        assert smoother.smooth_xyz({"nose": (500.0, 0.0, 0.0)}, 2.0)["nose"] == pytest.approx((250.0, 0.0, 0.0))
        smoother.before_s = 4.0  # a frame without the person
        assert smoother.smooth_xyz({"nose": (900.0, 0.0, 0.0)}, 6.0)["nose"] == pytest.approx((900.0, 0.0, 0.0))

    def test_a_path_shakes_less_than_joints_would_and_walks_along(self) -> None:
        """The figures beside PATH: 12 cm of noise along z, and 1.4 m/s, at 30 frames a second."""
        times = np.arange(1200) / RATE
        noise = np.random.default_rng(0).normal(0, 120, len(times))

        def followed(parameters: OneEuro, z_mm: np.ndarray) -> np.ndarray:
            smoother = PoseSmoother(path=parameters)
            return np.array([smoother.smooth_path((0.0, 0.0, z), time_s)[2] for z, time_s in zip(z_mm, times)])[300:]

        left = [followed(parameters, 4000 + noise).std() / noise.std() for parameters in (PATH, XYZ)]
        assert left == pytest.approx([0.37, 0.55], abs=0.01)
        behind = [(1400 * times[300:] - followed(one, 1400 * times)).mean() for one in (PATH, XYZ)]
        assert behind == pytest.approx([88, 55], abs=2)

    def test_the_defaults_of_keypoints_worked_out_by_hand(self) -> None:
        """T = 1/(2 pi) s, so that alpha(f) is f / (1 + f): 1/2 for speed. Half of 0.6 sides a second: 1.5 + 5 x 0.3 Hz
        and alpha 3/4."""
        smoother, seconds = PoseSmoother(), 1 / (2 * math.pi)
        smoother.smooth_keypoints({"nose": (0.0, 50.0, 1.0)}, 100, 0.0)
        moved = 60 * seconds
        found = smoother.smooth_keypoints({"nose": (moved, 50.0, 1.0)}, 100, seconds)["nose"]
        assert found == pytest.approx((0.75 * moved, 50, 1))
