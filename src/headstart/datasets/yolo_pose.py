"""People with joints in 2D in the format of Ultralytics' pose data sets, which CVAT, Roboflow and others export.

Source: https://docs.ultralytics.com/datasets/pose. Layout under ``root``: ``data.yaml`` and what it names.

* ``train``, ``val``, ``test``: a folder of images, searched with its folders; a text file with one image a line,
  relative to itself; or a list of these. They are relative to ``path``, which is relative to ``root``, or to ``root``
  where there is no such folder. ``../train/images`` is ``train/images`` where only that exists (Roboflow).
* Labels of ``DIR/images/NAME.jpg`` are in ``DIR/labels/NAME.txt``: the last folder called images counts. An image
  without that file shows nobody.
* A line is a person: class, middle and size of the box, then x, y and v, or x and y alone, of each joint, as shares of
  the image's width and height. They are those of the upright image: files that EXIF turns are read upright.
* Coordinates: shares times width and height are COCO's pixels in Ultralytics' own files, so they are pixel centres.
* Visibility: v is 0, 1 or 2 as COCO's. Without v, a joint at 0, 0 or with a negative number is not labelled.
* Joints: ``kpt_names`` of the class of people, taken by name; without it COCO's 17 if ``kpt_shape`` says 17.
* Classes: of several in ``names``, people are the one called ``person``.
* Key: image relative to ``path`` and line of its label file, ``images/train/photo.jpg#1``.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.coco import People, named_joints, person_box
from headstart.datasets.files import CHECK_DOWNLOAD, load_yaml
from headstart.datasets.headers import Header, read_header
from headstart.datasets.labels import masked, numbers
from headstart.errors import DataError, shortened
from headstart.records import Annotation
from headstart.skeleton import COCO_17, COCO_23, FEET

SKELETON = COCO_23
SPLITS = ("train", "val", "test")
_EXPECTED = "a description of an Ultralytics pose data set"
_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# Labels reach a little beyond the image; numbers farther away are px.
_LOWEST, _HIGHEST = -1.0, 2.0


@dataclass(frozen=True)
class _Format:
    """What ``data.yaml`` says of every line."""

    people: People
    values: int
    """Numbers of a joint: 3, or 2 without v."""
    person: int | None
    """The class of people; None where every line is a person."""


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every person with a labelled joint, in the order of the images' names, or of their list."""
    path = root / "data.yaml"
    content = _described(path)
    lines, base = _format(path, content), _base(root, content)
    images, labelled = list(_images(path, base, content, split)), 0
    for image in images:
        if (text := _labels(_label_file(image))) is not None:
            labelled += 1
            yield from _people(image, os.path.relpath(image, base).replace(os.sep, "/"), text, lines)
    if images and not labelled:
        found = f"none for {len(images)} images"
        raise DataError(_label_file(images[0]), "label files beside the folder images", found=found, fix=CHECK_DOWNLOAD)


def unused_joints(root: Path, split: str) -> tuple[str, ...]:
    """Joints that ``data.yaml`` names, but that are not read; () where there is no such file."""
    path = root / "data.yaml"
    if not path.is_file():  # packed
        return ()
    joints = _format(path, _described(path)).people.joints
    return tuple(joint for joint in joints if joint not in SKELETON.names)


def _described(path: Path) -> dict[str, Any]:
    content = load_yaml(path, _EXPECTED)
    if not isinstance(content, dict):
        raise DataError(path, _EXPECTED, found=shortened(repr(content)))
    return content


def _format(path: Path, content: dict[str, Any]) -> _Format:
    shape = content.get("kpt_shape")
    if not isinstance(shape, list) or len(shape) != 2 or not isinstance(shape[0], int) or shape[1] not in (2, 3):
        fix = "Add how many joints a person has, and 3 for x, y, v, or 2 for x, y"
        raise DataError(path, "kpt_shape, as in kpt_shape: [17, 3]", found=shortened(repr(shape)), fix=fix)
    person = _class_of_people(path, content.get("names"))
    joints = _joints(path, content.get("kpt_names"), shape[0], person or 0)
    return _Format(People(joints, more=FEET), shape[1], person)


def _class_of_people(path: Path, names: Any) -> int | None:
    """The class called person; None where there is but one class, or none is named."""
    classes = names if isinstance(names, dict) else dict(enumerate(names if isinstance(names, list) else ()))
    if len(classes) <= 1:
        return None
    people = [number for number, name in classes.items() if str(name).lower() == "person"]
    if len(people) != 1:
        found = shortened(", ".join(map(str, classes.values())))
        raise DataError(path, "one class called person among names", found=found, fix="Call the class of people person")
    return int(people[0])


def _joints(path: Path, names: Any, count: int, person: int) -> tuple[str, ...]:
    """Names of the joints of a line, in its order; ``names`` is kpt_names: a list, or one by class."""
    given = names.get(person) if isinstance(names, dict) else names
    if given is None and count == len(COCO_17):
        return COCO_17.names
    if not isinstance(given, list) or len(given) != count:
        found = "none" if given is None else shortened(repr(given))
        fix = f"Add them in the order of the label files, as in kpt_names: {{{person}: [nose, left_shoulder, ...]}}"
        raise DataError(path, f"kpt_names with {count} names of joints, as kpt_shape says", found=found, fix=fix)
    return named_joints(path, "kpt_names", [str(name) for name in given], FEET)


def _base(root: Path, content: dict[str, Any]) -> Path:
    """The folder that the entries of splits are relative to."""
    base = root / str(content.get("path") or ".")
    return base if base.is_dir() else root


def _images(path: Path, base: Path, content: dict[str, Any], split: str) -> Iterator[Path]:
    """The image files of a split."""
    entries = content.get(split)
    if not entries:
        raise DataError(path, f"an entry {split!r}, the images of that split", found="none")
    for entry in entries if isinstance(entries, list) else [entries]:
        place = base / str(entry)
        if not place.exists():
            place = base / str(entry).removeprefix("../")
        if place.is_dir():
            yield from _inside(place)
        elif place.is_file():
            yield from _listed(place)
        else:
            raise DataError(path, f"images of {split!r}", found=f"no such place: {place}", fix=CHECK_DOWNLOAD)


def _inside(folder: Path) -> list[Path]:
    """Images in a folder and its folders, without hidden ones."""
    found = [os.path.join(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names]
    images = [path for path in map(Path, sorted(found)) if path.suffix.lower() in _SUFFIXES]
    return [path for path in images if not path.name.startswith(".")]


def _listed(path: Path) -> list[Path]:
    return [path.parent / line.strip() for line in (_labels(path) or "").splitlines() if line.strip()]


def _label_file(image: Path) -> Path:
    """Where the labels of an image are: beside it if no folder of its path is called images."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _labels(path: Path) -> str | None:
    """The text of a file; None if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(path, "a text file of labels", found=str(error)) from error


def _people(image: Path, key: str, text: str, lines: _Format) -> Iterator[Annotation]:
    """The people of one image."""
    path, header = _label_file(image), None
    for number, line in enumerate(text.splitlines(), 1):
        if (found := line.split()) and _is_person(path, number, found[0], lines.person):
            header = header or _header(image)
            person = _person(path, number, found[1:], np.array(header.shown_size, np.float64), lines)
            if person is not None:
                yield Annotation(f"{key}#{number}", image, *person, upright=header.is_turned)


def _is_person(path: Path, number: int, given: str, person: int | None) -> bool:
    return person is None or float(numbers(path, f"line {number}", "the class", given, ())) == person


def _header(image: Path) -> Header:
    header = read_header(image)
    if header is None:
        raise DataError(image, "an image whose size can be read, as it has labels", found="none", fix=CHECK_DOWNLOAD)
    return header


def _person(
    path: Path, number: int, given: list[str], size: NDArray[np.float64], lines: _Format
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]] | None:
    """Box (4,) xywh px, keypoints (K, 2) px and visibility (K,) of one line; None without a labelled joint."""
    where, joints = f"line {number}", len(lines.people.joints)
    if len(given) != 4 + lines.values * joints:
        expected = f"a class, 4 numbers of a box and {lines.values} of each of {joints} joints"
        raise DataError(path, expected, record=where, found=f"{len(given) + 1} numbers")
    line = numbers(path, where, "the line", given, (len(given),))
    box, values = line[:4], line[4:].reshape(joints, lines.values)
    points, states = values[:, :2], _states(path, where, values)
    if not ((line[:4] >= _LOWEST) & (line[:4] <= _HIGHEST)).all() or (points[states > 0] > _HIGHEST).any():
        expected = "numbers from 0 to 1, shares of the image's width and height"
        raise DataError(path, expected, record=where, found=shortened(" ".join(given)))
    rows = np.vstack([np.column_stack([points * size, states]), np.zeros(3)])[lines.people.order]  # -1: not labelled
    visibility = rows[:, 2].astype(np.uint8)
    if not visibility.any():
        return None
    keypoints = masked(rows[:, :2], visibility)
    corner = (box[:2] - box[2:] / 2) * size
    return person_box(np.concatenate([corner, box[2:] * size]), keypoints), keypoints, visibility


def _states(path: Path, where: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """COCO's v (K,) of joints (K, 2 or 3)."""
    if values.shape[1] == 2:
        return np.where((values < 0).any(1) | (values == 0).all(1), 0.0, 2.0)
    if not np.isin(values[:, 2], (0, 1, 2)).all():
        raise DataError(path, "visibility 0, 1 or 2", record=where, found=shortened(str(values[:, 2].tolist())))
    return values[:, 2]
