"""The index: joints unified one by one, every field back from disk, and nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from headstart import datasets, index, skeleton
from headstart.errors import ConfigError, DataError
from headstart.geometry import Camera
from headstart.index import (
    PACKED_SCHEMA,
    SCHEMA,
    UPRIGHT,
    AnnotationIndex,
    open_index,
    open_packed,
    schema_of,
    to_row,
    unify,
    write_index,
)
from headstart.records import Annotation, Visibility
from headstart.skeleton import CANONICAL, COCO_17, COCO_23, FEET, H36M_17, LSP_14, WITH_FEET, Skeleton

FEET_SCHEMA = schema_of(WITH_FEET)
UNLABELLED, OCCLUDED, VISIBLE = Visibility.UNLABELLED, Visibility.OCCLUDED, Visibility.VISIBLE
CAMERA = Camera(
    1145.05,
    1143.78,
    512.54,
    515.45,
    (-0.2, 0.24, -0.0009, -0.0014, -0.007),
    np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0],
    np.array([-346.05, 546.98, 5474.48]),
)


def person_of(skeleton: Skeleton, **states: Visibility) -> Annotation:
    """Joint k at (10 k, 100 + 3 k ** 2), in 3D at (k, -2 k, 4000 + k ** 2); ``states`` or visible."""
    count = np.arange(len(skeleton))
    visibility = np.array([states.get(name, VISIBLE) for name in skeleton.names], np.uint8)
    keypoints = np.stack([10 * count, 100 + 3 * count**2], 1).astype(np.float32)
    keypoints[visibility == 0] = np.nan
    xyz = np.stack([count, -2 * count, 4000 + count**2], 1).astype(np.float32)
    return Annotation("a", Path("a.jpg"), np.array([1, 2, 3, 4], np.float32), keypoints, visibility, xyz)


def joint_of(person: Annotation, name: str) -> tuple[np.ndarray, int]:
    """Point and visibility of a canonical joint."""
    return person.keypoints[CANONICAL.index(name)], int(person.visibility[CANONICAL.index(name)])


def canonical_person(number: int, root: Path, **changes: Any) -> Annotation:
    """A person whose every field is their own."""
    rng = np.random.default_rng(number)
    visibility = rng.integers(0, 3, len(CANONICAL)).astype(np.uint8)
    keypoints = rng.uniform(-50, 500, (len(CANONICAL), 2)).astype(np.float32)
    keypoints[visibility == 0] = np.nan
    xyz = rng.uniform(-900, 900, (len(CANONICAL), 3)).astype(np.float32)
    xyz[rng.random(len(CANONICAL)) < 0.3] = np.nan
    xyz[0] = 1.0
    person = Annotation(
        key=f"person {number}/é",
        image=root / "folder" / f"{number}.jpg",
        bbox_xywh=rng.uniform(0, 300, 4).astype(np.float32),
        keypoints=keypoints,
        visibility=visibility,
        camera_xyz=xyz,
        camera=replace(CAMERA, fx=1000.0 + number / 3),
        subject=f"S{number % 7}",
        action=f"action {number % 3}",
        sequence=f"S1/{number % 5}",
        frame=number,
        head_size=20 + number / 8,
    )
    return replace(person, **changes)


def write_people(path: Path, people: list[Annotation], root: Path) -> AnnotationIndex:
    write_index(path, (to_row(person, root) for person in people), SCHEMA, {"dataset": "none"})
    return AnnotationIndex([path], root)


def assert_same_person(found: Annotation, expected: Annotation) -> None:
    """Field by field, the camera's too, bit by bit."""
    for record in (Annotation, Camera):
        pair = (found, expected) if record is Annotation else (found.camera, expected.camera)
        if pair[1] is None:
            assert pair[0] is None
            continue
        for entry in fields(record):
            if entry.name != "camera":
                values = [getattr(one, entry.name) for one in pair]
                np.testing.assert_array_equal(*values, err_msg=entry.name, strict=isinstance(values[1], np.ndarray))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Replace LSP's adapter by one that lists its calls; a file ``people`` in the root says how many there are."""
    made: list[str] = []

    def annotations(root: Path, split: str) -> Iterator[Annotation]:
        made.append(split)
        for number in range(int((root / "people").read_text())):
            yield replace(person_of(LSP_14), key=f"{split} {number}", image=root / f"{number}.jpg")

    monkeypatch.setattr(datasets.adapter("lsp"), "annotations", annotations)
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "people").write_text("3")
    return folder


class TestUnify:
    def test_named_joints_are_copied_by_name(self):
        person = unify(person_of(H36M_17), H36M_17)
        for number, name in enumerate(H36M_17.names):
            point, state = joint_of(person, name)
            np.testing.assert_array_equal(point, [10 * number, 100 + 3 * number**2])
            assert state == VISIBLE
        assert not joint_of(person, "neck")[1], "Human3.6M's neck is the thorax"

    def test_joints_that_the_source_lacks_are_unlabelled_everywhere(self):
        person = unify(person_of(COCO_17), COCO_17)
        for name in ("spine", "neck", "head_top"):
            assert np.isnan(joint_of(person, name)[0]).all()
            assert joint_of(person, name)[1] == UNLABELLED
            assert np.isnan(person.camera_xyz[CANONICAL.index(name)]).all()

    def test_midpoints_in_2d_and_3d(self):
        person = unify(person_of(COCO_17), COCO_17)
        # Hips are joints 11 and 12, shoulders 5 and 6.
        np.testing.assert_array_equal(joint_of(person, "pelvis")[0], [115, 100 + 3 * (121 + 144) / 2])
        np.testing.assert_array_equal(joint_of(person, "thorax")[0], [55, 100 + 3 * (25 + 36) / 2])
        np.testing.assert_array_equal(person.camera_xyz[CANONICAL.index("pelvis")], [11.5, -23, 4000 + 132.5])

    @pytest.mark.parametrize(
        ("left", "right", "middle"),
        [
            (VISIBLE, VISIBLE, VISIBLE),
            (OCCLUDED, VISIBLE, OCCLUDED),
            (VISIBLE, OCCLUDED, OCCLUDED),
            (OCCLUDED, OCCLUDED, OCCLUDED),
            (UNLABELLED, VISIBLE, UNLABELLED),
            (OCCLUDED, UNLABELLED, UNLABELLED),
            (UNLABELLED, UNLABELLED, UNLABELLED),
        ],
    )
    def test_visibility_of_a_midpoint(self, left: Visibility, right: Visibility, middle: Visibility):
        person = unify(person_of(COCO_17, left_hip=left, right_hip=right), COCO_17)
        assert joint_of(person, "pelvis")[1] == middle
        assert np.isnan(joint_of(person, "pelvis")[0]).all() == (middle == UNLABELLED)
        assert joint_of(person, "thorax")[1] == VISIBLE
        assert (joint_of(person, "left_hip")[1], joint_of(person, "right_hip")[1]) == (left, right)

    def test_3d_is_known_by_itself_not_by_the_2d_labels(self):
        person = person_of(COCO_17, left_hip=UNLABELLED)
        person.camera_xyz[COCO_17.index("right_shoulder"), 1] = np.nan
        found = unify(person, COCO_17).camera_xyz
        assert np.isfinite(found[CANONICAL.indices(("pelvis", "left_hip"))]).all()
        assert np.isnan(found[CANONICAL.indices(("thorax", "right_shoulder"))]).all()

    def test_a_2d_person_stays_one_and_other_fields_stay(self):
        person = replace(person_of(LSP_14), camera_xyz=None, subject="S", frame=7, head_size=3.5)
        found = unify(person, LSP_14)
        assert found.camera_xyz is None
        for name in ("key", "image", "subject", "frame", "head_size", "camera"):
            assert getattr(found, name) == getattr(person, name)
        np.testing.assert_array_equal(found.bbox_xywh, person.bbox_xywh)

    def test_canonical_people_are_their_own_image(self, tmp_path: Path):
        person = canonical_person(3, tmp_path)
        assert_same_person(unify(person, CANONICAL), person)


class TestRoundTrip:
    def test_every_field_of_everybody(self, tmp_path: Path):
        people = [canonical_person(number, tmp_path) for number in range(9)]
        people[2] = replace(people[2], camera=None, head_size=None, subject="", action="", sequence="", frame=-1)
        people[4] = replace(people[4], camera_xyz=None)
        found = write_people(tmp_path / "a.arrow", people, tmp_path)
        assert len(found) == 9
        for row, person in enumerate(people):
            assert_same_person(found[row], person)

    def test_whether_labels_are_of_the_upright_picture(self, tmp_path: Path):
        people = [canonical_person(number, tmp_path, upright=number == 1) for number in range(3)]
        write_index(tmp_path / "a.arrow", (to_row(one, tmp_path) for one in people), SCHEMA.append(UPRIGHT), {})
        found = AnnotationIndex([tmp_path / "a.arrow"], tmp_path)
        for row, person in enumerate(people):
            assert_same_person(found[row], person)
        assert [one.upright for one in write_people(tmp_path / "old.arrow", people, tmp_path)] == [False] * 3

    def test_the_same_comparison_sees_a_difference(self, tmp_path: Path):
        person = canonical_person(1, tmp_path)
        for other in (replace(person, frame=2), replace(person, camera=replace(CAMERA, cx=0.0))):
            with pytest.raises(AssertionError):
                assert_same_person(other, person)

    def test_several_batches_and_shards(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(index, "_ROWS_PER_BATCH", 4)
        people = [canonical_person(number, tmp_path) for number in range(23)]
        files = [tmp_path / "0.arrow", tmp_path / "1.arrow", tmp_path / "2.arrow"]
        for file, part in zip(files, (people[:10], people[10:11], people[11:])):
            write_people(file, part, tmp_path)
        found = AnnotationIndex(files, tmp_path)
        assert len(found) == 23
        for row in np.random.default_rng(0).permutation(23).tolist():
            assert_same_person(found[row], people[row])
        np.testing.assert_array_equal(found.column("frame"), np.arange(23))
        np.testing.assert_array_equal(found.column("bbox"), np.stack([person.bbox_xywh for person in people]))

    def test_columns_have_the_shape_of_their_field(self, tmp_path: Path):
        people = [canonical_person(number, tmp_path) for number in range(3)]
        found = write_people(tmp_path / "a.arrow", people, tmp_path)
        assert found.column("key").tolist() == [person.key for person in people]
        assert found.column("image").tolist() == ["folder/0.jpg", "folder/1.jpg", "folder/2.jpg"]
        np.testing.assert_array_equal(found.column("xyz"), np.stack([person.camera_xyz for person in people]))
        np.testing.assert_array_equal(found.column("visibility"), np.stack([p.visibility for p in people]))
        assert found.column("camera").shape == (3, 21)

    def test_columns_of_nobody_are_empty_and_keep_their_shape(self, tmp_path: Path):
        found = write_people(tmp_path / "a.arrow", [], tmp_path)
        assert (len(found), found.column("keypoints").shape, found.column("key").shape) == (0, (0, 22, 2), (0,))

    def test_rows_outside_are_an_index_error_so_that_it_can_be_looped_over(self, tmp_path: Path):
        found = write_people(tmp_path / "a.arrow", [canonical_person(0, tmp_path)] * 2, tmp_path)
        assert len(list(found)) == 2
        for row in (-1, 2):
            with pytest.raises(IndexError, match=f"row {row} of an index of 2 people"):
                found[row]

    def test_a_worker_gets_paths_not_people(self, tmp_path: Path):
        people = [canonical_person(number, tmp_path) for number in range(200)]
        found = write_people(tmp_path / "a.arrow", people, tmp_path)
        pickled = pickle.dumps(found)
        assert len(pickled) < 1000
        assert_same_person(pickle.loads(pickled)[150], people[150])

    def test_labels_are_views_into_the_mapped_file(self, tmp_path: Path):
        found = write_people(
            tmp_path / "a.arrow", [canonical_person(number, tmp_path) for number in range(3)], tmp_path
        )
        assert np.shares_memory(found[1].keypoints, found[1].keypoints)
        assert not found[1].keypoints.flags.writeable

    def test_packed_content_is_the_bytes(self, tmp_path: Path):
        rows = [{**to_row(canonical_person(number, tmp_path), tmp_path), "content": b"x" * number} for number in (3, 5)]
        write_index(tmp_path / "a.arrow", rows, PACKED_SCHEMA, {})
        found = AnnotationIndex([tmp_path / "a.arrow"], tmp_path)
        assert [bytes(found.content(row)) for row in (0, 1)] == [b"xxx", b"xxxxx"]
        plain = write_people(tmp_path / "b.arrow", [canonical_person(0, tmp_path)], tmp_path)
        assert plain.content(0) is None

    def test_colours_in_the_order_that_is_asked_for(self, index_2d: AnnotationIndex):
        bgr = cv2.imread(str(index_2d[3].image))
        assert bgr is not None
        assert (bgr[..., 0] != bgr[..., 2]).any()
        np.testing.assert_array_equal(index_2d.image(3), bgr)
        np.testing.assert_array_equal(index_2d.rgb_image(3), bgr[..., ::-1])


class TestDamage:
    def test_a_truncated_file_is_named(self, tmp_path: Path):
        path = tmp_path / "short.arrow"
        write_people(path, [canonical_person(number, tmp_path) for number in range(5)], tmp_path)
        whole = path.read_bytes()
        for length in (0, 5, len(whole) // 2, len(whole) - 3):
            path.write_bytes(whole[:length])
            with pytest.raises(DataError, match=r"short\.arrow: expected an Arrow file"):
                AnnotationIndex([path], tmp_path)

    def test_a_missing_file_is_named(self, tmp_path: Path):
        with pytest.raises(DataError, match=r"none\.arrow"):
            AnnotationIndex([tmp_path / "none.arrow"], tmp_path)

    def test_a_file_of_other_columns_is_named(self, tmp_path: Path):
        """As a later version may write them: three joints in 3D, and no frame."""
        columns = [column for column in SCHEMA if column.name not in ("frame", "xyz")]
        schema = pa.schema([*columns, ("xyz", pa.list_(pa.float32(), 9))])
        rows = [to_row(canonical_person(0, tmp_path), tmp_path)]
        write_index(tmp_path / "a.arrow", [row | {"xyz": row["xyz"][:9]} for row in rows], schema, {})
        with pytest.raises(DataError, match=r"a\.arrow: .*missing columns, or columns of another type: frame, xyz"):
            AnnotationIndex([tmp_path / "a.arrow"], tmp_path)

    @pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"shards": ['])
    def test_a_pack_without_its_list_of_shards(self, tmp_path: Path, content: str | None):
        if content is not None:
            (tmp_path / "pack.json").write_text(content)
        with pytest.raises(DataError, match=r"pack\.json"):
            open_packed(tmp_path)

    def test_an_image_outside_the_root(self, tmp_path: Path):
        person = canonical_person(0, tmp_path / "elsewhere")
        with pytest.raises(ConfigError, match=r"0\.jpg: an image must lie below"):
            to_row(person, tmp_path / "root")


class TestOpenIndex:
    def test_the_adapter_is_asked_once(self, root: Path, calls: list[str], tmp_path: Path):
        first = open_index("lsp", root, "train", tmp_path / "cache")
        second = open_index("lsp", root, "train", tmp_path / "cache")
        assert calls == ["train"]
        assert first.files == second.files
        assert [person.key for person in second] == ["train 0", "train 1", "train 2"]
        assert second[2].image == root / "2.jpg"
        assert joint_of(second[0], "pelvis")[0][0] == 25, "people come in canonical joints: hips are joints 2 and 3"

    def test_each_split_has_its_own(self, root: Path, calls: list[str], tmp_path: Path):
        keys = [open_index("lsp", root, split, tmp_path / "cache")[0].key for split in ("train", "test", "train")]
        assert keys == ["train 0", "test 0", "train 0"]
        assert calls == ["train", "test"]

    def test_a_changed_folder_is_read_again(self, root: Path, calls: list[str], tmp_path: Path):
        assert len(open_index("lsp", root, "train", tmp_path / "cache")) == 3
        (root / "people").write_text("5")
        os.utime(root / "people", ns=(1, 1))
        assert len(open_index("lsp", root, "train", tmp_path / "cache")) == 5
        assert calls == ["train", "train"]

    def test_labels_edited_in_place_are_read_again(self, root: Path, calls: list[str], tmp_path: Path):
        """Which leaves the folder itself as it was: labels mostly lie a level or two below."""
        labels = root / "annotations" / "deep" / "a.json"
        labels.parent.mkdir(parents=True)
        for content, asked in (("1", 1), ("1", 1), ("22", 2)):
            times = [path.stat() for path in (root, root / "annotations", labels.parent)]
            labels.write_text(content)
            for path, at in zip((root, root / "annotations", labels.parent), times):
                os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
            os.utime(labels, ns=(len(content), len(content)))
            open_index("lsp", root, "train", tmp_path / "cache")
            assert len(calls) == asked

    @pytest.mark.parametrize("base", [".", "images"])
    def test_labels_beside_crops_edited_in_place_are_read_again(
        self, root: Path, calls: list[str], tmp_path: Path, base: str
    ):
        """Known defect: those of Human3.6M's crops lie in the folders of their pictures, which are not entered."""
        labels = root / base / "s_09_act_02_subact_01_ca_01" / "matlab_meta.mat"
        labels.parent.mkdir(parents=True)
        for content, asked in (("1", 1), ("1", 1), ("22", 2)):
            labels.write_text(content)
            for path, time in ((root, 1), (labels.parents[1], 1), (labels.parent, 1), (labels, len(content))):
                os.utime(path, ns=(time, time))
            open_index("lsp", root, "train", tmp_path / "cache")
            assert len(calls) == asked

    def test_frames_extracted_later_are_looked_for(self, root: Path, calls: list[str], tmp_path: Path):
        """MPI-INF-3DHP's videos become folders of pictures, below folders that do not change with them."""
        frames = root / "S1" / "Seq1" / "imageFrames" / "video_0"
        frames.mkdir(parents=True)
        for number, asked in ((0, 1), (0, 1), (1, 2)):
            (frames / f"frame_{number:06d}.jpg").touch()
            os.utime(frames, ns=(number, number))
            open_index("lsp", root, "train", tmp_path / "cache")
            assert len(calls) == asked

    @pytest.mark.posix("links without a privilege")
    def test_one_folder_has_one_cache_however_it_is_named(
        self, root: Path, calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        (root / "a.json").write_text("1")
        (root / "round").symlink_to(root)
        monkeypatch.chdir(root.parent)
        for name in (root, Path(root.name)):
            open_index("lsp", name, "train", tmp_path / "cache")
        assert calls == ["train"]

    def test_another_folder_is_read_by_itself(self, root: Path, calls: list[str], tmp_path: Path):
        open_index("lsp", root, "train", tmp_path / "cache")
        other = tmp_path / "other"
        shutil.copytree(root, other)
        assert open_index("lsp", other, "train", tmp_path / "cache")[0].image == other / "0.jpg"

    def test_changed_adapters_are_asked_again(
        self, root: Path, calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        package = tmp_path / "headstart" / "datasets"
        shutil.copytree(Path(datasets.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(Path(datasets.__file__).parents[1] / "skeleton.py", package.parent)
        monkeypatch.setattr(datasets, "__file__", str(package / "__init__.py"))
        monkeypatch.setattr(skeleton, "__file__", str(package.parent / "skeleton.py"))
        for changed in (None, None, package / "boxes.py", package.parent / "skeleton.py"):
            if changed is not None:
                changed.write_text(changed.read_text() + "\n# changed\n")
            open_index("lsp", root, "train", tmp_path / "cache")
        assert calls == ["train"] * 3

    def test_the_cache_is_where_the_environment_says(
        self, root: Path, calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "mine"))
        assert open_index("lsp", root, "train").files[0].parent == tmp_path / "mine"

    def test_an_adapter_that_fails_midway_leaves_nothing(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def annotations(root: Path, split: str) -> Iterator[Annotation]:
            for number in range(5):
                yield replace(person_of(LSP_14), key=f"{number}", image=root / "0.jpg")
            raise DataError(root / "joints.mat", "a sixth person")

        monkeypatch.setattr(datasets.adapter("lsp"), "annotations", annotations)
        monkeypatch.setattr(index, "_ROWS_PER_BATCH", 2)
        with pytest.raises(DataError, match="a sixth person"):
            open_index("lsp", root, "train", tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_a_key_that_comes_twice(self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        people = [replace(person_of(LSP_14), key=key, image=root / "0.jpg") for key in ("a", "b", "a")]
        monkeypatch.setattr(datasets.adapter("lsp"), "annotations", lambda root, split: iter(people))
        with pytest.raises(DataError, match="unique keys in lsp train, found 'a' twice"):
            open_index("lsp", root, "train", tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_an_empty_split(self, root: Path, calls: list[str], tmp_path: Path):
        (root / "people").write_text("0")
        with pytest.raises(DataError, match="expected people in split train of lsp, found none"):
            open_index("lsp", root, "train", tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_unknown_names(self, root: Path, tmp_path: Path):
        with pytest.raises(ConfigError, match="unknown data set 'nothing'"):
            open_index("nothing", root, "train", tmp_path)
        with pytest.raises(ConfigError, match="no split 'nothing'"):
            open_index("lsp", root, "nothing", tmp_path)

    def test_a_full_disk_is_an_error_of_data_and_leaves_nothing(self, tmp_path: Path):
        def people() -> Iterator[dict[str, Any]]:
            yield to_row(canonical_person(0, tmp_path), tmp_path)
            raise OSError(28, "No space left on device")

        with pytest.raises(DataError, match=r"a\.arrow: expected room.*No space left"):
            write_index(tmp_path / "a.arrow", people(), SCHEMA, {})
        assert list(tmp_path.iterdir()) == []

    def test_a_packed_data_set_goes_first(self, root: Path, calls: list[str], tmp_path: Path):
        folder = root / "lsp-train"
        rows = [{**to_row(canonical_person(7, folder), folder), "content": b"jpg"}]
        write_index(folder / "shard-00000.arrow", rows, PACKED_SCHEMA, {})
        (folder / "pack.json").write_text('{"shards": ["shard-00000.arrow"]}')
        for place in (root, folder):
            found = open_index("lsp", place, "train", tmp_path / "cache")
            assert [person.key for person in found] == ["person 7/é"]
        assert calls == []

    @pytest.mark.parametrize("wanted", [("lsp", "test"), ("mpii", "train")])
    def test_a_packed_folder_is_not_another_split_or_data_set(self, wanted: tuple[str, str], tmp_path: Path):
        """Known defect: validation ran on the very people who were trained on."""
        folder = tmp_path / "lsp-train"
        rows = [{**to_row(canonical_person(7, folder), folder), "content": b"jpg"}]
        write_index(folder / "shard-00000.arrow", rows, PACKED_SCHEMA, {})
        manifest = {"dataset": "lsp", "split": "train", "shards": ["shard-00000.arrow"]}
        (folder / "pack.json").write_text(json.dumps(manifest))
        dataset, split = wanted
        name = f"{dataset}-{split}"
        expected = rf"lsp-train: expected {name}, packed, found lsp-train\. Give the folder above, if it holds both"
        with pytest.raises(DataError, match=expected):
            open_index(dataset, folder, split, tmp_path / "cache")
        assert len(open_index("lsp", folder, "train", tmp_path / "cache")) == 1

    @pytest.mark.parametrize("content", ["", "[1]", "{}", '{"shards": 3}', '{"shards": []}', '{"shards": [1]}'])
    def test_a_packed_folder_whose_list_is_damaged(self, content: str, tmp_path: Path):
        (tmp_path / "pack.json").write_text(content)
        with pytest.raises(DataError, match=r"pack\.json: expected the list of shards"):
            open_index("lsp", tmp_path, "train", tmp_path / "cache")


class TestFeet:
    def test_feet_are_kept_where_a_data_set_has_any(self, tmp_path):
        """COCO's 17 joints, then the feet: the left big toe is joint 17, at (170, 967), the right heel joint 22."""
        person = unify(person_of(COCO_23, left_heel=UNLABELLED, right_heel=OCCLUDED), COCO_23)
        write_index(
            tmp_path / "a.arrow", [to_row(replace(person, image=tmp_path / "a.jpg"), tmp_path)], FEET_SCHEMA, {}
        )
        found = AnnotationIndex([tmp_path / "a.arrow"], tmp_path)
        assert found.skeleton is WITH_FEET
        toe, heels = found[0].keypoints[22], found[0].visibility[WITH_FEET.indices(("left_heel", "right_heel"))]
        assert toe.tolist() == [170, 967]
        assert heels.tolist() == [UNLABELLED, OCCLUDED]
        assert np.isnan(found[0].keypoints[24]).all()
        assert found[0].camera_xyz[27].tolist() == [22, -44, 4484]
        assert found.column("xyz").shape == (1, 28, 3)
        assert pickle.loads(pickle.dumps(found)).skeleton is WITH_FEET

    def test_the_rest_is_as_without(self, tmp_path):
        with_feet, without = (unify(person_of(source), source) for source in (COCO_23, COCO_17))
        np.testing.assert_array_equal(with_feet.keypoints[:22], without.keypoints)
        np.testing.assert_array_equal(with_feet.visibility[:22], without.visibility)
        assert without.keypoints.shape == (22, 2)

    def test_people_without_feet_beside_people_with_them(self, tmp_path):
        person = canonical_person(3, tmp_path)
        wide = person.with_feet()
        assert (wide.visibility[22:] == 0).all()
        assert np.isnan(wide.keypoints[22:]).all()
        assert np.isnan(wide.camera_xyz[22:]).all()
        for name in ("keypoints", "visibility", "camera_xyz"):
            ours, theirs = getattr(wide, name), getattr(person, name)
            np.testing.assert_array_equal(ours[:22], theirs)
            assert ours.dtype == theirs.dtype
        assert wide.with_feet() is wide
        assert replace(person, camera_xyz=None).with_feet().camera_xyz is None

    def test_an_adapter_of_a_users_keeps_its_feet(self, monkeypatch, tmp_path):
        own = Skeleton("own", ("left_heel", "right_heel", "left_hip", "right_hip", "left_toe", "right_toe"))
        people = [replace(person_of(own), image=tmp_path / "a.jpg")]
        monkeypatch.setattr(datasets.adapter("lsp"), "SKELETON", own)
        monkeypatch.setattr(datasets.adapter("lsp"), "annotations", lambda root, split: iter(people))
        found = open_index("lsp", tmp_path, "train")
        assert found.skeleton is WITH_FEET
        assert found[0].keypoints[WITH_FEET.indices(("left_heel", "right_heel"))].tolist() == [[0, 100], [10, 103]]
        assert found[0].keypoints[WITH_FEET.index("pelvis")].tolist() == [25, (112 + 127) / 2]
        assert datasets.unused_joints("lsp", tmp_path, "train") == ("left_toe", "right_toe")

    def test_a_file_without_feet_is_the_file_that_it_was(self, tmp_path):
        """Bytes of the schema are those of the version before there were feet."""
        assert schema_of(CANONICAL) == SCHEMA
        widths = {name: SCHEMA.field(name).type.list_size for name in ("keypoints", "visibility", "xyz")}
        assert widths == {"keypoints": 44, "visibility": 22, "xyz": 66}
        assert write_people(tmp_path / "a.arrow", [canonical_person(1, tmp_path)], tmp_path).skeleton is CANONICAL
        assert len(FEET_SCHEMA.names) == len(SCHEMA.names)
        assert len(FEET) == 6
