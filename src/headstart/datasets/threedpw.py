"""3DPW (von Marcard et al., ECCV 2018): people out of doors, a moving camera, 3D from inertial sensors and SMPL.

Files: ``root/sequenceFiles/{train,validation,test}/SEQUENCE.pkl`` (Python 2 pickles) and
``root/imageFiles/SEQUENCE/image_%05d.jpg``. Pictures are numbered by position in the arrays; ``img_frame_ids`` are
60 Hz numbers that name no picture.

A record is one person of one frame whose camera is valid (``campose_valid``) and who was detected at all
(``poses2d`` not all zero). Key: ``SEQUENCE_person_frame``.

**2D and 3D are different joint sets.** ``poses2d`` are OpenPose detections in OpenPose-18 order (x, y, confidence;
0: not found); ``jointPositions`` are SMPL's 24 joints in world metres. They meet by name in :data:`SKELETON`:

* hips, knees, ankles, shoulders, elbows, wrists have both. SMPL's lie inside the body and its hips lie closer together
  than OpenPose's: expect some pixels between a 2D label and the projection of its 3D label.
* nose, eyes, ears: 2D only, their 3D is NaN.
* ``thorax``: OpenPose's "neck", which is the midpoint of the shoulders; its 3D is the midpoint of SMPL's shoulders.
  SMPL's own "neck" lies some 6 cm higher and is left out, like "head" (the base of the skull, no head top) and the
  three spine joints, none of which is known to be the ``spine`` of other data sets.
* ``pelvis``: not labelled, hence the midpoint of the hips as in Human3.6M, COCO and LSP. SMPL's joint 0, the root of
  mesh papers, lies some 9 cm above it: a model that learnt the pelvis from other data would be 85 mm off with every
  joint right.

There are no labels of occlusion: what was detected is ``VISIBLE``. The box holds the detected and all projected SMPL
joints (toes, fingers and head among them). Distances to ``jointPositions`` are not those that mesh papers report,
which regress Human3.6M's joints from the mesh.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.boxes import box_around, visible_where
from headstart.datasets.calibration import pinhole
from headstart.datasets.files import natural_key, require_directory, require_shape
from headstart.datasets.pickles import load_pickle
from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.records import Annotation
from headstart.skeleton import Skeleton, conversion, convert_points

Array = NDArray[np.float64]

SPLITS = ("train", "validation", "test")

#: Order of ``poses2d``. Not COCO's: there the eyes come second and joint 1 is no neck.
OPENPOSE_18 = Skeleton(
    "openpose_18",
    (
        "nose",
        "thorax",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_eye",
        "left_eye",
        "right_ear",
        "left_ear",
    ),
)

#: Order of ``jointPositions``. Joints with a prefix are SMPL's own: nothing else is to be matched with them.
SMPL_24 = Skeleton(
    "smpl_24",
    (
        "smpl_pelvis",
        "left_hip",
        "right_hip",
        "smpl_spine1",
        "left_knee",
        "right_knee",
        "smpl_spine2",
        "left_ankle",
        "right_ankle",
        "smpl_spine3",
        "left_foot",
        "right_foot",
        "smpl_neck",
        "left_collar",
        "right_collar",
        "smpl_head",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hand",
        "right_hand",
    ),
)

SKELETON = OPENPOSE_18

_EXPECTED = "a 3DPW sequence: poses2d, jointPositions, cam_poses, campose_valid, cam_intrinsics"
_FIELDS = ("poses2d", "jointPositions", "campose_valid", "cam_poses", "cam_intrinsics", "sequence")


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every detected person of every frame with a valid camera, by sequence, person and frame."""
    folder = require_directory(root / "sequenceFiles" / split, "3DPW sequences *.pkl")
    paths = sorted(folder.glob("*.pkl"), key=natural_key)
    if not paths:
        raise DataError(folder, "3DPW sequences *.pkl", found="none")
    for path in paths:
        yield from _sequence(root, path)


@dataclass(frozen=True)
class _Person:
    """Arrays of one person over the n frames of a sequence."""

    detections: Array
    """(n, 3, 18): x, y px and confidence, OpenPose order."""
    world_mm: Array
    """(n, 24, 3), SMPL order."""
    camera_valid: NDArray[np.bool_]
    """(n,)."""


def _sequence(root: Path, path: Path) -> Iterator[Annotation]:
    content = load_pickle(path, _EXPECTED)
    missing = [name for name in _FIELDS if not isinstance(content, dict) or name not in content]
    if missing:
        raise DataError(path, _EXPECTED, found=f"no {', '.join(missing)}")
    name = str(content["sequence"])
    images = require_directory(root / "imageFiles" / name, f"images of the sequence {name}")
    poses = require_shape(path, "cam_poses", np.asarray(content["cam_poses"], np.float64), (None, 4, 4))
    intrinsics = require_shape(path, "cam_intrinsics", np.asarray(content["cam_intrinsics"], np.float64), (3, 3))
    for number, person in enumerate(_people(path, content, len(poses))):
        detected = (person.detections[:, 2] > 0).any(axis=1)
        for frame in np.flatnonzero(person.camera_valid & detected).tolist():
            camera = _camera(path, frame, intrinsics, poses[frame])
            key, image = f"{name}_{number}_{frame:05d}", images / f"image_{frame:05d}.jpg"
            yield _annotation(key, image, person, frame, camera, f"{name}_{number}")


def _people(path: Path, content: dict[str, Any], frames: int) -> list[_Person]:
    """Every person's arrays, all of ``frames`` frames."""
    columns = [content[field] for field in ("poses2d", "jointPositions", "campose_valid")]
    if len({len(column) for column in columns}) != 1:
        found = f"{' and '.join(str(len(column)) for column in columns)} people"
        raise DataError(path, "poses2d, jointPositions and campose_valid of the same people", found=found)
    people = []
    for detections, joints, valid in zip(*columns):
        detections = require_shape(path, "poses2d", np.asarray(detections, np.float64), (frames, 3, 18))
        joints = require_shape(path, "jointPositions", np.asarray(joints, np.float64), (frames, 72))
        valid = require_shape(path, "campose_valid", np.asarray(valid), (frames,))
        people.append(_Person(detections, joints.reshape(frames, 24, 3) * 1000, valid.astype(bool)))
    return people


def _camera(path: Path, frame: int, intrinsics: Array, pose: Array) -> Camera:
    """World to camera axes from ``cam_poses`` (4, 4), whose translation is in metres."""
    try:
        return pinhole(intrinsics, pose[:3, :3], pose[:3, 3] * 1000)
    except ValueError as error:
        raise DataError(path, "a camera", record=f"frame {frame}", found=str(error)) from error


def _annotation(key: str, image: Path, person: _Person, frame: int, camera: Camera, sequence: str) -> Annotation:
    x, y, confidence = person.detections[frame]
    smpl_mm = camera.to_camera(person.world_mm[frame])
    labelled = np.asarray(confidence > 0)
    keypoints = np.where(labelled[:, None], np.stack([x, y], 1), np.nan)
    xyz, _ = convert_points(conversion(SMPL_24, SKELETON), smpl_mm, np.asarray(np.isfinite(smpl_mm).all(1)))
    everything = np.concatenate([keypoints[labelled], camera.project(smpl_mm)])
    return Annotation(
        key,
        image,
        box_around(everything),
        *visible_where(keypoints, labelled),
        xyz,
        camera,
        subject=sequence,
        sequence=sequence,
        frame=frame,
    )
