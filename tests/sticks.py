"""Stick people: random 3D poses, drawn with a colour for each kind of limb, written in official formats.

Left and right look alike, as on people: a mirrored picture must be as good as the picture. All face the camera, more
or less, so their left is on the right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.io
from numpy.typing import NDArray

from headstart.geometry import Camera
from headstart.skeleton import H36M_17, LSP_14, Skeleton

Pose = dict[str, NDArray[np.float64]]
"""Joint -> world (3,) mm: z up, the person at the origin, facing the camera when not turned."""

SIZE = 128
#: 4 m in front of the person, 0.9 m high, looking along the world's -y.
ROTATION = np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])
CAMERA = Camera(210.0, 214.0, 63.0, 66.0, rotation=ROTATION, translation_mm=np.array([0.0, 900.0, 4000.0]))

# BGR of the bone that ends at a joint; the trunk is green.
_COLOURS = {"elbow": (40, 60, 250), "wrist": (60, 200, 250), "knee": (250, 120, 30), "ankle": (250, 60, 200)}
_TRUNK = (60, 220, 60)


def random_pose(rng: np.random.Generator) -> Pose:
    """A standing person with arms and legs anywhere that arms and legs go."""
    up, pelvis = np.array([0.0, 0, 1]), np.array([0.0, 0, 880])
    pose = {"pelvis": pelvis, "spine": pelvis + 250 * up, "thorax": pelvis + 500 * up, "neck": pelvis + 570 * up}
    pose |= {"head_top": pelvis + 750 * up, "nose": pelvis + 640 * up + np.array([0, 70, 0])}
    for side, sign in (("left", -1.0), ("right", 1.0)):
        pose |= _limb(
            rng, pelvis + np.array([130 * sign, 0, 0]), sign, (430, 420), (0, 45), f"{side}_hip", "knee", "ankle"
        )
        shoulder = pose["thorax"] + np.array([180 * sign, 0, -10])
        pose |= _limb(rng, shoulder, sign, (290, 260), (10, 150), f"{side}_shoulder", "elbow", "wrist")
    angle = rng.uniform(-0.5, 0.5)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return {name: turn @ point for name, point in pose.items()}


def _limb(
    rng: np.random.Generator,
    start: NDArray[np.float64],
    sign: float,
    lengths: tuple[float, float],
    sideways_degrees: tuple[float, float],
    *names: str,
) -> Pose:
    """Two bones from ``start``, each in its own direction."""
    side = names[0].partition("_")[0]
    points = [start]
    for length in lengths:
        sideways, forwards = np.deg2rad(rng.uniform(*sideways_degrees)), np.deg2rad(rng.uniform(-35, 35))
        flat = np.cos(forwards)
        direction = np.array([sign * np.sin(sideways) * flat, np.sin(forwards), -np.cos(sideways) * flat])
        points.append(points[-1] + length * direction)
    return {names[0]: points[0], f"{side}_{names[1]}": points[1], f"{side}_{names[2]}": points[2]}


def points_of(pose: Pose, skeleton: Skeleton) -> NDArray[np.float64]:
    """World (J, 3) mm in the order of a skeleton."""
    return np.stack([pose[name] for name in skeleton.names])


def project(pose: Pose, skeleton: Skeleton, camera: Camera = CAMERA) -> NDArray[np.float64]:
    """Pixels (J, 2)."""
    return camera.project(camera.to_camera(points_of(pose, skeleton)))


def draw(pose: Pose, rng: np.random.Generator, camera: Camera = CAMERA) -> NDArray[np.uint8]:
    """A picture (128, 128, 3) on a grey ground of its own."""
    image = np.full((SIZE, SIZE, 3), rng.integers(0, 40, 3), np.uint8)
    pixels = dict(zip(H36M_17.names, project(pose, H36M_17, camera)))
    for parent, child in H36M_17.edges:
        first, second = (tuple(np.round(pixels[H36M_17.names[i]]).astype(int).tolist()) for i in (parent, child))
        colour = _COLOURS.get(H36M_17.names[child].rpartition("_")[2], _TRUNK)
        cv2.line(image, first, second, colour, 4, cv2.LINE_AA)
    head = tuple(np.round(pixels["nose"]).astype(int).tolist())
    cv2.circle(image, head, 4, (240, 240, 240), -1, cv2.LINE_AA)
    return image


def write_lsp_extended(root: Path, people: int, seed: int = 1) -> Path:
    """LSP-Extended: joints.mat (14, 3, people), 1-based, and images/im00001.jpg ...; one ankle is not labelled."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    joints = np.ones((14, 3, people))
    for person in range(people):
        pose = random_pose(rng)
        cv2.imwrite(str(root / "images" / f"im{person + 1:05d}.jpg"), draw(pose, rng))
        joints[:, :2, person] = project(pose, LSP_14) + 1
    joints[0, :, -1] = 0
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    return root


def write_h36m(root: Path, seed: int = 2, train: int = 16) -> Path:
    """Human3.6M as 3DMPPE json: subject 1 (``train`` frames), subject 9 (two actions, frames 0, 32, 64, 128)."""
    rng = np.random.default_rng(seed)
    (root / "annotations").mkdir(parents=True)
    _write_subject(root, 1, [(2, frame) for frame in range(train)], rng)
    _write_subject(root, 9, [(action, frame) for action in (2, 14) for frame in (0, 32, 64, 128)], rng)
    return root


def _write_subject(root: Path, subject: int, frames: list[tuple[int, int]], rng: np.random.Generator) -> None:
    images: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    joints: dict[str, Any] = {}
    for number, (action, frame) in enumerate(frames):
        pose = random_pose(rng)
        folder = f"s_{subject:02d}_act_{action:02d}_subact_01_ca_01"
        path = root / "images" / folder / f"{folder}_{frame + 1:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), draw(pose, rng))
        pixels = project(pose, H36M_17)
        images.append(
            {
                "id": number,
                "file_name": f"{folder}/{path.name}",
                "width": SIZE,
                "height": SIZE,
                "subject": subject,
                "action_idx": action,
                "subaction_idx": 1,
                "cam_idx": 1,
                "frame_idx": frame,
            }
        )
        box = [*pixels.min(0).tolist(), *np.ptp(pixels, axis=0).tolist()]
        labels.append({"id": number, "image_id": number, "bbox": box})
        joints.setdefault(str(action), {}).setdefault("1", {})[str(frame)] = points_of(pose, H36M_17).tolist()
    camera = {
        "R": CAMERA.rotation.tolist(),
        "t": np.asarray(CAMERA.translation_mm).tolist(),
        "f": [CAMERA.fx, CAMERA.fy],
        "c": [CAMERA.cx, CAMERA.cy],
    }
    stem = root / "annotations" / f"Human36M_subject{subject}"
    Path(f"{stem}_data.json").write_text(json.dumps({"images": images, "annotations": labels}))
    Path(f"{stem}_camera.json").write_text(json.dumps({"1": camera}))
    Path(f"{stem}_joint_3d.json").write_text(json.dumps(joints))
