"""Pictures with several people and their boxes, made of photographs with one labelled person each.

A scene is one photo or a mosaic of several (Bochkovskiy et al. 2020, YOLOv4), each scaled so that its person has a
drawn size, with synthetic people and cut-out things, animals most of all, pasted on by their masks (Ghiasi et al. 2021,
copy-paste). Boxes are corners (left, top, right, bottom), px of the scene, of what can be seen of a person.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.datasets.lsp_extended import SKELETON, annotations
from headstart.person_detector import BODY

Boxes = NDArray[np.float64]
Cell = tuple[int, int, int, int]
"""Left, top, right, bottom, px."""
NOBODY: Boxes = np.zeros((0, 4))

#: Longer side of a photo's person over that of their cell of the mosaic, drawn evenly in its logarithm.
SIZES = (0.25, 1.2)
#: Longer side of what is pasted, px.
PASTED_PX = (20.0, 400.0)
#: How often 0, 1, 2 ... people are pasted, and how often as many things that are none.
PASTED_PEOPLE, PASTED_THINGS = (0.5, 0.25, 0.15, 0.1), (0.4, 0.35, 0.15, 0.1)
#: Folders of stamps that show people, drawings or signs.
NOT_THINGS = {"cartoon", "clothes", "flags", "military", "people", "roadsigns", "seasonal", "space", "symbols"}
#: Number of cells of a scene -> how often.
LAYOUTS = {1: 0.5, 2: 0.2, 4: 0.2, 9: 0.1}
#: Share of the cells that show the upper part of a body, as portraits do, and its size, as SIZES.
PORTRAITS, PORTRAIT_SIZES = 0.35, (0.5, 1.25)
#: Most that a photo is enlarged: more shows nothing but blur.
MOST_ENLARGED = 4.0
#: A person of whom less can be seen is neither asked for nor forbidden.
LEAST_SEEN, LEAST_OF_PORTRAIT = 0.3, 0.12
#: Scores from which what an earlier detector found is taken for a person, and for perhaps one. Of 60 boxes that the
#: pose network doubts, nearly all below were lamps, signs and bushes, and about half above were people. That was with
#: ``person_detector.SEEN`` 2 / 3 and ``PROPOSED`` 0.15: scores are higher since, so look again before you label again.
SURE, UNSURE = 0.33, 0.14
#: Share of the cells that look beside the person.
BESIDE = 0.1


@dataclass(frozen=True)
class Photo:
    """A photograph and who is in it."""

    path: Path
    boxes: Boxes
    """(N, 4), the labelled person first."""
    unsure: Boxes
    """(M, 4): perhaps people; neither asked for nor forbidden."""
    upper: NDArray[np.float64]
    """(4,): corners of the labelled person's trunk and head, or of all that is labelled where these are not."""


@dataclass(frozen=True)
class Cutout:
    """A synthetic person or a thing, encoded."""

    image: bytes
    mask: bytes
    is_person: bool = True


@dataclass
class Scene:
    """RGB (size, size, 3), boxes of people, and of places that do not count."""

    image: NDArray[np.uint8]
    boxes: Boxes
    unsure: Boxes


def body_corners(points: NDArray[np.floating]) -> Boxes:
    """Corners (1, 4) of the body whose joints (J, 2) are given: heads, hands and feet reach beyond them."""
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    room = BODY * (high - low).mean()
    return np.concatenate([low - room, high + room])[None]


def load_photos(root: Path, found: Path | None, rows: slice) -> list[Photo]:
    """Photos of LSP-Extended (split ``train``), with who else an earlier detector ``found`` there."""
    more = json.loads(found.read_text()) if found else {}
    photos = []
    for one in list(annotations(root, "train"))[rows]:
        others = np.array(more.get(one.image.name, []), float).reshape(-1, 5)
        sure = others[:, 4] >= SURE
        people = np.concatenate([body_corners(one.keypoints), others[sure, :4]])
        photos.append(Photo(one.image, people, others[~sure, :4], _upper(one.keypoints)))
    return photos


def _upper(points: NDArray[np.floating]) -> NDArray[np.float64]:
    trunk = points[SKELETON.indices(("head_top", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip"))]
    return body_corners(trunk if np.isfinite(trunk).all(1).sum() >= 4 else points)[0]


def load_cutouts(folder: Path) -> list[Cutout]:
    """Synthetic people (``headstart synth``) whose masks do not touch the edge of their image."""
    return [one for shard in sorted(folder.glob("shard-*.arrow")) for one in _whole(shard)]


def _whole(shard: Path) -> Iterator[Cutout]:
    with pa.memory_map(str(shard)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            for image, mask in zip(batch.column("content").to_pylist(), batch.column("mask").to_pylist()):
                seen = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
                edge = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
                if seen.any() and not edge.any():
                    yield Cutout(image, mask)


def load_things(folder: Path) -> list[Cutout]:
    """Animals, fruit, tools, vehicles: the stamps of Tux Paint, PNG files with an alpha channel, without people."""
    paths = [one for one in sorted(folder.rglob("*.png")) if not NOT_THINGS & set(one.relative_to(folder).parts)]
    images = [image for path in paths if (image := cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) is not None]
    return [_as_cutout(image) for image in images if image.ndim == 3 and image.shape[2] == 4 and image[..., 3].any()]


def _as_cutout(image: NDArray[np.uint8]) -> Cutout:
    """Of a BGR image with alpha (H, W, 4), not larger than it will be pasted."""
    small = _resized(image, min(PASTED_PX[1] / max(image.shape[:2]), 1.0), 1.0)
    colour, mask = (cv2.imencode(".png", np.ascontiguousarray(part))[1] for part in (small[..., :3], small[..., 3]))
    return Cutout(colour.tobytes(), mask.tobytes(), is_person=False)


def build_scene(
    rng: np.random.Generator, photos: list[Photo], people: list[Cutout], things: list[Cutout], size: int
) -> Scene:
    """A scene of ``size`` x ``size`` px."""
    scene = Scene(np.full((size, size, 3), rng.integers(60, 190) + rng.integers(-20, 21, 3), np.uint8), NOBODY, NOBODY)
    for cell in _cells(rng, size):
        _fill(scene, cell, photos[rng.integers(len(photos))], rng)
    for cutout in _some(rng, people, PASTED_PEOPLE) + _some(rng, things, PASTED_THINGS):
        _paste(scene, cutout, rng)
    if rng.random() < 0.5:
        scene.image = np.ascontiguousarray(scene.image[:, ::-1])
        scene.boxes, scene.unsure = (_mirrored(boxes, size) for boxes in (scene.boxes, scene.unsure))
    scene.image = _as_another_camera(scene.image, rng)
    return scene


def _some(rng: np.random.Generator, cutouts: list[Cutout], shares: tuple[float, ...]) -> list[Cutout]:
    count = int(rng.choice(len(shares), p=shares)) if cutouts else 0
    return [cutouts[rng.integers(len(cutouts))] for _ in range(count)]


def _cells(rng: np.random.Generator, size: int) -> list[Cell]:
    """Left, top, right, bottom of each photo's place."""
    count = int(rng.choice(list(LAYOUTS), p=list(LAYOUTS.values())))
    x, y = (int(size * rng.uniform(0.3, 0.7)) for _ in range(2))
    if count == 1:
        return [(0, 0, size, size)]
    if count == 2:
        return [(0, 0, x, size), (x, 0, size, size)] if rng.random() < 0.7 else [(0, 0, size, y), (0, y, size, size)]
    if count == 4:
        return [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
    edges = [round(size * part / 3) for part in range(4)]
    return [(edges[i], edges[j], edges[i + 1], edges[j + 1]) for j in range(3) for i in range(3)]


def _fill(scene: Scene, cell: Cell, photo: Photo, rng: np.random.Generator) -> None:
    """Put a photo into its cell; where the photo ends, the background stays."""
    image = cv2.cvtColor(cv2.imread(str(photo.path)), cv2.COLOR_BGR2RGB)
    corner, extent = np.array(cell[:2]), np.array(cell[2:]) - cell[:2]
    portrait = rng.random() < PORTRAITS
    framed = (photo.upper if portrait else photo.boxes[0]).reshape(2, 2)
    wanted = max(extent) * np.exp(rng.uniform(*np.log(PORTRAIT_SIZES if portrait else SIZES)))
    # Not so small that much of the cell is empty.
    least = rng.uniform(0.6, 1) * float(max(extent / image.shape[1::-1]))
    scale = max(min(wanted / max(framed[1] - framed[0]), MOST_ENLARGED), least)
    patch = _resized(image, scale, np.exp(rng.uniform(-0.1, 0.1)))
    scales = np.array(patch.shape[1::-1]) / image.shape[1::-1]
    middle = rng.uniform(0, 1, 2) * image.shape[1::-1] if rng.random() < BESIDE else framed.mean(0)
    offset = corner + _offset(np.array(patch.shape[1::-1]), extent, scales * middle, rng)
    seen = _put(scene.image, patch, offset, cell)
    for boxes, least_seen in (
        (photo.boxes[:1], LEAST_OF_PORTRAIT if portrait else LEAST_SEEN),
        (photo.boxes[1:], LEAST_SEEN),
        (photo.unsure, 2.0),
    ):
        _add(scene, (boxes.reshape(-1, 2, 2) * scales + offset).reshape(-1, 4), seen, least_seen)


def _offset(
    patch: NDArray[np.int64], cell: NDArray[np.int64], middle: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Where a patch begins, so that it fills its cell if it can, with its ``middle`` in the inner part of the cell.

    Sides (width, height) of both, and the middle (x, y) in the patch, px.
    """
    low, high = np.minimum(cell - patch, 0), np.maximum(cell - patch, 0)
    inner = [np.clip(share * cell - middle, low, high) for share in (0.15, 0.85)]
    return np.rint(rng.uniform(*inner)).astype(np.int64)


def _paste(scene: Scene, cutout: Cutout, rng: np.random.Generator) -> None:
    """Put a synthetic person or a thing anywhere, in front of everybody."""
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(cutout.image, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    mask = cv2.imdecode(np.frombuffer(cutout.mask, np.uint8), cv2.IMREAD_GRAYSCALE)
    low, high = _extent_of(mask)
    image, mask = (part[low[1] : high[1], low[0] : high[0]] for part in (image, mask))
    scale = np.exp(rng.uniform(*np.log(PASTED_PX))) / max(mask.shape)
    image, mask = (_resized(np.ascontiguousarray(part), scale, 1.0) for part in (image, mask))
    size = scene.image.shape[0]
    offset = np.rint(rng.uniform(0, size, 2) - np.array(mask.shape[::-1]) / 2).astype(int)
    box = np.concatenate([offset, offset + mask.shape[::-1]]).astype(float)[None]
    _hide(scene, box[0])
    seen = _put(scene.image, image, offset, (0, 0, size, size), cv2.GaussianBlur(mask, (3, 3), 0))
    if cutout.is_person:
        _add(scene, box, seen, LEAST_OF_PORTRAIT)


def _extent_of(mask: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Left and top, right and bottom of what is set."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])


def _resized(image: NDArray[np.uint8], scale: float, stretch: float) -> NDArray[np.uint8]:
    """``scale`` times as large, and ``stretch`` squared as wide for its height."""
    sides = np.array(image.shape[1::-1]) * scale * np.array([stretch, 1 / stretch])
    width, height = (max(int(side), 1) for side in np.rint(sides))
    return np.asarray(
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    )


def _put(
    canvas: NDArray[np.uint8],
    patch: NDArray[np.uint8],
    offset: NDArray[np.int64],
    cell: Cell,
    opacity: NDArray[np.uint8] | None = None,
) -> Cell:
    """Copy what lies in the cell of a patch whose top left corner is ``offset``, and return where that is.

    ``opacity`` (h, w), 0..255.
    """
    low = np.clip(offset, cell[:2], cell[2:])
    high = np.clip(offset + patch.shape[1::-1], cell[:2], cell[2:])
    target = (slice(low[1], high[1]), slice(low[0], high[0]))
    source = (slice(low[1] - offset[1], high[1] - offset[1]), slice(low[0] - offset[0], high[0] - offset[0]))
    share = 1.0 if opacity is None else opacity[source][..., None] / 255.0
    canvas[target] = np.rint(share * patch[source] + (1 - share) * canvas[target]).astype(np.uint8)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _add(scene: Scene, boxes: Boxes, cell: Cell, least_seen: float) -> None:
    """Add boxes, cut at their cell's edges; those of which a smaller share is left do not count."""
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    cut = np.clip(boxes, np.tile(cell[:2], 2), np.tile(cell[2:], 2))
    seen = (cut[:, 2:] - cut[:, :2]).prod(1) / np.maximum(whole, 1e-6)
    counts = seen >= least_seen
    scene.boxes = np.concatenate([scene.boxes, cut[counts]])
    scene.unsure = np.concatenate([scene.unsure, cut[~counts & (seen > 0)]])


def _hide(scene: Scene, box: NDArray[np.float64]) -> None:
    """People of whom ``box`` (4,) covers most do not count any more."""
    low, high = np.maximum(scene.boxes[:, :2], box[:2]), np.minimum(scene.boxes[:, 2:], box[2:])
    covered = np.clip(high - low, 0, None).prod(1)
    hidden = covered > 0.6 * (scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(1)
    scene.unsure = np.concatenate([scene.unsure, scene.boxes[hidden]])
    scene.boxes = scene.boxes[~hidden]


def _mirrored(boxes: Boxes, size: int) -> Boxes:
    left, top, right, bottom = boxes.T
    return np.stack([size - right, top, size - left, bottom], 1)


def _as_another_camera(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, contrast, colours, blur and compression."""
    if rng.random() < 0.1:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.85, 1.15, 3)
    image = np.clip((image - 128.0) * gain + 128 + rng.uniform(-30, 30), 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5)), np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    return image
