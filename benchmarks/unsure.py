"""What does a score say where no detector gave one: is anybody there (headstart.confidence.UNSURE)?

    python benchmarks/unsure.py ../shared/data/coco-mini

takes the pictures of a folder in COCO's format and estimates poses, without a detector, at three kinds of places: the
box of the largest person, if it covers a twentieth of the picture or more; the whole of such a picture; and a square
that meets no labelled person (three to seven tenths of the picture's shorter side, at random), cut out as a picture of
its own. It prints how many of each there are, and the share of them whose score is below each threshold.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from find_people import labelled
from headstart.photos import RGB, read_photo
from headstart.predict import PoseEstimator
from headstart.tracking import Box, overlaps

THRESHOLDS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
LEAST_SHARE = 0.05
#: Squares that are tried in each picture before it is left out.
TRIES = 200


def empty_squares(root: Path) -> Iterator[RGB]:
    """At most one of each picture."""
    rng = np.random.default_rng(0)
    for picture in labelled(root):
        width, height = picture.size
        for _ in range(TRIES):
            side = int(rng.uniform(0.3, 0.7) * min(width, height))
            x, y = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
            if not overlaps([(x, y, side, side)], [*picture.people, *picture.crowds]).any():
                yield np.ascontiguousarray(read_photo(picture.path)[y : y + side, x : x + side])
                break


def large_people(root: Path) -> Iterator[tuple[RGB, Box]]:
    """Each picture whose largest person covers LEAST_SHARE of it, and that person's box."""
    for picture in labelled(root):
        largest = max(picture.people, key=lambda box: box[2] * box[3], default=(0.0, 0.0, 0.0, 0.0))
        if largest[2] * largest[3] >= LEAST_SHARE * picture.size[0] * picture.size[1]:
            yield read_photo(picture.path), largest


def scores(root: Path, estimator: PoseEstimator) -> dict[str, NDArray[np.float64]]:
    """Kind of place -> the scores there."""
    large = list(large_people(root))
    found = {
        "a large person's box": [estimator.estimate([image], [[box]])[0][0].score for image, box in large],
        "the whole picture": [estimator.estimate([image])[0][0].score for image, _ in large],
        "nobody": [estimator.estimate([image])[0][0].score for image in empty_squares(root)],
    }
    return {kind: np.array(values) for kind, values in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", help="a checkpoint, a run or an .onnx file; the model that ships if not given")
    given = parser.parse_args()
    print(f"{'score below':22s}{'n':>6s}" + "".join(f"{threshold:7.2f}" for threshold in THRESHOLDS))
    for kind, values in scores(given.root, PoseEstimator.from_pretrained(given.model, detector=None)).items():
        print(f"{kind:22s}{len(values):6d}" + "".join(f"{(values < one).mean():7.0%}" for one in THRESHOLDS))


if __name__ == "__main__":
    main()
