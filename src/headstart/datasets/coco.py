"""COCO keypoints 2017: people in everyday scenes, 17 joints in 2D.

Source: https://cocodataset.org (Lin et al. 2014); labels CC BY 4.0, pictures under their Flickr licences.

Layout under ``root``: ``annotations/person_keypoints_train2017.json`` and ``person_keypoints_val2017.json``;
pictures in ``train2017/`` and ``val2017/``.

* Coordinates: keypoints are 0-based indices of pixels, so they are pixel centres as they stand: nothing is subtracted.
* Visibility: v is 0 not labelled, 1 labelled but occluded, 2 visible: the same three states as here.
  A joint with v = 0 has x = y = 0 in the file and becomes NaN.
* Box: the given ``bbox``, measured from the outer corner of the picture, as boxes are here. Where there is none, or
  one without area (below 1 px), it is that of the labelled joints.
* Splits: ``train2017`` and ``val2017``. Crowds (``iscrowd``) and people without a labelled joint are left out.
* Own data: ``iscrowd`` and ``bbox`` may be missing, ``num_keypoints`` is not read (joints are counted by their v), and
  a record without ``keypoints`` is left out.
* Categories: of several, only people are read: the category called ``person``, or the only one that lists
  ``keypoints``. Where it lists them, joints are taken by these names, in whatever order and among whatever others;
  where it does not, or there are no categories, they are COCO's 17 in its order. Joints that it does not list are not
  labelled.
* Turned images: labelling tools show what EXIF makes of them. Own images that EXIF turns are read upright, unless the
  size of the image in the file is that of the stored one (headers.py); COCO's own are read as they are stored.
* Feet: not read here, but by the data set ``coco_feet`` (coco_feet.py), from the same files.
* Head top, neck, pelvis and thorax are not labelled; pelvis and thorax follow from hips and shoulders in ``skeleton``.
* Key: picture and annotation id, ``000000493652.jpg#441444``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.files import load_json
from headstart.datasets.headers import labels_are_upright, read_header
from headstart.datasets.labels import field, joints_box, masked, numbers
from headstart.errors import DataError, shortened
from headstart.records import Annotation
from headstart.skeleton import COCO_17, WITH_FEET

SKELETON = COCO_17
SPLITS = ("train2017", "val2017")
_NAMES = (
    "Name joints as COCO does, left_shoulder for example (docs/data-sets.md has all 17); in records, v = 0 says that a"
    " joint is not labelled"
)
# In coco_url of COCO's own images, whose labels are of the stored pixels.
_COCO = "cocodataset.org"


@dataclass(frozen=True)
class People:
    """Which records are people, and which joints they have."""

    joints: tuple[str, ...] = COCO_17.names
    """Names of the joints of a record, in its order."""
    category: Any = None
    """``category_id`` of people; None where every record is one."""
    categories: tuple[Any, ...] = ()
    """Every ``category_id`` that records may have."""
    more: tuple[str, ...] = ()
    """Joints that are read besides COCO's."""

    @cached_property
    def order(self) -> list[int]:
        """Place of each joint that is read in a record; -1 for those that it lacks, which are not labelled."""
        return [self.joints.index(joint) if joint in self.joints else -1 for joint in (*SKELETON.names, *self.more)]


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every labelled person of ``split`` in the order of the file."""
    path = root / "annotations" / f"person_keypoints_{split}.json"
    content = load_json(path, "COCO's person keypoints")
    yield from labelled_people(path, content, root / split, people_of(path, content))


def labelled_people(path: Path, content: Any, pictures: Path, people: People) -> Iterator[Annotation]:
    """Every labelled person of a file's ``content``, in its order. Joints are COCO's, then ``people.more``."""
    images = _images(path, content)
    upright: dict[Any, bool] = {}
    for record in records(path, content, "annotations"):
        annotation_id = field(path, "annotations", record, "id")
        if record.get("iscrowd") or not record.get("keypoints"):
            continue
        if not _is_person(path, annotation_id, record, people):
            continue
        image_id = field(path, annotation_id, record, "image_id")
        if image_id not in images:
            raise DataError(path, "an image_id listed in images", record=annotation_id, found=str(image_id))
        image = pictures / str(images[image_id]["file_name"])
        person = _person(path, image, annotation_id, record, people)
        if person is None:
            continue
        if image_id not in upright:
            upright[image_id] = _is_labelled_upright(image, images[image_id])
        yield replace(person, upright=upright[image_id])


def unused_joints(root: Path, split: str) -> tuple[str, ...]:
    """Joints of people that the file of ``split`` names, but that are not read; () where there is no such file."""
    path = root / "annotations" / f"person_keypoints_{split}.json"
    if not path.is_file():  # packed
        return ()
    joints = people_of(path, load_json(path, "COCO's person keypoints")).joints
    return tuple(joint for joint in joints if joint not in SKELETON.names)


def records(path: Path, content: Any, name: str) -> list[Any]:
    """The list ``content[name]``; :class:`DataError` if it is not one."""
    records = field(path, "top level", content, name)
    if not isinstance(records, list):
        raise DataError(path, f"a list {name!r}", found=type(records).__name__)
    return records


def _images(path: Path, content: Any) -> dict[int, dict[str, Any]]:
    """Image id -> its entry in ``images``, which has a ``file_name``."""
    images = {}
    for image in records(path, content, "images"):
        field(path, "images", image, "file_name")
        images[field(path, "images", image, "id")] = image
    return images


def _is_labelled_upright(image: Path, entry: dict[str, Any]) -> bool:
    """Whether labels are of the image as viewers show it, not as it is stored, by the size in its entry.

    Headers of COCO's own images are not read: there are 120,000 of them.
    """
    if _COCO in str(entry.get("coco_url")):
        return False
    return labels_are_upright(image, read_header(image), (entry.get("width"), entry.get("height")))


def people_of(path: Path, content: Any, more: tuple[str, ...] = ()) -> People:
    """What ``categories`` says of people; every record is one, with COCO's joints in its order, where it says nothing.

    ``more``: joints that are read besides COCO's. Raises :class:`DataError` where it is not clear which category people
    are, where a joint is named twice, where none of COCO's is named, and where one of them is missing among names that
    are not known: it may be there under another name.
    """
    listed = records(path, content, "categories") if isinstance(content, dict) and content.get("categories") else []
    if not all(isinstance(one, dict) for one in listed):
        raise DataError(path, "a list of objects 'categories'", found=shortened(repr(listed)))
    named = [one for one in listed if one.get("name") == "person"]
    found = named or [one for one in listed if one.get("keypoints")] or listed
    if not found:
        return People(more=more)
    if len(found) > 1:
        categories = ", ".join(f"{one.get('name')}" for one in found)
        fix = "Call the category of people 'person', and everybody's category_id its id"
        raise DataError(path, "one category called 'person'", record="categories", found=categories, fix=fix)
    joints = SKELETON.names
    if names := found[0].get("keypoints"):
        joints = named_joints(path, f"categories, {found[0].get('name')}", names, more)
    if len(listed) == 1:
        return People(joints, more=more)
    ids = [field(path, "categories", one, "id") for one in listed]
    return People(joints, field(path, "categories", found[0], "id"), tuple(ids), more)


def named_joints(path: Path, record: str, names: Any, more: tuple[str, ...]) -> tuple[str, ...]:
    """The ``names`` that a file gives to joints, checked as :func:`people_of` says; ``more`` as there."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(path, "keypoints as a list of names", record=record, found=shortened(repr(names)))
    named = [joint for joint in (*SKELETON.names, *more) if joint in names]
    wrong = [f"{names.count(joint)} {joint}" for joint in named if names.count(joint) > 1]
    unknown = [joint for joint in names if joint not in WITH_FEET.names]
    if unknown or not set(SKELETON.names) & set(named):  # what is missing may be there under another name
        wrong += [f"no {joint}" for joint in SKELETON.names if joint not in names]
    if wrong:
        expected = f"each of COCO's 17 joints{' and the feet' if more else ''} once among the names of keypoints"
        found = shortened(", ".join(wrong))
        known = f". Only beside known joints may one be left out; {unknown[0]} is not known" if unknown else ""
        raise DataError(path, expected, record=record, found=found, fix=_NAMES + known)
    return tuple(names)


def _is_person(path: Path, annotation_id: int, record: dict[str, Any], people: People) -> bool:
    """Whether a record is of the category of people; :class:`DataError` for one that the file does not list."""
    if people.category is None:
        return True
    category = field(path, annotation_id, record, "category_id")
    if category not in people.categories:
        raise DataError(path, "a category_id listed in categories", record=annotation_id, found=repr(category))
    return bool(category == people.category)


def _person(path: Path, image: Path, annotation_id: int, record: dict[str, Any], people: People) -> Annotation | None:
    """One record of ``annotations``; None without a labelled joint."""
    given, joints = record["keypoints"], len(people.joints)
    if isinstance(given, list) and len(given) != 3 * joints:
        expected = f"x, y and v of {joints} joints ({3 * joints} numbers) in keypoints"
        fix = "If people have other joints, name all of them, in their order, in the keypoints of their category"
        raise DataError(path, expected, record=annotation_id, found=f"{len(given)} numbers", fix=fix)
    triples = numbers(path, annotation_id, "keypoints", given, (3 * joints,)).reshape(joints, 3)
    if -1 in people.order:
        triples = np.vstack([triples, np.zeros(3)])  # not labelled: order -1 takes the last row
    triples = triples[people.order]
    points, states = triples[:, :2], triples[:, 2]
    if not np.isin(states, (0, 1, 2)).all():
        raise DataError(path, "visibility 0, 1 or 2", record=annotation_id, found=str(states.tolist()))
    if not states.any():
        return None
    # COCO's 0, 1, 2 are the values of Visibility: UNLABELLED, OCCLUDED, VISIBLE.
    visibility = states.astype(np.uint8)
    keypoints = masked(points, visibility)
    box = numbers(path, annotation_id, "bbox", record.get("bbox") or [0] * 4, (4,))
    return Annotation(f"{image.name}#{annotation_id}", image, person_box(box, keypoints), keypoints, visibility)


def person_box(given: NDArray[np.float64], keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """The given box (4,) xywh px, or that of the labelled joints where it has no area."""
    return given.astype(np.float32) if min(given[2:]) >= 1 else joints_box(keypoints)
