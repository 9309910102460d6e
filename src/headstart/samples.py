"""Pictures with labels and predictions of a trained model, small enough to be kept beside its result."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from headstart.checkpoint import load_model
from headstart.errors import DataError, first_line
from headstart.evaluate import predict, protocol_rows
from headstart.experiment import Experiment
from headstart.files import write_atomically
from headstart.geometry import Crop, root_relative
from headstart.images import encode_image
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import mean_over_joints
from headstart.models.pose_net import PoseNet
from headstart.protocols import Protocol, protocol
from headstart.scale_rules import lift_with_labels, xyz_labels
from headstart.skeleton import WITH_FEET

#: Pictures a protocol, their side in px, and the quality of their JPEGs: some 50 kB a protocol.
PEOPLE, SIDE, QUALITY = 12, 160, 80


def write_samples(
    checkpoint: Path, experiment: Experiment, protocols: tuple[str, ...], path: Path, *, add: bool = False
) -> None:
    """Predict the same few people of each protocol's test set, and write one .npz without pickles.

    With ``add`` the protocols in ``path`` are kept, and only those that it lacks are predicted and appended.

    Arrays, N people, J joints: ``jpegs`` (bytes of files, one after another) and ``offsets`` (N + 1,); ``keys``,
    ``protocol`` (N,); ``joints`` (J,); ``label_2d``, ``predicted_2d`` (N, J, 2) crop px; ``label_visible`` (N, J) of
    :class:`~headstart.records.Visibility`; ``confidence`` (N, J); ``label_3d``, ``predicted_3d`` (N, J, 3) mm from the
    pelvis in camera axes, NaN where unknown; ``error_mm``, ``error_2d`` (N,): mean distance in mm and in crop px.
    """
    parts = [_parts_of(path)] if add and path.is_file() else []
    there = {name for part in parts for name in part["protocol"].tolist()}
    if not (wanted := [name for name in protocols if name not in there]):
        return
    model, _ = load_model(checkpoint)
    roots = {one.protocol: Path(one.root) for one in experiment.validation}
    parts += [_people(model, protocol(name), roots[name]) for name in wanted]
    jpegs = [jpeg for part in parts for jpeg in part.pop("jpegs")]
    arrays: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    stream = BytesIO()
    np.savez_compressed(
        stream,
        jpegs=np.concatenate(jpegs),
        offsets=np.cumsum([0, *map(len, jpegs)]),
        joints=np.array(model.skeleton.names),
        **arrays,
    )
    write_atomically(path, stream.getvalue())


def _parts_of(path: Path) -> dict[str, Any]:
    """What :func:`_people` returned, of all the protocols in a file; raises :class:`DataError` if it is broken."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = dict(found)
        ends = arrays.pop("offsets")
        del arrays["joints"]
        return {**arrays, "jpegs": np.split(arrays["jpegs"], ends[1:-1])}
    except (OSError, EOFError, TypeError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            path, "samples of a cell", found=first_line(error), fix="Remove it and run this again"
        ) from error


def _people(model: PoseNet, wanted: Protocol, root: Path) -> dict[str, Any]:
    index = open_index(wanted.dataset, root, wanted.split)
    rows = protocol_rows(index, wanted, PEOPLE)
    found = predict(model, model.codec, index, rows, flip_test=wanted.flip_test, decode=wanted.decode)
    people = [index[int(row)].with_feet() for row in rows]
    columns = WITH_FEET.indices(found.joints)
    crops = [Crop.from_box(person.bbox_xywh, (SIDE, SIDE)) for person in people]
    label = np.stack([crop.to_crop(person.keypoints[columns]) for crop, person in zip(crops, people)])
    predicted = np.stack([crop.to_crop(keypoints) for crop, keypoints in zip(crops, found.keypoints)])
    xyz = xyz_labels(people).astype(np.float32)  # as labels are kept
    label_3d = root_relative(xyz, WITH_FEET.index("pelvis")).take(columns, 1).astype(np.float64)
    predicted_3d = np.full_like(label_3d, np.nan)
    if np.isfinite(label_3d).any():
        predicted_3d[:] = root_relative(lift_with_labels(found, people), found.joints.index("pelvis"))
    return {
        "jpegs": [_jpeg(index, int(row), crop) for row, crop in zip(rows, crops)],
        "keys": np.array(found.keys),
        "protocol": np.array([wanted.name] * len(rows)),
        "label_2d": label,
        "label_visible": np.stack([person.visibility[columns] for person in people]),
        "predicted_2d": predicted,
        "confidence": found.confidence,
        "label_3d": label_3d,
        "predicted_3d": predicted_3d,
        "error_mm": mean_over_joints(np.linalg.norm(label_3d - predicted_3d, axis=-1)),
        "error_2d": mean_over_joints(np.linalg.norm(label - predicted, axis=-1)),
    }


def _jpeg(index: AnnotationIndex, row: int, crop: Crop) -> NDArray[np.uint8]:
    return np.frombuffer(encode_image(crop.warp(index.image(row)), QUALITY), np.uint8)
