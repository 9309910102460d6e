"""Augmentation: seeded, labels follow pixels, and evaluation has nothing random."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headstart.augment import AugmentConfig, add_occluders, change_colours, sample_crop
from headstart.geometry import Crop
from headstart.loader import CropDataset
from headstart.records import Annotation, Visibility
from headstart.sampling import Draw
from headstart.skeleton import CANONICAL, mirrored_name

quick = settings(max_examples=40)
seeds = st.integers(0, 2**32 - 1)
BOX = np.array([60.0, 40.0, 80.0, 120.0])
STILL = AugmentConfig(
    scale=0, rotation_probability=0, flip_probability=0, shift=0, truncation_probability=0, occluder_probability=0
)
GREY = np.full((48, 64, 3), 100, np.uint8)


def crop_of(seed: int, config: AugmentConfig | None = None) -> Crop:
    return sample_crop(np.random.default_rng(seed), BOX, (128, 96), config or AugmentConfig())


def crops_of(config: AugmentConfig, count: int = 400) -> list[Crop]:
    rng = np.random.default_rng(0)
    return [sample_crop(rng, BOX, (128, 96), config) for _ in range(count)]


def dot_image(point: np.ndarray, sigma: float) -> np.ndarray:
    """Picture (240, 200, 3) with a bright Gaussian at ``point`` px."""
    rows, columns = np.mgrid[:240, :200]
    squared = (columns - point[0]) ** 2 + (rows - point[1]) ** 2
    return np.repeat((255 * np.exp(-squared / (2 * sigma**2))).round().astype(np.uint8)[..., None], 3, 2)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def degrees_of(crop: Crop) -> float:
    """Clockwise turn of a crop that is not mirrored."""
    return float(np.rad2deg(np.arctan2(crop.matrix[1, 0], crop.matrix[0, 0])))


class TestSampleCrop:
    @quick
    @given(seeds)
    def test_the_same_generator_gives_the_same_crop(self, seed: int):
        np.testing.assert_array_equal(crop_of(seed).matrix, crop_of(seed).matrix)

    def test_other_generators_give_other_crops(self):
        assert len({crop_of(seed).matrix.tobytes() for seed in range(50)}) == 50

    @quick
    @given(seeds)
    def test_none_is_not_random_and_is_the_centred_box(self, seed: int):
        rng = np.random.default_rng(seed)
        before = rng.bit_generator.state
        crop = sample_crop(rng, BOX, (128, 96), None)
        np.testing.assert_array_equal(crop.matrix, Crop.from_box(BOX, (128, 96)).matrix)
        assert rng.bit_generator.state == before

    def test_with_every_range_at_zero_nothing_is_random_either(self):
        np.testing.assert_allclose(crop_of(3, STILL).matrix, crop_of(4, STILL).matrix)
        np.testing.assert_allclose(crop_of(3, STILL).matrix, Crop.from_box(BOX, (128, 96)).matrix)

    @quick
    @given(seeds)
    def test_joints_follow_pixels(self, seed: int):
        """A dot at the joint is found in the crop where the joint's label went."""
        crop = crop_of(seed)
        point = crop.to_image(np.array([64.0, 48.0]) + np.random.default_rng(seed).uniform(-25, 25, 2))
        reach = 3 * 1.5 / crop.scale
        assume(((point > reach) & (point < np.array([199, 239]) - reach)).all())  # the whole dot is in the picture
        found = centroid(crop.warp(dot_image(point, sigma=1.5 / crop.scale)))
        np.testing.assert_allclose(found, crop.to_crop(point), atol=0.1)

    def test_a_flip_exchanges_left_and_right(self):
        config = AugmentConfig(**{**vars(STILL), "flip_probability": 1})
        left, right = np.array([70.0, 90.0]), np.array([130.0, 90.0])
        mirrored, plain = crop_of(0, config), crop_of(0, STILL)
        assert mirrored.mirrored
        assert not plain.mirrored
        assert mirrored.to_crop(left)[0] > mirrored.to_crop(right)[0]
        # Mirrored about the middle of the crop, and not one pixel beside it.
        np.testing.assert_allclose(mirrored.to_crop(left)[0], 127 - plain.to_crop(left)[0])

    def test_flips_are_as_frequent_as_asked_for(self):
        flipped = np.mean([crop.mirrored for crop in crops_of(AugmentConfig(flip_probability=0.25))])
        assert flipped == pytest.approx(0.25, abs=0.07)

    def test_scale_stays_within_its_range(self):
        plain = Crop.from_box(BOX, (128, 96)).scale
        shown = np.array([plain / crop.scale for crop in crops_of(AugmentConfig(**{**vars(STILL), "scale": 0.25}))])
        assert 0.75 <= shown.min() < 0.78
        assert 1.22 < shown.max() <= 1.25

    def test_rotation_is_cut_at_two_deviations(self):
        config = AugmentConfig(**{**vars(STILL), "rotation_probability": 1, "rotation_degrees": 30})
        degrees = np.array([degrees_of(crop) for crop in crops_of(config)])
        assert np.abs(degrees).max() == pytest.approx(60)
        assert np.median(np.abs(degrees)) == pytest.approx(0.674 * 30, abs=4)
        assert abs(degrees.mean()) < 5

    def test_shift_is_a_fraction_of_the_crop_in_each_direction(self):
        config = AugmentConfig(**{**vars(STILL), "shift": 0.05})
        centre = Crop.from_box(BOX, (128, 96)).to_image(np.array([63.5, 47.5]))
        moved = np.abs([crop.to_crop(centre) - [63.5, 47.5] for crop in crops_of(config)]).max(0)
        assert 0.9 * 6.4 < moved[0] <= 6.4
        assert 0.9 * 4.8 < moved[1] <= 4.8

    def test_truncation_shows_a_part_of_the_person(self):
        config = AugmentConfig(**{**vars(STILL), "truncation_probability": 1})
        plain = Crop.from_box(BOX, (128, 96)).scale
        shown = np.array([plain / crop.scale for crop in crops_of(config)])
        assert shown.min() >= 0.5
        assert shown.max() <= 0.75


class TestChangeColours:
    def test_no_range_changes_nothing(self):
        config = AugmentConfig(brightness=0, contrast=0, colour=0)
        image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
        changed = change_colours(np.random.default_rng(0), image, config)
        np.testing.assert_allclose(changed.astype(int), image, atol=1)

    @quick
    @given(seeds)
    def test_brightness_alone_adds_the_same_everywhere(self, seed: int):
        config = AugmentConfig(brightness=0.1, contrast=0, colour=0)
        image = np.random.default_rng(0).integers(60, 190, (8, 8, 3), dtype=np.uint8)
        difference = change_colours(np.random.default_rng(seed), image, config).astype(int) - image
        assert difference.max() - difference.min() <= 1
        assert np.abs(difference).max() <= 26

    def test_only_colour_treats_channels_apart(self):
        white = np.full((4, 4, 3), 200, np.uint8)
        alike = change_colours(np.random.default_rng(2), white, AugmentConfig(colour=0))
        apart = change_colours(np.random.default_rng(2), white, AugmentConfig(colour=0.3))
        assert len(set(alike[0, 0])) == 1
        assert len(set(apart[0, 0])) == 3

    @quick
    @given(seeds)
    def test_the_same_generator_gives_the_same_picture_and_order_of_brightness_is_kept(self, seed: int):
        ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
        first, second = (change_colours(np.random.default_rng(seed), ramp, AugmentConfig()) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert (np.diff(first.astype(int), axis=1) >= 0).all()
        assert first.dtype == np.uint8


class TestAddOccluders:
    def test_probability_zero_leaves_the_picture_alone(self):
        image = add_occluders(np.random.default_rng(0), GREY.copy(), AugmentConfig(occluder_probability=0))
        np.testing.assert_array_equal(image, GREY)

    def test_is_as_frequent_as_asked_for(self):
        rng, config = np.random.default_rng(0), AugmentConfig(occluder_probability=0.3)
        noise = rng.integers(0, 256, GREY.shape, dtype=np.uint8)
        changed = np.mean([(add_occluders(rng, noise.copy(), config) != noise).any() for _ in range(400)])
        assert changed == pytest.approx(0.3, abs=0.08)

    @quick
    @given(seeds)
    def test_is_seeded_and_covers_no_more_than_three_shapes(self, seed: int):
        config = AugmentConfig(occluder_probability=1, occluder_size=0.3)
        noise = np.random.default_rng(5).integers(0, 256, GREY.shape, dtype=np.uint8)
        first, second = (add_occluders(np.random.default_rng(seed), noise.copy(), config) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert 0 < (first != noise).any(-1).mean() <= 3 * 0.3**2

    def test_writes_into_the_picture_that_it_returns(self):
        image = GREY.copy()
        assert add_occluders(np.random.default_rng(0), image, AugmentConfig(occluder_probability=1)) is image

    @pytest.mark.parametrize("shape", [(2, 2, 3), (3, 200, 3)])
    def test_tiny_pictures_are_no_trouble(self, shape: tuple[int, int, int]):
        for seed in range(20):
            image = np.zeros(shape, np.uint8)
            add_occluders(np.random.default_rng(seed), image, AugmentConfig(occluder_probability=1))
            assert image.shape == shape


class OnePerson:
    """An index of one stick figure: a blurred dot of its own colour at the labelled joints."""

    def __init__(self, joints: dict[str, tuple[float, float]], colours: dict[str, tuple[int, int, int]]) -> None:
        keypoints = np.full((len(CANONICAL), 2), np.nan, np.float32)
        visibility = np.zeros(len(CANONICAL), np.uint8)
        image = np.zeros((240, 200, 3))
        for joint, point in joints.items():
            keypoints[CANONICAL.index(joint)], visibility[CANONICAL.index(joint)] = point, Visibility.VISIBLE
            image = np.maximum(image, dot_image(np.array(point), 3.0) / 255 * np.array(colours[joint]))
        self.pixels = image.astype(np.uint8)
        self.person = Annotation("one", Path("one.png"), BOX.astype(np.float32), keypoints, visibility)

    def __getitem__(self, row: int) -> Annotation:
        return self.person

    def image(self, row: int) -> NDArray[np.uint8]:
        return self.pixels


# BGR; left and right differ, and only one wrist is labelled.
COLOURS = {"left_knee": (0, 0, 255), "right_knee": (0, 255, 0), "left_wrist": (255, 0, 0), "neck": (255, 255, 0)}
PLACES = {"left_knee": (120.0, 130.5), "right_knee": (80.0, 131.0), "left_wrist": (125.25, 80.0), "neck": (99.0, 60.0)}


def samples_of(config: AugmentConfig, count: int) -> list[dict[str, np.ndarray]]:
    dataset = CropDataset([OnePerson(PLACES, COLOURS)], CANONICAL, (128, 128), config)  # type: ignore[list-item]
    return [dataset[Draw(0, 0, 0, position)] for position in range(count)]


class TestLabels:
    def test_joints_are_on_their_pixels_and_a_flip_renames_sides(self):
        """Turned, scaled, shifted, mirrored: each joint is where its colour is, or where its mirror's was."""
        same_pixels = {"brightness": 0, "contrast": 0, "colour": 0, "occluder_probability": 0}
        config = AugmentConfig(**same_pixels, truncation_probability=0)
        flips = 0
        for sample in samples_of(config, 40):
            mirrored = bool(np.linalg.det(sample["crop"][:, :2]) < 0)
            flips += mirrored
            for joint, colour in COLOURS.items():
                j = CANONICAL.index(mirrored_name(joint) if mirrored else joint)
                assert sample["weight_2d"][j] == 1
                x, y = sample["keypoints"][j].round().astype(int)
                if 0 <= x < 128 and 0 <= y < 128:
                    np.testing.assert_allclose(sample["image"][y, x][::-1], colour, atol=40)
        assert 10 < flips < 30

    def test_an_unlabelled_joint_stays_unlabelled_when_mirrored(self):
        """Defect 5: a flip must not turn a missing point into one."""
        config = AugmentConfig(**{**vars(STILL), "flip_probability": 1})
        (sample,) = samples_of(config, 1)
        # The left wrist is labelled, so after the flip the right one is, and the left is not.
        weights = dict(zip(CANONICAL.names, sample["weight_2d"], strict=True))
        assert (weights["right_wrist"], weights["left_wrist"]) == (1, 0)
        assert not sample["keypoints"][CANONICAL.index("left_wrist")].any()
        assert sum(weights.values()) == len(PLACES)

    def test_occluders_never_change_labels(self):
        """A hidden joint is still labelled, and the crop is the one without occluders."""
        bare = AugmentConfig(occluder_probability=0)
        hidden = AugmentConfig(occluder_probability=1, occluder_size=0.9)
        changed = 0
        for plain, covered in zip(samples_of(bare, 10), samples_of(hidden, 10), strict=True):
            for name in ("keypoints", "weight_2d", "xyz", "weight_3d", "crop"):
                np.testing.assert_array_equal(covered[name], plain[name])
            changed += int((covered["image"] != plain["image"]).any())
        assert changed == 10


class TestDrawnCrops:
    def test_truncation_moves_the_crop_far_in_each_direction(self):
        """Up to 0.35 of the crop's extent, 44.8 px of 128 and 33.6 px of 96, so that joints fall outside."""
        config = AugmentConfig(**{**vars(STILL), "truncation_probability": 1})
        centre = Crop.from_box(BOX, (128, 96)).to_image(np.array([63.5, 47.5]))
        moved = np.abs([crop.to_crop(centre) - [63.5, 47.5] for crop in crops_of(config)]).max(0)
        assert 0.9 * 44.8 < moved[0] <= 44.8
        assert 0.9 * 33.6 < moved[1] <= 33.6

    def test_rotations_and_truncations_are_as_frequent_as_asked_for(self):
        turned = np.mean([degrees_of(crop) != 0 for crop in crops_of(replace(STILL, rotation_probability=0.6))])
        assert turned == pytest.approx(0.6, abs=0.08)
        plain = Crop.from_box(BOX, (128, 96)).scale
        closer = [crop.scale > 1.2 * plain for crop in crops_of(replace(STILL, truncation_probability=0.2))]
        assert np.mean(closer) == pytest.approx(0.2, abs=0.07)


class TestDrawnColours:
    def test_brightness_goes_up_and_down_by_its_range(self):
        """0.1 of 255 is 25.5 grey levels."""
        config = AugmentConfig(brightness=0.1, contrast=0, colour=0)
        change = [int(change_colours(np.random.default_rng(seed), GREY, config)[0, 0, 0]) - 100 for seed in range(200)]
        assert -26 <= min(change) < -22
        assert 22 < max(change) <= 26

    def test_contrast_stretches_about_mid_grey(self):
        """Gains from 0.8 to 1.2: 28 and 228 are 200 apart and come out 160 to 240 apart, 128 stays."""
        config = AugmentConfig(brightness=0, contrast=0.2, colour=0)
        greys = np.array([28, 128, 228], np.uint8).repeat(3).reshape(1, 3, 3)
        changed = [
            change_colours(np.random.default_rng(seed), greys, config)[0, :, 0].astype(int) for seed in range(200)
        ]
        dark, middle, bright = np.array(changed).T
        assert np.abs(middle - 128).max() <= 1
        assert 159 <= (bright - dark).min() < 165
        assert 235 < (bright - dark).max() <= 241


class TestDrawnOccluders:
    def covered(self, seed: int) -> NDArray[np.bool_]:
        config = AugmentConfig(occluder_probability=1, occluder_size=0.3)
        noise = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        return (add_occluders(np.random.default_rng(seed), noise.copy(), config) != noise).any(-1)

    def test_shapes_are_up_to_three_and_lie_anywhere(self):
        """One shape covers 0.3 * 0.3 of the picture at most: more than that are several."""
        masks = np.array([self.covered(seed) for seed in range(300)])
        assert masks.mean((1, 2)).max() > 1.2 * 0.3**2
        assert masks.any(0).mean() > 0.97

    def test_shapes_have_colours_of_their_own(self):
        """On a grey picture a piece of the picture is grey: what differs is filled with a colour."""
        config = AugmentConfig(occluder_probability=1)
        pictures = [add_occluders(np.random.default_rng(seed), GREY.copy(), config) for seed in range(30)]
        colours = {tuple(colour) for picture in pictures for colour in picture.reshape(-1, 3)} - {(100, 100, 100)}
        assert len(colours) > 15
