"""What stops a run that has gone wrong: unreadable pictures, numbers that are not finite, too little memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from headstart.errors import TrainingError, first_line
from headstart.experiment import Stage
from headstart.loader import Mixture
from headstart.models.pose_net import PoseNet
from headstart.progress import Progress
from headstart.records import Batch
from headstart.sampling import MixtureSampler

logger = logging.getLogger("headstart")

#: Share of pictures that may be unreadable before a run stops, and the fewest samples to judge it by.
UNREADABLE_LIMIT, UNREADABLE_SAMPLES = 0.01, 500


def note_unreadable(progress: Progress, batch: Batch, mixture: Mixture) -> None:
    """Record the pictures of a batch that could not be read, and name each once.

    Raises :class:`TrainingError` if they are more than 1 % of the samples of this process in all stages so far.
    """
    if bool(batch.readable.all()):
        return
    for dataset, row in zip(batch.dataset[~batch.readable].tolist(), batch.row[~batch.readable].tolist()):
        person = mixture.indexes[dataset][row]
        if str(person.image) not in progress.unreadable:
            progress.unreadable.append(str(person.image))
            logger.warning("unreadable image %s (%s): left out", person.image, person.key)
    seen = max((progress.updates + 1) * len(batch.row), UNREADABLE_SAMPLES)
    if len(progress.unreadable) > UNREADABLE_LIMIT * seen:
        raise TrainingError(
            f"more than {UNREADABLE_LIMIT:.0%} of images cannot be read: {len(progress.unreadable)} among {seen}"
            f" samples, e.g. {', '.join(progress.unreadable[:5])}. Check with: headstart data NAME --root R --check"
        )


def require_finite(
    pending: list[Tensor],
    network: PoseNet,
    progress: Progress,
    stage: Stage,
    sampler: MixtureSampler,
    mixture: Mixture,
) -> None:
    """Raises :class:`TrainingError` naming the first step whose loss is not finite, and some of its samples.

    ``pending``: the losses of the last steps. The weights are checked too: the last step may have made them infinite,
    which only the next loss would show.
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


def first_not_finite(numbers: Iterable[Tensor]) -> int | None:
    """Position of the first of some scalar tensors that is NaN or infinite; one transfer from the device."""
    values = torch.stack(list(numbers))
    bad = (~torch.isfinite(values)).nonzero()
    return int(bad[0]) if len(bad) else None


@contextmanager
def one_line_if_out_of_memory() -> Iterator[None]:
    """Raises :class:`TrainingError` where the GPU's memory is full, or the system has killed a loader process."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        fix = "Begin anew with a smaller --micro-batch-size (steps stay the same) or --precision bf16"
        raise TrainingError(f"{first_line(error)} {fix}") from error
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        fix = "If memory was full (in a container, /dev/shm), go on with --resume and fewer --workers"
        raise TrainingError(f"{first_line(error)} {fix}") from error
