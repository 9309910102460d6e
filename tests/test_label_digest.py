"""The digest of labels: of their values and order alone, not of how or where they are stored, nor of pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headstart.geometry import Camera
from headstart.index import (
    PACKED_SCHEMA,
    SCHEMA,
    AnnotationIndex,
    open_index,
    open_packed,
    schema_of,
    to_row,
    write_index,
)
from headstart.label_digest import label_digest
from headstart.pack import PackConfig, pack
from headstart.records import Annotation
from headstart.results import form_of
from headstart.skeleton import BODY_18, BODY_24, CANONICAL, FEET, WITH_FEET, Skeleton
from headstart.synthesize import schema_with_states
from sticks import write_lsp_extended

CAMERA = Camera(1100.0, 1100.0, 500.0, 500.0, (0.0,) * 5, np.eye(3), np.zeros(3))


def person(number: int, root: Path) -> Annotation:
    rng = np.random.default_rng(number)
    xyz = rng.uniform(-900, 900, (len(CANONICAL), 3)).astype(np.float32)
    xyz[4] = np.nan
    return Annotation(
        key=f"person {number}/é",
        image=root / f"{number}.jpg",
        bbox_xywh=np.array([1, 2, 30, 40], np.float32),
        keypoints=rng.uniform(0, 100, (len(CANONICAL), 2)).astype(np.float32),
        visibility=np.full(len(CANONICAL), 2, np.uint8),
        camera_xyz=xyz,
        camera=CAMERA,
        subject="S1",
        action="",
        sequence="w",
        frame=number,
        head_size=20.0,
    )


@pytest.fixture
def people(tmp_path: Path) -> list[Annotation]:
    return [person(number, tmp_path) for number in range(7)]


def written(
    folder: Path,
    people: list[Annotation],
    *ends: int,
    schema: pa.Schema = SCHEMA,
    joints: Skeleton = BODY_18,
    **extra: Any,
) -> str:
    """Digest, for a model of ``joints``, of the people in files that end at those rows."""
    files, start = [], 0
    for end in (*ends, len(people)):
        files.append(folder / f"{len(list(folder.iterdir()))}.arrow")
        write_index(files[-1], ({**to_row(one, folder), **extra} for one in people[start:end]), schema, {"a": "b"})
        start = end
    return AnnotationIndex(files, folder).digest(joints.names)


def test_a_table_worked_out_by_hand() -> None:
    """Strings by lengths and text, numbers by their bytes, lists as the numbers in them; columns by name."""
    lists = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2.0, 3.0, 4.0], pa.float32()), 2)
    table = pa.table({"name": ["ab", "c"], "at": lists, "other": [1, 2]})
    parts = {
        "at float": np.array([1, 2, 3, 4], "<f4").tobytes(),
        "name lengths": np.array([2, 1], "<i4").tobytes(),
        "name text": b"abc",
    }
    text = "2" + "".join(f" {name} {hashlib.sha256(content).hexdigest()}" for name, content in parts.items())
    assert label_digest(table, ["name", "at"]) == f"labels1:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def test_a_list_counts_up_to_a_length() -> None:
    """The third number of each is no label; a length beyond the list's takes all of it."""
    three = pa.FixedSizeListArray.from_arrays(pa.array([1, 2, 9, 3, 4, 9], pa.int32()), 3)
    two = pa.FixedSizeListArray.from_arrays(pa.array([1, 2, 3, 4], pa.int32()), 2)
    longer, shorter = pa.table({"at": three}), pa.table({"at": two})
    assert label_digest(longer, ["at"], {"at": 2}) == label_digest(shorter, ["at"])
    assert label_digest(longer.slice(1), ["at"], {"at": 2}) == label_digest(shorter.slice(1), ["at"])
    assert label_digest(longer, ["at"]) != label_digest(shorter, ["at"])
    assert label_digest(longer, ["at"], {"at": 5}) == label_digest(longer, ["at"], {"other": 1})
    assert label_digest(longer, ["at"]) == label_digest(longer, ["at"], {"at": 3})


def with_feet(person: Annotation, place: float) -> Annotation:
    """The person with six joints more, all labelled at (place, place) px."""
    return replace(
        person,
        keypoints=np.concatenate([person.keypoints, np.full((len(FEET), 2), place, np.float32)]),
        visibility=np.concatenate([person.visibility, np.full(len(FEET), 2, np.uint8)]),
        camera_xyz=np.concatenate([person.camera_xyz, np.full((len(FEET), 3), place, np.float32)]),
    )


def synthetic(folder: Path, people: list[Annotation], joints: Skeleton) -> str:
    """Digest, for a model of ``joints``, of a synthetic folder of the people, with feet if they have any."""
    kept = CANONICAL if len(people[0].visibility) == len(CANONICAL) else WITH_FEET
    columns = {"state": [0] * len(kept), "mask": b"", "content": b""}
    return written(folder, people, schema=schema_with_states(kept), joints=joints, **columns)


def test_feet_of_synthetic_people_count_for_models_with_feet_alone(people: list[Annotation], tmp_path: Path) -> None:
    """Synthetic people, who alone have states, are the same people with feet and without, for models without feet."""
    here, there = ([with_feet(one, place) for one in people] for place in (5.0, 6.0))
    for joints in (BODY_18, CANONICAL):
        assert {synthetic(tmp_path, some, joints) for some in (here, there, people)} == {written(tmp_path, people)}
    seen = {synthetic(tmp_path, some, BODY_24) for some in (here, there, people)}
    assert len(seen) == 3
    assert {synthetic(tmp_path, some, WITH_FEET) for some in (here, there, people)} == seen
    assert {form_of(one) for one in seen} == {"labels1+feet"}


def test_feet_of_real_people_count_for_every_model(people: list[Annotation], tmp_path: Path) -> None:
    """As ever, so that digests that earlier versions made of real people can be compared."""
    feet = [with_feet(one, 5.0) for one in people]
    found = {written(tmp_path, feet, schema=schema_of(WITH_FEET), joints=joints) for joints in (BODY_18, BODY_24)}
    assert len(found) == 1
    without = {written(tmp_path, people, joints=joints) for joints in (BODY_18, BODY_24)}
    assert len(without) == 1
    assert {form_of(one) for one in found | without} == {"labels1"}
    assert found != without


def test_digests_are_those_that_studies_have_recorded(people: list[Annotation], tmp_path: Path) -> None:
    """Made by the code of 2026-11-28, before models with feet had digests of their own."""
    feet = [with_feet(one, 5.0) for one in people]
    assert written(tmp_path, people) == "labels1:9bd81be58a51698c"
    assert synthetic(tmp_path, feet, BODY_18) == "labels1:9bd81be58a51698c"
    assert written(tmp_path, feet, schema=schema_of(WITH_FEET)) == "labels1:589539b970a4a20b"


def test_the_same_however_rows_are_dealt_out(people: list[Annotation], tmp_path: Path) -> None:
    whole = written(tmp_path, people)
    assert re.fullmatch("labels1:[0-9a-f]{16}", whole)
    for ends in ((3,), (1, 1, 5), (6,)):  # an empty file among them
        assert written(tmp_path, people, *ends) == whole
    table = pa.Table.from_pylist([to_row(one, tmp_path) for one in people], SCHEMA)
    in_slices = pa.concat_tables([table.slice(0, 2), table.slice(2, 0), table.slice(2)])
    assert label_digest(table, SCHEMA.names) == label_digest(in_slices, SCHEMA.names) == whole
    assert written(tmp_path, people[::-1]) != whole
    assert written(tmp_path, people[:-1]) != whole
    assert written(tmp_path, []) != whole


def changed_keypoint(one: Annotation) -> Annotation:
    keypoints = one.keypoints.copy()
    keypoints[3, 1] = np.nextafter(keypoints[3, 1], np.float32(1000))
    return replace(one, keypoints=keypoints)


@pytest.mark.parametrize(
    "change",
    [
        changed_keypoint,
        lambda one: replace(one, key="another"),
        lambda one: replace(one, image=one.image.with_name("another.jpg")),
        lambda one: replace(one, frame=99),
        lambda one: replace(one, bbox_xywh=one.bbox_xywh + 1),
        lambda one: replace(one, visibility=one.visibility - 1),
        lambda one: replace(one, camera_xyz=one.camera_xyz + 1),
        lambda one: replace(one, camera_xyz=None),
        lambda one: replace(one, camera=replace(CAMERA, fx=1100.0000001)),
        lambda one: replace(one, camera=None),
        lambda one: replace(one, subject="S", action="1"),  # the same letters, columns put behind each other
        lambda one: replace(one, action="w", sequence=""),
        lambda one: replace(one, head_size=None),
    ],
)
def test_any_label_of_one_person_changes_it(
    people: list[Annotation], tmp_path: Path, change: Callable[[Annotation], Annotation]
) -> None:
    others = [*people[:4], change(people[4]), *people[5:]]
    assert written(tmp_path, others) != written(tmp_path, people)


def test_letters_belong_to_their_row(people: list[Annotation], tmp_path: Path) -> None:
    one, other = (
        [replace(person, subject=subject) for person, subject in zip(people, subjects)]
        for subjects in (("ab", "c"), ("a", "bc"))
    )
    assert written(tmp_path, one) != written(tmp_path, other)


def test_machines_write_nan_and_zero_in_more_than_one_way(people: list[Annotation], tmp_path: Path) -> None:
    """What is not a number has a sign where a processor made it, and 0 that of what was multiplied."""
    one, other = (replace(people[0], camera_xyz=people[0].camera_xyz.copy()) for _ in range(2))
    one.camera_xyz[4, 0], one.camera_xyz[5, 0] = np.nan, 0.0
    other.camera_xyz.view(np.uint32)[4, 0], other.camera_xyz[5, 0] = 0xFFC00001, -0.0
    assert one.camera_xyz.tobytes() != other.camera_xyz.tobytes()
    assert written(tmp_path, [one]) == written(tmp_path, [other])


def test_pictures_are_not_labels(people: list[Annotation], tmp_path: Path) -> None:
    packed = [written(tmp_path, people, schema=PACKED_SCHEMA, content=picture) for picture in (b"one", b"two")]
    assert packed == [written(tmp_path, people)] * 2


def test_a_packed_copy_has_labels_of_its_own_and_says_whose_they_were(tmp_path: Path) -> None:
    """In other pixels, of other pictures: what a network learns from the copy is not what it learns from the source."""
    source = open_index("lsp_extended", write_lsp_extended(tmp_path / "data", 4), "all")
    manifest = pack(source, tmp_path / "out", PackConfig(size=32), source={"dataset": "lsp_extended", "split": "all"})
    assert manifest["labels"] == source.digest(FEET) != open_packed(tmp_path / "out").digest(FEET)


def test_texts_behind_an_empty_one_count() -> None:
    """Lengths 0, 2 and 1, and text "abc"."""
    found = label_digest(pa.table({"name": ["", "ab", "c"]}), ["name"])
    parts = {"lengths": np.array([0, 2, 1], "<i4").tobytes(), "text": b"abc"}
    text = "3" + "".join(f" name {part} {hashlib.sha256(content).hexdigest()}" for part, content in parts.items())
    assert found == f"labels1:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    assert found != label_digest(pa.table({"name": ["", "ab", "d"]}), ["name"])
