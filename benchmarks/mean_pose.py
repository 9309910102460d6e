"""What does an answer cost that never looks at the image? The mean pose of a training split, for everybody in a test.

    python benchmarks/mean_pose.py data/synthetic synthetic_studio synthetic_studio synthetic_occluded synthetic_wild

The first name is the data set whose split ``train`` gives the pose (camera axes, mm from the pelvis), the others are
protocols in 3D; all data lie below the one folder. A network whose MPJPE is not below this has learnt nothing of use
there, in mm at least: PA-MPJPE, for which poses are turned, is printed beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.evaluate import protocol_rows, score
from headstart.geometry import root_relative
from headstart.index import open_index
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.results import Scores
from headstart.skeleton import CANONICAL


def mean_pose(dataset: str, root: Path) -> NDArray[np.float32]:
    """(J, 3) mm of the canonical joints from the pelvis; NaN for joints that nobody has in 3D."""
    index = open_index(dataset, root, "train")
    poses = np.stack([one.camera_xyz for one in index if one.camera_xyz is not None])[:, : len(CANONICAL)]
    return np.nanmean(root_relative(poses, CANONICAL.index("pelvis")), axis=0).astype(np.float32)


def scored(pose: NDArray[np.float32], name: str, root: Path) -> Scores:
    """The pose as the prediction for everybody whom the protocol scores."""
    wanted = protocol(name)
    index = open_index(wanted.dataset, root, wanted.split)
    rows = protocol_rows(index, wanted)
    everybody = np.repeat(pose[None, CANONICAL.indices(wanted.joints)], len(rows), axis=0)
    nothing = np.zeros(everybody.shape[:2], np.float32)
    keys = index.column("key")[rows].tolist()
    made = Predictions(keys, wanted.joints, everybody[..., :2] * 0, nothing, nothing, {}, xyz_mm=everybody)
    return score(made, index, wanted, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("trained_on")
    parser.add_argument("protocols", nargs="+")
    given = parser.parse_args()
    blind = mean_pose(given.trained_on, given.root)
    for name in given.protocols:
        result = scored(blind, name, given.root)
        beside = ", ".join(f"{metric} {value:.1f}" for metric, value in result.others.items())
        print(f"{name}: {result.metric} {result.value:.1f} {result.unit} (n = {result.n}); {beside}")
