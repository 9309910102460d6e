"""Maps of one pixel, or one pixel wide: what a deep backbone makes of a small crop."""

from __future__ import annotations

import torch

from headstart.targets import read_maps


def test_a_map_of_one_pixel_is_that_pixel_everywhere() -> None:
    points = torch.tensor([[[0.0, 0.0]], [[0.4, -3.0]], [[7.0, 0.5]]])
    maps = torch.tensor([5.0, 6.0, 7.0]).view(3, 1, 1, 1)
    assert read_maps(maps, points).tolist() == [[5.0], [6.0], [7.0]]


def test_a_map_of_one_column_or_row_is_read_along_it() -> None:
    values = torch.tensor([1.0, 3.0, 7.0])
    across, down = torch.tensor([[[1.25, 0.7]]]), torch.tensor([[[0.7, 1.25]]])
    assert read_maps(values.view(1, 1, 1, 3), across).tolist() == [[4.0]]
    assert read_maps(values.view(1, 1, 3, 1), down).tolist() == [[4.0]]
