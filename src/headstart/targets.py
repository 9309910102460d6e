"""Joints to targets and maps back to joints: one object, so that the round trip can be tested.

Everything is batched, on the device of the points, and done by the training process, not by the loader's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from headstart.records import Batch, Decoded, PoseOutput, Targets
from headstart.skeleton import Skeleton

Decoding = Literal["subpixel", "argmax"]

#: How many times as wide the Gaussian of a joint outside the map is: a network that has learnt it as logits has a
#: confidence of an eighth there, or a quarter in a corner.
OUTSIDE = 4.0


@dataclass(frozen=True)
class HeatmapCodec:
    """Crop pixels <-> heatmaps and depths.

    ``input_size`` (width, height) of the crop in px; ``stride`` crop px per heatmap px; ``sigma`` of the Gaussian
    in heatmap px (2 as published). Pixel centres are integers on both grids: heatmap = (crop + 0.5) / stride - 0.5.
    """

    skeleton: Skeleton
    input_size: tuple[int, int]
    stride: int = 4
    sigma: float = 2.0

    @property
    def map_size(self) -> tuple[int, int]:
        """(h, w) of the maps."""
        return self.input_size[1] // self.stride, self.input_size[0] // self.stride

    def to_map(self, crop_pixels: Tensor) -> Tensor:
        """Crop px (..., 2) -> heatmap px."""
        return (crop_pixels + 0.5) / self.stride - 0.5

    def to_crop(self, map_pixels: Tensor) -> Tensor:
        """Heatmap px (..., 2) -> crop px."""
        return (map_pixels + 0.5) * self.stride - 0.5

    def encode(self, batch: Batch, heatmaps: bool = True) -> Targets:
        """Targets of a batch; without ``heatmaps`` these are None. Joints outside the map get weight 0, and the weight
        that they lose is ``weight_outside``.

        Targets are finite also where there is no label, whatever the batch holds there: weight 0 makes a loss 0, but
        in its gradient 0 * NaN would be NaN.
        """
        points = self.to_map(torch.where(batch.weight_2d[..., None] > 0, batch.keypoints, 0.0))
        height, width = self.map_size
        limit = points.new_tensor([width, height]) - 0.5
        inside = ((points >= -0.5) & (points <= limit)).all(-1)
        weight = batch.weight_2d * inside
        depth = torch.where(batch.weight_3d > 0, batch.xyz[..., 2] * batch.pixels_per_mm[:, None], 0.0)
        return Targets(
            heatmaps=self._target_maps(points, inside) if heatmaps else None,
            keypoints=points,
            weight_2d=weight,
            weight_outside=batch.weight_2d * ~inside,
            depth=depth / self.input_size[0],
            weight_depth=batch.weight_3d * weight,
            map_size=self.map_size,
            skeleton=self.skeleton,
        )

    def _target_maps(self, points: Tensor, inside: Tensor) -> Tensor:
        """Gaussians at heatmap points (B, J, 2); of points not ``inside`` (B, J) wide ones at the border."""
        height, width = self.map_size
        nearest = torch.minimum(points.clamp(min=0), points.new_tensor([width - 1, height - 1]))
        return self.gaussians(torch.where(inside[..., None], points, nearest), torch.where(inside, 1.0, OUTSIDE))

    def gaussians(self, points: Tensor, widening: Tensor | None = None) -> Tensor:
        """Gaussians (B, J, h, w) with peak 1 at sub-pixel heatmap points (B, J, 2); sigma is multiplied by ``widening``
        (B, J)."""
        height, width = self.map_size
        along_x = self._along(width, points[..., 0], widening)
        along_y = self._along(height, points[..., 1], widening)
        return along_y[..., :, None] * along_x[..., None, :]

    def _along(self, length: int, centres: Tensor, widening: Tensor | None = None) -> Tensor:
        """Gaussians (..., length) along one side of a map around ``centres`` (...,), peak 1, cut off at its ends."""
        squared = (map_axis(length, centres) - centres[..., None]) ** 2 / (2 * self.sigma**2)
        return torch.exp(-squared if widening is None else -squared / widening[..., None] ** 2)

    def decode(self, output: PoseOutput, decoding: Decoding = "subpixel") -> Decoded:
        """Joints of an output, with the depth that is read there.

        ``subpixel`` takes the pixel whose Gaussian agrees best with the whole map, as single pixels of a prediction are
        noisy (:meth:`_agreement`; compare Zhang et al. 2020, "Distribution-aware coordinate representation", 3.2), and
        fits a parabola to the logarithm of the agreement around it, which is exact for a Gaussian. ``argmax`` takes the
        pixel of the map's maximum (Zhou et al. 2017).
        """
        if output.coordinates is not None:
            assert output.confidence is not None
            points, depth = output.coordinates[..., :2], output.coordinates[..., 2]
            return Decoded(self.to_crop(points.float()), depth.float(), output.confidence.float())
        assert output.heatmaps is not None
        heatmaps = output.heatmaps.float()
        values = _as_values(heatmaps, output.is_logits)
        confidence = self._confidence(values, output.is_logits)
        if decoding == "subpixel":
            agreement = self._agreement(values)
            points = peak_pixels(agreement)
            points = points + _parabola_offset(agreement, points)
        else:
            points = peak_pixels(heatmaps)
        depth = torch.zeros_like(confidence)
        if output.depth_maps is not None:
            depth = read_maps(output.depth_maps.float(), points)
        return Decoded(self.to_crop(points), depth, confidence)

    def _confidence(self, values: Tensor, is_logits: bool) -> Tensor:
        """Peak of the map relative to that of a perfect one, in 0..1."""
        peak = values.amax((-1, -2))
        # Logits give probabilities, whose Gaussian has sum 1; values give the Gaussian itself, whose peak is 1.
        return (peak * (2 * math.pi * self.sigma**2 if is_logits else 1)).clamp(0, 1)

    def _agreement(self, values: Tensor) -> Tensor:
        """Maps (B, J, h, w) of the cosine, up to a factor, between a map and the Gaussian around each of its pixels.

        This is the map smoothed by the Gaussian and divided by the Gaussian's norm inside the map; without the norm,
        joints near the border would come out too far inside. The maximum is 1 (0 of an empty map), so that logarithms
        around it are exact.
        """
        height, width = values.shape[-2:]
        smooth = self._unit_gaussians(height, values) @ values @ self._unit_gaussians(width, values).T
        return smooth / smooth.amax((-1, -2), keepdim=True).clamp(min=1e-30)

    def _unit_gaussians(self, length: int, like: Tensor) -> Tensor:
        """(length, length): row i is a Gaussian around pixel i, of norm 1."""
        return normalize(self._along(length, map_axis(length, like)))


def _as_values(heatmaps: Tensor, is_logits: bool) -> Tensor:
    """Maps without negative values: the probabilities of logits, or values cut off below 0."""
    return heatmaps.flatten(2).softmax(-1).view_as(heatmaps) if is_logits else heatmaps.clamp(min=0)


def peak_pixels(heatmaps: Tensor) -> Tensor:
    """Integer position (B, J, 2), x then y, of each map's maximum."""
    width = heatmaps.shape[-1]
    index = heatmaps.flatten(2).argmax(-1)
    return torch.stack([index % width, torch.div(index, width, rounding_mode="floor")], -1).to(heatmaps.dtype)


def read_maps(maps: Tensor, points: Tensor) -> Tensor:
    """Values (B, J) of maps (B, J, h, w) at sub-pixel points (B, J, 2), bilinear, clamped to the border.

    One gather of the four neighbours: its gradient is one dense tensor, and every device supports it.
    """
    height, width = maps.shape[-2:]
    x, y = points[..., 0].clamp(0, width - 1), points[..., 1].clamp(0, height - 1)
    left, top = x.floor().clamp(max=max(width - 2, 0)), y.floor().clamp(max=max(height - 2, 0))
    right_share, bottom_share = x - left, y - top
    corner = top.long() * width + left.long()
    across, down = min(1, width - 1), width * min(1, height - 1)
    corners = torch.stack([corner, corner + across, corner + down, corner + down + across], -1)
    shares = torch.stack(
        [
            (1 - right_share) * (1 - bottom_share),
            right_share * (1 - bottom_share),
            (1 - right_share) * bottom_share,
            right_share * bottom_share,
        ],
        -1,
    )
    return (maps.flatten(2).gather(2, corners) * shares.to(maps.dtype)).sum(-1)


def mirror_output(output: PoseOutput, skeleton: Skeleton, map_width: int) -> PoseOutput:
    """An output for mirrored images, as one for the images: maps and coordinates mirrored, left and right exchanged.

    ``map_width``: px of the maps (of those that coordinates are in, for an integral head).
    """
    order = list(skeleton.flip_index)
    coordinates = output.coordinates
    if coordinates is not None:
        x, y, depth = coordinates[:, order].unbind(-1)
        coordinates = torch.stack([map_width - 1 - x, y, depth], -1)
    return PoseOutput(
        heatmaps=None if output.heatmaps is None else output.heatmaps.flip(-1)[:, order],
        depth_maps=None if output.depth_maps is None else output.depth_maps.flip(-1)[:, order],
        coordinates=coordinates,
        confidence=None if output.confidence is None else output.confidence[:, order],
        is_logits=output.is_logits,
    )


def average_outputs(*outputs: PoseOutput) -> PoseOutput:
    """Mean of outputs of one head, field by field (flip test, multi-scale testing)."""

    def mean(parts: Sequence[Tensor | None]) -> Tensor | None:
        given = [part for part in parts if part is not None]
        return torch.stack([part.float() for part in given]).mean(0) if given else None

    return PoseOutput(
        mean([one.heatmaps for one in outputs]),
        mean([one.depth_maps for one in outputs]),
        mean([one.coordinates for one in outputs]),
        mean([one.confidence for one in outputs]),
        outputs[0].is_logits,
    )


def map_axis(length: int, like: Tensor) -> Tensor:
    """Pixel centres 0 ... length - 1 of one side of a map, on the device and in the type of ``like``."""
    return torch.arange(length, device=like.device, dtype=like.dtype)


def _parabola_offset(heatmaps: Tensor, peaks: Tensor) -> Tensor:
    """Offset (B, J, 2) px from the maximum to the top of the parabola through it and its neighbours, at most half a px.

    The parabola is fitted to the logarithm, floored so that an empty map gives no offset. Zero at the border.
    """
    height, width = heatmaps.shape[-2:]
    flat = heatmaps.clamp(min=1e-10).log().flatten(2)
    x, y = peaks.long().unbind(-1)

    def value(column: Tensor, row: Tensor) -> Tensor:
        index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        return flat.gather(2, index[..., None])[..., 0]

    def vertex(before: Tensor, here: Tensor, after: Tensor, interior: Tensor) -> Tensor:
        curvature = (before - 2 * here + after).clamp(max=-1e-6)
        return torch.where(interior, ((before - after) / (2 * curvature)).clamp(-0.5, 0.5), 0.0)

    here = value(x, y)
    along_x = vertex(value(x - 1, y), here, value(x + 1, y), (x > 0) & (x < width - 1))
    along_y = vertex(value(x, y - 1), here, value(x, y + 1), (y > 0) & (y < height - 1))
    return torch.stack([along_x, along_y], -1)
