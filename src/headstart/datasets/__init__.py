"""Data sets: one adapter module each, and one line in :data:`DATASETS`.

An adapter is a module with three names:

* ``SKELETON``: the data set's own joints, in its own order;
* ``SPLITS``: the names of its splits;
* ``annotations(root, split)``: yields one :class:`~headstart.records.Annotation` a person, in a fixed order
  (docs/data-sets.md says what it must be).

No torch, no cropping, no metric in an adapter; and no ``from __future__ import annotations``, which would bind the name
``annotations`` that the function needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from headstart.errors import ConfigError
from headstart.records import Annotation
from headstart.skeleton import Skeleton

#: Data set name -> module of this package.
DATASETS: dict[str, str] = {
    "mpii": "mpii",
    "lsp": "lsp",
    "lsp_extended": "lsp_extended",
    "flic": "flic",
    "coco": "coco",
    "h36m": "h36m",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "threedpw": "threedpw",
    "occlusion_person": "occlusion_person",
    "aspset": "aspset",
    "synthetic_wild": "synthetic",
    "synthetic_studio": "synthetic",
    "synthetic_occluded": "synthetic",
}


def adapter(name: str) -> ModuleType:
    """The adapter module of a data set; raises :class:`ConfigError` naming those there are."""
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    return importlib.import_module(f"{__name__}.{DATASETS[name]}")


def skeleton(name: str) -> Skeleton:
    """The data set's own joints."""
    return adapter(name).SKELETON


def splits(name: str) -> tuple[str, ...]:
    """Names of the data set's splits."""
    return adapter(name).SPLITS


def iter_annotations(name: str, root: Path, split: str) -> Iterator[Annotation]:
    """Every person of a split, in the data set's own joints.

    Raises :class:`ConfigError` for an unknown data set or split and
    :class:`~headstart.errors.DataError` for a file that is missing or malformed.
    """
    if split not in splits(name):
        raise ConfigError(f"data set {name} has no split {split!r}; it has {', '.join(splits(name))}")
    return adapter(name).annotations(root, split)
