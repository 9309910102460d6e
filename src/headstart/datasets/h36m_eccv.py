"""Human3.6M as handed out for the ECCV 2018 challenge, with or without the label cache of the MSRA entry.

``{Train,Val}/IMG/%05d.jpg`` and ``{Train,Val}/POSE/%05d.csv``: 17x3 mm in camera axes relative to the pelvis, in the
order of H36M_17. Splits: train is Train, test is Val. Frames are drawn at random and renumbered: subject, action and
sequence are unknown and ``frame`` is -1, so that "every 64th frame" does not apply: all are used.

The challenge has no 2D labels. The cache of Sun et al. (``*_{Train,Val}_*keypoint_jnt_bbox_db.pkl``: a list of dicts)
adds them in ``joints_3d`` (18x3: x px, y px, depth * px-per-mm): the 3D pose laid over the output of a 2D detector by
a similarity, hence a weak perspective and some pixels off. 18 joints are H36M_17 and the midpoint of the shoulders,
which is left out: joint 8, "neck", is the thorax. ``center_x`` ... ``height`` hold the joints' extent in the crop's
aspect ratio times 1.25; the box here is made from the joints as in the other forms.

Without a cache there are no 2D labels and no box: keypoints are NaN and the box is the whole picture, whose size is
read from the head of the JPEG file.
"""

from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import box_around
from headstart.datasets.files import natural_key, require_file
from headstart.datasets.h36m_common import malformed
from headstart.datasets.labels import masked, numbers
from headstart.datasets.pickles import load_pickle
from headstart.errors import DataError
from headstart.records import Annotation, Visibility
from headstart.skeleton import H36M_17

FILES = "{Train,Val}/POSE/*.csv or *_{Train,Val}_*keypoint_jnt_bbox_db.pkl (ECCV 2018 challenge)"

_FOLDERS = {"train": "Train", "test": "Val"}
_SHOULDERS = H36M_17.indices(("left_shoulder", "right_shoulder"))
_KEYS = ("joints_3d", "joints_3d_vis", "joints_3d_relative")
_TOLERANCE_MM = 1.0

#: Where the cache is put: beside the pictures, in a folder of its own, in its maker's two folders, with the split.
_CACHE_FOLDERS = (".", "*cache*", "*cache*/*cache*", "{folder}")

#: JPEG markers that start a frame header (the others between C0 and CF are tables).
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def is_held(root: Path) -> bool:
    """Whether the files of this form lie under ``root``."""
    return any((_base(root) / folder / "POSE").is_dir() or _cache(root, folder) for folder in _FOLDERS.values())


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every frame of the challenge's Train or Val folder, in the order of the cache or of the files' numbers."""
    folder = _FOLDERS[split]
    cache = _cache(root, folder)
    return _from_cache(cache, _base(root) / folder) if cache else _from_csv(_base(root) / folder)


def _base(root: Path) -> Path:
    nested = root / "ECCV18_Challenge"
    return nested if nested.is_dir() else root


def _cache(root: Path, folder: str) -> Path | None:
    pattern = f"*_{folder}_*keypoint_jnt_bbox_db.pkl"
    places = [place.format(folder=folder) for place in _CACHE_FOLDERS]
    found = {path for base in (root, _base(root)) for place in places for path in base.glob(f"{place}/{pattern}")}
    return min(found, default=None)


def _from_cache(path: Path, folder: Path) -> Iterator[Annotation]:
    records = load_pickle(path, "the MSRA cache: a list of dicts")
    if not isinstance(records, list) or not records:
        found = "an empty list" if isinstance(records, list) else f"a {type(records).__name__}"
        raise DataError(path, "a list of dicts, one a frame", found=found)
    for number, record in enumerate(records):
        yield _cached(path, folder, number, record)


def _cached(path: Path, folder: Path, number: int, record: Any) -> Annotation:
    with malformed(path, f"image, {', '.join(_KEYS)}", number):
        # Only the name: the folders are those of the cache's maker, on any operating system.
        name = PureWindowsPath(record["image"]).name
        image_xyz, visible, relative = (numbers(path, number, key, record[key], (18, 3)) for key in _KEYS)
    visibility = np.where(visible[:17, 0] > 0, Visibility.VISIBLE, Visibility.UNLABELLED).astype(np.uint8)
    if not visibility.any():
        raise DataError(path, "a record with labelled joints", record=number, found="none (a cache of Test?)")
    _check_order(path, number, relative)
    keypoints = masked(image_xyz[:17, :2], visibility)
    return Annotation(
        key=_key(folder, name),
        image=folder / "IMG" / name,
        bbox_xywh=box_around(keypoints),
        keypoints=keypoints,
        visibility=visibility,
        camera_xyz=_at_origin(path, number, relative[:17]),
    )


def _from_csv(folder: Path) -> Iterator[Annotation]:
    files = sorted((folder / "POSE").glob("*.csv"), key=natural_key)
    if not files:
        raise DataError(folder / "POSE", "poses %05d.csv", found="none")
    for path in files:
        image = folder / "IMG" / f"{path.stem}.jpg"
        yield Annotation(
            key=_key(folder, image.name),
            image=image,
            bbox_xywh=np.array([0, 0, *_jpeg_size(image)], np.float32),
            keypoints=np.full((17, 2), np.nan, np.float32),
            visibility=np.full(17, Visibility.UNLABELLED, np.uint8),
            camera_xyz=_read_csv(path),
        )


def _read_csv(path: Path) -> NDArray[np.float32]:
    expected = "17 lines of x,y,z in mm"
    with malformed(path, expected):
        lines = require_file(path, expected).read_text(encoding="utf-8").split()
        values = [[float(cell) for cell in line.split(",")] for line in lines]
    return _at_origin(path, "whole file", numbers(path, "whole file", "x,y,z in mm", values, (17, 3)))


def _key(folder: Path, image: str) -> str:
    return f"{folder.name}/{Path(image).stem}"


def _at_origin(path: Path, record: str | int, relative: NDArray[np.float64]) -> NDArray[np.float32]:
    """Pose (17, 3) mm whose pelvis must be the origin: the format says so, and it is joint 0 that shows it."""
    if np.abs(relative[0]).max() > _TOLERANCE_MM:
        raise DataError(path, "joints relative to joint 0, the pelvis", record=record, found=f"{relative[0].tolist()}")
    return (relative - relative[:1]).astype(np.float32)


def _check_order(path: Path, record: int, relative: NDArray[np.float64]) -> None:
    """The 18th joint is the midpoint of the shoulders: the one check of the joint order that a cache allows."""
    if np.abs(relative[_SHOULDERS].mean(0) - relative[17]).max() > _TOLERANCE_MM:
        raise DataError(path, "joint 17 midway between joints 11 and 14, the shoulders", record=record)


def _jpeg_size(path: Path) -> tuple[int, int]:
    """(width, height) px from the frame header of a JPEG file, without decoding it."""
    with require_file(path, "a JPEG image").open("rb") as stream:
        marker = stream.read(2) and stream.read(4)
        while len(marker) == 4 and marker[0] == 0xFF and marker[1] not in _START_OF_FRAME:
            stream.seek(int.from_bytes(marker[2:], "big") - 2, 1)
            marker = stream.read(4)
        header = stream.read(5)
    if len(marker) < 4 or marker[0] != 0xFF or len(header) < 5:
        raise DataError(path, "a JPEG image with a frame header", found="none (truncated or of another format)")
    return int.from_bytes(header[3:5], "big"), int.from_bytes(header[1:3], "big")
