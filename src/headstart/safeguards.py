"""What stops a run that goes wrong: another one in its folder, other labels than before, unreadable pictures, numbers
that are not finite, too little memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from headstart.checkpoint import Checkpoint
from headstart.errors import ConfigError, TrainingError, first_few, first_line
from headstart.experiment import DIFFERENCES, Experiment, Stage, as_json, differences
from headstart.loader import Mixture
from headstart.locks import LOOK_AGAIN, locked_file
from headstart.models.pose_net import PoseNet, model_skeleton
from headstart.progress import Progress
from headstart.records import Batch
from headstart.results import form_of
from headstart.sampling import MixtureSampler

logger = logging.getLogger("headstart")

#: Share of pictures that may be unreadable before a run stops, and the fewest samples to judge it by.
UNREADABLE_LIMIT, UNREADABLE_SAMPLES = 0.01, 500


@contextmanager
def alone_in(out: Path, accelerator: Accelerator) -> Iterator[None]:
    """Let no other run train in the folder ``out`` meanwhile; all processes of a run enter it together.

    The main process holds the lock of the file ``lock``, which is deleted at the end, and so is the folder if it was
    made for it and stayed empty. Where the file system has no locks, this is only logged. Raises :class:`ConfigError`
    if another run trains there.
    """
    with ExitStack() as held:
        got = [True]
        if accelerator.is_main_process:
            held.enter_context(_without_empty_folders(out))
            got = [_lock(out / "lock", held)]
        if not all(broadcast_object_list(got)):
            raise ConfigError(
                f"{out}: another run trains in this folder. Wait for its end, or give another --out. (The processes of"
                " one run are started by torchrun or accelerate launch)"
            )
        yield


@contextmanager
def _without_empty_folders(out: Path) -> Iterator[None]:
    """Delete ``out`` and the folders above that are made in this context, unless something is in them."""
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        yield
    finally:
        with suppress(OSError):  # not empty
            for folder in missing:
                folder.rmdir()


def _lock(path: Path, held: ExitStack) -> bool:
    """Whether this process got the lock, which it then has in ``held``."""
    try:
        if held.enter_context(locked_file(path)):
            return True
        time.sleep(LOOK_AGAIN)  # loader processes of a killed run hold its lock for a moment longer
        return held.enter_context(locked_file(path))
    except ConfigError as error:
        logger.warning("%s; start no second run in this folder while this one trains", error)
        return True


def label_digests(
    mixtures: Mapping[int, Mixture], experiment: Experiment, saved: Checkpoint | None, last: Path
) -> list[list[str]]:
    """Digests of the labels of each stage's data sets, for the model's joints; for stages that are over, ``saved``'s.

    A resumed run may find its data in other folders, which is logged. Raises :class:`ConfigError` for a data set whose
    labels are not those that the run began with; digests of an earlier version's form are not compared.
    """
    joints = model_skeleton(experiment.model).names
    before = saved.header.get("labels", []) if saved else []
    digests = [before[number] if number < len(before) else [] for number in range(len(experiment.stages))]
    indexes = {tuple(index.files): index for mixture in mixtures.values() for index in mixture.indexes}
    of_files = {files: index.digest(joints) for files, index in indexes.items()}
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
                f" ({there} there, {here} here; a packed copy's are others, as its images are smaller). Go back to"
                " those, or give another --out to begin anew"
            )


def _forms(digests: list[list[str]]) -> set[str]:
    return {form_of(digest) for stage in digests for digest in stage}


def _say_what_moved(there: dict[str, Any], here: dict[str, Any], compared: bool) -> None:
    """Log data sets that lie elsewhere than in the saved run. ``compared``: whether their labels were compared."""
    if moved := list(differences(_roots(there), _roots(here), "stages")):
        known = "their labels are the same" if compared else "the checkpoint does not say which labels they had"
        logger.info("data have moved, %s: %s", known, first_few(moved, DIFFERENCES))


def _roots(config: dict[str, Any]) -> list[Any]:
    return [{"data": [{"root": data["root"]} for data in stage["data"]]} for stage in config["stages"]]


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
