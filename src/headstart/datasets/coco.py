"""COCO keypoints 2017: people in everyday scenes, 17 joints in 2D.

Source: https://cocodataset.org (Lin et al. 2014); labels CC BY 4.0, pictures under their Flickr licences.

Layout under ``root``: ``annotations/person_keypoints_train2017.json`` and ``person_keypoints_val2017.json``;
pictures in ``train2017/`` and ``val2017/``.

* Coordinates: keypoints are 0-based indices of pixels, so they are pixel centres as they stand: nothing is subtracted.
* Visibility: v is 0 not labelled, 1 labelled but occluded, 2 visible: the same three states as here.
  A joint with v = 0 has x = y = 0 in the file and becomes NaN.
* Box: the given ``bbox``, measured from the outer corner of the picture, as boxes are here. Where there is none, or
  one without area (below 1 px), it is that of the labelled joints.
* Splits: ``train2017`` and ``val2017``. Crowds (``iscrowd``) and people without a labelled joint are left out.
* Own data: ``iscrowd`` and ``bbox`` may be missing, ``num_keypoints`` is not read (joints are counted by their v), and
  a record without ``keypoints`` is left out.
* Head top, neck, pelvis and thorax are not labelled; pelvis and thorax follow from hips and shoulders in ``skeleton``.
* Key: picture and annotation id, ``000000493652.jpg#441444``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.files import load_json
from headstart.datasets.labels import field, joints_box, masked, numbers
from headstart.errors import DataError
from headstart.records import Annotation
from headstart.skeleton import COCO_17

SKELETON = COCO_17
SPLITS = ("train2017", "val2017")


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every labelled person of ``split`` in the order of the file."""
    path = root / "annotations" / f"person_keypoints_{split}.json"
    content = load_json(path, "COCO's person keypoints")
    names = _file_names(path, content)
    for record in _records(path, content, "annotations"):
        annotation_id = field(path, "annotations", record, "id")
        if record.get("iscrowd") or not record.get("keypoints"):
            continue
        image_id = field(path, annotation_id, record, "image_id")
        if image_id not in names:
            raise DataError(path, "an image_id listed in images", record=annotation_id, found=str(image_id))
        person = _person(path, root / split / names[image_id], annotation_id, record)
        if person is not None:
            yield person


def _records(path: Path, content: Any, name: str) -> list[Any]:
    """The list ``content[name]``; :class:`DataError` if it is not one."""
    records = field(path, "top level", content, name)
    if not isinstance(records, list):
        raise DataError(path, f"a list {name!r}", found=type(records).__name__)
    return records


def _file_names(path: Path, content: Any) -> dict[int, str]:
    """Image id -> file name."""
    images = _records(path, content, "images")
    return {field(path, "images", image, "id"): str(field(path, "images", image, "file_name")) for image in images}


def _person(path: Path, image: Path, annotation_id: int, record: dict[str, Any]) -> Annotation | None:
    """One record of ``annotations``; None without a labelled joint."""
    triples = numbers(path, annotation_id, "keypoints", record["keypoints"], (51,))
    points, states = triples.reshape(17, 3)[:, :2], triples.reshape(17, 3)[:, 2]
    if not np.isin(states, (0, 1, 2)).all():
        raise DataError(path, "visibility 0, 1 or 2", record=annotation_id, found=str(states.tolist()))
    if not states.any():
        return None
    # COCO's 0, 1, 2 are the values of Visibility: UNLABELLED, OCCLUDED, VISIBLE.
    visibility = states.astype(np.uint8)
    keypoints = masked(points, visibility)
    box = numbers(path, annotation_id, "bbox", record.get("bbox") or [0] * 4, (4,))
    return Annotation(f"{image.name}#{annotation_id}", image, _box(box, keypoints), keypoints, visibility)


def _box(given: NDArray[np.float64], keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """The given box (4,) xywh px, or that of the labelled joints where it has no area."""
    return given.astype(np.float32) if min(given[2:]) >= 1 else joints_box(keypoints)
