"""Scores of a model on disk, or of the predictions of any system, under a protocol.

Of a model, the predictions and a picture of them can be written too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from headstart.argument_checks import check_scales, is_single_scale
from headstart.caveats import trained_on
from headstart.checkpoint import find_checkpoint, load_model
from headstart.coco_results import require_coco, write_coco_results
from headstart.devices import default_device
from headstart.display import ProgressDisplay
from headstart.draw import draw_pose, sheet
from headstart.errors import ConfigError, DataError
from headstart.evaluate import Forward, aim, predict, protocol_rows, score
from headstart.geometry import Crop
from headstart.index import AnnotationIndex, open_index
from headstart.inspection import write_picture
from headstart.memory import keep_freed_memory
from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.pose_net import PoseNet
from headstart.multi_scale import multi_scale
from headstart.onnx_network import OnnxNetwork
from headstart.predictions import Predictions, in_order, read_predictions
from headstart.preparation import new_accelerator
from headstart.protocols import Protocol, protocol
from headstart.records import RGB
from headstart.results import Scores
from headstart.sampling import evenly_spread
from headstart.skeleton import WITH_FEET, Skeleton
from headstart.targets import Decoding, HeatmapCodec
from headstart.validation import rehearse_scoring

Precision = Literal["fp32", "bf16", "fp16"]
"""What a network computes in: single precision, or mixed precision as in training."""
Autocast = Callable[[], AbstractContextManager[None]]

#: Joints below this confidence are left out of pictures (never out of scores).
_DRAWN_CONFIDENCE = 0.03


@dataclass(frozen=True)
class _Network:
    """A network with what decodes its output."""

    forward: Forward
    codec: HeatmapCodec
    device: torch.device
    """Where it wants its images."""
    trained_on: list[list[str]]
    """As of :func:`~headstart.caveats.trained_on`; empty if the file does not say."""
    autocast: Autocast = nullcontext
    """Within it the network computes in its precision."""


def evaluate_checkpoint(
    checkpoint: str | Path,
    protocol_name: str,
    root: str | Path,
    *,
    dataset: str | None = None,
    split: str | None = None,
    flip_test: bool | None = None,
    scales: Sequence[float] = (1.0,),
    precision: Precision = "fp32",
    batch_size: int = 64,
    workers: int = 2,
    limit: int | None = None,
    predictions_path: str | Path | None = None,
    picture_path: str | Path | None = None,
    coco_results_path: str | Path | None = None,
) -> Scores:
    """Predict and score; the arguments are those of ``headstart eval``.

    ``checkpoint``: a file, a run's folder, or an exported .onnx file, which ONNX Runtime runs on the CPU, or
    :data:`~headstart.checkpoint.SHIPPED`; a checkpoint uses the GPU if there is one.

    Raises :class:`ConfigError` for a ``precision`` that the device lacks, or an .onnx file was not exported in.
    """
    check_scales(scales)
    wanted = aim(protocol(protocol_name), dataset, split)
    if flip_test is not None:
        wanted = replace(wanted, flip_test=flip_test)
    path = find_checkpoint(checkpoint)
    network = _load(path, precision)
    index = open_index(wanted.dataset, root, wanted.split)
    rows = protocol_rows(index, wanted, limit)
    if coco_results_path:
        require_coco(wanted, index, Path(root), network.codec.skeleton.names, limit)
    rehearse_scoring(index, wanted, rows, network.codec.skeleton.names)
    predictions = _predict(
        network,
        path,
        index,
        rows,
        wanted.name,
        flip_test=wanted.flip_test,
        decode=wanted.decode,
        batch_size=batch_size,
        workers=workers,
        scales=scales,
    )
    about: dict[str, Any] = {"dataset": wanted.dataset, "split": wanted.split}
    if network.trained_on:
        about["trained_on"] = network.trained_on
    if precision != "fp32":
        about["precision"] = precision
    predictions = replace(predictions, about={**predictions.about, **about})
    if predictions_path:
        predictions.save(Path(predictions_path))
    if coco_results_path:
        write_coco_results(Path(coco_results_path), predictions, index, Path(root), wanted.split)
    if picture_path:
        write_picture(str(picture_path), picture_of_predictions(predictions, index, rows))
    return score(predictions, index, wanted, rows)


def score_predictions(
    path: str | Path,
    protocol_name: str,
    root: str | Path,
    *,
    dataset: str | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> Scores:
    """Score what a file of :func:`read_predictions` holds; the arguments are those of ``headstart score``.

    Poses in mm (``xyz_mm``) are scored as they are, others as those of a network. Raises :class:`DataError` for people
    without a prediction, predictions of nobody and arrays that the protocol needs; :class:`ConfigError` for another
    data set or split than the file names.
    """
    path = Path(path)
    made, wanted = read_predictions(path), aim(protocol(protocol_name), dataset, split)
    if wanted.metric == "zhou2017_mpjpe":  # whose size is that of its bones
        made = replace(made, xyz_mm=None)
    wanted = replace(wanted, flip_test=bool(made.about.get("flip_test", wanted.flip_test)))
    _require_arrays(path, made, wanted)
    _require_same_split(path, made, wanted)
    index = open_index(wanted.dataset, root, wanted.split)
    rows = protocol_rows(index, wanted, limit)
    _require_no_others(path, made, index)
    return score(in_order(made, index.column("key")[rows].tolist(), path), index, wanted, rows)


def _require_arrays(path: Path, made: Predictions, wanted: Protocol) -> None:
    """Either millimetres, or all that the protocol reads from pixels."""
    there = {name for name in ("keypoints", "depth") if not np.isnan(getattr(made, name)).any()}
    needed = {"keypoints", "depth"} if wanted.is_3d else {"keypoints"}
    if needed <= there or (wanted.is_3d and made.xyz_mm is not None):
        return
    in_mm = wanted.is_3d and wanted.metric != "zhou2017_mpjpe"
    expected = f"{' and '.join(sorted(needed, reverse=True))}{', or xyz_mm,' if in_mm else ''} for {wanted.name}"
    raise DataError(path, expected, found=", ".join(sorted(there)) or "none")


def _require_same_split(path: Path, made: Predictions, wanted: Protocol) -> None:
    """Of the data set and the split that the file names, if it names any."""
    for field in ("dataset", "split"):
        was, now = made.about.get(field), getattr(wanted, field)
        if was not in (None, now):
            raise ConfigError(f"{path}: its predictions are of {field} {was}, not of {now}; give --{field} {was}")


def _require_no_others(path: Path, made: Predictions, index: AnnotationIndex) -> None:
    """Every key must be that of one of the split's people: an unknown one means that all keys may be wrong."""
    keys = set(index.column("key"))
    unknown = [key for key in made.keys if key not in keys]
    if unknown:
        found = f"{len(unknown)} of {len(made.keys)} that are none"
        raise DataError(path, "keys of the split's people", record=unknown[0], found=found)


def predict_people(
    path: Path,
    index: AnnotationIndex,
    rows: NDArray[np.int64],
    title: str,
    *,
    flip_test: bool = True,
    decode: Decoding = "subpixel",
    batch_size: int = 64,
    workers: int = 2,
) -> Predictions:
    """Poses of ``rows`` by a model's file (:func:`find_checkpoint`), its progress under ``title``."""
    network = _load(path)
    return _predict(network, path, index, rows, title, flip_test, decode, batch_size, workers)


def _predict(
    network: _Network,
    path: Path,
    index: AnnotationIndex,
    rows: NDArray[np.int64],
    title: str,
    flip_test: bool,
    decode: Decoding,
    batch_size: int,
    workers: int,
    scales: Sequence[float] = (1.0,),
) -> Predictions:
    with ProgressDisplay(title, len(rows), "people") as display, network.autocast():
        predictions = predict(
            multi_scale(network.forward, network.codec.map_size, scales),
            network.codec,
            index,
            rows,
            device=network.device,
            batch_size=batch_size,
            workers=workers,
            flip_test=flip_test,
            decode=decode,
            on_progress=display.update,
        )
    tested = {} if is_single_scale(scales) else {"scales": [float(scale) for scale in scales]}
    return replace(predictions, about={**predictions.about, **tested, "checkpoint": str(path)})


def _load(path: Path, precision: Precision = "fp32") -> _Network:
    if path.suffix == ".onnx":
        if precision != "fp32":
            raise ConfigError(f"--precision {precision}: {path} has the precision of its export; leave it out")
        network = OnnxNetwork(path)
        return _Network(network.forward, network.codec, torch.device("cpu"), [])
    model, header = load_model(path)
    device, autocast = _in_single_precision() if precision == "fp32" else _as_in_training(model, precision)
    return _Network(model.to(device), model.codec, device, trained_on(header), autocast)


def _in_single_precision() -> tuple[torch.device, Autocast]:
    device = torch.device(default_device())
    if device.type == "cpu":
        keep_freed_memory()
    return device, nullcontext


def _as_in_training(model: PoseNet, precision: Precision) -> tuple[torch.device, Autocast]:
    """Device and mixed precision of the scores of a run; raises as :func:`new_accelerator`."""
    accelerator = new_accelerator(precision)
    if accelerator.device.type == "cpu":
        keep_depthwise_in_float32(model)
    return accelerator.device, accelerator.autocast


def picture_of_predictions(
    predictions: Predictions, index: AnnotationIndex, rows: NDArray[np.int64], count: int = 12
) -> RGB:
    """A sheet of people, evenly spread over ``rows``: each label with the prediction to its right."""
    skeleton, pictures = Skeleton("predicted", predictions.joints), []
    joints, titles = WITH_FEET.indices(predictions.joints), []
    for position in evenly_spread(len(rows), count):
        row = int(rows[position])
        person, image = index[row].with_feet(), index.rgb_image(row)
        crop = Crop.from_box(person.bbox_xywh, (256, 256))
        pixels = crop.warp(image)
        label = crop.to_crop(person.keypoints[joints])
        pictures.append(draw_pose(pixels, label, skeleton, person.visibility[joints]))
        # A joint that no training set labelled has a flat map: drawing its "maximum" would only mislead.
        certain = (predictions.confidence[position] > _DRAWN_CONFIDENCE) * 2
        pictures.append(draw_pose(pixels, crop.to_crop(predictions.keypoints[position]), skeleton, certain))
        titles += [f"label {person.key}"[:30], "prediction"]
    return sheet(pictures, columns=8, titles=titles)
