"""Budgets to steps by hand, and FLOPs that can be counted on paper."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from headstart.budget import Budget, training_flops
from headstart.errors import ConfigError
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.records import PoseOutput


class OneConvolution(nn.Module):
    """3 -> 8 channels, 3x3, same size, heatmaps only."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, image: Tensor) -> PoseOutput:
        return PoseOutput(self.convolution(image.float()))


class Convolutions(nn.Module):
    """Layers one after another, their result taken for heatmaps."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> PoseOutput:
        return PoseOutput(self.layers(image.float()))


class Loose(OneConvolution):
    """Its scale is a plain tensor, which no device is told to take along."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.ones(8, 1, 1)

    def forward(self, image: Tensor) -> PoseOutput:
        return PoseOutput(self.convolution(image.float()) * self.scale)


class Deciding(OneConvolution):
    """Its code depends on values."""

    def forward(self, image: Tensor) -> PoseOutput:
        maps = self.convolution(image.float())
        return PoseOutput(maps if maps.mean().item() > 0 else -maps)


def forward_flops(model: nn.Module, input_size: tuple[int, int]) -> float:
    """FLOPs of one image's forward pass, by torch's own formulas; ``input_size`` (width, height) px."""
    two = torch.zeros(2, 3, *reversed(input_size), dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(model).to("meta")(two)
    return counter.get_total_flops() / 2


class TestBudget:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"samples": 1, "epochs": 1.0},
            {"samples": 0},
            {"flops": -1.0},
            {"seconds": 0.0},
            {"flops": 1, "seconds": 1},
        ],
    )
    def test_exactly_one_field_above_zero(self, fields: dict[str, float]):
        with pytest.raises(ConfigError, match="exactly one of samples, epochs, flops, seconds"):
            Budget(**fields)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("samples", "steps"), [(64, 2), (79, 2), (81, 3), (1, 1), (3200, 100)])
    def test_samples_are_rounded_to_the_nearest_step_and_at_least_one(self, samples: int, steps: int):
        assert Budget(samples=samples).steps(32, 1000, 1e9) == steps

    def test_epochs_are_times_the_number_of_people(self):
        assert Budget(epochs=1.5).steps(32, 640, 1e9) == 30

    def test_flops_are_divided_by_those_of_a_sample(self):
        assert Budget(flops=6.4e12).steps(32, 1000, 1e10) == 20

    def test_seconds_have_no_steps(self):
        assert Budget(seconds=60).steps(32, 1000, 1e9) is None

    def test_two_units_of_one_budget_agree(self):
        budgets = [Budget(samples=6400), Budget(epochs=10), Budget(flops=6400 * 7e9)]
        assert {budget.steps(32, 640, 7e9) for budget in budgets} == {200}


class TestFlops:
    def test_one_convolution_by_hand(self):
        """16 x 12 pixels x 8 outputs x 27 inputs, 2 per multiply-add, one image."""
        forward = 2 * 16 * 12 * 8 * 27
        # Backward: the weight's gradient costs as much again, the image asks for none.
        assert training_flops(OneConvolution(), (16, 12)) == 2 * forward

    @pytest.mark.parametrize(
        ("layer", "forward"),
        [
            # 8 x 6 outputs, 16 channels of 3 x 3 x 16 inputs.
            (nn.Conv2d(16, 16, 3, padding=1), 2 * 48 * 16 * 9 * 16),
            # Depthwise: each of the 16 channels sees only itself.
            (nn.Conv2d(16, 16, 3, padding=1, groups=16), 2 * 48 * 16 * 9),
            # Four groups of 4 to 8 channels; half the size: 4 x 3 outputs of 32 channels.
            (nn.Conv2d(16, 32, 3, stride=2, padding=1, groups=4), 2 * 12 * 32 * 9 * 4),
            # Transposed: each of the 8 x 6 x 16 inputs spreads over 4 x 4 x 8 outputs, 4 of the 8 in two groups.
            (nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), 2 * 48 * 16 * 16 * 8),
            (nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1, groups=2), 2 * 48 * 16 * 16 * 4),
        ],
    )
    def test_each_gradient_of_a_convolution_costs_its_forward_pass(self, layer: nn.Module, forward: int):
        first = 2 * 48 * 16 * 3
        model = Convolutions(nn.Conv2d(3, 16, 1), layer)
        # The first convolution asks for the gradient of its weight only, the second for that of its input too.
        assert training_flops(model, (8, 6)) == 2 * first + 3 * forward

    def test_a_depthwise_backbone_costs_about_three_times_inference(self):
        model = PoseNet(ModelConfig(backbone="efficientnet_lite0", head=HeadConfig(channels=32), input_size=(64, 64)))
        assert 2.7 < training_flops(model, (64, 64)) / forward_flops(model, (64, 64)) < 3

    def test_training_a_convolutional_net_costs_three_times_inference(self):
        """A little less: the first convolution needs no gradient of its input."""
        model = PoseNet(ModelConfig(backbone="nano", head=HeadConfig(channels=32), input_size=(64, 64)))
        ratio = training_flops(model, (64, 64)) / forward_flops(model, (64, 64))
        assert 2.7 < ratio < 3

    def test_counts_the_depth_maps_and_integral_volumes_of_heads(self):
        """A 1x1 convolution of 16 x 16 x 8 -> 18 maps, twice; 18 volumes of 64 cells."""
        shape = {"backbone": "nano", "input_size": (64, 64)}
        heatmaps = PoseNet(ModelConfig(**shape, head=HeadConfig(channels=8)))  # type: ignore[arg-type]
        integral = PoseNet(ModelConfig(**shape, head=HeadConfig(kind="integral", channels=8)))  # type: ignore[arg-type]
        difference = training_flops(integral, (64, 64)) - training_flops(heatmaps, (64, 64))
        assert difference == 3 * 2 * 16 * 16 * 8 * 18 * (64 - 2)

    def test_counting_changes_nothing(self):
        model = PoseNet(ModelConfig(backbone="nano", head=HeadConfig(channels=8), input_size=(64, 64))).eval()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        training_flops(model, (64, 64))
        assert not any(module.training for module in model.modules())
        assert all(parameter.grad is None for parameter in model.parameters())
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

    @pytest.mark.parametrize("model", [Loose(), Deciding()])
    def test_a_network_that_must_be_computed_is_refused(self, model: nn.Module):
        with pytest.raises(
            ConfigError, match=r"^FLOPs of this network .* \(.*meta.*\): its tensors must be .*register_b"
        ):
            training_flops(model, (10, 6))
