"""Training: an Experiment is a model and its stages; :func:`run` is the loop, from top to bottom, for all of them."""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import accelerate
import numpy as np
import torch
import transformers
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast, gather_object

from headstart import losses
from headstart.augment import AugmentConfig
from headstart.budget import Budget, training_flops
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
)
from headstart.display import ProgressDisplay
from headstart.errors import ConfigError, TrainingError
from headstart.evaluate import aim, predict, protocol_rows, score
from headstart.index import open_index
from headstart.loader import CropDataset, Data, Mixture, build_train_loader, open_mixture
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.optimisation import (
    AveragedWeights,
    Optimiser,
    Schedule,
    build_optimiser,
    first_not_finite,
    freeze_batch_norm,
    set_learning_rate,
)
from headstart.predictions import join_predictions
from headstart.protocols import protocol
from headstart.records import Batch
from headstart.results import RunResult, Scores, StageCost
from headstart.sampling import MixtureSampler
from headstart.targets import HeatmapCodec

logger = logging.getLogger("headstart")

#: Share of pictures that may be unreadable before a run stops, and the fewest samples to judge it by.
UNREADABLE_LIMIT, UNREADABLE_SAMPLES = 0.01, 500


@dataclass(frozen=True)
class Stage:
    """One stage of training: data, losses, budget."""

    name: str
    data: tuple[Data, ...]
    budget: Budget
    losses: dict[str, float]
    """Loss name (losses.LOSSES) -> weight."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    freeze_batch_norm: bool = False
    input_size: tuple[int, int] | None = None
    """(width, height) px of this stage's crops; None: the model's. Smaller ones first cost a fraction of the compute
    (progressive learning, Tan and Le 2021, section 4.2)."""


@dataclass(frozen=True)
class Validation:
    """A protocol to score during and after training. The first one of an experiment decides which model is best."""

    protocol: str
    root: str
    dataset: str | None = None
    """Data set and split, where they differ from the protocol's own."""
    split: str | None = None
    limit: int | None = None
    """People scored while training (evenly spread); at the end all are scored."""


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the outcome of a run, and the cadence of its reports."""

    name: str
    model: ModelConfig
    stages: tuple[Stage, ...]
    validation: tuple[Validation, ...] = ()
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 32
    """Samples of one step, over all processes."""
    seed: int = 0
    start_from: str | None = None
    """Checkpoint or run folder whose weights to begin with (all of them, strictly)."""
    average_decay: float | None = 0.999
    """Decay of the averaged weights that are evaluated and kept; None: none."""
    flip_test: bool = False
    """While training; the final score follows the protocol."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    channels_last: bool = False
    compile: bool = False
    """torch.compile: worth it on a GPU for runs of more than a few minutes."""
    workers: int = 2
    """Loader processes for each training process."""
    log_samples: int = 1_000
    checkpoint_samples: int = 20_000
    validate_samples: int = 100_000
    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = "tensorboard"


# Fields that do not change what is computed: a run may be resumed with other values.
_FREE_FIELDS = ("workers", "log_samples", "checkpoint_samples", "tracker", "validation", "validate_samples")


@dataclass
class _Progress:
    """Where a run is; saved in every checkpoint."""

    stage: int = 0
    step: int = 0
    """Steps done in this stage."""
    seconds: float = 0.0
    """Spent training in this stage."""
    updates: int = 0
    """Steps done in all stages."""
    best: float | None = None
    unreadable: list[str] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


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
    resolved = _as_json(experiment)
    saved = load_checkpoint(last) if resume and last.is_file() else None
    if saved is not None:
        _require_same(saved.header["config"], resolved, last)
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
    if main:
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(json.dumps(resolved, indent=1))
    if tracker:
        accelerator.init_trackers("logs", config={"config": json.dumps(resolved)})

    sha = git_sha()
    torch.manual_seed(experiment.seed)
    progress = _Progress(**saved.header["progress"]) if saved else _Progress()
    network = _build_network(experiment, saved.header if saved else None)
    if saved:
        load_weights(network, saved.part("model"), last)
    network.to(device)
    if experiment.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedWeights(network, experiment.average_decay) if experiment.average_decay is not None else None
    if saved and average:
        average.tensors = {name: tensor.to(device) for name, tensor in saved.part("ema").items()}

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

    with _signals() as interrupted:
        for number, stage in enumerate(experiment.stages):
            if number < progress.stage:
                continue
            mixture = open_mixture(stage.data, experiment.seed)
            stage_seed = experiment.seed * 1000 + number
            codec = _codec(network, stage)
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
            batches = iter(build_train_loader(crops, sampler, experiment.workers, device.type == "cuda"))
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
            needs_maps = any(name.startswith("heatmap") for name in stage.losses)
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

                    asked = time.perf_counter()
                    batch: Batch = next(batches)
                    waited += time.perf_counter() - asked
                    _note_unreadable(progress, batch, mixture, experiment.batch_size)
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
                    now = time.perf_counter()
                    progress.seconds, began = progress.seconds + now - began, now
                    if steps is None:
                        # Every process must stop at the same step: the mean of their clocks decides.
                        clock = torch.tensor(progress.seconds, device=device)
                        progress.seconds = float(accelerator.reduce(clock, "mean"))
                        finished = progress.seconds >= (stage.budget.seconds or 0)
                        due = {name: finished or is_due for name, is_due in due.items()}
                    stopping = interrupted()
                    if processes > 1:
                        # They must also agree on a signal, which reaches each at a step of its own.
                        stopping = due["log"] and bool(accelerator.reduce(torch.tensor(stopping, device=device).int()))
                    if any(due.values()) or stopping:
                        _require_finite(pending, network, progress, stage, sampler, mixture)
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
                        accelerator.log(_scalars(row), step=progress.updates)
                        where = progress.seconds if steps is None else progress.step * experiment.batch_size
                        display.update(where, f"loss {row['loss']:.4g} {rate:.0f} images/s")
                        waited, log_began, logged_at = 0.0, now, progress.step
                    if due["validate"] and experiment.validation:
                        scores = _validate(experiment, network, codec, average, accelerator, final=False)
                        row = {
                            "stage": stage.name,
                            "step": progress.step,
                            "samples": progress.step * experiment.batch_size,
                        }
                        row |= {one.protocol: one.value for one in scores}
                        progress.history.append(row)
                        accelerator.log(_scalars(row), step=progress.updates)
                        logger.info(
                            "%s: %s", stage.name, ", ".join(f"{s.protocol} {s.value:.2f} {s.unit}" for s in scores)
                        )
                        if _is_better(scores[0], progress.best):
                            progress.best = scores[0].value
                            if main:
                                checkpoint(best, everything=False)
                    if due["checkpoint"] or due["validate"] or stopping:
                        if finished:
                            cost = _cost(stage, progress, experiment.batch_size, flops_per_sample)
                            progress.costs.append(dataclasses.asdict(cost))
                            progress.stage, progress.step, progress.seconds = number + 1, 0, 0.0
                        if main:
                            checkpoint(last, everything=True)
                    if finished:
                        break
                    if stopping:
                        raise Interrupted(f"stopped at step {progress.step} of {stage.name}; go on with --resume")
                    began = time.perf_counter()
            del batches
            accelerator.free_memory()

    scores = _validate(experiment, network, network.codec, average, accelerator, final=True)
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
    )
    if main:
        result.save(out / "result.json")
    accelerator.end_training()
    return result


class Interrupted(TrainingError):
    """A signal asked the run to stop; its checkpoint is written."""


def _build_network(experiment: Experiment, header: dict[str, Any] | None) -> PoseNet:
    """The network with its first weights: fresh, pre-trained, or those of ``start_from``."""
    if header is not None:
        return PoseNet(experiment.model, header.get("backbone_config") or {})
    if experiment.start_from is None:
        return PoseNet(experiment.model)
    loaded, _ = load_model(Path(experiment.start_from))
    network = PoseNet(experiment.model, loaded.backbone.config or {})
    load_weights(network, loaded.state_dict(), Path(experiment.start_from))
    return network


def _codec(network: PoseNet, stage: Stage) -> HeatmapCodec:
    """The network's codec at the size of the stage's crops."""
    size, stride = stage.input_size, network.backbone.levels[-1].stride
    if size is None:
        return network.codec
    if size[0] % stride or size[1] % stride:
        raise ConfigError(f"stage {stage.name}: input_size {size}: expected multiples of {stride} px")
    return dataclasses.replace(network.codec, input_size=size)


def _validate(
    experiment: Experiment,
    network: PoseNet,
    codec: HeatmapCodec,
    average: AveragedWeights | None,
    accelerator: Accelerator,
    final: bool,
) -> list[Scores]:
    """Scores under every protocol of the experiment, with the averaged weights, the people shared among processes."""
    network.eval()
    trained = {name: tensor.clone() for name, tensor in network.state_dict().items()} if average else {}
    if average:
        network.load_state_dict(average.tensors)
    for buffer in network.buffers():  # statistics of batch norm are each process's own until its next step
        broadcast(buffer)
    scores = []
    for one in experiment.validation:
        wanted = aim(protocol(one.protocol), one.dataset, one.split)
        index = open_index(wanted.dataset, Path(one.root), wanted.split)
        rows = protocol_rows(index, wanted, None if final else one.limit)
        with accelerator.autocast():
            mine = predict(
                network,
                codec,
                index,
                rows[accelerator.process_index :: accelerator.num_processes],
                device=accelerator.device,
                batch_size=experiment.batch_size,
                workers=experiment.workers,
                flip_test=wanted.flip_test if final else experiment.flip_test,
                decode=wanted.decode,
            )
        scores.append(score(join_predictions(gather_object([mine])), index, wanted, rows))
    if average:
        network.load_state_dict(trained)
    return scores


def _cost(stage: Stage, progress: _Progress, batch_size: int, flops_per_sample: float) -> StageCost:
    samples = progress.step * batch_size
    return StageCost(stage.name, progress.step, samples, samples * flops_per_sample, progress.seconds)


def _is_better(score: Scores, best: float | None) -> bool:
    """By the metric's own direction; a score that is not a number is never better."""
    if best is None or np.isnan(score.value):
        return not np.isnan(score.value)
    return score.value < best if score.better == "lower" else score.value > best


def _note_unreadable(progress: _Progress, batch: Batch, mixture: Mixture, batch_size: int) -> None:
    """Count and name pictures that could not be read; more than 1 % of them stops the run."""
    if bool(batch.readable.all()):
        return
    for dataset, row in zip(batch.dataset[~batch.readable].tolist(), batch.row[~batch.readable].tolist()):
        person = mixture.indexes[dataset][row]
        if str(person.image) not in progress.unreadable:
            progress.unreadable.append(str(person.image))
            logger.warning("unreadable image %s (%s): left out", person.image, person.key)
    seen = max((progress.step + 1) * batch_size, UNREADABLE_SAMPLES)
    if len(progress.unreadable) > UNREADABLE_LIMIT * seen:
        raise TrainingError(
            f"more than {UNREADABLE_LIMIT:.0%} of images cannot be read: {len(progress.unreadable)} among {seen}"
            f" samples, e.g. {', '.join(progress.unreadable[:5])}. Check with: headstart data NAME --root R --check"
        )


def _require_finite(
    pending: list[torch.Tensor],
    network: PoseNet,
    progress: _Progress,
    stage: Stage,
    sampler: MixtureSampler,
    mixture: Mixture,
) -> None:
    """Raises :class:`TrainingError` naming the first step whose loss is not finite, and what it was made of.

    The weights are looked at too: the last step may have spoilt them, which no loss has shown yet.
    """
    position, what = first_not_finite(pending) if pending else None, "loss is"
    if position is None:
        if first_not_finite([tensor.float().sum() for tensor in network.state_dict().values()]) is None:
            return
        position, what = max(len(pending) - 1, 0), "weights are"
    step = progress.step - len(pending) + position
    keys = [mixture.indexes[draw.dataset][draw.row].key for draw in sampler.batch(step)]
    raise TrainingError(
        f"{what} not finite at step {step + 1} of stage {stage.name} (samples {', '.join(keys[:4])} ...); nothing was"
        " saved after it. Lower the learning rate or clip gradients, then go on with --resume"
    )


@contextmanager
def _signals() -> Iterator[Any]:
    """A function that tells whether SIGTERM or SIGINT has come; a second SIGINT interrupts at once."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever runs us handles signals
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_json(experiment: Experiment) -> dict[str, Any]:
    """The resolved configuration as JSON has it (tuples are lists)."""
    return json.loads(json.dumps(dataclasses.asdict(experiment)))


def _require_same(saved: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    """A resumed run must be the same run."""
    different = [
        f"{name} was {saved.get(name)!r}, is {value!r}"
        for name, value in wanted.items()
        if name not in _FREE_FIELDS and saved.get(name) != value
    ]
    if different:
        raise ConfigError(f"{path} was made by another configuration: {'; '.join(different)}")


def _scalars(row: dict[str, Any]) -> dict[str, float]:
    """What trackers can plot; names are grouped by stage."""
    numbers = {name: value for name, value in row.items() if isinstance(value, (int, float))}
    return {f"{row['stage']}/{name}": float(value) for name, value in numbers.items() if name != "step"}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
