"""What a run begins with: a checkpoint to go on from, devices and trackers, the network, and each stage's codec."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

# Before any process group: its functions keep the group of their import as a default argument, and so for good. A group
# whose threads outlive the interpreter aborts the process.
import torch.distributed.nn
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from headstart.checkpoint import Checkpoint, load_checkpoint, load_model, load_weights, shipped_weights
from headstart.errors import ConfigError
from headstart.experiment import SHIPPED, Experiment, Stage, require_same
from headstart.memory import keep_freed_memory
from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.pose_net import PoseNet
from headstart.targets import HeatmapCodec


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
    AcceleratorState._reset_state(reset_partial_state=True)
    tracker = None if experiment.tracker == "none" else experiment.tracker
    # Some backbones of the hub have parameters that features do not depend on.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(
        mixed_precision=experiment.precision, log_with=tracker, project_dir=out, kwargs_handlers=[unused]
    )
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    if accelerator.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(json.dumps(resolved, indent=1))
    if tracker:
        accelerator.init_trackers("logs", config={"config": json.dumps(resolved)})
    return accelerator


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
    start = shipped_weights() if experiment.start_from == SHIPPED else Path(experiment.start_from)
    loaded, _ = load_model(start)
    network = PoseNet(experiment.model, loaded.backbone.config or {})
    if experiment.start_with == "backbone":
        load_weights(network.backbone, loaded.backbone.state_dict(), start)
    else:
        load_weights(network, loaded.state_dict(), start)
    return network


def stage_codec(network: PoseNet, stage: Stage) -> HeatmapCodec:
    """The network's codec at the size of the stage's crops; the Gaussians cover the same part of the person."""
    size, stride = stage.input_size, network.backbone.levels[-1].stride
    if size is None:
        return network.codec
    if size[0] % stride or size[1] % stride:
        raise ConfigError(f"stage {stage.name}: input_size {size}: expected multiples of {stride} px")
    sigma = network.codec.sigma * size[0] / network.codec.input_size[0]
    return dataclasses.replace(network.codec, input_size=size, sigma=sigma)
