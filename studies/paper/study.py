"""The published experiments as one fair study, for those who hold the data. See README.md beside this file."""

from headstart.augment import AugmentConfig
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser, Schedule
from headstart.study import ARMS, Grid, Study

_DEPTHS = (18, 34, 50, 101, 152)
_THREE_D = ("h36m", "occlusion_person", "mpi_inf_3dhp")


def _resnet(depth: int) -> ModelConfig:
    """ImageNet weights from the hub, the published head: three 256-channel deconvolutions, heatmaps by MSE."""
    return ModelConfig(f"resnet{depth}", f"microsoft/resnet-{depth}", HeadConfig(heatmap="mse"), input_size=(256, 256))


STUDY = Study(
    name="paper",
    title="The published experiments at equal compute",
    question="Do the published gains of 2D pre-training hold when every arm spends the same training FLOPs?",
    models={f"resnet{depth}": _resnet(depth) for depth in _DEPTHS},
    samples={f"resnet{depth}": 1_500_000 for depth in _DEPTHS},
    grids=(
        # The table of 2D sources and 3D sets, all arms.
        Grid(tuple(ARMS), ("resnet50",), ("mpii", "lsp_extended", "flic"), _THREE_D),
        # Sizes of the network, the main pair of arms.
        Grid(("3d_alone", "2d_then_2d3d"), tuple(f"resnet{depth}" for depth in _DEPTHS), ("mpii",), ("h36m",)),
        # The geometric stage.
        Grid(tuple(ARMS), ("resnet50",), ("mpii",), ("h36m",), geometric=(True,)),
    ),
    tests=("h36m_zhou2017", "h36m_standard", "occlusion_person", "mpi_inf_3dhp"),
    main="2d_then_2d3d",
    splits={"flic": "full_train"},
    # Zhou et al. 2017: MSE of heatmaps and 0.1 x smooth L1 of depths, Adam's rate dropped by ten late in a stage.
    losses={"heatmap_mse": 1.0, "depth_smooth_l1": 0.1},
    optimiser=Optimiser("adam", learning_rate=1e-3, weight_decay=0.0, clip_norm=None),
    schedule=Schedule("step", (0.75,)),
    geometric_loss=0.005,  # the published 0.01 divides by the whole batch, ours by its half without depth
    augment=AugmentConfig(
        truncation_probability=0.0, occluder_probability=0.0, shift=0.0, brightness=0.0, contrast=0.0, colour=0.0
    ),
    average_decay=None,
    precision="bf16",
    workers=12,
    curve_people=1000,
    sheets=(),
)
