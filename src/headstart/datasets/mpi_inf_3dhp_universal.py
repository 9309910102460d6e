"""MPI-INF-3DHP with every person in one size: ``univ_annot3``, the 3D labels that the official test scores.

Files, splits, keys, joints and 2D labels are those of :mod:`~headstart.datasets.mpi_inf_3dhp`, under the same root.

``univ_annot3`` is ``annot3``, scaled about the pelvis by one factor for each sequence, so that people have the height
of Human3.6M's universal skeleton (the factor is 0.93 to 0.96 in three frames that are public). Its joints but the
pelvis therefore miss the 2D labels. Here people are scaled about the camera instead, by the same factor: they stand
nearer or farther and project on the same pixels. Joints relative to the pelvis, which are what is scored, are those of
the file. A file in which the two labels do not differ by one factor is refused.

Headstart's networks predict pixels, and depth in pixels: they learn the same from both data sets. Scores in mm differ,
as people are of another size.
"""

from collections.abc import Iterator
from pathlib import Path

from headstart.datasets import mpi_inf_3dhp
from headstart.records import Annotation

SKELETON = mpi_inf_3dhp.SKELETON
SPLITS = mpi_inf_3dhp.SPLITS
VALIDATION_2D = VALIDATION_3D = ("mpi_inf_3dhp_universal", "test")


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """As those of :mod:`~headstart.datasets.mpi_inf_3dhp`, in the universal size."""
    return mpi_inf_3dhp.read(root, split, universal=True)
