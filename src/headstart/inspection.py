"""Looking at data before training on it: counts and checks of a split, and pictures of what the loader makes of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.augment import AugmentConfig, sample_crop
from headstart.draw import draw_heatmaps, draw_pose, sheet
from headstart.errors import DataError
from headstart.images import decode_image, read_image
from headstart.index import AnnotationIndex
from headstart.loader import CropDataset, Draw, collate
from headstart.records import Visibility
from headstart.skeleton import CANONICAL, Skeleton
from headstart.targets import HeatmapCodec


@dataclass(frozen=True)
class Summary:
    """Counts of one split, in canonical joints of which ``derived`` midpoints are part."""

    people: int
    joints_visible: int
    joints_occluded: int
    joints_3d: int
    share_inside_crop: float
    """Of the labelled joints, inside the crop that training centres on (padding 1.25, 256 x 256)."""
    unreadable: list[str]
    """Images that are missing or cannot be decoded; empty unless they were looked at."""


def summarise(
    index: AnnotationIndex, read_images: bool, on_progress: Callable[[int], None] = lambda done: None
) -> Summary:
    """Count labels and joints inside the crop; with ``read_images`` decode every picture too."""
    visibility, labelled, inside = index.column("visibility"), 0, 0
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
        joints_3d=int(np.isfinite(index.column("xyz")).all(-1).sum()),
        share_inside_crop=inside / max(labelled, 1),
        unreadable=_unreadable(index, on_progress) if read_images else [],
    )


def _unreadable(index: AnnotationIndex, on_progress: Callable[[int], None]) -> list[str]:
    """One line for each picture that cannot be read. Threads: OpenCV decodes without Python's lock."""

    def problem(row: int) -> str | None:
        person, content = index[row], index.content(row)
        try:
            _ = read_image(person.image, person.frame) if content is None else decode_image(content, person.key)
        except DataError as error:
            return str(error)
        return None

    found = []
    with ThreadPoolExecutor(4) as pool:
        for done, line in enumerate(pool.map(problem, range(len(index))), 1):
            found += [line] if line else []
            on_progress(done)
    return found


def picture_of_samples(
    index: AnnotationIndex,
    skeleton: Skeleton,
    input_size: tuple[int, int],
    augment: AugmentConfig | None,
    count: int,
    seed: int,
    heatmaps: bool = False,
) -> NDArray[np.uint8]:
    """A sheet of crops as the loader gives them, with labels drawn, or with the heatmaps made from them."""
    rows = np.random.default_rng(seed).choice(len(index), min(count, len(index)), replace=False)
    dataset = CropDataset([index], skeleton, input_size, augment, seed)
    batch = collate([dataset[Draw(0, int(row), 0, position)] for position, row in enumerate(rows)])
    images = np.ascontiguousarray(batch.image.permute(0, 2, 3, 1).numpy())
    targets = HeatmapCodec(skeleton, input_size).encode(batch)
    assert targets.heatmaps is not None
    pictures = []
    for number, row in enumerate(rows):
        if heatmaps:
            maps = (targets.heatmaps[number] * targets.weight_2d[number, :, None, None]).numpy()
            pictures.append(draw_heatmaps(images[number], maps))
            continue
        visibility = index[int(row)].visibility[CANONICAL.indices(skeleton.names)]
        if np.linalg.det(batch.crop[number, :, :2].numpy()) < 0:
            visibility = visibility[list(skeleton.flip_index)]
        pictures.append(draw_pose(images[number], batch.keypoints[number].numpy(), skeleton, visibility))
    return sheet(pictures)


def write_picture(path: str, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture by the file's suffix, making its folder; raises :class:`DataError` if it cannot."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(path, np.ascontiguousarray(picture[..., ::-1]))
    except (cv2.error, OSError) as error:
        raise DataError(path, "a picture file name such as sheet.png", found=str(error).splitlines()[0]) from error
    if not written:
        raise DataError(path, "a folder that can be written to", found="OpenCV could not write there")
