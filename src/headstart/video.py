"""People in a video: tracked from frame to frame, with joints as estimated and joints smoothed over time.

following.py says where people are looked for in each frame. Only a few frames are kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from os.path import realpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.confidence import UNSURE, UNSURE_JOINT
from headstart.draw_people import draw_skeleton, write
from headstart.errors import ConfigError, DataError
from headstart.following import Follower, followed_box
from headstart.geometry import Camera
from headstart.records import RGB, Estimator, FieldOfView, Point3, Prediction, by_name
from headstart.smoothing import KEYPOINTS, PATH, XYZ, MotionFilter, OneEuro, PoseSmoother, check_motion_filter, filtered
from headstart.tracking import Tracker
from headstart.video_files import Frame, VideoReader, VideoWriter

# A joint that is seen in a smaller share of a person's frames is not in the video.
_HARDLY_EVER = 0.1


@dataclass(frozen=True)
class VideoOptions:
    """How people are followed and smoothed."""

    detect_every: int = 1
    """With a detector: it looks at every ``detect_every``-th frame."""
    lost_below: float = UNSURE
    """A person of a lower certainty (confidence.py) is lost: the box is not followed. Without a detector the next frame
    is then taken as a whole."""
    frames_at_once: int = 8
    """Of a file, with a detector: so many frames are read before their people go through the pose network together.
    More than ``detect_every``, or it is frame by frame. Cameras are always read frame by frame."""
    min_overlap: float = 0.3
    """Least overlap (intersection over union) of a person's boxes in consecutive frames."""
    patience_s: float = 1.0
    """Seconds that a track is kept for its person to be found again."""
    keypoints: OneEuro = KEYPOINTS
    """Smoothing in the picture; speeds in sides of the box per second."""
    xyz: OneEuro = XYZ
    """Smoothing of 3D joints; speeds in metres per second."""
    path: OneEuro = PATH
    """With a camera: smoothing of the person's position; speeds in metres per second."""
    motion_filter: MotionFilter = "one-euro"
    """Of :func:`smooth_motion`, for 3D joints and position: ``xyz`` and ``path`` forwards and backwards; ``"none"``; or
    the cutoff in Hz of a Butterworth filter without lag (:func:`headstart.smoothing.butterworth`)."""

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise ConfigError(f"detect_every: expected 1 or more frames, got {self.detect_every}")
        if self.frames_at_once < 1:
            raise ConfigError(f"frames_at_once: expected 1 or more frames, got {self.frames_at_once}")
        check_motion_filter(self.motion_filter)


@dataclass(frozen=True)
class TrackedPerson:
    """One person in one frame."""

    prediction: Prediction
    """As estimated from this frame alone."""
    frame: int
    time_s: float
    """Seconds since the first frame."""
    track: int
    """Number of the person, 1, 2, 3 ..., the same in every frame."""
    keypoints_smooth: dict[str, Point3]
    """Joint name -> x, y in image px after the One-Euro filter, and the confidence as estimated."""
    xyz_mm_smooth: dict[str, Point3]
    """Joint name -> x, y, z in mm after the One-Euro filter, pelvis at the origin, camera axes."""
    pelvis_mm_smooth: Point3 | None = None
    """x, y, z in mm of the pelvis after the One-Euro filter, camera at the origin; None without a camera."""
    video_rate: float | None = None
    """Frames per second that the video's header gives; None where it is not known."""

    def frame_prediction(self) -> Prediction:
        """The prediction for tables and arrays, with the frame in its name (``clip.mp4#12``).

        Its ``extra`` has frame, time_s and track.
        """
        when = {"frame": self.frame, "time_s": self.time_s, "track": self.track}
        return replace(
            self.prediction, image=f"{self.prediction.image}#{self.frame}", extra=self.prediction.extra | when
        )

    def smooth_prediction(self) -> Prediction:
        """The prediction with its smooth joints; with a camera they lie around the smooth position of the pelvis.

        For a whole recording :func:`smooth_motion` is better.
        """
        absolute = None
        if self.pelvis_mm_smooth is not None:
            at_x, at_y, at_z = self.pelvis_mm_smooth
            absolute = {name: (at_x + x, at_y + y, at_z + z) for name, (x, y, z) in self.xyz_mm_smooth.items()}
        return replace(
            self.prediction, keypoints=self.keypoints_smooth, xyz_mm=self.xyz_mm_smooth, camera_xyz_mm=absolute
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the prediction's, and frame, time_s, track, joints2d_smooth and joints3d_mm_smooth."""
        return self.prediction.to_dict() | {
            "frame": self.frame,
            "time_s": round(self.time_s, 6),
            "track": self.track,
            "joints2d_smooth": {name: list(point) for name, point in self.keypoints_smooth.items()},
            "joints3d_mm_smooth": {name: list(point) for name, point in self.xyz_mm_smooth.items()},
        }


def predict_video(
    estimator: Estimator,
    source: str | Path,
    *,
    overlay: str | Path | None = None,
    camera: Camera | FieldOfView | None = None,
    options: VideoOptions | None = None,
) -> Iterator[list[TrackedPerson]]:
    """The people of each frame of a video file or camera (``webcam:0``), frame by frame.

    ``overlay``: a video to write, with the smooth poses drawn over the frames, at the same times. It is complete when
    the frames end, when the caller closes the iterator, and when the source turns out to be cut off; after any other
    error there is no file. ``camera``: adds positions relative to the camera.

    Raises :class:`DataError` for a source that is no video or is cut off: after the people of the frames before, which
    are good. Where the overlay cannot be written, its :class:`DataError` comes after the people of all frames. Raises
    :class:`ConfigError` for an overlay that would replace its source or has no name of a video, and for a
    ``motion_filter`` whose cutoff is half the frame rate or more. Ctrl-C while a camera is read ends the iterator
    without an exception.
    """
    if overlay is not None and realpath(overlay) == realpath(source):
        raise ConfigError(f"overlay {overlay}: would replace the video that is read; name another file")
    failed: DataError | None = None
    options = options or VideoOptions()
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(source))
        # Before hours of work whose motion could not be smoothed.
        check_motion_filter(options.motion_filter, float(reader.rate), f"{source}")
        follower = Follower(estimator, f"{source}", camera, options.detect_every, options.lost_below)
        tracks = _Tracks(options, float(reader.rate))
        writer = None if overlay is None else stack.enter_context(VideoWriter(Path(overlay), reader.rate))
        try:
            for frame, found in follower.people(reader.frames(), 1 if reader.live else options.frames_at_once):
                people = tracks.people(found, frame, by_box=follower.detects(frame))
                if writer is not None and failed is None:
                    try:
                        writer.write(draw_frame(frame.image, people), frame.time_s)
                    except DataError as error:
                        failed = error
                yield people
        except GeneratorExit:
            return
        except KeyboardInterrupt:
            if not reader.live:
                raise
            return
        except DataError as error:
            # Leaving the block without an exception keeps the overlay of all that could be read.
            failed = error
    if failed is not None:
        raise failed


def smooth_motion(
    people: Sequence[Prediction], frames_per_second: float, options: VideoOptions | None = None
) -> list[Prediction]:
    """One person's motion, evenly spaced as :func:`headstart.animation.evenly` gives it, with smooth 3D joints.

    ``options.motion_filter`` smooths them, forwards and backwards, so without lag. If every frame has camera positions,
    it smooths the person's path too; otherwise ``camera_xyz_mm`` becomes None. Through frames in which a joint is not
    seen (confidence.py) it moves straight, as seen from the pelvis; a joint that hardly any frame shows rests.
    Keypoints are not changed. Raises :class:`ConfigError` for a cutoff of half the frame rate or more.
    """
    if not people:
        return []
    options, names = options or VideoOptions(), list(people[0].xyz_mm)
    metres = np.array([[one.xyz_mm[name] for name in names] for one in people]) / 1000
    if options.motion_filter != "none":
        metres = _between_sightings(metres, np.array([[_is_seen(one, name) for name in names] for one in people]))
    joints = filtered(metres, frames_per_second, options.motion_filter, options.xyz) * 1000
    places = [place for one in people if (place := _pelvis_before_camera(one)) is not None]
    if len(places) < len(people):
        return [replace(one, xyz_mm=by_name(names, pose), camera_xyz_mm=None) for one, pose in zip(people, joints)]
    path = filtered(np.array(places) / 1000, frames_per_second, options.motion_filter, options.path)[:, None] * 1000
    return [
        replace(one, xyz_mm=by_name(names, pose), camera_xyz_mm=by_name(names, moved))
        for one, pose, moved in zip(people, joints, joints + path)
    ]


def _is_seen(person: Prediction, joint: str) -> bool:
    """Joints without a confidence, which only exist in 3D, count as seen."""
    return joint not in person.keypoints or person.keypoints[joint][2] >= UNSURE_JOINT


def _between_sightings(points: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Points (frames, J, 3), linear in time where not ``seen`` (frames, J); the median of all frames for joints that
    less than a tenth of them show. None is left out, because tools that read TRC fail at gaps.
    """
    filled, frames = points.copy(), np.arange(len(points))
    for joint, shown in enumerate(seen.T):
        if shown.mean() < _HARDLY_EVER:
            filled[:, joint] = np.median(points[:, joint], axis=0)
        elif not shown.all():
            for axis in range(3):
                filled[:, joint, axis] = np.interp(frames, frames[shown], points[shown, joint, axis])
    return filled


def count_frames(source: str | Path) -> int:
    """Number of frames by the video's header; 0 if it does not say, and for cameras."""
    reader = VideoReader(source)
    if reader.live:
        return 0
    with reader:
        return reader.expected


@dataclass
class _Tracks:
    """Identities and filters from one frame to the next."""

    options: VideoOptions
    rate: float | None = None
    """The video's frames per second."""
    smoothers: dict[int, PoseSmoother] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tracker = Tracker(self.options.min_overlap, self.options.patience_s)

    def people(self, found: Sequence[Prediction], frame: Frame, *, by_box: bool) -> list[TrackedPerson]:
        """Those ``found`` in the next frame; they are told apart by their boxes, or by those of their joints."""
        before_s = self.tracker.before_s
        # Where one person covers another, both may get the same joints; a detector's boxes stay apart.
        where = [one.bbox_xywh if by_box else followed_box(one) or one.bbox_xywh for one in found]
        numbers = self.tracker.assign(where, frame.time_s)
        known = {track.number for track in self.tracker.tracks}
        self.smoothers = {number: smoother for number, smoother in self.smoothers.items() if number in known}
        return [self._smoothed(one, frame, number, before_s) for one, number in zip(found, numbers)]

    def _smoothed(self, person: Prediction, frame: Frame, track: int, before_s: float) -> TrackedPerson:
        """``before_s``: time of the frame before."""
        options, time_s = self.options, frame.time_s
        smoother = self.smoothers.setdefault(track, PoseSmoother(options.keypoints, options.xyz, options.path))
        smoother.before_s = before_s
        side = max((followed_box(person) or person.bbox_xywh)[2:])
        keypoints = smoother.smooth_keypoints(person.keypoints, side, time_s)
        xyz_mm = smoother.smooth_xyz(person.xyz_mm, time_s)
        pelvis = _pelvis_before_camera(person)
        path = None if pelvis is None else smoother.smooth_path(pelvis, time_s)
        return TrackedPerson(person, frame.number, time_s, track, keypoints, xyz_mm, path, self.rate)


def _pelvis_before_camera(person: Prediction) -> Point3 | None:
    """Position (x, y, z) mm of the pelvis relative to the camera, by any joint, as a model may lack the pelvis."""
    if person.camera_xyz_mm is None:
        return None
    joint = next(iter(person.xyz_mm))
    (x, y, z), (from_x, from_y, from_z) = person.camera_xyz_mm[joint], person.xyz_mm[joint]
    return x - from_x, y - from_y, z - from_z


def draw_frame(image: RGB, people: Sequence[TrackedPerson]) -> RGB:
    """A copy of an RGB frame with the smooth pose of each person and, if there are several, the numbers of tracks."""
    canvas = image.copy()
    for person in people:
        draw_skeleton(canvas, replace(person.prediction, keypoints=person.keypoints_smooth))
    for person in people if len(people) > 1 else ():
        points = np.array([point[:2] for point in person.keypoints_smooth.values()])
        size = max(round(min(image.shape[:2]) / 30), 11)
        place = (round(float(points[:, 0].mean())) - size // 4, max(round(float(points[:, 1].min())) - 2 * size, 0))
        write(canvas, str(person.track), place, size, (255, 255, 255), shadow=True)
    return canvas
