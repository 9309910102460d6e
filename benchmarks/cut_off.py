r"""How good are poses of people whom the image cuts off, as in portraits and at a webcam?

    python benchmarks/cut_off.py ../shared/data/lspet --coco ../shared/data/coco-mini

takes the held-back photographs of LSP-Extended and lets each end within the labelled person: halfway between shoulders
and hips, a tenth of a trunk below the hips, or halfway from the hips to the far side of the person's box; on the side
to which the trunk points. The box is the label's, up to where the photo ends. It prints

* PCK@0.2 (of the torso, protocol lsp_extended_pck12; 95 % interval by bootstrap over people) of the joints left,
* the share of them, and of the joints that are gone, whose confidence is SEEN or higher,
* how many of the people the detector finds (a box that overlaps theirs by more than half).

With ``--coco`` it prints the mean object keypoint similarity (cocodataset.org/#keypoints-eval) of the people in that
folder whom something cuts off or hides (both shoulders are labelled, no knee is) and who cover a fiftieth of the image.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.augment import cut_off
from headstart.evaluate import protocol_rows
from headstart.geometry import Box
from headstart.index import AnnotationIndex, open_index
from headstart.metrics import pck, torso_size
from headstart.person_detector import PersonDetector, box_of_body
from headstart.predict import PoseEstimator
from headstart.protocols import protocol
from headstart.records import RGB, Annotation, Prediction
from headstart.skeleton import CANONICAL
from headstart.tracking import overlaps
from whole_photos import interval

PROTOCOL = protocol("lsp_extended_pck12")
#: Where photos end: so many trunks from the shoulders, and a share of the rest of the way to the end of the box.
ENDS = {"at the chest": (0.5, 0.0), "below the hips": (1.1, 0.0), "at the legs": (1.0, 0.5)}
SEEN = 0.3
#: Least share of the image that a person of COCO covers.
LARGE = 0.02
#: The falloff of each joint of COCO (``sigmas`` of its evaluation).
SIGMAS = {"shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107, "nose": 0.026}


@dataclass(frozen=True)
class Part:
    """What is left of one person."""

    image: RGB
    box: Box
    keypoints: NDArray[np.float64]
    """(12, 2) px of this image."""
    labelled: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    """(12,) whether each joint lies in the image."""
    torso: float


def part_of(index: AnnotationIndex, row: int, trunks: float, beyond: float) -> Part | None:
    """A person after the photo has ended; None without hips, shoulders, or four joints that are left."""
    person, image = index[row], index.rgb_image(row)
    shoulders, hips = (_middle(person, kind) for kind in ("shoulder", "hip"))
    along = hips - shoulders
    if not np.isfinite(along).all():
        return None
    axis = int(np.abs(along).argmax())
    side, box = axis + 2 * int(along[axis] >= 0), np.asarray(person.bbox_xywh, float)
    at = shoulders[axis] + trunks * along[axis]
    at += beyond * (np.concatenate([box[:2], box[:2] + box[2:]])[side] - at)
    frame = np.array([-np.inf, -np.inf, np.inf, np.inf])
    frame[side] = round(at)
    cut = cut_off(person, frame)
    if cut is None:
        return None
    left, top, right, bottom = np.clip(frame, 0, (image.shape[1], image.shape[0]) * 2).astype(int).tolist()
    shift, joints = np.array([left, top]), CANONICAL.indices(PROTOCOL.joints)
    points = person.keypoints[joints] - shift
    inside = ((points >= -0.5) & (points < np.array([right, bottom]) - shift - 0.5)).all(1)
    seen = person.visibility > 0
    x, y, w, h = cut.bbox_xywh.tolist()
    torso = float(torso_size(person.keypoints[None], seen[None], CANONICAL)[0])
    seen_image = np.ascontiguousarray(image[top:bottom, left:right])
    return Part(seen_image, (x - left, y - top, w, h), points, seen[joints], inside, torso)


def _middle(person: Annotation, kind: str) -> NDArray[np.float64]:
    """Middle (2,) px of a pair of joints, NaN unless both are labelled."""
    pair = CANONICAL.indices((f"left_{kind}", f"right_{kind}"))
    return person.keypoints[pair].mean(0) if (person.visibility[pair] > 0).all() else np.full(2, np.nan)


def row_of(name: str, parts: list[Part], estimator: PoseEstimator, detector: PersonDetector) -> str:
    """One line of the table."""
    people = [estimator.estimate([part.image], [[part.box]])[0][0] for part in parts]
    found = np.array([[one.keypoints[joint] for joint in PROTOCOL.joints] for one in people])
    truth, torso = np.array([part.keypoints for part in parts]), np.array([part.torso for part in parts])
    labelled, inside = np.array([part.labelled for part in parts]), np.array([part.inside for part in parts])
    hits = 100 * pck(found[..., :2], truth, labelled & inside, torso)
    sure = found[..., 2] >= SEEN
    boxes = [[one.bbox_xywh for one in detector(part.image)] for part in parts]
    met = [bool((overlaps(some, [box_of_body(part.box)]) > 0.5).any()) for some, part in zip(boxes, parts) if some]
    low, high = interval(hits)
    shares = [100 * sure[labelled & there].mean() for there in (inside, ~inside)]
    return (
        f"{name:18s}{len(parts):6d}{np.nanmean(hits):8.1f} ({low:.1f} to {high:.1f})"
        f"{shares[0]:12.0f} %{shares[1]:10.0f} %{sum(met):10d}"
    )


def cut_off_people(root: Path) -> Iterator[tuple[RGB, Annotation]]:
    """Those of a folder in COCO's format."""
    index = open_index("coco", root, "train2017")
    shoulders, knees = (CANONICAL.indices((f"left_{kind}", f"right_{kind}")) for kind in ("shoulder", "knee"))
    for row in range(len(index)):
        person, image = index[row], index.rgb_image(row)
        seen, box = person.visibility > 0, person.bbox_xywh
        if seen[shoulders].all() and not seen[knees].any() and box[2] * box[3] >= LARGE * image[..., 0].size:
            yield image, person


def similarity(person: Annotation, found: Prediction) -> float:
    """Object keypoint similarity; the area is 0.53 of the box, as in COCO's code where there is no mask."""
    area, values = 0.53 * float(person.bbox_xywh[2] * person.bbox_xywh[3]), []
    for joint, (name, seen) in enumerate(zip(CANONICAL.names, person.visibility > 0)):
        sigma = SIGMAS.get(name.rpartition("_")[2])
        if seen and sigma is not None and name in found.keypoints:
            squared = ((np.array(found.keypoints[name][:2]) - person.keypoints[joint]) ** 2).sum()
            values.append(np.exp(-squared / (2 * area * (2 * sigma) ** 2)))
    return float(np.mean(values))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--coco", type=Path)
    parser.add_argument("--model", help="a checkpoint, a run or an .onnx file; the model that ships if not given")
    parser.add_argument("--limit", type=int, help="so many people of LSP-Extended, evenly spread")
    given = parser.parse_args()
    estimator = PoseEstimator.from_pretrained(given.model, detector=None)
    detector = PersonDetector(pose=estimator.network)
    index = open_index(PROTOCOL.dataset, given.root, PROTOCOL.split)
    rows = protocol_rows(index, PROTOCOL, given.limit).tolist()
    print(f"{'the photo ends':18s}{'n':>6s}{'PCK@0.2':>24s}{'sure, left':>14s}{'gone':>12s}{'found':>10s}")
    for name, (trunks, beyond) in ENDS.items():
        parts = [part for part in (part_of(index, row, trunks, beyond) for row in rows) if part is not None]
        print(row_of(name, parts, estimator, detector), flush=True)
    if given.coco is not None:
        pairs = list(cut_off_people(given.coco))
        boxes = [[np.asarray(person.bbox_xywh, float).tolist()] for _, person in pairs]
        people = estimator.estimate([image for image, _ in pairs], boxes)
        values = np.array([[similarity(person, found[0])] for (_, person), found in zip(pairs, people)])
        low, high = interval(values)
        print(f"COCO: {len(pairs)} people, similarity {values.mean():.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
