"""From indexes to batches: crops, and the processes that make them. Their order is sampling.py's.

Randomness is a function of (seed, epoch, position) alone: the same run gives the same batches whatever the number of
workers, and a run that is resumed in the middle of an epoch goes on where it stopped.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from headstart.augment import AugmentConfig, add_occluders, change_colours, sample_crop, sample_cut
from headstart.errors import ConfigError, DataError
from headstart.geometry import Crop, root_relative
from headstart.index import AnnotationIndex, open_index
from headstart.ranges import Count, From0
from headstart.records import Annotation, Batch
from headstart.sampling import Draw, MixtureSampler
from headstart.skeleton import CANONICAL, FEET, WITH_FEET, Skeleton
from headstart.workers import end_with_parent

#: At most this many people are cropped sooner than a worker has imported torch.
_FEW = 500


@dataclass(frozen=True)
class Data:
    """One data set of a mixture."""

    dataset: str
    """Name in datasets.DATASETS."""
    root: str
    """Folder of the data set, or one that ``headstart pack`` wrote."""
    split: str
    weight: From0 = 1.0
    """Share of the draws, relative to the other data sets of the mixture."""
    use_3d: bool = True
    """False hides the 3D labels: the data set counts as 2D only."""
    limit: Count | None = None
    """Use only this many people, chosen at random by the seed (not the first ones)."""


class CropDataset(Dataset[dict[str, NDArray[Any]]]):
    """Crops and points for the model's joints. A sample depends on ``seed`` and its :class:`Draw` alone.

    ``input_size`` (width, height) px of the crops; ``use_3d``: for each index, whether its 3D labels are used;
    ``augment``: None for plain crops.
    """

    def __init__(
        self,
        indexes: Sequence[AnnotationIndex],
        skeleton: Skeleton,
        input_size: tuple[int, int],
        augment: AugmentConfig | None = None,
        seed: int = 0,
        use_3d: Sequence[bool] | None = None,
    ) -> None:
        self.indexes, self.skeleton, self.input_size = list(indexes), skeleton, input_size
        self.augment, self.seed = augment, seed
        self.use_3d = list(use_3d) if use_3d is not None else [True] * len(self.indexes)
        self.joints = WITH_FEET.indices(skeleton.names)
        self.has_feet = not set(FEET).isdisjoint(skeleton.names)

    def __getitem__(self, draw: Draw) -> dict[str, NDArray[Any]]:
        """Arrays of one sample, fields of :class:`~headstart.records.Batch` without their first axis.

        The image is (H, W, 3). An unreadable one gives a grey image with all weights 0 and ``readable`` False.
        """
        index = self.indexes[draw.dataset]
        person = index[draw.row].with_feet() if self.has_feet else index[draw.row]
        rng = np.random.default_rng([self.seed, draw.epoch, draw.position])
        cut = sample_cut(rng, person, self.augment)
        crop = sample_crop(rng, (cut or person).bbox_xywh, self.input_size, self.augment)
        sample = self._points(person, crop, self.use_3d[draw.dataset])
        try:
            image = index.image(draw.row)
            sample["image"] = self._image(image if cut is None else cut.hide(image, rng), crop, rng)
            sample["readable"] = np.array(True)
        except DataError:
            sample["image"] = np.full((*self.input_size[::-1], 3), 128, np.uint8)
            sample |= {name: np.zeros_like(sample[name]) for name in ("weight_2d", "weight_3d")}
            sample["readable"] = np.array(False)
        return sample | {"row": np.array(draw.row), "dataset": np.array(draw.dataset), "crop": crop.matrix}

    def _image(self, image: NDArray[np.uint8], crop: Crop, rng: np.random.Generator) -> NDArray[np.uint8]:
        pixels = crop.warp(image)
        if self.augment is not None:
            pixels = add_occluders(rng, change_colours(rng, pixels, self.augment), self.augment)
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]

    def _points(self, person: Annotation, crop: Crop, use_3d: bool) -> dict[str, NDArray[Any]]:
        order = self.joints if not crop.mirrored else [self.joints[i] for i in self.skeleton.flip_index]
        labelled = person.visibility[order] > 0
        keypoints = np.where(labelled[:, None], crop.to_crop(person.keypoints[order]), 0.0)
        xyz, known, pixels_per_mm = _relative_pose(person, crop) if use_3d else _no_pose()
        return {
            "keypoints": keypoints.astype(np.float32),
            "weight_2d": labelled.astype(np.float32),
            "xyz": xyz[order].astype(np.float32),
            "weight_3d": known[order].astype(np.float32),
            "pixels_per_mm": np.array(pixels_per_mm, np.float32),
        }


def _no_pose() -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    return np.zeros((len(WITH_FEET), 3)), np.zeros(len(WITH_FEET), bool), 0.0


def _relative_pose(person: Annotation, crop: Crop) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """The person's joints (K, 3) mm relative to the pelvis and turned with the crop, which are known, crop px per mm.

    Nothing is known of a person whose pelvis is unknown, or not in front of the camera.
    """
    pelvis = CANONICAL.index("pelvis")
    if person.camera_xyz is None or not np.isfinite(person.camera_xyz[pelvis]).all():
        return _no_pose()
    if person.camera is not None and person.camera_xyz[pelvis, 2] <= 0:
        return _no_pose()
    known = np.asarray(np.isfinite(person.camera_xyz).all(1))
    relative = np.where(known[:, None], root_relative(person.camera_xyz, pelvis), 0.0)
    pixels_per_mm = person.pixels_per_mm() * crop.scale
    if pixels_per_mm == 0:
        return _no_pose()
    return crop.rotate_camera_axes(relative), known, pixels_per_mm


@dataclass(frozen=True)
class Mixture:
    """Opened data sets."""

    indexes: list[AnnotationIndex]
    rows: list[NDArray[np.int64] | None]
    """Of each index, those in use; None: all."""
    data: tuple[Data, ...]

    @property
    def sizes(self) -> list[int]:
        """Number of people in use of each data set."""
        return [len(index) if rows is None else len(rows) for index, rows in zip(self.indexes, self.rows)]


def open_mixture(data: tuple[Data, ...], seed: int) -> Mixture:
    """Open every data set; where there is a ``limit``, ``seed`` decides which people are in use.

    Raises :class:`DataError` for one without a single labelled joint in its pictures: nothing would be learnt from it.
    """
    indexes = [open_index(one.dataset, one.root, one.split) for one in data]
    for one, index in zip(data, indexes):
        if not index.column("visibility").any():
            found = f"none among {len(index):,} people of split {one.split}"
            raise DataError(one.root, f"joints labelled in the images of {one.dataset}", found=found)
    rows: list[NDArray[np.int64] | None] = []
    for one, index in zip(data, indexes):
        if one.limit is None or one.limit >= len(index):
            rows.append(None)
        else:
            rows.append(np.sort(np.random.default_rng([seed, 2]).permutation(len(index))[: one.limit]))
    return Mixture(indexes, rows, data)


def collate(samples: list[dict[str, NDArray[Any]]]) -> Batch:
    """Samples to tensors. The image's memory stays (B, H, W, 3), which is torch's channels-last."""
    stacked = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in samples[0]}
    stacked["image"] = stacked["image"].permute(0, 3, 1, 2)
    return Batch(**stacked)


def build_train_loader(
    dataset: CropDataset, sampler: MixtureSampler, workers: int, pin_memory: bool = False
) -> DataLoader[Batch]:
    """A loader of endless batches, those of ``sampler``, made by ``workers`` processes (0: by this one)."""
    return _loader(dataset, sampler, workers, pin_memory)


class Batches:
    """Endless batches, whose loader processes end at :meth:`close`.

    Nothing else ends them in time: they ignore SIGTERM, and the traceback of an exception keeps their iterator alive.
    """

    def __init__(self, loader: DataLoader[Batch]) -> None:
        self._iterator: Iterator[Batch] | None = iter(loader)

    def __next__(self) -> Batch:
        if self._iterator is None:
            raise StopIteration
        return next(self._iterator)

    def close(self) -> None:
        """End the loader's processes. May be called more than once."""
        self._iterator = None


def build_eval_loader(
    dataset: CropDataset, rows: NDArray[np.int64], batch_size: int, workers: int, pin_memory: bool = False
) -> DataLoader[Batch]:
    """A loader of ``rows`` of the first index, each once and in order; the last batch may be smaller."""
    draws = [Draw(0, int(row), 0, position) for position, row in enumerate(rows)]
    batches = [draws[i : i + batch_size] for i in range(0, len(draws), batch_size)]
    return _loader(dataset, batches, workers if _worth_workers(len(draws)) else 0, pin_memory)


def _worth_workers(people: int) -> bool:
    """Whether workers save time: where they are not forked (Mac, Windows) they first spend seconds on imports."""
    return people > _FEW or multiprocessing.get_start_method() == "fork"


def _loader(dataset: CropDataset, batches: Any, workers: int, pin_memory: bool) -> DataLoader[Batch]:
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # collate turns its samples into batches
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_begin_worker,
        prefetch_factor=4 if workers else None,
        # Its own generator: the loader must not draw from torch's global state, which is part of a checkpoint.
        generator=torch.Generator().manual_seed(0),
    )


def _begin_worker(_: int) -> None:
    """Set up a loader process: one thread, deaf to signals, ends with the training process.

    A signal to the whole process group (a scheduler's SIGTERM, Ctrl-C) is handled by the training process, which saves
    a checkpoint and then ends its workers. If it is killed, they end too; torch alone does not see to that under
    forkserver (Python 3.14), as it watches their parent, which is another process there.
    """
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def micro_batch_size_of(batch_size: int, wanted: int | None, processes: int) -> int:
    """Samples that each process takes at a time: ``wanted``, or its whole part of the batch.

    Raises :class:`ConfigError` where its part of the batch is not a multiple of them.
    """
    part = batch_size // processes
    size = wanted or max(part, 1)
    if part % size:
        of = f"{part}, the part that each of {processes} processes has of batch_size {batch_size}"
        raise ConfigError(f"micro_batch_size: expected a divisor of {of}, got {size}")
    return size


def split_batch(batch: Batch, size: int) -> list[Batch]:
    """A batch in parts of ``size`` samples, which share its memory."""
    parts = {name: tensor.split(size) for name, tensor in vars(batch).items()}
    return [Batch(**dict(zip(parts, part))) for part in zip(*parts.values())]
