"""The loader: batches that depend on the seed alone, and labels that lie on the joints of their own picture."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from headstart.augment import AugmentConfig
from headstart.errors import DataError
from headstart.geometry import Camera, Crop
from headstart.index import SCHEMA, AnnotationIndex, schema_of, to_row, write_index
from headstart.loader import (
    CropDataset,
    Data,
    build_eval_loader,
    build_train_loader,
    collate,
    open_mixture,
)
from headstart.records import Annotation, Batch
from headstart.sampling import Draw, MixtureSampler
from headstart.skeleton import BODY_18, BODY_24, CANONICAL, FEET, MPII_16, WITH_FEET, mirrored_name

#: Everything that moves pixels, nothing that changes their colours.
GEOMETRIC = AugmentConfig(brightness=0, contrast=0, colour=0, occluder_probability=0)
STILL = replace(GEOMETRIC, scale=0, rotation_probability=0, flip_probability=0, shift=0, truncation_probability=0)
SIZE = (96, 128)
PELVIS = CANONICAL.index("pelvis")
JOINTS = len(CANONICAL)


def dots(number: int) -> np.ndarray:
    """Joints (22, 2) px of person ``number``: a grid 36 px wide, a fraction aside, in an order of their own."""
    order = np.random.default_rng(number).permutation(25)[:JOINTS]
    return np.stack([28 + 36 * (order % 5) + 0.3, 28 + 36 * (order // 5) - 0.2], 1)


def red_of(number: int | np.ndarray) -> Any:
    """Red of every pixel of a person's picture."""
    return 15 + 12 * number


def blue_of(joint: str) -> int:
    """Blue of a joint's dot."""
    return 5 + 11 * CANONICAL.index(joint)


def draw_dots(number: int) -> np.ndarray:
    """BGR (200, 200, 3): red says whose picture it is, blue of a (green) dot which joint."""
    image = np.zeros((200, 200, 3), np.uint8)
    image[..., 2] = red_of(number)
    rows, columns = np.mgrid[:200, :200]
    for joint, (x, y) in zip(CANONICAL.names, dots(number)):
        image[(columns - x) ** 2 + (rows - y) ** 2 <= 36, :2] = (blue_of(joint), 255)
    return image


def person_of(number: int, root: Path, **changes: Any) -> Annotation:
    """A person whose 2D joints are the 3D ones, 0.1 px per mm, and without a camera."""
    keypoints = dots(number)
    depth = np.random.default_rng(number).uniform(-400, 400, JOINTS)
    xyz = np.concatenate([keypoints * 10, depth[:, None]], 1).astype(np.float32)
    box = np.array([14, 14, 172, 172], np.float32)
    visibility = np.full(JOINTS, 2, np.uint8)
    path = root / f"{number}.png"
    return replace(Annotation(str(number), path, box, keypoints.astype(np.float32), visibility, xyz), **changes)


def index_of(people: list[Annotation], root: Path, pictures: bool = True) -> AnnotationIndex:
    for person in people if pictures else []:
        cv2.imwrite(str(person.image), draw_dots(int(person.key)))
    write_index(root / "people.arrow", (to_row(person, root) for person in people), SCHEMA, {})
    return AnnotationIndex([root / "people.arrow"], root)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> AnnotationIndex:
    root = tmp_path_factory.mktemp("crowd")
    return index_of([person_of(number, root) for number in range(20)], root)


def assert_same_batch(first: Batch, second: Batch) -> None:
    for entry in fields(Batch):
        assert torch.equal(getattr(first, entry.name), getattr(second, entry.name)), entry.name


class TestOpenMixture:
    def rows(self, root: Path, limit: int | None, seed: int) -> Any:
        return open_mixture((Data("lsp_extended", str(root), "all", limit=limit),), seed).rows[0]

    def test_a_limit_chooses_at_random_by_the_seed(self, stick_people_2d: Path):
        chosen = [tuple(self.rows(stick_people_2d, 6, seed).tolist()) for seed in (0, 1, 2, 0)]
        assert all(len(set(rows)) == 6 and set(rows) <= set(range(20)) for rows in chosen)
        assert chosen[0] == chosen[3]
        assert len(set(chosen)) == 3
        assert tuple(range(6)) not in chosen

    def test_a_smaller_limit_is_part_of_a_larger_one(self, stick_people_2d: Path):
        assert set(self.rows(stick_people_2d, 4, 0)) < set(self.rows(stick_people_2d, 9, 0))

    @pytest.mark.parametrize("limit", [None, 20, 1000])
    def test_no_limit_uses_everybody(self, stick_people_2d: Path, limit: int | None):
        mixture = open_mixture((Data("lsp_extended", str(stick_people_2d), "all", limit=limit),), 0)
        assert (mixture.rows, mixture.sizes) == ([None], [20])

    def test_sizes_are_those_in_use(self, stick_people_2d: Path):
        data = Data("lsp_extended", str(stick_people_2d), "all")
        assert open_mixture((replace(data, limit=6), data), 0).sizes == [6, 20]


class TestLabelsOnPictures:
    def test_image_and_label_are_of_one_person_after_shuffling(self, crowd: AnnotationIndex):
        dataset = CropDataset([crowd, crowd], CANONICAL, SIZE, GEOMETRIC)
        sampler = MixtureSampler([20, 20], [1.0, 2.0], 8, 3)
        rows = []
        for batch in islice(build_train_loader(dataset, sampler, 0), 8):
            reds = batch.image[:, 0].flatten(1).amax(1)
            assert torch.equal(reds, red_of(batch.row).to(torch.uint8))
            for number, row in enumerate(batch.row.tolist()):
                crop = Crop(batch.crop[number].numpy(), SIZE)
                points = crop.to_crop(crowd[row].keypoints)
                points = points[list(CANONICAL.flip_index)] if crop.mirrored else points
                np.testing.assert_allclose(batch.keypoints[number], points, atol=1e-3)
            rows += batch.row.tolist()
        assert rows != sorted(rows)
        assert set(rows) == set(range(20))

    @pytest.mark.parametrize("skeleton", [CANONICAL, MPII_16, BODY_18], ids=lambda skeleton: skeleton.name)
    def test_points_lie_on_the_dots_and_a_flip_renames_the_sides(self, crowd: AnnotationIndex, skeleton: Any):
        dataset = CropDataset([crowd], skeleton, SIZE, GEOMETRIC)
        inside, flips = 0, 0
        for position in range(80):
            sample = dataset[Draw(0, position % 20, 0, position)]
            flipped = np.linalg.det(sample["crop"][:, :2]) < 0
            flips += flipped
            for joint, point in zip(skeleton.names, sample["keypoints"]):
                x, y = np.round(point).astype(int)
                if 0 <= x < SIZE[0] and 0 <= y < SIZE[1]:
                    drawn = mirrored_name(joint) if flipped else joint
                    assert sample["image"][y, x].tolist() == [red_of(position % 20), 255, blue_of(drawn)], joint
                    inside += 1
        assert 20 < flips < 60
        assert inside > 0.8 * 80 * len(skeleton)

    def test_without_augmentation_nothing_moves(self, crowd: AnnotationIndex):
        samples = [CropDataset([crowd], CANONICAL, SIZE, None, seed)[Draw(0, 4, seed, 9 + seed)] for seed in (0, 1)]
        for name, value in samples[0].items():
            np.testing.assert_array_equal(value, samples[1][name])
        np.testing.assert_array_equal(samples[0]["crop"], Crop.from_box(crowd[4].bbox_xywh, SIZE).matrix)

    def test_augmentation_follows_seed_epoch_and_position_only(self, crowd: AnnotationIndex):
        def sample(seed: int, *draw: int) -> bytes:
            return CropDataset([crowd], CANONICAL, SIZE, AugmentConfig(), seed)[Draw(0, 4, *draw)]["image"].tobytes()

        assert sample(0, 1, 2) == sample(0, 1, 2)
        assert len({sample(0, 1, 2), sample(1, 1, 2), sample(0, 2, 2), sample(0, 1, 3)}) == 4

    @pytest.mark.parametrize(
        "change", [{"brightness": 0.3}, {"contrast": 0.3}, {"colour": 0.3}, {"occluder_probability": 1}]
    )
    def test_colours_and_occluders_reach_the_picture(self, crowd: AnnotationIndex, change: dict[str, float]):
        plain, changed = (CropDataset([crowd], BODY_18, SIZE, config) for config in (STILL, replace(STILL, **change)))
        for position in range(5):
            draw = Draw(0, 3, 0, position)
            assert (changed[draw]["image"] != plain[draw]["image"]).any()

    def test_unlabelled_joints_have_weight_zero_and_no_place(self, tmp_path: Path):
        person = person_of(0, tmp_path)
        person.visibility[[0, 7]] = (0, 1)
        person.keypoints[0] = np.nan
        dataset = CropDataset([index_of([person], tmp_path)], CANONICAL, SIZE, replace(STILL, flip_probability=1))
        sample = dataset[Draw(0, 0, 0, 0)]
        missing = CANONICAL.index(mirrored_name(CANONICAL.names[0]))
        assert np.flatnonzero(sample["weight_2d"] == 0).tolist() == [missing]
        assert sample["weight_2d"].sum() == JOINTS - 1, "an occluded joint counts"
        assert sample["keypoints"][missing].tolist() == [0, 0]
        assert np.isfinite(sample["keypoints"]).all()


class Test3d:
    def test_2d_is_the_3d_seen_from_afar_however_the_crop_is_turned(self, crowd: AnnotationIndex):
        dataset = CropDataset([crowd], CANONICAL, SIZE, GEOMETRIC)
        for position in range(40):
            sample = dataset[Draw(0, position % 20, 1, position)]
            np.testing.assert_array_equal(sample["xyz"][PELVIS], [0, 0, 0])
            seen = sample["keypoints"][PELVIS] + sample["xyz"][:, :2] * sample["pixels_per_mm"]
            np.testing.assert_allclose(seen, sample["keypoints"], atol=2e-3)

    def test_a_mirrored_person_has_x_negated_and_sides_renamed(self, crowd: AnnotationIndex):
        draw = Draw(0, 2, 0, 0)
        plain = CropDataset([crowd], BODY_18, SIZE, STILL)[draw]
        mirrored = CropDataset([crowd], BODY_18, SIZE, replace(STILL, flip_probability=1))[draw]
        expected = plain["xyz"][list(BODY_18.flip_index)] * (-1, 1, 1)
        np.testing.assert_allclose(mirrored["xyz"], expected, atol=1e-3)
        np.testing.assert_allclose(
            mirrored["keypoints"][:, 0], 95 - plain["keypoints"][list(BODY_18.flip_index), 0], atol=1e-4
        )
        np.testing.assert_array_equal(mirrored["image"], plain["image"][:, ::-1])

    def test_3d_can_be_hidden(self, crowd: AnnotationIndex):
        dataset = CropDataset([crowd, crowd], CANONICAL, SIZE, use_3d=[True, False])
        shown, hidden = (dataset[Draw(number, 0, 0, 0)] for number in (0, 1))
        assert (shown["weight_3d"].sum(), hidden["weight_3d"].sum()) == (JOINTS, 0)
        assert (float(hidden["pixels_per_mm"]), np.abs(hidden["xyz"]).max()) == (0, 0)
        np.testing.assert_array_equal(hidden["keypoints"], shown["keypoints"])

    def test_unknown_3d_joints_have_weight_zero(self, tmp_path: Path):
        person = person_of(0, tmp_path)
        person.camera_xyz[CANONICAL.index("left_knee"), 1] = np.nan
        index = index_of([person], tmp_path)
        for config, joint in ((STILL, "left_knee"), (replace(STILL, flip_probability=1), "right_knee")):
            sample = CropDataset([index], CANONICAL, SIZE, config)[Draw(0, 0, 0, 0)]
            assert np.flatnonzero(sample["weight_3d"] == 0).tolist() == [CANONICAL.index(joint)]
            assert sample["xyz"][CANONICAL.index(joint)].tolist() == [0, 0, 0]

    def test_without_a_pelvis_there_is_no_3d(self, tmp_path: Path):
        person = person_of(0, tmp_path)
        person.camera_xyz[PELVIS] = np.nan
        sample = CropDataset([index_of([person], tmp_path)], CANONICAL, SIZE)[Draw(0, 0, 0, 0)]
        assert (sample["weight_3d"].sum(), float(sample["pixels_per_mm"])) == (0, 0)

    def test_with_a_camera_the_scale_is_focal_length_over_depth(self, tmp_path: Path):
        person = person_of(0, tmp_path, camera=Camera(1000, 1100, 64, 64))
        person.camera_xyz[:, 2] += 5000 - person.camera_xyz[PELVIS, 2]
        sample = CropDataset([index_of([person], tmp_path)], CANONICAL, SIZE)[Draw(0, 0, 0, 0)]
        # The box is 172 px, 1.25 times that fills the 96 px of the crop's smaller side.
        assert float(sample["pixels_per_mm"]) == pytest.approx(0.21 * 96 / (172 * 1.25))

    @pytest.mark.parametrize("depth", [0, -5000])
    def test_who_is_not_in_front_of_the_camera_has_no_3d(self, tmp_path: Path, depth: float):
        """Zeros stand for missing labels in many files: the scale was divided by them."""
        person = person_of(0, tmp_path, camera=Camera(1000, 1100, 64, 64))
        person.camera_xyz[:, 2] += depth - person.camera_xyz[PELVIS, 2]
        sample = CropDataset([index_of([person], tmp_path)], CANONICAL, SIZE)[Draw(0, 0, 0, 0)]
        assert (sample["weight_2d"].sum(), sample["weight_3d"].sum()) == (JOINTS, 0)
        assert float(sample["pixels_per_mm"]) == 0


class TestLoaders:
    def test_any_number_of_workers_gives_the_same_batches(self, crowd: AnnotationIndex):
        dataset = CropDataset([crowd], BODY_18, SIZE, AugmentConfig())
        streams = []
        for workers in (0, 1, 2):
            loader = build_train_loader(dataset, MixtureSampler([20], [1.0], 6, 5), workers)
            streams.append(list(islice(loader, 5)))
        for batches in streams[1:]:
            for first, second in zip(streams[0], batches, strict=True):
                assert_same_batch(first, second)

    def test_workers_do_not_repeat_each_others_augmentation(self, tmp_path: Path):
        index = index_of([person_of(0, tmp_path)], tmp_path)
        dataset = CropDataset([index], BODY_18, SIZE, AugmentConfig())
        loader = build_train_loader(dataset, MixtureSampler([1], [1.0], 4, 0), 2)
        crops = {crop.numpy().tobytes() for batch in islice(loader, 6) for crop in batch.crop}
        assert len(crops) == 24

    def test_the_loader_leaves_torchs_random_state_alone(self, crowd: AnnotationIndex):
        before = torch.get_rng_state()
        loader = build_train_loader(CropDataset([crowd], BODY_18, SIZE), MixtureSampler([20], [1.0], 4, 0), 0)
        next(iter(loader))
        assert torch.equal(torch.get_rng_state(), before)

    def test_evaluation_takes_each_row_once_in_order(self, crowd: AnnotationIndex):
        rows = np.array([7, 3, 12, 0, 5])
        batches = list(build_eval_loader(CropDataset([crowd], BODY_18, SIZE), rows, 2, 0))
        assert [batch.row.tolist() for batch in batches] == [[7, 3], [12, 0], [5]]

    def test_images_are_rgb_bytes_in_channels_last_memory(self, crowd: AnnotationIndex):
        batch = collate([CropDataset([crowd], BODY_18, SIZE)[Draw(0, row, 0, 0)] for row in (1, 2)])
        assert (batch.image.dtype, tuple(batch.image.shape)) == (torch.uint8, (2, 3, 128, 96))
        assert batch.image.is_contiguous(memory_format=torch.channels_last)
        shapes = {entry.name: tuple(getattr(batch, entry.name).shape) for entry in fields(Batch)}
        assert shapes == {
            "image": (2, 3, 128, 96),
            "keypoints": (2, 18, 2),
            "weight_2d": (2, 18),
            "xyz": (2, 18, 3),
            "weight_3d": (2, 18),
            "pixels_per_mm": (2,),
            "crop": (2, 2, 3),
            "row": (2,),
            "dataset": (2,),
            "readable": (2,),
        }

    def test_an_unreadable_picture_counts_nothing(self, tmp_path: Path):
        people = [person_of(number, tmp_path) for number in range(2)]
        index = index_of(people, tmp_path)
        people[1].image.write_bytes(people[1].image.read_bytes()[:100])
        dataset = CropDataset([index], BODY_18, SIZE)
        batch = collate([dataset[Draw(0, row, 0, 0)] for row in (0, 1)])
        assert batch.readable.tolist() == [True, False]
        assert batch.weight_2d.sum(1).tolist() == batch.weight_3d.sum(1).tolist() == [18, 0]
        assert (batch.image[1] == 128).all()
        assert batch.row.tolist() == [0, 1]


def test_a_data_set_without_a_joint_in_its_pictures_is_refused(index_2d: AnnotationIndex, tmp_path: Path) -> None:
    """Human3.6M as the challenge gave it has 3D alone: every loss would be 0, for ever."""
    nothing = np.zeros(len(CANONICAL), np.uint8)
    people = (replace(index_2d[row], visibility=nothing) for row in range(3))
    write_index(tmp_path / "a.arrow", (to_row(one, index_2d.root) for one in people), SCHEMA, {})
    (tmp_path / "pack.json").write_text('{"shards": ["a.arrow"]}')
    with pytest.raises(DataError, match="joints labelled in the images of lsp_extended, found none among 3 people"):
        open_mixture((Data("lsp_extended", str(tmp_path), "all"),), 0)


class TestFeet:
    """Two people: one labelled with feet at (10 + j, 90), in 3D at (100 j, 0, 0), and one of a data set without."""

    @pytest.fixture
    def indexes(self, tmp_path: Path) -> list[AnnotationIndex]:
        person = person_of(0, tmp_path).with_feet()
        person.keypoints[22:] = [(10 + joint, 90) for joint in range(6)]
        person.visibility[22:] = 2
        assert person.camera_xyz is not None
        person.camera_xyz[22:] = [(100 * joint, 0, 0) for joint in range(6)]
        (tmp_path / "other").mkdir()
        other = index_of([person_of(1, tmp_path / "other")], tmp_path / "other")
        cv2.imwrite(str(person.image), draw_dots(0))
        write_index(tmp_path / "feet.arrow", [to_row(person, tmp_path)], schema_of(WITH_FEET), {})
        return [AnnotationIndex([tmp_path / "feet.arrow"], tmp_path), other]

    def sample(
        self, indexes: list[AnnotationIndex], dataset: int, config: AugmentConfig | None = None, skeleton=BODY_24
    ):
        return CropDataset(indexes, skeleton, (100, 100), config)[Draw(dataset, 0, 0, 0)]

    def test_a_mirrored_person_has_the_other_foot(self, indexes: list[AnnotationIndex]):
        """In the mirror the left toe is a right one, as far from the right edge as it was from the left."""
        plain, mirrored = (self.sample(indexes, 0, replace(STILL, flip_probability=p)) for p in (0.0, 1.0))
        for joint, name in enumerate(BODY_24.names):
            other = BODY_24.index(mirrored_name(name))
            x, y = plain["keypoints"][joint]
            np.testing.assert_allclose(mirrored["keypoints"][other], (99 - x, y), atol=1e-4)
            np.testing.assert_allclose(mirrored["xyz"][other], plain["xyz"][joint] * [-1, 1, 1], atol=1e-4)
        left, right = BODY_24.indices(("left_small_toe", "right_small_toe"))
        assert plain["keypoints"][left, 0] != plain["keypoints"][right, 0]

    def test_places_are_those_of_the_labels(self, indexes: list[AnnotationIndex]):
        sample = self.sample(indexes, 0)
        crop = Crop(sample["crop"], (100, 100))
        wanted = crop.to_crop(np.array([(10 + joint, 90) for joint in range(6)], float))
        np.testing.assert_allclose(sample["keypoints"][18:], wanted, atol=1e-4)
        assert sample["weight_2d"].tolist() == [1] * 24
        assert sample["weight_3d"].tolist() == [1] * 24
        pelvis = indexes[0][0].camera_xyz[PELVIS]  # type: ignore[index]
        np.testing.assert_allclose(sample["xyz"][18:], np.outer(100 * np.arange(6), [1, 0, 0]) - pelvis, atol=1e-3)

    def test_people_of_a_data_set_without_feet_have_no_labels_there(self, indexes: list[AnnotationIndex]):
        sample = self.sample(indexes, 1)
        for name in ("weight_2d", "weight_3d"):
            assert sample[name].tolist() == [1] * 18 + [0] * 6
        assert (sample["keypoints"][18:] == 0).all()
        assert (sample["xyz"][18:] == 0).all()

    def test_a_model_without_feet_sees_no_difference(self, indexes: list[AnnotationIndex], tmp_path: Path):
        plain = index_of([person_of(0, tmp_path)], tmp_path)
        ours, theirs = self.sample(indexes, 0, STILL, BODY_18), self.sample([plain], 0, STILL, BODY_18)
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values, err_msg=name)

    def test_without_3d_labels_too(self, indexes: list[AnnotationIndex]):
        dataset = CropDataset(indexes, BODY_24, (100, 100), use_3d=[False, False])
        assert not dataset[Draw(0, 0, 0, 0)]["weight_3d"].any()
        assert len(FEET) == len(BODY_24) - len(BODY_18)


class TestCutImages:
    def test_joints_follow_pixels_and_those_that_are_gone_stay_labelled(self, crowd: AnnotationIndex):
        """Each joint is a dot in the crop where its label is; or that place is hidden, or outside."""
        dataset = CropDataset([crowd], CANONICAL, SIZE, replace(STILL, cut_probability=1.0), seed=0)
        (width, height), seen, hidden, outside = SIZE, 0, 0, 0
        for position in range(20):
            sample = dataset[Draw(0, position, 0, position)]
            assert (sample["weight_2d"] == 1).all()
            for x, y in sample["keypoints"].round().astype(int):
                if 0 <= x < width and 0 <= y < height:
                    is_dot = sample["image"][y, x, 1] > 150
                    seen, hidden = seen + int(is_dot), hidden + int(not is_dot)
                else:
                    outside += 1
        assert seen > 20 * JOINTS / 3
        assert min(hidden, outside) > 10
