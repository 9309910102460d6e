"""Frames and their times through real files: rotation, variable rates, odd sizes, and files that are none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.errors import ConfigError, DataError
from headstart.video_files import VideoReader, VideoWriter, is_video

av = pytest.importorskip("av")


def write(
    path: Path,
    times: list[float],
    size: tuple[int, int] = (64, 48),
    rotation: int = 0,
    pixel_width: Fraction | None = None,
    held_s: float | None = None,
) -> Path:
    """Grey frames whose brightness counts, the top quarter red; as stored, before any rotation.

    ``held_s``: how long the last one is shown.
    """
    (width, height), packets = size, []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        if pixel_width:
            stream.codec_context.sample_aspect_ratio = pixel_width
        if held_s:
            stream.codec_context.max_b_frames = 0
        for number, time_s in enumerate(times):
            image = np.full((height, width, 3), min(10 * number, 250), np.uint8)
            image[: height // 4] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        if held_s:
            packets[-1].duration = round(held_s / packets[-1].time_base)
        container.mux(packets)
    return path


def read(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with VideoReader(path) as reader:
        frames = list(reader.frames())
    assert [frame.number for frame in frames] == list(range(len(frames)))
    return [frame.time_s for frame in frames], [frame.image for frame in frames]


@pytest.mark.parametrize(
    ("name", "yes"),
    [("a.mp4", True), ("A.MOV", True), ("webcam:0", True), ("a.jpg", False), ("mp4", False), ("folder", False)],
)
def test_what_is_a_video(name: str, yes: bool) -> None:
    assert is_video(name) is yes


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [number / 10 for number in range(12)])
    with VideoReader(path) as reader:
        assert (reader.rate, reader.expected) == (10, 12)
    times, images = read(path)
    assert times == pytest.approx([number / 10 for number in range(12)], abs=1e-3)
    assert [round(float(image[30, 30].mean()) / 10) for image in images] == list(range(12))


def test_a_variable_rate_goes_out_as_it_came_in(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.4, 0.433, 1.0]
    got, images = read(write(tmp_path / "in.mp4", times))
    assert got == pytest.approx(times, abs=1e-3)
    with VideoWriter(tmp_path / "out.mp4", Fraction(6)) as writer:
        for image, time_s in zip(images, got):
            writer.write(image, time_s)
    assert read(tmp_path / "out.mp4")[0] == pytest.approx(times, abs=1e-3)


# A quarter turn counterclockwise brings the red top to the left.
@pytest.mark.parametrize(("rotation", "red"), [(90, (24, 4)), (-90, (24, 43)), (180, (44, 32)), (0, (3, 32))])
def test_phones_that_lie_down_are_turned_upright(tmp_path: Path, rotation: int, red: tuple[int, int]) -> None:
    _, images = read(write(tmp_path / "a.mp4", [0.0, 0.1], (64, 48), rotation))
    assert images[0].shape == ((64, 48, 3) if abs(rotation) == 90 else (48, 64, 3))
    assert images[0][red][0] > 200
    assert images[0][red][2] < 60
    assert (images[0][..., 0] > 150).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("rotation", "shape"), [(0, (48, 85, 3)), (90, (85, 48, 3))])
def test_narrow_pixels_of_camcorders_become_square(tmp_path: Path, rotation: int, shape: tuple[int, ...]) -> None:
    _, images = read(write(tmp_path / "a.mp4", [0.0, 0.1], (64, 48), rotation, pixel_width=Fraction(4, 3)))
    assert images[0].shape == shape
    red = images[0] if rotation == 0 else images[0].transpose(1, 0, 2)
    assert (red[:10, :, 0] > 200).all()
    assert (red[14:, :, 0] < 30).all()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_last_frame_that_is_held_is_no_cut(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", [number / 10 for number in range(20)], held_s=5.0)
    assert len(read(path)[0]) == 20


def test_odd_sizes_gain_a_row_and_a_column(tmp_path: Path) -> None:
    image = np.full((33, 21, 3), 200, np.uint8)
    with VideoWriter(tmp_path / "deep" / "a.mp4") as writer:
        writer.write(image, 0.0)
        writer.write(image, 0.04)
    _, images = read(tmp_path / "deep" / "a.mp4")
    assert images[0].shape == (34, 22, 3)
    assert abs(int(images[1].mean()) - 200) < 4


def test_without_h264_the_file_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    with VideoWriter(tmp_path / "a.mp4", Fraction(30000, 1001)) as writer:
        for number in range(5):
            writer.write(np.full((32, 32, 3), 40 * number, np.uint8), number * 1001 / 30000)
    assert read(tmp_path / "a.mp4")[0] == pytest.approx([number * 1001 / 30000 for number in range(5)], abs=1e-3)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"


def test_after_an_error_no_file_is_left(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="array"), VideoWriter(tmp_path / "a.mp4") as writer:  # noqa: PT012
        for image in (np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 7), np.uint8)):
            writer.write(image, 0.0)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_refuses_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    """H.264 ends at 16,384 px."""
    with pytest.raises(DataError, match=r"wide\.mp4: expected frames .* 17,000 x 16 px") as error:  # noqa: SIM117
        with VideoWriter(tmp_path / "wide.mp4") as writer:
            writer.write(np.zeros((16, 17000, 3), np.uint8), 0.0)
    assert "Scale the video down" in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_refuses_in_the_end_is_named_too(tmp_path: Path) -> None:
    class Refuses:
        width, height, codec_context = 32, 32, SimpleNamespace(name="libx264")

        def encode(self, picture: object = None) -> list[object]:
            raise av.error.ExternalError(1, "no more")

    with pytest.raises(DataError, match=r"late\.mp4.*no more"), VideoWriter(tmp_path / "late.mp4") as writer:  # noqa: PT012
        writer.write(np.zeros((32, 32, 3), np.uint8), 0.0)
        writer._stream = Refuses()
    assert list(tmp_path.iterdir()) == []


def test_a_caller_that_goes_on_after_a_refusal_gets_no_part_of_a_video(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "wide.mp4") as writer, pytest.raises(DataError):
        writer.write(np.zeros((16, 17000, 3), np.uint8), 0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".mp4")
    with VideoWriter(path) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8), 0.0)
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_format_to_write_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="such as clip"), VideoWriter(tmp_path / "a.nothing") as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8), 0.0)
    assert list(tmp_path.iterdir()) == []


def refused(path: Path) -> str:
    with pytest.raises(DataError) as error:
        read(path)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def test_files_that_are_no_videos_give_one_line(tmp_path: Path) -> None:
    for name, content in (("empty.mp4", b""), ("text.mp4", b"not a video at all" * 100)):
        (tmp_path / name).write_bytes(content)
        assert "a whole video file" in refused(tmp_path / name)
    assert "No such file" in refused(tmp_path / "missing.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "sound only" in refused(tmp_path / "sound.mp4")


@pytest.mark.parametrize(
    ("suffix", "reason"), [("mkv", "a whole video file"), ("mp4", "with frames"), ("avi", "not a single frame")]
)
def test_a_video_without_frames(tmp_path: Path, suffix: str, reason: str) -> None:
    """A header that announces pictures, and none behind it."""
    path = tmp_path / f"none.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert path.stat().st_size > 0
    assert reason in refused(path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cut_off_file_is_told_from_a_whole_one(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"whole.{suffix}", [number / 10 for number in range(100)])
    assert len(read(path)[0]) == 100
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(cut)


def test_a_camera_that_is_not_there() -> None:
    assert "camera" in refused(Path("webcam:93"))
