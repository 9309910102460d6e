"""Photos that EXIF turns or mirrors, from labels of what viewers show to crops and packed splits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from headstart.index import SCHEMA, AnnotationIndex, open_index, open_packed, to_row, write_index
from headstart.index_cache import cached_file
from headstart.inspection import summarise
from headstart.loader import CropDataset
from headstart.pack import PackConfig, pack, packed_person
from headstart.sampling import Draw
from headstart.skeleton import BODY_18, COCO_17

#: Joint -> its place in the photo as viewers show it, 96 px wide and 160 high, and the RGB of a square around it.
JOINTS = {
    "left_shoulder": ((60, 30), (250, 20, 20)),
    "right_shoulder": ((30, 40), (20, 250, 20)),
    "left_ankle": ((70, 130), (20, 20, 250)),
}


def photo() -> np.ndarray:
    """The photo as viewers show it, RGB (160, 96, 3)."""
    scene = np.full((160, 96, 3), 120, np.uint8)
    for (x, y), colour in JOINTS.values():
        scene[y - 5 : y + 6, x - 5 : x + 6] = colour
    return scene


def stored(orientation: int) -> np.ndarray:
    """The pixels that a camera stores which writes that orientation; Exif 2.3 says where row 0 and column 0 are."""
    scene = photo()
    return {
        1: scene,  # row 0 is the top, column 0 the left side
        2: scene[:, ::-1],  # top, right
        3: scene[::-1, ::-1],  # bottom, right
        4: scene[::-1],  # bottom, left
        5: scene.transpose(1, 0, 2),  # left, top
        6: scene.transpose(1, 0, 2)[::-1],  # right, top
        7: scene.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: scene.transpose(1, 0, 2)[:, ::-1],  # left, bottom
    }[orientation]


def coco(root: Path, orientation: int, **image: Any) -> Path:
    """A data set of one turned photo, with labels of what viewers show."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    (root / "train2017").mkdir(parents=True)
    pixels = np.ascontiguousarray(stored(orientation))
    Image.fromarray(pixels).save(root / "train2017" / "a.jpg", quality=100, subsampling=0, exif=exif)
    triples = [(*JOINTS[joint][0], 2) if joint in JOINTS else (0, 0, 0) for joint in COCO_17.names]
    keypoints = [value for triple in triples for value in triple]
    person = {"id": 1, "image_id": 9, "category_id": 1, "keypoints": keypoints, "bbox": [15, 10, 70, 140]}
    content = {"images": [{"id": 9, "file_name": "a.jpg", **image}], "annotations": [person]}
    (root / "annotations").mkdir()
    (root / "cache").mkdir()
    (root / "annotations" / "person_keypoints_train2017.json").write_text(json.dumps(content))
    return root


def opened(root: Path) -> AnnotationIndex:
    return open_index("coco", root, "train2017", root / "cache")


def packed(index: AnnotationIndex, out: Path, **config: Any) -> AnnotationIndex:
    pack(index, out, PackConfig(**config), source={"dataset": "coco", "split": "train2017"})
    return open_packed(out)


def assert_joints_are_where_labels_say(index: AnnotationIndex) -> None:
    """In the loader's crop, by the colours around them."""
    sample = CropDataset([index], BODY_18, (192, 256))[Draw(0, 0, 0, 0)]
    assert sample["readable"]
    for joint, (_, colour) in JOINTS.items():
        place = BODY_18.index(joint)
        assert sample["weight_2d"][place] == 1
        x, y = sample["keypoints"][place].round().astype(int)
        np.testing.assert_allclose(sample["image"][y, x].astype(int), colour, atol=40, err_msg=joint)


def test_what_a_camera_stores_is_the_photo_to_pil() -> None:
    """The table of this file, by PIL's own turning."""
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    for orientation, turn in turns.items():
        turned = Image.fromarray(np.ascontiguousarray(stored(orientation))).transpose(Image.Transpose(turn))
        np.testing.assert_array_equal(np.asarray(turned), photo())


@pytest.mark.parametrize("orientation", range(1, 9))
class TestEachOrientation:
    def test_the_crop_of_the_loader(self, tmp_path: Path, orientation: int):
        index = opened(coco(tmp_path, orientation))
        assert index[0].upright == (orientation != 1)
        assert index.rgb_image(0).shape == (160, 96, 3)
        assert np.abs(index.rgb_image(0).astype(int) - photo()).max() <= 12
        assert_joints_are_where_labels_say(index)

    def test_a_packed_split_is_stored_upright(self, tmp_path: Path, orientation: int):
        index = opened(coco(tmp_path / "coco", orientation))
        assert not packed_person(index[0], PackConfig())[0].upright
        found = packed(index, tmp_path / "pack", size=64)
        assert not found[0].upright
        assert "upright" not in pa.ipc.open_file(str(tmp_path / "pack" / "shard-00000.arrow")).schema.names
        assert_joints_are_where_labels_say(found)
        whole = packed(index, tmp_path / "whole", margin=4, quality=0)
        np.testing.assert_array_equal(whole.rgb_image(0), index.rgb_image(0))


def test_labels_of_the_stored_pixels_are_read_with_these(tmp_path: Path) -> None:
    index = opened(coco(tmp_path, 6, width=160, height=96))
    assert not index[0].upright
    assert np.abs(index.rgb_image(0).astype(int) - stored(6)).max() <= 12


def test_a_photo_that_is_turned_in_place_after_it_was_indexed(tmp_path: Path) -> None:
    """As exiftran does: upright without EXIF, so it must not be turned again, whatever the cache says."""
    index = opened(coco(tmp_path, 6))
    Image.fromarray(photo()).save(tmp_path / "train2017" / "a.jpg", quality=100, subsampling=0)
    assert_joints_are_where_labels_say(index)


def test_the_check_of_all_images_reads_it(tmp_path: Path) -> None:
    index = opened(coco(tmp_path, 5))
    assert summarise(index, read_images=True).unreadable == []
    (tmp_path / "train2017" / "a.jpg").write_bytes(b"")
    assert len(summarise(index, read_images=True).unreadable) == 1


class TestFilesOfEarlierVersions:
    def test_a_cached_index_without_the_column(self, tmp_path: Path):
        root = coco(tmp_path, 6)
        (person,) = opened(root)
        (file,) = (root / "cache").glob("*.arrow")
        assert file == cached_file("coco", root, "train2017", 1, root / "cache")
        file.unlink()
        write_index(file, [to_row(person, root)], SCHEMA, {})
        index = opened(root)
        assert "upright" not in pa.ipc.open_file(str(file)).schema.names
        assert not index[0].upright
        assert index.image(0).shape == (96, 160, 3)

    def test_digests_are_the_same_with_the_column_and_without(self, tmp_path: Path):
        root = coco(tmp_path, 1)
        index = opened(root)
        assert "upright" in pa.ipc.open_file(str(index.files[0])).schema.names
        write_index(tmp_path / "old.arrow", (to_row(person, root) for person in index), SCHEMA, {})
        old = AnnotationIndex([tmp_path / "old.arrow"], root)
        assert old.digest(BODY_18.names) == index.digest(BODY_18.names)
        (changed,) = (replace(person, bbox_xywh=person.bbox_xywh + 1) for person in index)
        write_index(tmp_path / "other.arrow", [to_row(changed, root)], SCHEMA, {})
        assert AnnotationIndex([tmp_path / "other.arrow"], root).digest(BODY_18.names) != index.digest(BODY_18.names)
