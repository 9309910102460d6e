"""How often is a joint of a given confidence right?

    python benchmarks/confidence.py --data lsp_extended val data/lsp_extended \
        --data synthetic_wild test data/synthetic --data synthetic_occluded test data/synthetic

estimates people in their labels' boxes (flip test) and prints, for each tenth of confidence, how many of the labelled
joints of the limbs have it and which share of them lies within 0.2 torsos (left shoulder to right hip) of the label; on
data that tell visible from hidden joints, each apart. Below each table: how often a joint that is right is the surer of
the two, beside one that is wrong (area under the ROC curve; half the time would be chance).
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from closing_in import LIMBS
from headstart.checkpoint import find_checkpoint, shipped_weights
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import pck, torso_size
from headstart.records import Visibility
from headstart.sampling import evenly_spread
from headstart.scoring import predict_people
from headstart.skeleton import CANONICAL, Skeleton
from second_reader import with_torso

EDGES = np.round(np.arange(0, 1.05, 0.1), 1)
Values = NDArray[np.float64]


def joints_of(model: Path, index: AnnotationIndex, count: int) -> tuple[Values, Values, NDArray[np.uint8]]:
    """Confidence, 1 where right, and visibility of the labelled joints, each (M,), of at most ``count`` people."""
    rows = with_torso(index)
    rows = rows[evenly_spread(len(rows), count)]
    seen = predict_people(model, index, rows, "people")
    own, columns = [seen.joints.index(joint) for joint in LIMBS], CANONICAL.indices(LIMBS)
    visibility = index.column("visibility")[rows][:, columns]
    truth = index.column("keypoints")[rows][:, columns].astype(float)
    torso = torso_size(truth, visibility > 0, Skeleton("limbs", LIMBS))
    right = pck(seen.keypoints[:, own], truth, visibility > 0, torso)
    known = np.isfinite(right)
    return seen.confidence[:, own][known].astype(float), right[known], visibility[known]


def surer(confidence: Values, right: Values) -> float:
    """Area under the ROC curve, equal confidences counted half (Mann and Whitney 1947)."""
    good = right > 0
    wins = rankdata(confidence)[good].sum() - good.sum() * (good.sum() + 1) / 2
    return float(wins / (good.sum() * (~good).sum()))


def line(title: str, confidence: Values, right: Values) -> str:
    """One row of the table: the share that is right in each tenth, and how many joints that is the share of."""
    tenths = np.clip(np.digitize(confidence, EDGES) - 1, 0, len(EDGES) - 2)
    parts = [right[tenths == tenth] for tenth in range(len(EDGES) - 1)]
    cells = [f"{part.mean():5.0%} of {len(part):4d}" if len(part) else "            -" for part in parts]
    return f"{title:9s}" + " ".join(f"{cell:>13s}" for cell in cells) + f" {right.mean():6.1%} of {len(right)}"


def measure(model: Path, index: AnnotationIndex, count: int) -> None:
    """Print one data set's table."""
    confidence, right, visibility = joints_of(model, index, count)
    print(" " * 9 + " ".join(f"{f'{low:.1f}-{high:.1f}':>13s}" for low, high in pairwise(EDGES)) + "   all")
    print(line("all", confidence, right))
    if (visibility == Visibility.OCCLUDED).any():
        for kind in (Visibility.VISIBLE, Visibility.OCCLUDED):
            print(line(kind.name.lower(), confidence[visibility == kind], right[visibility == kind]))
    print(f"a right joint is surer than a wrong one in {surer(confidence, right):.1%} of pairs\n")


def main() -> None:
    """One table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs=3, action="append", required=True, metavar=("DATASET", "SPLIT", "ROOT"))
    parser.add_argument("--model", type=Path, help="a checkpoint, a run or an .onnx file; if not given, what ships")
    parser.add_argument("--count", type=int, default=1000, help="people of each data set")
    given = parser.parse_args()
    model = find_checkpoint(given.model) if given.model else shipped_weights()
    for dataset, split, root in given.data:
        print(f"{dataset}, {split}")
        measure(model, open_index(dataset, Path(root), split), given.count)


if __name__ == "__main__":
    main()
