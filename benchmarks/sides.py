"""How much of the error in 2D is a confusion of left and right, of the model or of the labels?

    python benchmarks/sides.py ../shared/data/lspet
    python benchmarks/sides.py ../shared/data/lspet --predictions blazepose.npz  # of another system, see blazepose.py

PCK@0.2 as it is, and with the sides exchanged wherever that suits the label better: of the whole person, of arms and of
legs apart, of each pair of joints. That is what perfect sides would give if no label had them wrong. With
``--predictions`` also whose side another system takes where the whole person is clearly the other way round, and what
the model would score if the label were wrong wherever both contradict it. (Labels that are wrong as the model is are
not found in this way: a bound, not a score.)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.checkpoint import find_checkpoint, shipped_weights
from headstart.evaluate import protocol_rows
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import distances_2d, pck, torso_size
from headstart.predictions import Predictions, in_order, read_predictions
from headstart.protocols import protocol
from headstart.scoring import predict_people
from headstart.skeleton import CANONICAL, mirrored_name

PROTOCOL = protocol("lsp_extended_pck12")
JOINTS = PROTOCOL.joints
OTHER = np.array([JOINTS.index(mirrored_name(name)) for name in JOINTS])
ARMS = np.array([index for index, name in enumerate(JOINTS) if name.endswith(("shoulder", "elbow", "wrist"))])
LEGS = np.array([index for index in range(len(JOINTS)) if index not in ARMS])
PAIRS = [np.array([index, OTHER[index]]) for index in range(len(JOINTS)) if index < OTHER[index]]
#: Somebody is clearly exchanged where that brings the joints nearer by so many torsos on average.
CLEARLY = 0.2
Points = NDArray[np.float64]


def chosen(predictions: Predictions, keys: list[str]) -> Points:
    """(N, 12, 2) px of the protocol's joints, in the order of ``keys``."""
    ordered = in_order(predictions, keys)
    return ordered.keypoints[:, [ordered.joints.index(name) for name in JOINTS]].astype(np.float64)


def errors(predicted: Points, truth: Points, labelled: NDArray[np.bool_], torso: Points) -> Points:
    """(N, 12) torsos, 1 at most, 0 where nothing is labelled: a joint far off says no more than one that is off."""
    distances = distances_2d(predicted, truth, labelled, torso)
    return np.where(labelled, np.minimum(distances, 1), 0)


def gain(
    predicted: Points, truth: Points, labelled: NDArray[np.bool_], torso: Points, joints: NDArray[np.int64]
) -> Points:
    """(N,) by how many torsos those joints come nearer to the label on average, if they change sides."""
    change = errors(predicted, truth, labelled, torso) - errors(predicted[:, OTHER], truth, labelled, torso)
    return change[:, joints].sum(1) / np.maximum(labelled[:, joints].sum(1), 1)


def main(index: AnnotationIndex, theirs: Predictions | None) -> None:
    """Print the scores."""
    rows = protocol_rows(index, PROTOCOL)
    columns = CANONICAL.indices(JOINTS)
    torso = torso_size(index.column("keypoints")[rows], index.column("visibility")[rows] > 0, CANONICAL)
    rows, torso = rows[np.isfinite(torso)], torso[np.isfinite(torso)].astype(np.float64)
    truth = index.column("keypoints")[rows][:, columns].astype(np.float64)
    labelled = index.column("visibility")[rows][:, columns] > 0
    keys = [index[int(row)].key for row in rows]
    ours = chosen(predict_people(find_checkpoint(shipped_weights()), index, rows, "predicting"), keys)

    def score(points: Points) -> float:
        return 100 * float(np.nanmean(pck(points, truth, labelled, torso)))

    print(f"{len(rows)} people, PCK@0.2\n{'as it is':40} {score(ours):.1f}")
    everything = np.arange(len(JOINTS))
    for said, groups in {"the whole person": [everything], "arms, legs": [ARMS, LEGS], "each pair": PAIRS}.items():
        best = ours.copy()
        for joints in groups:
            there = np.ix_(gain(ours, truth, labelled, torso, joints) > 0, joints)
            best[there] = ours[:, OTHER][there]
        print(f"{f'sides that suit the label, {said}':40} {score(best):.1f}")
    clearly = gain(ours, truth, labelled, torso, everything) > CLEARLY
    print(f"clearly the other way round than the label: {clearly.sum()} people")
    if theirs is not None:
        other = chosen(theirs, keys)
        agrees = gain(ours, other, np.ones_like(labelled), torso, everything) <= 0
        print(f"of them the other system sees {(agrees & clearly).sum()} as the model does, and not as the label")
        mended = np.where((agrees & clearly)[:, None, None], ours[:, OTHER], ours)
        print(f"{'if those labels changed sides':40} {score(mended):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--predictions", type=Path)
    args = parser.parse_args()
    main(
        open_index(PROTOCOL.dataset, args.root, PROTOCOL.split),
        read_predictions(args.predictions) if args.predictions else None,
    )
