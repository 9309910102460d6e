"""The study of this repository: does 2D pre-training pay at equal compute, on data that anyone can make or get?

Main grid: four arms x two 2D sources x two 3D domains x three seeds on one network. Around it, each on one pair of
sources: two other networks, the share of the budget that 2D gets, the amount of 3D data, the budget. (The geometric
stage has a study of its own: here it had only pictures with depth labels, of which its loss says nothing.)

Sized for two CPU cores and some hours: crops of 64 px, 12,000 samples a cell. Its data were made by the first generator
of synthetic people (commit 691b26d), by

    headstart synth wild --split train --count 5000 --out data/synthetic
    headstart synth studio --split train --count 3000 --out data/synthetic
    headstart synth occluded --split train --count 3000 --out data/synthetic
    for domain in wild studio occluded; do headstart synth $domain --split test --count 400 --out data/synthetic; done
    headstart pack lsp_extended --root DIR --split train --out data/lsp_extended --size 192     # and --split val

Its joints were read at each heatmap's highest cell, those of a run today are not (HeatmapCodec.decode; LOG.md,
2026-11-26): cells of the two are not to be mixed.
"""

from headstart.augment import MILD
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser
from headstart.study import ARMS, Grid, Study

_HEAD = HeadConfig("pyramid", channels=64, heatmap="cross_entropy")
_SYNTHETIC = ("synthetic_wild", "synthetic_studio", "synthetic_occluded")
_PAIR, _WILD, _STUDIO = ("3d_alone", "2d_then_3d"), ("synthetic_wild",), ("synthetic_studio",)

STUDY = Study(
    name="pretraining",
    title="2D pre-training for 3D human pose at equal compute",
    question=(
        "The same network, the same 3D data, the same training FLOPs: is the 3D error lower if a part of the compute"
        " goes to pictures with 2D labels, and where does that stop?"
    ),
    models={
        "lite0": ModelConfig("efficientnet_lite0", "pip", _HEAD, input_size=(64, 64), sigma=1.0),
        "nano": ModelConfig("nano", None, _HEAD, input_size=(64, 64), sigma=1.0),
        "resnet18": ModelConfig("resnet18", None, _HEAD, input_size=(64, 64), sigma=1.0),
    },
    samples={"lite0": 12_000, "nano": 36_000, "resnet18": 9_000},
    # At so few steps a high rate and mild augmentation learn most (LOG.md).
    optimiser=Optimiser(learning_rate=3e-3),
    augment=MILD,
    batch_size=16,
    average_decay=0.99,
    curve_points=4,
    grids=(
        Grid(tuple(ARMS), ("lite0",), ("synthetic_wild", "lsp_extended"), ("synthetic_studio", "synthetic_occluded")),
        Grid(_PAIR, ("nano", "resnet18"), _WILD, _STUDIO),
        Grid(("2d_then_3d",), ("lite0",), _WILD, _STUDIO, shares_2d=(0.25, 0.75, 0.9)),
        Grid(_PAIR, ("lite0",), _WILD, _STUDIO, three_d_limits=(200,)),
        Grid(_PAIR, ("lite0",), _WILD, _STUDIO, budgets=(0.25, 4.0)),
    ),
    tests=("synthetic_studio", "synthetic_occluded", "synthetic_wild", "synthetic_wild_pck", "lsp_extended_pck12"),
    roots={**dict.fromkeys(_SYNTHETIC, "data/synthetic"), "lsp_extended": "data/lsp_extended"},
    # The pictures of LSP-Extended may not be passed on, so that no sheet is kept of them.
    sheets=("synthetic_studio", "synthetic_occluded", "synthetic_wild"),
)
