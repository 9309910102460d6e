"""Recipes: every one builds, and the published one has the published numbers."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from headstart import datasets
from headstart.checkpoint import SHIPPED, load_model, load_weights, shipped_weights
from headstart.errors import ConfigError
from headstart.experiment import as_json
from headstart.losses import LOSSES
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.optimisation import Optimiser, Schedule
from headstart.protocols import PROTOCOLS, protocol
from headstart.recipes import RECIPES, build
from headstart.sources import Sources

ALL = Sources(two_d=("mpii", "lsp_extended"), three_d=("h36m", "mpi_inf_3dhp"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_names_things_that_exist(name: str) -> None:
    experiment = build(name, ALL)
    assert experiment.name == name
    assert experiment.stages
    for stage in experiment.stages:
        assert set(stage.losses) <= set(LOSSES)
        for data in stage.data:
            assert data.dataset in datasets.DATASETS
            assert data.split in datasets.splits(data.dataset)
        needs_logits = any(loss == "heatmap_cross_entropy" for loss in stage.losses)
        if any(loss.startswith("heatmap") for loss in stage.losses):
            assert experiment.model.head.heatmap == ("cross_entropy" if needs_logits else "mse")
        if "integral_l1" in stage.losses:
            assert experiment.model.head.kind == "integral"
    assert experiment.validation
    assert all(one.protocol in PROTOCOLS for one in experiment.validation)
    json.dumps(asdict(experiment))


@pytest.mark.parametrize("name", RECIPES)
def test_every_docstring_says_claim_command_cost_and_result(name: str) -> None:
    text = " ".join((RECIPES[name].__doc__ or "").split())
    assert all(word in text for word in ("Claim:", f"Command: ``headstart train {name}", "Cost:", "Measured:"))


def test_people_are_scored_by_what_is_learnt_from_them() -> None:
    sources = Sources(two_d=("synthetic_wild",), three_d=("synthetic_wild", "h36m"))
    assert [one.protocol for one in build("pretrain_2d_then_3d", sources).validation] == [
        "synthetic_wild",
        "h36m_standard",
        "synthetic_wild_pck",
    ]
    assert [protocol(one.protocol).unit for one in sources.validation_3d()] == ["mm", "mm"]
    # The control arm has no 2D data: none need be there to score it.
    assert [one.protocol for one in build("scratch_3d", Sources()).validation] == ["h36m_standard"]
    assert [one.protocol for one in build("zhou2017", Sources()).validation] == ["h36m_zhou2017", "mpii_pckh"]


def test_a_network_with_the_published_joints_is_scored_where_it_can_be() -> None:
    sources = Sources(two_d=("lsp_extended",), three_d=("synthetic_wild", "h36m"))
    assert [one.protocol for one in build("zhou2017", sources).validation] == ["h36m_zhou2017", "lsp_extended_pck12"]


def test_zhou2017_is_the_published_scheme() -> None:
    """Zhou et al. 2017: stage by stage, as in the design notes and the authors' PyTorch code."""
    experiment = build("zhou2017", Sources())
    first, second, third = experiment.stages
    assert experiment.model == ModelConfig(backbone="resnet50", skeleton="mpii_16")
    assert (experiment.model.input_size, experiment.model.sigma) == ((256, 256), 2.0)
    assert (experiment.model.head.kind, experiment.model.head.channels, experiment.model.head.output_stride) == (
        "heatmap_depth",
        256,
        4,
    )
    assert experiment.model.head.heatmap == "mse"
    adam = Optimiser("adam", learning_rate=1e-3, weight_decay=0.0, clip_norm=None)
    assert first.optimiser == second.optimiser == adam
    assert third.optimiser == replace(adam, learning_rate=1e-4)
    # Known defect: epochs of all frames of Human3.6M, 36 times the published schedule. Theirs have 22,246 people of
    # MPII and, from stage 2 on, as many frames of Human3.6M.
    assert [stage.budget.samples for stage in experiment.stages] == [3_114_440, 60 * 44_492, 10 * 44_492]
    assert first.schedule == Schedule("step", (90 / 140, 120 / 140), 0.1)
    assert second.schedule == Schedule("step", (45 / 60,), 0.1)
    assert third.schedule == Schedule("constant")
    assert first.losses == {"heatmap_mse": 1.0}
    assert second.losses == {"heatmap_mse": 1.0, "depth_smooth_l1": 0.1}
    assert third.losses == {"heatmap_mse": 1.0, "depth_smooth_l1": 0.1, "bone_ratio": 0.005}
    assert [(data.dataset, data.split, data.weight, data.use_3d) for data in first.data] == [
        ("mpii", "train", 1.0, False)
    ]
    for stage in (second, third):
        assert [(data.dataset, data.weight, data.use_3d) for data in stage.data] == [
            ("mpii", 1.0, True),
            ("h36m", 1.0, True),
        ]
    assert (experiment.batch_size, experiment.average_decay, experiment.flip_test) == (32, None, True)
    augment = experiment.augment
    assert (augment.scale, augment.rotation_degrees, augment.rotation_probability, augment.flip_probability) == (
        0.25,
        30.0,
        0.6,
        0.5,
    )
    assert augment.truncation_probability == augment.occluder_probability == augment.shift == 0
    assert [one.protocol for one in experiment.validation] == ["h36m_zhou2017", "mpii_pckh"]


def test_zhou2017_has_the_published_number_of_parameters() -> None:
    network = PoseNet(build("zhou2017", Sources()).model)
    assert sum(parameter.numel() for parameter in network.parameters()) == 34_003_552


def test_the_two_arms_cost_the_same() -> None:
    """The control sees as many samples as the scheme that it is compared with, by the same losses."""
    control, scheme = build("scratch_3d", Sources()), build("pretrain_2d_then_3d", Sources())
    assert sum(stage.budget.samples or 0 for stage in scheme.stages) == control.stages[0].budget.samples
    assert control.model == scheme.model
    assert control.augment == scheme.augment
    assert control.stages[0].losses == scheme.stages[1].losses


def test_2d_and_3d_are_drawn_one_to_one() -> None:
    """However many data sets there are on either side."""
    data = build("integral", Sources(("mpii", "lsp", "coco"), ("h36m",))).stages[0].data
    assert sum(one.weight for one in data[:3]) == pytest.approx(data[3].weight)


def test_finetune_goes_on_from_the_model_that_ships() -> None:
    """Its network takes those weights as they are, and its crops are those that they were trained on."""
    recipe = build("finetune", Sources(two_d=("coco",), three_d=()))
    assert recipe.start_from == SHIPPED
    shipped, header = load_model(shipped_weights())
    network = PoseNet(recipe.model, header["backbone_config"] or {})
    load_weights(network, shipped.state_dict(), shipped_weights())
    assert recipe.model.input_size == shipped.config.input_size
    assert [one.dataset for one in recipe.stages[0].data] == ["coco"]


def test_names_that_do_not_exist() -> None:
    with pytest.raises(ConfigError, match="unknown recipe 'zhou'; known: zhou2017, scratch_3d, pretrain_2d"):
        build("zhou", Sources())
    with pytest.raises(ConfigError, match="unknown data set 'lspet'; known: "):
        build("pretrain_2d", Sources(two_d=("lspet",)))


OWN = """
from headstart.recipes import scratch_3d

number = 3


def mine(sources):
    return scratch_3d(sources)


def nothing(sources):
    pass


def wrong(sources):
    return sources.three_dimensional
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of recipes below the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_recipes", raising=False)
    (tmp_path / "my_recipes.py").write_text(OWN)
    return tmp_path / "my_recipes.py"


def test_a_function_of_a_users_module_is_a_recipe(own: Path) -> None:
    assert build("my_recipes:mine", ALL) == build("scratch_3d", ALL)
    with pytest.raises(ConfigError, match=r"^recipe my_recipes:mine, stage 3d: no data; name some with --two-d"):
        build("my_recipes:mine", Sources(three_d=()))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_recipes:nothing", "{file}: expected a function nothing {what}; it returned None"),
        ("my_recipes:number", "{file}: expected a function number {what}; found 3"),
        ("my_recipes:", "{file}: expected a function  {what}; found None"),
        ("my_recipes:wrong", "{file}, line 16: AttributeError: 'Sources' object has no attribute 'three_dimensional'"),
        (
            "my_recipe:mine",
            "found no module my_recipe, installed or in {folder}; my_data/office.py there is my_data.office",
        ),
    ],
)
def test_a_users_recipe_that_is_none_is_told(own: Path, name: str, says: str) -> None:
    what = "that takes Sources and returns an Experiment; docs/python.md"
    with pytest.raises(ConfigError) as caught:
        build(name, ALL)
    assert str(caught.value) == f"recipe {name!r}: {says.format(file=own, folder=own.parent, what=what)}"


def test_the_configuration_of_a_run_is_a_recipe(tmp_path: Path) -> None:
    recipe = replace(build("integral", ALL), seed=4)
    (tmp_path / "config.json").write_text(json.dumps(as_json(recipe)))
    assert build(str(tmp_path / "config.json"), Sources()) == recipe


@pytest.mark.parametrize("name", ["finetune", "pretrain_2d", "integral"])
def test_a_stage_without_data_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"recipe {name}, stage .*: no data; name some with --two-d or --three-d"):
        build(name, Sources(two_d=(), three_d=()))


def test_modern_recipes_weigh_depth_against_the_cross_entropy_as_measured() -> None:
    """Depths in crop widths are small numbers: smooth L1 weighs 20, L1 weighs 10 (LOG.md)."""
    sources = Sources(two_d=("lsp_extended",), three_d=("synthetic_wild", "synthetic_occluded"))
    then = build("pretrain_2d_then_3d", sources)
    both = {"heatmap_cross_entropy": 1.0, "depth_smooth_l1": 20.0}
    assert [stage.losses for stage in then.stages] == [
        {"heatmap_cross_entropy": 1.0},
        both,
        {**both, "bone_ratio": 0.1},
    ]
    for name in ("ship", "finetune"):
        last = build(name, sources).stages[-1]
        assert last.losses == {"heatmap_cross_entropy": 1.0, "depth_l1": 10.0}
        assert last.freeze_stride == 4


@pytest.mark.parametrize(("name", "share"), [("ship", 0.8), ("finetune", 0.7)])
def test_photographs_and_synthetic_people_share_the_draws(name: str, share: float) -> None:
    """Photographs have no depth, whatever labels lie there."""
    sources = Sources(two_d=("lsp_extended", "coco"), three_d=("synthetic_wild", "synthetic_occluded"))
    data = build(name, sources).stages[-1].data
    assert [(one.dataset, one.use_3d) for one in data] == [
        ("lsp_extended", False),
        ("coco", False),
        ("synthetic_wild", True),
        ("synthetic_occluded", True),
    ]
    assert [one.weight for one in data] == pytest.approx([share / 2, share / 2, (1 - share) / 2, (1 - share) / 2])
