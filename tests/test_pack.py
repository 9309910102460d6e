"""Packing: a packed person is the same person in a smaller picture, and a killed pack goes on where it stopped."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import cv2
import numpy as np
import pytest

from headstart.augment import AugmentConfig
from headstart.errors import ConfigError, DataError
from headstart.geometry import Camera, Crop
from headstart.images import decode_image, encode_image
from headstart.index import SCHEMA, AnnotationIndex, open_index, open_packed, to_row, write_index
from headstart.loader import CropDataset
from headstart.pack import PackConfig, claim, pack, packed_person
from headstart.records import Annotation
from headstart.sampling import Draw
from headstart.skeleton import BODY_18, CANONICAL

JOINTS = len(CANONICAL)
SOURCE = {"dataset": "none", "split": "all"}
LENS = Camera(410.0, 400.0, 190.0, 160.0, (-0.2, 0.1, 0.001, -0.002, 0.02))


def photo(width: int = 400, height: int = 300) -> np.ndarray:
    """A smooth picture (300, 400, 3) in which every place looks different."""
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    waves = [
        np.sin(columns / 19 + rows / 31),
        np.cos(columns / 23 - rows / 17),
        np.sin(rows / 29) * np.cos(columns / 13),
    ]
    return (127.5 + 120 * np.stack(waves, 2)).astype(np.uint8)


def person_of(number: int, image: Path, **changes: Any) -> Annotation:
    """A person in a 50 x 100 px box at (100, 80), one joint not labelled."""
    rng = np.random.default_rng(number)
    keypoints = (np.array([100, 80]) + rng.uniform(0, 1, (JOINTS, 2)) * (50, 100)).astype(np.float32)
    keypoints[3] = np.nan
    visibility = np.full(JOINTS, 2, np.uint8)
    visibility[[3, 5]] = (0, 1)
    box = np.array([100, 80, 50, 100], np.float32)
    return replace(Annotation(f"p{number}", image, box, keypoints, visibility, head_size=20.0), **changes)


def person_in_3d(number: int, image: Path) -> Annotation:
    """A person whose 2D joints are the 3D ones seen through a lens with distortion."""
    xyz = np.random.default_rng(number).uniform((-800, -800, 3600), (200, 900, 4400), (JOINTS, 3)).astype(np.float32)
    keypoints = LENS.project(xyz).astype(np.float32)
    box = np.concatenate([keypoints.min(0), np.ptp(keypoints, axis=0)])
    visible = np.full(JOINTS, 2, np.uint8)
    return person_of(number, image, keypoints=keypoints, bbox_xywh=box, visibility=visible, camera_xyz=xyz, camera=LENS)


def index_of(people: list[Annotation], root: Path) -> AnnotationIndex:
    write_index(root / "people.arrow", (to_row(person, root) for person in people), SCHEMA, {})
    return AnnotationIndex([root / "people.arrow"], root)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "photo.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), photo())
    return path


@pytest.fixture
def crowd(image: Path) -> AnnotationIndex:
    """Ten people of one picture."""
    return index_of([person_in_3d(number, image) for number in range(10)], image.parent)


@pytest.fixture
def many(image: Path) -> AnnotationIndex:
    """150 people, of whom p7 has a picture of their own that cannot be read."""
    bad = image.with_name("bad.png")
    bad.write_bytes(b"no picture")
    people = [person_of(number, bad if number == 7 else image) for number in range(150)]
    return index_of(people, image.parent)


class TestPackedPerson:
    def test_a_cut_is_a_shift_by_whole_pixels(self, image: Path):
        # Half of 1.6 x 100 px around the centre (125, 130).
        moved, picture = packed_person(person_of(0, image), PackConfig())
        np.testing.assert_array_equal(picture, photo()[50:210, 45:205])
        np.testing.assert_allclose(moved.keypoints, person_of(0, image).keypoints - (45, 50), atol=1e-4)
        np.testing.assert_allclose(moved.bbox_xywh, [55, 30, 50, 100])
        assert moved.head_size == 20
        assert moved.camera is None

    def test_a_reduction_keeps_pixel_centres(self, image: Path):
        # 50 px for the padded box of 125: 0.4 times, 160 px to 64.
        moved, picture = packed_person(person_of(0, image), PackConfig(size=50))
        expected = (person_of(0, image).keypoints + 0.5 - (45, 50)) * 0.4 - 0.5
        assert picture.shape == (64, 64, 3)
        np.testing.assert_allclose(moved.keypoints, expected, atol=1e-4)
        np.testing.assert_allclose(moved.bbox_xywh, [22, 12, 20, 40], atol=1e-4)
        assert moved.head_size == pytest.approx(8)

    def test_a_reduced_picture_shows_what_its_labels_say(self, image: Path):
        """The brightest place of a blob stays where the label of its centre goes."""
        rows, columns = np.mgrid[:300, :400]
        blob = 255 * np.exp(-((columns - 120.3) ** 2 + (rows - 140.6) ** 2) / 72)
        cv2.imwrite(str(image), np.repeat(blob.round().astype(np.uint8)[..., None], 3, 2))
        person = person_of(0, image)
        person.keypoints[0] = (120.3, 140.6)
        moved, picture = packed_person(person, PackConfig(size=50))
        weight = picture[..., 0].astype(float)
        rows, columns = np.mgrid[:64, :64]
        centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        np.testing.assert_allclose(moved.keypoints[0], centre, atol=0.03)

    @pytest.mark.parametrize("size", [41, 90])
    def test_labels_follow_a_picture_whose_size_was_rounded(self, image: Path, size: int):
        """160 px times 41 / 125 are 52.48, stored as 52: a fifth of a pixel at the blob, 100 px from the corner."""
        rows, columns = np.mgrid[:300, :400]
        blob = 255 * np.exp(-((columns - 150.3) ** 2 + (rows - 160.6) ** 2) / 72)
        cv2.imwrite(str(image), np.repeat(blob.round().astype(np.uint8)[..., None], 3, 2))
        person = person_of(0, image)
        person.keypoints[0] = (150.3, 160.6)
        moved, picture = packed_person(person, PackConfig(size=size))
        weight = picture[..., 0].astype(float)
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
        centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        np.testing.assert_allclose(moved.keypoints[0], centre, atol=0.04)

    def test_at_the_border_only_what_is_there_is_stored(self, image: Path):
        person = person_of(0, image, bbox_xywh=np.array([-20, 250, 60, 100], np.float32))
        moved, picture = packed_person(person, PackConfig())
        # x from 10 - 80 to 10 + 80, y from 300 - 80 on; the picture is 400 x 300.
        np.testing.assert_array_equal(picture, photo()[220:, :90])
        np.testing.assert_allclose(moved.bbox_xywh, [-20, 30, 60, 100])

    def test_a_box_outside_the_picture_still_gives_a_pixel(self, image: Path):
        person = person_of(0, image, bbox_xywh=np.array([900, 900, 10, 10], np.float32))
        _, picture = packed_person(person, PackConfig())
        assert picture.shape == (1, 1, 3)

    @pytest.mark.parametrize("size", [125, 126, 256, 4000])
    def test_nothing_is_ever_enlarged(self, image: Path, size: int):
        moved, picture = packed_person(person_of(0, image), PackConfig(size=size))
        assert picture.shape == (160, 160, 3)
        np.testing.assert_allclose(moved.bbox_xywh[2:], [50, 100])

    @pytest.mark.parametrize("size", [256, 90, 41])
    @pytest.mark.parametrize("number", range(4))
    def test_the_packed_camera_sees_the_packed_joints(self, image: Path, number: int, size: int):
        moved, picture = packed_person(person_in_3d(number, image), PackConfig(size=size))
        np.testing.assert_allclose(moved.camera.project(moved.camera_xyz), moved.keypoints, atol=1e-3)
        assert max(picture.shape) <= max(1.6 * size / 1.25 + 2, 160) * 1.1

    def test_everything_else_stays(self, image: Path):
        person = replace(person_in_3d(1, image), subject="S1", action="eats", sequence="a", frame=-1)
        moved, _ = packed_person(person, PackConfig(size=60))
        for name in ("key", "subject", "action", "sequence", "frame"):
            assert getattr(moved, name) == getattr(person, name)
        np.testing.assert_array_equal(moved.visibility, person.visibility)
        np.testing.assert_array_equal(moved.camera_xyz, person.camera_xyz)
        assert moved.camera.distortion == LENS.distortion


class TestCropsOfPackedPeople:
    def test_lossless_and_not_reduced_is_equal_inside(self, image: Path):
        person = person_of(0, image)
        moved, picture = packed_person(person, PackConfig(quality=0))
        stored = decode_image(encode_image(picture, 0), "stored")
        crops = [Crop.from_box(one.bbox_xywh, (128, 128)) for one in (person, moved)]
        np.testing.assert_array_equal(crops[1].warp(stored), crops[0].warp(photo()))

    @pytest.mark.parametrize(("quality", "size", "limit"), [(0, 64, 1.5), (92, 256, 1.5), (92, 64, 2.5)])
    def test_reduced_or_jpeg_looks_the_same(self, image: Path, quality: int, size: int, limit: float):
        person = person_of(0, image)
        moved, picture = packed_person(person, PackConfig(quality=quality, size=size))
        stored = decode_image(encode_image(picture, quality), "stored")
        first, second = (
            Crop.from_box(one.bbox_xywh, (64, 64)).warp(pixels).astype(float)
            for one, pixels in ((person, photo()), (moved, stored))
        )
        assert np.abs(first - second).mean() < limit
        assert np.abs(first[:, 1:] - second[:, :-1]).mean() > 2 * limit, "a shift by one pixel would be seen"

    def test_training_gets_the_same_points_from_a_pack(self, crowd: AnnotationIndex, tmp_path: Path):
        pack(crowd, tmp_path / "out", PackConfig(quality=0), source=SOURCE)
        indexes = (crowd, open_packed(tmp_path / "out"))
        plain, packed = (CropDataset([index], BODY_18, (128, 128), AugmentConfig()) for index in indexes)
        for row in range(10):
            first, second = plain[Draw(0, row, 0, row)], packed[Draw(0, row, 0, row)]
            for name in ("keypoints", "weight_2d", "xyz", "weight_3d", "pixels_per_mm", "readable"):
                np.testing.assert_allclose(second[name], first[name], rtol=1e-5, atol=2e-3, err_msg=name)


class TestPack:
    def test_labels_and_pictures_come_back(self, crowd: AnnotationIndex, tmp_path: Path):
        config = PackConfig(size=70, quality=0, rows_per_shard=4)
        steps: list[int] = []
        manifest = pack(crowd, tmp_path / "out", config, source=SOURCE, on_progress=steps.append)
        assert steps == [4, 8, 10]
        assert manifest == json.loads((tmp_path / "out" / "pack.json").read_text())
        assert manifest["shards"] == [f"shard-0000{number}.arrow" for number in range(3)]
        assert (manifest["dataset"], manifest["people"], manifest["unreadable"]) == ("none", 10, [])
        packed = open_packed(tmp_path / "out")
        assert len(packed) == 10
        for row, found in enumerate(packed):
            expected, picture = packed_person(crowd[row], config)
            assert found.key == expected.key
            np.testing.assert_array_equal(found.keypoints, expected.keypoints)
            np.testing.assert_array_equal(found.bbox_xywh, expected.bbox_xywh)
            np.testing.assert_array_equal(found.camera_xyz, expected.camera_xyz)
            np.testing.assert_array_equal(found.camera.matrix, expected.camera.matrix)
            assert found.head_size == pytest.approx(expected.head_size)
            np.testing.assert_array_equal(decode_image(packed.content(row), found.key), picture)

    def test_a_real_adapter_end_to_end(self, stick_people_2d: Path, tmp_path: Path):
        index = open_index("lsp_extended", stick_people_2d, "all")
        folder = tmp_path / "lsp_extended-all"
        pack(index, folder, PackConfig(), source={"dataset": "lsp_extended", "split": "all"})
        for place in (tmp_path, folder):
            packed = open_index("lsp_extended", place, "all")
            assert packed.column("key").tolist() == index.column("key").tolist()
            np.testing.assert_array_equal(packed.column("visibility"), index.column("visibility"))

    def test_any_number_of_workers_writes_the_same_bytes(self, crowd: AnnotationIndex, tmp_path: Path):
        config = PackConfig(rows_per_shard=6)
        for workers in (1, 2):
            pack(crowd, tmp_path / f"{workers}", config, source=SOURCE, workers=workers)
        names = sorted(path.name for path in (tmp_path / "1").iterdir())
        assert names == ["pack.json", "settings.json", "shard-00000.arrow", "shard-00001.arrow"]
        for name in names:
            assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()

    def test_a_killed_pack_goes_on(self, crowd: AnnotationIndex, tmp_path: Path):
        out, config = tmp_path / "out", PackConfig(rows_per_shard=4)
        pack(crowd, out, config, source=SOURCE)
        before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
        (out / "shard-00002.arrow").unlink()
        (out / "pack.json").unlink()
        with pytest.raises(DataError, match=r"pack\.json"):
            open_packed(out)
        pack(crowd, out, config, source=SOURCE)
        for name, (content, written) in before.items():
            assert (out / name).read_bytes() == content
            assert ((out / name).stat().st_mtime_ns == written) == (name in ("shard-00000.arrow", "shard-00001.arrow"))

    @pytest.mark.parametrize(
        ("config", "source"),
        [(PackConfig(size=128), SOURCE), (PackConfig(quality=0), SOURCE), (PackConfig(), {**SOURCE, "split": "test"})],
    )
    def test_other_settings_need_another_folder(
        self, crowd: AnnotationIndex, tmp_path: Path, config: PackConfig, source: dict[str, Any]
    ):
        pack(crowd, tmp_path / "out", PackConfig(), source=SOURCE)
        before = (tmp_path / "out" / "shard-00000.arrow").read_bytes()
        with pytest.raises(DataError, match=r"settings\.json: expected a folder with \w+ \w+, found \w+ \w+\. Choose"):
            pack(crowd, tmp_path / "out", config, source=source)
        assert (tmp_path / "out" / "shard-00000.arrow").read_bytes() == before

    def test_of_several_that_begin_at_once_one_wins(self, tmp_path: Path):
        """Known defect: all of them wrote what they wanted, and filled one folder with pictures of several seeds."""
        start = Barrier(8)

        def begin(seed: int) -> bool:
            start.wait()
            try:
                claim(tmp_path / "settings.json", {"seed": seed})
            except DataError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = [seed for seed, first in enumerate(pool.map(begin, range(8))) if first]
        assert json.loads((tmp_path / "settings.json").read_text()) == {"seed": won[0]}
        assert len(won) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]

    def test_what_is_packed_is_not_packed_again(self, crowd: AnnotationIndex, tmp_path: Path):
        pack(crowd, tmp_path / "once", PackConfig(), source=SOURCE)
        with pytest.raises(DataError, match="found a folder that is packed already"):
            pack(open_packed(tmp_path / "once"), tmp_path / "twice", PackConfig(), source=SOURCE)

    @pytest.mark.parametrize("wrong", [{"size": 0}, {"margin": 0.5}, {"margin": math.nan}, {"quality": 101}])
    def test_settings_that_cannot_be(self, wrong: dict[str, Any]):
        with pytest.raises(ConfigError, match="size, margin and quality: expected at least 32 px"):
            PackConfig(**wrong)

    def test_shards_without_rows(self):
        with pytest.raises(ConfigError, match="rows_per_shard: expected at least 1, got 0"):
            PackConfig(rows_per_shard=0)

    def test_a_folder_begun_by_an_earlier_version_is_gone_on_with(self, crowd: AnnotationIndex, tmp_path: Path):
        """Which did not write down whose labels it holds."""
        pack(crowd, tmp_path / "out", PackConfig(), source=SOURCE)
        settings = tmp_path / "out" / "settings.json"
        before = json.loads(settings.read_text())
        settings.write_text(json.dumps({name: value for name, value in before.items() if name != "labels"}))
        pack(crowd, tmp_path / "out", PackConfig(), source=SOURCE)
        assert json.loads(settings.read_text()) == before

    def test_one_whose_labels_an_earlier_version_digested_in_its_own_way_is_gone_on_with(
        self, crowd: AnnotationIndex, tmp_path: Path
    ):
        pack(crowd, tmp_path / "out", PackConfig(), source=SOURCE)
        settings = tmp_path / "out" / "settings.json"
        before = json.loads(settings.read_text())
        settings.write_text(json.dumps({**before, "labels": "0123456789abcdef"}))
        pack(crowd, tmp_path / "out", PackConfig(), source=SOURCE)
        assert json.loads(settings.read_text()) == before
        settings.write_text(json.dumps({**before, "labels": "0123456789abcdef", "size": 1}))
        with pytest.raises(DataError, match=r"settings\.json.*Choose another --out"):
            pack(crowd, tmp_path / "out", PackConfig(), source=SOURCE)

    def test_other_labels_need_another_folder(self, crowd: AnnotationIndex, tmp_path: Path):
        """Shards that are there would stay as they are, with the labels of before."""
        pack(crowd, tmp_path / "out", PackConfig(), source=SOURCE)
        people = [crowd[row] for row in range(len(crowd))]
        moved = [replace(people[0], keypoints=people[0].keypoints + 1), *people[1:]]
        file = tmp_path / "corrected.arrow"
        write_index(file, (to_row(person, crowd.root) for person in moved), SCHEMA, {})
        with pytest.raises(DataError, match=r"settings\.json.*Choose another --out"):
            pack(AnnotationIndex([file], crowd.root), tmp_path / "out", PackConfig(), source=SOURCE)

    @pytest.mark.parametrize("content", [b"", b'{"size": 25', b"\xff\xfe\x00", b"3"])
    def test_settings_that_cannot_be_read_are_named(self, crowd: AnnotationIndex, tmp_path: Path, content: bytes):
        settings = tmp_path / "settings.json"
        settings.write_bytes(content)
        with pytest.raises(
            DataError, match=r"settings\.json: expected the settings .* in JSON, found .*Remove it"
        ) as error:
            pack(crowd, tmp_path, PackConfig(), source=SOURCE)
        assert "\n" not in str(error.value)
        assert settings.read_bytes() == content


class TestUnreadable:
    CONFIG = PackConfig(rows_per_shard=60, size=32)

    def test_one_of_many_is_left_out_and_named(self, many: AnnotationIndex, tmp_path: Path):
        manifest = pack(many, tmp_path / "out", self.CONFIG, source=SOURCE)
        assert len(manifest["unreadable"]) == 1
        assert manifest["unreadable"][0].startswith("p7: ")
        assert "bad.png" in manifest["unreadable"][0]
        keys = open_packed(tmp_path / "out").column("key").tolist()
        assert keys == [f"p{number}" for number in range(150) if number != 7]

    def test_a_resumed_pack_still_names_them(self, many: AnnotationIndex, tmp_path: Path):
        out = tmp_path / "out"
        whole = pack(many, out, self.CONFIG, source=SOURCE)
        first = (out / "shard-00000.arrow").stat().st_mtime_ns
        (out / "shard-00002.arrow").unlink()
        (out / "pack.json").unlink()
        assert pack(many, out, self.CONFIG, source=SOURCE) == whole
        assert (out / "shard-00000.arrow").stat().st_mtime_ns == first

    def test_a_repaired_picture_gets_in(self, many: AnnotationIndex, tmp_path: Path):
        out = tmp_path / "out"
        pack(many, out, self.CONFIG, source=SOURCE)
        later = (out / "shard-00001.arrow").stat().st_mtime_ns
        cv2.imwrite(str(many[7].image), photo())
        assert pack(many, out, self.CONFIG, source=SOURCE)["unreadable"] == []
        assert len(open_packed(out)) == 150
        assert (out / "shard-00001.arrow").stat().st_mtime_ns == later

    def test_more_than_one_in_a_hundred_is_refused(self, image: Path, tmp_path: Path):
        bad = image.with_name("bad.png")
        people = [person_of(number, bad if number in (70, 130) else image) for number in range(150)]
        with pytest.raises(DataError, match=r"at most 1% unreadable images of 150, found 2 so far: p70: .*; p130: "):
            pack(index_of(people, image.parent), tmp_path / "out", self.CONFIG, source=SOURCE)
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "settings.json",
            "shard-00000.arrow",
            "shard-00001.arrow",
        ]
