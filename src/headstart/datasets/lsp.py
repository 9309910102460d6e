"""Leeds Sports Poses: 2,000 sports people, one a picture, 14 joints in 2D, every joint labelled.

Source: https://sam.johnson.io/research/lsp.html (Johnson and Everingham 2010), pictures from Flickr, for research.

Layout under ``root``: ``joints.mat`` with ``joints`` (3, 14, 2000), and ``images/im0001.jpg`` ... ``im2000.jpg``.

* Coordinates: MATLAB pixels, the first pixel is 1; 1 is subtracted (``from_matlab_pixels``) as pixel centres here
  are 0-based.
* Visibility: row 3 is **1 where the joint is occluded**, 0 where it is visible: the opposite of LSP-Extended.
  Occluded joints were placed by the annotator and are labels.
* Box: that of the 14 joints; the data set gives none.
* Splits: ``train`` is pictures 1-1000, ``test`` 1001-2000, as published.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.files import load_mat, require_shape
from headstart.datasets.labels import from_matlab_pixels, joints_box, masked, numbers
from headstart.errors import DataError
from headstart.records import Annotation, Visibility
from headstart.skeleton import LSP_14

SKELETON = LSP_14
SPLITS = ("train", "test")

_PEOPLE = 2000
_ROWS = {"train": range(1000), "test": range(1000, 2000)}


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every person of ``split`` in the order of the pictures."""
    path = root / "joints.mat"
    joints = read_joints(path, "LSP's joints (3, 14, 2000)", (3, 14, None)).transpose(2, 1, 0)
    if len(joints) != _PEOPLE:
        raise DataError(path, f"{_PEOPLE} people", found=str(len(joints)))
    for row in _ROWS[split]:
        occluded = flags(path, row + 1, joints[row, :, 2])
        visibility = np.where(occluded, Visibility.OCCLUDED, Visibility.VISIBLE).astype(np.uint8)
        yield person(root / "images" / f"im{row + 1:04d}.jpg", joints[row, :, :2], visibility)


def read_joints(path: Path, expected: str, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """The array ``joints`` of LSP or LSP-Extended, three axes, in the file's own order.

    The order of the axes tells the two files apart, and their visibility means opposite things: the wrong one is an
    error, never transposed in silence.
    """
    raw = np.asarray(load_mat(path, "joints", expected))
    # A file with one person loses its last axis when scipy squeezes it.
    raw = raw[..., None] if raw.ndim == 2 else raw
    require_shape(path, "joints", raw, shape)
    return numbers(path, "joints", "joints", raw, raw.shape, finite=False)


def flags(path: Path, record: int, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The visibility column (14,) as truth values; :class:`DataError` unless it holds only 0 and 1."""
    if not np.isin(values, (0, 1)).all():
        raise DataError(path, "visibility of 0 or 1", record=record, found=str(sorted(set(values.tolist()))))
    return values == 1


def person(image: Path, matlab_pixels: NDArray[np.float64], visibility: NDArray[np.uint8]) -> Annotation:
    """The one person of a picture, from points (14, 2) in MATLAB's 1-based pixels; the picture's name is the key."""
    known = np.isfinite(matlab_pixels).all(1)
    visibility = np.where(known, visibility, Visibility.UNLABELLED).astype(np.uint8)
    keypoints = masked(from_matlab_pixels(matlab_pixels), visibility)
    return Annotation(image.name, image, joints_box(keypoints), keypoints, visibility)
