"""What ``make quickstart`` runs: the question of the project in minutes, on two cores and data of our own making."""

from headstart.augment import MILD
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser
from headstart.study import Grid, Study

STUDY = Study(
    name="quickstart",
    title="2D first or 3D alone? A small answer in minutes",
    question=(
        "A network has to learn 3D poses from a studio that was filmed from four fixed cameras. Does it help to spend"
        " half of the compute on pictures from the wild that have 2D labels only?"
    ),
    # Small crops, many small steps at a high rate: what two cores learn most from in minutes (LOG.md).
    models={
        "lite0": ModelConfig(
            "efficientnet_lite0",
            "pip",
            HeadConfig("pyramid", channels=64, heatmap="cross_entropy"),
            input_size=(64, 64),
            sigma=1.0,
        )
    },
    samples={"lite0": 5_000},
    optimiser=Optimiser(learning_rate=3e-3),
    augment=MILD,
    batch_size=16,
    grids=(Grid(("3d_alone", "2d_then_3d"), ("lite0",), ("synthetic_wild",), ("synthetic_studio",)),),
    tests=("synthetic_studio", "synthetic_occluded", "synthetic_wild_pck"),
    roots=dict.fromkeys(("synthetic_wild", "synthetic_studio", "synthetic_occluded"), "data/synthetic"),
    average_decay=0.99,
    curve_points=4,
    curve_people=60,
    sheets=("synthetic_studio", "synthetic_occluded"),
)
