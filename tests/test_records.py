"""Records: the scale of a person's labels, and what of a batch goes to another device."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.geometry import Camera
from headstart.records import Annotation, Batch
from headstart.skeleton import CANONICAL, WITH_FEET

JOINTS = len(CANONICAL)
PELVIS = CANONICAL.index("pelvis")


def person_of(**changes: Any) -> Annotation:
    """A person without a camera, whose 2D joints are x and y of the 3D ones, 0.1 px per mm."""
    xyz = np.random.default_rng(0).uniform(-900, 900, (JOINTS, 3)).astype(np.float32)
    keypoints, visibility = xyz[:, :2] / 10 + 100, np.full(JOINTS, 2, np.uint8)
    box = np.array([0, 0, 200, 200], np.float32)
    return replace(Annotation("one", Path("one.png"), box, keypoints, visibility, xyz), **changes)


class TestPixelsPerMm:
    def test_with_a_camera_it_is_focal_length_over_depth(self):
        person = person_of(camera=Camera(1000, 1100, 64, 64))
        assert person.camera_xyz is not None
        person.camera_xyz[:, 2] += 5000 - person.camera_xyz[PELVIS, 2]
        assert person.pixels_per_mm() == pytest.approx(1050 / 5000)

    def test_without_a_camera_it_is_fitted_to_labelled_joints_only(self):
        person = person_of()
        assert person.pixels_per_mm() == pytest.approx(0.1)
        for point in (0.0, np.nan, 1e4):
            person.visibility[:9] = 0
            person.keypoints[:9] = point
            assert person.pixels_per_mm() == pytest.approx(0.1)
        assert person.camera_xyz is not None
        person.camera_xyz[9] = np.nan
        assert person.pixels_per_mm() == pytest.approx(0.1)

    def test_feet_do_not_change_it(self):
        person = person_of().with_feet()
        assert person.camera_xyz is not None
        person.visibility[JOINTS:] = 2
        person.keypoints[JOINTS:] = np.random.default_rng(1).uniform(0, 200, (len(WITH_FEET) - JOINTS, 2))
        person.camera_xyz[JOINTS:] = 0
        assert person.pixels_per_mm() == person_of().pixels_per_mm()

    def test_no_data_no_scale(self):
        assert person_of(camera_xyz=None).pixels_per_mm() == 0
        person = person_of()
        person.visibility[1:] = 0
        assert person.pixels_per_mm() == 0
        flat = person_of()
        assert flat.camera_xyz is not None
        flat.camera_xyz[:, :2] = 7
        assert flat.pixels_per_mm() == 0


def batch_of(people: int = 2) -> Batch:
    ones = torch.ones(people, JOINTS)
    return Batch(
        image=torch.zeros(people, 3, 8, 8, dtype=torch.uint8),
        keypoints=torch.zeros(people, JOINTS, 2),
        weight_2d=ones,
        xyz=torch.zeros(people, JOINTS, 3),
        weight_3d=ones,
        pixels_per_mm=torch.ones(people),
        crop=torch.zeros(people, 2, 3, dtype=torch.float64),
        row=torch.arange(people),
        dataset=torch.zeros(people, dtype=torch.int64),
        readable=torch.ones(people, dtype=torch.bool),
    )


class TestBatch:
    def test_what_only_the_cpu_reads_stays_there(self):
        moved = batch_of().to("meta")
        stayed = [one.name for one in fields(Batch) if getattr(moved, one.name).device.type == "cpu"]
        assert stayed == ["crop", "row", "dataset", "readable"]
        assert {getattr(moved, one.name).device.type for one in fields(Batch)} == {"cpu", "meta"}

    @pytest.mark.parametrize(
        ("device", "asynchronous"),
        [("cuda", True), ("cuda:1", True), (torch.device("cuda", 0), True), ("mps", False), ("cpu", False)],
    )
    def test_copies_are_asynchronous_on_cuda_alone(self, device: torch.device | str, asynchronous: bool):
        """To a Mac's GPU such a copy may read memory that was freed meanwhile."""
        asked = []

        class Spy:
            def to(self, to: Any, non_blocking: bool) -> Spy:
                asked.append((to, non_blocking))
                return self

        spies: Any = {one.name: Spy() for one in fields(Batch)}
        Batch(**spies).to(device)
        assert asked == [(device, asynchronous)] * 6
