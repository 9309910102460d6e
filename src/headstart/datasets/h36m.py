"""Human3.6M (Ionescu et al. 2014): 3D, indoors, 7 subjects with labels, 4 cameras, 50 frames a second.

Four forms of it are in use; the files under the root tell which one it is:

* json files of the 3DMPPE code base (:mod:`~headstart.datasets.h36m_3dmppe`);
* HDF5 files of the h36m-fetch tool (:mod:`~headstart.datasets.h36m_fetch`);
* pictures and csv files of the ECCV 2018 challenge (:mod:`~headstart.datasets.h36m_eccv`);
* cut pictures with MATLAB files, as Zhou et al. 2017 used (:mod:`~headstart.datasets.h36m_crops`).

Splits: train is S1, S5, S6, S7, S8; test is S9, S11 (the challenge: its Train and Val). The data set ``h36m_s11`` has
other splits of the same files (:mod:`~headstart.datasets.h36m_s11`). All frames on file are yielded; a protocol picks
from them by ``frame``, the 0-based index in the recording (-1 in the challenge). A split of which some subjects are
missing is read with a warning.

There are no labels of occlusion: every joint within the picture is VISIBLE, also one that the body hides. A joint
beyond the picture is unlabelled in 2D and keeps its 3D (in the challenge, whose pictures' size is not on file, it stays
labelled). The calibration's pixel origin is not documented; coordinates are used unshifted, as everyone does.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from headstart.datasets import h36m_3dmppe, h36m_common, h36m_crops, h36m_eccv, h36m_fetch
from headstart.datasets.files import require_directory
from headstart.errors import DataError
from headstart.records import Annotation
from headstart.skeleton import H36M_17

SKELETON = H36M_17
SPLITS = ("train", "test")
SUBJECTS = h36m_common.named(h36m_common.SUBJECTS)

# The json form comes first: its pictures may lie in folders named like those of the cut pictures.
_FORMS = (h36m_3dmppe, h36m_fetch, h36m_eccv, h36m_crops)


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every frame of a split of whichever form lies under ``root``; see the form's module for its particulars."""
    return form_of(root).annotations(root, split)


def form_of(root: Path) -> ModuleType:
    """The module that reads what lies under ``root``; raises :class:`DataError` if none does."""
    require_directory(root, "Human3.6M")
    for form in _FORMS:
        if form.is_held(root):
            return form
    forms = "; ".join(form.FILES for form in _FORMS)
    raise DataError(root, f"Human3.6M in one of four forms: {forms}", found="none of these files")
