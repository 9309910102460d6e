"""What the detector's maps should be for a scene, and how far they are from it.

Targets and losses are those of TTFNet (Liu et al. 2020, "Training-Time-Friendly Network for Real-Time Object
Detection"): the heatmap has a Gaussian as wide as the box in each direction, and the box is learnt not at its middle
alone but all over the Gaussian.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from detector.scenes import Boxes, Scene
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from headstart.models.person_detector_net import STRIDE, PeopleMaps

#: Standard deviations of the Gaussian over the box's sides (TTFNet: 0.54 / 6).
SPREAD = 0.09
#: Weight of the boxes' loss beside that of the heatmap (TTFNet).
BOX_WEIGHT = 5.0


class PeopleTargets(NamedTuple):
    """For scenes of h x w cells; after stacking, with a batch axis in front."""

    heat: Tensor
    """(h, w) 0..1."""
    counts: Tensor
    """(h, w) bool: where the heatmap's loss counts."""
    corners: Tensor
    """(4, h, w) px: the box of the cell's person."""
    weight: Tensor
    """(h, w): of the box's loss; 0 where there is no person."""


def encode(scene: Scene) -> PeopleTargets:
    """Targets of one scene."""
    cells = scene.image.shape[0] // STRIDE
    heat, counts = np.zeros((cells, cells), np.float32), np.ones((cells, cells), bool)
    corners, weight = np.zeros((4, cells, cells), np.float32), np.zeros((cells, cells), np.float32)
    for left, top, right, bottom in scene.unsure / STRIDE:
        counts[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = False
    for box in _largest_first(scene.boxes):  # where people overlap, the cell is the smaller one's
        bell = _gaussian(box / STRIDE, cells)
        counts |= bell > 0.1
        heat = np.maximum(heat, bell)
        inside = bell > 0.3
        corners[:, inside] = box[:, None]
        # Each person weighs as the logarithm of its area, however many cells it has.
        area = np.log(max((box[2] - box[0]) * (box[3] - box[1]), np.e))
        weight[inside] = area * bell[inside] / bell[inside].sum()
    return PeopleTargets(*(torch.from_numpy(part) for part in (heat, counts, corners, weight)))


def _largest_first(boxes: Boxes) -> Boxes:
    return boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(1))]


def _gaussian(box: NDArray[np.float64], cells: int) -> NDArray[np.float32]:
    """(cells, cells): 1 in the cell of the box's middle; ``box`` in cells."""
    middle = np.clip(np.floor((box[:2] + box[2:]) / 2), 0, cells - 1)
    x, y = (np.arange(cells) - at for at in middle)
    spread = np.maximum(SPREAD * (box[2:] - box[:2]), 0.3)
    return np.exp(-(y[:, None] ** 2) / (2 * spread[1] ** 2) - x**2 / (2 * spread[0] ** 2)).astype(np.float32)


def heat_loss(logits: Tensor, targets: PeopleTargets) -> Tensor:
    """Penalty-reduced focal loss (Law and Deng 2018, equation 1), over the number of people."""
    middles = (targets.heat == 1).float()
    score = logits.sigmoid()
    at = -((1 - score) ** 2) * logsigmoid(logits) * middles
    beside = -(score**2) * logsigmoid(-logits) * (1 - targets.heat) ** 4 * (1 - middles) * targets.counts
    return (at + beside).sum() / middles.sum().clamp(min=1)


def box_loss(maps: PeopleMaps, targets: PeopleTargets) -> Tensor:
    """Generalised intersection over union (Rezatofighi et al. 2019), weighted mean over the cells of people."""
    mine, theirs = maps.corners(), targets.corners
    low, high = torch.maximum(mine[:, :2], theirs[:, :2]), torch.minimum(mine[:, 2:], theirs[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = _area(mine) + _area(theirs) - shared
    hull = (torch.maximum(mine[:, 2:], theirs[:, 2:]) - torch.minimum(mine[:, :2], theirs[:, :2])).prod(1)
    lost = 1 - shared / union.clamp(min=1e-3) + (hull - union) / hull.clamp(min=1e-3)
    return (lost * targets.weight).sum() / targets.weight.sum().clamp(min=1e-3)


def _area(corners: Tensor) -> Tensor:
    return (corners[:, 2:] - corners[:, :2]).clamp(min=0).prod(1)


def total(maps: PeopleMaps, targets: PeopleTargets) -> tuple[Tensor, dict[str, float]]:
    """The loss, and its parts for the log."""
    heat, box = heat_loss(maps.heat, targets), box_loss(maps, targets)
    return heat + BOX_WEIGHT * box, {"heat": heat.item(), "box": box.item()}
