"""What the depth range of the integral head costs: a crop's width around the pelvis, as published (Sun et al. 2018).

    python benchmarks/depth_range.py

For each synthetic test split: the share of joints that lie beyond it, the share of people with such a joint, and what a
perfect network would lose in mm, as a mean over all joints. Crops without augmentation and with the default one. Takes
seconds on one core; no model is needed, and no image is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from headstart.augment import AugmentConfig
from headstart.index import AnnotationIndex, open_index
from headstart.loader import CropDataset
from headstart.sampling import Draw
from headstart.skeleton import BODY_18

PEOPLE, SIDE, BINS = 400, 256, 64


def costs(index: AnnotationIndex, augment: AugmentConfig | None) -> tuple[float, float, float]:
    """Share of the joints beyond the range, share of people with one, and mean error of a perfect network in mm."""
    crops = CropDataset([index], BODY_18, (SIDE, SIDE), augment)
    crops._image = lambda *_: np.zeros((SIDE, SIDE, 3), np.uint8)  # type: ignore[method-assign]
    samples = [crops[Draw(0, row, 0, row)] for row in range(min(len(index), PEOPLE))]
    per_mm = np.array([float(one["pixels_per_mm"]) / SIDE for one in samples])[:, None]
    depth = np.abs(np.array([one["xyz"][:, 2] for one in samples])) * per_mm
    labelled = np.array([(one["weight_3d"] > 0) & (one["weight_2d"] > 0) for one in samples])
    # The outermost cells' centres are as far as a soft-argmax reaches.
    lost = np.maximum(depth - (0.5 - 0.5 / BINS), 0) / per_mm
    beyond = labelled & (depth > 0.5)
    return float(beyond[labelled].mean()), float(beyond.any(1).mean()), float(lost[labelled].mean())


def main() -> None:
    """Print a line for each split and kind of crop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/synthetic"), help="folder of the packed test splits")
    given = parser.parse_args()
    for name in ("wild", "studio", "occluded"):
        index = open_index(f"synthetic_{name}", given.root, "test")
        for words, augment in (("plain", None), ("augmented", AugmentConfig())):
            joints, people, error = costs(index, augment)
            print(f"{name:9s} {words:10s} joints {joints:5.1%}  people {people:4.0%}  error {error:4.1f} mm")


if __name__ == "__main__":
    main()
