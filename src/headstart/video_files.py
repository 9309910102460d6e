"""Users' videos, read and written with PyAV: upright frames with their times from a file or camera, and back.

One frame is in memory at a time. As in players, frames are rotated as the file says and non-square pixels are made
square. Each frame keeps its own time, so variable frame rates are preserved.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import ConfigError, DataError
from headstart.files import beside, put
from headstart.records import RGB

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv"}
)
_WEBCAM = "webcam:"
_CAMERA_FORMATS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("dshow", "video={}")}
_DEFAULT_RATE = Fraction(30)
# Both are in PyAV's own wheels; a PyAV built on a system's FFmpeg may have only the second.
_ENCODERS = (("libx264", {"crf": "20", "preset": "veryfast"}), ("mpeg4", {"q:v": "3"}))
#: MPEG-4 Part 2 counts time in at most 65,535 parts of a second.
_MPEG4_TIME_BASE = Fraction(1, 30000)


def is_video(source: str | Path) -> bool:
    """Whether a name means a video file (by its suffix) or a camera (``webcam:0``)."""
    return is_camera(source) or Path(source).suffix.lower() in VIDEO_SUFFIXES


def is_camera(source: str | Path) -> bool:
    """Whether a name means a camera (``webcam:0``)."""
    return str(source).startswith(_WEBCAM)


@dataclass(frozen=True)
class Frame:
    """One upright picture of a video."""

    number: int
    """0-based."""
    time_s: float
    """Seconds since the first frame."""
    image: RGB
    """(H, W, 3) uint8."""


class VideoReader:
    """The frames of a video in order. Use as a context manager.

    Raises :class:`DataError` for a file that is no video, has no frames, or is shorter than its header says.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = str(source)
        self.live = is_camera(source)

    def __enter__(self) -> VideoReader:
        self._container = _open(self.source, self.live)
        if not self._container.streams.video:
            self._container.close()
            raise DataError(self.source, "a video with frames", found="none (sound only?)")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = self._stream.average_rate or self._stream.guessed_rate or _DEFAULT_RATE
        """Frames per second, on average."""
        aspect = float(self._stream.sample_aspect_ratio or 1)
        self._pixel_width = aspect if 0.25 <= aspect <= 4 else 1.0  # broken files say anything
        self.expected = self._expected()
        """Number of frames by the header; 0 if it does not say."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def frames(self) -> Iterator[Frame]:
        """Every frame, once."""
        first: float | None = None
        number, time_s, shown_s = 0, 0.0, 0.0
        for picture in self._pictures():
            stamp = number / float(self.rate) if picture.time is None else picture.time
            first = stamp if first is None else first
            # In broken files times may repeat or fall; here they always grow.
            time_s = stamp - first if number == 0 or stamp - first > time_s else time_s + 1 / float(self.rate)
            yield Frame(number, time_s, _upright(picture, self._pixel_width))
            number += 1
            shown_s = time_s + max(_held_s(picture), 1 / float(self.rate))
        if not number:
            raise DataError(self.source, "a video with frames", found="not a single frame")
        self._check_end(number, shown_s)

    def _pictures(self) -> Iterator[VideoFrame]:
        import av

        number = 0
        try:
            for picture in self._container.decode(self._stream):
                yield picture
                number += 1
        except (av.FFmpegError, OSError) as error:
            reason = error.strerror or str(error)
            raise DataError(self.source, "an image", record=f"frame {number}", found=reason) from error

    def _promised_s(self) -> float:
        """Duration of the pictures by the header, s; 0 if it does not say."""
        if self.live:
            return 0.0
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        # The container's duration is that of its longest stream, which may be the sound.
        alone = len(self._container.streams) == 1 and self._container.duration is not None
        return float(self._container.duration or 0) / 1e6 if alone else 0.0

    def _expected(self) -> int:
        return 0 if self.live else self._stream.frames or round(self._promised_s() * self.rate)

    def _check_end(self, count: int, shown_s: float) -> None:
        """``shown_s``: from the first frame to the end of the last, which may be shown for long."""
        promised = self._promised_s()
        if promised - shown_s > max(0.5, 0.05 * promised):
            found = f"its end after {count} frames ({shown_s:.1f} s)"
            raise DataError(self.source, f"{promised:.1f} s of video", found=found, fix="The file is cut off")


class VideoWriter:
    """Writes RGB frames to an H.264 file (MPEG-4 where PyAV has no H.264 encoder), each at its own time.

    Use as a context manager: the file appears when it is complete, and not at all after an error. Of frames with an odd
    width or height the last column or row is repeated. Raises :class:`ConfigError` for a file name of unknown format,
    :class:`DataError` if the encoder refuses frames (for their size) or the file cannot be written.
    """

    def __init__(self, path: Path, rate: Fraction = _DEFAULT_RATE) -> None:
        self.path, self.rate = path, rate
        self._stack = ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._last = -1
        self._failed = False

    def __enter__(self) -> VideoWriter:
        self._temporary = self._stack.enter_context(beside(self.path)) / self.path.name  # whose suffix is the format
        return self

    def write(self, image: RGB, time_s: float) -> None:
        """Add a frame (H, W, 3) to be shown at ``time_s``; all frames have the size of the first."""
        import av

        even = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._start(even.shape[1], even.shape[0])
        picture = av.VideoFrame.from_ndarray(even, "rgb24")
        self._last = max(round(time_s / self._time_base), self._last + 1)
        picture.pts, picture.time_base = self._last, self._time_base
        with self._named_errors():
            self._container.mux(self._stream.encode(picture))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._container is not None:
                self._close(whole=kind is None and not self._failed)
        finally:
            self._stack.close()

    def _close(self, whole: bool) -> None:
        """Finish the file and put it in its place; if it is not ``whole``, only close it."""
        import av

        if not whole:
            with suppress(av.FFmpegError):
                self._container.close()
            return
        with self._named_errors():
            self._container.mux(self._stream.encode())
            self._container.close()
            put(self._temporary, self.path)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Errors of FFmpeg and the disk as a :class:`DataError` that names the file and the size of the frames."""
        import av

        try:
            yield
        except (av.FFmpegError, OSError) as error:
            self._failed = True
            with suppress(av.FFmpegError):
                self._container.close()
            if isinstance(error, OSError):  # the disk is full, and the like
                raise DataError(self.path, "a video that can be written", found=f"{error.strerror}") from error
            codec, size = self._stream.codec_context.name, f"{self._stream.width:,} x {self._stream.height:,} px"
            raise DataError(
                self.path,
                f"frames that can be written by {codec}",
                found=f"{size} ({error.strerror or error})",
                fix="Scale the video down, or write no video",
            ) from error

    def _start(self, width: int, height: int) -> None:
        import av

        try:
            self._container = av.open(str(self._temporary), "w")
        except (av.FFmpegError, ValueError) as error:
            raise ConfigError(f"{self.path}: expected the name of a video such as clip.mp4") from error
        codec, options = next(pair for pair in _ENCODERS if pair[0] in av.codecs_available)
        self._stream = self._container.add_stream(codec, rate=self.rate, options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._time_base = _MPEG4_TIME_BASE if codec == "mpeg4" else Fraction(1, 90000)
        self._stream.codec_context.time_base = self._time_base


def _open(source: str, live: bool) -> InputContainer:
    try:
        import av
    except ImportError as error:
        raise ConfigError(f"{source}: reading videos needs: pip install 'headstart[video]'") from error
    try:
        if not live:
            return av.open(source)
        kind, pattern = _CAMERA_FORMATS.get(sys.platform, _CAMERA_FORMATS["linux"])
        return av.open(pattern.format(source.removeprefix(_WEBCAM) or "0"), format=kind)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        expected = "a camera that this machine has" if live else "a whole video file"
        fix = "Windows knows cameras by name: 'webcam:Integrated Camera'" if live and sys.platform == "win32" else None
        raise DataError(source, expected, found=reason, fix=fix) from error


def _held_s(picture: VideoFrame) -> float:
    """How long a frame is shown, s; 0 if the file does not say, or PyAV does not (before 14.4)."""
    return float((getattr(picture, "duration", 0) or 0) * (picture.time_base or 0))


def _upright(picture: VideoFrame, pixel_width: float) -> RGB:
    """The picture as players show it. ``pixel_width``: width of the stored pixels over their height."""
    width = max(round(picture.width * pixel_width), 1)
    image = picture.to_ndarray(format="rgb24", width=width, height=picture.height)
    # The display matrix turns counterclockwise, as numpy does.
    return np.ascontiguousarray(np.rot90(image, round(picture.rotation / 90)))
