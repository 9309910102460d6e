"""Human3.6M as json files, the form of the 3DMPPE code base (Moon et al., ICCV 2019) and its successors.

``annotations/Human36M_subject{N}_data.json``: COCO's ``images`` (id, file_name, width, height, subject, action_idx,
subaction_idx, cam_idx, frame_idx from 0) and ``annotations`` (id, image_id, bbox xywh px).
``_camera.json``: camera -> R (3x3), t (3) mm, f (2) px, c (2) px. ``_joint_3d.json``: action -> subaction -> frame
-> 17x3 mm in world axes, in the order of H36M_17. Pictures: ``images/<file_name>``.

There are no 2D labels: they are the projections of the 3D joints. The release has no lens distortion, so the
points are up to a few pixels off in the picture, for everyone who uses it.

There are two releases: in one ``camera = R @ world + t``, in the other ``t`` is the position of the camera and
``camera = R @ (world - t)``. The files do not say which, but the wrong one puts the person outside the given box: the
first record of each camera decides.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import inside, visible_where
from headstart.datasets.files import load_json
from headstart.datasets.h36m_common import SUBJECTS, Recording, Subjects, action_name, held_subjects, malformed
from headstart.datasets.labels import numbers
from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.records import Annotation
from headstart.skeleton import H36M_17

FILES = "annotations/Human36M_subject{N}_{data,camera,joint_3d}.json (3DMPPE)"

_ORDER = ("action_idx", "subaction_idx", "cam_idx", "frame_idx")
_NUMBERS = (*_ORDER, "width", "height")


def is_held(root: Path) -> bool:
    """Whether the files of this form lie under ``root``."""
    return any((root / "annotations").glob("Human36M_subject*_*.json"))


def annotations(root: Path, split: str, subjects: Subjects = SUBJECTS) -> Iterator[Annotation]:
    """Every frame that the data files name, by subject, action, subaction, camera, frame."""
    folder = root / "annotations"
    names = (re.match(r"Human36M_subject(\d+)_", path.name) for path in folder.glob("Human36M_subject*_*.json"))
    for subject in held_subjects(folder, split, [int(name[1]) for name in names if name], subjects):
        yield from _Subject(root, subject)


class _Subject:
    """The three files of one subject."""

    def __init__(self, root: Path, number: int) -> None:
        stem = f"Human36M_subject{number}"
        folder = root / "annotations"
        self.number = number
        self.pictures = root / "images"
        self.data_file, self.camera_file, self.joint_file = (
            folder / f"{stem}_{part}.json" for part in ("data", "camera", "joint_3d")
        )
        self.frames = _frames(self.data_file, number)
        self.camera_entries = load_json(self.camera_file, "cameras {cam: {R, t, f, c}}")
        self.joints = load_json(self.joint_file, "world joints {action: {subaction: {frame: 17 x 3 mm}}}")
        self.cameras: dict[int, Camera] = {}

    def __iter__(self) -> Iterator[Annotation]:
        return (self._annotation(image, box) for image, box in self.frames)

    def _annotation(self, image: dict[str, Any], box: NDArray[np.float64]) -> Annotation:
        action, subaction, camera_number, frame = (image[name] for name in _ORDER)
        world = self._world(action, subaction, frame)
        if camera_number not in self.cameras:
            self.cameras[camera_number] = self._camera(camera_number, world, box)
        camera = self.cameras[camera_number]
        xyz = camera.to_camera(world)
        pixels = camera.project(xyz)
        if np.isnan(pixels).any():
            record = f"{action}/{subaction}/{frame}"
            raise DataError(self.joint_file, f"joints in front of camera {camera_number}", record=record)
        keypoints, visibility = visible_where(pixels, inside(pixels, (image["width"], image["height"])))
        return Annotation(
            **Recording(self.number, action_name(action), subaction, camera_number).fields(frame),
            image=self.pictures / image["file_name"],
            bbox_xywh=box.astype(np.float32),
            keypoints=keypoints,
            visibility=visibility,
            camera_xyz=xyz.astype(np.float32),
            camera=camera,
        )

    def _world(self, action: int, subaction: int, frame: int) -> NDArray[np.float64]:
        record = f"{action}/{subaction}/{frame}"
        with malformed(self.joint_file, "joints of every frame that the data file names", record):
            joints = self.joints[str(action)][str(subaction)][str(frame)]
        return numbers(self.joint_file, record, "joints", joints, (len(H36M_17), 3))

    def _camera(self, number: int, world: NDArray[np.float64], box: NDArray[np.float64]) -> Camera:
        """The camera whose extrinsics put ``world`` (17, 3) mm into ``box``: either meaning of t is tried."""
        with malformed(self.camera_file, "R, t, f and c of every camera that the data file names", number):
            values = [np.asarray(self.camera_entries[str(number)][name], np.float64).ravel() for name in "Rtfc"]
        shapes = ((9,), (3,), (2,), (2,))
        rotation, translation, focal, centre = (
            numbers(self.camera_file, number, name, value, shape) for name, value, shape in zip("Rtfc", values, shapes)
        )
        rotation = rotation.reshape(3, 3)
        for offset in (translation, -rotation @ translation):
            camera = Camera(focal[0], focal[1], centre[0], centre[1], rotation=rotation, translation_mm=offset)
            if _person_in_box(camera, world, box):
                return camera
        expected = "extrinsics that project the camera's first frame into its bbox (R @ X + t, or R @ (X - t))"
        raise DataError(self.camera_file, expected, record=number, found="the person outside it both ways")


def _frames(path: Path, subject: int) -> list[tuple[dict[str, Any], NDArray[np.float64]]]:
    """(image entry, box (4,) px) of every annotation of a data file, by recording and frame."""
    data = load_json(path, "COCO-style images and annotations")
    with malformed(path, "lists 'images' (with id) and 'annotations'"):
        images = {image["id"]: image for image in data["images"]}
        pairs = [_frame(path, subject, images, annotation) for annotation in data["annotations"]]
        return sorted(pairs, key=lambda pair: [pair[0][name] for name in _ORDER])


def _frame(
    path: Path, subject: int, images: dict[int, Any], annotation: dict[str, Any]
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    record = annotation.get("id", "without id")
    with malformed(path, f"image_id, bbox and an image entry with file_name, subject, {', '.join(_NUMBERS)}", record):
        image = images[annotation["image_id"]]
        box = annotation["bbox"]
        entry = {"file_name": str(image["file_name"])} | {name: int(image[name]) for name in _NUMBERS}
        owner = int(image["subject"])
    if owner != subject:
        raise DataError(path, f"images of subject {subject} only", record=record, found=f"subject {owner}")
    box = numbers(path, record, "bbox", box, (4,))
    if min(box[2:]) <= 0:
        raise DataError(path, "bbox of positive size", record=record, found=f"{box.tolist()}")
    return entry, box


def _person_in_box(camera: Camera, world: NDArray[np.float64], box: NDArray[np.float64]) -> bool:
    """Whether at least half of the joints fall into the box grown by a quarter; a wrong camera misses it by far."""
    pixels = camera.project(camera.to_camera(world))
    low, high = box[:2] - box[2:] / 4, box[:2] + box[2:] * 1.25
    return bool(((pixels >= low) & (pixels <= high)).all(1).mean() >= 0.5)
