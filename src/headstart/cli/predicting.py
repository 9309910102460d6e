"""``headstart predict``: poses of people in pictures and videos, as files and drawn on the pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from headstart.cli.animating import motion_filter_of
from headstart.cli.cameras import camera_of
from headstart.cli.estimator import build_estimator
from headstart.cli.filming import predict_one_video
from headstart.cli.inputs import files_of
from headstart.cli.outcome import Outcome, described
from headstart.cli.outputs import Outputs, check_outputs
from headstart.cli.per_input import PerInput, interrupted_by_sigterm
from headstart.cli.placeholders import (
    Detector,
    Millimetres,
    OptionalCount,
    OptionalDevice,
    OptionalFile,
    OptionalFolder,
    OptionalModel,
    Scales,
)
from headstart.errors import ConfigError, DataError, HeadstartError

if TYPE_CHECKING:
    from headstart.detect import GivenBoxes
    from headstart.geometry import Camera
    from headstart.predict import PoseEstimator
    from headstart.records import RGB, FieldOfView, PoseNetwork, Prediction

# Pictures held at once: enough to fill a batch, few enough for large photographs.
_AT_ONCE = 8
_MANY = 20


def predict(
    inputs: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="INPUT [INPUT ...]", help_behavior_hint="")
    ],
    model: OptionalModel = None,
    boxes: OptionalFile = None,
    detector: Detector = "auto",
    camera: Annotated[
        str | None, tyro.conf.arg(metavar="F,CX,CY or FX,FY,CX,CY[,K1,K2,P1,P2,K3]", help_behavior_hint="")
    ] = None,
    field_of_view: Annotated[float | None, tyro.conf.arg(metavar="DEGREES", help_behavior_hint="")] = None,
    height_mm: Millimetres = 1700.0,
    json_output: Annotated[Path | None, tyro.conf.arg(name="json", metavar="FILE", help_behavior_hint="")] = None,
    csv: OptionalFile = None,
    npz: OptionalFile = None,
    bvh: bool = False,
    trc: bool = False,
    smooth: Annotated[str, tyro.conf.arg(metavar="{one-euro,none,HZ}")] = "one-euro",
    out: OptionalFolder = None,
    overlay: bool = True,
    per_input: bool = False,
    skip_finished: bool = False,
    flip_test: bool = True,
    scales: Scales = (1.0,),
    batch_size: int = 32,
    device: OptionalDevice = None,
    threads: OptionalCount = None,
    detect_every: OptionalCount = None,
) -> None:
    """2D and 3D poses of the people in pictures and videos. With no output named, all goes to ./predictions.

    Pixels count from 0 at the centre of the top left pixel of the upright picture. Millimetres are in camera axes (x
    right, y down, z away), relative to the pelvis, for a person of --height-mm. An input that cannot be used is named
    on one line, the others are processed, and the exit code is 2. People in videos have a number (track), the same in
    every frame, and joints as estimated and smoothed. webcam:0 is a camera; Ctrl-C ends it.

    Args:
        inputs: pictures, videos, folders of both, globs, webcam:0.
        model: checkpoint, folder of a run, hub id, or exported .onnx file, the fastest on a CPU; the model that ships
            if not given.
        boxes: JSON that maps file names to [[x, y, width, height], ...] px, tight around each person.
        detector: finds people: hub id or folder of a transformers detector; search: the model itself, slow and
            rough; none: the whole picture is one person, around whom the model crops itself; auto: the default detector
            if its weights are on this machine, else none.
        camera: focal length (or two, across and down) and principal point in px, and the distortion of the lens as
            OpenCV has it: adds positions relative to the camera.
        field_of_view: the same for an assumed camera that sees so many degrees from left to right (55 suits phones).
        height_mm: stature that gives the scale; one picture does not say how large a person is.
        json_output: write the people here (.json; - for standard output); of videos entry by entry, in bounded memory.
        csv: the same as a table with one row a joint (.csv); of videos with frame, time and track.
        npz: the same as arrays (.npz).
        bvh: videos: each person's motion, smoothed over the whole clip, as OUT/NAME_personN.bvh, for animation tools
            (cm). With --camera or --field-of-view people move through space, the camera at the origin (their distance
            is only as accurate as the camera and --height-mm); without, the pelvis stays at the origin.
        trc: the same as OUT/NAME_personN.trc, for biomechanics tools (mm).
        smooth: filter for --bvh and --trc: one-euro, the steadiest at rest, which flattens fast movements, most of all
            at low frame rates; none; or the cutoff in Hz of a zero-lag Butterworth filter, often 6 in biomechanics.
        out: folder for pictures (overlay and two views of the skeleton) and videos (overlay).
        overlay: write those pictures and videos; --bvh and --trc need none, and are quicker without.
        per_input: put the results of each input into a folder of its own below --out, which has the input's path and
            appears when it is complete; --json, --csv and --npz are then names of files in it.
        skip_finished: with --per-input: leave out inputs whose folder says that they are finished, with these options.
        flip_test: average with the mirrored picture: twice the time, somewhat more accurate.
        scales: look at each person at these scales and average; 0.9 1 1.15 takes three times the time and is somewhat
            more accurate.
        batch_size: people at once.
        device: cpu, cuda, cuda:1, ...; if not given the GPU if there is one, for .onnx files the CPU.
        threads: CPU threads of network and detector; all if not given.
        detect_every: videos: frames from one detection to the next; in between boxes follow the joints. 1 if not
            given, 25 with --detector search.
    """
    if not inputs:
        raise ConfigError("predict: expected pictures, folders, globs or videos")
    if skip_finished and not per_input:
        raise ConfigError("--skip-finished: give --per-input too, whose folders say what is finished")
    outputs = Outputs(json_output, csv, npz, out, bvh, trc, overlay)
    outputs = outputs.for_each_input() if per_input else outputs.completed()
    motion_filter = motion_filter_of(smooth, outputs.animated)
    lens = camera_of(camera, field_of_view)
    results_depend_on = {
        "model": model or "shipped",
        "boxes": boxes,
        "detector": detector,
        "camera": camera,
        "field_of_view": field_of_view,
        "height_mm": height_mm,
        "flip_test": flip_test,
        "scales": scales,
        "detect_every": detect_every,
        "smooth": smooth,
    }
    folders = PerInput.of(outputs, results_depend_on) if per_input else None
    outcome = Outcome(outputs, folders)
    files = files_of(inputs, outcome)
    _check_places(outcome, files, [str(one) for one in (boxes, model) if one])
    pictures, videos = _apart(files)
    if outputs.animated and not videos:
        raise ConfigError("--bvh and --trc write the motion of people in videos; no input is a video")
    given = _given_boxes(boxes, pictures)
    if given is not None:
        videos = _refuse_videos(videos, outcome)
    if skip_finished and folders is not None:
        pictures, videos = _apart(folders.unfinished([*pictures, *videos]))
        if not pictures and not videos:
            sys.exit(2 if outcome.failed else 0)
    from headstart.memory import keep_freed_memory
    from headstart.video import VideoOptions

    options = VideoOptions(detect_every=_detect_every(detect_every, detector), motion_filter=motion_filter)
    estimator = build_estimator(
        model,
        detector if given is None else "none",
        device,
        batch_size=batch_size,
        flip_test=flip_test,
        scales=scales,
        height_mm=height_mm,
        threads=threads,
    )
    _require_animated(estimator.network, outputs)
    keep_freed_memory()
    with interrupted_by_sigterm(), outcome.writing():
        _predict_pictures(estimator, pictures, given, lens, outcome)
        for name in videos:
            with outcome.of_input(name) as own:
                predict_one_video(estimator, name, lens, options, own)
    if outcome.failed:
        sys.exit(2)


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


def _given_boxes(path: Path | None, pictures: Sequence[str]) -> GivenBoxes | None:
    if path is None:
        return None
    from headstart.detect import match_boxes, read_boxes

    return match_boxes(read_boxes(path), pictures)


def _refuse_videos(videos: Sequence[str], outcome: Outcome) -> list[str]:
    """Count videos as failures: a file of boxes has no frames, and to ignore it without a word would be wrong.

    None of them is left.
    """
    for name in videos:
        outcome.fail(DataError(name, "a picture, with --boxes", found="a video", fix="Call it again without --boxes"))
    return []


def _detect_every(given: int | None, detector: str) -> int:
    """Frames from one detection to the next: more for a search, which takes seconds; boxes follow joints in between."""
    if given is not None:
        return given
    return 25 if detector == "search" else 1


def _predict_pictures(
    estimator: PoseEstimator,
    pictures: Sequence[str],
    boxes: GivenBoxes | None,
    camera: Camera | FieldOfView | None,
    outcome: Outcome,
) -> None:
    from headstart.display import ProgressDisplay

    with ProgressDisplay("predict", len(pictures), "pictures") as progress:
        for start in range(0, len(pictures), _AT_ONCE):
            names = pictures[start : start + _AT_ONCE]
            _predict_batch(estimator, dict(_load(names, boxes, outcome)), boxes, camera, outcome)
            if len(pictures) >= _MANY:
                progress.update(start + len(names))


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
                _report(name, image, people, own)


def _load(names: Sequence[str], boxes: GivenBoxes | None, outcome: Outcome) -> Iterator[tuple[str, RGB]]:
    """The pictures that can be read and, where boxes are given, have an entry."""
    from headstart.photos import read_photo

    for name in names:
        try:
            if boxes is not None:
                _boxes_of(name, boxes)
            yield name, read_photo(name)
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


def _report(name: str, image: RGB, people: list[Prediction], outcome: Outcome) -> None:
    for person in people:
        outcome.add(person)
    outcome.pictures += 1
    line = f"{name}: {described(people)}"
    if outcome.outputs.overlay and (folder := outcome.outputs.folder) is not None:
        path = folder / f"{outcome.unused_name(name)}.png"
        _draw(image, people, path)
        line += f" -> {outcome.shown(path)}"
    print(line)


def _draw(image: RGB, people: list[Prediction], path: Path) -> None:
    from headstart.draw_people import result_picture
    from headstart.images import encode_image
    from headstart.results import write_atomically

    write_atomically(path, encode_image(result_picture(image, people)[..., ::-1], 0))
