"""AnnotationIndex: the people of one split of one data set in joints by name, memory-mapped from Arrow files.

Built once from an adapter and cached by (data set, root, split, hash of the adapters); a packed data set (pack.py) is
the same table with one column more, the encoded crops. Opening maps the file and reads nothing: a million people cost
a worker no memory of its own.

Columns, K = 22 canonical joints, or 28 if the data set has any joint of the feet: key, image (path relative to the
root), frame, bbox (4), keypoints (K * 2, px, NaN where unlabelled), visibility (K), xyz (K * 3, mm, NaN where
unlabelled), camera (21: fx fy cx cy, 5 distortion, 9 rotation, 3 translation mm; NaN: none), subject, action, sequence,
head_size (px, NaN: none), upright (not in packed data sets nor in earlier files: False), content (bytes, packed only).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart import datasets
from headstart.annotation_checks import checked_annotations
from headstart.errors import ConfigError, DataError, first_line, shortened
from headstart.files import atomic_file
from headstart.geometry import Camera
from headstart.images import decode_image, read_image
from headstart.index_cache import cached_file, make_once
from headstart.label_digest import FORM_WITH_FEET, label_digest
from headstart.records import RGB, Annotation, Visibility
from headstart.skeleton import CANONICAL, FEET, WITH_FEET, Skeleton, conversion, convert_points, vocabulary

_ROWS_PER_BATCH = 10_000
_VERSION = 1


def _fixed(kind: pa.DataType, length: int) -> pa.DataType:
    return pa.list_(pa.field("item", kind, nullable=False), length)


def schema_of(skeleton: Skeleton) -> pa.Schema:
    """Columns of people in the joints of ``skeleton``."""
    text, joints = pa.string(), len(skeleton)
    columns = [("key", text), ("image", text), ("frame", pa.int32()), ("bbox", _fixed(pa.float32(), 4))]
    columns += [("keypoints", _fixed(pa.float32(), joints * 2)), ("visibility", _fixed(pa.uint8(), joints))]
    columns += [("xyz", _fixed(pa.float32(), joints * 3)), ("camera", _fixed(pa.float64(), 21))]
    columns += [("subject", text), ("action", text), ("sequence", text), ("head_size", pa.float32())]
    return pa.schema(columns)


def packed_schema_of(skeleton: Skeleton) -> pa.Schema:
    """The same with a picture for each."""
    return schema_of(skeleton).append(pa.field("content", pa.binary()))


#: One more column of indexes in the cache. Packed pictures are stored upright.
UPRIGHT = pa.field("upright", pa.bool_())
SCHEMA, PACKED_SCHEMA = schema_of(CANONICAL), packed_schema_of(CANONICAL)
_WITHOUT_FEET = {one.name: one.type.list_size for one in SCHEMA if pa.types.is_fixed_size_list(one.type)}


def unify(annotation: Annotation, source: Skeleton) -> Annotation:
    """The same person in the vocabulary's joints. A midpoint is occluded if either of its ends is."""
    matrix = conversion(source, vocabulary(source))
    keypoints, known = convert_points(matrix, annotation.keypoints, annotation.visibility > 0)
    occluded = (matrix > 0)[:, annotation.visibility == Visibility.OCCLUDED].any(1)
    visibility = np.where(known, np.where(occluded, Visibility.OCCLUDED, Visibility.VISIBLE), 0).astype(np.uint8)
    xyz = annotation.camera_xyz
    if xyz is not None:
        xyz, _ = convert_points(matrix, xyz, np.asarray(np.isfinite(xyz).all(1)))
    return replace(annotation, keypoints=keypoints, visibility=visibility, camera_xyz=xyz)


class AnnotationIndex(Sequence[Annotation]):
    """People of one split, by row; picklable by path, so that every worker maps the files itself."""

    def __init__(self, files: Sequence[Path], root: Path) -> None:
        self.files, self.root = [Path(file) for file in files], Path(root)
        self._table = pa.concat_tables([_mapped(file) for file in self.files])
        #: The joints of its people: CANONICAL or WITH_FEET.
        self.skeleton = _skeleton_of(self._table.schema)
        k = len(self.skeleton)
        self._shapes = {"bbox": (4,), "keypoints": (k, 2), "visibility": (k,), "xyz": (k, 3), "camera": (21,)}
        self._batches = self._table.to_batches()
        self._starts = np.cumsum([0] + [len(batch) for batch in self._batches])
        self._views: dict[int, dict[str, NDArray[Any]]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return AnnotationIndex, (self.files, self.root)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def digest(self, joints: Collection[str]) -> str:
        """:func:`~headstart.label_digest.label_digest` of labels, not pictures; ``joints``: those trained or scored."""
        if "state" not in self._table.column_names:
            return label_digest(self._table, SCHEMA.names)
        # Synthetic people: the same ones had no feet before, which matters only to those who train or score feet.
        if set(FEET).isdisjoint(joints):
            return label_digest(self._table, SCHEMA.names, _WITHOUT_FEET)
        return label_digest(self._table, SCHEMA.names, form=FORM_WITH_FEET)

    def __getitem__(self, row: int) -> Annotation:  # type: ignore[override]
        """Person ``row`` in the joints of :attr:`skeleton`."""
        batch_number, offset = self._locate(row)
        views, batch = self._arrays(batch_number), self._batches[batch_number]
        xyz, camera, head_size = (views[name][offset] for name in ("xyz", "camera", "head_size"))
        return Annotation(
            key=batch["key"][offset].as_py(),
            image=self.root / batch["image"][offset].as_py(),
            bbox_xywh=views["bbox"][offset],
            keypoints=views["keypoints"][offset],
            visibility=views["visibility"][offset],
            camera_xyz=xyz if np.isfinite(xyz).any() else None,
            camera=_unpack_camera(camera),
            subject=batch["subject"][offset].as_py(),
            action=batch["action"][offset].as_py(),
            sequence=batch["sequence"][offset].as_py(),
            frame=int(views["frame"][offset]),
            head_size=float(head_size) if np.isfinite(head_size) else None,
            upright=bool(views[UPRIGHT.name][offset]),
        )

    def content(self, row: int) -> memoryview | None:
        """Encoded picture of a packed person, without a copy; None where the picture is a file of its own."""
        if "content" not in self._table.column_names:
            return None
        batch_number, offset = self._locate(row)
        return memoryview(self._batches[batch_number]["content"][offset].as_buffer())

    def image(self, row: int) -> NDArray[np.uint8]:
        """The person's whole picture (H, W, 3), BGR, packed or from its file; raises :class:`DataError`."""
        if (content := self.content(row)) is not None:
            return decode_image(content, self.extra(row, "key"))
        person = self[row]
        return read_image(person.image, person.frame, person.upright)

    def rgb_image(self, row: int) -> RGB:
        """:meth:`image` in RGB, to draw on or to give to a network."""
        return np.ascontiguousarray(self.image(row)[..., ::-1])

    def extra(self, row: int, name: str) -> Any:
        """Value of a column that only some packed data sets have (``state``, ``mask``); None where there is none."""
        if name not in self._table.column_names:
            return None
        batch_number, offset = self._locate(row)
        return self._batches[batch_number][name][offset].as_py()

    def column(self, name: str) -> NDArray[Any]:
        """A whole column: strings as objects, lists as arrays (N, ...)."""
        if name not in self._shapes:
            return self._table[name].to_numpy()
        parts = [self._arrays(number)[name] for number in range(len(self._batches))]
        return np.concatenate(parts) if parts else np.zeros((0, *self._shapes[name]))

    def _locate(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of an index of {len(self)} people")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return number, row - int(self._starts[number])

    def _arrays(self, number: int) -> dict[str, NDArray[Any]]:
        """Views into the mapped file, made on first use."""
        if number not in self._views:
            batch = self._batches[number]
            views = {name: batch[name].flatten().to_numpy().reshape(-1, *shape) for name, shape in self._shapes.items()}
            views |= {name: batch[name].to_numpy() for name in ("frame", "head_size")}
            has_upright, nobody = UPRIGHT.name in batch.schema.names, np.broadcast_to(False, len(batch))
            views[UPRIGHT.name] = batch[UPRIGHT.name].to_numpy(zero_copy_only=False) if has_upright else nobody
            self._views[number] = views
        return self._views[number]


def _mapped(file: Path) -> pa.Table:
    """The table in a file; raises :class:`DataError` if it cannot be read or lacks columns of :data:`SCHEMA`."""
    expected = "an Arrow file written by headstart"
    try:
        table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(file, expected, found=first_line(error)) from error
    columns, schema = dict(zip(table.schema.names, table.schema.types)), schema_of(_skeleton_of(table.schema))
    if wrong := [name for name, kind in zip(schema.names, schema.types) if columns.get(name) != kind]:
        raise DataError(file, expected, found=f"missing columns, or columns of another type: {', '.join(wrong)}")
    return table


def _skeleton_of(schema: pa.Schema) -> Skeleton:
    """The joints of the people in a table."""
    return WITH_FEET if schema_of(WITH_FEET).field("visibility") in schema else CANONICAL


def write_index(path: Path, people: Iterable[dict[str, Any]], schema: pa.Schema, metadata: dict[str, str]) -> int:
    """Stream rows (:func:`to_row`) into an Arrow file that appears whole or not at all; returns their number."""
    count, left, schema = 0, iter(people), schema.with_metadata(metadata)
    try:
        with atomic_file(path) as sink, pa.ipc.new_file(sink, schema) as writer:
            while rows := list(islice(left, _ROWS_PER_BATCH)):
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
                count += len(rows)
    except OSError as error:
        raise DataError(path, "room to write the index", found=str(error)) from error
    return count


def to_row(person: Annotation, root: Path) -> dict[str, Any]:
    """A person of :func:`unify` as a row of :func:`schema_of`."""
    xyz = person.camera_xyz if person.camera_xyz is not None else np.full((len(person.visibility), 3), np.nan)
    return {
        "key": person.key,
        "image": _relative(person.image, root),
        "frame": person.frame,
        "bbox": np.asarray(person.bbox_xywh, np.float32),
        "keypoints": person.keypoints.ravel(),
        "visibility": person.visibility,
        "xyz": np.asarray(xyz, np.float32).ravel(),
        "camera": _pack_camera(person.camera),
        "subject": person.subject,
        "action": person.action,
        "sequence": person.sequence,
        "head_size": np.nan if person.head_size is None else person.head_size,
        "upright": person.upright,
    }


def open_index(dataset: str, root: str | Path, split: str, cache: Path | None = None) -> AnnotationIndex:
    """The index of a split: a packed one below ``root`` if there is one, else from the cache, else built now.

    ``cache`` defaults to ``$HEADSTART_CACHE`` or ``~/.cache/headstart``. Raises :class:`ConfigError` for an unknown
    data set or split and :class:`DataError` for files that are missing or malformed, and a pack of something else.
    """
    root = Path(root)
    if packed := packed_folder(dataset, root, split):
        return open_packed(packed)
    file = cached_file(dataset, root, split, _VERSION, cache)
    if not file.is_file():
        skeleton = datasets.skeleton(dataset)
        people = (to_row(unify(person, skeleton), root) for person in checked_annotations(dataset, root, split))
        schema, about = schema_of(vocabulary(skeleton)).append(UPRIGHT), {"dataset": dataset, "split": split}
        make_once(file, lambda: write_index(file, people, schema, about))
    return AnnotationIndex([file], root)


def packed_folder(dataset: str, root: Path, split: str) -> Path | None:
    """Where a packed split lies: below ``root``, or ``root`` itself; None if it is not packed.

    Raises :class:`DataError` if ``root`` itself is another packed split: people would be scored who were trained on.
    """
    name = f"{dataset}-{split}"
    if (root / name / "pack.json").is_file():
        return root / name
    if not (root / "pack.json").is_file():
        return None
    manifest = _manifest(root)
    found = f"{manifest.get('dataset', dataset)}-{manifest.get('split', split)}"
    if found == name:
        return root
    raise DataError(root, f"{name}, packed", found=found, fix="Give the folder above, if it holds both")


def open_packed(folder: Path) -> AnnotationIndex:
    """A folder that ``headstart pack`` finished; raises :class:`DataError` if it did not finish."""
    return AnnotationIndex([folder / shard for shard in _manifest(folder)["shards"]], folder)


def _manifest(folder: Path) -> dict[str, Any]:
    """What ``pack.json`` says, ``shards`` among it."""
    path = folder / "pack.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        shards = manifest["shards"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(path, "the list of shards of a finished pack", found=str(error)) from error
    if not isinstance(shards, list) or not shards or not all(isinstance(shard, str) for shard in shards):
        raise DataError(path, "the list of shards of a finished pack", found=shortened(repr(shards)))
    return manifest


def _relative(image: Path, root: Path) -> str:
    if not image.is_relative_to(root):
        raise ConfigError(f"{image}: an image must lie below the data set's root {root}")
    return image.relative_to(root).as_posix()


def _pack_camera(camera: Camera | None) -> NDArray[np.float64]:
    if camera is None:
        return np.full(21, np.nan)
    intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion)
    return np.concatenate([intrinsics, np.ravel(camera.rotation), np.ravel(camera.translation_mm)]).astype(np.float64)


def _unpack_camera(values: NDArray[np.float64]) -> Camera | None:
    if np.isnan(values[0]):
        return None
    fx, fy, cx, cy, *distortion = (float(value) for value in values[:9])
    return Camera(fx, fy, cx, cy, tuple(distortion), values[9:18].reshape(3, 3), values[18:])  # type: ignore[arg-type]
