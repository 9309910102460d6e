"""Whether a run that goes on is the same run, and what a message says that it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.errors import ConfigError, first_few
from headstart.experiment import DIFFERENCES, Experiment, as_json, differences, require_same
from headstart.loader import Data
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
