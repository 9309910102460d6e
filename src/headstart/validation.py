"""Scores during and after training, by the same code that scores a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from numpy.typing import NDArray

from headstart.caveats import subjects_trained_on
from headstart.errors import ConfigError, DataError, first_line
from headstart.evaluate import aim, predict, protocol_rows, score
from headstart.experiment import Experiment, Validation
from headstart.index import AnnotationIndex, open_index
from headstart.losses import need_heatmaps, total
from headstart.models.freezing import freeze_to_stride, learning_parameters
from headstart.models.pose_net import PoseNet
from headstart.optimisation import AveragedWeights
from headstart.predictions import Predictions, join_predictions
from headstart.protocols import Protocol, protocol
from headstart.records import Batch
from headstart.results import Scores
from headstart.sampling import evenly_spread
from headstart.skeleton import Skeleton
from headstart.targets import HeatmapCodec

#: At most this many people are scored in a rehearsal.
_REHEARSED = 1000


@dataclass(frozen=True)
class OpenValidation:
    """A validation with its people. They are opened once, as their files may be replaced while a run trains."""

    title: str
    """Of :func:`names_of`."""
    wanted: Protocol
    index: AnnotationIndex
    limit: int | None
    """At most this many are scored while training."""


def rehearse(experiment: Experiment, skeleton: Skeleton) -> list[OpenValidation]:
    """Score made-up poses under every validation, so that missing data, labels or joints are reported before training.

    Returns the validations, to be scored by :func:`validate`. Raises :class:`ConfigError` or :class:`DataError` for
    what is missing. ``skeleton``: the model's joints.
    """
    opened = [_open(title, one) for title, one in zip(names_of(experiment.validation), experiment.validation)]
    for one in opened:
        _require_others(one, experiment)
        rehearse_scoring(one.index, one.wanted, protocol_rows(one.index, one.wanted, one.limit), skeleton.names)
    return opened


def _open(title: str, one: Validation) -> OpenValidation:
    wanted = _wanted(one)
    try:
        return OpenValidation(title, wanted, open_index(wanted.dataset, one.root, wanted.split), one.limit)
    except DataError as error:
        fix = f"Where {wanted.dataset} has no such split it is trained on with --unscored {wanted.dataset}"
        raise ConfigError(f"{title} cannot be scored: {error}. {fix}") from error


def _require_others(one: OpenValidation, experiment: Experiment) -> None:
    """Nobody may be scored who is trained on, unless it is the very split that is trained on, by its name."""
    wanted = one.wanted
    used = dict.fromkeys((d.dataset, d.split) for stage in experiment.stages for d in stage.data if d.weight > 0)
    if (wanted.dataset, wanted.split) not in used and (known := subjects_trained_on(wanted, used)):
        raise ConfigError(
            f"{one.title} scores people who are trained on: {', '.join(known)}. Train on h36m, or score h36m_s11 alone"
        )


def rehearse_scoring(
    index: AnnotationIndex, wanted: Protocol, rows: NDArray[np.int64], joints: tuple[str, ...]
) -> None:
    """Score made-up poses (of ``joints``) of at most a thousand of ``rows``, evenly spread; raises as scoring does."""
    some = rows[evenly_spread(len(rows), _REHEARSED)]
    poses = np.random.default_rng(0).normal(size=(len(some), len(joints), 3)).astype(np.float32)
    keys, sure = index.column("key")[some].tolist(), np.ones(poses.shape[:2], np.float32)
    made_up = Predictions(keys, joints, poses[..., :2], poses[..., 2], sure, {"decode": wanted.decode})
    score(made_up, index, wanted, some)


@torch.no_grad()
def rehearse_stages(experiment: Experiment, network: PoseNet, codecs: Sequence[HeatmapCodec]) -> None:
    """Compute the losses of every stage on black pictures, and freeze its layers, so that errors come before training.

    ``codecs``: one for each stage. Leaves the network unchanged, but in eval mode. Raises :class:`ConfigError` naming
    the stage.
    """
    network.eval()
    learning = learning_parameters(network)
    device = next(network.parameters()).device
    for number, (stage, codec) in enumerate(zip(experiment.stages, codecs)):
        batch = _black_pictures(codec).to(device)
        try:
            freeze_to_stride(network, stage.freeze_stride, learning)
            total(network(batch.image), codec.encode(batch, need_heatmaps(stage.losses)), stage.losses)
        except ConfigError as error:
            raise ConfigError(f"stages.{number}: {error}") from error
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:  # a user's backbone may take crops of one size alone
            said = f"the network cannot be computed at {codec.input_size}: {first_line(error)}"
            raise ConfigError(f"stages.{number}: {said}") from error
    freeze_to_stride(network, None, learning)


def _black_pictures(codec: HeatmapCodec) -> Batch:
    """Two people, all joints labelled at the first pixel; the first one also in 3D."""
    width, height = codec.input_size
    labelled = torch.ones(2, len(codec.skeleton))
    return Batch(
        image=torch.zeros(2, 3, height, width, dtype=torch.uint8),
        keypoints=torch.zeros(*labelled.shape, 2),
        weight_2d=labelled,
        xyz=torch.zeros(*labelled.shape, 3),
        weight_3d=labelled * torch.tensor([[1.0], [0.0]]),
        pixels_per_mm=torch.tensor([1.0, 0.0]),
        crop=torch.zeros(2, 2, 3, dtype=torch.float64),
        row=torch.arange(2),
        dataset=torch.zeros(2, dtype=torch.int64),
        readable=torch.ones(2, dtype=torch.bool),
    )


def validate(
    experiment: Experiment,
    validations: Sequence[OpenValidation],
    network: PoseNet,
    codec: HeatmapCodec,
    average: AveragedWeights | None,
    accelerator: Accelerator,
    final: bool,
) -> list[Scores]:
    """Scores under every one of ``validations``, by their titles, on every process; the processes share the people.

    The averaged weights are scored, if there are any.

    ``final``: everybody, with the protocol's own flip test; else at most ``limit`` people, with the experiment's.
    """
    # As many at a time as each process trains on, for which its memory has room.
    batch_size = experiment.micro_batch_size or max(experiment.batch_size // accelerator.num_processes, 1)
    network.eval()
    trained = {name: tensor.clone() for name, tensor in network.state_dict().items()} if average else {}
    if average:
        network.load_state_dict(average.tensors)
    for buffer in network.buffers():  # statistics of batch norm are each process's own until its next step
        broadcast(buffer)
    scores = []
    for one in validations:
        wanted, index = one.wanted, one.index
        rows = protocol_rows(index, wanted, None if final else one.limit)
        own = rows[accelerator.process_index :: accelerator.num_processes]
        parts = []
        if len(own):  # some have none where there are fewer people than processes
            with accelerator.autocast():
                mine = predict(
                    network,
                    codec,
                    index,
                    own,
                    device=accelerator.device,
                    batch_size=batch_size,
                    workers=experiment.workers,
                    flip_test=wanted.flip_test if final else experiment.flip_test,
                    decode=wanted.decode,
                )
            parts.append(mine)
        everybody = gather_object(parts)
        if accelerator.is_main_process:
            scores.append(replace(score(join_predictions(everybody), index, wanted, rows), protocol=one.title))
    if average:
        network.load_state_dict(trained)
    (scores,) = broadcast_object_list([scores])
    return scores


def scored_labels(validations: Sequence[OpenValidation]) -> dict[str, str]:
    """Title of each validation -> digest of the labels that it scores."""
    return {one.title: one.index.digest(one.wanted.joints) for one in validations}


def names_of(validations: Sequence[Validation]) -> list[str]:
    """A name for each: that of its protocol for its data (:func:`~headstart.evaluate.aim`).

    ``lsp_pck (validation.1)`` where an earlier one has the same name, so that they differ in their folders alone.
    """
    names = [_wanted(one).name for one in validations]
    return [f"{name} (validation.{number})" if name in names[:number] else name for number, name in enumerate(names)]


def _wanted(one: Validation) -> Protocol:
    return aim(protocol(one.protocol), one.dataset, one.split)


def is_better(score: Scores, best: float | None) -> bool:
    """By the metric's own direction; a score that is not a number is never better."""
    if best is None or np.isnan(score.value):
        return not np.isnan(score.value)
    return score.value < best if score.better == "lower" else score.value > best
