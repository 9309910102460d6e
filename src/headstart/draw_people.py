"""Pictures of predictions for users: people drawn on their photo, and their 3D skeletons from the front and the side.

Right is orange, left is blue, the middle is green (draw.py). The side view looks at the scene from its right: the
camera would be at the left edge, depth grows to the right, and nothing is mirrored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.confidence import UNSURE_JOINT
from headstart.draw import LEFT, MIDDLE, RIGHT, joint_colour
from headstart.records import RGB, Point3, Prediction
from headstart.skeleton import Skeleton

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour = tuple[int, int, int]
Values = NDArray[np.float64]

#: px of the longest side of the overlay; larger pictures are scaled down.
OVERLAY_SIDE = 1280
#: px; a smaller picture is scaled up to this height, so that lines do not cover the person.
OVERLAY_HEIGHT = 720
#: Least size of the result, px, so that views beside a flat picture and the legend below a narrow one can be read.
LEAST_HEIGHT, LEAST_WIDTH = 480, 560
#: People whose skeletons are shown beside the picture, the largest first.
MOST_VIEWS = 4

#: Height of text, px.
LEAST_TEXT, MOST_TEXT = 14, 22

_WHITE: Colour = (255, 255, 255)
_PAPER: Colour = (250, 250, 248)
_GRID: Colour = (226, 226, 222)
_INK: Colour = (60, 60, 60)
_BOX: Colour = (255, 255, 255)
_GRID_MM = 500.0
_GAP = 12
_STRIP = 44
# Drawn this many times larger and averaged down: OpenCV's own anti-aliasing leaves round joints angular.
_OVERSAMPLING = 3


def draw_people(image: RGB, people: Sequence[Prediction], numbers: bool | None = None) -> RGB:
    """A copy of the RGB picture (H, W, 3) with boxes, joints and bones.

    ``numbers``: whether people are numbered; by default if there are several.
    """
    canvas = np.ascontiguousarray(image).copy()
    numbers = len(people) > 1 if numbers is None else numbers
    for number, person in enumerate(people):
        _draw_box(canvas, person)
        draw_skeleton(canvas, person)
        if numbers:
            _draw_number(canvas, person, number + 1)
    return canvas


def draw_view(
    pose: Mapping[str, Point3],
    title: str,
    size: int,
    half_mm: float,
    side: bool = False,
    text: int = LEAST_TEXT,
    unsure: Collection[str] = (),
) -> RGB:
    """A 3D pose in mm (x right, y down, z away, pelvis at the origin) as a square picture of ``size`` px.

    Orthographic, ``half_mm`` from the middle to the edge, before a grid of 500 mm: from the front, as the camera sees
    it, or with ``side`` from the right of the scene. Farther parts are paler. ``text``: height of the title in px.
    ``unsure``: joints that are white, their bones thin.
    """
    points = np.array(list(pose.values()), np.float64)
    middle = (points.min(0) + points.max(0)) / 2
    across, away = (points[:, 2] - middle[2], -points[:, 0]) if side else (points[:, 0] - middle[0], points[:, 2])
    scale = size * _OVERSAMPLING / (2 * half_mm)
    flat = np.stack([across, points[:, 1] - middle[1]], 1) * scale + size * _OVERSAMPLING / 2
    canvas = np.full((size * _OVERSAMPLING, size * _OVERSAMPLING, 3), _PAPER, np.uint8)
    origin = (-middle[[2, 1]] if side else -middle[:2]) * scale + size * _OVERSAMPLING / 2
    _draw_grid(canvas, origin, _GRID_MM * scale)
    sure = np.array([name not in unsure for name in pose])
    _draw_bones(canvas, flat, away, Skeleton("drawn", tuple(pose)), sure)
    small = np.asarray(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    write(small, title, (10, 8), text, _INK)
    return small


def result_picture(image: RGB, people: Sequence[Prediction]) -> RGB:
    """The overlay, beside it front and side views of the (at most four) largest people, below it a legend."""
    overlay, scaled = _scaled(image, people)
    overlay = _at_least(draw_people(overlay, scaled), LEAST_HEIGHT if people else 1, 1)
    height = overlay.shape[0]
    order = sorted(range(len(people)), key=lambda i: -people[i].bbox_xywh[2] * people[i].bbox_xywh[3])[:MOST_VIEWS]
    half_mm = max([_half_extent(people[i].xyz_mm) for i in order], default=0.0) * 1.12
    text = _text_size(overlay.shape[1] + len(order) * (_GAP + height // 2))
    columns = [overlay]
    for i in sorted(order):
        name = f"{i + 1}: " if len(people) > 1 else ""
        columns.append(_views(people[i], name, height, half_mm, text))
    gap = np.full((height, _GAP, 3), _WHITE, np.uint8)
    row = _at_least(np.hstack([part for column in columns for part in (column, gap)][:-1]), 1, LEAST_WIDTH)
    return np.vstack([row, _legend(row.shape[1], len(people) - len(order), text + 1)])


def _text_size(width: int) -> int:
    """Height in px of the text in a picture of ``width`` px: a wide one is shown smaller on the same screen."""
    return min(max(round(width / 110), LEAST_TEXT), MOST_TEXT)


def write(canvas: RGB, text: str, position: tuple[int, int], size: int, colour: Colour, shadow: bool = False) -> None:
    """Write text on an RGB picture, in place; ``position`` (x, y) px is its top left corner, ``size`` px its height."""
    from PIL import Image as PilImage
    from PIL import ImageDraw

    width, height = (round(value) + 4 for value in _font(size).getbbox(text)[2:])
    mask = PilImage.new("L", (width, height))
    ImageDraw.Draw(mask).text((1, 1), text, fill=255, font=_font(size))
    share = np.asarray(mask, np.float32)[..., None] / 255
    if shadow:
        _blend(canvas, cv2.dilate(share, np.ones((3, 3)))[..., None], position, (0, 0, 0))
    _blend(canvas, share, position, colour)


def _blend(canvas: RGB, share: NDArray[Any], position: tuple[int, int], colour: Colour) -> None:
    """Mix a colour into the picture by ``share`` (h, w, 1) in 0..1; what lies outside is cut off."""
    x, y = position
    room = canvas[max(y, 0) : max(y + share.shape[0], 0), max(x, 0) : max(x + share.shape[1], 0)]
    share = share[max(-y, 0) :, max(-x, 0) :][: room.shape[0], : room.shape[1]]
    room[:] = np.round(room * (1 - share) + np.array(colour) * share).astype(np.uint8)


@cache
def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _draw_number(canvas: RGB, person: Prediction, number: int) -> None:
    """White on a dark patch in the upper left corner of the person's box."""
    size = max(round(min(canvas.shape[:2]) / 34), 11)
    x, y = (round(max(value, 0)) for value in person.bbox_xywh[:2])
    width = round(_font(size).getlength(str(number))) + size // 2 + 2
    corners = (_pixel((x, y)), _pixel((x + width, y + round(1.3 * size))))
    cv2.rectangle(canvas, *corners, _INK, -1)
    write(canvas, str(number), (x + size // 4, y + size // 16), size, _WHITE)


def _draw_box(canvas: RGB, person: Prediction) -> None:
    x, y, width, height = person.bbox_xywh
    corners = (_pixel((x, y)), _pixel((x + width - 1, y + height - 1)))
    thickness = max(round(min(canvas.shape[:2]) / 400), 1)
    cv2.rectangle(canvas, *corners, _INK, thickness + 2, cv2.LINE_AA)
    cv2.rectangle(canvas, *corners, _BOX, thickness, cv2.LINE_AA)


def draw_skeleton(canvas: RGB, person: Prediction) -> None:
    """Draw bones and joints on an RGB picture, in place, with a dark rim; thickness follows the person's size."""
    skeleton = Skeleton("predicted", tuple(person.keypoints))
    points = np.array(list(person.keypoints.values()), np.float64)
    sure = points[:, 2] >= UNSURE_JOINT
    thickness = max(round(max(np.ptp(points[:, :2], axis=0)) / 110), 1)
    colours = [joint_colour(name) for name in skeleton.names]
    for rim in (True, False):
        for parent, child in skeleton.edges:
            wide = thickness if sure[parent] and sure[child] else max(thickness // 2, 1)
            colour = (20, 20, 20) if rim else colours[child]
            _line(canvas, points[parent], points[child], colour, wide + 2 * rim)
    for (x, y, _), certain, colour in zip(points, sure, colours):
        cv2.circle(canvas, _pixel((x, y)), thickness + 2, (20, 20, 20), -1, cv2.LINE_AA)
        cv2.circle(canvas, _pixel((x, y)), thickness + 1, colour if certain else _WHITE, -1, cv2.LINE_AA)


def _draw_bones(canvas: RGB, flat: Values, away: Values, skeleton: Skeleton, sure: NDArray[np.bool_]) -> None:
    """Draw bones from far to near: points (J, 2) px, ``away`` (J,) in any unit, larger is farther and paler.

    Joints that are not ``sure`` (J,) are white with a rim, and their bones half as thick.
    """
    near, far = away.min(), away.max()
    thickness = max(round(canvas.shape[0] / 75), 2)
    depth = (away - near) / max(far - near, 1e-9)
    for parent, child in sorted(skeleton.edges, key=lambda edge: -(away[edge[0]] + away[edge[1]])):
        pale = 0.45 * (depth[parent] + depth[child]) / 2
        colour = _mixed(joint_colour(skeleton.names[child]), pale)
        _line(canvas, flat[parent], flat[child], colour, thickness if sure[parent] and sure[child] else thickness // 2)
        for end in (parent, child):
            own = _mixed(joint_colour(skeleton.names[end]), 0.45 * depth[end])
            rim, disc = (_PAPER, own) if sure[end] else (own, _WHITE)
            cv2.circle(canvas, _pixel(flat[end]), round(thickness * 0.85), rim, -1, cv2.LINE_AA)
            cv2.circle(canvas, _pixel(flat[end]), round(thickness * 0.65), disc, -1, cv2.LINE_AA)


def _mixed(colour: Colour, pale: float) -> Colour:
    """The colour, ``pale`` (0..1) of it paper."""
    red, green, blue = (round(c * (1 - pale) + p * pale) for c, p in zip(colour, _PAPER))
    return red, green, blue


def _draw_grid(canvas: RGB, origin: Values, step: float) -> None:
    side = canvas.shape[0]
    for axis in (0, 1):
        first = origin[axis] % step
        for at in np.arange(first, side, step):
            ends = ((at, 0.0), (at, float(side))) if axis == 0 else ((0.0, at), (float(side), at))
            cv2.line(canvas, _pixel(ends[0]), _pixel(ends[1]), _GRID, _OVERSAMPLING)


def _views(person: Prediction, name: str, height: int, half_mm: float, text: int) -> RGB:
    """Front above side, together ``height`` px high."""
    size, pose = (height - _GAP) // 2, person.xyz_mm
    unsure = {joint for joint, (_, _, confidence) in person.keypoints.items() if confidence < UNSURE_JOINT}
    front = draw_view(pose, f"{name}front", size, half_mm, text=text, unsure=unsure)
    side = draw_view(pose, f"{name}side (camera at the left)", size, half_mm, side=True, text=text, unsure=unsure)
    rest = np.full((height - 2 * size, size, 3), _WHITE, np.uint8)
    return np.vstack([front, rest, side])


def _half_extent(pose: Mapping[str, Point3]) -> float:
    """mm from the middle of a pose to its farthest side, at least 600."""
    points = np.array(list(pose.values()), np.float64)
    return max(float(np.ptp(points, axis=0).max()) / 2, 600.0)


def _scaled(image: RGB, people: Sequence[Prediction]) -> tuple[RGB, list[Prediction]]:
    """Picture and people, scaled to the size of the overlay."""
    height, width = image.shape[:2]
    factor = min(OVERLAY_SIDE / max(height, width), max(OVERLAY_HEIGHT / height, 1.0))
    shown = (max(round(width * factor), 1), max(round(height * factor), 1))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, shown, interpolation=method), np.uint8), [_shrunk(p, factor) for p in people]


def _shrunk(person: Prediction, factor: float) -> Prediction:
    x, y, width, height = (value * factor for value in person.bbox_xywh)
    points = {n: ((u + 0.5) * factor - 0.5, (v + 0.5) * factor - 0.5, c) for n, (u, v, c) in person.keypoints.items()}
    return Prediction(person.image, (x, y, width, height), person.score, points, person.xyz_mm)


def _at_least(picture: RGB, height: int, width: int) -> RGB:
    """The picture, padded with white below and at the right to at least ``height`` x ``width`` px."""
    missing = (max(height - picture.shape[0], 0), max(width - picture.shape[1], 0))
    return np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), constant_values=255)


def _legend(width: int, left_out: int, text: int) -> RGB:
    strip = np.full((_STRIP, width, 3), _WHITE, np.uint8)
    x, y = 14, _STRIP // 2 - round(text * 2 / 3)
    entries = [(RIGHT, "person's right"), (LEFT, "person's left"), (MIDDLE, "middle"), (None, "uncertain")]
    for colour, words in entries:
        cv2.circle(strip, (x + 4, _STRIP // 2), 6, colour or _INK, -1 if colour else 1, cv2.LINE_AA)
        write(strip, words, (x + 16, y), text, _INK)
        x += 40 + round(_font(text).getlength(words))
    note = "grid 500 mm" + (f"; {left_out} more without views" if left_out > 0 else "")
    write(strip, note, (x, y), text, _INK)
    return strip


def _line(canvas: RGB, start: Values, end: Values, colour: Colour, thickness: int) -> None:
    cv2.line(canvas, _pixel(start[:2]), _pixel(end[:2]), colour, thickness, cv2.LINE_AA)


def _pixel(point: Sequence[float] | Values) -> tuple[int, int]:
    """Nearest pixel, kept within what OpenCV can draw."""
    x, y = np.clip(np.asarray(point, np.float64), -30000, 30000)
    return round(float(x)), round(float(y))
