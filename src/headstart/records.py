"""Records that modules exchange: frozen, shapes and units on every field. See geometry.py for axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError
from headstart.geometry import Box, Camera
from headstart.skeleton import CANONICAL, WITH_FEET, Skeleton

if TYPE_CHECKING:
    import torch
    from torch import Tensor

RGB = NDArray[np.uint8]
"""A picture (H, W, 3) in RGB."""


class Visibility(IntEnum):
    """State of a 2D label. The three are kept apart from the file to the score."""

    UNLABELLED = 0
    OCCLUDED = 1
    VISIBLE = 2


@dataclass(frozen=True)
class Annotation:
    """One person in one picture, in the data set's own joints (K of them), as an adapter yields it."""

    key: str
    """Unique within data set and split; stable across runs and machines (never an absolute path)."""
    image: Path
    """Picture or video file, absolute or relative to the working directory (root included)."""
    bbox_xywh: NDArray[np.float32]
    """(4,) px: the whole person, tight; room around it is added when cropping."""
    keypoints: NDArray[np.float32]
    """(K, 2) px; NaN where unlabelled."""
    visibility: NDArray[np.uint8]
    """(K,) of :class:`Visibility`."""
    camera_xyz: NDArray[np.float32] | None = None
    """(K, 3) mm in camera axes (absolute where ``camera`` is given, else root-relative); NaN where unlabelled."""
    camera: Camera | None = None
    subject: str = ""
    action: str = ""
    sequence: str = ""
    """Recording that the frame belongs to; frames of one sequence are ordered by ``frame``."""
    frame: int = -1
    """0-based index within the sequence, which is the video frame to read where ``image`` is a video; -1: none."""
    head_size: float | None = None
    """px: MPII's head size (0.6 x diagonal of the head box), for PCKh."""
    upright: bool = False
    """Whether labels are of the picture as viewers turn it by EXIF; else of its stored pixels. Not for videos."""

    def with_feet(self) -> Annotation:
        """A person of an index in the 28 joints of ``skeleton.WITH_FEET``: feet that it has not are unlabelled."""
        if not (missing := len(WITH_FEET) - len(self.visibility)):
            return self
        nowhere = np.full((missing, 3), np.nan, np.float32)
        return replace(
            self,
            keypoints=np.concatenate([self.keypoints, nowhere[:, :2]]),
            visibility=np.concatenate([self.visibility, np.zeros(missing, np.uint8)]),
            camera_xyz=None if self.camera_xyz is None else np.concatenate([self.camera_xyz, nowhere]),
        )

    def pixels_per_mm(self) -> float:
        """Image px per mm at the pelvis of a person of an index: focal length over its depth, which must be above 0.

        Without a camera: least squares of the 2D joints on x and y of the 3D ones (weak perspective), without feet, so
        that they do not change the scale. 0 where the labels do not give it.
        """
        if (xyz := self.camera_xyz) is None:
            return 0.0
        if self.camera is not None:
            return (self.camera.fx + self.camera.fy) / 2 / float(xyz[CANONICAL.index("pelvis"), 2])
        both = np.flatnonzero((np.isfinite(xyz).all(1) & (self.visibility > 0))[: len(CANONICAL)])
        if len(both) < 2:
            return 0.0
        flat, pixels = (one - one.mean(0) for one in (xyz[both, :2].astype(float), self.keypoints[both].astype(float)))
        spread = float((flat**2).sum())
        return max(float((flat * pixels).sum()) / spread, 0.0) if spread > 0 else 0.0


@dataclass(frozen=True)
class Batch:
    """What the loader hands to the device, J joints of the model. Unlabelled entries are 0 with weight 0."""

    image: Tensor
    """(B, 3, H, W) uint8 RGB."""
    keypoints: Tensor
    """(B, J, 2) float32 crop px."""
    weight_2d: Tensor
    """(B, J) float32: 1 labelled (visible or occluded), 0 not."""
    xyz: Tensor
    """(B, J, 3) float32 mm, pelvis at the origin, turned and mirrored with the crop."""
    weight_3d: Tensor
    """(B, J) float32: 1 where xyz is known."""
    pixels_per_mm: Tensor
    """(B,) float32: crop px per mm at the person's depth; 0 where there is no 3D."""
    crop: Tensor
    """(B, 2, 3) float64: image px -> crop px."""
    row: Tensor
    """(B,) int64: row in the index of its data set."""
    dataset: Tensor
    """(B,) int64: position of its data set in the mixture."""
    readable: Tensor
    """(B,) bool: False where the image could not be read (its weights are 0)."""

    def to(self, device: torch.device | str) -> Batch:
        """Images and labels on another device; the other fields stay on the CPU, as nothing else reads them."""
        # Only CUDA copies asynchronously: a Mac's GPU could read memory that is free again (pytorch issue 189690).
        on_cuda = str(device).startswith("cuda")
        moved = ("image", "keypoints", "weight_2d", "xyz", "weight_3d", "pixels_per_mm")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=on_cuda) for name in moved})

    def pin_memory(self) -> Batch:
        """Page-locked copy; torch's DataLoader calls this."""
        return Batch(**{f.name: getattr(self, f.name).pin_memory() for f in fields(self)})


@dataclass(frozen=True)
class Targets:
    """What losses compare with, made on the device from a :class:`Batch`. Finite everywhere, weight 0 included."""

    heatmaps: Tensor | None
    """(B, J, h, w) unnormalised Gaussians with peak 1; None where no loss reads them (losses.need_heatmaps). Of a joint
    outside the map a wide one around the nearest place on its border."""
    keypoints: Tensor
    """(B, J, 2) heatmap px, sub-pixel."""
    weight_2d: Tensor
    """(B, J): 0 where unlabelled or outside the map."""
    weight_outside: Tensor
    """(B, J): that of the joints which are labelled outside the map, 0 of all others."""
    depth: Tensor
    """(B, J) z relative to the pelvis in crop widths: mm * pixels_per_mm / crop width."""
    weight_depth: Tensor
    """(B, J)."""
    map_size: tuple[int, int]
    """(h, w) of the maps."""
    skeleton: Skeleton
    """The J joints, in order."""


@dataclass(frozen=True)
class PoseOutput:
    """What any head gives. Heads with maps fill heatmaps and depth_maps, integral heads fill coordinates."""

    heatmaps: Tensor | None = None
    """(B, J, h, w): values (trained by MSE) or logits (cross-entropy), see ``is_logits``."""
    depth_maps: Tensor | None = None
    """(B, J, h, w) depth in crop widths, to be read at the joint."""
    coordinates: Tensor | None = None
    """(B, J, 3): x, y in heatmap px and depth in crop widths."""
    confidence: Tensor | None = None
    """(B, J) in 0..1, for integral heads."""
    is_logits: bool = False

    @property
    def learnt(self) -> list[Tensor]:
        """What losses read: those of heatmaps, depth maps and coordinates that there are, in this order."""
        return [part for part in (self.heatmaps, self.depth_maps, self.coordinates) if part is not None]


@dataclass(frozen=True)
class Decoded:
    """Joints read from a :class:`PoseOutput`, still in the crop."""

    keypoints: Tensor
    """(B, J, 2) crop px."""
    depth: Tensor
    """(B, J) crop widths, relative to the pelvis."""
    confidence: Tensor
    """(B, J) in 0..1."""


class CropJoints(NamedTuple):
    """What a :class:`PoseNetwork` reads from N crops, as arrays: :class:`Decoded` without torch."""

    keypoints: NDArray[np.float32]
    """(N, J, 2) crop px."""
    depth: NDArray[np.float32]
    """(N, J) crop widths, relative to the pelvis."""
    confidence: NDArray[np.float32]
    """(N, J) in 0..1."""


class PoseNetwork(Protocol):
    """Crops in, joints out: a network in PyTorch, in ONNX Runtime, or an oracle in a test."""

    skeleton: Skeleton
    """The J joints, in order."""
    input_size: tuple[int, int]
    """(width, height) of the crops in px."""

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        """Joints of RGB crops (N, H, W, 3), averaged with those of the mirrored crops if ``flip_test``."""
        ...


class Detection(NamedTuple):
    """One person that a detector found."""

    bbox_xywh: Box
    """px of the upright picture, around the whole body."""
    score: float
    """In 0..1."""


class Detector(Protocol):
    """Finds people."""

    def __call__(self, image: RGB) -> list[Detection]:
        """The people in one RGB picture (H, W, 3), best first."""
        ...


Point3 = tuple[float, float, float]


def by_name(names: Sequence[str], points: NDArray[np.floating]) -> dict[str, Point3]:
    """Joint name -> its row of points (J, 3)."""
    return {name: (float(x), float(y), float(z)) for name, (x, y, z) in zip(names, points)}


@dataclass(frozen=True)
class Prediction:
    """One person of one picture, as users see it. Pixels are those of the upright picture, as viewers show it."""

    image: str
    bbox_xywh: Box
    score: float
    """In 0..1: the detector's, or, for boxes that were given and for whole pictures, how sure the network is of
    the surest quarter of the joints; below ``confidence.UNSURE`` there may be nobody."""
    keypoints: dict[str, Point3]
    """Joint name -> x, y in image px and confidence in 0..1."""
    xyz_mm: dict[str, Point3]
    """Joint name -> x (right), y (down), z (away) in mm, pelvis at the origin, camera axes. One picture does not say
    how large a person is: mm hold for the stature that ``extra["height_mm"]`` names (lifting.py)."""
    camera_xyz_mm: dict[str, Point3] | None = None
    """The same with the camera at the origin; None unless a camera was given or assumed (``extra["camera"]``)."""
    extra: dict[str, Any] = field(default_factory=dict)
    """``height_mm``: assumed; ``camera``: fx, fy, cx, cy px, ``distortion`` (k1, k2, p1, p2, k3) if any, and whether it
    was ``assumed`` (a field of view); of a video ``frame``, ``time_s``, ``track`` (video.py); more by callers."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: image, bbox, score, joints2d, joints3d_mm; joints3d_camera_mm if there is a camera.

        Last what the millimetres assume, where ``extra`` says it: height_mm, and with joints3d_camera_mm the camera.
        """
        plain: dict[str, Any] = {
            "image": self.image,
            "bbox": list(self.bbox_xywh),
            "score": self.score,
            "joints2d": {name: list(point) for name, point in self.keypoints.items()},
            "joints3d_mm": {name: list(point) for name, point in self.xyz_mm.items()},
        }
        if self.camera_xyz_mm is not None:
            plain["joints3d_camera_mm"] = {name: list(point) for name, point in self.camera_xyz_mm.items()}
        assumptions = ("height_mm",) if self.camera_xyz_mm is None else ("height_mm", "camera")
        return plain | {name: self.extra[name] for name in assumptions if name in self.extra}


@dataclass(frozen=True)
class FieldOfView:
    """An assumed pinhole that looks through the picture's middle. :class:`ConfigError` unless 0 < degrees < 180."""

    horizontal_degrees: float = 55.0
    """From the left to the right edge of the picture; 55 is a phone's main camera held upright."""

    def __post_init__(self) -> None:
        if not 0 < self.horizontal_degrees < 180:
            raise ConfigError(f"field of view: expected degrees between 0 and 180, got {self.horizontal_degrees}")

    def camera(self, width: int, height: int) -> Camera:
        """The camera of a picture of that size in px."""
        focal_length = width / 2 / float(np.tan(np.deg2rad(self.horizontal_degrees) / 2))
        return Camera(focal_length, focal_length, (width - 1) / 2, (height - 1) / 2)


class Estimator(Protocol):
    """Pictures in, people out: what videos and the web page need of :class:`~headstart.predict.PoseEstimator`."""

    detector: Detector | None

    def estimate(
        self,
        images: Sequence[RGB],
        boxes: Sequence[Sequence[Sequence[float]] | None] | None = None,
        camera: Camera | FieldOfView | None = None,
        *,
        names: Sequence[str] | None = None,
    ) -> list[list[Prediction]]:
        """The people of each picture."""
        ...
