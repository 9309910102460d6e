"""Leeds Sports Poses Extended: 10,000 people at parkour, gymnastics and athletics, 14 joints in 2D.

Source: https://sam.johnson.io/research/lspet.html (Johnson and Everingham 2011), pictures from Flickr, for
research. Labels come from Amazon Mechanical Turk and are noisy: some are a limb away or have left and right exchanged.

Layout under ``root``: ``joints.mat`` with ``joints`` (14, 3, N), and ``images/im00001.jpg`` ... one person a picture.
N is 10,000 in the official file; copies with fewer pictures are read too.

* Coordinates: MATLAB pixels, the first pixel is 1; 1 is subtracted (``from_matlab_pixels``) as pixel centres here are
  0-based. They are fractional, because pictures and labels were rescaled to people of about 150 px.
* Visibility: column 3 is **1 where the joint is visible and 0 where it is not labelled** (12 % of all): the opposite
  of LSP. The x and y of unlabelled joints (<= 0) mean nothing and become NaN. No joint is marked occluded.
* Box: that of the labelled joints; the data set gives none.
* Splits: ``all`` is every picture. The data set has no test split; by this project's convention ``train`` is
  pictures 1-8500 and ``val`` 8501-9500, whether the file has 9,500 or 10,000 (9501-10000 are in ``all`` only).
* People without a single labelled joint are left out (there is none in the first 9,500).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headstart.datasets.lsp import flags, person, read_joints
from headstart.errors import DataError
from headstart.records import Annotation, Visibility
from headstart.skeleton import LSP_14

SKELETON = LSP_14
SPLITS = ("all", "train", "val")

_ROWS = {"train": range(8500), "val": range(8500, 9500)}


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every person of ``split`` in the order of the pictures."""
    path = root / "joints.mat"
    joints = read_joints(path, "LSP-Extended's joints (14, 3, 10000)", (14, 3, None)).transpose(2, 0, 1)
    for row in _rows(path, split, len(joints)):
        labelled = flags(path, row + 1, joints[row, :, 2])
        visibility = np.where(labelled, Visibility.VISIBLE, Visibility.UNLABELLED).astype(np.uint8)
        if labelled.any():
            yield person(root / "images" / f"im{row + 1:05d}.jpg", joints[row, :, :2], visibility)


def _rows(path: Path, split: str, people: int) -> range:
    """0-based rows of a split; :class:`DataError` where the file is too short for the fixed splits."""
    rows = range(people) if split == "all" else _ROWS[split]
    if rows.stop > people:
        fix = "Use the split all for a shorter copy"
        raise DataError(path, f"at least {rows.stop} people for the split {split}", found=str(people), fix=fix)
    return rows
