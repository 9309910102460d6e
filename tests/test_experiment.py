"""Which configurations can be trained; whether a run that goes on is the same run; and what a message says of both."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_origin, get_type_hints

import pytest

from headstart.augment import AugmentConfig
from headstart.budget import Budget
from headstart.errors import ConfigError, first_few
from headstart.experiment import (
    DIFFERENCES,
    Experiment,
    Stage,
    Validation,
    as_json,
    differences,
    from_json,
    require_same,
    require_trainable,
)
from headstart.loader import Data
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.optimisation import Optimiser, Schedule
from headstart.ranges import Choice, field_of, ranges, values
from headstart.recipes import RECIPES, build
from headstart.sources import Sources
from headstart.study import cells, load_study
from headstart.study_plan import experiment as experiment_of
from tiny import experiment, stage_2d

LAST = Path("runs/a/last.safetensors")
TINY = experiment(stage_2d(Path("here")), stage_2d(Path("here")))


def changed(**fields: object) -> Experiment:
    """The second stage with other fields."""
    return replace(TINY, stages=(TINY.stages[0], replace(TINY.stages[1], **fields)))  # type: ignore[arg-type]


def test_what_does_not_change_the_outcome_may_change() -> None:
    elsewhere = changed(data=tuple(replace(data, root="elsewhere") for data in TINY.stages[1].data))
    for other in (TINY, replace(TINY, workers=3, validate_samples=5), elsewhere):
        assert require_same(as_json(TINY), as_json(other), LAST) is None  # type: ignore[func-returns-value]
    with pytest.raises(ConfigError, match=r"stages\.1\.data\.0\.limit"):
        require_same(as_json(TINY), as_json(changed(data=(replace(TINY.stages[1].data[0], limit=3),))), LAST)


def test_each_field_that_differs_is_named_by_its_path_and_nothing_else_is() -> None:
    other = changed(optimiser=replace(TINY.stages[1].optimiser, learning_rate=0.0005), input_size=(32, 32))
    with pytest.raises(ConfigError) as caught:
        require_same(as_json(TINY), as_json(replace(other, seed=5)), LAST)
    assert str(caught.value) == (
        "runs/a/last.safetensors was made by another configuration:"
        " stages.1.optimiser.learning_rate: 0.003 there, 0.0005 here; stages.1.input_size: None there, [32, 32] here;"
        " seed: 0 there, 5 here. Set what differs as it is there to go on, or give another --out to begin anew"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"dataset": "lsp"}, "stages.1.data.0.dataset: 'lsp_extended' there, 'lsp' here"),
        ({"split": "train"}, "stages.1.data.0.split: 'all' there, 'train' here"),
        ({"limit": 5}, "stages.1.data.0.limit: None there, 5 here"),
    ],
)
def test_other_data_are_another_run(data: dict[str, object], says: str) -> None:
    other = changed(data=(replace(Data("lsp_extended", "here", "all"), **data),))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f": {says}. Set"):
        require_same(as_json(TINY), as_json(other), LAST)


def test_a_field_that_an_older_version_did_not_have_is_none_there() -> None:
    saved = as_json(TINY)
    del saved["average_decay"], saved["start_from"]
    with pytest.raises(ConfigError, match=r"configuration: average_decay: None there, 0\.9 here\. Set"):
        require_same(saved, as_json(TINY), LAST)


def test_what_json_holds_is_read_back() -> None:
    """Tuples, nested configurations, None and numbers of every kind are as they were."""
    for name in RECIPES:
        recipe = build(name, Sources())
        assert from_json(as_json(recipe)) == recipe
    whole = changed(input_size=(64, 32), losses={"depth_l1": 2}, data=(), schedule=Schedule("step", (0.25, 0.5)))
    assert from_json(as_json(whole)) == whole
    assert from_json(as_json(whole)).stages[1].schedule.milestones == (0.25, 0.5)


def test_what_an_older_version_did_not_have_gets_its_default() -> None:
    config = as_json(TINY)
    del config["average_decay"], config["stages"][1]["optimiser"]["clip_norm"], config["model"]["sigma"]
    del config["micro_batch_size"], config["stages"][1]["optimiser"]["backbone_factor"]
    optimiser = replace(TINY.stages[1].optimiser, clip_norm=1.0)
    assert from_json(config) == replace(
        changed(optimiser=optimiser), average_decay=0.999, model=replace(TINY.model, sigma=2.0)
    )


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_run_of_a_version_that_had_a_choice_of_memory_is_read_and_goes_on(channels_last: bool) -> None:
    config = as_json(TINY) | {"channels_last": channels_last}
    assert from_json(config) == TINY
    assert "channels_last" not in as_json(from_json(config))
    require_same(config, as_json(TINY), Path("last.safetensors"))


@pytest.mark.parametrize(
    ("where", "name", "value", "says"),
    [
        ([], "batch_size", True, "batch_size: expected int, got True"),
        ([], "speed", 1, "speed: this version of headstart has no such field"),
        (
            ["stages", 1, "optimiser"],
            "speed",
            1,
            "stages.1.optimiser.speed: this version of headstart has no such field",
        ),
        (["stages", 1], "budget", None, "stages.1.budget: expected Budget, got None"),
        (["model"], "input_size", [64], "model.input_size: expected tuple[int, int], got [64]"),
        (["model"], "input_size", [64, "x"], "model.input_size.1: expected int, got 'x'"),
        (["model"], "channels", 3, "model.channels: this version of headstart has no such field"),
        (["stages", 0, "data", 0], "use_3d", 1, "stages.0.data.0.use_3d: expected bool, got 1"),
        (["stages", 0, "losses"], "depth_l1", "0.1", "stages.0.losses.depth_l1: expected float, got '0.1'"),
        ([], "precision", "fp8", "precision: expected Literal['no', 'bf16', 'fp16'], got 'fp8'"),
        ([], "stages", {}, "stages: expected tuple[headstart.experiment.Stage, ...], got {}"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(where: list[Any], name: str, value: Any, says: str) -> None:
    config: Any = as_json(TINY)
    part = config
    for step in where:
        part = part[step]
    part[name] = value
    with pytest.raises(ConfigError) as caught:
        from_json(config)
    assert str(caught.value) == says


def test_what_has_no_default_must_be_there() -> None:
    config = as_json(TINY)
    del config["stages"][1]["data"][0]["root"]
    with pytest.raises(ConfigError, match=r"^stages\.1\.data\.0\.root: expected a value, found none$"):
        from_json(config)
    with pytest.raises(ConfigError, match=r"^configuration: expected Experiment, got \[\]$"):
        from_json([])


def test_structures_of_different_length_are_counted_not_printed() -> None:
    one, two = {"stages": [{"a": 1}], "losses": {"x": 1.0}}, {"stages": [{"a": 1}, {"a": 2}], "losses": {"y": 1.0}}
    assert list(differences(one, two)) == [
        "stages: 1 of them there, 2 of them here",
        "losses.x: 1.0 there, None here",
        "losses.y: None there, 1.0 here",
    ]


def test_at_most_ten_are_listed() -> None:
    numbers = [f"{number}" for number in range(12)]
    assert first_few(numbers[:10], DIFFERENCES) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9"
    assert first_few(numbers, DIFFERENCES) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more"


STAGE = Stage(
    "all",
    (Data("lsp_extended", "here", "all", limit=5),),
    Budget(samples=8),
    {"heatmap_cross_entropy": 1.0, "depth_l1": 0.0},
    schedule=Schedule("step", (0.5,), warmup=0.1),
    freeze_stride=4,
    input_size=(64, 64),
)
#: Whatever may be left out is given, but for a budget's other units.
EVERYTHING = Experiment(
    "everything",
    ModelConfig(weights="pip"),
    (STAGE, STAGE),
    (Validation("p", "here", "d", "s", 9),),
    start_from="shipped",
)


def other(name: str, value: Any) -> Experiment:
    """:data:`EVERYTHING` but for one value, which may stand in a list: ``stages.1.data.0.limit``."""

    def changed(config: Any, path: list[str]) -> Any:
        if not path:
            return value
        first, *rest = path
        if isinstance(config, tuple):
            return tuple(changed(part, rest) if number == int(first) else part for number, part in enumerate(config))
        if isinstance(config, dict):
            return {**config, first: changed(config[first], rest)}
        return replace(config, **{first: changed(getattr(config, first), rest)})

    return changed(EVERYTHING, name.split("."))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("batch_size", 0, ">= 1, got 0"),
        ("batch_size", "32", ">= 1, got '32'"),
        ("micro_batch_size", 0, ">= 1, got 0"),
        ("micro_batch_size", -4, ">= 1, got -4"),
        ("micro_batch_size", 5, "a divisor of batch_size 32, got 5"),
        ("micro_batch_size", 64, "a divisor of batch_size 32, got 64"),
        ("stages.0.optimiser.backbone_factor", 0.0, "> 0, got 0.0"),
        ("stages.1.optimiser.backbone_factor", -0.1, "> 0, got -0.1"),
        ("stages.1.optimiser.backbone_factor", float("nan"), "> 0, got nan"),
        ("stages.1.optimiser.backbone_factor", float("inf"), "a finite number, got inf"),
        ("seed", -1, "0 to 2**63 - 1, got -1"),
        ("seed", 2**63, "0 to 2**63 - 1, got 9223372036854775808"),
        ("workers", -1, ">= 0, got -1"),
        ("average_decay", 2, "0 to 1, got 2"),
        ("precision", "fp8", "one of no, bf16, fp16, got 'fp8'"),
        ("model.sigma", 0.0, "> 0, got 0.0"),
        ("model.input_size.1", 0, ">= 1, got 0"),
        ("model.head.channels", 0, ">= 1, got 0"),
        ("model.head.heatmap", "ce", "one of mse, cross_entropy, got 'ce'"),
        ("augment.scale", 1.0, "0 to less than 1, got 1.0"),
        ("augment.occluder_size", 1.5, "0 to 1, got 1.5"),
        ("stages.0.optimiser.learning_rate", -1, "> 0, got -1"),
        ("stages.1.optimiser.learning_rate", float("nan"), "> 0, got nan"),
        ("stages.1.optimiser.learning_rate", float("inf"), "a finite number, got inf"),
        ("stages.1.optimiser.name", "adamax", "one of adamw, adam, sgd, got 'adamax'"),
        ("stages.1.optimiser.clip_norm", 0.0, "> 0, got 0.0"),
        ("stages.1.schedule.factor", 0, "> 0, got 0"),
        ("stages.1.budget", Budget(epochs=float("inf")), None),
        ("stages.1.freeze_stride", 0, ">= 1, got 0"),
        ("stages.1.data.0.limit", -3, ">= 1, got -3"),
        ("stages.1.data.0.weight", -0.5, ">= 0, got -0.5"),
        ("stages.1.losses.depth_l1", -1.0, ">= 0, got -1.0"),
        ("validation.0.limit", 0, ">= 1, got 0"),
    ],
)
def test_a_value_that_cannot_be_trained_with_is_named(name: str, value: Any, expected: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        require_trainable(other(name, value))
    line = f"{name}: expected {expected}" if expected else f"{name}.epochs: expected a finite number, got inf"
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("stages", (), "stages: expected at least one"),
        ("stages.1.losses", {}, "stages.1.losses: expected a loss with a weight > 0"),
        ("stages.1.losses.heatmap_cross_entropy", 0.0, "stages.1.losses: expected a loss with a weight > 0"),
        ("stages.0.data", (), "stages.0.data: expected a data set with a weight > 0"),
        ("stages.0.data.0.weight", 0, "stages.0.data: expected a data set with a weight > 0"),
    ],
)
def test_what_nothing_would_be_learnt_from_is_named(name: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        require_trainable(other(name, value))
    assert str(caught.value) == says


def test_the_ends_of_ranges_can_be_trained_with() -> None:
    assert require_trainable(EVERYTHING) is None  # type: ignore[func-returns-value]
    nothing_random = AugmentConfig(**dict.fromkeys(AugmentConfig.__dataclass_fields__, 0.0))
    for name, value in {
        "micro_batch_size": 32,
        "augment": nothing_random,
        "average_decay": None,
        "workers": 0,
        "seed": 2**63 - 1,
    }.items():
        require_trainable(other(name, value))
    require_trainable(other("stages.1.optimiser", Optimiser("sgd", 1e-30, 0.0, 0.0, None)))


def test_every_number_and_every_choice_has_a_limit() -> None:
    """A field that is new must say what it may hold."""
    numbers = {field_of(name) for name, value in values(EVERYTHING) if not isinstance(value, (str, bool))}
    stage = EVERYTHING.stages[0]
    configs = [EVERYTHING, EVERYTHING.model, HeadConfig(), stage, stage.optimiser, stage.schedule, *stage.data]
    assert all(map(is_dataclass, configs))
    choices = [hint for one in configs for hint in get_type_hints(type(one)).values() if get_origin(hint) is Literal]
    limits = dict(ranges(Experiment))
    named = {name for name, limit in limits.items() if isinstance(limit, Choice)}
    assert numbers | named == limits.keys()
    assert len(named) == len(choices)


def test_what_the_repository_trains_can_be_trained() -> None:
    for name in RECIPES:
        require_trainable(build(name, Sources(("mpii", "coco"), ("h36m", "synthetic_wild"))))
    found = sorted(Path(__file__).parents[1].glob("studies/*/study.py"))
    assert len(found) >= 4
    for path in found:
        study = load_study(str(path))
        for cell in cells(study):
            require_trainable(experiment_of(study, cell))
