"""How good are poses if nobody says where the person is?

    python benchmarks/whole_photos.py ../shared/data/lspet

takes the held-back photographs of LSP-Extended and prints PCK@0.2 (protocol lsp_extended_pck12) of the labelled person,
with a 95 % interval by bootstrap over people, for the label's own box, for the boxes that the detector finds (of its
people the one whose box overlaps the label's most; a person whom it does not find counts as missed), with the crop cut
around the box as it is and around where the joints are in it, and for the whole photo taken as one person.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.evaluate import protocol_rows
from headstart.geometry import Box
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import pck, torso_size
from headstart.person_detector import PersonDetector, box_of_body, box_of_joints_in
from headstart.predict import PoseEstimator
from headstart.protocols import protocol
from headstart.records import RGB, Prediction
from headstart.skeleton import CANONICAL
from headstart.tracking import overlaps

PROTOCOL = protocol("lsp_extended_pck12")
#: The least overlap of a box with the label's for it to be that person's.
MET = 0.3


def boxes_to_try(detector: PersonDetector, image: RGB, label: Box) -> dict[str, Box | None]:
    """Name -> box x, y, w, h px; None where the person is not found."""
    found = [one.bbox_xywh for one in detector(image)]
    overlap = overlaps(found, [box_of_body(label)])[:, 0] if found else np.zeros(1)
    best = found[int(overlap.argmax())] if overlap.max() > MET else None
    return {
        "the label's box": label,
        "the detector's box": best,
        "the detector's box, less its room around the joints": best and box_of_joints_in(best),
    }


def limbs(people: list[Prediction]) -> NDArray[np.float64]:
    """The joints (12, 2) of the first person, px; far away if there is none."""
    if not people:
        return np.full((len(PROTOCOL.joints), 2), -1e6)
    return np.array([people[0].keypoints[name][:2] for name in PROTOCOL.joints], float)


def measure(
    index: AnnotationIndex, rows: NDArray[np.int64], say: Callable[[int], None]
) -> dict[str, NDArray[np.float64]]:
    """Name -> joints (people, 12, 2), px."""
    estimator = PoseEstimator.from_pretrained(detector=None)
    detector = PersonDetector(pose=estimator.network)
    poses: dict[str, list[NDArray[np.float64]]] = {}
    for number, row in enumerate(rows.tolist()):
        image, label = index.rgb_image(row), tuple(np.asarray(index[row].bbox_xywh, float).tolist())
        for name, box in boxes_to_try(detector, image, label).items():
            people = estimator.estimate([image], [[box]])[0] if box else []
            poses.setdefault(name, []).append(limbs(people))
        poses.setdefault("the whole photo", []).append(limbs(estimator.estimate([image])[0]))
        say(number)
    return {name: np.array(points) for name, points in poses.items()}


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean of (people, joints), by bootstrap over people."""
    rng = np.random.default_rng(0)
    means = [np.nanmean(values[rng.integers(0, len(values), len(values))]) for _ in range(2000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--limit", type=int, help="so many people, evenly spread")
    given = parser.parse_args()
    index = open_index(PROTOCOL.dataset, given.root, PROTOCOL.split)
    rows = protocol_rows(index, PROTOCOL, given.limit)
    joints = CANONICAL.indices(PROTOCOL.joints)
    keypoints, seen = index.column("keypoints")[rows].astype(float), index.column("visibility")[rows] > 0
    truth, labelled, torso = keypoints[:, joints], seen[:, joints], torso_size(keypoints, seen, CANONICAL)
    print(f"{len(rows)} people")
    for name, points in measure(index, rows, lambda number: None).items():
        hits = 100 * pck(points, truth, labelled, torso)
        low, high = interval(hits)
        missed = int((points[:, 0, 0] < -1e5).sum())
        print(f"{name:55s}{np.nanmean(hits):6.1f} ({low:.1f} to {high:.1f}), {missed} not found", flush=True)


if __name__ == "__main__":
    main()
