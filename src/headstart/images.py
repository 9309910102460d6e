"""Reading labelled pictures: files, encoded bytes and single frames of videos. RGB comes last, after cropping."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError, DataError

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

VIDEO_SUFFIXES = frozenset({".avi", ".mkv", ".mp4", ".mov"})

# Labels are given in the stored pixels, so an EXIF orientation must not turn the picture.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def read_image(path: Path, frame: int = -1) -> NDArray[np.uint8]:
    """A picture file, or frame ``frame`` of a video file, as BGR (H, W, 3) uint8.

    Raises :class:`DataError` naming the file if it is missing or cannot be decoded.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return read_video_frame(path, frame)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(path, "a readable image", found=error.strerror or str(error)) from error
    return decode_image(content, path)


def decode_image(content: bytes | memoryview, name: Path | str) -> NDArray[np.uint8]:
    """An encoded picture as BGR (H, W, 3) uint8; ``name`` is for the :class:`DataError` if it is broken."""
    if _ends_early(content):
        raise DataError(name, "a whole JPEG picture", found=f"{len(content)} bytes, after which it ends early")
    buffer = np.frombuffer(content, np.uint8)
    image = cv2.imdecode(buffer, _FLAGS) if len(buffer) else None
    if image is None:
        raise DataError(name, "a picture that OpenCV can decode", found=f"{len(buffer)} bytes that are not one")
    return image  # type: ignore[return-value]


def _ends_early(content: bytes | memoryview) -> bool:
    """Whether a JPEG is cut off: OpenCV 4 decodes it all the same, the missing rows full of stray memory."""
    if bytes(content[:2]) != b"\xff\xd8" or bytes(content[-2:]) == b"\xff\xd9":
        return False
    # Makers append notes after the end marker, and a thumbnail has one of its own, before the picture's scan begins.
    whole = bytes(content)
    return whole.rfind(b"\xff\xd9") < whole.rfind(b"\xff\xda")


def read_video_frame(path: Path, frame: int) -> NDArray[np.uint8]:
    """Frame ``frame`` (0-based) of a video, exact also between key frames, as BGR (H, W, 3) uint8."""
    if frame < 0:
        raise DataError(path, "the number of a frame, as it is a video", found=str(frame))
    try:
        import av
    except ImportError as error:
        raise ConfigError(f"{path}: reading videos needs: pip install 'headstart[video]'") from error
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate is not None
            assert stream.time_base is not None
            ticks = 1 / (stream.average_rate * stream.time_base)
            picture = _picture_at(container, stream, frame, ticks)
            if picture is not None:
                return picture.to_ndarray(format="bgr24")  # type: ignore[return-value]
    except (OSError, IndexError, av.FFmpegError) as error:
        raise DataError(path, f"a video with frame {frame}", found=str(error)) from error
    raise DataError(path, f"a video with frame {frame}", found="fewer frames")


def _picture_at(container: InputContainer, stream: VideoStream, frame: int, ticks: Fraction) -> VideoFrame | None:
    """The picture shown ``frame`` times ``ticks`` after the first, or None."""
    start = stream.start_time or 0
    wanted = start + round(frame * ticks)
    # A seek goes by decoding time, which runs ahead of a key frame's own by the B-frames around it (16 at most): it
    # may land behind the wanted frame, and then has to begin earlier.
    for begin in (wanted, max(wanted - round(16 * ticks), start), start):
        container.seek(begin, stream=stream, backward=True)
        for picture in container.decode(stream):
            if picture.pts is not None and picture.pts >= wanted - ticks / 2:
                break
        else:
            return None
        if picture.pts < wanted + ticks / 2:
            return picture
    return None
