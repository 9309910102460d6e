"""How well does the pose network find people by itself (headstart.pose_search)?

    python benchmarks/find_people.py ../shared/data/coco-mini

looks at the pictures of a folder in COCO's format whose largest person covers a twentieth of the picture or more, and
prints how often that person's box is met (intersection over union above one half) by the best box that is found and by
the whole picture, and how many of the boxes above each threshold are a person at all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headstart.networks import load_network
from headstart.photos import read_photo
from headstart.pose_search import PoseSearch
from headstart.records import Detection
from headstart.tracking import Box, overlaps

LEAST_SHARE, MET = 0.05, 0.5
THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7)


def labelled(root: Path) -> Iterator[tuple[Path, tuple[int, int], list[Box]]]:
    """Each picture, its width and height in px, and the boxes of its people, the largest first."""
    labels = json.loads(next((root / "annotations").glob("*.json")).read_text())
    for image in labels["images"]:
        boxes = [tuple(one["bbox"]) for one in labels["annotations"] if one["image_id"] == image["id"]]
        boxes.sort(key=lambda box: -box[2] * box[3])
        yield next(root.rglob(image["file_name"])), (image["width"], image["height"]), boxes


def pictures(root: Path) -> Iterator[tuple[Path, list[Box]]]:
    """Those with a large person."""
    for path, (width, height), boxes in labelled(root):
        if boxes and boxes[0][2] * boxes[0][3] >= LEAST_SHARE * width * height:
            yield path, boxes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", help="a checkpoint, a run or an .onnx file; the model that ships if not given")
    given = parser.parse_args()
    search = PoseSearch(load_network(given.model), threshold=0.0)
    whole, seconds, found = [], [], []
    for path, boxes in pictures(given.root):
        image = read_photo(path)
        began = time.perf_counter()
        found.append((search(image), boxes))
        seconds.append(time.perf_counter() - began)
        whole.append(overlaps([(0.0, 0.0, float(image.shape[1]), float(image.shape[0]))], boxes[:1])[0, 0] > MET)
    share = f"the whole picture is the person in {np.mean(whole):.0%}"
    print(f"{len(found)} pictures, {np.median(seconds):.1f} s each; {share}")
    print("threshold   best box is the largest person   is a person   pictures with none   boxes that are people")
    for threshold in THRESHOLDS:
        print_row(threshold, [([one for one in people if one.score >= threshold], boxes) for people, boxes in found])


def print_row(threshold: float, found: list[tuple[list[Detection], list[Box]]]) -> None:
    """One threshold's figures; shares of all pictures, and of all boxes that are found."""
    best = [overlaps([people[0].bbox_xywh], boxes)[0] > MET for people, boxes in found if people]
    real = [overlaps([one.bbox_xywh], boxes).max() > MET for people, boxes in found for one in people]
    largest, anyone = sum(one[0] for one in best), sum(one.any() for one in best)
    print(
        f"{threshold:9.2f}   {largest / len(found):30.0%}   {anyone / len(found):11.0%}"
        f"   {1 - len(best) / len(found):18.0%}   {sum(real):4d} of {len(real)}"
    )


if __name__ == "__main__":
    main()
