"""What the confidence of joints says: how sure a network is of a person, and which joints it sees."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

#: Confidence below which a joint is not seen: more often wrong than right (docs/model-card.md), or outside the image.
#: Images of predictions and the web page show it in white and its bones thin, and it becomes no label.
UNSURE_JOINT = 0.2
#: Confidence from which a joint becomes the label of a visible one; in between it is occluded, to be looked at.
SURE_JOINT = 0.5
#: Below this certainty are most places without a person and few people in full view (benchmarks/unsure.py).
UNSURE = 0.2
#: Share of the joints that make a person: no more may be seen of who is cut off by the image.
_SHARE = 1 / 4
#: A person is cut off, and not lost, as long as so many joints are seen.
_FEWEST_SEEN = 4


def certainty(confidence: NDArray[np.floating]) -> float:
    """The confidence that a quarter of the joints (J,) reach: one that is high by chance does not make a person."""
    return float(np.quantile(confidence, 1 - _SHARE))


def seen_joints(keypoints: Iterable[tuple[float, float, float]]) -> NDArray[np.bool_]:
    """(J,) which joints, x, y px and confidence, are seen; all of them if fewer than four would be."""
    seen = np.array([confidence >= UNSURE_JOINT for _, _, confidence in keypoints], bool)
    return seen if seen.sum() >= _FEWEST_SEEN else np.ones_like(seen)
