"""Does the third stage of the published scheme, the geometric loss on bone lengths, do anything?

The scheme in its three stages (2D; 2D and 3D; both with the geometric loss at a tenth of the rate) against the same
without the third. 3D alone goes through the same: there the loss has nothing to speak of, so that its cells tell what
the lower rate does by itself.

The loss is a square in crop widths, as the depth's is, and weighs half as much: at the published weight it is a
thousandth of the others here. Data, for two CPU cores and an hour:

    headstart synth wild --split train --count 16000 --out data/synthetic
    headstart synth studio --split train --count 3000 --out data/synthetic
    for domain in wild studio occluded; do headstart synth $domain --split test --count 400 --out data/synthetic; done
"""

from headstart.augment import MILD
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser
from headstart.study import Grid, Study

_SYNTHETIC = ("synthetic_wild", "synthetic_studio", "synthetic_occluded")
_HEAD = HeadConfig("pyramid", channels=64, heatmap="cross_entropy")

STUDY = Study(
    name="geometric",
    title="The geometric stage",
    question="At the same compute, is the 3D error lower if the last tenth of it goes to the geometric loss?",
    models={"lite0": ModelConfig("efficientnet_lite0", "pip", _HEAD, input_size=(64, 64), sigma=1.0)},
    samples={"lite0": 12_000},
    optimiser=Optimiser(learning_rate=3e-3),
    augment=MILD,
    batch_size=16,
    average_decay=0.99,
    curve_points=4,
    main="2d_then_2d3d",
    geometric_loss=10.0,
    grids=(
        Grid(
            ("3d_alone", "2d_then_2d3d"),
            ("lite0",),
            ("synthetic_wild",),
            ("synthetic_studio",),
            seeds=(0, 1, 2, 3),
            geometric=(False, True),
        ),
    ),
    tests=("synthetic_studio", "synthetic_occluded", "synthetic_wild", "synthetic_wild_pck"),
    roots=dict.fromkeys(_SYNTHETIC, "data/synthetic"),
    sheets=("synthetic_studio", "synthetic_wild"),
)
