"""Synthetic people that ``headstart synth DOMAIN`` wrote: wild, studio and occluded, each with train, val and test.

Layout under ``root``: ``synthetic_DOMAIN-SPLIT/`` with ``pack.json`` and shards, the packed form (pack.py), which the
index opens without an adapter. This one is asked only where there is no finished folder, and says how to make it.

* Joints: all 22 canonical ones, exact, at bone heads of the body (``neck`` between the second and third neck bones,
  at the height of the chin) and at vertices of the head (nose, eyes, ears, top). Toes and heels are at vertices of the
  feet (``synth.feet``); folders that were begun before 2026-11-28 have none.
* Coordinates: pixel centres 0-based; camera axes in mm, absolute; a pinhole camera with extrinsics for each picture.
* Visibility: OCCLUDED by the person's own body or by something else (column ``state`` keeps them apart); joints
  outside the picture are unlabelled in 2D and keep their 3D.
* Box: tight around the joints that photographs label (the 14 of LSP), hidden ones included, clipped to the picture.
"""

from collections.abc import Iterator
from pathlib import Path

from headstart.errors import DataError
from headstart.records import Annotation
from headstart.skeleton import WITH_FEET

SKELETON = WITH_FEET
SPLITS = ("train", "val", "test")


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Raises :class:`DataError`: only a finished folder of ``headstart synth`` can be read, and it needs no adapter."""
    raise DataError(
        root,
        f"a folder ending in -{split} that headstart synth finished (pack.json)",
        found="none",
        fix=f"Run: headstart synth DOMAIN --split {split} --count 10000 --out {root}, DOMAIN as in synthetic_DOMAIN",
    )
    yield
