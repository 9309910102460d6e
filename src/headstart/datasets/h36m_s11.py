"""Human3.6M split as in "protocol 1" of Sun et al. (2018): train is S1, S5, S6, S7, S8 and S9, test is S11 alone.

Files, keys, joints and cameras are those of :mod:`~headstart.datasets.h36m`, under the same root, in any form that
names subjects: not the ECCV 2018 challenge. In the form of h36m-fetch S9 has every 64th frame only.

A network that was trained on this must not be scored on ``h36m``, whose test has S9.
"""

from collections.abc import Iterator
from pathlib import Path

from headstart.datasets import h36m, h36m_eccv
from headstart.datasets.h36m_common import named
from headstart.errors import DataError
from headstart.records import Annotation

SKELETON = h36m.SKELETON
SPLITS = ("train", "test")
VALIDATION_2D = VALIDATION_3D = ("h36m_s11", "test")

_SUBJECTS = {"train": (1, 5, 6, 7, 8, 9), "test": (11,)}
SUBJECTS = named(_SUBJECTS)


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every frame of a split; raises :class:`DataError` for the ECCV 2018 challenge, whose frames name no subject."""
    form = h36m.form_of(root)
    if form is h36m_eccv:
        found = "the ECCV 2018 challenge, whose frames name none"
        raise DataError(root, "Human3.6M with subjects, to take S9 from the test", found=found, fix="Use h36m instead")
    return form.annotations(root, split, _SUBJECTS)
