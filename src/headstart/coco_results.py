"""Poses of COCO's people as the JSON file that pycocotools scores: its OKS AP, in given boxes.

Format: "keypoint detection" of https://cocodataset.org/#format-results, a list of {image_id, category_id, keypoints,
score}. ``keypoints`` has x, y and confidence of each of COCO's 17 joints, in its order and in px of its image, whole
numbers at pixel centres, as in :mod:`headstart.datasets.coco`. ``score``, by which AP ranks people, is the mean
confidence of the joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.datasets.files import load_json
from headstart.errors import ConfigError
from headstart.files import write_json
from headstart.index import AnnotationIndex
from headstart.predictions import Predictions
from headstart.protocols import Protocol
from headstart.skeleton import COCO_17


def require_coco(protocol: Protocol, index: AnnotationIndex, joints: Sequence[str], limit: int | None) -> None:
    """Raises :class:`ConfigError` unless everybody of COCO is predicted, in its own images and with all its joints."""
    if protocol.dataset != "coco":
        raise ConfigError(f"--coco-results: expected a protocol of the data set coco, not of {protocol.dataset}")
    if limit is not None:
        raise ConfigError("--coco-results: expected everybody, as AP counts whoever is missing; leave out --limit")
    if len(index) and index.content(0) is not None:
        raise ConfigError(f"--coco-results: {index.root} is packed, in pixels of its own; give the original folder")
    if missing := [joint for joint in COCO_17.names if joint not in joints]:
        fix = "AP needs all 17; train on coco with --model.skeleton coco_17 or canonical"
        raise ConfigError(f"--coco-results: the model does not predict {', '.join(missing)}. {fix}")


def write_coco_results(path: Path, predictions: Predictions, root: Path, split: str) -> None:
    """Write what pycocotools' ``loadRes`` reads; ``root`` and ``split`` are those of the data set ``coco``."""
    labels = root / "annotations" / f"person_keypoints_{split}.json"
    image_ids = {str(one["id"]): one["image_id"] for one in load_json(labels, "COCO's person keypoints")["annotations"]}
    columns = [predictions.joints.index(joint) for joint in COCO_17.names]
    confidence = predictions.confidence[:, columns]
    triples = np.concatenate([predictions.keypoints[:, columns], confidence[..., None]], -1).astype(np.float64).round(3)
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
