"""Poses of COCO's people as the JSON file that pycocotools scores: its OKS AP, in given boxes.

Format: "keypoint detection" of https://cocodataset.org/#format-results, a list of {image_id, category_id, keypoints,
score}. ``keypoints`` has x, y and confidence of each of COCO's 17 joints, in its order and in px of its image, whole
numbers at pixel centres, as in :mod:`headstart.datasets.coco`. ``score``, by which AP ranks people, is the mean
confidence of the joints.

Area, crowds and people without labels, which OKS and AP need too, are read by pycocotools from COCO's own file of
labels. A packed split needs this file as well, without the images: it has each person's box in the pixels of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets import iter_annotations
from headstart.datasets.coco import people_of
from headstart.datasets.files import load_json
from headstart.errors import ConfigError, DataError
from headstart.files import write_json
from headstart.index import AnnotationIndex
from headstart.predictions import Predictions
from headstart.protocols import Protocol
from headstart.records import Annotation
from headstart.skeleton import COCO_17

#: Labels of a packed split that are no farther than this, in px of COCO's images, are those of the file.
_ROUNDING = 0.1


def require_coco(
    protocol: Protocol, index: AnnotationIndex, root: Path, joints: Sequence[str], limit: int | None
) -> None:
    """Raises :class:`ConfigError` unless everybody of COCO is predicted, with all its joints.

    ``root`` is the folder that was given. A packed split needs COCO's file of labels in it, with the same people and
    labels: :class:`DataError` if they are others. The file must have COCO's 17 joints in its order.
    """
    if protocol.dataset != "coco":
        raise ConfigError(f"--coco-results: expected a protocol of the data set coco, not of {protocol.dataset}")
    if limit is not None:
        raise ConfigError("--coco-results: expected everybody, as AP counts whoever is missing; leave out --limit")
    if missing := [joint for joint in COCO_17.names if joint not in joints]:
        fix = "AP needs all 17; train on coco with --model.skeleton coco_17 or canonical"
        raise ConfigError(f"--coco-results: the model does not predict {', '.join(missing)}. {fix}")
    if _is_packed(index):
        _require_same_labels(index, root, protocol.split)
    _require_coco_joints(_labels(root, protocol.split))


def write_coco_results(path: Path, predictions: Predictions, index: AnnotationIndex, root: Path, split: str) -> None:
    """Write what pycocotools' ``loadRes`` reads, after :func:`require_coco`; ``split`` is one of the data set coco."""
    labels = load_json(_labels(root, split), "COCO's person keypoints")
    image_ids = {str(one["id"]): one["image_id"] for one in labels["annotations"]}
    columns = [predictions.joints.index(joint) for joint in COCO_17.names]
    keypoints: NDArray[np.floating] = predictions.keypoints[:, columns]
    if _is_packed(index):
        keypoints = _in_images(predictions.keys, keypoints, index, _people(root, split))
    confidence = predictions.confidence[:, columns]
    triples = np.concatenate([keypoints, confidence[..., None]], -1).astype(np.float64).round(3)
    found: list[dict[str, Any]] = [
        {
            "image_id": image_ids[key.rpartition("#")[2]],
            "category_id": 1,
            "keypoints": triple.ravel().tolist(),
            "score": score,
        }
        for key, triple, score in zip(predictions.keys, triples, confidence.mean(1).tolist())
    ]
    write_json(path, found, indent=None)


def _require_coco_joints(labels: Path) -> None:
    """Raise :class:`ConfigError` unless people have COCO's 17 joints in its order: pycocotools compares by place."""
    if people_of(labels, load_json(labels, "COCO's person keypoints")).joints != COCO_17.names:
        raise ConfigError(f"--coco-results: expected COCO's 17 joints in its order in {labels}, found others")


def _is_packed(index: AnnotationIndex) -> bool:
    return len(index) > 0 and index.content(0) is not None


def _labels(root: Path, split: str) -> Path:
    return root / "annotations" / f"person_keypoints_{split}.json"


def _people(root: Path, split: str) -> dict[str, Annotation]:
    """Everybody of COCO's file, by key, in pixels of COCO's images."""
    return {person.key: person for person in iter_annotations("coco", root, split)}


def _require_same_labels(index: AnnotationIndex, root: Path, split: str) -> None:
    labels, keys = _labels(root, split), index.column("key").tolist()
    if not labels.is_file():
        raise ConfigError(
            f"--coco-results: {index.root} is packed, in pixels of its own: expected {labels}, which has the boxes in"
            " pixels of COCO's images, found none. Copy it there from the original folder, or give that as --root"
        )
    people, fix = _people(root, split), "Give the file and the split as they were when it was packed"
    if others := people.keys() ^ set(keys):
        found = f"{len(others)} who are not in both"
        raise DataError(labels, f"the people of {index.root}, packed", record=min(others), found=found, fix=fix)
    packed = index.column("keypoints")[:, index.skeleton.indices(COCO_17.names)]
    distance = np.abs(_in_images(keys, packed, index, people) - [people[key].keypoints for key in keys])
    for key in np.array(keys)[(distance > _ROUNDING).any((1, 2))][:1]:
        raise DataError(labels, f"the labels of {index.root}, packed", record=key, found="others", fix=fix)


def _in_images(
    keys: Sequence[str], points: NDArray[np.floating], index: AnnotationIndex, people: dict[str, Annotation]
) -> NDArray[np.float64]:
    """Points (N, J, 2) of ``keys`` in pixels of COCO's images, by the box of each person there and in ``index``."""
    packed = dict(zip(index.column("key"), index.column("bbox")))
    here = np.array([packed[key] for key in keys], np.float64)[:, None]
    there = np.array([people[key].bbox_xywh for key in keys], np.float64)[:, None]
    return (points + 0.5 - here[..., :2]) / here[..., 2:] * there[..., 2:] + there[..., :2] - 0.5
