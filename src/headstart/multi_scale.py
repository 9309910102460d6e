"""Multi-scale testing: the mean of a network's outputs for an image at several scales.

Each image is resampled about its middle, and the outputs are put back onto the grid of the unscaled image, so that
whatever reads one output, the flip test among it, can read the mean. benchmarks/zooms.py measures the gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from headstart.argument_checks import is_single_scale
from headstart.records import PoseOutput
from headstart.targets import average_outputs

Forward = Callable[[Tensor], PoseOutput]


def multi_scale(forward: Forward, map_size: tuple[int, int], scales: Sequence[float]) -> Forward:
    """``forward`` at several ``scales``: the mean of its outputs, in the frame of the images that it is given.

    A scale above 1 enlarges the person. The mean of heatmaps that are logits is that of log probabilities, up to a
    constant. ``map_size``: (h, w) px of the maps, or of the grid that coordinates are in.
    """
    if is_single_scale(scales):
        return forward

    def averaged(images: Tensor) -> PoseOutput:
        outputs = [_unscaled(forward(_scaled_images(images, scale)), scale, map_size) for scale in scales]
        return average_outputs(*outputs)

    return averaged


def scaled(maps: Tensor, scale: float) -> Tensor:
    """Images or maps (B, C, H, W), float, enlarged about their middle by ``scale``; the border is repeated."""
    if scale == 1:
        return maps
    matrix = maps.new_tensor([[1 / scale, 0.0, 0.0], [0.0, 1 / scale, 0.0]]).expand(len(maps), 2, 3)
    grid = affine_grid(matrix, list(maps.shape), align_corners=False)
    return grid_sample(maps, grid, padding_mode="border", align_corners=False)


def _scaled_images(images: Tensor, scale: float) -> Tensor:
    """Images (B, 3, H, W) uint8, as exported networks take them."""
    return images if scale == 1 else scaled(images.float(), scale).round().clamp(0, 255).to(images.dtype)


def _unscaled(output: PoseOutput, scale: float, map_size: tuple[int, int]) -> PoseOutput:
    """The output for a scaled image, as one for the image: also depths, which are in widths of the crop."""
    if scale == 1:
        return output
    heatmaps, depth_maps, coordinates = output.heatmaps, output.depth_maps, output.coordinates
    return PoseOutput(
        heatmaps=None if heatmaps is None else scaled(heatmaps.float(), 1 / scale),
        depth_maps=None if depth_maps is None else scaled(depth_maps.float(), 1 / scale) / scale,
        coordinates=None if coordinates is None else _unscaled_points(coordinates.float(), scale, map_size),
        confidence=output.confidence,
        is_logits=output.is_logits,
    )


def _unscaled_points(points: Tensor, scale: float, map_size: tuple[int, int]) -> Tensor:
    """x, y map px and depth (B, J, 3); the middle of the map, in pixel centres, stays where it is."""
    height, width = map_size
    middle = points.new_tensor([(width - 1) / 2, (height - 1) / 2, 0.0])
    return (points - middle) / scale + middle
