"""A packed split to a copy of it without the labels that a model contradicts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.checkpoint import find_checkpoint
from headstart.datasets import skeleton
from headstart.draw import draw_pose, sheet
from headstart.errors import ConfigError, DataError
from headstart.files import digest_of, write_atomically, write_json
from headstart.geometry import Crop
from headstart.index import AnnotationIndex, open_packed, packed_folder, to_row, write_index
from headstart.inspection import write_picture
from headstart.label_doubts import Doubt, DoubtConfig, doubt, without_doubt
from headstart.predictions import Predictions, in_order, join_predictions
from headstart.records import RGB
from headstart.sampling import evenly_spread
from headstart.scoring import predict_people
from headstart.skeleton import Skeleton

_CHANGED = ("keypoints", "visibility", "xyz")
#: Largest share of the labels that a model may contradict: beyond it, the model is wrong.
_MOST_DROPPED = 0.3


@dataclass(frozen=True)
class Cleaned:
    """What became of a split."""

    people: int
    doubted: int
    """People of whom anything was changed."""
    arms_exchanged: int
    legs_exchanged: int
    joints: int
    """Labelled ones, in the joints of the index, of which midpoints are part."""
    joints_dropped: int


def packed_split(dataset: str, root: Path, split: str) -> Path:
    """The folder of a packed split below ``root``, or ``root`` itself.

    Raises :class:`ConfigError` if it is not packed and :class:`DataError` if ``root`` is another packed split.
    """
    folder = packed_folder(dataset, root, split)
    if folder is None:
        pack = f"headstart pack {dataset} --split {split}"
        raise ConfigError(f"{root}: expected {dataset}-{split}, packed; run {pack} first")
    return folder


def opinions(source: Path, checkpoint: Path, out: Path, batch_size: int = 64, workers: int = 2) -> Predictions:
    """Predict everybody in a packed split, shard by shard; predictions that are in ``out`` already are used.

    Raises :class:`DataError` if those are of another model or of other pictures, and :class:`ConfigError` if ``out`` is
    ``source`` or another packed split.
    """
    _require_apart(source, out)
    index, wanted, parts = open_packed(source), find_checkpoint(checkpoint), []
    marks = {"weights": digest_of([wanted]), "pictures": digest_of([source / "pack.json", *index.files])}
    for number, file in enumerate(index.files, 1):
        path = out / f"{file.stem}.npz"
        if not path.is_file():
            shard, title = AnnotationIndex([file], index.root), f"predicting {number} of {len(index.files)}"
            rows = np.arange(len(shard))
            made = predict_people(wanted, shard, rows, title, batch_size=batch_size, workers=workers)
            replace(made, about={**made.about, **marks}).save(path)
        parts.append(Predictions.load(path))
        found = parts[-1].about
        if any(found.get(name) != mark for name, mark in marks.items()):
            what = f"those of {found.get('checkpoint')} as it was, of other images, or by an earlier version"
            raise DataError(path, f"predictions of {wanted} as it is", found=what, fix="Remove them")
    return join_predictions(parts)


def clean(source: Path, out: Path, predictions: Predictions, config: DoubtConfig) -> Cleaned:
    """Write the packed split ``source`` to ``out`` without what the predictions contradict.

    Beside the shards lie ``doubts.csv``, a line for each person changed, and ``doubts.png``, some of them before and
    after. Pictures, boxes and everything else stay. Raises :class:`DataError` for a person without a prediction, and
    :class:`ConfigError` if ``out`` is ``source`` or another packed split, and for predictions that contradict more
    labels than can be wrong.
    """
    _require_apart(source, out)
    index, manifest = open_packed(source), json.loads((source / "pack.json").read_text(encoding="utf-8"))
    opinion = in_order(predictions, index.column("key").tolist())
    predicted, confidence = _in_joints_of(index.skeleton, opinion)
    own = skeleton(manifest["dataset"])
    doubts = [doubt(index[row], predicted[row], confidence[row], config, own) for row in range(len(index))]
    found = _counted(index, doubts)
    _require_plausible(found)
    # What is half written must not look finished.
    (out / "pack.json").unlink(missing_ok=True)
    start = 0
    for file in index.files:
        start += _write_shard(file, out / file.name, index, doubts, start)
    write_atomically(out / "doubts.csv", _listed(index, doubts).encode())
    (out / "doubts.png").unlink(missing_ok=True)  # of an earlier run, which may have doubted others
    if any(doubts):
        write_picture(str(out / "doubts.png"), picture_of_doubts(index, doubts))
    about = {"source": str(source), "predictions": opinion.about, **asdict(config)}
    write_json(out / "pack.json", {**manifest, "cleaned": about})
    return found


def picture_of_doubts(index: AnnotationIndex, doubts: list[Doubt], count: int = 12) -> RGB:
    """A sheet of people, evenly spread over those doubted: the label, and to its right what is left of it."""
    rows, pictures, titles = [row for row, doubted in enumerate(doubts) if doubted], [], []
    for position in evenly_spread(len(rows), count):
        row = rows[position]
        person, doubted = index[row], doubts[row]
        crop = Crop.from_box(person.bbox_xywh, (256, 256))
        pixels = crop.warp(index.rgb_image(row))
        for shown in (person, without_doubt(person, doubted)):
            pictures.append(draw_pose(pixels, crop.to_crop(shown.keypoints), index.skeleton, shown.visibility))
        titles += [f"label {person.key}"[:30], _said(doubted)]
    return sheet(pictures, columns=4, titles=titles)


def _require_apart(source: Path, out: Path) -> None:
    if out.resolve() == source.resolve():
        raise ConfigError(f"--out {out}: expected another folder than the packed split itself")
    if (out / "settings.json").exists():
        raise ConfigError(f"--out {out}: expected a folder of its own, found one that headstart pack or synth wrote")


def _require_plausible(found: Cleaned) -> None:
    """Most labels of a data set are right: a model that contradicts many has seen other pictures, or is a bad one."""
    if found.joints_dropped > _MOST_DROPPED * found.joints:
        raise ConfigError(
            f"the model contradicts {found.joints_dropped:,} of {found.joints:,} labels, far more than can be wrong:"
            " check that it predicted the images of the packed split, not those that they were cut from, and how well"
            " it scores"
        )


def _in_joints_of(index: Skeleton, opinion: Predictions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keypoints (N, J, 2) and confidence (N, J) in the joints of an index; NaN and 0 for those not predicted."""
    both = [joint for joint in opinion.joints if joint in index.names]
    joints, columns = index.indices(tuple(both)), [opinion.joints.index(joint) for joint in both]
    predicted = np.full((len(opinion.keys), len(index), 2), np.nan, np.float32)
    confidence = np.zeros(predicted.shape[:2], np.float32)
    predicted[:, joints], confidence[:, joints] = opinion.keypoints[:, columns], opinion.confidence[:, columns]
    return predicted, confidence


def _write_shard(file: Path, out: Path, index: AnnotationIndex, doubts: list[Doubt], start: int) -> int:
    """One shard with other labels; whatever columns it has stay. Returns the number of its people."""
    table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()

    def rows() -> Iterator[dict[str, Any]]:
        row = start
        for batch in table.to_batches():
            for stored in batch.to_pylist():
                changed = to_row(without_doubt(index[row], doubts[row]), index.root)
                yield {**stored, **{name: changed[name] for name in _CHANGED}}
                row += 1

    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return write_index(out, rows(), table.schema, metadata)


def _said(doubted: Doubt) -> str:
    exchanged = f"{' and '.join(doubted.exchanged)} exchanged" if doubted.exchanged else ""
    dropped = f"{doubted.dropped.sum()} dropped" if doubted.dropped.any() else ""
    return ", ".join(part for part in (exchanged, dropped) if part)


def _listed(index: AnnotationIndex, doubts: list[Doubt]) -> str:
    """CSV: key, limbs whose sides were exchanged, joints dropped."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["key", "exchanged", "dropped"])
    for row, doubted in enumerate(doubts):
        if doubted:
            dropped = [index.skeleton.names[joint] for joint in np.flatnonzero(doubted.dropped)]
            writer.writerow([index[row].key, " ".join(doubted.exchanged), " ".join(dropped)])
    return stream.getvalue()


def _counted(index: AnnotationIndex, doubts: list[Doubt]) -> Cleaned:
    return Cleaned(
        people=len(doubts),
        doubted=sum(map(bool, doubts)),
        arms_exchanged=sum("arms" in doubted.exchanged for doubted in doubts),
        legs_exchanged=sum("legs" in doubted.exchanged for doubted in doubts),
        joints=int((index.column("visibility") > 0).sum()),
        joints_dropped=sum(int(doubted.dropped.sum()) for doubted in doubts),
    )
