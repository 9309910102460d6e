"""What ``make quickstart`` runs: the question of the project in minutes, on two cores and data of our own making."""

from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.study import Grid, Study

STUDY = Study(
    name="quickstart",
    title="2D first or 3D alone? A small answer in minutes",
    question=(
        "A network has to learn 3D poses from a studio that was filmed from four fixed cameras. Does it help to spend"
        " half of the compute on pictures from the wild that have 2D labels only?"
    ),
    models={
        "lite0": ModelConfig(
            "efficientnet_lite0", "pip", HeadConfig(channels=64, heatmap="cross_entropy"), input_size=(96, 96)
        )
    },
    samples={"lite0": 4_800},
    grids=(Grid(("3d_alone", "2d_then_3d"), ("lite0",), ("synthetic_wild",), ("synthetic_studio",), seeds=(0, 1)),),
    tests=("synthetic_studio", "synthetic_occluded", "synthetic_wild_pck"),
    roots=dict.fromkeys(("synthetic_wild", "synthetic_studio", "synthetic_occluded"), "data/synthetic"),
    curve_points=4,
    curve_people=60,
    sheets=("synthetic_studio", "synthetic_occluded"),
)
