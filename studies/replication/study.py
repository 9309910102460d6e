"""The main question of ``pretraining`` again, with what that study lacked: more seeds, and more compute.

``pretraining`` had three seeds a cell, 12,000 samples and the first synthetic people. Its intervals on the domain of
the 3D labels were 50 to 100 mm wide, and it chose no test before it ran. Here are six new seeds, twice the compute,
real photographs as the 2D data, today's synthetic people and decoding, and Welch's test, chosen before the first cell:
arms share a seed's first weights but not the order of its samples, so that pairs hardly correlate (CONTRIBUTING.md).

The second grid came later (28 November 2026), before any of its cells was run: is equal compute fair to 3D alone? It
may learn 3,000 images by heart, and be better with fewer steps, above all off its domain. A reviewer's run with a
quarter of the samples and seed 4 said so (``occluded`` 404.6 mm for 477.0, ``wild`` 528.1 for 564.5, ``studio`` 247.4
for 263.2). Every arm with a quarter and half of the budget, each with its schedule run to the end: does 2D first beat
3D alone at the best of its three budgets?

Data, for two CPU cores and an hour:

    headstart synth studio --split train --count 3000 --out data/synthetic
    for domain in wild studio occluded; do headstart synth $domain --split test --count 400 --out data/synthetic; done
    headstart pack lsp_extended --root DIR --split train --out data/lsp_extended --size 256     # and --split val
"""

from dataclasses import replace

from headstart.augment import MILD
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser
from headstart.study import Grid, Study

_SYNTHETIC = ("synthetic_wild", "synthetic_studio", "synthetic_occluded")
_HEAD = HeadConfig("pyramid", channels=64, heatmap="cross_entropy")
_FULL = Grid(
    ("3d_alone", "2d_then_3d", "2d_then_2d3d"),
    ("lite0",),
    ("lsp_extended",),
    ("synthetic_studio",),
    seeds=(4, 5, 6, 7, 8, 9),
)

STUDY = Study(
    name="replication",
    title="2D pre-training at equal compute, again: six seeds, twice the compute",
    question=(
        "3D labels come from one synthetic studio, 2D labels from real photographs. Is the 3D error lower if half of"
        " the same training FLOPs goes to 2D first, and if 2D then stays in to the end?"
    ),
    models={"lite0": ModelConfig("efficientnet_lite0", "pip", _HEAD, input_size=(64, 64), sigma=1.0)},
    samples={"lite0": 24_000},
    optimiser=Optimiser(learning_rate=3e-3),
    augment=MILD,
    batch_size=16,
    average_decay=0.99,
    curve_points=4,
    significance_test="welch",
    grids=(_FULL, replace(_FULL, budgets=(0.25, 0.5))),
    tests=("synthetic_studio", "synthetic_occluded", "synthetic_wild", "synthetic_wild_pck", "lsp_extended_pck12"),
    roots={**dict.fromkeys(_SYNTHETIC, "data/synthetic"), "lsp_extended": "data/lsp_extended"},
    # The pictures of LSP-Extended may not be passed on, so that no sheet is kept of them.
    sheets=("synthetic_studio", "synthetic_wild"),
)
