"""Stick people with feet, written as COCO-WholeBody: three short bones at each ankle, in colours of their own.

Feet are larger than those of people, so that joints of a foot lie some pixels apart in small crops.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.skeleton import COCO_17, COCO_23, FEET
from sticks import Pose, draw, project, random_pose

#: mm sideways (away from the other foot) and up from the ankle, and BGR.
_PARTS = {
    "big_toe": ((-70, -230), (250, 250, 250)),
    "small_toe": ((200, -170), (40, 250, 250)),
    "heel": ((240, 40), (20, 130, 250)),
}


def with_feet(pose: Pose) -> Pose:
    """The pose with the joints of :data:`FEET`, and with the eyes and ears that COCO has."""
    to_left = (pose["left_hip"] - pose["right_hip"]) / np.linalg.norm(pose["left_hip"] - pose["right_hip"])
    more = {}
    for side, sign in (("left", 1), ("right", -1)):
        for part, ((sideways, up), _) in _PARTS.items():
            more[f"{side}_{part}"] = pose[f"{side}_ankle"] + sign * sideways * to_left + np.array([0, 0, up])
        for part, sideways in (("eye", 30), ("ear", 70)):
            more[f"{side}_{part}"] = pose["nose"] + sign * sideways * to_left
    return pose | more


def picture_of(pose: Pose, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (128, 128, 3), BGR."""
    image, pixels = draw(pose, rng), dict(zip(COCO_23.names, project(pose, COCO_23)))
    for joint in FEET:
        side, _, part = joint.partition("_")
        ends = [tuple(np.round(pixels[name]).astype(int).tolist()) for name in (f"{side}_ankle", joint)]
        cv2.line(image, *ends, _PARTS[part][1], 3, cv2.LINE_AA)
    return image


def write_coco_wholebody(root: Path, train: int, val: int, seed: int = 5) -> Path:
    """``coco_wholebody_train_v1.0.json``, ``..._val_v1.0.json`` and their pictures."""
    rng = np.random.default_rng(seed)
    (root / "annotations").mkdir(parents=True)
    for split, people in (("train", train), ("val", val)):
        (root / f"{split}2017").mkdir()
        labels = []
        for number in range(people):
            pose = with_feet(random_pose(rng))
            cv2.imwrite(str(root / f"{split}2017" / f"{number}.png"), picture_of(pose, rng))
            labels.append(_label(number, project(pose, COCO_23)))
        images = [{"id": number, "file_name": f"{number}.png"} for number in range(people)]
        categories = [{"id": 1, "name": "person", "keypoints": list(COCO_17.names)}]
        content = {"images": images, "annotations": labels, "categories": categories}
        (root / "annotations" / f"coco_wholebody_{split}_v1.0.json").write_text(json.dumps(content))
    return root


def _label(number: int, pixels: NDArray[np.float64]) -> dict[str, Any]:
    """One person's record: joints (23, 2) px, all visible."""
    triples = np.column_stack([pixels, np.full(len(pixels), 2)])
    body, feet = triples[: len(COCO_17)], triples[len(COCO_17) :]
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [*pixels.min(0).tolist(), *np.ptp(pixels, axis=0).tolist()],
        "keypoints": body.ravel().tolist(),
        "foot_kpts": feet.ravel().tolist(),
        "foot_valid": True,
    }
