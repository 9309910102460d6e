"""``headstart predict`` on videos."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from headstart.cli.animating import Animations
from headstart.cli.outcome import Outcome, counted, described_scores
from headstart.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.geometry import Camera
    from headstart.predict import FieldOfView, PoseEstimator
    from headstart.video import VideoOptions


def predict_one_video(
    estimator: PoseEstimator,
    name: str,
    camera: Camera | FieldOfView | None,
    out: Path | None,
    options: VideoOptions,
    outcome: Outcome,
    keep: bool,
    animations: Animations,
) -> None:
    """One video: frames as they come; what came before a fault is kept."""
    from headstart.display import ProgressDisplay
    from headstart.video import count_frames, predict_video
    from headstart.video_files import is_camera

    unused = outcome.unused_name(name)
    overlay = None if out is None else out / f"{unused}.mp4"
    frames = 0
    scores: dict[int, list[float]] = {}  # of each track, frame by frame
    try:
        total = count_frames(name)
        progress = ProgressDisplay(name, total, "frames") if total else None
        with progress or nullcontext():
            for people in predict_video(estimator, name, overlay=overlay, camera=camera, options=options):
                frames += 1
                for person in people:
                    outcome.add(person)
                    scores.setdefault(person.track, []).append(person.prediction.score)
                    animations.add(person)
                    if keep:
                        outcome.people.append(person.frame_prediction())
                if progress is not None:
                    progress.update(min(frames, total))
        outcome.videos += 1
    except HeadstartError as error:
        outcome.fail(error)
    except KeyboardInterrupt:
        if not is_camera(name):
            raise
        outcome.videos += 1
    if out is not None:
        for path, start_s in animations.write(out / unused).items():
            print(f"{name}: -> {path}" + (f", from {start_s:.2f} s on" if start_s else ""))
    if frames:
        found = described_scores([median(track) for track in scores.values()])
        line = f"{name}: {counted(frames, 'frame', 'frames')}, {found}"
        print(line if overlay is None else f"{line} -> {overlay}")
