"""Where the people are: boxes that a file gives, or a detector of transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

from headstart.devices import default_device, ready_on
from headstart.errors import ConfigError, DataError, first_line, shortened
from headstart.hub import require_answer
from headstart.records import RGB, Detection
from headstart.tracking import box_within

#: Real-time DETR with a ResNet-18 (Lv et al. 2024), Apache-2.0, 20 M parameters; used if its weights are there.
DEFAULT_DETECTOR = "PekingU/rtdetr_v2_r18vd"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
#: File name -> its boxes, or, for an entry that is no list of boxes, the error to raise when its picture is reached.
GivenBoxes = dict[str, list[list[float]] | DataError]
_EXPECTED = "an object that maps file names to lists of boxes [x, y, width, height] in pixels"


class _NoDetectorError(ConfigError):
    """Files that are missing or broken, or a detector of other things than people."""


class TransformersDetector:
    """People by any object detector of transformers (DETR, RT-DETR, YOLOS, ...) that knows a class "person"."""

    def __init__(
        self, source: str | Path, *, threshold: float = 0.5, device: str | None = None, local_only: bool = False
    ) -> None:
        """``source``: hub id or local folder. ``threshold``: people of a lower score are left out. ``device``: torch's
        name of it; by default the GPU if there is one. ``local_only``: fetch nothing.

        Raises :class:`ConfigError` if it cannot be loaded, has no class "person" or cannot use the device.
        """
        name = str(source)
        try:
            _require_at_hand(name, local_only)  # first, because importing transformers' models takes seconds
            from transformers import AutoImageProcessor, AutoModelForObjectDetection

            self.processor: Any = AutoImageProcessor.from_pretrained(name, local_files_only=local_only)
            model = AutoModelForObjectDetection.from_pretrained(name, local_files_only=local_only)
        except (OSError, ValueError, ImportError) as error:
            raise _NoDetectorError(f"detector {name}: cannot be loaded: {first_line(error)}") from error
        labels = model.config.id2label
        self.people = [int(number) for number, label in labels.items() if str(label).lower() == "person"]
        if not self.people:
            raise _NoDetectorError(f"detector {name}: knows no class 'person' among its {len(labels)} classes")
        self.device = device or default_device()
        self.model: Any = ready_on(model, self.device)
        self.threshold = threshold

    def __call__(self, image: RGB) -> list[Detection]:
        """The people in one RGB picture (H, W, 3), best first; boxes are cut at its edges."""
        import torch

        height, width = image.shape[:2]
        inputs = self.processor(images=image, return_tensors="pt", input_data_format="channels_last").to(self.device)
        with torch.inference_mode():
            output = self.model(**inputs)
        (found,) = self.processor.post_process_object_detection(
            output, threshold=self.threshold, target_sizes=[(height, width)]
        )
        people = [
            Detection(box_within(corners, width, height), float(score))
            for score, label, corners in zip(
                found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist()
            )
            if label in self.people
        ]
        return sorted((one for one in people if min(one.bbox_xywh[2:]) >= 1), key=lambda one: -one.score)


def _require_at_hand(name: str, local_only: bool) -> None:
    """Raise an OSError if there is no such detector: transformers would ask for each of its files in turn."""
    from huggingface_hub import hf_hub_download

    if not Path(name).is_dir():
        if not local_only:
            require_answer(name, "config.json")
        hf_hub_download(name, "config.json", local_files_only=local_only)


def find_detector(source: str = DEFAULT_DETECTOR, **options: Any) -> TransformersDetector | None:
    """The detector if its weights are on this machine (a folder, or in the hub's cache) and it finds people, else None.

    ``options``: those of :class:`TransformersDetector`. Raises :class:`ConfigError` for a device that cannot be used.
    """
    from huggingface_hub import try_to_load_from_cache

    # First, because importing transformers' models takes seconds.
    if not Path(source).is_dir() and not any(isinstance(try_to_load_from_cache(source, n), str) for n in _WEIGHTS):
        return None
    try:
        return TransformersDetector(source, local_only=True, **options)
    except _NoDetectorError:
        return None


def read_boxes(path: Path) -> GivenBoxes:
    """Boxes by file name from JSON: ``{"photo.jpg": [[x, y, width, height], ...], ...}`` px of the upright picture.

    An entry that is no list of boxes becomes the :class:`DataError` that names it, so that the other pictures can be
    done. Raises :class:`DataError` for a file that is no such object or has a name twice.
    """
    try:
        # Objects become tuples of pairs, in which a name that is there twice can be seen.
        entries = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=tuple)
    except OSError as error:
        raise DataError(path, "a file of boxes", found=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(path, _EXPECTED, found=f"broken JSON ({error})") from error
    if not isinstance(entries, tuple):
        raise DataError(path, _EXPECTED, found=type(entries).__name__)
    boxes: GivenBoxes = {}
    for name, value in entries:
        if name in boxes:
            raise DataError(path, "each file name once", record=name, found="it twice")
        try:
            boxes[name] = _checked(value, path, name)
        except DataError as error:
            boxes[name] = error
    return boxes


def match_boxes(boxes: GivenBoxes, pictures: Sequence[str]) -> GivenBoxes:
    """Path of each picture -> its boxes. An entry fits a picture whose path ends with it; the longest one is taken.

    Names are compared in Unicode's composed form, as a Mac stores an accented letter as two characters; of entries of
    one length the one that is spelt like the picture is taken. Pictures without an entry are left out. Raises
    :class:`DataError` where one entry is the best for several pictures.
    """
    matched: GivenBoxes = {}
    taken: dict[str, str] = {}
    entries = {name: Path(normalize("NFC", name)).parts for name in boxes}
    for picture in pictures:
        composed = Path(normalize("NFC", picture)).parts
        fitting = [name for name, own in entries.items() if own and composed[-len(own) :] == own]
        if not fitting:
            continue
        best = max(fitting, key=lambda name: (len(Path(name).parts), Path(picture).parts[-1] == Path(name).parts[-1]))
        if best in taken:
            fix = "Name them with their folders"
            raise DataError(taken[best], f"boxes of its own, but {best!r} also fits {picture}", fix=fix)
        taken[best], matched[picture] = picture, boxes[best]
    return matched


def _checked(value: Any, path: Path, name: str) -> list[list[float]]:
    """A list of boxes of four numbers; whether they can be a person's is checked with the picture."""
    if not isinstance(value, list) or not all(isinstance(box, list) and len(box) == 4 for box in value):
        raise DataError(path, "a list of boxes [x, y, width, height]", record=name, found=shortened(json.dumps(value)))
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for box in value for number in box):
        raise DataError(path, "boxes of four numbers", record=name, found=shortened(json.dumps(value)))
    try:
        return [[float(number) for number in box] for box in value]
    except OverflowError as error:  # an integer of hundreds of digits
        raise DataError(path, "boxes in pixels", record=name, found=shortened(json.dumps(value))) from error
