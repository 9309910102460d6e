"""Packing: a data set to shards of small pictures beside their labels, so that training reads, not decodes, photos.

A packed folder ``DATASET-SPLIT/`` holds ``shard-00000.arrow`` ... (index.packed_schema_of, memory-mapped) and, once
all are there, ``pack.json``. Each picture is the person's surroundings, cut along the pixel grid and reduced, never
enlarged; keypoints, box, head size and camera move along, so a packed person is an ordinary annotation of a smaller
image.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError, DataError
from headstart.files import beside, put, write_json
from headstart.geometry import PADDING
from headstart.images import encode_image, read_image
from headstart.index import AnnotationIndex, packed_schema_of, to_row, write_index
from headstart.records import Annotation
from headstart.results import form_of
from headstart.workers import end_with_parent, one_line_if_killed

#: A data set of which more than this share cannot be read is refused: something is wrong with it as a whole.
UNREADABLE_LIMIT = 0.01


@dataclass(frozen=True)
class PackConfig:
    """How pictures are stored."""

    size: int = 256
    """Crop size in px that training will use: the padded box is stored with at least this resolution."""
    margin: float = 1.6
    """Stored side over the larger side of the box: room for padding (1.25), scale and rotation."""
    quality: int = 92
    """JPEG quality, 1 to 100; 0 stores PNG (lossless)."""
    rows_per_shard: int = 1000

    def __post_init__(self) -> None:
        if self.size < 32 or not 1 <= self.margin < math.inf or not 0 <= self.quality <= 100:
            got = f"{self.size}, {self.margin} and {self.quality}"
            raise ConfigError(f"size, margin and quality: expected at least 32 px and 1, and 0 to 100, got {got}")
        if self.rows_per_shard < 1:
            raise ConfigError(f"rows_per_shard: expected at least 1, got {self.rows_per_shard}")


def pack(
    index: AnnotationIndex,
    out: Path,
    config: PackConfig,
    *,
    source: dict[str, Any],
    workers: int = 1,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Write every person of ``index`` to ``out``; existing shards are kept, so that a killed pack resumes.

    A shard is written again if a picture that was left out of it can be read now.

    ``source`` (data set, split) goes into the manifest, which is returned. ``on_progress`` is told how many people are
    done. Raises :class:`DataError` if ``out`` was begun with other settings or labels, or if more than 1 %
    of the pictures cannot be read; fewer are left out and named.
    """
    if len(index) and index.content(0) is not None:
        raise DataError(index.root, "images", found="a folder that is packed already", fix="Use it as it is")
    settings = {**source, **asdict(config), "people": len(index), "labels": index.digest(index.skeleton.names)}
    claim(out / "settings.json", settings, later=("labels",))
    starts = range(0, len(index), config.rows_per_shard)
    shards, unreadable = [], []
    for number, start in enumerate(starts):
        shard = out / f"shard-{number:05d}.arrow"
        rows = range(start, min(start + config.rows_per_shard, len(index)))
        left_out = _left_out(shard, index, rows, config) if shard.is_file() else None
        unreadable += left_out if left_out is not None else _write_shard(shard, index, rows, config, workers, source)
        if len(unreadable) > UNREADABLE_LIMIT * len(index):
            shard.unlink()
            raise _too_many(unreadable, index)
        shards.append(shard.name)
        on_progress(rows.stop)
    manifest = {**settings, "shards": shards, "unreadable": unreadable}
    write_json(out / "pack.json", manifest)
    return manifest


def packed_person(person: Annotation, config: PackConfig) -> tuple[Annotation, NDArray[np.uint8]]:
    """The annotation in pixels of the picture to be stored, and that picture (BGR).

    Raises :class:`DataError` if the image cannot be read.
    """
    image = read_image(person.image, person.frame, person.upright)
    left, top, right, bottom = _window(person.bbox_xywh, config.margin, image.shape)
    region = image[top:bottom, left:right]
    reduction = min(1.0, config.size / (PADDING * float(max(person.bbox_xywh[2:]))))
    size = (max(round(region.shape[1] * reduction), 1), max(round(region.shape[0] * reduction), 1))
    if size != region.shape[1::-1]:
        region = cv2.resize(region, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    scale = np.array(size) / (right - left, bottom - top)
    return _moved(person, np.array([left, top]), scale), region


def _moved(person: Annotation, corner: NDArray[np.int_], scale: NDArray[np.float64]) -> Annotation:
    """The annotation after cutting at ``corner`` px and scaling by ``scale`` (x, y), pixel centres kept."""
    outer_corner = np.concatenate([(person.bbox_xywh[:2] - corner) * scale, person.bbox_xywh[2:] * scale])
    camera = person.camera
    if camera is not None:
        centre = (np.array([camera.cx, camera.cy]) + 0.5 - corner) * scale - 0.5
        camera = replace(
            camera, fx=camera.fx * scale[0], fy=camera.fy * scale[1], cx=float(centre[0]), cy=float(centre[1])
        )
    return replace(
        person,
        bbox_xywh=outer_corner.astype(np.float32),
        keypoints=((person.keypoints + 0.5 - corner) * scale - 0.5).astype(np.float32),
        camera=camera,
        head_size=None if person.head_size is None else person.head_size * float(scale.mean()),
        upright=False,  # it is stored upright, without EXIF
    )


def _window(bbox: NDArray[np.floating], margin: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Pixel rectangle (left, top, right, bottom) around a box, inside the image; at least one pixel."""
    x, y, width, height = (float(value) for value in bbox)
    half = margin * max(width, height) / 2
    left = int(np.clip(np.floor(x + width / 2 - half), 0, shape[1] - 1))
    top = int(np.clip(np.floor(y + height / 2 - half), 0, shape[0] - 1))
    right = int(np.clip(np.ceil(x + width / 2 + half), left + 1, shape[1]))
    bottom = int(np.clip(np.ceil(y + height / 2 + half), top + 1, shape[0]))
    return left, top, right, bottom


def packed_row(person: Annotation, image: NDArray[np.uint8], quality: int, root: Path) -> dict[str, Any]:
    """A row of :func:`~headstart.index.packed_schema_of`."""
    return {**to_row(person, root), "content": encode_image(image, quality)}


def _write_shard(
    shard: Path, index: AnnotationIndex, rows: range, config: PackConfig, workers: int, source: dict[str, Any]
) -> list[str]:
    """Write one shard; returns "key: reason" for each person whose picture could not be read."""
    unreadable: list[str] = []
    packed = (row for row in _pack_rows(index, rows, config, workers) if _readable(row, unreadable))
    metadata = {name: str(value) for name, value in source.items()}
    write_index(shard, packed, packed_schema_of(index.skeleton), metadata)
    return unreadable


def _left_out(shard: Path, index: AnnotationIndex, rows: range, config: PackConfig) -> list[str] | None:
    """What :func:`_write_shard` returned for an existing shard; None if one of those pictures can be read now."""
    there = set(AnnotationIndex([shard], shard.parent).column("key"))
    missing = [_pack_row(index, config, row) for row in rows if index[row].key not in there]
    if any("unreadable" not in row for row in missing):
        return None
    return [row["unreadable"] for row in missing]


def _readable(row: dict[str, Any], unreadable: list[str]) -> bool:
    if "unreadable" in row:
        unreadable.append(row["unreadable"])
    return "unreadable" not in row


def _pack_rows(index: AnnotationIndex, rows: range, config: PackConfig, workers: int) -> Iterator[dict[str, Any]]:
    work = partial(_pack_row, index, config)
    if workers <= 1:
        yield from map(work, rows)
        return
    with one_line_if_killed(), ProcessPoolExecutor(workers, initializer=end_with_parent) as pool:
        try:
            yield from pool.map(work, rows, chunksize=50)
        finally:  # after an error, such as a full disk, the rest of the shard is not made first
            pool.shutdown(cancel_futures=True)


def _pack_row(index: AnnotationIndex, config: PackConfig, row: int) -> dict[str, Any]:
    person = index[row]
    try:
        moved, image = packed_person(person, config)
    except DataError as error:
        return {"unreadable": f"{person.key}: {error}"}
    return packed_row(moved, image, config.quality, index.root)


def claim(path: Path, settings: dict[str, Any], later: tuple[str, ...] = ()) -> None:
    """Write down the settings with which a folder is filled; a later run that fills it must have the same.

    ``later``: settings that earlier versions did not write, or wrote as digests of another form; they are then not
    compared. Raises :class:`DataError` for other settings and for a file that holds none.
    """
    if _written_first(path, settings):
        return
    content = path.read_bytes().decode(errors="replace")
    try:
        found = dict(json.loads(content))
    except (ValueError, TypeError) as error:
        fix = "Remove it if the folder was made with these settings, else choose another --out"
        raise DataError(path, f"the settings {settings} in JSON", found=f"{content[:80]!r}", fix=fix) from error
    unknown = {name for name in later if name not in found or form_of(str(found[name])) != form_of(settings[name])}
    different = [name for name in {**settings, **found} if settings.get(name, ...) != found.get(name, ...)]
    if different := [name for name in different if name not in unknown]:
        wanted, there = (_listed(values, different) for values in (settings, found))
        fix = "Choose another --out, or delete the folder"
        raise DataError(path, f"a folder with {wanted}", found=there, fix=fix)
    write_json(path, settings, indent=None)


def _listed(settings: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name} {settings.get(name, 'none')}" for name in names)


def _written_first(path: Path, settings: dict[str, Any]) -> bool:
    """Write the whole file unless it exists, and say whether; of several processes that try at once one does."""
    with beside(path) as folder:
        own = folder / path.name
        write_json(own, settings, indent=None)
        try:
            os.link(own, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            put(own, path)
    return True


def _too_many(unreadable: list[str], index: AnnotationIndex) -> DataError:
    named = "; ".join(islice(unreadable, 5))
    return DataError(
        index.root,
        f"at most {UNREADABLE_LIMIT:.0%} unreadable images of {len(index)}",
        found=f"{len(unreadable)} so far: {named}",
    )
