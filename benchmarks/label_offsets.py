"""Do two data sets mean the same point by a joint's name? Ask a network that learnt one of them.

    headstart eval RUN --protocol lsp_extended_pck12 --root data/lsp_extended --predictions photos.npz
    headstart eval RUN --protocol synthetic_wild_pck --root data/synthetic --predictions wild.npz
    python benchmarks/label_offsets.py photos.npz=data/lsp_extended wild.npz=data/synthetic

prints where the predictions lie beside the labels, on average over those that are nearly right: along the trunk (up is
towards the shoulders) and across it (outwards: from the other side), in torsos (left shoulder to right hip), with
the standard error. What one data set has and the other has not is a difference of their labels, or of what misleads the
network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.index import open_index
from headstart.predictions import Predictions
from headstart.skeleton import CANONICAL

Points = NDArray[np.float64]
PAIRS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
#: Torsos: what lies farther off is a mistake, not an offset; and how long a trunk must appear to have a direction.
NEAR, TRUNK = 0.35, 0.5


def labels_of(found: Predictions, root: Path) -> Points:
    """Labels (N, K, 2) px of the people that were predicted, canonical joints."""
    index = open_index(found.about["dataset"], root, found.about["split"])
    rows = {str(key): row for row, key in enumerate(index.column("key"))}
    return np.array([index[rows[key]].keypoints for key in found.keys], np.float64)


def trunk(labels: Points) -> tuple[Points, Points, NDArray[np.float64], NDArray[np.bool_]]:
    """Unit vectors (N, 2) up the trunk and towards the person's left in the picture, torsos (N,) px, and who counts."""
    left, right, left_hip, right_hip = (
        labels[:, CANONICAL.index(name)] for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    )
    torso = np.linalg.norm(left - right_hip, axis=-1)
    along = (left + right - left_hip - right_hip) / 2
    length = np.linalg.norm(along, axis=-1)
    up = along / length[:, None]
    across = np.stack([-up[:, 1], up[:, 0]], 1)
    across *= np.sign(((left - right) * across).sum(-1, keepdims=True))
    return up, across, torso, length > TRUNK * torso


def offsets(found: Predictions, labels: Points, pair: str) -> tuple[Points, Points, float]:
    """Offsets up and outwards (n,) of both sides' nearly right joints, and their share of all that are labelled."""
    up, across, torso, counts = trunk(labels)
    ups, outs, near = [], [], []
    for side, sign in (("right", -1.0), ("left", 1.0)):
        name = f"{side}_{pair}"
        off = (found.keypoints[:, found.joints.index(name)] - labels[:, CANONICAL.index(name)]) / torso[:, None]
        distance = np.linalg.norm(off, axis=-1)
        known = counts & np.isfinite(distance)
        close = known & (distance < NEAR)
        ups.append((off * up).sum(-1)[close])
        outs.append(sign * (off * across).sum(-1)[close])
        near.append(close[known])
    return np.concatenate(ups), np.concatenate(outs), float(np.concatenate(near).mean())


def main() -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pairs", nargs="+", metavar="PREDICTIONS.npz=ROOT", help="predictions, and their data set's folder"
    )
    given = parser.parse_args()
    if wrong := [one for one in given.pairs if "=" not in one]:
        parser.error(f"expected PREDICTIONS.npz=ROOT, got {wrong[0]}")
    for file, root in (one.split("=", 1) for one in given.pairs):
        found = Predictions.load(Path(file))
        labels = labels_of(found, Path(root))
        print(f"{found.about['dataset']} {found.about['split']}, {len(found.keys)} people")
        for pair in PAIRS:
            ups, outs, near = offsets(found, labels, pair)
            means = (
                f"{name} {one.mean():+.3f} +- {one.std() / len(one) ** 0.5:.3f}"
                for name, one in zip(("up", "outwards"), (ups, outs))
            )
            print(f"  {pair:9} nearly right {near:.0%}   {'   '.join(means)}")


if __name__ == "__main__":
    main()
