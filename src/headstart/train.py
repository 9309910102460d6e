"""Training: :func:`run` is the loop, from top to bottom, for every :class:`~headstart.experiment.Experiment`."""

from __future__ import annotations

import dataclasses
import logging
import time
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import torch
import transformers
from accelerate import Accelerator
from accelerate.utils import gather_object

from headstart import losses
from headstart.budget import training_flops
from headstart.checkpoint import (
    git_sha,
    load_optimiser,
    load_random,
    optimiser_tensors,
    random_tensors,
    save_checkpoint,
    seed_of_process,
)
from headstart.devices import device_name
from headstart.display import ProgressDisplay
from headstart.errors import Interrupted
from headstart.experiment import Experiment, Stage, as_json, require_trainable
from headstart.interruption import Agreement, signals
from headstart.loader import (
    Batches,
    CropDataset,
    build_train_loader,
    micro_batch_size_of,
    open_mixture,
    split_batch,
)
from headstart.models.freezing import freeze_to_stride, learning_parameters, set_training_mode
from headstart.optimisation import AveragedWeights, build_optimiser, set_learning_rate
from headstart.preparation import (
    build_network,
    joints_trained_before,
    labelled_joints,
    leaves_out_parameters,
    load_saved,
    stage_codec,
    start_accelerator,
    start_records,
)
from headstart.progress import Averages, Goal, Intervals, Meter, Progress, added, scalars, tracked_to_its_end
from headstart.records import Batch
from headstart.results import RunResult, Scores, StageCost
from headstart.safeguards import (
    alone_in,
    label_digests,
    note_unreadable,
    one_line_if_out_of_memory,
    require_finite,
)
from headstart.sampling import MixtureSampler
from headstart.targets import HeatmapCodec
from headstart.validation import is_better, rehearse, rehearse_stages, scored_labels, validate

logger = logging.getLogger("headstart")


def run(experiment: Experiment, out: str | Path, resume: bool = False) -> RunResult:
    """Train all stages, score, and leave ``last.safetensors``, ``best.safetensors``, ``config.json`` and
    ``result.json`` in ``out``.

    With ``resume`` a run goes on from ``last.safetensors`` if there is one; on a CPU its weights end up equal, bit for
    bit, to those of a run that was never stopped. SIGTERM and SIGINT save a checkpoint first.

    Raises :class:`ConfigError` for a configuration that cannot run or differs from the one to be resumed and for a
    folder that another run trains in, :class:`TrainingError` for a loss that is not finite, a full disk, too little
    memory or too many unreadable images (the last good checkpoint stays), and :class:`Interrupted` after a signal.
    """
    require_trainable(experiment)
    accelerator = start_accelerator(experiment, Path(out))
    with alone_in(Path(out), accelerator), tracked_to_its_end(accelerator):
        return _run(experiment, Path(out), resume, accelerator)


def _run(experiment: Experiment, out: Path, resume: bool, accelerator: Accelerator) -> RunResult:
    """:func:`run` in a folder that no other run uses."""
    last, best = out / "last.safetensors", out / "best.safetensors"
    resolved = as_json(experiment)
    saved = load_saved(last, resolved, resume)
    device, processes, rank = accelerator.device, accelerator.num_processes, accelerator.process_index
    main = accelerator.is_main_process
    micro_batch_size = micro_batch_size_of(experiment.batch_size, experiment.micro_batch_size, processes)

    sha = git_sha()
    torch.manual_seed(experiment.seed)
    progress = Progress(**saved.header["progress"]) if saved else Progress()
    network = build_network(experiment, saved, last, device)
    learning = learning_parameters(network)
    if processes > 1:
        accelerator.ddp_handler.find_unused_parameters = leaves_out_parameters(network)
    if rank:
        torch.manual_seed(seed_of_process(experiment.seed, rank, progress.updates))
    average = AveragedWeights(network, experiment.average_decay) if experiment.average_decay is not None else None
    if saved and average:
        average.tensors = {name: tensor.to(device) for name, tensor in saved.part("ema").items()}

    codecs = [stage_codec(network, stage) for stage in experiment.stages]
    # Try the data, losses and scores of all stages now, so that nothing that is missing ends a run after hours.
    mixtures = {
        number: open_mixture(stage.data, experiment.seed)
        for number, stage in enumerate(experiment.stages)
        if number >= progress.stage
    }
    labels = label_digests(mixtures, experiment, saved, last)
    trained = joints_trained_before(experiment, saved, network.skeleton)
    validations = rehearse(experiment, network.skeleton)
    rehearse_stages(experiment, network, codecs)
    start_records(accelerator, experiment, out, resolved)
    first_check = " ".join(f"{one.protocol} {one.dataset} {one.split} {one.limit}" for one in experiment.validation[:1])
    if progress.best_of not in ("", first_check):
        progress.best = None  # of another protocol, or other people

    def checkpoint(path: Path, everything: bool) -> None:
        """Save all that a resumed run needs, or the weights alone (averaged, if they are); the main process does."""
        if not main:
            return
        weights, averaged = network.state_dict(), average.tensors if average else {}
        parts = {"model": weights, "ema": averaged} if everything else {"ema": averaged or weights}
        tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        if everything:
            tensors |= optimiser_tensors(optimiser) | random_tensors()
        header = {
            "config": resolved,
            "model": resolved["model"],
            "backbone_config": network.backbone.config,
            "trained_joints": [name for name in network.skeleton.names if name in trained],
            "labels": labels,
            "progress": dataclasses.asdict(progress),
            "scaler": accelerator.scaler and accelerator.scaler.state_dict(),  # of losses in fp16
            "git_sha": sha,
        }
        save_checkpoint(path, tensors, header)

    def record(row: dict[str, Any]) -> None:
        """Add a row to the history and send it to the tracker."""
        progress.history.append(row)
        accelerator.log(scalars(row, experiment.tracker), step=progress.updates)

    def score(stage: Stage, codec: HeatmapCodec, when: str) -> Scores:
        """Score the network as it is now; log and record it. Returns the first validation's, which decides the best."""
        scores = validate(experiment, validations, network, codec, average, accelerator, final=False)
        record(progress.row(stage, experiment.batch_size) | {one.protocol: one.value for one in scores})
        said = ", ".join(f"{one.protocol} {one.value:.2f} {one.unit}" for one in scores)
        logger.info("%s: %s", when, said)
        return scores[0]

    with signals() as interrupted, ExitStack() as cleanup, one_line_if_out_of_memory():
        if experiment.validation and experiment.start_from and experiment.start_with == "all" and not saved:
            score(experiment.stages[0], codecs[0], "before training")
        agreement = Agreement(interrupted, partial(accelerator.reduce, reduction="mean"), device)
        for number, mixture in mixtures.items():
            stage, codec = experiment.stages[number], codecs[number]
            trained |= labelled_joints(mixture)
            seed = experiment.seed * 1000 + number
            frozen = freeze_to_stride(network, stage.freeze_stride, learning)
            flops_per_sample = training_flops(network, codec.input_size)
            sampler = MixtureSampler(
                mixture.sizes,
                [data.weight for data in stage.data],
                experiment.batch_size,
                seed,
                start_step=progress.step,
                rank=rank,
                processes=processes,
                rows=mixture.rows,
            )
            use_3d = [data.use_3d for data in stage.data]
            crops = CropDataset(mixture.indexes, codec.skeleton, codec.input_size, experiment.augment, seed, use_3d)
            batches = Batches(build_train_loader(crops, sampler, experiment.workers, device.type == "cuda"))
            cleanup.callback(batches.close)
            optimiser = build_optimiser(stage.optimiser, network)
            if saved and progress.step:
                load_optimiser(optimiser, saved.part("optimiser"))
            model, prepared = accelerator.prepare(torch.compile(network) if experiment.compile else network, optimiser)
            if saved:
                if main:
                    load_random(saved.part("random"))
                if accelerator.scaler and saved.header.get("scaler"):
                    accelerator.scaler.load_state_dict(saved.header["scaler"])
                saved = None
            goal = Goal.of(stage.budget, experiment.batch_size, sampler.epoch_length, flops_per_sample)
            intervals = Intervals.of(experiment)
            needs_maps = losses.need_heatmaps(stage.losses)
            pending: list[torch.Tensor] = []
            meter = Meter(progress.step * experiment.batch_size, progress.seconds)
            averages = Averages()
            saved_at = time.monotonic()

            with ProgressDisplay(stage.name, goal.total, goal.unit, goal.at(progress)) as display:
                while (done := goal.share(progress)) < 1:
                    began = time.perf_counter()
                    set_training_mode(model, frozen, stage.freeze_batch_norm)
                    with meter.waiting():
                        batch: Batch = next(batches)
                    note_unreadable(progress, batch, mixture)
                    micro_batches = split_batch(batch.to(device), micro_batch_size)
                    targets = [codec.encode(micro, heatmaps=needs_maps) for micro in micro_batches]
                    counts = losses.LabelCounts(targets, lambda count: accelerator.reduce(count, "mean"))

                    prepared.zero_grad(set_to_none=True)
                    step_losses: dict[str, torch.Tensor] = {}
                    for micro, wanted in zip(micro_batches, targets):
                        # Processes average their gradients once a step, with those of its last micro batch.
                        with nullcontext() if wanted is targets[-1] else accelerator.no_sync(model):
                            with accelerator.autocast():
                                output = model(micro.image)
                            loss, parts = losses.total(output, wanted, stage.losses, counts)
                            accelerator.backward(loss)
                        step_losses = added(step_losses, {"loss": loss.detach(), **parts})

                    set_learning_rate(optimiser, stage.optimiser.learning_rate * stage.schedule.factor_at(done))
                    if stage.optimiser.clip_norm is not None:
                        accelerator.clip_grad_norm_(model.parameters(), stage.optimiser.clip_norm)
                    prepared.step()
                    pending.append(step_losses["loss"])
                    averages.add(step_losses)
                    progress.step += 1
                    progress.updates += 1
                    if average:
                        average.update(network, progress.updates)

                    stopping = interrupted() if processes == 1 else agreement.after_step()
                    if goal.timed or stopping or intervals.due(progress.step, goal.reached(progress), saved_at):
                        step_losses["loss"].item()  # wait for the device before the clock is read
                    elapsed = time.perf_counter() - began
                    if goal.timed:
                        # Every process must stop at the same step, so the mean of their clocks decides: of the step, as
                        # the sum in single precision (a GPU of a Mac has no other) would stand still after a day.
                        elapsed = float(accelerator.reduce(torch.tensor(elapsed, device=device), "mean"))
                    progress.seconds += elapsed
                    finished = goal.reached(progress)
                    due = intervals.due(progress.step, finished, saved_at)

                    if due or stopping:
                        require_finite(pending, network, progress, stage, sampler, mixture)
                        pending.clear()
                    if "log" in due:
                        row = progress.row(stage, experiment.batch_size)
                        row["flops"] = row["samples"] * flops_per_sample
                        means = accelerator.reduce(averages.read(), "mean")
                        row |= {name: mean.item() for name, mean in means.items()}
                        row["learning_rate"] = optimiser.param_groups[0]["lr"]
                        row |= meter.read(row["samples"], progress.seconds)
                        record(row)
                        said = f"loss {row['loss']:.4g} {row['images_per_second']:.0f} images/s"
                        display.update(goal.at(progress), said)
                    if "validate" in due and experiment.validation:
                        first = score(stage, codec, stage.name)
                        if is_better(first, progress.best):
                            progress.best, progress.best_of = first.value, first_check
                            checkpoint(best, everything=False)
                    # The end of the stage saves where the next one begins.
                    if not finished and (stopping or due & {"checkpoint", "validate"}):
                        checkpoint(last, everything=True)
                        saved_at = time.monotonic()
                        if stopping:
                            raise Interrupted(f"stopped at step {progress.step} of {stage.name}; go on with --resume")
            progress.end_stage(stage, mixture.sizes, labels[number], experiment.batch_size, flops_per_sample)
            checkpoint(last, everything=True)
            batches.close()
            # A wrapped model that outlives its process group deadlocks: the group's threads wait for Python's lock.
            model, prepared = accelerator.free_memory(model, prepared)
            # Gradients of layers that the next stage freezes would count when it clips.
            network.zero_grad(set_to_none=True)

    with one_line_if_out_of_memory():
        scores = validate(experiment, validations, network, network.codec, average, accelerator, final=True)
    result = RunResult(
        name=experiment.name,
        seed=experiment.seed,
        config=resolved,
        git_sha=sha,
        device=device_name(device),
        stages=[StageCost(**cost) for cost in progress.costs],
        scores=scores,
        history=progress.history,
        versions={module.__name__: module.__version__ for module in (torch, transformers, accelerate, np)},
        unreadable_images=list(dict.fromkeys(gather_object(progress.unreadable))),
        processes=processes,
        test_labels=scored_labels(validations),
    )
    if main:
        result.save(out / "result.json")
    accelerator.end_training()
    return result
