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
    # Soft-argmax gives a sensible pose long before heatmaps do; two cores have minutes, not hours.
    models={
        "nano": ModelConfig("nano", None, HeadConfig("integral", 64, depth_bins=16), input_size=(64, 64), sigma=1.0)
    },
    samples={"nano": 10_000},
    losses={"integral_l1": 1.0},
    grids=(Grid(("3d_alone", "2d_then_3d"), ("nano",), ("synthetic_wild",), ("synthetic_studio",)),),
    tests=("synthetic_studio", "synthetic_occluded", "synthetic_wild_pck"),
    roots=dict.fromkeys(("synthetic_wild", "synthetic_studio", "synthetic_occluded"), "data/synthetic"),
    average_decay=0.99,
    curve_points=4,
    curve_people=60,
    sheets=("synthetic_studio", "synthetic_occluded"),
)
