"""``headstart predict`` on videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from headstart.cli.animating import Animations
from headstart.cli.outcome import Outcome, counted, described_scores
from headstart.errors import ConfigError, HeadstartError

if TYPE_CHECKING:
    from headstart.geometry import Camera
    from headstart.records import Estimator, FieldOfView
    from headstart.video import TrackedPerson, VideoOptions

#: What is said of an input in which the detector found nobody.
NOBODY = "0 people (--detector none takes the whole image as one person)"


def predict_one_video(
    estimator: Estimator,
    name: str,
    camera: Camera | FieldOfView | None,
    options: VideoOptions,
    outcome: Outcome,
) -> None:
    """Predict one video frame by frame; people from before an error are kept. ``outcome``: that of this input."""
    from headstart.video import predict_video
    from headstart.video_files import is_camera

    unused, folder = outcome.unused_name(name), outcome.outputs.folder
    overlay = None if folder is None or not outcome.outputs.overlay else folder / f"{unused}.mp4"
    animations = Animations(outcome.outputs.bvh, outcome.outputs.trc, options)
    frames = 0
    scores: dict[int, list[float]] = {}  # of each track, frame by frame
    try:
        for people in _with_progress(
            name, predict_video(estimator, name, overlay=overlay, camera=camera, options=options)
        ):
            frames += 1
            for person in people:
                outcome.add(person)
                animations.add(person)
                scores.setdefault(person.track, []).append(person.prediction.score)
        outcome.videos += 1
    except HeadstartError as error:
        outcome.fail(error)
    except KeyboardInterrupt:
        if not is_camera(name):
            raise
        outcome.videos += 1
    if folder is not None and frames:
        _write_animations(animations, name, folder / unused, outcome)
    if frames:
        found = described_scores([median(track) for track in scores.values()]) if scores else NOBODY
        line = f"{name}: {counted(frames, 'frame', 'frames')}, {found}"
        print(line if overlay is None else f"{line} -> {outcome.shown(overlay)}")


def _with_progress(name: str, video: Iterator[list[TrackedPerson]]) -> Iterator[list[TrackedPerson]]:
    """The same frames, with a progress display if the header has their number."""
    from headstart.display import ProgressDisplay
    from headstart.video import count_frames

    total = count_frames(name)
    if not total:
        yield from video
        return
    with ProgressDisplay(name, total, "frames") as progress:
        for frames, people in enumerate(video, 1):
            yield people
            progress.update(min(frames, total))


def _write_animations(animations: Animations, name: str, stem: Path, outcome: Outcome) -> None:
    try:
        written = animations.write(stem)
    except ConfigError as error:  # the header had another frame rate, at which the cutoff of --smooth was possible
        outcome.fail(ConfigError(f"{name}: {error}"))
        return
    for path, start_s in written.items():
        print(f"{name}: -> {outcome.shown(path)}" + (f", from {start_s:.2f} s on" if start_s else ""))
    if (animations.bvh or animations.trc) and not written:
        print(f"{name}: no motion to write: nobody is in two frames")
