"""Data sets, each read by an adapter module. :data:`DATASETS` lists those of this package; others have a dotted name.

An adapter is a module with three names:

* ``SKELETON``: the data set's own joints, in its own order;
* ``SPLITS``: the names of its splits;
* ``annotations(root, split)``: yields one :class:`~headstart.records.Annotation` a person, in a fixed order
  (docs/data-sets.md says what it must be).

Where several data sets are made of the same files, ``SUBJECTS`` (split -> names of its people) says who is in which.

One that is not part of this package is named as Python imports it: ``my_data.office``, installed or the file
``my_data/office.py`` below the working folder. It may define the protocols that score it during training as
``VALIDATION_2D`` and ``VALIDATION_3D`` (:func:`validation`).

No torch, no cropping, no metric in an adapter; and no ``from __future__ import annotations``, which would bind the name
``annotations`` that the function needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal

from headstart.datasets.importing import imported
from headstart.errors import ConfigError
from headstart.records import Annotation
from headstart.skeleton import WITH_FEET, Skeleton

#: Data set name -> module of this package, or any module where the value has a dot.
DATASETS: dict[str, str] = {
    "mpii": "mpii",
    "lsp": "lsp",
    "lsp_extended": "lsp_extended",
    "flic": "flic",
    "coco": "coco",
    "coco_feet": "coco_feet",
    "yolo_pose": "yolo_pose",
    "h36m": "h36m",
    "h36m_s11": "h36m_s11",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "mpi_inf_3dhp_universal": "mpi_inf_3dhp_universal",
    "threedpw": "threedpw",
    "occlusion_person": "occlusion_person",
    "aspset": "aspset",
    "synthetic_wild": "synthetic",
    "synthetic_studio": "synthetic",
    "synthetic_occluded": "synthetic",
}


def is_known(name: str) -> bool:
    """Whether it is a data set of this package, or may be a user's module."""
    return name in DATASETS or "." in name


def adapter(name: str) -> ModuleType:
    """The adapter module of a data set; raises :class:`ConfigError` for an unknown one, naming those there are."""
    if not is_known(name):
        own = "or my_data.office for an adapter of yours in my_data/office.py"
        raise ConfigError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}, {own}")
    module = DATASETS.get(name, name)
    return imported(module) if "." in module else importlib.import_module(f"{__name__}.{module}")


def skeleton(name: str) -> Skeleton:
    """The data set's own joints."""
    return adapter(name).SKELETON


def splits(name: str) -> tuple[str, ...]:
    """Names of the data set's splits."""
    return tuple(adapter(name).SPLITS)


def unused_joints(name: str, root: Path, split: str) -> tuple[str, ...]:
    """Joints that the labels have but the index does not keep, in their order.

    They are those of the skeleton without a name of ``skeleton.WITH_FEET`` and, where files name joints themselves
    (``coco``), those that the adapter does not read.
    """
    own = tuple(joint for joint in skeleton(name).names if joint not in WITH_FEET.names)
    named = getattr(adapter(name), "unused_joints", None) if name in DATASETS else None
    return own + named(root, split) if named else own


def validation(name: str, kind: Literal["VALIDATION_2D", "VALIDATION_3D"]) -> tuple[str, str] | None:
    """The protocol and the split that score a data set during training; None if its adapter does not define them.

    Raises :class:`ConfigError` for anything but two names, the second one of its splits.
    """
    found = getattr(adapter(name), kind, None)
    if found is None:
        return None
    if not isinstance(found, (tuple, list)) or len(found) != 2 or found[1] not in splits(name):
        expected = f"(protocol, split), the split one of {', '.join(splits(name))}"
        raise ConfigError(f"data set {name!r}: {kind}: expected {expected}; found {found!r}")
    return found[0], found[1]


def shared_subjects(dataset: str, split: str, other: str, other_split: str) -> tuple[str, ...]:
    """Names of people (``Human3.6M S9``) who are in both splits; () where an adapter has no ``SUBJECTS``."""
    theirs = _subjects(other, other_split)
    return tuple(name for name in _subjects(dataset, split) if name in theirs)


def _subjects(name: str, split: str) -> tuple[str, ...]:
    """None for modules of users: a checkpoint may name one that is not on this machine."""
    found: tuple[str, ...] = getattr(adapter(name), "SUBJECTS", {}).get(split, ()) if name in DATASETS else ()
    return found


def code_of(name: str) -> list[Path]:
    """Source files whose change requires a new index, in a fixed order.

    They are all adapters of this package and, for an adapter elsewhere, the modules in its folder.
    """
    folders = [Path(__file__).parent]
    if (file := adapter(name).__file__) and Path(file).parent not in folders:
        folders.append(Path(file).parent)
    return [path for folder in folders for path in sorted(folder.glob("*.py"))]


def iter_annotations(name: str, root: Path, split: str) -> Iterator[Annotation]:
    """Every person of a split, in the data set's own joints.

    Raises :class:`ConfigError` for an unknown data set or split and
    :class:`~headstart.errors.DataError` for a file that is missing or malformed.
    """
    if split not in splits(name):
        raise ConfigError(f"data set {name} has no split {split!r}; it has {', '.join(splits(name))}")
    return adapter(name).annotations(root, split)
