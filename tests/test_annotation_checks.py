"""What an adapter yields and should not: one line that names record and field, and nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart import datasets
from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.index import open_index
from headstart.records import Annotation
from headstart.skeleton import LSP_14

JOINTS = len(LSP_14)
CAMERA = Camera(1000.0, 1000.0, 500.0, 500.0)


def person(root: Path, number: int = 0, **changes: Any) -> Annotation:
    """One with everything that a record can have; the first joint is not labelled."""
    keypoints = np.arange(2 * JOINTS, dtype=np.float32).reshape(JOINTS, 2)
    keypoints[0] = np.nan
    states = np.array([0, 1] + [2] * (JOINTS - 2), np.uint8)
    xyz = np.full((JOINTS, 3), 4000, np.float32)
    box = np.array([1, 2, 30, 40], np.float32)
    whole = Annotation(
        f"p{number}", root / "0.jpg", box, keypoints, states, xyz, CAMERA, "S1", "walk", "S1/walk", 3, 9.5
    )
    return replace(whole, **changes)


def opened(root: Path, monkeypatch: pytest.MonkeyPatch, people: Any) -> list[Annotation]:
    monkeypatch.setattr(datasets.adapter("lsp"), "annotations", lambda root, split: people)
    return list(open_index("lsp", root, "train", root / "cache"))


def refused(root: Path, monkeypatch: pytest.MonkeyPatch, people: Any) -> str:
    """The one line; nothing may stay in the cache."""
    with pytest.raises(DataError) as error:
        opened(root, monkeypatch, people)
    assert not list((root / "cache").glob("*"))
    (line,) = str(error.value).splitlines()
    return line


def unreadable(root: Path) -> Iterator[Annotation]:
    yield person(root)
    (root / "labels.npz").read_bytes()


def test_a_file_that_the_adapter_cannot_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the index, which could have been written. Before it yields anything, too."""
    root = tmp_path
    line = refused(root, monkeypatch, unreadable(root))
    expected = "a file that the adapter of lsp can read, found No such file or directory"
    assert line == f"{root / 'labels.npz'}: expected {expected}"
    monkeypatch.setattr(datasets.adapter("lsp"), "annotations", lambda root, split: (root / "labels.npz").open())
    with pytest.raises(DataError, match=expected):
        open_index("lsp", root, "train", root / "cache")


def test_a_joint_in_the_plane_of_the_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros for a joint that is missing, or for the root that the others are relative to."""
    xyz = np.full((JOINTS, 3), 4000, np.float32)
    xyz[3] = 0
    line = refused(tmp_path, monkeypatch, [person(tmp_path, camera_xyz=xyz)])
    assert "record 'p0' of lsp train: expected no joint of camera_xyz at z = 0," in line
    assert f"({LSP_14.names[3]}), found [0. 0. 0.]" in line
    relative = opened(tmp_path, monkeypatch, [person(tmp_path, camera_xyz=xyz, camera=None)])
    assert relative[0].camera_xyz is not None


POINTS = np.zeros((JOINTS, 2), np.float32)
STATES = np.full(JOINTS, 2, np.uint8)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("image", "0.jpg", "image as a pathlib.Path, found '0.jpg' (str)"),
        ("image", None, "image as a pathlib.Path, found None"),
        ("bbox_xywh", None, "bbox_xywh as four finite px"),
        ("bbox_xywh", np.array([0, 0, np.nan, 4], np.float32), "bbox_xywh as four finite px"),
        ("bbox_xywh", np.array([0, 0, np.inf, 4], np.float32), "bbox_xywh as four finite px"),
        ("bbox_xywh", np.array([9, 9, -3, 4], np.float32), "found [ 9. 9. -3. 4.] (float32 (4,))"),
        ("bbox_xywh", np.array([9, 9, 3, -4], np.float32), "bbox_xywh as four finite px"),
        ("bbox_xywh", np.array([9, 9, 0, 0], np.float32), "bbox_xywh as four finite px"),
        ("bbox_xywh", np.zeros(5, np.float32), "bbox_xywh as four finite px"),
        ("bbox_xywh", np.zeros((2, 2), np.float32), "bbox_xywh as four finite px"),
        ("bbox_xywh", np.ones((4, 1), np.float32), "bbox_xywh as four finite px"),
        ("bbox_xywh", np.array(list("1234")), "bbox_xywh as four finite px"),
        ("bbox_xywh", [1, 2, None, 4], "bbox_xywh as four finite px"),
        ("bbox_xywh", "1234", "bbox_xywh as four finite px"),
        ("bbox_xywh", 7, "bbox_xywh as four finite px"),
        ("keypoints", None, "keypoints as a numpy array (14, 2) of numbers"),
        ("keypoints", POINTS.tolist(), "keypoints as a numpy array (14, 2)"),
        ("keypoints", POINTS[:13], "keypoints as a numpy array (14, 2)"),
        ("keypoints", POINTS.T, "(float32 (2, 14))"),
        ("keypoints", np.zeros((JOINTS, 3), np.float32), "keypoints as a numpy array (14, 2)"),
        ("keypoints", POINTS.astype(object), "keypoints as a numpy array (14, 2)"),
        ("keypoints", POINTS.astype(str), "keypoints as a numpy array (14, 2)"),
        (
            "keypoints",
            np.full((JOINTS, 2), np.nan, np.float32),
            "finite keypoints where visibility is not 0 (right_knee)",
        ),
        ("visibility", None, "visibility as a numpy array (14,)"),
        ("visibility", STATES[:13], "visibility as a numpy array (14,)"),
        ("visibility", STATES.tolist(), "visibility as a numpy array (14,)"),
        ("visibility", STATES > 0, "of 0 (unlabelled), 1 (occluded) and 2 (visible)"),
        ("visibility", STATES + 1, "of 0 (unlabelled), 1 (occluded) and 2 (visible)"),
        ("visibility", STATES - 2.5, "of 0 (unlabelled), 1 (occluded) and 2 (visible)"),
        ("visibility", np.full(JOINTS, -1), "of 0 (unlabelled), 1 (occluded) and 2 (visible)"),
        ("camera_xyz", POINTS, "camera_xyz as None or a numpy array (14, 3)"),
        ("camera_xyz", np.zeros((13, 3), np.float32), "camera_xyz as None or a numpy array (14, 3)"),
        ("camera_xyz", [[0, 0, 0]] * JOINTS, "camera_xyz as None or a numpy array (14, 3)"),
        ("camera", CAMERA.matrix, "camera as None or a geometry.Camera of finite numbers"),
        ("camera", {"fx": 1000}, "camera as None or a geometry.Camera"),
        ("camera", replace(CAMERA, fx=None), "camera as None or a geometry.Camera"),
        ("camera", replace(CAMERA, fx=np.nan), "camera as None or a geometry.Camera"),
        ("camera", replace(CAMERA, fy=0), "fx and fy above 0 px"),
        ("camera", replace(CAMERA, distortion=(0.0,) * 4), "distortion (5)"),
        ("camera", replace(CAMERA, rotation=np.eye(4)), "rotation (3, 3)"),
        ("camera", replace(CAMERA, translation_mm=np.full(3, np.inf)), "translation_mm (3)"),
        ("subject", 1, "subject, action and sequence as text"),
        ("action", None, "subject, action and sequence as text"),
        ("sequence", 7, "subject, action and sequence as text"),
        ("frame", None, "frame as a whole number of 32 bits, -1 for none, found None"),
        ("frame", 3.5, "frame as a whole number"),
        ("frame", 2**31, "frame as a whole number"),
        ("head_size", "9", "head_size as px or None, found '9' (str)"),
        ("upright", 6, "upright as True or False, found 6 (int)"),
    ],
)
def test_a_field_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: Any, expected: str
) -> None:
    """The third person has it."""
    people = (person(tmp_path, number, **({field: value} if number == 2 else {})) for number in range(4))
    line = refused(tmp_path, monkeypatch, people)
    assert line.startswith(f"{tmp_path}, record 'p2' of lsp train: expected ")
    assert expected in " ".join(line.split())


@pytest.mark.parametrize("key", [17, None, b"p", ""])
def test_a_key_that_is_no_text_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: object
) -> None:
    line = refused(tmp_path, monkeypatch, iter([person(tmp_path), person(tmp_path, key=key)]))
    assert f"record number 1 of lsp train: expected key as text, not empty, found {key!r}" in line


def test_what_is_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = refused(tmp_path, monkeypatch, iter([{"key": "p0"}]))
    assert "record number 0 of lsp train: expected a headstart.records.Annotation, found {'key': 'p0'} (dict)" in line
    line = refused(tmp_path, monkeypatch, None)
    assert "expected annotations(root, 'train') of lsp to yield people, found None" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"bbox_xywh": (1, 2, 30, 40)},
        {"bbox_xywh": [1.5, 2, 0, 40]},
        {"bbox_xywh": np.array([-5, -6, 30, 40], np.int64)},
        {"keypoints": np.ones((JOINTS, 2), np.float64)},
        {"keypoints": np.ones((JOINTS, 2), np.int32)},
        {"visibility": np.array([0] + [2] * (JOINTS - 1), np.int64)},
        {"visibility": np.array([0] + [1] * (JOINTS - 1), np.float64)},
        {"visibility": np.zeros(JOINTS, np.uint8)},
        {"camera_xyz": None, "camera": None},
        {"camera_xyz": np.full((JOINTS, 3), np.nan), "camera": None},
        {"camera": replace(CAMERA, rotation=np.eye(3).tolist(), translation_mm=[0, 0, 1], distortion=np.zeros(5))},
        {"subject": "", "action": "", "sequence": "", "frame": -1, "head_size": None},
        {"subject": np.str_("S1"), "frame": np.int64(7), "head_size": np.float32(3)},
        {"head_size": 7},
        {"upright": True},
        {"upright": np.bool_(True)},
    ],
)
def test_what_was_always_taken_still_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    people = [person(tmp_path, 0), person(tmp_path, 1, **changes)]
    (_, found) = opened(tmp_path, monkeypatch, iter(people))
    np.testing.assert_array_equal(found.bbox_xywh, np.asarray(people[1].bbox_xywh, np.float32))
    assert (found.frame, found.subject, found.head_size) == (people[1].frame, people[1].subject, people[1].head_size)


def test_a_camera_that_many_share_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lens:
        """Distortion of five zeros that counts how often it is looked at."""

        looked_at = 0

        def __iter__(self) -> Iterator[float]:
            Lens.looked_at += 1
            return iter([0.0] * 5)

    shared = replace(CAMERA, distortion=Lens())
    opened(tmp_path, monkeypatch, iter([person(tmp_path, number, camera=shared) for number in range(5)]))
    assert Lens.looked_at == 1 + 5, "once to check, and with each row that is written"
