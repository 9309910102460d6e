r"""What does it gain to look again where the joints lie (headstart.closing_in)?

    python benchmarks/closing_in.py --data synthetic_wild test data/synthetic \
        --data lsp_extended val ../shared/data/lspet --data coco train2017 ../shared/data/coco-mini

takes the largest person of each picture, if it covers a twentieth of it or more, and prints PCK@0.2 of the limbs'
twelve joints (0.2 of the torso from left shoulder to right hip; no flip test) after each look, for three boxes to
begin with: the label's own, one twice as large around it, and the whole picture. Pictures are evenly spread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.closing_in import close_in
from headstart.geometry import Crop
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import pck, torso_size
from headstart.networks import load_network
from headstart.protocols import protocol
from headstart.records import Annotation, PoseNetwork
from headstart.sampling import evenly_spread
from headstart.skeleton import CANONICAL, Skeleton
from headstart.tracking import Box

LEAST_SHARE, MOST_LOOKS = 0.05, 3
LIMBS = protocol("lsp_extended_pck12").joints


def largest_people(index: AnnotationIndex, count: int) -> list[int]:
    """Rows of the people who are scored: at most ``count``, one a picture."""
    largest: dict[str, tuple[float, int]] = {}
    for row, (picture, box) in enumerate(zip(index.column("image").tolist(), index.column("bbox").reshape(-1, 4))):
        largest[picture] = max(largest.get(picture, (0.0, 0)), (float(box[2] * box[3]), row))
    rows = [row for _, row in largest.values() if has_torso(index[row])]
    return [rows[i] for i in evenly_spread(len(rows), count)]


def has_torso(person: Annotation) -> bool:
    """Whether the label has what a PCK is measured in."""
    return bool((person.visibility[CANONICAL.indices(("left_shoulder", "right_hip"))] > 0).all())


def joints_in(network: PoseNetwork, image: NDArray[np.uint8], box: Box) -> NDArray[np.float64]:
    """The limbs' joints (12, 2), picture px, as the network sees them in one box."""
    crop = Crop.from_box(np.array(box), network.input_size)
    seen = network(crop.warp(image)[None])
    return crop.to_image(seen.keypoints[0])[network.skeleton.indices(LIMBS)]


def beginnings(person: Annotation, width: int, height: int) -> dict[str, Box]:
    """The boxes x, y, w, h px that are tried."""
    x, y, w, h = np.asarray(person.bbox_xywh, float).tolist()
    return {
        "its box": (x, y, w, h),
        "twice its box": (x - w / 2, y - h / 2, 2 * w, 2 * h),
        "the whole picture": (0.0, 0.0, float(width), float(height)),
    }


def poses_of(network: PoseNetwork, person: Annotation, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """For each beginning the joints (MOST_LOOKS + 1, 12, 2), picture px, after so many looks."""
    height, width = image.shape[:2]
    poses = {}
    for name, box in beginnings(person, width, height).items():
        closer = [close_in(network, image, box, looks) for looks in range(MOST_LOOKS + 1)]
        poses[name] = np.array([joints_in(network, image, one) for one in closer])
    return poses


def measure(network: PoseNetwork, index: AnnotationIndex, count: int) -> None:
    """Print one data set's table."""
    people, poses, joints = [], [], CANONICAL.indices(LIMBS)
    for row in largest_people(index, count):
        person, image = index[row], index.rgb_image(row)
        if person.bbox_xywh[2] * person.bbox_xywh[3] >= LEAST_SHARE * image.shape[0] * image.shape[1]:
            people.append(person)
            poses.append(poses_of(network, person, image))
    truth = np.array([person.keypoints[joints] for person in people], float)
    labelled = np.array([person.visibility[joints] > 0 for person in people])
    torso = torso_size(truth, labelled, Skeleton("limbs", LIMBS))
    print(f"{len(people)} people; looks again: " + "".join(f"{looks:7d}" for looks in range(MOST_LOOKS + 1)))
    for name in poses[0]:
        found = np.array([pose[name] for pose in poses])
        scores = [100 * np.nanmean(pck(found[:, n], truth, labelled, torso)) for n in range(MOST_LOOKS + 1)]
        print(f"{name:22s}" + "".join(f"{score:7.1f}" for score in scores))


def main() -> None:
    """One table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs=3, action="append", required=True, metavar=("DATASET", "SPLIT", "ROOT"))
    parser.add_argument("--model", help="a checkpoint, a run or an .onnx file; the model that ships if not given")
    parser.add_argument("--count", type=int, default=150, help="pictures of each data set")
    given = parser.parse_args()
    network = load_network(given.model)
    for dataset, split, root in given.data:
        print(f"{dataset}, {split}: ", end="", flush=True)
        measure(network, open_index(dataset, Path(root), split), given.count)


if __name__ == "__main__":
    main()
