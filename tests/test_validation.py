"""Scoring that is tried before a run, so that nothing is missing after hours."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headstart import validation
from headstart.errors import ConfigError, DataError
from headstart.evaluate import score
from headstart.experiment import Stage, Validation
from headstart.index import AnnotationIndex, open_index
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import PoseNet
from headstart.predictions import Predictions
from headstart.preparation import stage_codec
from headstart.protocols import Protocol, protocol
from headstart.results import Scores
from headstart.skeleton import BODY_18, CANONICAL, MPII_16, WITH_FEET
from headstart.validation import OpenValidation, names_of, rehearse, rehearse_stages, scored_labels, validate
from stick_synthetic import write_synthetic
from tiny import BOTH, MODEL, experiment, mpjpe_of, pck_of, stage_2d, three_stages


def test_what_can_be_scored_passes(
    stick_people_2d: Path, stick_people_3d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is what was tried: every protocol, on its people or as many as its limit lets through."""
    tried: list[tuple[str, int]] = []

    def scored(made_up: Predictions, index: AnnotationIndex, wanted: Protocol, rows: NDArray[np.int64]) -> Scores:
        result = score(made_up, index, wanted, rows)
        tried.append((result.protocol, result.n))
        return result

    monkeypatch.setattr(validation, "score", scored)
    checks = (mpjpe_of(stick_people_3d), pck_of(stick_people_2d), Validation("h36m_zhou2017", str(stick_people_3d)))
    rehearse(experiment(stage_2d(stick_people_2d), validation=checks), BODY_18)
    rehearse(experiment(stage_2d(stick_people_2d), validation=(replace(checks[1], limit=3), checks[2])), MPII_16)
    rehearse(experiment(stage_2d(stick_people_2d)), BODY_18)
    whole = [("h36m_standard", 6), ("lsp_extended_pck on lsp_extended all", 20), ("h36m_zhou2017", 6)]
    assert tried == [*whole, (whole[1][0], 3), whole[2]]


def test_what_is_missing_is_named(stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path) -> None:
    def tried(check: Validation) -> None:
        rehearse(experiment(stage_2d(stick_people_2d), validation=(check,)), MPII_16)

    with pytest.raises(
        ConfigError, match=r"^lsp_\w+ on lsp_extended all cannot .*nowhere/joints\.mat: .* --unscored lsp_extended$"
    ):
        tried(pck_of(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="does not predict spine, nose"):
        tried(mpjpe_of(stick_people_3d))
    # Heads' sizes, which only MPII's own labels have.
    with pytest.raises(DataError, match="labels that protocol mpii_pckh on lsp_extended all scores, found none"):
        tried(Validation("mpii_pckh", str(stick_people_2d), dataset="lsp_extended", split="all"))


def test_labels_that_are_scored_are_those_of_the_protocols_joints(tmp_path: Path) -> None:
    """Feet of synthetic people count where feet are scored."""
    body, feet = protocol("lsp_pck"), protocol("coco_feet_pck")
    found = []
    for one in (WITH_FEET, CANONICAL):
        index = open_index("synthetic_wild", write_synthetic(tmp_path / one.name, one), "train")
        found.append(scored_labels([OpenValidation(wanted.name, wanted, index, None) for wanted in (body, feet)]))
    with_feet, without = found
    assert list(with_feet) == ["lsp_pck", "coco_feet_pck"]
    assert with_feet["lsp_pck"] == without["lsp_pck"] == index.digest(CANONICAL.names)
    assert with_feet["coco_feet_pck"] != without["coco_feet_pck"] == index.digest(WITH_FEET.names)


def test_nobody_is_scored_who_is_trained_on(stick_people_3d: Path) -> None:
    """Unless the split that is trained on is named itself, to see what a network knows by heart."""
    stage = stage_2d(stick_people_3d)
    known = replace(stage, data=(replace(stage.data[0], dataset="h36m_s11", split="train"),))
    with pytest.raises(
        ConfigError, match=r"^h36m_standard scores people who are trained on: Human3\.6M S9\. Train on h36m"
    ):
        rehearse(experiment(known, validation=(mpjpe_of(stick_people_3d),)), BODY_18)
    own = Validation("h36m_standard", str(stick_people_3d), split="train")
    of_h36m = replace(stage, data=(replace(stage.data[0], dataset="h36m", split="train"),))
    rehearse(experiment(of_h36m, validation=(own, mpjpe_of(stick_people_3d))), BODY_18)


def rehearsed(*stages: Stage, head: HeadConfig = MODEL.head) -> PoseNet:
    network = PoseNet(replace(MODEL, head=head))
    rehearse_stages(experiment(*stages), network, [stage_codec(network, stage) for stage in stages])
    return network


def test_stages_that_can_be_trained_pass_and_leave_the_network_as_it_was() -> None:
    torch.manual_seed(0)
    fresh, state = PoseNet(MODEL), torch.get_rng_state()
    torch.manual_seed(0)
    first, second, third = three_stages(Path(), Path(), 4)
    network = rehearsed(first, replace(second, freeze_stride=4, input_size=(32, 32)), third)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad for parameter in network.parameters())
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name
    both = {"heatmap_mse": 1.0, "depth_l1": 0.1}
    rehearsed(replace(first, losses=both), head=replace(MODEL.head, heatmap="mse"))
    rehearsed(replace(first, losses={"integral_l1": 1.0}), head=replace(MODEL.head, kind="integral"))


def test_what_came_frozen_stays_frozen() -> None:
    network = PoseNet(MODEL)
    first = next(network.backbone.parameters()).requires_grad_(False)
    stage = replace(stage_2d(Path()), freeze_stride=4)
    rehearse_stages(experiment(stage), network, [stage_codec(network, stage)])
    assert [parameter for parameter in network.parameters() if not parameter.requires_grad] == [first]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"losses": {**BOTH, "depth_l2": 1.0}}, "unknown loss depth_l2; known: heatmap_mse, "),
        ({"losses": {"integral_l1": 1.0}}, "loss integral_l1 needs an integral head; set --model.head.kind integral"),
        ({"losses": {"heatmap_mse": 1.0}}, "loss heatmap_mse needs maps of values, not logits: set --model.head.heatm"),
        ({"freeze_stride": 1}, "freeze_stride 1: the backbone has no layer at that stride"),
    ],
)
def test_a_stage_that_cannot_be_trained_is_named(fields: dict[str, Any], says: str) -> None:
    stage = stage_2d(Path())
    with pytest.raises(ConfigError, match=f"^{re.escape(f'stages.1: {says}')}"):
        rehearsed(stage, replace(stage, **fields))


@pytest.mark.parametrize(("micro", "expected"), [(None, 6), (2, 2)])
def test_a_process_predicts_as_many_at_a_time_as_it_trains_on(
    stick_people_2d: Path, monkeypatch: pytest.MonkeyPatch, micro: int | None, expected: int
) -> None:
    """A batch of 12 for two processes; its memory has no room for the batch of both."""
    seen: list[int] = []

    def predict(*given: Any, batch_size: int, **named: Any) -> Any:
        seen.append(batch_size)
        raise KeyError

    monkeypatch.setattr(validation, "predict", predict)
    plan = experiment(
        stage_2d(stick_people_2d), validation=(pck_of(stick_people_2d),), batch_size=12, micro_batch_size=micro
    )
    network = PoseNet(MODEL)
    of_two: Any = SimpleNamespace(num_processes=2, process_index=1, device="cpu", autocast=nullcontext)
    with pytest.raises(KeyError):
        validate(plan, rehearse(plan, BODY_18), network, network.codec, None, of_two, final=False)
    assert seen == [expected]


def test_validations_of_one_protocol_have_names_of_their_own() -> None:
    """By data set and split; two may differ in their folder alone."""
    first, other = pck_of(Path("here")), pck_of(Path("there"))
    name = "lsp_extended_pck on lsp_extended all"
    names = [name, "h36m_standard", f"{name} (validation.2)", f"{name} (validation.3)"]
    assert names_of([first, mpjpe_of(Path("here")), other, first]) == names
    carried = [replace(first, dataset=f"mylab.{lab}", split=None) for lab in ("lab", "lab2")]
    own = replace(first, split=None)
    names = ["lsp_extended_pck", "lsp_extended_pck on mylab.lab val", "lsp_extended_pck on mylab.lab2 val"]
    assert names_of([own, *carried]) == names
