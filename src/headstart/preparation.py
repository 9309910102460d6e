"""What a run begins with: a checkpoint to go on from, devices and trackers, the network, and each stage's codec."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Before any process group: its functions keep the group of their import as a default argument, and so for good. A group
# whose threads outlive the interpreter aborts the process.
import torch.distributed.nn
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import get_available_trackers
from accelerate.utils import DistributedDataParallelKwargs

from headstart.checkpoint import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    load_header,
    load_model,
    load_weights,
    model_of,
    trained_joints,
)
from headstart.errors import ConfigError, first_few
from headstart.experiment import DIFFERENCES, Experiment, Stage, as_json, differences, require_same
from headstart.loader import Mixture
from headstart.memory import keep_freed_memory
from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.results import form_of, write_json
from headstart.skeleton import CANONICAL, Skeleton, mirrored_name
from headstart.targets import HeatmapCodec

logger = logging.getLogger("headstart")


def load_saved(last: Path, resolved: dict[str, Any], resume: bool) -> Checkpoint | None:
    """What a resumed run goes on from, if there is any; raises :class:`ConfigError` where another run lies."""
    if resume and last.is_file():
        saved = load_checkpoint(last)
        require_same(saved.header["config"], resolved, last)
        return saved
    if last.exists() or (last.parent / "result.json").exists():
        raise ConfigError(f"{last.parent} holds another run; give --resume to continue it or another --out")
    return None


def start_accelerator(experiment: Experiment, out: Path, resolved: dict[str, Any]) -> Accelerator:
    """Devices and trackers, ready to train; the run's folder has its configuration."""
    tracker = None if experiment.tracker == "none" else experiment.tracker
    # accelerate leaves out a tracker that is not there without a word.
    if tracker and tracker not in [known.value for known in get_available_trackers()]:
        raise ConfigError(f"tracker: {tracker} is not installed: pip install {tracker}, or --tracker none")
    accelerator = new_accelerator(experiment.precision, tracker, out)
    if accelerator.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "config.json", resolved)
    if tracker:
        accelerator.init_trackers("logs", config={"config": json.dumps(resolved)})
    return accelerator


def new_accelerator(precision: str, tracker: str | None = None, out: Path | None = None) -> Accelerator:
    """Devices for a run, as if there had been none before it in this process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    # Some backbones of the hub have parameters that features do not depend on.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(mixed_precision=precision, log_with=tracker, project_dir=out, kwargs_handlers=[unused])
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    return accelerator


def device_name(device: torch.device) -> str:
    """As results have it: the model of a GPU, else the kind of device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def build_network(experiment: Experiment, saved: Checkpoint | None, last: Path, device: torch.device) -> PoseNet:
    """The network with its first weights, those that ``last`` held where a run goes on, ready for the device."""
    network = _saved_network(experiment, saved, last) if saved else _first_network(experiment)
    network.to(device)
    if device.type == "cpu" and experiment.precision == "bf16":
        keep_depthwise_in_float32(network)
    if experiment.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _saved_network(experiment: Experiment, saved: Checkpoint, last: Path) -> PoseNet:
    network = PoseNet(experiment.model, saved.header.get("backbone_config") or {})
    load_weights(network, saved.part("model"), last)
    return network


def _first_network(experiment: Experiment) -> PoseNet:
    """The network as a run begins with it: fresh, pre-trained, or with the weights of ``start_from``."""
    if experiment.start_from is None:
        return PoseNet(experiment.model)
    start = find_checkpoint(Path(experiment.start_from))
    loaded, _ = load_model(start)
    _require_same_network(loaded.config, experiment, start)
    network = PoseNet(experiment.model, loaded.backbone.config or {})
    if experiment.start_with == "backbone":
        load_weights(network.backbone, loaded.backbone.state_dict(), start)
    else:
        load_weights(network, loaded.state_dict(), start)
    return network


def _require_same_network(there: ModelConfig, experiment: Experiment, start: Path) -> None:
    """Raises :class:`ConfigError` for a network that is not that of its first weights.

    Sizes of crops and Gaussians are free: no weight depends on them. So is where weights before those came from.
    """
    free = ["weights", "input_size", "sigma", *(["head", "skeleton"] if experiment.start_with == "backbone" else [])]
    theirs, ours = (
        {name: value for name, value in dataclasses.asdict(config).items() if name not in free}
        for config in (there, experiment.model)
    )
    different = list(differences(theirs, ours, "model"))
    if different:
        raise ConfigError(
            f"{start} holds another network: {first_few(different, DIFFERENCES)}. Leave out --model.* to have its own"
        )


def continued_model(experiment: Experiment, last: Path | None) -> ModelConfig:
    """The network that fits the weights of ``start_from``, or those of ``last`` where a run goes on.

    With ``start_with`` "backbone" only that is theirs; head, joints and sizes are the experiment's. Raises
    :class:`DataError` where there is no checkpoint.
    """
    if experiment.start_from is None:
        return experiment.model
    start = last or find_checkpoint(Path(experiment.start_from))
    theirs = model_of(load_header(start), start)
    if last is None and experiment.start_with == "backbone":
        return dataclasses.replace(experiment.model, backbone=theirs.backbone, weights=theirs.weights)
    return theirs


def joints_trained_before(experiment: Experiment, saved: Checkpoint | None, skeleton: Skeleton) -> set[str]:
    """Joints that the first weights have learnt: in the run that goes on, or where they come from with their head."""
    if saved:
        return set(trained_joints(saved.header, skeleton))
    if experiment.start_from is None or experiment.start_with == "backbone":
        return set()
    return set(trained_joints(load_header(find_checkpoint(Path(experiment.start_from))), skeleton))


def labelled_joints(mixture: Mixture) -> set[str]:
    """Canonical joints that a picture of the mixture has labelled, with their mirrored ones, as crops are mirrored."""
    seen: set[str] = set()
    for data, index, rows in zip(mixture.data, mixture.indexes, mixture.rows):
        if data.weight > 0:
            visibility = index.column("visibility")[slice(None) if rows is None else rows]
            seen |= {CANONICAL.names[joint] for joint in np.flatnonzero(visibility.any(0))}
    return seen | {mirrored_name(name) for name in seen}


def label_digests(
    mixtures: Mapping[int, Mixture], experiment: Experiment, saved: Checkpoint | None, last: Path
) -> list[list[str]]:
    """Digests of the labels of each stage's data sets, in their order; of stages that are over those of ``saved``.

    Where data lie does not matter to a run that goes on, but one line says if they have moved. Raises
    :class:`ConfigError` for a data set whose labels are not those that the run began with; an earlier version's digests
    do not tell.
    """
    before = saved.header.get("labels", []) if saved else []
    digests = [before[number] if number < len(before) else [] for number in range(len(experiment.stages))]
    indexes = {tuple(index.files): index for mixture in mixtures.values() for index in mixture.indexes}
    of_files = {files: index.digest() for files, index in indexes.items()}
    for number, mixture in mixtures.items():
        found = [of_files[tuple(index.files)] for index in mixture.indexes]
        _require_same_labels(digests[number], found, experiment.stages[number], last)
        digests[number] = found
    if saved:
        _say_what_moved(saved.header["config"], as_json(experiment), _forms(before) == _forms(digests))
    return digests


def _require_same_labels(before: list[str], found: list[str], stage: Stage, last: Path) -> None:
    for there, here, data in zip(before, found, stage.data):
        if there != here and form_of(there) == form_of(here):
            raise ConfigError(
                f"{data.root}: the labels of {data.dataset} {data.split} are not those that {last} was trained on"
                f" ({there} there, {here} here; a packed copy's are others, as its pictures are smaller). Go back to"
                " those, or give another --out to begin anew"
            )


def _forms(digests: list[list[str]]) -> set[str]:
    return {form_of(digest) for stage in digests for digest in stage}


def _say_what_moved(there: dict[str, Any], here: dict[str, Any], compared: bool) -> None:
    """``there`` and ``here``: configurations; ``compared``: whether the labels were."""
    if moved := list(differences(_roots(there), _roots(here), "stages")):
        known = "their labels are the same" if compared else "the checkpoint does not say which labels they had"
        logger.info("data have moved, %s: %s", known, first_few(moved, DIFFERENCES))


def _roots(config: dict[str, Any]) -> list[Any]:
    return [{"data": [{"root": data["root"]} for data in stage["data"]]} for stage in config["stages"]]


def stage_codec(network: PoseNet, stage: Stage) -> HeatmapCodec:
    """The network's codec at the size of the stage's crops; the Gaussians cover the same part of the person."""
    size, stride = stage.input_size, network.backbone.levels[-1].stride
    if size is None:
        return network.codec
    if size[0] % stride or size[1] % stride:
        raise ConfigError(f"stage {stage.name}: input_size {size}: expected multiples of {stride} px")
    sigma = network.codec.sigma * size[0] / network.codec.input_size[0]
    return dataclasses.replace(network.codec, input_size=size, sigma=sigma)
