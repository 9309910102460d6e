"""The detector's network: shapes, and what its numbers mean."""

from __future__ import annotations

import pytest
import torch

from headstart.models.person_detector_net import MULTIPLE, STRIDE, PeopleMaps, PersonDetectorNet


@pytest.fixture(scope="module")
def network() -> PersonDetectorNet:
    torch.manual_seed(0)
    return PersonDetectorNet().eval()


@pytest.mark.parametrize(("height", "width"), [(64, 96), (MULTIPLE, MULTIPLE), (96, 32)])
@torch.no_grad()
def test_maps_are_an_eighth_of_the_picture(network: PersonDetectorNet, height: int, width: int) -> None:
    maps = network(torch.zeros(2, 3, height, width, dtype=torch.uint8))
    assert maps.heat.shape == (2, height // STRIDE, width // STRIDE)
    assert maps.sides.shape == (2, 4, height // STRIDE, width // STRIDE)
    assert (maps.sides > 0).all()


@torch.no_grad()
def test_an_untrained_network_sees_nobody(network: PersonDetectorNet) -> None:
    heat = network(torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)).heat
    assert heat.sigmoid().max() < 0.1


@torch.no_grad()
def test_a_picture_of_a_batch_is_what_it_is_alone(network: PersonDetectorNet) -> None:
    pictures = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(network(pictures).sides[1:2], network(pictures[1:2]).sides)


def test_a_cell_tells_of_a_box_around_its_middle() -> None:
    """The cell in column 2 of row 1 has its middle at (20, 12)."""
    sides = torch.ones(1, 4, 3, 4)
    sides[0, :, 1, 2] = torch.tensor([15.0, 5.0, 30.0, 40.0])
    assert PeopleMaps(torch.zeros(1, 3, 4), sides).corners()[0, :, 1, 2].tolist() == [5, 7, 50, 52]


def test_every_parameter_learns(network: PersonDetectorNet) -> None:
    torch.manual_seed(0)
    fresh = PersonDetectorNet()
    maps = fresh(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    (maps.heat.square().sum() + maps.sides.log().square().sum()).backward()
    assert [name for name, one in fresh.named_parameters() if one.grad is None or not one.grad.any()] == []
