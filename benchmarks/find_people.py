"""How well are people found in everyday photos?

    python benchmarks/find_people.py ../shared/data/coco-mini [--detector shipped owner/name ...]

looks at all pictures of a folder in COCO's format and prints for each detector: average precision (area under the
curve of precision over recall, a box being right if its intersection over union with a person's is above one half;
Everingham et al. 2010), with a 95 % interval by bootstrap over pictures; in how many of the
pictures whose largest person covers a twentieth of them its best box is that person; how many of the people who cover a
hundredth of their picture it finds, at its own threshold; how many of its boxes there are nobody, and how many of these
are in pictures without people; and the time for a picture. Crowds that are labelled as one box count neither way.

Detectors: ``shipped``, ``unchecked`` (the same without the pose network's opinion), ``whole`` (the whole picture is one
person), or a hub id or folder of transformers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.detect import TransformersDetector
from headstart.person_detector import PersonDetector
from headstart.photos import read_photo
from headstart.records import RGB, Detection, Detector
from headstart.tracking import Box, overlaps

MET, LEAST_SCORE = 0.5, 0.02
LARGE, SMALL = 0.05, 0.01
HEADS = (
    "average precision",
    "the best box is the largest person",
    "people found",
    "wrong boxes",
    "in pictures without people",
    "time",
)


@dataclass(frozen=True)
class Picture:
    """A picture and its people."""

    path: Path
    size: tuple[int, int]
    people: list[Box]
    crowds: list[Box]


def labelled(root: Path) -> list[Picture]:
    """All pictures of a folder in COCO's format."""
    labels = json.loads(next((root / "annotations").glob("*.json")).read_text())
    pictures = []
    for image in labels["images"]:
        own = [one for one in labels["annotations"] if one["image_id"] == image["id"]]
        people, crowds = ([tuple(one["bbox"]) for one in own if one["iscrowd"] == crowd] for crowd in (0, 1))
        path = next(root.rglob(image["file_name"]))
        pictures.append(Picture(path, (image["width"], image["height"]), people, crowds))
    return pictures


@dataclass(frozen=True)
class Matched:
    """What a detector found in one picture."""

    scores: NDArray[np.float64]
    """(N,) of its boxes, without those in crowds."""
    right: NDArray[np.bool_]
    """(N,) whether each is a person, and the best box of that person."""
    person_scores: NDArray[np.float64]
    """(P,) score of the box of each person; 0 where there is none."""


def match(found: list[Detection], picture: Picture) -> Matched:
    """The best boxes first take the person whom they overlap most."""
    free, kept = np.ones(len(picture.people), bool), []
    person_scores = np.zeros(len(picture.people))
    for one in sorted(found, key=lambda one: -one.score):
        overlap = np.where(free, overlaps([one.bbox_xywh], picture.people)[0], 0) if picture.people else np.zeros(1)
        right = bool(overlap.max() > MET)
        if right:
            free[overlap.argmax()], person_scores[overlap.argmax()] = False, one.score
        elif any(_inside(one.bbox_xywh, crowd) > MET for crowd in picture.crowds):
            continue
        kept.append((one.score, right))
    scores, rights = zip(*kept) if kept else ((), ())
    return Matched(np.array(scores, float), np.array(rights, bool), person_scores)


def _inside(box: Box, region: Box) -> float:
    """Which share of ``box`` lies in ``region``."""
    low = np.maximum(box[:2], region[:2])
    high = np.minimum(np.add(box[:2], box[2:]), np.add(region[:2], region[2:]))
    return float(np.clip(high - low, 0, None).prod() / max(box[2] * box[3], 1e-9))


def average_precision(matched: list[Matched]) -> float:
    """Area under precision over recall, precision being the best at this recall or a higher one."""
    scores = np.concatenate([one.scores for one in matched])
    right = np.concatenate([one.right for one in matched])[np.argsort(-scores, kind="stable")]
    people = sum(len(one.person_scores) for one in matched)
    precision = np.cumsum(right) / (np.arange(len(right)) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / people)


def interval(matched: list[Matched]) -> tuple[float, float]:
    """95 % interval of the average precision, by bootstrap over pictures."""
    rng, values = np.random.default_rng(0), []
    for _ in range(2000):
        drawn = [matched[i] for i in rng.integers(0, len(matched), len(matched))]
        if any(len(one.person_scores) for one in drawn):
            values.append(average_precision(drawn))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def whole(image: RGB) -> list[Detection]:
    """The whole picture is one person."""
    return [Detection((0.0, 0.0, float(image.shape[1]), float(image.shape[0])), 1.0)]


def detectors(names: list[str]) -> dict[str, tuple[Detector, Detector]]:
    """Name -> the detector with all that it sees, for the average precision, and as it is used."""
    return {name: (_detector(name, LEAST_SCORE), _detector(name)) for name in names}


def _detector(name: str, threshold: float | None = None) -> Detector:
    """With a threshold that is not the usual one, if it is given."""
    options = {} if threshold is None else {"threshold": threshold}
    known: dict[str, Callable[[], Detector]] = {
        "shipped": lambda: PersonDetector(**options),
        "unchecked": lambda: _unchecked(0.4 if threshold is None else threshold),
        "whole": lambda: whole,
    }
    return known[name]() if name in known else TransformersDetector(name, **options)  # type: ignore[arg-type]


def _unchecked(threshold: float) -> Detector:
    """The proposals of the detector that ships."""
    detector = PersonDetector()
    return lambda image: [one for one in detector.propose(image) if one.score >= threshold]


def describe(name: str, all_seen: Detector, usual: Detector, pictures: list[Picture]) -> str:
    """A row of the table."""
    everything, matched, seconds = [], [], []
    for picture in pictures:
        image = read_photo(picture.path)
        everything.append(match(all_seen(image), picture))
        began = time.perf_counter()
        found = usual(image)
        seconds.append(time.perf_counter() - began)
        matched.append(match(found, picture))
    low, high = interval(everything)
    right = [is_largest(one, picture) for one, picture in zip(matched, pictures) if _has(picture, LARGE)]
    scores = np.concatenate([one.person_scores[_shares(picture) >= SMALL] for one, picture in zip(matched, pictures)])
    wrong = [int((~one.right).sum()) for one in matched]
    empty = [number for number, picture in zip(wrong, pictures) if not picture.people and not picture.crowds]
    cells = (
        f"{100 * average_precision(everything):.1f} ({100 * low:.0f} to {100 * high:.0f})",
        f"{sum(right)} of {len(right)}",
        f"{(scores > 0).sum()} of {len(scores)}",
        f"{sum(wrong)}",
        f"{sum(empty)} in {len(empty)}",
        f"{1000 * np.median(seconds):.0f} ms",
    )
    return f"| {name} | " + " | ".join(cells) + " |"


def is_largest(matched: Matched, picture: Picture) -> bool:
    """Whether the best box is that of the largest person."""
    best = float(matched.person_scores[_shares(picture).argmax()])
    return best > 0 and best >= matched.scores.max()


def _has(picture: Picture, share: float) -> bool:
    return bool((_shares(picture) >= share).any())


def _shares(picture: Picture) -> NDArray[np.float64]:
    """Which share of the picture each person covers."""
    return np.array([w * h for _, _, w, h in picture.people]) / (picture.size[0] * picture.size[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--detector", nargs="+", default=["shipped", "unchecked", "whole"])
    given = parser.parse_args()
    pictures = labelled(given.root)
    print(f"{len(pictures)} pictures, {sum(len(picture.people) for picture in pictures)} people\n")
    print("| | " + " | ".join(HEADS) + " |\n|" + "---|" * (len(HEADS) + 1))
    for name, (all_seen, usual) in detectors(given.detector).items():
        print(describe(name, all_seen, usual, pictures), flush=True)


if __name__ == "__main__":
    main()
