"""Training: :func:`run` is the loop, from top to bottom, for every :class:`~headstart.experiment.Experiment`."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import torch

# Before any process group: its functions keep the group of their import as a default argument, and so for good. A group
# whose threads outlive the interpreter aborts the process.
import torch.distributed.nn
import transformers
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, gather_object

from headstart import losses
from headstart.budget import training_flops
from headstart.checkpoint import (
    git_sha,
    load_checkpoint,
    load_model,
    load_optimiser,
    load_random,
    load_weights,
    optimiser_tensors,
    random_tensors,
    save_checkpoint,
    shipped_weights,
)
from headstart.display import ProgressDisplay
from headstart.errors import ConfigError
from headstart.experiment import SHIPPED, Experiment, Stage, as_json, require_same
from headstart.interruption import Interrupted, signals
from headstart.loader import Batches, CropDataset, build_train_loader, open_mixture
from headstart.memory import keep_freed_memory
from headstart.models.cpu_precision import keep_depthwise_in_float32
from headstart.models.freezing import freeze_to_stride
from headstart.models.pose_net import PoseNet
from headstart.optimisation import AveragedWeights, build_optimiser, freeze_batch_norm, set_learning_rate
from headstart.progress import Progress, scalars, stage_cost
from headstart.records import Batch
from headstart.results import RunResult, StageCost
from headstart.safeguards import note_unreadable, require_finite
from headstart.sampling import MixtureSampler
from headstart.targets import HeatmapCodec
from headstart.validation import is_better, rehearse, validate

logger = logging.getLogger("headstart")


def run(experiment: Experiment, out: Path, resume: bool = False) -> RunResult:
    """Train all stages, score, and leave ``last.safetensors``, ``best.safetensors``, ``config.json`` and
    ``result.json`` in ``out``.

    With ``resume`` a run goes on from ``last.safetensors`` if there is one; on a CPU its weights end up equal, bit for
    bit, to those of a run that was never stopped. SIGTERM and SIGINT save a checkpoint first.

    Raises :class:`ConfigError` for a configuration that cannot run or differs from the one to be resumed,
    :class:`TrainingError` for a loss that is not finite, a full disk or too many unreadable images (the last good
    checkpoint stays), and :class:`Interrupted` after a signal.
    """
    last, best = out / "last.safetensors", out / "best.safetensors"
    resolved = as_json(experiment)
    saved = load_checkpoint(last) if resume and last.is_file() else None
    if saved is not None:
        require_same(saved.header["config"], resolved, last)
    elif last.exists() or (out / "result.json").exists():
        raise ConfigError(f"{out} holds another run; give --resume to continue it or another --out")

    AcceleratorState._reset_state(reset_partial_state=True)
    tracker = None if experiment.tracker == "none" else experiment.tracker
    # Some backbones of the hub have parameters that features do not depend on.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(
        mixed_precision=experiment.precision, log_with=tracker, project_dir=out, kwargs_handlers=[unused]
    )
    device, processes, rank = accelerator.device, accelerator.num_processes, accelerator.process_index
    main = accelerator.is_main_process
    if device.type == "cpu":
        keep_freed_memory()
    if main:
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(json.dumps(resolved, indent=1))
    if tracker:
        accelerator.init_trackers("logs", config={"config": json.dumps(resolved)})

    sha = git_sha()
    torch.manual_seed(experiment.seed)
    progress = Progress(**saved.header["progress"]) if saved else Progress()
    network = _build_network(experiment, saved.header if saved else None)
    if saved:
        load_weights(network, saved.part("model"), last)
    network.to(device)
    if device.type == "cpu" and experiment.precision == "bf16":
        keep_depthwise_in_float32(network)
    if experiment.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedWeights(network, experiment.average_decay) if experiment.average_decay is not None else None
    if saved and average:
        average.tensors = {name: tensor.to(device) for name, tensor in saved.part("ema").items()}

    codecs = [_codec(network, stage) for stage in experiment.stages]
    # All data of all stages and scores are looked for now: what is missing must not end a run after hours.
    mixtures = {
        number: open_mixture(stage.data, experiment.seed)
        for number, stage in enumerate(experiment.stages)
        if number >= progress.stage
    }
    rehearse(experiment, network.skeleton)
    first_check = " ".join(f"{one.protocol} {one.dataset} {one.split} {one.limit}" for one in experiment.validation[:1])
    if progress.best_of not in ("", first_check):
        progress.best = None  # of another protocol, or other people

    def checkpoint(path: Path, everything: bool) -> None:
        """Best keeps weights only; last keeps all that a resumed run needs."""
        tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()} if everything else {}
        kept = average.tensors if average else network.state_dict()
        tensors |= {f"ema.{name}": tensor for name, tensor in kept.items()} if average or not everything else {}
        if everything:
            tensors |= optimiser_tensors(optimiser) | random_tensors()
        header = {
            "config": resolved,
            "model": resolved["model"],
            "backbone_config": network.backbone.config,
            "progress": dataclasses.asdict(progress),
            "git_sha": sha,
        }
        save_checkpoint(path, tensors, header)

    with signals() as interrupted, ExitStack() as cleanup:
        for number, stage in enumerate(experiment.stages):
            if number < progress.stage:
                continue
            mixture = mixtures[number]
            stage_seed = experiment.seed * 1000 + number
            codec = codecs[number]
            frozen = freeze_to_stride(network, stage.freeze_stride)
            flops_per_sample = training_flops(network, codec.input_size)
            sampler = MixtureSampler(
                mixture.sizes,
                [data.weight for data in stage.data],
                experiment.batch_size,
                stage_seed,
                start_step=progress.step,
                rank=rank,
                processes=processes,
                rows=mixture.rows,
            )
            use_3d = [data.use_3d for data in stage.data]
            crops = CropDataset(
                mixture.indexes, codec.skeleton, codec.input_size, experiment.augment, stage_seed, use_3d
            )
            batches = Batches(build_train_loader(crops, sampler, experiment.workers, device.type == "cuda"))
            cleanup.callback(batches.close)
            optimiser = build_optimiser(stage.optimiser, network)
            if saved and progress.step:
                load_optimiser(optimiser, saved.part("optimiser"))
            model, prepared = accelerator.prepare(torch.compile(network) if experiment.compile else network, optimiser)
            if saved:
                load_random(saved.part("random"))
                saved = None
            steps = stage.budget.steps(experiment.batch_size, sampler.epoch_length, flops_per_sample)
            every = {
                name: max(getattr(experiment, f"{name}_samples") // experiment.batch_size, 1)
                for name in ("log", "checkpoint", "validate")
            }
            needs_maps = not losses.NEED_HEATMAPS.isdisjoint(stage.losses)
            pending: list[torch.Tensor] = []
            began, waited, logged_at = time.perf_counter(), 0.0, progress.step
            log_began = began

            total = stage.budget.seconds or (steps or 0) * experiment.batch_size
            start = progress.seconds if stage.budget.seconds else progress.step * experiment.batch_size
            unit = "s" if stage.budget.seconds else "images"
            with ProgressDisplay(stage.name, total, unit, start) as display:
                while True:
                    done = progress.seconds / (stage.budget.seconds or 1) if steps is None else progress.step / steps
                    if done >= 1:
                        break
                    model.train()
                    if stage.freeze_batch_norm:
                        freeze_batch_norm(model)
                    for layer in frozen:
                        layer.eval()

                    asked = time.perf_counter()
                    batch: Batch = next(batches)
                    waited += time.perf_counter() - asked
                    note_unreadable(progress, batch, mixture)
                    batch = batch.to(device)
                    targets = codec.encode(batch, heatmaps=needs_maps)

                    with accelerator.autocast():
                        output = model(batch.image)
                    loss, parts = losses.total(
                        output, targets, stage.losses, lambda count: accelerator.reduce(count, "mean")
                    )

                    set_learning_rate(optimiser, stage.optimiser.learning_rate * stage.schedule.factor_at(done))
                    prepared.zero_grad(set_to_none=True)
                    accelerator.backward(loss)
                    if stage.optimiser.clip_norm is not None:
                        accelerator.clip_grad_norm_(model.parameters(), stage.optimiser.clip_norm)
                    prepared.step()
                    pending.append(loss.detach())
                    progress.step += 1
                    progress.updates += 1
                    if average:
                        average.update(network, progress.updates)

                    finished = steps is not None and progress.step >= steps
                    due = {name: finished or progress.step % interval == 0 for name, interval in every.items()}
                    stopping = interrupted()
                    if steps is None or any(due.values()) or stopping:
                        loss.item()  # the clock is read when the device has done what it was given, not before
                    now = time.perf_counter()
                    progress.seconds, began = progress.seconds + now - began, now
                    if steps is None:
                        # Every process must stop at the same step: the mean of their clocks decides.
                        clock = torch.tensor(progress.seconds, device=device)
                        progress.seconds = float(accelerator.reduce(clock, "mean"))
                        finished = progress.seconds >= (stage.budget.seconds or 0)
                        due = {name: finished or is_due for name, is_due in due.items()}
                    if processes > 1:
                        # They must also agree on a signal, which reaches each at a step of its own.
                        stopping = due["log"] and bool(accelerator.reduce(torch.tensor(stopping, device=device).int()))
                    if any(due.values()) or stopping:
                        require_finite(pending, network, progress, stage, sampler, mixture)
                        pending.clear()
                    if due["log"]:
                        now = time.perf_counter()
                        means = accelerator.reduce({"loss": loss.detach(), **parts}, "mean")
                        rate = (progress.step - logged_at) * experiment.batch_size / max(now - log_began, 1e-9)
                        row: dict[str, Any] = {
                            "stage": stage.name,
                            "step": progress.step,
                            "samples": progress.step * experiment.batch_size,
                            "flops": progress.step * experiment.batch_size * flops_per_sample,
                            **{name: value.item() for name, value in means.items()},
                            "learning_rate": optimiser.param_groups[0]["lr"],
                            "images_per_second": rate,
                            "waiting_for_data": waited / max(now - log_began, 1e-9),
                        }
                        progress.history.append(row)
                        accelerator.log(scalars(row), step=progress.updates)
                        where = progress.seconds if steps is None else progress.step * experiment.batch_size
                        display.update(where, f"loss {row['loss']:.4g} {rate:.0f} images/s")
                        waited, log_began, logged_at = 0.0, now, progress.step
                    if due["validate"] and experiment.validation:
                        scores = validate(experiment, network, codec, average, accelerator, final=False)
                        row = {
                            "stage": stage.name,
                            "step": progress.step,
                            "samples": progress.step * experiment.batch_size,
                        }
                        row |= {one.protocol: one.value for one in scores}
                        progress.history.append(row)
                        accelerator.log(scalars(row), step=progress.updates)
                        logger.info(
                            "%s: %s", stage.name, ", ".join(f"{s.protocol} {s.value:.2f} {s.unit}" for s in scores)
                        )
                        if is_better(scores[0], progress.best):
                            progress.best, progress.best_of = scores[0].value, first_check
                            if main:
                                checkpoint(best, everything=False)
                    if due["checkpoint"] or due["validate"] or stopping:
                        if finished:
                            cost = stage_cost(stage, progress, experiment.batch_size, flops_per_sample)
                            progress.costs.append(dataclasses.asdict(cost) | {"people": mixture.sizes})
                            progress.stage, progress.step, progress.seconds = number + 1, 0, 0.0
                        if main:
                            checkpoint(last, everything=True)
                    if finished:
                        break
                    if stopping:
                        raise Interrupted(f"stopped at step {progress.step} of {stage.name}; go on with --resume")
                    began = time.perf_counter()
            batches.close()
            for layer in frozen:
                layer.requires_grad_(True)
            # A wrapped model that outlives its process group deadlocks: the group's threads wait for Python's lock.
            model, prepared = accelerator.free_memory(model, prepared)

    scores = validate(experiment, network, network.codec, average, accelerator, final=True)
    result = RunResult(
        name=experiment.name,
        seed=experiment.seed,
        config=resolved,
        git_sha=sha,
        device=_device_name(device),
        stages=[StageCost(**cost) for cost in progress.costs],
        scores=scores,
        history=progress.history,
        versions={module.__name__: module.__version__ for module in (torch, transformers, accelerate, np)},
        unreadable_images=list(dict.fromkeys(gather_object(progress.unreadable))),
        processes=processes,
    )
    if main:
        result.save(out / "result.json")
    accelerator.end_training()
    return result


def _build_network(experiment: Experiment, header: dict[str, Any] | None) -> PoseNet:
    """The network with its first weights: fresh, pre-trained, or those of ``start_from``."""
    if header is not None:
        return PoseNet(experiment.model, header.get("backbone_config") or {})
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


def _codec(network: PoseNet, stage: Stage) -> HeatmapCodec:
    """The network's codec at the size of the stage's crops; the Gaussians cover the same part of the person."""
    size, stride = stage.input_size, network.backbone.levels[-1].stride
    if size is None:
        return network.codec
    if size[0] % stride or size[1] % stride:
        raise ConfigError(f"stage {stage.name}: input_size {size}: expected multiples of {stride} px")
    sigma = network.codec.sigma * size[0] / network.codec.input_size[0]
    return dataclasses.replace(network.codec, input_size=size, sigma=sigma)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
