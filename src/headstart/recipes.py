"""Recipes: named functions that return a whole Experiment. Each says its claim, command, cost and measured result.

The backbone is a ResNet-50 with random weights, for which nothing is fetched, except in ``ship`` and ``finetune``.
``--model.weights microsoft/resnet-50`` takes ImageNet weights from the hub, ``--model.backbone efficientnet_lite0
--model.weights pip`` those of a package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from headstart.augment import AugmentConfig
from headstart.budget import Budget
from headstart.checkpoint import SHIPPED
from headstart.errors import ConfigError, shortened
from headstart.experiment import Experiment, Stage, Validation
from headstart.loader import Data
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, model_skeleton
from headstart.optimisation import Optimiser, Schedule
from headstart.preparation import read_config
from headstart.protocols import protocol
from headstart.sources import Sources
from headstart.user_modules import user_function


def zhou2017(sources: Sources) -> Experiment:
    """The scheme of Zhou et al. 2017 in three stages, as the authors' later PyTorch code has it (pytorch-pose-hg-3d).

    That code is not the paper: a ResNet-50 with deconvolutions for the stacked hourglass, and a depth map for the
    regression module. As published if ``--model.weights`` is given, but that 3D people are rotated too and scales
    drawn evenly. Claim: 64.55 mm (that code) and < 64.5 mm (the 2D pre-training study) on all frames of the ECCV-18
    challenge's Val under ``h36m_zhou2017``; figures on other frames of Human3.6M do not compare.
    Command: ``headstart train zhou2017 --root mpii=DIR --root h36m=DIR --model.weights microsoft/resnet-50 --out
    runs/zhou`` (weights from the hub, as published; random ones without).
    Cost: ResNet-50, 256 px; 3,114,440 samples in stage 1 (140 epochs of MPII's 22,246 people), 2,669,520 and 444,920
    in stages 2 and 3 (60 and 10 epochs of as many people of Human3.6M beside them), whatever data lie there.
    Measured: not run yet (the data lie behind a form); only its mechanics are tested, on files in official format.
    """
    model = ModelConfig(backbone="resnet50", skeleton="mpii_16")
    heatmaps, both = {"heatmap_mse": 1.0}, {"heatmap_mse": 1.0, "depth_smooth_l1": 0.1}
    mixed = (*sources.data(sources.two_d), *sources.data(sources.three_d))
    adam = Optimiser("adam", learning_rate=1e-3, weight_decay=0.0, clip_norm=None)
    stages = (
        Stage(
            "2d",
            sources.data(sources.two_d, use_3d=False),
            Budget(samples=140 * _MPII_PEOPLE),
            heatmaps,
            adam,
            Schedule("step", (90 / 140, 120 / 140)),
        ),
        Stage("2d+3d", mixed, Budget(samples=60 * 2 * _MPII_PEOPLE), both, adam, Schedule("step", (45 / 60,))),
        Stage(
            "geometric",
            mixed,
            Budget(samples=10 * 2 * _MPII_PEOPLE),
            # The published 0.01 divides by the whole batch, ours by the samples without depth: half of it.
            {**both, "bone_ratio": 0.005},
            replace(adam, learning_rate=1e-4),
            Schedule("constant"),
        ),
    )
    # Without the occluders, truncation and colours that ours adds. The published code draws scales from a clipped
    # normal distribution and does not rotate 3D people.
    augment = AugmentConfig(
        truncation_probability=0.0,
        occluder_probability=0.0,
        shift=0.0,
        brightness=0.0,
        contrast=0.0,
        colour=0.0,
    )
    in_3d = [
        replace(one, protocol="h36m_zhou2017") if "h36m" in one.protocol else one for one in sources.validation_3d()
    ]
    # Its 16 joints are those of MPII: other 3D sets, scored with a spine or a nose, are trained on all the same.
    validation = tuple(one for one in (*in_3d, *sources.validation_2d()) if _has_joints(model, one))
    return Experiment("zhou2017", model, stages, validation, augment, average_decay=None, flip_test=True)


def pretrain_2d(sources: Sources) -> Experiment:
    """2D only: heatmaps by cross-entropy from any mix of 2D data.

    Claim: quick to a useful 2D pose where compute is short (LOG.md has MSE beside it). Command: ``headstart train
    pretrain_2d --two-d lsp_extended --root lsp_extended=DIR --out runs/2d``. Cost: 200,000 samples.
    Measured: see README, "Results".
    """
    return Experiment("pretrain_2d", _model(), (_stage_2d(sources, Budget(samples=200_000)),), sources.validation_2d())


def scratch_3d(sources: Sources) -> Experiment:
    """The control arm: 3D data alone, from the start, for the same number of samples as ``pretrain_2d_then_3d``.

    Claim: what 2D pre-training has to beat. Command: ``headstart train scratch_3d --three-d h36m --root h36m=DIR
    --out runs/scratch``. Cost: 400,000 samples. Measured: not on real data yet.
    """
    stage = Stage("3d", sources.data(sources.three_d), Budget(samples=400_000), _LOSSES, schedule=_WARM_COSINE)
    return Experiment("scratch_3d", _model(), (stage,), sources.validation_3d())


def pretrain_2d_then_3d(sources: Sources) -> Experiment:
    """2D first, then 2D and 3D one to one, then the geometric loss: the scheme with a modern optimiser.

    Claim: beats ``scratch_3d`` at equal samples. Command: ``headstart train pretrain_2d_then_3d --two-d mpii --three-d
    h36m --root mpii=DIR --root h36m=DIR --out runs/then``. Cost: 400,000 samples. Measured: not on real data yet.
    """
    mixed = (*sources.data(sources.two_d), *sources.data(sources.three_d))
    geometric = Stage(
        "geometric",
        mixed,
        Budget(samples=40_000),
        {**_LOSSES, "bone_ratio": 0.1},
        Optimiser(learning_rate=1e-4),
        Schedule("constant"),
    )
    together = Stage("2d+3d", mixed, Budget(samples=160_000), _LOSSES, schedule=_WARM_COSINE)
    stages = (_stage_2d(sources, Budget(samples=200_000)), together, geometric)
    return Experiment("pretrain_2d_then_3d", _model(), stages, (*sources.validation_3d(), *sources.validation_2d()))


def integral(sources: Sources) -> Experiment:
    """Integral regression (Sun et al. 2018): soft-argmax over a volume, 2D and 3D data one to one, L1.

    Claim: Human3.6M 86.5 mm alone, 62.2 mm with MPII (Sun, Li and Lin 2018, arXiv 1809.06079: ResNet-50 from ImageNet,
    Val of the ECCV-18 challenge without the flip test, which is none of our protocols). Command: ``headstart train
    integral --root mpii=DIR --root h36m=DIR --model.weights microsoft/resnet-50 --out runs/integral``. Cost: 400,000
    samples. Measured: not on real data yet.
    """
    model = replace(_model(), head=HeadConfig(kind="integral"))
    mixed = (*sources.data(sources.two_d), *sources.data(sources.three_d))
    stage = Stage("2d+3d", mixed, Budget(samples=400_000), {"integral_l1": 1.0}, schedule=_WARM_COSINE)
    return Experiment("integral", model, (stage,), (*sources.validation_3d(), *sources.validation_2d()))


def ship(sources: Sources) -> Experiment:
    """The model that ships: EfficientNet-Lite0 on real photographs, then on them and synthetic people in 3D.

    Claim: a useful skeleton from a photo at a few milliseconds a person. Command:
    ``headstart train ship --two-d lsp_extended --three-d synthetic_wild synthetic_occluded --root lsp_extended=DIR
    --root synthetic_wild=data/synthetic --root synthetic_occluded=data/synthetic --out runs/ship``. Cost: 380,000
    samples, six core-hours with ``--precision bf16`` on a CPU that has AMX, some twenty on others, minutes of a GPU.
    Measured: docs/model-card.md, which says where its training departed from this.
    """
    # Steps of many samples at a moderate rate: small ones kill deep channels of the pre-trained backbone for good. Once
    # the backbone has seen people, its first layers need not learn on (both LOG.md, 2026-11-26). Most of the samples
    # are seen at 192 px, at 0.6 of the time a sample.
    head = HeadConfig("heatmap_depth", channels=192, heatmap="cross_entropy", output_stride=8)
    model = ModelConfig("efficientnet_lite0", "pip", head, input_size=(256, 256), sigma=1.25)
    optimiser = Optimiser(learning_rate=1e-3, weight_decay=0.05)
    photographs = replace(
        _stage_2d(sources, Budget(samples=20_000)),
        name="photographs",
        optimiser=optimiser,
        schedule=Schedule("constant", warmup=0.4),
    )
    together = Stage(
        "together",
        _ship_data(sources, share_2d=0.8),
        Budget(samples=160_000),
        {"heatmap_cross_entropy": 1.0, "depth_l1": 10.0},
        optimiser,
        _WARM_COSINE,
        freeze_stride=4,
    )
    small = replace(
        together,
        name="small",
        budget=Budget(samples=200_000),
        schedule=Schedule("constant", warmup=0.02),
        input_size=(192, 192),
    )
    validation = (*sources.validation_2d(), *sources.validation_3d())
    augment = AugmentConfig(scale=0.3, rotation_degrees=40.0, rotation_probability=0.8)
    return Experiment(
        "ship",
        model,
        (photographs, small, together),
        validation,
        augment,
        batch_size=64,
        checkpoint_samples=6_400,
    )


def finetune(sources: Sources) -> Experiment:
    """The model that ships, trained further on your own data.

    Claim: learns what your photographs or your studio have and our data lacked, in minutes to hours. Command:
    ``headstart train finetune --two-d coco --three-d synthetic_wild synthetic_occluded --root coco=DIR ... --out
    runs/mine``, then ``headstart predict --model runs/mine``; either list may be empty, but without 3D data depth is
    unlearnt (``studio`` from 82 to 92 mm within 1,280 samples). Cost: 48,000 samples of 256 px, two hours of one CPU
    core, a minute of a GPU. Measured: LOG.md, 2026-11-26 and 2026-11-27.
    """
    shipped = ship(sources)
    last = shipped.stages[-1]
    # With more people in 3D, a gentler rate, and a budget and steps that a laptop has room for.
    stage = replace(
        last,
        name="finetune",
        data=_ship_data(sources, share_2d=0.7),
        budget=Budget(samples=48_000),
        optimiser=replace(last.optimiser, learning_rate=5e-4),
    )
    return replace(shipped, name="finetune", stages=(stage,), batch_size=32, start_from=SHIPPED)


def _ship_data(sources: Sources, share_2d: float) -> tuple[Data, ...]:
    """Photographs with their 2D labels, and synthetic people with 2D and 3D labels."""
    return (*sources.data(sources.two_d, share_2d, use_3d=False), *sources.data(sources.three_d, 1 - share_2d))


#: Name on the command line -> recipe.
RECIPES: dict[str, Callable[[Sources], Experiment]] = {
    recipe.__name__: recipe
    for recipe in (zhou2017, scratch_3d, pretrain_2d, pretrain_2d_then_3d, integral, ship, finetune)
}


def build(name: str, sources: Sources) -> Experiment:
    """The experiment of a recipe, of a user's ``package.module:function``, or of a run's ``config.json``.

    ``sources`` do not change the last. Raises :class:`ConfigError` for an unknown recipe (naming those there are), a
    function that is no recipe, and a stage without data; for a file as :func:`~headstart.preparation.read_config`.
    """
    if name.endswith(".json"):
        return read_config(Path(name))
    if name not in RECIPES and ":" not in name:
        ways = "or name module:function of your own, or the config.json of a run"
        raise ConfigError(f"unknown recipe {name!r}; known: {', '.join(RECIPES)}; {ways}")
    experiment = RECIPES[name](sources) if name in RECIPES else _own(name, sources)
    for stage in experiment.stages:
        if not stage.data:
            raise ConfigError(f"recipe {name}, stage {stage.name}: no data; name some with --two-d or --three-d")
    return experiment


def _own(name: str, sources: Sources) -> Experiment:
    """The experiment of a user's ``package.module:function``."""
    expected = (
        f"expected a function {name.partition(':')[2]} that takes Sources and returns an Experiment; docs/python.md"
    )
    recipe = user_function(name, f"recipe {name!r}", expected)
    experiment = recipe(sources)
    if not isinstance(experiment, Experiment):
        raise ConfigError(f"{recipe.where}: {expected}; it returned {shortened(repr(experiment))}")
    return experiment


# Of the training split of Xiao et al. 2018. A published epoch has each of them once, and in stages 2 and 3 one of
# Human3.6M for each: an epoch of our mixtures has all frames of Human3.6M, up to 36 times as many.
_MPII_PEOPLE = 22_246
# Depths in crop widths give smooth-L1 values near 0.001 where the cross-entropy is near 5: hence the weight.
_LOSSES = {"heatmap_cross_entropy": 1.0, "depth_smooth_l1": 20.0}
_WARM_COSINE = Schedule("cosine", warmup=0.02)


def _has_joints(model: ModelConfig, check: Validation) -> bool:
    """Whether a model predicts all joints that a protocol scores (``h36m_zhou2017`` reads MPII's)."""
    return check.protocol == "h36m_zhou2017" or set(protocol(check.protocol).joints) <= set(model_skeleton(model).names)


def _model() -> ModelConfig:
    return ModelConfig(head=HeadConfig(heatmap="cross_entropy"))


def _stage_2d(sources: Sources, budget: Budget) -> Stage:
    data = sources.data(sources.two_d, use_3d=False)
    return Stage("2d", data, budget, {"heatmap_cross_entropy": 1.0}, schedule=_WARM_COSINE)
