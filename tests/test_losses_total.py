"""The reduction of losses: what has no label is not looked at, whatever its value."""

from __future__ import annotations

import math
import re

import pytest
import torch

from headstart.errors import ConfigError
from headstart.losses import LOSSES, total
from headstart.records import PoseOutput, Targets
from headstart.skeleton import MPII_16

NOTHING = torch.zeros(3)
TARGETS = Targets(None, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, (1, 1), MPII_16)


def test_a_value_that_is_no_number_counts_for_nothing_where_there_is_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """(1 x 2 + 3 x 4) / (1 + 3), beside a value of weight 0."""
    values, weights = torch.tensor([math.nan, 2.0, 4.0]), torch.tensor([0.0, 1.0, 3.0])
    monkeypatch.setitem(LOSSES, "heatmap_mse", lambda output, targets: (values, weights))
    loss, parts = total(PoseOutput(torch.zeros(3)), TARGETS, {"heatmap_mse": 2.0})
    assert loss.item() == 7.0
    assert parts["heatmap_mse"].item() == 3.5


def test_a_loss_whose_weights_are_not_those_of_its_values_is_not_spread_over_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One mean for two people would count twice; one weight a person would count for each of the joints."""
    for values, weights in ((torch.tensor(3.0), torch.ones(2, 18)), (torch.ones(2, 18), torch.ones(2, 1))):
        monkeypatch.setitem(LOSSES, "own", lambda output, targets, both=(values, weights): both)
        found = f"{tuple(values.shape)} and {tuple(weights.shape)}"
        expected = f"loss own: expected values and weights of one shape (B, ...), got {found}"
        with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
            total(PoseOutput(torch.zeros(3)), TARGETS, {"own": 1.0})
