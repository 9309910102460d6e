"""People of whom everything is known, and a network that knows it: what is around it can then be tested exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Camera, Crop
from headstart.lifting import BONE_FRACTIONS, TRUNK_FRACTION
from headstart.records import CropJoints
from headstart.skeleton import BODY_18, Skeleton
from sticks import ROTATION, points_of, random_pose

Values = NDArray[np.float64]


class Oracle:
    """Answers with known joints: ``people`` holds, in the order of the crops, box and joints (J, 3) in image px."""

    skeleton: Skeleton = BODY_18

    def __init__(
        self, people: Sequence[tuple[Sequence[float], Values]], input_size: tuple[int, int] = (192, 256)
    ) -> None:
        self.people, self.input_size, self.batches = list(people), input_size, []

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        assert crops.shape[1:] == (*self.input_size[::-1], 3)
        assert crops.dtype == np.uint8
        first = sum(self.batches)
        self.batches.append(len(crops))
        points, depths = [], []
        for box, joints in self.people[first : first + len(crops)]:
            crop = Crop.from_box(np.array(box), self.input_size)
            points.append(crop.to_crop(joints[:, :2]))
            depths.append(joints[:, 2] * crop.scale / self.input_size[0])
        confidence = np.full((len(crops), len(self.skeleton)), 0.9, np.float32)
        return CropJoints(np.array(points, np.float32), np.array(depths, np.float32), confidence)


def person(turn_left_degrees: float = 0.0, seed: int = 3) -> Values:
    """A person (18, 3) in camera axes, mm, pelvis at the origin: facing the camera, then turned to his own left."""
    points = points_of(random_pose(np.random.default_rng(seed)), BODY_18)
    shoulders = points[BODY_18.index("left_shoulder")] - points[BODY_18.index("right_shoulder")]
    now = np.arctan2(shoulders[1], shoulders[0])
    # World axes: z up, the camera looks along -y, so that the left of someone who faces it is at -x.
    angle = np.pi - now + np.deg2rad(turn_left_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return (points - points[BODY_18.index("pelvis")]) @ turn.T @ ROTATION.T


def stature(points: Values) -> float:
    """mm: the stature at which the convention of ``headstart.lifting`` gives this body (18, 3) its true size."""
    hips, shoulders = (
        points[BODY_18.indices((f"left_{joint}", f"right_{joint}"))].mean(0) for joint in ("hip", "shoulder")
    )
    bones = [points[BODY_18.index(a)] - points[BODY_18.index(b)] for a, b in BONE_FRACTIONS]
    total = sum(float(np.linalg.norm(bone)) for bone in (*bones, hips - shoulders))
    return total / (sum(BONE_FRACTIONS.values()) + TRUNK_FRACTION)


def seen_by(camera: Camera, points_mm: Values) -> Values:
    """Joints (18, 3) in camera axes, mm, as a perfect network would give them: x, y px and relative depth in px."""
    root = points_mm[BODY_18.index("pelvis"), 2]
    depth = (points_mm[:, 2] - root) * (camera.fx + camera.fy) / 2 / root
    return np.concatenate([camera.project(points_mm), depth[:, None]], 1)


def box_of(joints: Values) -> list[float]:
    """[x, y, width, height] px around joints (J, 2 or 3)."""
    low, high = joints[:, :2].min(0), joints[:, :2].max(0)
    return [*(low - 8.0).tolist(), *(high - low + 16.0).tolist()]
