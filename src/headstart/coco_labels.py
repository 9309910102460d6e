"""Predicted poses as labels in COCO's format: to be corrected in a labelling tool and read by the data set ``coco``.

Format: "object detection" and "keypoint detection" of https://cocodataset.org/#format-data. Pixels are those of the
upright image with whole numbers at pixel centres, boxes begin at the outer corner, as :mod:`headstart.datasets.coco`
reads them. ``segmentation`` is empty and ``area`` that of the box, as there is no outline; ``score`` is the person's.

Joints are COCO's 17, in its order, and those of the feet, as far as the model has them: no others, as ``coco`` and
``coco_feet`` read no others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.confidence import SURE_JOINT, UNSURE_JOINT
from headstart.datasets.boxes import inside
from headstart.datasets.labels import joints_box
from headstart.errors import ConfigError
from headstart.files import write_json
from headstart.records import Prediction
from headstart.skeleton import COCO_23, Skeleton

_DECIMALS = 4
_PERSON = 1
# Lines across the trunk, which COCO's joints lack: the middle joints between them are not COCO's.
_TRUNK = (
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
)


def labelled_joints(skeleton: Skeleton) -> tuple[str, ...]:
    """The joints of a model that are written, in the order of the file; :class:`ConfigError` if there are none."""
    joints = tuple(joint for joint in COCO_23.names if joint in skeleton.names)
    if not joints:
        raise ConfigError(f"--coco: expected a model with some of COCO's joints; it has {', '.join(skeleton.names)}")
    return joints


def shared_folder(pictures: Sequence[str]) -> Path:
    """The deepest folder that all pictures lie in, which file names are relative to.

    Raises :class:`ConfigError` where there is none: pictures on several drives of Windows.
    """
    try:
        return Path(os.path.commonpath([os.path.dirname(os.path.abspath(name)) for name in pictures]))
    except ValueError as error:
        raise ConfigError("--coco: expected images on one drive, as their names are relative to one folder") from error


class CocoLabels:
    """Labels of pictures, collected one by one."""

    def __init__(self, joints: Sequence[str], folder: Path) -> None:
        """``joints`` as of :func:`labelled_joints`, ``folder`` as of :func:`shared_folder`."""
        self.joints, self.folder = tuple(joints), folder
        self._images: list[dict[str, Any]] = []
        self._people: list[dict[str, Any]] = []

    def add(self, name: str, size: tuple[int, int], people: Sequence[Prediction]) -> None:
        """Label the picture file ``name`` of ``size`` (width, height) px, upright; it may show nobody."""
        file_name = Path(os.path.abspath(name)).relative_to(self.folder).as_posix()
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": file_name, "width": size[0], "height": size[1]})
        for person in people:
            about = {"id": len(self._people) + 1, "image_id": number, "category_id": _PERSON, "iscrowd": 0}
            self._people.append(about | self._labels(person, size))

    def write(self, path: Path) -> None:
        """Write the file, in one step."""
        content = {
            "info": {"description": "Predicted by headstart: correct it before you train on it"},
            "licenses": [],
            "images": self._images,
            "categories": [self._category()],
            "annotations": self._people,
        }
        write_json(path, content, indent=None)

    def _category(self) -> dict[str, Any]:
        """``skeleton`` counts joints from 1, as COCO's does."""
        skeleton = Skeleton("coco_labels", self.joints)
        trunk = [skeleton.indices(pair) for pair in _TRUNK if set(pair) <= set(self.joints)]
        bones = [[start + 1, end + 1] for start, end in (*skeleton.edges, *trunk)]
        names = {"id": _PERSON, "name": "person", "supercategory": "person"}
        return names | {"keypoints": list(self.joints), "skeleton": bones}

    def _labels(self, person: Prediction, size: tuple[int, int]) -> dict[str, Any]:
        """The fields of one person that say where they are."""
        points = np.array([person.keypoints[joint] for joint in self.joints], np.float64)
        states = visibility_of(points, size)
        box = _box(person, points[states > 0, :2], size)
        labelled = np.where(states[:, None] > 0, points[:, :2].round(_DECIMALS), 0.0)
        flat = [value for (x, y), state in zip(labelled.tolist(), states.tolist()) for value in (x, y, state)]
        return {
            "segmentation": [],
            "bbox": box,
            "area": round(box[2] * box[3], _DECIMALS),
            "keypoints": flat,
            "num_keypoints": int((states > 0).sum()),
            "score": round(person.score, _DECIMALS),
        }


def visibility_of(points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    """COCO's v (K,) of joints (K, 3) x, y px, confidence in a picture of ``size`` (width, height) px.

    0, not labelled, outside the picture and below :data:`UNSURE_JOINT`; 1 below :data:`SURE_JOINT`, else 2.
    """
    confidence = points[:, 2]
    states = 1 + (confidence >= SURE_JOINT).astype(np.int64)
    return np.where(inside(points[:, :2], size) & (confidence >= UNSURE_JOINT), states, 0)


def _box(person: Prediction, labelled: NDArray[np.float64], size: tuple[int, int]) -> list[float]:
    """The person's box; where that is the whole picture, which nobody was found in, that of the labelled joints."""
    box = person.bbox_xywh
    if box == (0, 0, *size) and len(labelled):
        box = tuple(joints_box(labelled).tolist())
    return [round(value, _DECIMALS) for value in box]
