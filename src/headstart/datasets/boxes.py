"""A person's box from their joints, and which joints lie in the picture: for data sets whose files lack them."""

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.labels import joints_box, masked
from headstart.records import Visibility

#: Side of a box over the extent of the joints: a person reaches beyond ankles and wrists. As customary for Human3.6M.
ROOM = 1.2


def box_around(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Box (4,) xywh px of joints (N, 2) px: their extent about its centre, times :data:`ROOM`; NaN points are ignored.

    Joints outside the picture count: the box is that of the whole person. At least one point must be finite.
    """
    box = joints_box(points)
    return np.concatenate([box[:2] - box[2:] * (ROOM - 1) / 2, box[2:] * ROOM]).astype(np.float32)


def box_from_corners(corners: NDArray[np.floating]) -> NDArray[np.float32]:
    """Box (4,) xywh px from (left, top, right, bottom) px."""
    return np.concatenate([corners[:2], corners[2:] - corners[:2]]).astype(np.float32)


def inside(points: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,): which points (N, 2) px lie in a picture of ``size`` (width, height) px; NaN points do not."""
    within = (points >= -0.5) & (points <= np.array(size) - 0.5)
    return np.asarray(within[:, 0] & within[:, 1])


def visible_where(
    points: NDArray[np.floating], labelled: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Keypoints (N, 2) px with NaN where not ``labelled`` (N,), and their visibility: visible or unlabelled."""
    visibility = np.where(labelled, Visibility.VISIBLE, Visibility.UNLABELLED).astype(np.uint8)
    return masked(points, visibility), visibility
