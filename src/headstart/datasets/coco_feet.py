"""COCO keypoints with feet: COCO-WholeBody (Jin et al. 2020), or a file of COCO's format that names joints of the feet.

Files, splits, pictures, boxes and keys are those of :mod:`~headstart.datasets.coco`, under the same root, and so are
COCO's 17 joints. Layout under ``root``: ``annotations/coco_wholebody_train_v1.0.json`` and
``coco_wholebody_val_v1.0.json``; where one is missing, ``person_keypoints_train2017.json`` or
``person_keypoints_val2017.json``.

* Feet: big toe, small toe and heel of each side. Where the category of people names any of them among its
  ``keypoints``, they are taken by name; those that it does not name are not labelled.
* Otherwise they are COCO-WholeBody's ``foot_kpts`` of each record: x, y and v of left big toe, left small toe, left
  heel, then of the right ones (https://github.com/jin-s13/COCO-WholeBody/blob/master/data_format.md). A v that is
  neither 0, 1 nor 2 is a confidence there: above 0 the joint is labelled, here as visible. Records without
  ``foot_kpts``, and those whose ``foot_valid`` is false, have no feet.
* Face and hands are not read.

COCO-WholeBody's labels are for non-commercial use.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.datasets.coco import SPLITS as COCO_SPLITS
from headstart.datasets.coco import labelled_people, people_of, records
from headstart.datasets.files import load_json
from headstart.datasets.labels import numbers
from headstart.errors import DataError
from headstart.records import Annotation
from headstart.skeleton import COCO_23, FEET

SKELETON = COCO_23
SPLITS = COCO_SPLITS
_EXPECTED = "COCO's person keypoints, with feet"
_FIX = "Name them as in left_big_toe (docs/data-sets.md), or use the data set coco, which has no feet"


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every labelled person of ``split`` in the order of the file."""
    path = _labels(root, split)
    content = load_json(path, _EXPECTED)
    people = people_of(path, content, FEET)
    if set(FEET).isdisjoint(people.joints):
        people = replace(people, joints=(*people.joints, *FEET))
        _append_feet(path, records(path, content, "annotations"))
    yield from labelled_people(path, content, root / split, people)


def unused_joints(root: Path, split: str) -> tuple[str, ...]:
    """Joints of people that the file of ``split`` names, but that are not read; () where there is no such file."""
    path = _labels(root, split)
    if not path.is_file():  # packed
        return ()
    joints = people_of(path, load_json(path, _EXPECTED), FEET).joints
    return tuple(joint for joint in joints if joint not in SKELETON.names)


def _labels(root: Path, split: str) -> Path:
    folder = root / "annotations"
    whole_body = folder / f"coco_wholebody_{split.removesuffix('2017')}_v1.0.json"
    return whole_body if whole_body.is_file() else folder / f"person_keypoints_{split}.json"


def _append_feet(path: Path, people: list[Any]) -> None:
    """Append ``foot_kpts`` to the keypoints of each record that has any, in place."""
    found = False
    for record in people:
        if isinstance(record, dict) and isinstance(record.get("keypoints"), list) and record["keypoints"]:
            found |= "foot_kpts" in record
            record["keypoints"] = [*record["keypoints"], *_feet(path, record)]
    if not found:
        raise DataError(path, "joints of the feet, named in categories or as foot_kpts", found="neither", fix=_FIX)


def _feet(path: Path, record: dict[str, Any]) -> list[float]:
    """x, y and v of the six joints of a record."""
    given = record.get("foot_kpts")
    if given is None or record.get("foot_valid") is False:
        return [0.0] * 3 * len(FEET)
    feet = numbers(path, record.get("id", "annotations"), "foot_kpts", given, (3 * len(FEET),)).reshape(-1, 3)
    feet[(feet[:, 2] > 0) & (feet[:, 2] != 1), 2] = 2
    return [float(value) for value in feet.ravel()]
