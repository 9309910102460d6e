"""How good are the labels that the model is scored against? A second reader's joints beside them.

    python benchmarks/second_reader.py draw ../shared/data/lspet OUT     # crops with a grid, without labels, to read
    python benchmarks/second_reader.py compare ../shared/data/lspet      # labels, reader and model against each other

``second_reader.json`` holds what one reader, a language model, saw on people drawn at random from the held-back
photographs: the twelve joints from shoulders to ankles, in percent of the crop (the box with a quarter around it),
guessed where hidden.
``draw`` takes the people who come next. ``compare`` prints, for the joints that are labelled, which share of one's
joints lie within 0.2, 0.3 and 0.5 torsos (left shoulder to right hip, by the label) of the other's, with a 95 %
interval by bootstrap over people. Where the reader and the model agree more than either does with the label, it is the
label that is wrong.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.checkpoint import find_checkpoint, shipped_weights
from headstart.draw import sheet
from headstart.geometry import Crop
from headstart.index import AnnotationIndex, open_index
from headstart.inspection import write_picture
from headstart.metrics import distances_2d, torso_size
from headstart.scoring import predict_people
from headstart.skeleton import CANONICAL, mirrored_name

READ = Path(__file__).with_suffix(".json")
JOINTS = tuple(
    f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("right", "left")
)
SIDE, THRESHOLDS = 540, (0.2, 0.3, 0.5)
Points = NDArray[np.float64]


def read() -> dict[str, Points]:
    """Key -> (12, 2) percent of the crop."""
    return {key: np.array(points).reshape(-1, 2) for key, points in json.loads(READ.read_text())["people"].items()}


def with_torso(index: AnnotationIndex) -> NDArray[np.int64]:
    """Rows of everybody who has a torso to measure by."""
    torso = torso_size(index.column("keypoints"), index.column("visibility") > 0, CANONICAL)
    return np.flatnonzero(np.isfinite(torso))


def drawn_at_random(index: AnnotationIndex) -> list[int]:
    """Rows of everybody who has a torso, shuffled: the same for everyone who reads."""
    return [int(row) for row in np.random.default_rng(2026).permutation(with_torso(index))]


def draw(index: AnnotationIndex, out: Path, count: int) -> None:
    """Four people a sheet, with lines at every tenth of the crop."""
    known = read()
    rows = [row for row in drawn_at_random(index) if index[row].key not in known][:count]
    for number, start in enumerate(range(0, len(rows), 4)):
        pictures = [with_grid(index, row) for row in rows[start : start + 4]]
        titles = [index[row].key for row in rows[start : start + 4]]
        write_picture(str(out / f"read-{number:02d}.png"), sheet(pictures, columns=2, titles=titles))


def with_grid(index: AnnotationIndex, row: int) -> NDArray[np.uint8]:
    """The person's crop, RGB, and percents along its edges."""
    image = crop_of(index, row).warp(index.rgb_image(row))
    lines = image.copy()
    for percent in range(10, 100, 10):
        at = percent * SIDE // 100
        cv2.line(lines, (at, 0), (at, SIDE), (255, 255, 255))
        cv2.line(lines, (0, at), (SIDE, at), (255, 255, 255))
    image = cv2.addWeighted(lines, 0.35, image, 0.65, 0)  # type: ignore[assignment]
    for percent in range(10, 100, 10):
        at = percent * SIDE // 100
        for place in ((at - 8, 10), (1, at + 4)):
            for colour, width in (((0, 0, 0), 3), ((255, 255, 0), 1)):
                cv2.putText(image, str(percent), place, cv2.FONT_HERSHEY_SIMPLEX, 0.35, colour, width, cv2.LINE_AA)
    return image


def crop_of(index: AnnotationIndex, row: int) -> Crop:
    """The crop of ``second_reader.json``."""
    return Crop.from_box(index[row].bbox_xywh, (SIDE, SIDE))


def agreement(one: Points, other: Points, torso: Points, counts: NDArray[np.bool_]) -> str:
    """Share of joints within each threshold, in percent, with its interval."""
    distances, rng, parts = distances_2d(one, other, counts, torso), np.random.default_rng(0), []
    for threshold in THRESHOLDS:
        hits, labelled = ((distances <= threshold) & counts).sum(1), counts.sum(1)
        people = rng.integers(0, len(hits), (4000, len(hits)))
        low, high = np.percentile(100 * hits[people].sum(1) / labelled[people].sum(1), [2.5, 97.5])
        parts.append(f"{100 * hits.sum() / labelled.sum():6.1f} ({low:2.0f} to {high:2.0f})")
    other_side = [JOINTS.index(mirrored_name(joint)) for joint in JOINTS]
    better = np.fmin(distances, distances_2d(one[:, other_side], other, counts, torso))
    return "  ".join([*parts, f"{100 * (better[counts] <= THRESHOLDS[0]).mean():6.1f}"])


def compare(index: AnnotationIndex, model: Path) -> None:
    """Print the table."""
    known = read()
    rows = np.array([row for row in range(len(index)) if index[row].key in known])
    columns = CANONICAL.indices(JOINTS)
    keypoints, labelled = index.column("keypoints")[rows].astype(np.float64), index.column("visibility")[rows] > 0
    torso, counts = torso_size(keypoints, labelled, CANONICAL), labelled[:, columns]
    reader = np.stack([crop_of(index, row).to_image(known[index[row].key] / 100 * SIDE) for row in rows])
    found = predict_people(find_checkpoint(model), index, rows, "predicting", workers=0)
    predicted = found.keypoints[:, [found.joints.index(joint) for joint in JOINTS]].astype(np.float64)
    heads = "  ".join(f"{f'within {threshold:g}':>17s}" for threshold in THRESHOLDS)
    print(f"{len(rows)} people, {counts.sum()} joints\n{'':18s}{heads}  better side, within 0.2")
    for name, one, other in (
        ("reader and label", reader, keypoints[:, columns]),
        ("model and label", predicted, keypoints[:, columns]),
        ("model and reader", predicted, reader),
    ):
        print(f"{name:18s}{agreement(one, other, torso, counts)}")


def main() -> None:
    """``draw`` or ``compare``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "compare"))
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("to_read"))
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--model", type=Path, default=shipped_weights())
    given = parser.parse_args()
    index = open_index("lsp_extended", given.root, "val")
    draw(index, given.out, given.count) if given.what == "draw" else compare(index, given.model)


if __name__ == "__main__":
    main()
