"""Reads pictures of data sets: files, encoded bytes and frames of videos, all as BGR; crops are converted to RGB."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.errors import ConfigError, DataError, first_line

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

_VIDEO_SUFFIXES = frozenset({".avi", ".mkv", ".mp4", ".mov"})

#: Videos without presentation times: those that FFmpeg makes up are off by the B-frames.
_WITHOUT_TIMES = frozenset({".avi"})
#: Bytes. A shorter packet may only repeat the picture before; decoders give no picture for it.
_SHORTEST_PICTURE = 20
_OPEN_VIDEOS = 4

# Labels are given in the stored pixels unless they say otherwise, so OpenCV must not turn the picture by its EXIF.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
# Orientation of EXIF -> how viewers flip the picture, which they transpose before from 5 on.
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # 1: left and right, 0: top and bottom, -1: both


def read_image(path: Path, frame: int = -1, upright: bool = False) -> NDArray[np.uint8]:
    """A picture file, or frame ``frame`` (0-based) of a video file, as BGR (H, W, 3) uint8.

    ``upright``: a picture file as viewers show it, by its EXIF orientation, in place of the stored pixels.
    Raises :class:`DataError` naming the file if it is missing or cannot be decoded.
    """
    if path.suffix.lower() in _VIDEO_SUFFIXES:
        return read_video_frame(path, frame)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(path, "a readable image", found=error.strerror or str(error)) from error
    image = decode_image(content, path)
    return _as_shown(image, content, path) if upright else image


def decode_image(content: bytes | memoryview, name: Path | str) -> NDArray[np.uint8]:
    """An encoded picture as BGR (H, W, 3) uint8; ``name`` is for the :class:`DataError` if it is broken."""
    if _ends_early(content):
        raise DataError(name, "a whole JPEG image", found=f"{len(content)} bytes, after which it ends early")
    buffer = np.frombuffer(content, np.uint8)
    image = cv2.imdecode(buffer, _FLAGS) if len(buffer) else None
    if image is None:
        raise DataError(name, "an image that OpenCV can decode", found=f"{len(buffer)} bytes that are not one")
    return image  # type: ignore[return-value]


def _as_shown(image: NDArray[np.uint8], content: bytes, path: Path) -> NDArray[np.uint8]:
    """The stored pixels (H, W, 3) of a file as viewers show them.

    Their orientation is what PIL finds, as for photos that are predicted (photos.py): OpenCV ignores that of XMP.
    """
    from PIL import ExifTags, Image

    try:
        with Image.open(BytesIO(content)) as picture:
            orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(path, "an image whose EXIF can be read, to show it upright", found=first_line(error)) from error
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)  # type: ignore[assignment]
    return image if orientation not in _FLIPS else cv2.flip(image, _FLIPS[orientation])  # type: ignore[return-value]


def encode_image(image: NDArray[np.uint8], quality: int) -> bytes:
    """A BGR picture (H, W, 3) as JPEG of that quality (1 to 100), or as PNG for 0."""
    suffix, flags = (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]) if quality else (".png", [])
    done, content = cv2.imencode(suffix, image, flags)
    assert done
    return content.tobytes()


def _ends_early(content: bytes | memoryview) -> bool:
    """Whether a JPEG is cut off: OpenCV 4 decodes it all the same, with arbitrary memory in the missing rows."""
    if bytes(content[:2]) != b"\xff\xd8" or bytes(content[-2:]) == b"\xff\xd9":
        return False
    # Cameras append data after the end marker, and a thumbnail has its own one, before the scan of the picture begins.
    whole = bytes(content)
    return whole.rfind(b"\xff\xd9") < whole.rfind(b"\xff\xda")


def read_video_frame(path: Path, frame: int) -> NDArray[np.uint8]:
    """Frame ``frame`` (0-based) of a video, exact also between key frames, as BGR (H, W, 3) uint8.

    It is found by its presentation time; in AVI files, which have none, by counting the decoded pictures. Raises
    :class:`DataError` naming the file if it cannot be read or has fewer frames.
    """
    if frame < 0:
        raise DataError(path, "the number of a frame, as it is a video", found=str(frame))
    try:
        import av
        from av.video.reformatter import VideoReformatter
    except ImportError as error:
        raise ConfigError(f"{path}: reading videos needs: pip install 'headstart[video]'") from error
    try:
        by_count = path.suffix.lower() in _WITHOUT_TIMES
        picture = _picture_by_count(path, frame) if by_count else _picture_by_time(path, frame)
        if picture is not None:
            # By a converter of our own: a picture keeps its converter, whose threads would not survive a fork.
            return VideoReformatter().reformat(picture, format="bgr24").to_ndarray()  # type: ignore[return-value]
    except (OSError, IndexError, av.FFmpegError) as error:
        raise DataError(path, f"a video with frame {frame}", found=str(error)) from error
    raise DataError(path, f"a video with frame {frame}", found="fewer frames")


def _picture_by_time(path: Path, frame: int) -> VideoFrame | None:
    """The picture shown at the time of frame ``frame``, or None."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.average_rate is None or stream.time_base is None:
            raise OSError("no frame rate in the file")
        return _picture_at(container, stream, frame, 1 / (stream.average_rate * stream.time_base))


def _picture_at(container: InputContainer, stream: VideoStream, frame: int, ticks: Fraction) -> VideoFrame | None:
    """The picture shown ``frame`` times ``ticks`` after the first, or None."""
    start = stream.start_time or 0
    wanted = start + round(frame * ticks)
    # A seek goes by decoding time, which is ahead of a key frame's presentation time by the B-frames around it (16 at
    # most). It may therefore land behind the wanted frame; then try again from an earlier time.
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


def _picture_by_count(path: Path, frame: int) -> VideoFrame | None:
    """The picture before which ``frame`` others are decoded, or None beyond the end."""
    found = path.stat()
    return _open_videos.video(path, (found.st_mtime_ns, found.st_size)).picture(frame)


class _OpenVideos(threading.local):
    """A thread's readers, kept open for the frames that are asked for next; few, as each holds decoded pictures.

    A reader is never shared: after a fork two processes would share its position in the file.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        self.readers: OrderedDict[tuple[Path, tuple[int, int]], _CountedVideo] = OrderedDict()

    def video(self, path: Path, stamp: tuple[int, int]) -> _CountedVideo:
        """The reader of a video as it is now."""
        if self.process != os.getpid():
            self.__init__()  # type: ignore[misc]
        key = (path, stamp)
        if key not in self.readers:
            if len(self.readers) >= _OPEN_VIDEOS:
                self.readers.popitem(last=False)[1].close()
            self.readers[key] = _CountedVideo(path, _key_packets(path, stamp))
        self.readers.move_to_end(key)
        return self.readers[key]


_open_videos = _OpenVideos()


@lru_cache(maxsize=4096)
def _key_packets(path: Path, stamp: tuple[int, int]) -> list[tuple[int, int]]:
    """Number and decoding time (ticks) of each packet at which decoding can begin; the first alone if that is unsure.

    ``stamp`` (time and size of the file) is part of the cache's key.
    """
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # The file's own index, if it is complete and PyAV gives it (from 16 on), saves reading the file.
        listed = [(one.timestamp, one.is_keyframe, one.size) for one in getattr(stream, "index_entries", ())]
        if not listed or len(listed) != stream.frames:
            demuxed = container.demux(stream)
            listed = [(one.dts, one.is_keyframe, one.size) for one in demuxed if one.dts is not None and one.size]
    keys = [(number, time) for number, (time, is_key, _) in enumerate(listed) if is_key or number == 0] or [(0, 0)]
    return keys if all(size >= _SHORTEST_PICTURE for *_, size in listed) else keys[:1]


class _LostCountError(Exception):
    """A seek did not lead to the key frame that the file's index promised."""


class _CountedVideo:
    """The pictures of a video by their number, for files without presentation times.

    A packet holds one picture. All packets before a key frame's are shown before it and before all that follow it in
    the file. So of the pictures from packet k on, where k is a key frame's, the first to be shown has number k. Some
    of them (B-frames) may be shown before the key frame and need the group before it, so decoding begins one key frame
    earlier.
    """

    def __init__(self, path: Path, keys: list[tuple[int, int]]) -> None:
        self._path, self._keys = path, keys
        self._pictures: Iterator[VideoFrame] | None = None
        self._shown: VideoFrame | None = None
        self._next = 0
        self._open()

    def picture(self, frame: int) -> VideoFrame | None:
        """Picture ``frame``, or None beyond the end; cheap for the same again and for those that follow."""
        try:
            return self._advance(frame)
        except _LostCountError:
            self._keys = self._keys[:1]
            return self._advance(frame)

    def close(self) -> None:
        """Close the file and free its pictures now; the iterator and this object refer to each other."""
        self._pictures = self._shown = None
        self._container.close()

    def _open(self) -> None:
        import av

        self._container = av.open(str(self._path))
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise OSError("no decoder for its images")
        # Loaders run one process per core, and a decoder's threads would not survive a fork.
        self._stream.codec_context.thread_count = 1

    def _advance(self, frame: int) -> VideoFrame | None:
        if self._shown is not None and frame == self._next - 1:
            return self._shown
        place = bisect_right(self._keys, frame, key=lambda key: key[0]) - 1
        begin = max(place - 1, 0) if self._stream.codec_context.codec.reorder else place
        if self._pictures is None or not self._keys[begin][0] <= self._next <= frame:
            self._next, self._shown = self._keys[place][0], None
            self._pictures = self._shown_from(self._next, begin)
        pictures, self._pictures = self._pictures, None  # not to be used again after an error or the end
        for self._shown in pictures:
            self._next += 1
            if self._next > frame:
                self._pictures = pictures
                return self._shown
        return None

    def _shown_from(self, first: int, begin: int) -> Iterator[VideoFrame]:
        """Pictures from number ``first`` on, decoded from key frame ``begin`` of the list on."""
        start, sure = self._keys[begin][0], begin == 0
        for picture in self._decoded(begin):
            assert picture.pts is not None
            sure |= picture.pts == start and bool(picture.key_frame)
            if picture.pts >= first:
                if not sure:
                    raise _LostCountError
                yield picture

    def _decoded(self, begin: int) -> Iterator[VideoFrame]:
        """Pictures in the order shown, the number of each one's packet as its time."""
        self._go_to(begin)
        number, time = self._keys[begin]
        for packet in self._container.demux(self._stream):
            if packet.size == 0:  # the last one; FFmpeg skips empty ones within the file
                break
            if begin and number == self._keys[begin][0] and packet.dts != time:
                raise _LostCountError
            packet.pts, number = number, number + 1
            yield from self._stream.codec_context.decode(packet)
        yield from self._stream.codec_context.decode(None)

    def _go_to(self, begin: int) -> None:
        if begin:
            self._container.seek(self._keys[begin][1], stream=self._stream, backward=True)
        else:
            self._container.close()
            self._open()
