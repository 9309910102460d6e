"""The person detector that ships: finds people on any machine, without a network or weights from elsewhere.

A small network proposes boxes, and the pose network that ships says how sure it is of the joints in each. It has learnt
from other images and another question, so both together are right far more often than the first alone
(benchmarks/find_people.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.closing_in import joints_of
from headstart.confidence import UNSURE_JOINT, certainty
from headstart.devices import default_device, ready_on
from headstart.errors import ConfigError
from headstart.geometry import Box, Crop
from headstart.networks import load_network
from headstart.records import RGB, Detection, PoseNetwork
from headstart.tracking import box_within, overlaps

if TYPE_CHECKING:
    from headstart.models.person_detector_net import PeopleMaps, PersonDetectorNet

#: Room on each side of a body around the box of its joints, over the mean of that box's sides: hands, feet and hair.
#: Of 0.03 to 0.12, this one agrees best with the masks of synthetic people (intersection over union 0.85).
BODY = 0.1
#: Longer sides of the picture as the network sees it, px: whoever fills the picture is found in the small one.
SIZES = (192, 320)
#: Boxes that overlap more (intersection over union) are the same person.
SAME = 0.55
#: Two boxes are the same person if half of the joints that are seen in both lie closer than this, over the longer side
#: of the smaller one.
SAME_POSE = 0.1
#: Least score of a proposal and of a person, chosen on the photos of benchmarks/find_people.py.
PROPOSED, THRESHOLD = 0.25, 0.45
_MOST = 30
_GREY = 114
_LEAST_JOINTS = 4


class _Posed(NamedTuple):
    """A person in whose box the pose network has looked."""

    person: Detection
    points: NDArray[np.float64]
    """(J, 2) px of the picture."""
    sure: NDArray[np.bool_]
    """(J,) which of them are seen."""


class PersonDetector:
    """A :class:`~headstart.records.Detector` of its own weights, which are read when the first picture comes."""

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        pose: PoseNetwork | None = None,
        threshold: float = THRESHOLD,
        sizes: Sequence[int] = SIZES,
        device: str | None = None,
        batch_size: int = 32,
    ) -> None:
        """``weights``: a file of tools/train_detector.py; those that ship if not given. ``pose``: the network that
        looks at each box that is proposed; the one that ships if not given, since ``threshold`` was chosen with it.
        ``threshold``: people of a lower score are left out. ``sizes``: longer sides of the picture as the network sees
        it, px. ``device``: torch's name of it; by default the GPU if there is one. ``batch_size``: crops at once.
        """
        self.weights = shipped_detector() if weights is None else Path(weights)
        self.threshold, self.sizes, self.device, self.batch_size = threshold, sizes, device, batch_size
        if pose is not None:
            self.pose = pose

    def __call__(self, image: RGB) -> list[Detection]:
        """The people in one RGB picture (H, W, 3), best first; boxes are cut at its edges.

        Scores are geometric means of the proposal's and the certainty of the joints. Raises :class:`ConfigError` where
        the device cannot be used, :class:`DataError` for weights that do not fit.
        """
        return [one for one in self._checked(image, self.propose(image)) if one.score >= self.threshold]

    def propose(self, image: RGB) -> list[Detection]:
        """What the network alone takes for people with a score of at least :data:`PROPOSED`, best first."""
        found = [one for size in self.sizes for one in self._propose_at(image, size)]
        return _distinct(sorted(found, key=lambda one: -one.score))

    def _propose_at(self, image: RGB, size: int) -> Iterator[Detection]:
        """Of the picture with a longer side of ``size`` px."""
        small, scale = _fitted(image, size)
        corners, scores = _peaks(self._look(small))
        height, width = image.shape[:2]
        for one, score in zip((corners / scale).tolist(), scores.tolist()):
            box = box_within(one, width, height)
            if min(box[2:]) >= 1:
                yield Detection(box, score)

    def _checked(self, image: RGB, proposed: list[Detection]) -> list[Detection]:
        """The same boxes with the scores of both networks, best first, one of each pose."""
        checked: list[_Posed] = []
        for start in range(0, len(proposed), self.batch_size):
            some = proposed[start:][: self.batch_size]
            crops = [Crop.from_box(np.array(box_of_joints_in(one.bbox_xywh)), self.pose.input_size) for one in some]
            joints = joints_of(self.pose, [crop.warp(image) for crop in crops], False)
            for one, crop, points, sure in zip(some, crops, joints.keypoints, joints.confidence):
                score = math.sqrt(one.score * certainty(sure))
                checked.append(_Posed(Detection(one.bbox_xywh, score), crop.to_image(points), sure >= UNSURE_JOINT))
        return _one_of_each_pose(sorted(checked, key=lambda one: -one.person.score))

    @cached_property
    def network(self) -> PersonDetectorNet:
        """The network, on its device."""
        try:
            from headstart.checkpoint import load_checkpoint, load_weights
            from headstart.models.person_detector_net import PersonDetectorNet
        except ImportError as error:  # an .onnx file needs no PyTorch
            raise ConfigError(f"the person detector needs PyTorch ({error}); give boxes, or no detector") from error

        network = PersonDetectorNet()
        load_weights(network, load_checkpoint(self.weights, ("ema",)).part("ema"), self.weights)
        return ready_on(network, self.device or default_device())

    @cached_property
    def pose(self) -> PoseNetwork:
        """The network that looks at each proposal."""
        return load_network(device=self.device)

    def _look(self, image: NDArray[np.uint8]) -> PeopleMaps:
        import torch

        with torch.inference_mode():
            return self.network(torch.from_numpy(image).permute(2, 0, 1)[None].to(self.network.mean.device))


def shipped_detector() -> Path:
    """Weights of the detector that ships; raises :class:`ConfigError` if this copy has none."""
    path = Path(str(resources.files("headstart"))) / "weights" / "people.safetensors"
    if not path.is_file():
        raise ConfigError(f"no person detector ships with this copy of headstart ({path}); name one, or give boxes")
    return path


def box_of_body(joints: Box) -> Box:
    """The box x, y, w, h px of a body whose joints have the box ``joints``."""
    x, y, w, h = joints
    room = BODY * (w + h) / 2
    return x - room, y - room, w + 2 * room, h + 2 * room


def box_of_joints_in(body: Box) -> Box:
    """The inverse of :func:`box_of_body`; of a box so narrow that nothing would remain, a tenth remains."""
    x, y, w, h = body
    room = BODY * (w + h) / 2 / (1 + 2 * BODY)
    across, down = min(room, 0.45 * w), min(room, 0.45 * h)
    return x + across, y + down, w - 2 * across, h - 2 * down


def _fitted(image: RGB, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The picture with a longer side of ``size``, in the top left of a grey one whose sides the network can divide;
    and its size over the picture's, for x, y, x, y.
    """
    from headstart.models.person_detector_net import MULTIPLE

    height, width = image.shape[:2]
    scale = size / max(height, width)
    w, h = max(round(width * scale), 1), max(round(height * scale), 1)
    rows, columns = (-(-side // MULTIPLE) * MULTIPLE for side in (h, w))
    fitted = np.full((rows, columns, 3), _GREY, np.uint8)
    fitted[:h, :w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return fitted, np.array([w / width, h / height] * 2)


def _peaks(maps: PeopleMaps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (N, 4) px and scores (N,), best first, of the cells that no neighbour surpasses."""
    from torch.nn.functional import max_pool2d

    heat = maps.heat.sigmoid()
    peak = ((heat == max_pool2d(heat, 3, 1, 1)) & (heat >= PROPOSED))[0]
    corners, scores = maps.corners()[0, :, peak].T.double().cpu().numpy(), heat[0, peak].double().cpu().numpy()
    best = np.argsort(-scores, kind="stable")[:_MOST]
    return corners[best], scores[best]


def _one_of_each_pose(found: list[_Posed]) -> list[Detection]:
    """Those of ``found``, best first, whose joints are not those of a better one: its box is of a part of the body."""
    kept: list[_Posed] = []
    for one in found:
        if not any(_is_same_pose(one, other) for other in kept):
            kept.append(one)
    return [one.person for one in kept]


def _is_same_pose(one: _Posed, other: _Posed) -> bool:
    both = one.sure & other.sure
    side = min(max(person.bbox_xywh[2:]) for person in (one.person, other.person))
    apart = np.linalg.norm(one.points - other.points, axis=1)[both]
    return len(apart) >= _LEAST_JOINTS and float(np.median(apart)) < SAME_POSE * side


def _distinct(found: list[Detection]) -> list[Detection]:
    """Those of ``found``, best first, that do not overlap a better one."""
    kept: list[Detection] = []
    for one in found:
        if not (overlaps([one.bbox_xywh], [other.bbox_xywh for other in kept]) > SAME).any():
            kept.append(one)
    return kept
