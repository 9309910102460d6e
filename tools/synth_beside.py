"""Real photographs and synthetic pictures side by side, to look at critically.

    python tools/synth_beside.py OUT --real ../shared/data/lspet --domain wild --first 0

Writes beside-DOMAIN.jpg: rows of real photographs (crops around the person, as the generator frames them) and rows of
synthetic pictures take turns, all at 256 px; and zoom-PART.jpg: heads, hands and feet of both, cut out and enlarged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from headstart.augment import sample_crop
from headstart.datasets import iter_annotations
from headstart.images import read_image
from headstart.records import Annotation
from headstart.skeleton import WITH_FEET
from headstart.synth.domains import generate

#: Name -> joint at the middle, side of the cut-out as a share of the picture.
ZOOMS = {"head": "nose", "hand": "left_wrist", "foot": "right_ankle"}
ZOOM_SHARE, SIZE = 0.25, 256

#: A picture (BGR) and its labelled joints.
Example = tuple[np.ndarray, dict[str, np.ndarray]]


def _real(person: Annotation, joints: tuple[str, ...]) -> Example:
    crop = sample_crop(np.random.default_rng(0), person.bbox_xywh, (SIZE, SIZE), None)
    points = crop.to_crop(person.keypoints)
    named = {name: points[row] for row, name in enumerate(joints) if person.visibility[row] > 0}
    if "head_top" in named and "neck" in named:
        named["nose"] = (named["head_top"] + named["neck"]) / 2
    return crop.warp(read_image(person.image)), named


def real_examples(root: Path, count: int, seed: int) -> Iterator[Example]:
    """Crops of LSP-Extended, drawn at random."""
    from headstart.datasets.lsp_extended import SKELETON

    people = list(iter_annotations("lsp_extended", root, "train"))
    for row in np.random.default_rng(seed).choice(len(people), count, replace=False):
        yield _real(people[row], SKELETON.names)


def synthetic_examples(domain: str, count: int, first: int) -> Iterator[Example]:
    """Pictures of a domain, one after the other."""
    for index in range(first, first + count):
        made = generate(domain, "train", 11, index, SIZE)
        yield np.ascontiguousarray(made.image[..., ::-1]), dict(zip(WITH_FEET.names, made.keypoints, strict=True))


def zoomed(example: Example, joint: str) -> np.ndarray:
    """The surroundings of a joint at four times the size; grey where it is unlabelled."""
    picture, named = example
    half = round(SIZE * ZOOM_SHARE / 2)
    if joint not in named:
        return np.full((SIZE, SIZE, 3), 128, np.uint8)
    x, y = np.clip(np.round(named[joint]).astype(int), half, SIZE - half)
    return cv2.resize(picture[y - half : y + half, x - half : x + half], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def in_rows(real: list[np.ndarray], made: list[np.ndarray], columns: int) -> np.ndarray:
    """A row of real ones above each row of synthetic ones."""
    rows = []
    for start in range(0, len(real), columns):
        rows += [cv2.hconcat(part[start : start + columns]) for part in (real, made)]
    return cv2.vconcat(rows)


def main() -> None:
    """Parse, make, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--domain", default="wild")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rows", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    count = given.columns * given.rows
    real = list(real_examples(given.real, count, given.first))
    made = list(synthetic_examples(given.domain, count, given.first))
    pages = {f"beside-{given.domain}": ([e[0] for e in real], [e[0] for e in made])}
    for part, joint in ZOOMS.items():
        pages[f"zoom-{given.domain}-{part}"] = ([zoomed(e, joint) for e in real], [zoomed(e, joint) for e in made])
    for name, (left, right) in pages.items():
        sheet = in_rows(left, right, given.columns)
        cv2.imwrite(str(given.out / f"{name}.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
