"""How far are synthetic people from photographs? Train on one, score on the other, one row a variant.

    python benchmarks/synth_gap.py wild --real ../shared/data/lspet --out runs/gap

makes the variant's pictures (kept below OUT/data), trains a small network on them, scores it on the 1,000 held-back
photographs of LSP-Extended and prints a row of PCK@0.2, whole and by joint; ``table`` prints the rows that OUT has.
Variants differ in one thing from ``wild``. The scale is that of one CPU core in ten minutes: rows are to be compared
with each other, not with what a long training reaches.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.augment import MILD, AugmentConfig
from headstart.budget import Budget
from headstart.experiment import Experiment
from headstart.files import write_json
from headstart.loader import Data
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser
from headstart.recipes import build
from headstart.results import RunResult, Scores
from headstart.sources import Sources
from headstart.train import run

PROTOCOL, PIXELS = "lsp_extended_pck12", 64
#: Joints by pairs, as columns of the table.
COLUMNS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
#: Mild where people are, strong where pixels are: the network must not learn what the renderer looks like.
AUGMENT = replace(MILD, brightness=0.3, contrast=0.4, colour=0.3)


@dataclass(frozen=True)
class Variant:
    """What one row is trained on."""

    domains: tuple[str, ...] = ("wild",)
    """Shares of the draws are equal; none: real photographs."""
    augment: AugmentConfig = field(default_factory=lambda: AUGMENT)
    limit: int | None = None
    """Of the real photographs."""
    folder: Path | None = None
    """Pictures that are there already, instead of new ones."""


VARIANTS = {
    "wild": Variant(),
    "wild, weak colours": Variant(augment=replace(AUGMENT, brightness=0.15, contrast=0.2, colour=0.15)),
    "wild, colours as they are": Variant(augment=replace(AUGMENT, brightness=0.0, contrast=0.0, colour=0.0)),
    "wild, no pasted occluders": Variant(augment=replace(AUGMENT, occluder_probability=0.0)),
    "wild and occluded": Variant(("wild", "occluded")),
    "photographs": Variant(()),
    "photographs, as many as pictures": Variant((), limit=-1),
}


def make_pictures(domain: str, count: int, out: Path, workers: int) -> Path:
    """Folder that holds ``count`` pictures of the training split of a domain; made if they are not there."""
    from headstart.synthesize import SynthConfig, synthesize

    root = out / "data" / f"{domain}-{count}"
    synthesize(SynthConfig(domain, "train", count), root, workers=workers)
    return root


def pack_photographs(real: Path, out: Path) -> Path:
    """Folder that holds the training photographs, packed; made if they are not there."""
    from headstart.index import open_index
    from headstart.pack import PackConfig, pack

    folder = out / "data" / "lsp_extended" / "lsp_extended-train"
    source = {"dataset": "lsp_extended", "split": "train"}
    pack(open_index("lsp_extended", real, "train"), folder, PackConfig(size=160), source=source)
    return folder.parent


def training_data(variant: Variant, given: argparse.Namespace) -> tuple[Data, ...]:
    """What the variant draws from, made where it is missing; everything counts as 2D only."""
    if not variant.domains:
        limit = given.pictures if variant.limit is not None else None
        root = variant.folder or pack_photographs(given.real, given.out)
        return (Data("lsp_extended", str(root), "train", use_3d=False, limit=limit),)
    share = given.pictures // len(variant.domains)
    return tuple(
        Data(
            f"synthetic_{domain}",
            str(variant.folder or make_pictures(domain, share, given.out, given.workers)),
            "train",
            use_3d=False,
            limit=share if variant.folder else None,
        )
        for domain in variant.domains
    )


def experiment(variant: Variant, given: argparse.Namespace) -> Experiment:
    """``pretrain_2d`` made small: EfficientNet-Lite0 from ImageNet, 64 px, thin head, a high rate."""
    base = build("pretrain_2d", Sources(two_d=("lsp_extended",), roots={"lsp_extended": str(given.real)}))
    head = HeadConfig("pyramid", channels=64, heatmap="cross_entropy")
    model = ModelConfig("efficientnet_lite0", "pip", head, input_size=(PIXELS, PIXELS), sigma=1.0)
    budget, optimiser = Budget(samples=given.samples), Optimiser(learning_rate=3e-3)
    stage = replace(base.stages[0], data=training_data(variant, given), budget=budget, optimiser=optimiser)
    return replace(
        base,
        model=model,
        stages=(stage,),
        validation=(replace(base.validation[0], protocol=PROTOCOL, root=str(given.real)),),
        augment=variant.augment,
        # Many small steps learn more from few samples.
        batch_size=16,
        # An average over a thousand steps would hardly have begun.
        average_decay=0.99,
        seed=given.seed,
        workers=1,
        validate_samples=10 * given.samples,
        tracker="none",
    )


def row(name: str, result: RunResult) -> str:
    """One line of the table: PCK@0.2 of the 12 joints, and of each pair of joints."""
    scores: Scores = result.scores[0]
    pairs = (sum(scores.per_joint[f"{side}_{joint}"] for side in ("left", "right")) / 2 for joint in COLUMNS)
    return f"| {name} | {scores.value:.1f} | " + " | ".join(f"{value:.1f}" for value in pairs) + " |"


def print_table(folder: Path) -> None:
    """All rows that were measured."""
    print(f"| trained on | PCK@0.2 | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 2)}")
    for path in sorted(folder.glob("*/row.json")):
        print(json.loads(path.read_text())["row"])


def main() -> None:
    """Make, train, score, print."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=(*VARIANTS, "table"))
    parser.add_argument("--real", type=Path, help="folder of LSP-Extended")
    parser.add_argument("--out", type=Path, default=Path("runs/gap"))
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that make pictures")
    parser.add_argument("--data", type=Path, help="folder of a pack made before, of which --pictures are used")
    parser.add_argument("--name", help="name of the row, if it is not the variant's")
    given = parser.parse_args()
    if given.variant == "table":
        print_table(given.out)
        return
    torch.set_num_threads(1)
    name = given.name or given.variant
    folder = given.out / name.replace(" ", "_").replace(",", "")
    result = run(experiment(replace(VARIANTS[given.variant], folder=given.data), given), folder, resume=True)
    line = row(name, result)
    about = {
        "row": line,
        "pictures": given.pictures if VARIANTS[given.variant].domains or VARIANTS[given.variant].limit else "all",
        "samples": given.samples,
        "seed": given.seed,
    }
    write_json(folder / "row.json", about)
    print(line)


if __name__ == "__main__":
    main()
