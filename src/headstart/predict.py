"""Pictures in, people in pixels and millimetres out: :class:`PoseEstimator`.

A crop is cut around each box exactly as in training and scoring; crops of all people and pictures go through the
network in batches; joints are mapped back to the pixels of the upright picture and, for a stated stature, to
millimetres (lifting.py). Any :class:`~headstart.records.PoseNetwork` will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from headstart.argument_checks import check_box, check_boxes, check_camera, check_height, check_names
from headstart.closing_in import LOOKS, close_in, joints_of
from headstart.confidence import certainty
from headstart.errors import ConfigError, HeadstartError
from headstart.geometry import Box, Camera, Crop
from headstart.lifting import DEFAULT_HEIGHT_MM, lift
from headstart.networks import load_network
from headstart.person_detector import PersonDetector, box_of_joints_in
from headstart.photos import PhotoLike, as_photo, names_of
from headstart.records import RGB, CropJoints, Detector, FieldOfView, PoseNetwork, Prediction, by_name

Boxes = Sequence[Sequence[float]]


@dataclass(frozen=True)
class _Place:
    """A person's box."""

    bbox: Box
    closer: Box
    """The box that the crop is cut around, as tight around the joints as in training: ``bbox`` if it was given, what
    box_of_joints_in made of a detector's, or what close_in made of the whole picture."""
    score: float | None = None
    """The detector's; None without a detector."""


@dataclass(frozen=True)
class _Person:
    """One person's crop, and what the prediction needs besides."""

    picture: int
    name: str
    place: _Place
    crop: Crop
    pixels: NDArray[np.uint8]
    camera: Camera | None
    about: dict[str, Any]


def _raise(picture: int, error: HeadstartError) -> None:
    raise error


class PoseEstimator:
    """2D and 3D poses of people in pictures. Threads may share one: results agree with one thread's to 1e-3 px.

    It can be pickled if its detector can; an .onnx file is then opened anew, from the same path.
    """

    def __init__(
        self,
        network: PoseNetwork,
        *,
        detector: Detector | None = None,
        batch_size: int = 32,
        flip_test: bool = True,
        height_mm: float = DEFAULT_HEIGHT_MM,
        looks: int = LOOKS,
    ) -> None:
        """``detector``: finds people in pictures without boxes. ``batch_size``: crops at once. ``flip_test``: average
        with the mirrored crop. ``height_mm``: the stature that gives poses their scale, which a picture does not show.
        ``looks``: how many times the crop closes in on the person if the box is the whole picture (closing_in.py).

        Raises :class:`ConfigError` for values out of range.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size: expected batch_size >= 1, got {batch_size}")
        check_height(height_mm)
        if looks < 0:
            raise ConfigError(f"looks: expected looks >= 0, got {looks}")
        if detector is not None and not callable(detector):
            expected = "a function that takes an image, such as headstart.detect.TransformersDetector(hub_id)"
            raise ConfigError(f"detector: expected {expected}, got {detector!r}")
        self.network, self.detector = network, detector
        self.batch_size, self.flip_test, self.height_mm, self.looks = batch_size, flip_test, height_mm, looks

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | None = None,
        *,
        detector: Detector | Literal["shipped"] | None = "shipped",
        device: str | None = None,
        batch_size: int = 32,
        flip_test: bool = True,
        scales: Sequence[float] = (1.0,),
        height_mm: float = DEFAULT_HEIGHT_MM,
        looks: int = LOOKS,
        threads: int | None = None,
    ) -> PoseEstimator:
        """The model that ships (None), a checkpoint file, a run's folder, an exported .onnx file, or a hub id.

        A hub id is owner/name. It is taken for a path, and the hub is not asked, if ``owner`` is a folder here or
        "runs", or if ``name`` has the suffix of a model file (.safetensors, .onnx, ...).

        ``detector``: finds people in pictures without boxes: the one that ships, or any other, such as
        ``detect.TransformersDetector(hub_id)``. With None the whole picture is taken as one person.

        ``scales``: sizes at which the network looks at each crop, and whose outputs it averages (multi_scale.py): with
        (0.9, 1, 1.15) joints are somewhat better at three times the time.

        ``threads``: of the CPU, for an .onnx file; all by default. PyTorch has ``torch.set_num_threads`` for the whole
        process.

        Raises :class:`ConfigError` if there is no such model, :class:`DataError` if the file is not a model.
        """
        network = load_network(source, device, scales, threads)
        if detector == "shipped":
            detector = PersonDetector(pose=network if source is None else None, device=device, batch_size=batch_size)
        return cls(
            network,
            detector=detector,
            batch_size=batch_size,
            flip_test=flip_test,
            height_mm=height_mm,
            looks=looks,
        )

    def estimate(
        self,
        images: PhotoLike | Sequence[PhotoLike],
        boxes: Sequence[Boxes | None] | None = None,
        camera: Camera | FieldOfView | None = None,
        *,
        names: Sequence[str] | None = None,
        on_error: Callable[[int, HeadstartError], None] = _raise,
    ) -> list[list[Prediction]]:
        """The people of each picture.

        ``images``: one or many of what :func:`~headstart.photos.as_photo` takes: path, array (RGB), PIL image, bytes,
        file opened in binary mode. ``boxes``: for each picture its people's tight boxes [x, y, width, height] px
        (``[[[40, 20, 110, 260]]]`` for one picture with one person), or None. For None the detector finds the people;
        without a detector the whole picture is one person's box, and the crop closes in on that person (closing_in.py).
        Boxes that are given are used as they are.

        ``camera``: adds positions relative to the camera. ``names``: what predictions and messages call the pictures.
        ``on_error(position, error)`` is called for a picture that cannot be used, which then has no people; by default
        the :class:`DataError` is raised.

        Raises :class:`ConfigError` if boxes, names or camera do not fit, or if the model gives NaN.
        """
        if camera is not None and not isinstance(camera, FieldOfView):
            check_camera(camera)
        pictures = list(images) if isinstance(images, (list, tuple)) else [images]
        names = names_of(pictures) if names is None else names
        check_names(names, len(pictures))
        if boxes is not None:
            check_boxes(boxes, len(pictures))
        people: list[list[Prediction]] = [[] for _ in pictures]
        waiting: list[_Person] = []
        for position, picture in enumerate(pictures):
            try:
                given = None if boxes is None else boxes[position]
                waiting += self._crops(position, picture, names[position], given, camera)
            except HeadstartError as error:
                on_error(position, error)
            while len(waiting) >= self.batch_size:
                self._finish(waiting[: self.batch_size], people)
                waiting = waiting[self.batch_size :]
        self._finish(waiting, people)
        return people

    def _crops(
        self, position: int, picture: PhotoLike, name: str, boxes: Boxes | None, camera: Camera | FieldOfView | None
    ) -> Iterator[_Person]:
        image = as_photo(picture, name)
        height, width = image.shape[:2]
        about: dict[str, Any] = {"height_mm": self.height_mm}
        lens = camera.camera(width, height) if isinstance(camera, FieldOfView) else camera
        if lens is not None:
            about["camera"] = _about_camera(lens, assumed=isinstance(camera, FieldOfView))
        for place in self._find(image, name, boxes):
            crop = Crop.from_box(np.array(place.closer), self.network.input_size)
            yield _Person(position, name, place, crop, crop.warp(image), lens, about)

    def _find(self, image: RGB, name: str, boxes: Boxes | None) -> list[_Place]:
        height, width = image.shape[:2]
        if boxes is not None:
            given = [check_box(box, width, height, name, number) for number, box in enumerate(boxes)]
            return [_Place(box, box) for box in given]
        if self.detector is not None:
            found = self.detector(image)
            return [_Place(one.bbox_xywh, box_of_joints_in(one.bbox_xywh), one.score) for one in found]
        whole = (0.0, 0.0, float(width), float(height))
        return [_Place(whole, close_in(self.network, image, whole, self.looks, flip_test=self.flip_test))]

    def _finish(self, people: list[_Person], results: list[list[Prediction]]) -> None:
        if not people:
            return
        joints = joints_of(self.network, [person.pixels for person in people], self.flip_test)
        for number, person in enumerate(people):
            one = CropJoints(*(part[number] for part in joints))
            results[person.picture].append(self._prediction(person, one))

    def _prediction(self, person: _Person, joints: CropJoints) -> Prediction:
        skeleton, crop = self.network.skeleton, person.crop
        depth = joints.depth.astype(np.float64) * self.network.input_size[0] / crop.scale
        pixels = np.concatenate([crop.to_image(joints.keypoints), depth[:, None]], 1)
        confidence = joints.confidence.astype(np.float64)
        lifted = lift(pixels, confidence, skeleton, self.height_mm, person.camera)
        return Prediction(
            image=person.name,
            bbox_xywh=person.place.bbox,
            score=certainty(confidence) if person.place.score is None else person.place.score,
            keypoints=by_name(skeleton.names, np.concatenate([pixels[:, :2], confidence[:, None]], 1)),
            xyz_mm=by_name(skeleton.names, lifted.relative_mm),
            camera_xyz_mm=None if lifted.camera_mm is None else by_name(skeleton.names, lifted.camera_mm),
            extra=dict(person.about),
        )


def _about_camera(lens: Camera, assumed: bool) -> dict[str, Any]:
    """``extra["camera"]`` of a prediction, in plain numbers: those of a camera may be numpy's."""
    distortion = [float(value) for value in np.ravel(lens.distortion)]
    about: dict[str, Any] = {"fx": float(lens.fx), "fy": float(lens.fy), "cx": float(lens.cx), "cy": float(lens.cy)}
    return about | ({"distortion": distortion} if any(distortion) else {}) | {"assumed": assumed}
