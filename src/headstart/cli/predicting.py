"""``headstart predict``: poses of people in images and videos, as files and drawn on the images."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from headstart.cli.animating import motion_filter_of
from headstart.cli.cameras import camera_of
from headstart.cli.filming import NOBODY, predict_one_video
from headstart.cli.inputs import files_of
from headstart.cli.outcome import Outcome, described
from headstart.cli.outputs import Outputs, check_outputs
from headstart.cli.per_input import interrupted_by_sigterm
from headstart.cli.predict_options import PredictOptions
from headstart.cli.reading import reading_ahead
from headstart.errors import ConfigError, DataError, HeadstartError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from headstart.detect import GivenBoxes
    from headstart.geometry import Camera
    from headstart.predict import PoseEstimator
    from headstart.records import RGB, FieldOfView, PoseNetwork, Prediction
    from headstart.smoothing import MotionFilter
    from headstart.video import VideoOptions

# Pictures worked on at once: enough to fill a batch, few enough for large photographs. More are read ahead.
_AT_ONCE = 8
_MANY = 20


@dataclass(frozen=True)
class _Inputs:
    """The files that are predicted."""

    pictures: list[str]
    videos: list[str]
    boxes: GivenBoxes | None
    """Of the pictures, by --boxes."""


def predict(given: Annotated[PredictOptions, tyro.conf.arg(name="")]) -> None:
    """2D and 3D poses of the people in images and videos. Without an output option all goes to ./predictions.

    Pixel coordinates are those of the upright image, 0 at the centre of its top left pixel. Millimetres are in camera
    axes (x right, y down, z away), relative to the pelvis, for a person of --height-mm. An input that cannot be used is
    named on one line, the others are processed, and the exit code is 2. People in videos have a number (track), the
    same in every frame, and their joints both as estimated and smoothed. webcam:0 is a camera; Ctrl-C ends it.
    """
    given.check()
    outputs = given.outputs()
    motion_filter = motion_filter_of(given.smooth, outputs.animated)
    camera = camera_of(given.camera, given.field_of_view)
    outcome = Outcome(outputs, given.folders(outputs))
    inputs = _unfinished(_inputs(given, outcome), outcome)
    if inputs is not None:
        _predict_all(given, inputs, camera, motion_filter, outcome)
    if outcome.failed:
        sys.exit(2)


def _inputs(given: PredictOptions, outcome: Outcome) -> _Inputs:
    """The files that the options name. What cannot be used is a failure of ``outcome``, or a :class:`ConfigError`."""
    files = files_of(given.inputs, outcome)
    _check_places(outcome, files, [str(one) for one in (given.boxes, given.model) if one])
    pictures, videos = _apart(files)
    if outcome.outputs.animated and not videos:
        raise ConfigError("--bvh and --trc write the motion of people in videos; no input is a video")
    if given.coco is not None:
        _require_folder(given.coco, pictures)
    boxes = _given_boxes(given.boxes, pictures)
    if option := "--boxes" if given.boxes else "--coco" if given.coco else None:
        videos = _refuse_videos(videos, option, outcome)
    return _Inputs(pictures, videos, boxes)


def _unfinished(inputs: _Inputs, outcome: Outcome) -> _Inputs | None:
    """With --skip-finished the inputs that are not finished, None if all are; else all inputs."""
    if outcome.per_input is None or not outcome.per_input.skip_finished:
        return inputs
    pictures, videos = _apart(outcome.per_input.unfinished([*inputs.pictures, *inputs.videos]))
    return replace(inputs, pictures=pictures, videos=videos) if pictures or videos else None


def _predict_all(
    given: PredictOptions,
    inputs: _Inputs,
    camera: Camera | FieldOfView | None,
    motion_filter: MotionFilter,
    outcome: Outcome,
) -> None:
    from headstart.memory import keep_freed_memory
    from headstart.video import VideoOptions

    estimator = given.estimator()
    options = VideoOptions(detect_every=given.frames_between_detections(estimator), motion_filter=motion_filter)
    _require_animated(estimator.network, outcome.outputs)
    if outcome.outputs.coco is not None:
        outcome.label(estimator.network.skeleton, inputs.pictures)
    keep_freed_memory()
    with interrupted_by_sigterm(), outcome.writing():
        _predict_pictures(estimator, inputs.pictures, inputs.boxes, camera, outcome)
        for name in inputs.videos:
            _predict_video(estimator, name, camera, options, outcome)


def _check_places(outcome: Outcome, files: Sequence[str], others: Sequence[str]) -> None:
    """Raise :class:`ConfigError` if an output cannot be written, or would replace one of the files read."""
    outputs, folders = outcome.outputs, outcome.per_input
    check_outputs(outputs if folders is None else outputs.inside(folders.root), [*files, *others])
    if folders is not None:
        folders.check(files)
    outcome.spare(files)


def _require_animated(network: PoseNetwork, outputs: Outputs) -> None:
    """Raise :class:`ConfigError` if animations are wanted and the model lacks joints that they need."""
    known = set(network.skeleton.names)
    if outputs.animated and not ("left_hip" in known and {"thorax", "left_shoulder"} & known):
        raise ConfigError("--bvh and --trc need hips and shoulders, which the model never learnt")


def _apart(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Pictures, and videos."""
    from headstart.video_files import is_video

    return [name for name in files if not is_video(name)], [name for name in files if is_video(name)]


def _require_folder(labels: Path, pictures: Sequence[str]) -> None:
    """Raise :class:`ConfigError` unless there are pictures, in one folder or folders of it, for a file of labels."""
    from headstart.coco_labels import shared_folder

    if not pictures:
        raise ConfigError(f"--coco {labels}: labels are of images; no input is one")
    shared_folder(pictures)


def _given_boxes(path: Path | None, pictures: Sequence[str]) -> GivenBoxes | None:
    if path is None:
        return None
    from headstart.detect import match_boxes, read_boxes

    return match_boxes(read_boxes(path), pictures)


def _refuse_videos(videos: Sequence[str], option: str, outcome: Outcome) -> list[str]:
    """Count videos as failures: files of boxes and of labels have no frames, and to ignore ``option`` without a word
    would be wrong. None of them is left.
    """
    fix = f"Call it again without {option}"
    for name in videos:
        outcome.fail(DataError(name, f"an image, with {option}", found="a video", fix=fix))
    return []


def _predict_video(
    estimator: PoseEstimator,
    name: str,
    camera: Camera | FieldOfView | None,
    options: VideoOptions,
    outcome: Outcome,
) -> None:
    with outcome.working_on([name]) as free:
        for video in free:
            with outcome.of_input(video) as own:
                predict_one_video(estimator, video, camera, options, own)


def _predict_pictures(
    estimator: PoseEstimator,
    pictures: Sequence[str],
    boxes: GivenBoxes | None,
    camera: Camera | FieldOfView | None,
    outcome: Outcome,
) -> None:
    from headstart.display import ProgressDisplay

    reading = reading_ahead(pictures, lambda name: _read(name, boxes))
    with ProgressDisplay("predict", len(pictures), "images") as progress, reading as read:
        for done in range(0, len(pictures), _AT_ONCE):
            _predict_next(estimator, islice(read, _AT_ONCE), boxes, camera, outcome)
            if len(pictures) >= _MANY:
                progress.update(min(done + _AT_ONCE, len(pictures)))


def _predict_next(
    estimator: PoseEstimator,
    read: Iterable[tuple[str, Future[RGB]]],
    boxes: GivenBoxes | None,
    camera: Camera | FieldOfView | None,
    outcome: Outcome,
) -> None:
    """Of its own so that its pictures are freed before the next ones are read."""
    images = dict(_readable(read, outcome))
    with outcome.working_on(images) as free:
        _predict_batch(estimator, {name: images[name] for name in free}, boxes, camera, outcome)


def _predict_batch(
    estimator: PoseEstimator,
    pictures: Mapping[str, RGB],
    boxes: GivenBoxes | None,
    camera: Camera | FieldOfView | None,
    outcome: Outcome,
) -> None:
    refused: dict[int, HeadstartError] = {}
    found = estimator.estimate(
        list(pictures.values()),
        None if boxes is None else [_boxes_of(name, boxes) for name in pictures],
        camera,
        names=list(pictures),
        on_error=refused.__setitem__,
    )
    for position, ((name, image), people) in enumerate(zip(pictures.items(), found)):
        if position in refused:
            outcome.fail(refused[position])
        else:
            with outcome.of_input(name) as own:
                _report(name, image, people, own, boxes is not None)


def _read(name: str, boxes: GivenBoxes | None) -> RGB:
    """A picture; raises :class:`DataError` if it cannot be read, or if boxes are given and it has no entry."""
    from headstart.photos import read_photo

    if boxes is not None:
        _boxes_of(name, boxes)
    return read_photo(name)


def _readable(read: Iterable[tuple[str, Future[RGB]]], outcome: Outcome) -> Iterator[tuple[str, RGB]]:
    for name, picture in read:
        try:
            yield name, picture.result()
        except HeadstartError as error:
            outcome.fail(error)


def _boxes_of(name: str, boxes: GivenBoxes) -> list[list[float]]:
    """Boxes of one picture; raises :class:`DataError` if its entry is missing or is no list of boxes."""
    if name not in boxes:
        raise DataError(name, "an entry in the file of boxes", found="none", fix="[] means nobody")
    given = boxes[name]
    if isinstance(given, DataError):
        raise given
    return given


def _report(name: str, image: RGB, people: list[Prediction], outcome: Outcome, given_boxes: bool) -> None:
    outcome.add_picture(name, (image.shape[1], image.shape[0]), people)
    line = f"{name}: {described(people) if people or given_boxes else NOBODY}"
    if outcome.outputs.overlay and (folder := outcome.outputs.folder) is not None:
        path = folder / f"{outcome.unused_name(name)}.png"
        _draw(image, people, path)
        line += f" -> {outcome.shown(path)}"
    print(line)


def _draw(image: RGB, people: list[Prediction], path: Path) -> None:
    from headstart.draw_people import result_picture
    from headstart.files import write_atomically
    from headstart.images import encode_image

    write_atomically(path, encode_image(result_picture(image, people)[..., ::-1], 0))
