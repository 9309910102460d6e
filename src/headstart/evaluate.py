"""Predictions of a network, and their scores under a protocol.

Predictions are in image pixels with the key of each person, so any protocol of the same data can score them later.
Predictions and labels are always matched by key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstart import metrics
from headstart.caveats import caveats_of_form, caveats_of_labels, caveats_of_training
from headstart.errors import ConfigError, DataError
from headstart.index import AnnotationIndex
from headstart.loader import CropDataset, build_eval_loader
from headstart.predictions import Predictions, in_order
from headstart.protocols import METRICS, PROTOCOLS, Metric, Protocol
from headstart.records import Annotation, PoseOutput, Visibility
from headstart.results import Scores
from headstart.sampling import evenly_spread
from headstart.scale_rules import have_scale, labels_give_scale, lift_with_labels, xyz_labels
from headstart.skeleton import H36M_17, MODEL_SKELETONS, MPII_16, WITH_FEET
from headstart.targets import Decoding, HeatmapCodec, average_outputs, mirror_output

Forward = Callable[[Tensor], PoseOutput]

#: How a protocol's description calls predictions that do not say how they were made, and those in mm.
_OTHERS_PREDICTION = "another system's, made in its own way"
_OWN_MM = "predictions are in mm, as they came"
_UNIT_NAMES = {"mm": "mm", "%": "percent"}


def protocol_rows(index: AnnotationIndex, protocol: Protocol, limit: int | None = None) -> NDArray[np.int64]:
    """Rows of the index that a protocol scores; ``limit`` takes that many, evenly spread (for quick looks only).

    People whose distribution gives no frame number (-1) are all kept.
    """
    frames = index.column("frame")
    rows = np.flatnonzero((frames % protocol.frame_stride == 0) | (frames < 0))
    if limit is not None:
        rows = rows[evenly_spread(len(rows), limit)]
    return rows.astype(np.int64)


def aim(protocol: Protocol, dataset: str | None, split: str | None) -> Protocol:
    """The protocol for another data set or split, where one is given: ``lsp_pck on my_data.office val`` by name.

    What belongs to its own data set is left out for another one: all frames are scored, and recordings have no scenes.
    """
    dataset, split = dataset or protocol.dataset, split or protocol.split
    if (dataset, split) == (protocol.dataset, protocol.split):
        return protocol
    aimed = replace(protocol, name=f"{protocol.name} on {dataset} {split}", dataset=dataset, split=split, subset="")
    if dataset == protocol.dataset:
        return aimed
    all_frames = f"all frames, not one in {protocol.frame_stride}" if protocol.frame_stride > 1 else ""
    # Without scenes, each subject is one of its own.
    groups = tuple(dict.fromkeys("subject" if name == "scene" else name for name in protocol.group_by))
    return replace(aimed, subset=all_frames, frame_stride=1, scenes=(), group_by=groups)


@torch.inference_mode()
def predict(
    model: Forward,
    codec: HeatmapCodec,
    index: AnnotationIndex,
    rows: NDArray[np.int64],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    workers: int = 0,
    flip_test: bool = True,
    decode: Decoding = "subpixel",
    on_progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """Poses of ``rows``; ``model`` must be in eval mode. ``flip_test`` averages with the mirrored image's output.

    Raises :class:`DataError` naming the people whose image cannot be read: a score without them would not be one.
    """
    dataset = CropDataset([index], codec.skeleton, codec.input_size)
    on_cuda = torch.device(device).type == "cuda"
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    crops, readable, done = [], [], 0
    for batch in build_eval_loader(dataset, rows, batch_size, workers, pin_memory=on_cuda):
        output = forward_with_flip(model, batch.to(device).image, codec, flip_test)
        # Mixed precision is for the network: in bf16 a joint of a large crop would count in whole pixels.
        with torch.autocast(torch.device(device).type, enabled=False):
            decoded = codec.decode(output, decode)
        # Results stay on the device until the end: fetching them here would make it wait for each batch.
        found.append((decoded.keypoints, decoded.depth, decoded.confidence))
        crops.append(batch.crop)
        readable.append(batch.readable)
        done += len(batch.row)
        on_progress(done)
    keys = index.column("key")[rows].tolist()
    _require_readable(index, rows, torch.cat(readable).numpy())
    keypoints, depth, confidence = (torch.cat(part).float().cpu().numpy() for part in zip(*found))
    matrices = torch.cat(crops).numpy()
    scale = np.sqrt(np.abs(np.linalg.det(matrices[:, :, :2])))
    return Predictions(
        keys,
        codec.skeleton.names,
        _to_image(matrices, keypoints),
        (depth * codec.input_size[0] / scale[:, None]).astype(np.float32),
        confidence,
        {"decode": decode, "flip_test": flip_test},
    )


def forward_with_flip(model: Forward, image: Tensor, codec: HeatmapCodec, flip_test: bool) -> PoseOutput:
    """The output for images (B, 3, H, W), averaged with that of their mirror images if ``flip_test``."""
    output = model(image)
    if not flip_test:
        return output
    return average_outputs(output, mirror_output(model(image.flip(-1)), codec.skeleton, codec.map_size[1]))


def score(predictions: Predictions, index: AnnotationIndex, protocol: Protocol, rows: NDArray[np.int64]) -> Scores:
    """Predictions against the labels of ``rows`` under a protocol.

    Raises :class:`DataError` if a person has no prediction or a label that the protocol needs is missing
    altogether, :class:`ConfigError` if the model does not predict a joint or was decoded in another way.
    """
    made, wanted = predictions.about.get("decode", "subpixel"), protocol.decode
    if made != wanted:
        raise ConfigError(f"protocol {protocol.name} needs predictions decoded by {wanted!r}, these are by {made!r}")
    if not len(rows):
        expected = f"people whom protocol {protocol.name} scores ({protocol.describe().split('. ')[0]})"
        raise DataError(index.root, expected, found=f"none of {len(index):,}")
    people = _People.of(index, rows, predictions)
    values = _values(protocol.metric, people, protocol)
    joints = H36M_17.names if protocol.metric == "zhou2017_mpjpe" else protocol.joints
    if np.isnan(values).all():
        raise DataError(index.root, f"labels that protocol {protocol.name} scores", found="none")
    groups = [people.groups(name, protocol) for name in protocol.group_by]
    if protocol.average == "groups" and not any(groups[0]):
        expected = f"an {protocol.group_by[0]} for each person, over which {protocol.name} takes its mean"
        raise DataError(index.root, expected, found="none in this form of the data set")
    within: metrics.Average = "frames" if protocol.average == "groups" else protocol.average
    return Scores(
        protocol=protocol.name,
        description=_description(protocol, people, index, values, joints),
        metric=protocol.metric,
        unit=protocol.unit,
        value=metrics.summarise(values, protocol.average, *groups[:1]),
        better=protocol.better,
        n=int((~np.isnan(values).all(1)).sum()),
        per_joint=metrics.per_joint(values, joints),
        per_action={k: v for group in groups for k, v in metrics.grouped(values, group, within).items() if k},
        strata=_strata(values, people, joints),
        others=_others(people, protocol, groups),
        dataset=protocol.dataset,
        split=protocol.split,
    )


def _description(
    protocol: Protocol, people: _People, index: AnnotationIndex, values: NDArray[np.float64], joints: Sequence[str]
) -> str:
    """The protocol's description, with the limits of these predictions and labels."""
    predictions = people.predictions
    everybody, lifted = protocol_rows(index, protocol), predictions.xyz_mm is None
    made = "" if "decode" in predictions.about else _OTHERS_PREDICTION
    if protocol.name not in PROTOCOLS:  # whose descriptions stay as they are: reports compare them with earlier ones
        there = tuple(name for name in protocol.group_by if any(people.groups(name, protocol)))
        occluded = protocol.by_visibility and bool(_strata(values, people, joints))
        protocol = replace(protocol, group_by=there, by_visibility=occluded)
    said = protocol.describe(made, scale="" if lifted or not protocol.is_3d else _OWN_MM)
    if scales := predictions.about.get("scales"):
        said += f" Multi-scale testing: the mean of maps at scales {', '.join(f'{scale:g}' for scale in scales)}."
    if precision := predictions.about.get("precision"):
        said += f" Precision of the network: {precision}."
    caveats = caveats_of_form(protocol, people.annotations, index, everybody, lifted=lifted)
    known = caveats_of_training(protocol, predictions.about.get("trained_on") or ())
    return " ".join((said, *known, *caveats, *caveats_of_labels(protocol, values, joints)))


@dataclass(frozen=True)
class _People:
    """Predictions of the people to be scored, and their labels, in the joints of ``skeleton.WITH_FEET``."""

    predictions: Predictions
    annotations: list[Annotation]
    keypoints: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    xyz: NDArray[np.float64]

    @classmethod
    def of(cls, index: AnnotationIndex, rows: NDArray[np.int64], predictions: Predictions) -> _People:
        people = [index[int(row)].with_feet() for row in rows]
        return cls(
            in_order(predictions, [person.key for person in people]),
            people,
            np.array([person.keypoints for person in people], np.float64),
            np.array([person.visibility for person in people]),
            xyz_labels(people),
        )

    @cached_property
    def poses_in_mm(self) -> NDArray[np.floating]:
        """The predictions (N, J, 3) as several metrics read them."""
        given = self.predictions.xyz_mm
        return lift_with_labels(self.predictions, self.annotations) if given is None else given

    def groups(self, name: str, protocol: Protocol) -> list[str]:
        if name == "scene":
            return [protocol.scene(person.subject) for person in self.annotations]
        return [str(getattr(person, name)) for person in self.annotations]


def _others(people: _People, protocol: Protocol, groups: Sequence[Sequence[str]]) -> dict[str, float]:
    """The metrics and thresholds beside the value, by name and unit, averaged as it is."""
    predictions, found = people.predictions, dict[str, NDArray[np.float64]]()
    complete = set(protocol.joints) <= set(predictions.joints)
    # With the 16 joints of Zhou et al. 2017, or without a scale, there is the published figure and none beside it.
    if complete and (predictions.xyz_mm is not None or have_scale(people.annotations)):
        units = {metric: _UNIT_NAMES[METRICS[metric].unit] for metric in protocol.companions}
        found = {f"{metric}_{unit}": _values(metric, people, protocol) for metric, unit in units.items()}
    found |= {name: _values(at.metric, people, at) for name, at in protocol.at_other_thresholds().items()}
    return {name: metrics.summarise(values, protocol.average, *groups[:1]) for name, values in found.items()}


def _values(metric: Metric, people: _People, protocol: Protocol) -> NDArray[np.float64]:
    """Per-joint values (N, J) of a metric in its unit, NaN where there is no label."""
    predictions = people.predictions
    if metric in ("pck", "pckh"):
        return _values_2d(people, protocol)
    if metric == "zhou2017_mpjpe":
        # The published labels put Human3.6M's thorax into MPII's neck slot, and the figure reads it there.
        slots = ["thorax" if joint == "neck" else joint for joint in MPII_16.names]
        columns = _columns(predictions, slots)
        pose = np.concatenate([predictions.keypoints, predictions.depth[..., None]], -1)[:, columns]
        truth = people.xyz[:, WITH_FEET.indices(H36M_17.names)]
        return metrics.zhou2017_mpjpe(pose, truth, np.asarray(np.isfinite(truth).all(-1)))
    needed = tuple(dict.fromkeys((*protocol.joints, protocol.root or "pelvis")))
    columns = _columns(predictions, needed)
    pose = people.poses_in_mm[:, columns]
    truth = people.xyz[:, WITH_FEET.indices(needed)]
    known, root = np.asarray(np.isfinite(truth).all(-1)), needed.index(protocol.root or "pelvis")
    known &= labels_give_scale(people.xyz)[:, None]
    scored = np.array([joint in protocol.joints for joint in needed])
    if metric == "pa_mpjpe":
        errors = metrics.pa_mpjpe(pose, truth, known, scored)
    else:
        errors = (metrics.n_mpjpe if metric == "n_mpjpe" else metrics.mpjpe)(pose, truth, known, root, scored)
    errors = errors[:, : len(protocol.joints)]
    if metric == "pck3d":
        return metrics.pck3d(errors, protocol.threshold or metrics.PCK3D_THRESHOLD_MM) * 100
    return metrics.auc(errors) * 100 if metric == "auc" else errors


def _values_2d(people: _People, protocol: Protocol) -> NDArray[np.float64]:
    predictions, labelled = people.predictions, people.visibility > 0
    if protocol.reference == "head_size":
        sizes = [np.nan if person.head_size is None else person.head_size for person in people.annotations]
        reference = np.array(sizes, np.float64)
    else:
        reference = metrics.torso_size(people.keypoints, labelled, WITH_FEET)
    joints = WITH_FEET.indices(protocol.joints)
    pose = predictions.keypoints[:, _columns(predictions, protocol.joints)]
    assert protocol.threshold is not None
    return metrics.pck(pose, people.keypoints[:, joints], labelled[:, joints], reference, protocol.threshold) * 100


def _columns(predictions: Predictions, joints: Sequence[str]) -> list[int]:
    missing = ", ".join(joint for joint in joints if joint not in predictions.joints)
    if missing and "decode" not in predictions.about:
        raise ConfigError(f"the predictions lack {missing}, which the protocol needs")
    if missing:
        fitting = " or ".join(name for name, one in MODEL_SKELETONS.items() if set(joints) <= set(one.names))
        raise ConfigError(f"the model does not predict {missing}; train with --model.skeleton {fitting}")
    return [predictions.joints.index(joint) for joint in joints]


def _strata(values: NDArray[np.float64], people: _People, joints: Sequence[str]) -> dict[str, float]:
    """Visible and occluded joints apart, where the data set knows occluded ones."""
    visibility = people.visibility[:, WITH_FEET.indices(tuple(joints))]
    masks = {"visible": visibility == Visibility.VISIBLE, "occluded": visibility == Visibility.OCCLUDED}
    return metrics.strata(values, masks) if masks["occluded"].any() else {}


def _to_image(matrices: NDArray[np.float64], keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Crop px (N, J, 2) -> image px by the inverse of each (2, 3) matrix."""
    linear = np.linalg.inv(matrices[:, :, :2])
    centred = keypoints.astype(np.float64) - matrices[:, None, :, 2]
    return np.einsum("njc,ndc->njd", centred, linear).astype(np.float32)


def _require_readable(index: AnnotationIndex, rows: NDArray[np.int64], readable: NDArray[np.bool_]) -> None:
    if not readable.all():
        broken = [index[int(row)].key for row in rows[~readable][:5]]
        found = f"{(~readable).sum()} that cannot: {', '.join(broken)}"
        raise DataError(index.root, "images that can be read", found=found)
