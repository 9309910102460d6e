"""Reading labelled pictures: files, encoded bytes and single frames of videos. RGB comes last, after cropping."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError, DataError

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
    buffer = np.frombuffer(content, np.uint8)
    image = cv2.imdecode(buffer, _FLAGS) if len(buffer) else None
    if image is None:
        raise DataError(name, "a picture that OpenCV can decode", found=f"{len(buffer)} bytes that are not one")
    return image  # type: ignore[return-value]


def read_video_frame(path: Path, frame: int) -> NDArray[np.uint8]:
    """Frame ``frame`` (0-based) of a video, exact also between key frames, as BGR (H, W, 3) uint8."""
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
            wanted = (stream.start_time or 0) + round(frame * ticks)
            container.seek(wanted, stream=stream, backward=True)
            for picture in container.decode(stream):
                if picture.pts is not None and picture.pts >= wanted - ticks / 2:
                    return picture.to_ndarray(format="bgr24")  # type: ignore[return-value]
    except (OSError, IndexError, av.FFmpegError) as error:
        raise DataError(path, f"a video with frame {frame}", found=str(error)) from error
    raise DataError(path, f"a video with frame {frame}", found="fewer frames")
