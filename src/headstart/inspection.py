"""Looking at data before training on it: counts and checks of a split, and pictures of the loader's crops."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.augment import AugmentConfig, sample_crop
from headstart.draw import draw_heatmaps, draw_pose, joint_colour, sheet
from headstart.errors import DataError, first_line
from headstart.files import write_atomically
from headstart.geometry import Crop
from headstart.index import AnnotationIndex
from headstart.label_checks import Checks3D, check_3d
from headstart.loader import CropDataset, Draw, collate
from headstart.records import RGB, Visibility
from headstart.skeleton import BODY_18, BODY_24, WITH_FEET, Skeleton
from headstart.targets import HeatmapCodec

#: RGB of a joint by what its label of synthetic people says, in the order of ``synth.labels.State``.
STATE_COLOURS = {
    "visible": (255, 230, 0),
    "hidden by the own body": (255, 0, 255),
    "hidden by something else": (0, 225, 255),
    "outside the image": (170, 170, 170),
}
_MASK_TINT = (0, 55, 110)
_BLOCK = 1000  # pictures


@dataclass(frozen=True)
class Summary:
    """Counts of one split, in the joints of the index, midpoints that were derived included."""

    people: int
    joints_visible: int
    joints_occluded: int
    joints_3d: int
    share_inside_crop: float
    """Of the labelled joints, inside the crop that training centres on (geometry.PADDING, 256 x 256)."""
    unreadable: list[str]
    """A line for each person whose image is missing or cannot be decoded; empty unless images were read."""
    labels_2d: dict[str, int]
    """Joint -> people in whom it is labelled in the picture."""
    labels_3d: dict[str, int]
    """The same in 3D."""
    checks_3d: Checks3D | None
    """Whether the 3D labels can be right; None without any."""


def summarise(
    index: AnnotationIndex, read_images: bool, on_progress: Callable[[int], None] = lambda done: None
) -> Summary:
    """Count labels and joints inside the crop, check 3D labels; with ``read_images`` decode every picture too."""
    visibility, labelled, inside = index.column("visibility"), 0, 0
    known_3d = np.isfinite(index.column("xyz")).all(-1)
    for row in range(len(index)):
        person = index[row]
        crop = sample_crop(np.random.default_rng(0), person.bbox_xywh, (256, 256), None)
        points = crop.to_crop(person.keypoints[person.visibility > 0])
        labelled += len(points)
        inside += int(((points >= -0.5) & (points <= 255.5)).all(1).sum())
    return Summary(
        people=len(index),
        joints_visible=int((visibility == Visibility.VISIBLE).sum()),
        joints_occluded=int((visibility == Visibility.OCCLUDED).sum()),
        joints_3d=int(known_3d.sum()),
        share_inside_crop=inside / max(labelled, 1),
        unreadable=_unreadable(index, on_progress) if read_images else [],
        labels_2d=_by_joint(index.skeleton, visibility > 0),
        labels_3d=_by_joint(index.skeleton, known_3d),
        checks_3d=check_3d(index),
    )


def _by_joint(skeleton: Skeleton, labelled: NDArray[np.bool_]) -> dict[str, int]:
    """Counts of (people, joints) by joint."""
    return dict(zip(skeleton.names, labelled.sum(0).tolist()))


def _unreadable(index: AnnotationIndex, on_progress: Callable[[int], None]) -> list[str]:
    """One line for each picture that cannot be read. Threads: OpenCV decodes without Python's lock."""

    def problem(row: int) -> str | None:
        try:
            index.image(row)
        except DataError as error:
            return str(error)
        return None

    found = []
    with ThreadPoolExecutor(4) as pool:
        # In blocks: map() makes all of its futures at once, 1.6 kB each.
        for begin in range(0, len(index), _BLOCK):
            rows = range(begin, min(begin + _BLOCK, len(index)))
            for row, line in zip(rows, pool.map(problem, rows)):
                found += [line] if line else []
                on_progress(row + 1)
    return found


def shown_joints(index: AnnotationIndex) -> Skeleton:
    """The joints that pictures of samples show, the feet among them if the data set has any."""
    return BODY_24 if index.skeleton is WITH_FEET else BODY_18


def picture_of_samples(
    index: AnnotationIndex,
    skeleton: Skeleton,
    input_size: tuple[int, int],
    augment: AugmentConfig | None,
    count: int,
    seed: int,
    heatmaps: bool = False,
) -> RGB:
    """A sheet of crops as the loader gives them, with labels drawn, or with the heatmaps made from them.

    Labels of packed synthetic people say more, and more is drawn: see :func:`draw_states`.
    """
    rows = np.random.default_rng(seed).choice(len(index), min(count, len(index)), replace=False)
    dataset = CropDataset([index], skeleton, input_size, augment, seed)
    batch = collate([dataset[Draw(0, int(row), 0, position)] for position, row in enumerate(rows)])
    images = np.ascontiguousarray(batch.image.permute(0, 2, 3, 1).numpy())
    targets = HeatmapCodec(skeleton, input_size).encode(batch)
    assert targets.heatmaps is not None
    pictures = []
    for number, row in enumerate(rows.tolist()):
        crop = Crop(batch.crop[number].numpy(), input_size)
        if heatmaps:
            maps = (targets.heatmaps[number] * targets.weight_2d[number, :, None, None]).numpy()
            pictures.append(draw_heatmaps(images[number], maps))
        elif index.extra(row, "state") is not None and not set(skeleton.names).difference(index.skeleton.names):
            pictures.append(_with_states(images[number], index, row, crop, skeleton))
        else:
            visibility = index[row].with_feet().visibility[_shown(skeleton, crop)]
            pictures.append(draw_pose(images[number], batch.keypoints[number].numpy(), skeleton, visibility))
    page = sheet(pictures)
    # Only labels of synthetic people have states to explain.
    explained = not heatmaps and len(index) and index.extra(0, "state") is not None
    return np.concatenate([states_legend(page.shape[1]), page]) if explained else page


def _shown(skeleton: Skeleton, crop: Crop) -> list[int]:
    """Where an index has each joint of the skeleton: for a mirrored crop, that of the other side."""
    joints = WITH_FEET.indices(skeleton.names)
    return [joints[other] for other in skeleton.flip_index] if crop.mirrored else joints


def _with_states(image: RGB, index: AnnotationIndex, row: int, crop: Crop, skeleton: Skeleton) -> RGB:
    """An image (H, W, 3) that ``crop`` cut out, with everything that the label of a synthetic person says."""
    person, joints = index[row], _shown(skeleton, crop)
    assert person.camera is not None
    assert person.camera_xyz is not None
    # Joints outside the picture have no 2D label: the 3D one says where they are.
    points = crop.to_crop(person.camera.project(person.camera_xyz))[joints]
    states = np.asarray(index.extra(row, "state"), np.uint8)[joints]
    stored = np.asarray(cv2.imdecode(np.frombuffer(index.extra(row, "mask"), np.uint8), cv2.IMREAD_GRAYSCALE))
    mask = cv2.warpAffine(stored, crop.matrix, crop.size, flags=cv2.INTER_NEAREST)
    return draw_states(image, points, skeleton, states, np.asarray(mask) > 127)


def draw_states(
    image: RGB,
    keypoints: NDArray[np.floating],
    skeleton: Skeleton,
    states: NDArray[np.integer],
    mask: NDArray[np.bool_],
) -> RGB:
    """A copy of the RGB image (H, W, 3) with the person's mask (H, W), bones by side and joints (J, 2) px by state.

    Colours of joints are :data:`STATE_COLOURS`; what lies outside the image is drawn hollow at its edge.
    """
    canvas = np.ascontiguousarray(image).copy()
    canvas[mask] = canvas[mask] // 2 + np.array(_MASK_TINT, np.uint8)
    height, width = canvas.shape[:2]
    points = [(round(float(x)), round(float(y))) for x, y in keypoints]
    for parent, child in skeleton.edges:
        cv2.line(canvas, points[parent], points[child], joint_colour(skeleton.names[child]), 1, cv2.LINE_AA)
    radius, colours = max(round(max(height, width) / 110), 2), list(STATE_COLOURS.values())
    for (x, y), state in zip(points, states, strict=True):
        inside = 0 <= x < width and 0 <= y < height
        at = (min(max(x, 0), width - 1), min(max(y, 0), height - 1))
        filled = inside and int(state) < len(colours) - 1
        cv2.circle(canvas, at, radius, colours[int(state)], -1 if filled else 1, cv2.LINE_AA)
    return canvas


def states_legend(width: int) -> RGB:
    """A strip (22, width, 3) that names the colours of :func:`draw_states`."""
    strip, x = np.full((22, width, 3), 255, np.uint8), 12
    for name, colour in STATE_COLOURS.items():
        cv2.circle(strip, (x, 11), 5, colour, -1, cv2.LINE_AA)
        cv2.putText(strip, name, (x + 10, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        x += 40 + 8 * len(name)
    return strip


def write_picture(path: str, picture: RGB) -> None:
    """Write an RGB picture by the file's suffix, making its folder; raises :class:`DataError` if it cannot."""
    if not cv2.haveImageWriter(path):
        raise DataError(path, "the name of an image, such as sheet.png", found=f"{Path(path).suffix!r} at its end")
    try:
        # Not cv2.imwrite, which on Windows takes a name beyond ASCII for another.
        done, encoded = cv2.imencode(Path(path).suffix, np.ascontiguousarray(picture[..., ::-1]))
        if not done:
            size = " x ".join(map(str, picture.shape[1::-1]))
            raise DataError(path, "an image of a size that its format can hold", found=f"{size} px")
        write_atomically(Path(path), encoded.tobytes())
    except (cv2.error, OSError) as error:
        raise DataError(path, "an image that can be written, such as sheet.png", found=first_line(error)) from error
