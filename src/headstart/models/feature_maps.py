"""What the network of a backbone gives: maps, and what a head must know of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Level(NamedTuple):
    """One map of a backbone's output."""

    channels: int
    stride: int
    """Input px per px of the map."""


class FeatureMaps:
    """The one field of transformers' BackboneOutput that is used here."""

    def __init__(self, feature_maps: Sequence[Tensor]) -> None:
        self.feature_maps = feature_maps
