"""Scores while training and at its end, by the same code that scores a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object

from headstart.evaluate import aim, predict, protocol_rows, score
from headstart.experiment import Experiment, Validation
from headstart.index import AnnotationIndex, open_index
from headstart.models.pose_net import PoseNet
from headstart.optimisation import AveragedWeights
from headstart.predictions import join_predictions
from headstart.protocols import Protocol, protocol
from headstart.results import Scores
from headstart.targets import HeatmapCodec


def require_validation_data(experiment: Experiment) -> None:
    """Raise now, not after hours of training, what scoring would: data that are missing or malformed."""
    for one in experiment.validation:
        _open(one)


def validate(
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
        wanted, index = _open(one)
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


def _open(one: Validation) -> tuple[Protocol, AnnotationIndex]:
    wanted = aim(protocol(one.protocol), one.dataset, one.split)
    return wanted, open_index(wanted.dataset, Path(one.root), wanted.split)


def is_better(score: Scores, best: float | None) -> bool:
    """By the metric's own direction; a score that is not a number is never better."""
    if best is None or np.isnan(score.value):
        return not np.isnan(score.value)
    return score.value < best if score.better == "lower" else score.value > best
