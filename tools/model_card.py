"""The figures and pictures of the model card, by one command.

    python tools/model_card.py [--model src/headstart/weights/ship.safetensors] [--real ../shared/data/lspet]
                               [--synthetic data/synthetic] [--coco ../shared/data/coco-mini] [--out docs/model-card]

Scores the model on the held-back photographs of LSP-Extended and on the test splits of the synthetic domains, writes
OUT/figures.json and OUT/figures.md, pictures of predictions beside labels for the synthetic domains, and results on two
photographs of COCO whose licence allows it (CC BY 2.0).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from headstart.draw_people import result_picture
from headstart.geometry import root_relative
from headstart.index import open_index
from headstart.photos import read_photo
from headstart.predict import PoseEstimator
from headstart.protocols import protocol
from headstart.results import Scores
from headstart.scoring import evaluate_checkpoint
from headstart.skeleton import CANONICAL

REAL = "lsp_extended_pck12"
#: Photographs of COCO under CC BY 2.0, never trained on: one that goes well, one at a table that does not.
PHOTOGRAPHS = {"leaning": 234748, "table": 790}
QUALITY = 88
#: Of multi-scale testing.
SCALES = (0.9, 1.0, 1.15)
SYNTHETIC = ("synthetic_wild", "synthetic_studio", "synthetic_occluded")


def table(scores: list[Scores]) -> list[str]:
    """Lines of Markdown: one row a test; 3D in mm, 2D in percent."""
    rows = ["| test | n | figure | beside it | joints visible / occluded |", "|---|---|---|---|---|"]
    for one in scores:
        others = ", ".join(f"{name.rpartition('_')[0]} {value:.1f}" for name, value in one.others.items())
        apart = " / ".join(f"{one.strata[name]:.1f}" for name in ("visible", "occluded") if name in one.strata)
        rows.append(f"| `{one.protocol}` | {one.n:,} | {one.metric} {one.value:.1f} {one.unit} | {others} | {apart} |")
    return rows


def mean_pose_mm(name: str, root: Path) -> float:
    """MPJPE in mm of the mean pose of a test's own people, relative to the pelvis, as the answer for each of them."""
    wanted = protocol(name)
    index = open_index(wanted.dataset, root, wanted.split)
    poses = np.stack([one.camera_xyz for one in index if one.camera_xyz is not None])
    relative = root_relative(poses[:, CANONICAL.indices(wanted.joints)], wanted.joints.index("pelvis"))
    return float(np.linalg.norm(relative - relative.mean(0), axis=-1).mean())


def per_joint(one: Scores) -> str:
    """One line."""
    return f"* `{one.protocol}`: " + ", ".join(f"{joint} {value:.0f}" for joint, value in one.per_joint.items())


def photographs(model: Path, coco: Path, out: Path) -> None:
    """OUT/NAME.jpg: the result for the labelled people of each photograph, in the boxes of their labels."""
    labels = json.loads((coco / "annotations" / "person_keypoints_train2017.json").read_text())["annotations"]
    estimator = PoseEstimator.from_pretrained(model)
    for name, number in PHOTOGRAPHS.items():
        image = read_photo(coco / "train2017" / f"{number:012d}.jpg")
        boxes = [one["bbox"] for one in labels if one["image_id"] == number and one["num_keypoints"]]
        picture = result_picture(image, estimator.estimate([image], boxes=[boxes])[0])
        cv2.imwrite(str(out / f"{name}.jpg"), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("src/headstart/weights/ship.safetensors"))
    parser.add_argument("--real", type=Path, default=Path("../shared/data/lspet"))
    parser.add_argument("--synthetic", type=Path, default=Path("data/synthetic"))
    parser.add_argument("--coco", type=Path, default=Path("../shared/data/coco-mini"))
    parser.add_argument("--out", type=Path, default=Path("docs/model-card"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.coco.is_dir():
        photographs(given.model, given.coco, given.out)
    roots = ({REAL: given.real} if given.real.is_dir() else {}) | dict.fromkeys(SYNTHETIC, given.synthetic)
    # The pictures of LSP-Extended may not be passed on: its predictions stay out of the card.
    pictures = {name: given.out / f"{name}.jpg" for name in SYNTHETIC}
    scores = [
        evaluate_checkpoint(given.model, name, root, picture_path=pictures.get(name)) for name, root in roots.items()
    ]
    scaled = [evaluate_checkpoint(given.model, name, root, scales=SCALES) for name, root in roots.items()]
    blind = [f"`{name}` {mean_pose_mm(name, given.synthetic):.0f}" for name in SYNTHETIC]
    at = f"At scales {', '.join(f'{scale:g}' for scale in SCALES)}:"
    parts = [*table(scores), "", "Per joint:", "", *map(per_joint, scores), "", at, "", *table(scaled), ""]
    text = "\n".join(
        [*parts, f"The mean pose of each test as the answer for all its people, mm: {', '.join(blind)}.\n"]
    )
    (given.out / "figures.json").write_text(json.dumps([one.to_dict() for one in scores], indent=1))
    (given.out / "figures.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
