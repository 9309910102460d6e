"""Schedules, averaged weights and what is decayed: by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.errors import ConfigError
from headstart.optimisation import (
    AveragedWeights,
    Optimiser,
    Schedule,
    build_optimiser,
    set_learning_rate,
)

quick = settings(max_examples=40)


class TestSchedule:
    def test_the_published_steps(self):
        """Zhou 2017, stage 1: of 140 epochs, drops at 90 and 120."""
        schedule = Schedule("step", milestones=(90 / 140, 120 / 140))
        factors = [schedule.factor_at(epoch / 140) for epoch in (0, 89, 90, 119, 120, 139, 140)]
        assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])

    def test_a_factor_of_ones_own(self):
        assert Schedule("step", milestones=(0.5,), factor=0.3).factor_at(0.75) == pytest.approx(0.3)

    def test_cosine_by_hand(self):
        factors = [Schedule("cosine").factor_at(progress) for progress in (0, 1 / 3, 0.5, 1)]
        assert factors == pytest.approx([1, 0.75, 0.5, 0])

    @pytest.mark.parametrize("kind", ["constant", "step", "cosine"])
    def test_warm_up_is_linear_from_zero_and_meets_the_full_rate(self, kind: str):
        schedule = Schedule(kind, warmup=0.2)  # type: ignore[arg-type]
        assert [schedule.factor_at(p) for p in (0, 0.05, 0.1, 0.2)] == pytest.approx([0, 0.25, 0.5, 1])

    def test_cosine_after_warm_up_spans_what_is_left(self):
        assert Schedule("cosine", warmup=0.2).factor_at(0.6) == pytest.approx(0.5)
        assert Schedule("cosine", warmup=0.2).factor_at(1) == pytest.approx(0)

    def test_constant_is_constant(self):
        assert {Schedule("constant").factor_at(progress / 10) for progress in range(11)} == {1.0}

    @quick
    @given(st.floats(0, 0.9), st.floats(0, 1), st.floats(0, 1))
    def test_cosine_never_rises_after_warm_up_and_stays_in_bounds(self, warmup: float, first: float, second: float):
        schedule = Schedule("cosine", warmup=warmup)
        early, late = sorted(warmup + (1 - warmup) * share for share in (first, second))
        assert 0 <= schedule.factor_at(min(late, 1)) <= schedule.factor_at(early) + 1e-12 <= 1 + 1e-11

    @pytest.mark.parametrize(
        "fields", [{"milestones": (0.9, 0.5)}, {"milestones": (90.0, 120.0)}, {"warmup": 1.0}, {"warmup": -0.1}]
    )
    def test_epochs_instead_of_shares_are_refused(self, fields: dict[str, object]):
        with pytest.raises(ConfigError, match=r"shares in 0\.\.1, milestones ascending"):
            Schedule("step", **fields)  # type: ignore[arg-type]


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


class TestOptimiser:
    @pytest.mark.parametrize(("name", "kind"), [("adamw", "AdamW"), ("adam", "Adam"), ("sgd", "SGD")])
    def test_kind_rate_and_decay_of_weights_alone(self, name: str, kind: str):
        model = small_net()
        config = Optimiser(name, learning_rate=0.3, weight_decay=0.2, momentum=0.7)  # type: ignore[arg-type]
        optimiser = build_optimiser(config, model)
        assert type(optimiser).__name__ == kind
        decayed, free = optimiser.param_groups
        assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3, 3, 3), (2, 4, 1, 1)]
        assert len(free["params"]) == 4  # two biases, two of the norm
        assert (decayed["weight_decay"], free["weight_decay"]) == (0.2, 0)
        assert {group["lr"] for group in optimiser.param_groups} == {0.3}
        assert optimiser.param_groups[0].get("momentum", 0.7) == 0.7

    def test_frozen_parameters_are_left_out(self):
        model = small_net()
        model[0].requires_grad_(False)  # type: ignore[index]
        groups = build_optimiser(Optimiser(), model).param_groups
        assert sum(len(group["params"]) for group in groups) == 4

    def test_the_backbone_has_a_rate_of_its_own_and_the_same_decay(self):
        """A tenth of whatever the others have; frozen parameters stay left out."""
        model = nn.Module()
        model.backbone, model.head = small_net(), nn.Conv2d(2, 5, 1)
        model.backbone[0].requires_grad_(False)
        optimiser = build_optimiser(Optimiser(learning_rate=0.5, weight_decay=0.2, backbone_factor=0.1), model)
        groups = optimiser.param_groups
        assert [[tuple(p.shape) for p in group["params"]] for group in groups] == [
            [(5, 2, 1, 1)],
            [(5,)],
            [(2, 4, 1, 1)],
            [(4,), (4,), (2,)],
        ]
        assert [group["weight_decay"] for group in groups] == [0.2, 0, 0.2, 0]
        assert [group["lr"] for group in groups] == pytest.approx([0.5, 0.5, 0.05, 0.05])
        set_learning_rate(optimiser, 2.0)
        assert [group["lr"] for group in groups] == pytest.approx([2.0, 2.0, 0.2, 0.2])

    def test_a_rate_for_a_backbone_that_is_frozen(self):
        model = nn.Module()
        model.backbone, model.head = small_net().requires_grad_(False), nn.Linear(1, 1)
        optimiser = build_optimiser(Optimiser("sgd", 0.1, momentum=0.0, weight_decay=0.0, backbone_factor=0.1), model)
        nn.init.constant_(model.head.weight, 2.0)
        model.head(torch.ones(1, 1)).sum().backward()
        optimiser.step()
        assert model.head.weight.item() == pytest.approx(1.9)

    def test_sgd_step_by_hand(self):
        """Weight 2 with gradient 1 and decay 0.5 at rate 0.1: 2 - 0.1 * (1 + 0.5 * 2); a bias does not decay."""
        model = nn.Linear(1, 1)
        nn.init.constant_(model.weight, 2.0)
        nn.init.constant_(model.bias, 2.0)
        optimiser = build_optimiser(Optimiser("sgd", learning_rate=5.0, weight_decay=0.5), model)
        set_learning_rate(optimiser, 0.1)
        model(torch.ones(1, 1)).sum().backward()
        optimiser.step()
        assert (model.weight.item(), model.bias.item()) == pytest.approx((1.8, 1.9))


class TestAveragedWeights:
    def test_warm_up_by_hand(self):
        """After step 1 the old share is 2/11, after step 2 it is 3/12; from then on as small as they stay."""
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 0.0)
        average = AveragedWeights(model, decay=0.999)
        nn.init.constant_(model.weight, 11.0)
        average.update(model, 1)
        assert average.tensors["weight"].item() == pytest.approx(9.0)
        nn.init.constant_(model.weight, 1.0)
        average.update(model, 2)
        assert average.tensors["weight"].item() == pytest.approx(9 * 0.25 + 1 * 0.75)

    def test_the_decay_is_capped(self):
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 0.0)
        average = AveragedWeights(model, decay=0.5)
        nn.init.constant_(model.weight, 1.0)
        average.update(model, 10_000)  # (1 + n) / (10 + n) is 0.999 by now
        assert average.tensors["weight"].item() == pytest.approx(0.5)

    def test_running_statistics_are_averaged_and_counters_copied(self):
        model = nn.BatchNorm2d(2)
        average = AveragedWeights(model, decay=0.999)
        model.train()(torch.full((3, 2, 4, 4), 11.0))  # running mean 1.1
        model(torch.full((3, 2, 4, 4), 0.0))  # running mean 0.99
        average.update(model, 1)
        assert average.tensors["num_batches_tracked"].item() == 2
        assert average.tensors["num_batches_tracked"].dtype == torch.int64
        torch.testing.assert_close(average.tensors["running_mean"], torch.full((2,), 0.99 * 9 / 11))

    def test_is_a_copy_and_loads_back_into_the_model(self):
        model = small_net()
        average = AveragedWeights(model, decay=0.9)
        before = model[0].weight.detach().clone()  # type: ignore[index]
        with torch.no_grad():
            model[0].weight += 1  # type: ignore[index]
        assert torch.equal(average.tensors["0.weight"], before)
        model.load_state_dict(average.tensors)
        assert torch.equal(model[0].weight, before)  # type: ignore[index]

    def test_asks_for_no_gradient(self):
        average = AveragedWeights(small_net(), decay=0.9)
        average.update(small_net(), 1)
        assert not any(tensor.requires_grad for tensor in average.tensors.values())
