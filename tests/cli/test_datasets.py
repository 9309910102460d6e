"""``headstart data`` as somebody uses it who has just written an adapter: what it prints, and when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart import datasets
from headstart.cli.datasets import data
from headstart.errors import ConfigError, DataError
from headstart.records import Annotation
from headstart.skeleton import H36M_17, Skeleton

Change = Callable[[Annotation], Annotation]


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stick_people_3d: Path) -> Callable[[Change, Change], None]:
    """Sets an adapter of stick people: ``train`` changed by the first, ``test`` by the second; a cache of its own."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    sound = {split: list(datasets.iter_annotations("h36m", stick_people_3d, split)) for split in ("train", "test")}

    def use(train: Change, test: Change) -> None:
        def annotations(root: Path, split: str) -> Iterator[Annotation]:
            return map({"train": train, "test": test}[split], sound[split])

        monkeypatch.setattr(datasets.adapter("h36m"), "annotations", annotations)

    return use


def as_it_is(person: Annotation) -> Annotation:
    return person


def in_metres(person: Annotation) -> Annotation:
    return replace(person, camera_xyz=person.camera_xyz / 1000)


def y_up(person: Annotation) -> Annotation:
    return replace(person, camera_xyz=person.camera_xyz * np.float32([1, -1, 1]))


def test_sound_labels_pass_and_are_described(
    adapter: Callable[[Change, Change], None], stick_people_3d: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter(as_it_is, as_it_is)
    data("h36m", stick_people_3d, "test", check=True)
    out = capsys.readouterr().out
    assert "h36m test: 8 people, 136 labelled joints (136 visible, 0 occluded), 136 in 3D" in out
    named = ", ".join(f"{joint} 8" for joint in ("right_ankle", "right_knee", "right_hip"))
    for kind in ("2D", "3D"):
        assert f"h36m test, {kind} labels: {named}, " in out
    assert "; none of neck, right_eye, left_eye, right_ear, left_ear\n" in out
    assert (
        "h36m test, 3D of 8 people: 492.5 mm from hip to shoulder; 0.0 px (0.0% of the box) from the 2D labels" in out
    )
    assert "as their cameras project them, 0 of 8 people beyond 10%; knees forward in " in out
    assert "8 images readable" in out
    assert "canonical" not in out


def test_the_check_fails_with_one_line_a_split(
    adapter: Callable[[Change, Change], None], stick_people_3d: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter(in_metres, y_up)
    with pytest.raises(ConfigError) as last:
        data("h36m", stick_people_3d, check=True)
    (first,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("headstart: "))
    assert first == (
        "headstart: h36m train: hip to shoulder measure 0.49 mm (median), expected 100 to 1,000; likely the labels are"
        " in metres"
    )
    (line,) = str(last.value).splitlines()
    assert line.startswith("h36m test: 3D joints projected by their cameras lie ")
    assert line.endswith("likely y points up (camera axes are x right, y down, z away)")


def test_without_the_check_it_is_said_and_no_failure(
    adapter: Callable[[Change, Change], None], stick_people_3d: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter(as_it_is, in_metres)
    data("h36m", stick_people_3d)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("headstart: "))
    assert line.startswith("headstart: h36m test: hip to shoulder measure 0.49 mm")


def test_json_says_the_same(
    adapter: Callable[[Change, Change], None], stick_people_3d: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter(as_it_is, y_up)
    with pytest.raises(ConfigError):
        data("h36m", stick_people_3d, check=True, json_output=True)
    found = json.loads(capsys.readouterr().out)
    before = ["people", "joints_visible", "joints_occluded", "joints_3d", "share_inside_crop", "unreadable"]
    for split, people in (("train", 16), ("test", 8)):
        assert list(found[split]) == [*before, "labels_2d", "labels_3d", "checks_3d", "joints_not_canonical"]
        assert found[split]["labels_3d"]["left_knee"] == people
        assert found[split]["labels_3d"]["neck"] == 0
        assert found[split]["checks_3d"]["projected"]["people"] == people
        assert found[split]["joints_not_canonical"] == []
    assert found["train"]["checks_3d"]["problems"] == []
    assert "likely y points up" in found["test"]["checks_3d"]["problems"][0]


def test_joints_that_nobody_knows_are_named(
    monkeypatch: pytest.MonkeyPatch,
    adapter: Callable[[Change, Change], None],
    stick_people_3d: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    adapter(as_it_is, as_it_is)
    names = tuple({"spine": "navel", "head_top": "hat"}.get(joint, joint) for joint in H36M_17.names)
    monkeypatch.setattr(datasets.adapter("h36m"), "SKELETON", Skeleton("own", names))
    data("h36m", stick_people_3d)
    assert "h36m: not used, as no canonical joint has the name: navel, hat" in capsys.readouterr().out
    data("h36m", stick_people_3d, "train", json_output=True)
    assert json.loads(capsys.readouterr().out)["train"]["joints_not_canonical"] == ["navel", "hat"]


def test_a_record_that_is_wrong_is_one_line(adapter: Callable[[Change, Change], None], stick_people_3d: Path) -> None:
    adapter(as_it_is, lambda person: replace(person, bbox_xywh=None))
    with pytest.raises(DataError, match=r"of h36m test: expected bbox_xywh as four finite px.*, found None"):
        data("h36m", stick_people_3d, "test")
