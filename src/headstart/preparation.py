"""What a run begins with: the checkpoint to resume from, devices and trackers, the network, each stage's codec."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Imported before there is a process group: its functions keep the group of that moment as a default argument, for good,
# and a group whose threads outlive the interpreter aborts the process.
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
    with_new_joints,
)
from headstart.errors import ConfigError, DataError, first_few, first_line
from headstart.experiment import DIFFERENCES, Experiment, Stage, as_json, differences, from_json, require_same
from headstart.files import write_json
from headstart.loader import Mixture
from headstart.memory import keep_freed_memory
from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.freezing import learning_parameters
from headstart.models.own_backbone import is_own
from headstart.models.pose_net import ModelConfig, PoseNet, model_skeleton
from headstart.progress import start_tracker
from headstart.skeleton import Skeleton, mirrored_name
from headstart.targets import HeatmapCodec

logger = logging.getLogger("headstart")


def load_saved(last: Path, resolved: dict[str, Any], resume: bool) -> Checkpoint | None:
    """The checkpoint that a resumed run continues from, if there is one.

    Raises :class:`ConfigError` where the folder holds another run, or one that cannot be continued.
    """
    if resume and last.is_file():
        saved = load_checkpoint(last)
        require_same(_completed(saved.header["config"]), resolved, last)
        return saved
    if last.exists():
        fix = "give --resume (from Python, resume=True) to continue it, or another --out"
        raise ConfigError(f"{last.parent} holds another run; {fix}")
    if (last.parent / "result.json").exists():
        raise ConfigError(f"{last.parent} holds another run, whose {last.name} is gone; give another --out")
    return None


def read_config(path: Path) -> Experiment:
    """The experiment of a run's ``config.json``.

    Raises :class:`DataError` for a file that is none, and :class:`ConfigError` naming a field that is unknown, missing
    or of another type.
    """
    expected = "the config.json of a run"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(path, expected, found=error.strerror) from error
    except ValueError as error:
        raise DataError(path, expected, found=first_line(error)) from error
    try:
        return from_json(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _completed(config: dict[str, Any]) -> dict[str, Any]:
    """A saved configuration with the defaults of fields that its version did not have, if this one knows its fields."""
    try:
        return as_json(from_json(config))
    except ConfigError:
        return config


def start_accelerator(experiment: Experiment, out: Path) -> Accelerator:
    """Set up devices, and a tracker for :func:`start_records`; nothing is written yet.

    Raises :class:`ConfigError` for a tracker that is not installed, and as :func:`new_accelerator`.
    """
    tracker = None if experiment.tracker == "none" else experiment.tracker
    # accelerate silently leaves out a tracker that is not installed.
    if tracker and tracker not in [known.value for known in get_available_trackers()]:
        raise ConfigError(f"tracker: {tracker} is not installed: pip install {tracker}, or --tracker none")
    return new_accelerator(experiment.precision, tracker, out)


def start_records(accelerator: Accelerator, experiment: Experiment, out: Path, resolved: dict[str, Any]) -> None:
    """Write ``config.json`` into the run's folder, and start the tracker: a run that cannot start leaves neither."""
    if accelerator.is_main_process:
        write_json(out / "config.json", resolved)
    if experiment.tracker != "none":
        start_tracker(accelerator, experiment, out)


def new_accelerator(precision: str, tracker: str | None = None, out: Path | None = None) -> Accelerator:
    """Devices for a run, whatever earlier runs of this process used.

    Raises :class:`ConfigError` for processes that would each train alone, all into one folder, and for a precision that
    the device cannot compute in.
    """
    AcceleratorState._reset_state(reset_partial_state=True)
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True)  # unless leaves_out_parameters says otherwise
    try:
        accelerator = Accelerator(mixed_precision=precision, log_with=tracker, project_dir=out, kwargs_handlers=[ddp])
    except ValueError as error:
        raise ConfigError(f"precision {precision}: accelerate cannot start: {first_line(error)}") from error
    # accelerate silently leaves processes apart where it finds no GPU and was not told to use CPUs.
    if (started := int(os.environ.get("WORLD_SIZE", "1"))) > accelerator.num_processes:
        raise ConfigError(
            f"{started} processes were started, but there is no GPU for them: set ACCELERATE_USE_CPU=true to train on"
            " CPUs, or start one process"
        )
    # accelerate silently computes in single precision where a device has no fp16.
    if precision != "no" and not accelerator.native_amp:
        raise ConfigError(
            f"precision: expected bf16, or single precision (train: no, eval: fp32), on a {accelerator.device.type};"
            f" got {precision}"
        )
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    return accelerator


def build_network(experiment: Experiment, saved: Checkpoint | None, last: Path, device: torch.device) -> PoseNet:
    """The network on its device, with its first weights or those of ``saved``, which was read from ``last``."""
    network = _saved_network(experiment, saved, last) if saved else _first_network(experiment)
    network.to(device)
    if device.type == "cpu" and experiment.precision == "bf16":
        keep_depthwise_in_float32(network)
    return network


def leaves_out_parameters(network: PoseNet) -> bool:
    """Whether some parameters change no output, as in some backbones of the hub: DDP then looks for them in every step.

    The loss of a step depends on every output, whatever the labels. A user's backbone may leave out parameters in some
    steps alone, so it counts as one that does. Leaves the network in eval mode.
    """
    if is_own(network.config.backbone):
        return True
    network.eval()
    learning = learning_parameters(network)
    width, height = network.codec.input_size
    output = network(torch.zeros(1, 3, height, width, dtype=torch.uint8, device=learning[0].device))
    gradients = torch.autograd.grad([part.sum() for part in output.learnt], learning, allow_unused=True)
    return any(gradient is None for gradient in gradients)


def _saved_network(experiment: Experiment, saved: Checkpoint, last: Path) -> PoseNet:
    network = PoseNet(experiment.model, saved.header.get("backbone_config") or {})
    load_weights(network, saved.part("model"), last)
    return network


def _first_network(experiment: Experiment) -> PoseNet:
    """The network with its first weights: random, pre-trained, or those of ``start_from``."""
    if experiment.start_from is None:
        return PoseNet(experiment.model)
    start = find_checkpoint(Path(experiment.start_from))
    loaded, _ = load_model(start)
    _require_same_network(loaded.config, experiment, start)
    _warn_of_other_sizes(loaded.config, experiment, start)
    network = PoseNet(experiment.model, loaded.backbone.config or {})
    if experiment.start_with == "backbone":
        load_weights(network.backbone, loaded.backbone.state_dict(), start)
    else:
        load_weights(network, with_new_joints(network, loaded), start)
        if new := [joint for joint in network.skeleton.names if joint not in loaded.skeleton.names]:
            logger.info("%s: new joints, which %s lacks; they begin untrained", ", ".join(new), start)
    return network


def _require_same_network(there: ModelConfig, experiment: Experiment, start: Path) -> None:
    """Raises :class:`ConfigError` unless ``there``, in ``start``, is the experiment's network, or has fewer joints.

    The sizes of crops and Gaussians may differ, as no weight depends on them, and so may the origin of older weights.
    """
    free = ["weights", "input_size", "sigma", *(["head", "skeleton"] if experiment.start_with == "backbone" else [])]
    if set(model_skeleton(there).names) < set(model_skeleton(experiment.model).names):
        free.append("skeleton")
    theirs, ours = (
        {name: value for name, value in dataclasses.asdict(config).items() if name not in free}
        for config in (there, experiment.model)
    )
    different = list(differences(theirs, ours, "model"))
    if different:
        fix = "Leave out --model.* to have its own"
        if there.backbone == experiment.model.backbone:
            fix += ", or give --start-with backbone to take its backbone alone"
        raise ConfigError(f"{start} holds another network: {first_few(different, DIFFERENCES)}. {fix}")


def _warn_of_other_sizes(there: ModelConfig, experiment: Experiment, start: Path) -> None:
    """Log sizes of crops that ``there``, whose weights and head are taken, was not trained for."""
    if experiment.start_with == "backbone":
        return
    stages = {f"stages.{number}.input_size": stage.input_size for number, stage in enumerate(experiment.stages)}
    sizes = {"model.input_size": experiment.model.input_size} | stages
    other = [f"{name} {size}" for name, size in sizes.items() if size not in (None, there.input_size)]
    if other:
        logger.warning(
            "%s: %s is for crops of %s px. At another size it predicts far worse until it has learnt that size",
            first_few(other, DIFFERENCES),
            start,
            there.input_size,
        )


def continued_model(experiment: Experiment, last: Path | None) -> ModelConfig:
    """The network that fits the weights of ``start_from`` or, in a resumed run, those of its checkpoint ``last``.

    With ``start_with`` "backbone" the backbone alone comes from ``start_from``; head, joints and sizes are the
    experiment's. Raises :class:`DataError` where there is no checkpoint.
    """
    if experiment.start_from is None:
        return experiment.model
    start = last or find_checkpoint(Path(experiment.start_from))
    theirs = model_of(load_header(start), start)
    if last is None and experiment.start_with == "backbone":
        return dataclasses.replace(experiment.model, backbone=theirs.backbone, weights=theirs.weights)
    return theirs


def joints_trained_before(experiment: Experiment, saved: Checkpoint | None, skeleton: Skeleton) -> set[str]:
    """Joints that the network was trained on before: by the resumed run, or by ``start_from`` if its head is kept."""
    if saved:
        return set(trained_joints(saved.header, skeleton))
    if experiment.start_from is None or experiment.start_with == "backbone":
        return set()
    header = load_header(start := find_checkpoint(Path(experiment.start_from)))
    return set(trained_joints(header, model_skeleton(model_of(header, start))))


def labelled_joints(mixture: Mixture) -> set[str]:
    """Joints that a picture of the mixture has labelled, and their mirror images, as crops are mirrored."""
    seen: set[str] = set()
    for data, index, rows in zip(mixture.data, mixture.indexes, mixture.rows):
        if data.weight > 0:
            visibility = index.column("visibility")[slice(None) if rows is None else rows]
            seen |= {index.skeleton.names[joint] for joint in np.flatnonzero(visibility.any(0))}
    return seen | {mirrored_name(name) for name in seen}


def stage_codec(network: PoseNet, stage: Stage) -> HeatmapCodec:
    """The network's codec at the size of the stage's crops; Gaussians cover the same part of a person.

    Raises :class:`ConfigError` for a size that is not a multiple of the backbone's stride.
    """
    size, stride = stage.input_size, network.backbone.levels[-1].stride
    if size is None:
        return network.codec
    if size[0] % stride or size[1] % stride:
        raise ConfigError(f"stage {stage.name}: input_size {size}: expected multiples of {stride} px")
    sigma = network.codec.sigma * size[0] / network.codec.input_size[0]
    return dataclasses.replace(network.codec, input_size=size, sigma=sigma)
