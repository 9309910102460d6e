"""From an upload to what the page shows: checks, the estimate, and a record of it as JSON."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from headstart.confidence import UNSURE
from headstart.errors import ConfigError, DataError, HeadstartError
from headstart.images import encode_image
from headstart.photos import read_photo
from headstart.records import RGB, Estimator, Prediction
from headstart.skeleton import Skeleton

#: Longest side, in px, of the photo that is sent back to be drawn on.
SHOWN_SIDE = 1280

NO_DETECTOR = "Without a detector the whole photo is taken as one person. Draw a box around somebody to choose who."
UNSURE_OF_IT = "The model is not sure of anybody here: take this pose with caution. A box around a person may help."
NOBODY = "The detector found nobody in this photo. Draw a box around a person to estimate their pose all the same."


def parse_boxes(text: object) -> list[list[float]] | None:
    """Boxes from text: four numbers ``x, y, width, height`` on each line, in px; None if there are none.

    ``text`` may come from a program, so it may be of any type. Raises :class:`ConfigError` for anything but text or
    None, for a line without four numbers, and for more than 50 boxes.
    """
    if text is not None and not isinstance(text, str):
        raise ConfigError(f"Boxes: expected text, a line for each person, got {type(text).__name__}.")
    boxes = []
    for line in filter(None, (line.strip() for line in (text or "").splitlines())):
        numbers = re.split(r"[\s,;]+", line.strip("[]() "))
        try:
            boxes.append([float(number) for number in numbers])
        except ValueError:
            boxes.append([])
        if len(boxes[-1]) != 4:
            raise ConfigError(f"Box {line!r}: expected four numbers: x, y, width, height in pixels.")
    if len(boxes) > 50:
        raise ConfigError(f"Expected at most 50 boxes, found {len(boxes)}.")
    return boxes or None


@dataclass(frozen=True)
class Estimate:
    """A photo and its people."""

    name: str
    photo: RGB
    people: list[Prediction]
    note: str
    """A remark for the page; empty if there is none."""


def estimate_photo(
    estimator: Estimator, path: Path, name: str, boxes: list[list[float]] | None, max_pixels: int
) -> Estimate:
    """The upright photo and its people. Messages of a :class:`HeadstartError` name the photo, not the server's path."""
    try:
        photo = read_photo(path, max_pixels)
        people = estimator.estimate([photo], [boxes], names=[name])[0]
    except DataError as error:
        raise HeadstartError(str(error).replace(str(path), name)) from error
    return Estimate(name, photo, people, _note(people, alone=boxes is None and estimator.detector is None))


def _note(people: list[Prediction], alone: bool) -> str:
    """The remark about the people found; ``alone``: there were neither boxes nor a detector."""
    if not people:
        return NOBODY
    if max(person.score for person in people) < UNSURE:
        return UNSURE_OF_IT
    return NO_DETECTOR if alone else ""


def page_record(estimate: Estimate) -> dict[str, Any]:
    """What the page draws: the photo as a data URL, its size in px, the people, joints and bones, and the note."""
    joints = tuple(estimate.people[0].keypoints) if estimate.people else ()
    return {
        "name": estimate.name,
        "photo": _data_url(estimate.photo),
        "width": estimate.photo.shape[1],
        "height": estimate.photo.shape[0],
        "people": [person.to_dict() for person in estimate.people],
        "joints": list(joints),
        "bones": [list(bone) for bone in Skeleton("shown", joints).edges],
        "note": estimate.note,
    }


def _data_url(photo: RGB) -> str:
    """A JPEG of at most ``SHOWN_SIDE`` px a side, within the answer itself: results are never written to disk."""
    factor = min(SHOWN_SIDE / max(photo.shape[:2]), 1.0)
    if factor < 1:
        size = (max(round(photo.shape[1] * factor), 1), max(round(photo.shape[0] * factor), 1))
        photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    return "data:image/jpeg;base64," + base64.b64encode(encode_image(photo[..., ::-1], 88)).decode()
