"""MPII Human Pose: 25,000 pictures of 410 activities, 16 joints in 2D, head boxes for PCKh.

Source: http://human-pose.mpi-inf.mpg.de (Andriluka et al. 2014), Simplified BSD licence for the labels; YouTube frames.

Layout under ``root``: pictures in ``images/``, and labels in one of two forms, found by looking:

* **json** (Xiao et al. 2018): ``annot/train.json`` and ``annot/valid.json``: the split that papers use (22,246 and
  2,958 people, after Tompson et al. 2015). ``annot/gt_valid.mat``, if there, gives ``valid`` its head sizes.
  Used whenever one of the two jsons is there, even if the .mat is there too.
* **mat** (official): ``mpii_human_pose_v1_u12_1.mat``, struct RELEASE. It has no validation split: ``train`` is every
  labelled person of every picture with ``img_train`` = 1, **the people of valid.json included**; ``valid`` is an
  error.

Official test labels are secret, so there is no test split.

* Coordinates: MATLAB pixels, the first pixel is 1, for joints, ``objpos`` and ``center`` alike in both forms; 1 is
  subtracted (``from_matlab_pixels``) as pixel centres here are 0-based.
* Visibility: .mat: ``is_visible`` 1 visible, 0 occluded; empty or absent (common for neck and head top) counts as
  visible; a joint that is not listed is unlabelled. json: ``joints_vis`` is 1 for every *labelled* joint, occluded or
  not, and 0 for an unlabelled one, whose coordinates are placeholders (0 or -1): occlusion is lost, so labelled
  joints count as visible there.
* Box: the square of 200 * ``scale`` px around ``objpos`` moved down by 15 * ``scale`` px (cropping adds the usual
  1.25); that of the joints where position or scale is missing.
* Head size: 0.6 x the diagonal of the head box, as in the official PCKh; None where there is no head box.
* Key: picture and person, ``015601864.jpg#1``: 0-based place among the rects of the picture (.mat) or among the
  entries of the picture in the file (json). ``action`` is the activity (.mat only). People without joints are left out.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.files import load_json, load_mat
from headstart.datasets.labels import field, from_matlab_pixels, is_empty, joints_box, masked, numbers, structs
from headstart.errors import DataError
from headstart.records import Annotation, Visibility
from headstart.skeleton import MPII_16

SKELETON = MPII_16
SPLITS = ("train", "valid")

_MAT = "mpii_human_pose_v1_u12_1.mat"
_JOINTS = len(SKELETON)
#: Official PCKh: the head is this much of the diagonal of the head box.
_HEAD = 0.6


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every labelled person of ``split`` in the order of the file."""
    has_json = any((root / "annot" / f"{name}.json").is_file() for name in SPLITS)
    people = _from_json(root, split) if has_json else _from_mat(root, split)
    return (person for person in people if person.visibility.any())


def _person(
    image: Path,
    number: int,
    matlab_pixels: NDArray[np.float64],
    visibility: NDArray[np.uint8],
    square: NDArray[np.float64] | None,
) -> Annotation:
    """Joints (16, 2) and ``square`` (x, y, scale) of the person, both in 1-based pixels, to the record."""
    keypoints = masked(from_matlab_pixels(matlab_pixels), visibility)
    if square is not None and square.min() > 0:
        box = _square_box(from_matlab_pixels(square[:2]), float(square[2]))
    else:
        box = joints_box(keypoints) if visibility.any() else np.zeros(4, np.float32)
    return Annotation(f"{image.name}#{number}", image, box, keypoints, visibility)


def _square_box(centre: NDArray[np.float64], scale: float) -> NDArray[np.float32]:
    """Box (4,) xywh px of a person of 200 * scale px at ``centre`` (2,) px, moved to hold the feet."""
    middle = centre + np.array([0.0, 15.0 * scale])
    side = 200.0 * scale
    # A pixel centre lies half a pixel inside the outer corner from which boxes are measured.
    return np.array([*(middle + 0.5 - side / 2), side, side], np.float32)


# The json of Xiao et al.


def _from_json(root: Path, split: str) -> Iterator[Annotation]:
    path = root / "annot" / f"{split}.json"
    records = load_json(path, "a list of people (Xiao et al. 2018)")
    if not isinstance(records, list):
        raise DataError(path, "a list of people", found=type(records).__name__)
    seen: Counter[str] = Counter()
    people = []
    for row, record in enumerate(records):
        name = str(field(path, row, record, "image"))
        people.append(_json_person(path, row, record, root / "images" / name, seen[name]))
        seen[name] += 1
    truth = root / "annot" / "gt_valid.mat"
    if split == "valid" and truth.is_file():
        people = _with_head_sizes(truth, people)
    yield from people


def _json_person(path: Path, row: int, record: Any, image: Path, number: int) -> Annotation:
    """One entry of the list."""
    points = numbers(path, row, "joints", field(path, row, record, "joints"), (_JOINTS, 2))
    given = numbers(path, row, "joints_vis", field(path, row, record, "joints_vis"), (_JOINTS,))
    labelled = (given > 0) & (points > 0).any(1)
    visibility = np.where(labelled, Visibility.VISIBLE, Visibility.UNLABELLED).astype(np.uint8)
    centre = numbers(path, row, "center", field(path, row, record, "center"), (2,))
    scale = numbers(path, row, "scale", field(path, row, record, "scale"), ())
    return _person(image, number, points, visibility, np.append(centre, scale))


def _with_head_sizes(path: Path, people: list[Annotation]) -> list[Annotation]:
    """The people of valid.json with the head sizes of gt_valid.mat, which lists the same people in the same order."""
    corners = _per_person(path, "headboxes_src", (2, 2), len(people))
    _require_same_order(path, people, _per_person(path, "pos_gt_src", (_JOINTS, 2), len(people)))
    sizes = _HEAD * np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    return [replace(person, head_size=float(size)) for person, size in zip(people, sizes)]


def _per_person(path: Path, name: str, shape: tuple[int, int], people: int) -> NDArray[np.float64]:
    """A variable (\\*shape, people) of gt_valid.mat as (people, \\*shape)."""
    raw = np.asarray(load_mat(path, name, "MPII's gt_valid"))
    # A file with one person loses its last axis when scipy squeezes it.
    raw = raw[..., None] if raw.ndim == 2 else raw
    return np.moveaxis(numbers(path, name, f"{name} for valid.json", raw, (*shape, people), finite=False), -1, 0)


def _require_same_order(path: Path, people: list[Annotation], matlab_pixels: NDArray[np.float64]) -> None:
    """Most people must have a joint within 2 px of the truth: head sizes of others would spoil PCKh in silence."""
    keypoints = np.stack([person.keypoints for person in people])
    distance = np.linalg.norm(keypoints - from_matlab_pixels(matlab_pixels), axis=-1)
    agree = (distance < 2).any(1).mean()
    if agree < 0.5:
        raise DataError(path, "the people of valid.json in its order", found=f"{agree:.0%} of them at their place")


# The official struct


def _from_mat(root: Path, split: str) -> Iterator[Annotation]:
    path = root / _MAT
    release = load_mat(path, "RELEASE", "MPII's struct RELEASE (or annot/train.json and annot/valid.json under --root)")
    if split == "valid":
        fix = f"{_MAT} has no validation split; add the json files of Xiao et al. 2018"
        raise DataError(root / "annot" / "valid.json", "MPII's validation split", found="no such file", fix=fix)
    pictures = structs(field(path, "RELEASE", release, "annolist"))
    is_train = numbers(
        path, "RELEASE", "img_train", np.atleast_1d(field(path, "RELEASE", release, "img_train")), (len(pictures),)
    )
    activities = structs(getattr(release, "act", []))
    for row in np.flatnonzero(is_train):
        action = _text(getattr(activities[row], "act_name", "")) if len(activities) == len(pictures) else ""
        for person in _mat_picture(path, root, int(row), pictures[row]):
            yield replace(person, action=action)


def _mat_picture(path: Path, root: Path, row: int, picture: Any) -> Iterator[Annotation]:
    """The people of one entry of ``annolist``."""
    name = _text(field(path, row, field(path, row, picture, "image"), "name"))
    for number, rect in enumerate(structs(field(path, row, picture, "annorect"))):
        record = f"{name}#{number}"
        points, visibility = _mat_joints(path, record, rect)
        person = _person(root / "images" / name, number, points, visibility, _mat_square(path, record, rect))
        yield replace(person, head_size=_mat_head_size(path, record, rect))


def _mat_joints(path: Path, record: str, rect: Any) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Points (16, 2) 1-based px and visibility (16,), put in place by id: the file lists them in any order."""
    points = np.full((_JOINTS, 2), np.nan)
    visibility = np.full(_JOINTS, Visibility.UNLABELLED, np.uint8)
    for holder in structs(getattr(rect, "annopoints", [])):
        for point in structs(field(path, record, holder, "point")):
            joint = int(_number(path, record, point, "id"))
            if not 0 <= joint < _JOINTS:
                raise DataError(path, "a joint id of 0-15", record=record, found=str(joint))
            points[joint] = _number(path, record, point, "x"), _number(path, record, point, "y")
            visibility[joint] = _mat_visibility(path, record, getattr(point, "is_visible", ""))
    return points, visibility


def _mat_visibility(path: Path, record: str, value: Any) -> Visibility:
    """``is_visible`` as number, as text, or empty (labelled, and nobody said that it is hidden)."""
    if is_empty(value) or numbers(path, record, "is_visible", value, ()) != 0:
        return Visibility.VISIBLE
    return Visibility.OCCLUDED


def _mat_square(path: Path, record: str, rect: Any) -> NDArray[np.float64] | None:
    """(x, y, scale) of a rect in 1-based pixels; None where the file has none."""
    places = structs(getattr(rect, "objpos", []))
    if not places or is_empty(getattr(rect, "scale", "")):
        return None
    place = places[0]
    return np.array([*(_number(path, record, place, axis) for axis in "xy"), _number(path, record, rect, "scale")])


def _mat_head_size(path: Path, record: str, rect: Any) -> float | None:
    """0.6 x the diagonal of the head box in px; None where the file has none."""
    if any(is_empty(getattr(rect, side, "")) for side in ("x1", "y1", "x2", "y2")):
        return None
    left, top, right, bottom = (_number(path, record, rect, side) for side in ("x1", "y1", "x2", "y2"))
    return _HEAD * float(np.hypot(right - left, bottom - top))


def _number(path: Path, record: str, struct: Any, name: str) -> float:
    """One number of a struct as float: whole numbers arrive as uint8 or uint16, whose differences wrap around."""
    return float(numbers(path, record, name, field(path, record, struct, name), ()))


def _text(value: Any) -> str:
    """A MATLAB string; an empty one arrives as an empty array."""
    return "" if is_empty(value) else str(value)
