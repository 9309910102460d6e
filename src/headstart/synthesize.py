"""Generate a synthetic data set in the packed form that training reads: shards of pictures beside their labels.

A folder ``synthetic_DOMAIN-SPLIT/`` is what ``headstart pack`` writes for a real data set (pack.py), with two more
columns: ``state`` (K,), ``synth.labels.State`` of each of the K joints, and ``mask``, a PNG of the person's pixels.
The bytes depend only on domain, split, seed, count, size and :data:`GENERATOR`, not on the number of workers. A run
that was killed keeps its complete shards.

People have 28 joints (``skeleton.WITH_FEET``). Folders that were begun when they had 22 go on without feet: all else in
them is the same.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa

from headstart.errors import ConfigError, DataError
from headstart.files import write_json
from headstart.images import encode_image
from headstart.index import packed_schema_of, write_index
from headstart.pack import claim, packed_row
from headstart.records import Annotation, Visibility
from headstart.skeleton import CANONICAL, WITH_FEET, Skeleton
from headstart.workers import THREAD_VARIABLES, end_with_parent, one_line_if_killed

if TYPE_CHECKING:
    from headstart.synth.domains import SyntheticImage

logger = logging.getLogger("headstart")


def schema_with_states(joints: Skeleton) -> pa.Schema:
    """Columns of synthetic people."""
    states = pa.list_(pa.field("item", pa.uint8(), nullable=False), len(joints))
    return packed_schema_of(joints).append(pa.field("state", states)).append(pa.field("mask", pa.binary()))


#: Version of the generator: increased whenever the same seed gives other pictures or labels, so that a pack is never
#: continued by another version. 2: knees lie lower (synth/body.py). 3: boxes around joints, more contrast, barer limbs,
#: more compact poses. 4: no T-poses from calibration; pictures that are reduced and enlarged stay aligned with labels.
GENERATOR = 4

_ROWS_PER_SHARD = 500
_QUALITY = 92


@dataclass(frozen=True)
class SynthConfig:
    """What to generate."""

    domain: str
    split: str
    count: int
    seed: int = 0
    size: int = 256
    """Side of the pictures in px."""


def dataset_name(domain: str) -> str:
    """Name of a domain's data set, such as ``synthetic_wild``."""
    return f"synthetic_{domain}"


def synthesize(
    config: SynthConfig,
    out: Path,
    *,
    workers: int = 1,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write ``config.count`` pictures below ``out`` and return their folder; complete shards in it are kept.

    ``on_progress`` is called with the number of pictures so far. Raises :class:`ConfigError` for an unknown domain or
    split and for numbers out of range, and :class:`DataError` if the folder was begun with other settings or by another
    version of the generator.
    """
    _check(config)
    folder = out / f"{dataset_name(config.domain)}-{config.split}"
    joints = _joints_of(folder / "settings.json")
    settings = {"dataset": dataset_name(config.domain), "generator": GENERATOR, **asdict(config)}
    settings |= {"joints": joints.name} if joints is WITH_FEET else {}
    claim(folder / "settings.json", settings)
    if joints is CANONICAL:
        logger.info("%s was begun without labels of feet and goes on without; another --out gets them", folder)
    metadata, shards = {name: str(value) for name, value in settings.items()}, []
    with _mapper(workers) as apply:
        for number, start in enumerate(range(0, config.count, _ROWS_PER_SHARD)):
            shard = folder / f"shard-{number:05d}.arrow"
            rows = range(start, min(start + _ROWS_PER_SHARD, config.count))
            if _is_whole(shard, len(rows), metadata):
                on_progress(rows.stop)
            else:
                made = apply(partial(make_row, config, joints), rows)
                write_index(shard, _counted(made, start, on_progress), schema_with_states(joints), metadata)
            shards.append(shard.name)
    manifest = {**settings, "shards": shards, "unreadable": []}
    write_json(folder / "pack.json", manifest)
    return folder


def _joints_of(settings: Path) -> Skeleton:
    """The joints of a folder: without feet if its settings are of a time when nobody had any.

    Whether these are the settings that are wanted is for :func:`~headstart.pack.claim` to say.
    """
    try:
        found = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return WITH_FEET
    return CANONICAL if isinstance(found, dict) and "joints" not in found else WITH_FEET


def _is_whole(shard: Path, rows: int, settings: dict[str, str]) -> bool:
    """Whether a shard exists and has all its rows; a damaged one does not.

    Raises :class:`DataError` for a shard that was made with other settings.
    """
    if not shard.is_file():
        return False
    try:
        with pa.memory_map(str(shard)) as source, pa.ipc.open_file(source) as reader:
            count = sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
            found = {key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()}
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        return False
    names = {**settings, "joints": ""}  # which those of a folder without feet lack
    if different := {name: found.get(name) for name in names if found.get(name) != settings.get(name)}:
        raise DataError(shard, f"a shard of the settings {settings}", found=f"{different}", fix="Choose another --out")
    return count == rows


def make_row(config: SynthConfig, joints: Skeleton, index: int) -> dict[str, Any]:
    """Picture ``index`` as a row of :func:`schema_with_states`."""
    from headstart.synth.domains import generate

    made = generate(config.domain, config.split, config.seed, index, config.size)
    row = packed_row(to_annotation(made, joints), np.ascontiguousarray(made.image[..., ::-1]), _QUALITY, Path())
    return {**row, "state": made.states[: len(joints)], "mask": encode_image(made.mask.astype(np.uint8) * 255, 0)}


def to_annotation(made: SyntheticImage, joints: Skeleton = WITH_FEET) -> Annotation:
    """The person as an :class:`Annotation`: joints outside the picture have a 3D position but no 2D label.

    ``joints``: ``skeleton.WITH_FEET``, or ``CANONICAL``, which are its first.
    """
    from headstart.synth.labels import State

    kept = slice(len(joints))
    states = made.states[kept]
    outside = states == State.OUT_OF_FRAME
    visibility = np.where(states == State.VISIBLE, Visibility.VISIBLE, Visibility.OCCLUDED).astype(np.uint8)
    visibility[outside] = Visibility.UNLABELLED
    return Annotation(
        key=made.key,
        image=Path(f"{made.key}.jpg"),
        bbox_xywh=made.bbox_xywh.astype(np.float32),
        keypoints=np.where(outside[:, None], np.nan, made.keypoints[kept]).astype(np.float32),
        visibility=visibility,
        camera_xyz=made.camera_xyz[kept].astype(np.float32),
        camera=made.camera,
        subject=made.subject,
        action=made.action,
        sequence=made.sequence,
        frame=made.frame,
    )


def _check(config: SynthConfig) -> None:
    try:
        from headstart.synth.domains import DOMAINS
        from headstart.synth.pose import SPLITS
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}: synthetic people need it; pip install 'headstart[synth]'") from error
    if config.domain not in DOMAINS:
        raise ConfigError(f"domain: expected one of {', '.join(DOMAINS)}, got {config.domain!r}")
    if config.split not in SPLITS:
        raise ConfigError(f"split: expected one of {', '.join(SPLITS)}, got {config.split!r}")
    if config.count < 1 or config.size < 32 or config.seed < 0:
        got = f"{config.count}, {config.size} and {config.seed}"
        raise ConfigError(f"count, size and seed: expected at least 1, 32 and 0, got {got}")


def _counted(
    rows: Iterator[dict[str, Any]], start: int, on_progress: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    for done, row in enumerate(rows, start + 1):
        yield row
        on_progress(done)


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[dict[str, Any]]]]:
    """An ordered map over ``workers`` processes of one thread each, or over none."""
    if workers <= 1:
        yield map
        return
    # Numerical libraries read these when a worker imports them: with several threads each, workers would compete.
    added = {name: "1" for name in THREAD_VARIABLES if name not in os.environ}
    os.environ.update(added)
    context = multiprocessing.get_context("spawn")
    try:
        with one_line_if_killed(), ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as pool:
            try:
                yield partial(pool.map, chunksize=8)
            finally:  # after an error, such as a full disk, the rest of the shard is not made first
                pool.shutdown(cancel_futures=True)
    finally:
        for name in added:  # the calling process keeps its own number of threads
            os.environ.pop(name, None)


def _begin_worker() -> None:
    end_with_parent()
    cv2.setNumThreads(1)
