"""Reading pictures: always BGR uint8 in the stored pixels; frames of videos by their exact number."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from headstart import images
from headstart.errors import DataError
from headstart.images import decode_image, read_image, read_video_frame
from headstart.photos import read_photo

FRAMES = 45
#: Codec, suffix and options: B-frames with rare key frames, several groups of pictures, and every frame a key frame.
VIDEOS = {
    "mpeg4 with B-frames": ("mpeg4", ".mp4", {"bf": "2", "g": "20"}),
    "h264, open groups": ("libx264", ".mp4", {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}),
    "h264 in mkv": ("libx264", ".mkv", {"x264-params": "keyint=15:bframes=2:scenecut=0"}),
    "mpeg4 in avi": ("mpeg4", ".avi", {"g": "12"}),
    "mjpeg": ("mjpeg", ".avi", {}),
}
#: No key frames at changes of the scene, which the bars would seem to be.
STEADY = {"sc_threshold": "1000000000"}
#: AVI has no times of presentation: codec, options, and how many groups of pictures begin with a key frame.
AVIS = {
    "h264, as libx264 makes it": ("libx264", {}, 1),
    "h264, short groups": ("libx264", {"g": "12", "sc_threshold": "0"}, 4),
    "h264, open groups": ("libx264", {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}, 4),
    "h264 without B-frames": ("libx264", {"bf": "0", "g": "12", "sc_threshold": "0"}, 4),
    # Groups are open: a key frame is packet 10 and, after two B-frames that need the group before, picture 12.
    "mpeg4 with 2 B-frames": ("mpeg4", {"bf": "2", "g": "12", **STEADY}, 4),
    "mpeg4 without": ("mpeg4", {"g": "12", **STEADY}, 4),
    "mjpeg": ("mjpeg", {}, FRAMES),
}


def photo() -> np.ndarray:
    """BGR (24, 40, 3): blue grows to the right, green downwards, red is 200."""
    image = np.full((24, 40, 3), 200, np.uint8)
    image[..., 0] = 6 * np.arange(40)
    image[..., 1] = 10 * np.arange(24)[:, None]
    return image


def bars(frame: int) -> np.ndarray:
    """Picture (48, 96, 3) of a frame: its number in six binary digits, dark or bright bars with a grain."""
    digits = (frame >> np.arange(6)) & 1
    grain = np.random.default_rng(frame).integers(0, 40, (48, 96))
    return np.repeat((np.repeat(200 * digits, 16) + grain)[..., None], 3, 2).astype(np.uint8)


def number_of(picture: np.ndarray) -> int:
    """The frame number that :func:`bars` wrote."""
    digits = picture.reshape(48, 6, 16, 3).mean((0, 2, 3)) > 127
    return int((digits << np.arange(6)).sum())


def write_video(path: Path, codec: str, options: dict[str, str], rate: int = 25, frames: int = FRAMES) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = 96, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 4  # on a machine with one core, packets of mpeg4 would be too short
        for frame in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(bars(frame), format="bgr24")))
        container.mux(stream.encode())
    return path


def without_content(path: Path, content: bytes = b"") -> Path:
    """An AVI of which packet 20 holds ``content`` alone, of an even number of bytes."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        at = [packet.pos for packet in container.demux(video=0)][20]
    assert data[at - 8 : at - 4] == b"00dc"
    (size,) = struct.unpack("<I", data[at - 4 : at])
    left = size - len(content) - 8
    data[at - 4 : at] = struct.pack("<I", len(content))
    data[at : at + size] = content + b"JUNK" + struct.pack("<I", left) + b" " * left
    entry = data.rindex(b"idx1") + 8 + 16 * 20
    data[entry + 12 : entry + 16] = struct.pack("<I", len(content))
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module", params=list(VIDEOS))
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec, suffix, options = VIDEOS[request.param]
    return write_video(tmp_path_factory.mktemp("video") / f"clip{suffix}", codec, options)


class TestPictures:
    def test_png_is_bgr_to_the_last_bit(self, tmp_path: Path):
        cv2.imwrite(str(tmp_path / "a.png"), photo())
        image = read_image(tmp_path / "a.png")
        np.testing.assert_array_equal(image, photo())
        assert image.dtype == np.uint8

    def test_jpeg_is_bgr(self, tmp_path: Path):
        Image.fromarray(photo()[..., ::-1]).save(tmp_path / "a.jpg", quality=95, subsampling=0)
        difference = read_image(tmp_path / "a.jpg").astype(int) - photo()
        assert np.abs(difference).max() <= 6

    @pytest.mark.parametrize("suffix", [".png", ".jpg"])
    def test_grey_becomes_three_equal_channels(self, tmp_path: Path, suffix: str):
        path = tmp_path / f"a{suffix}"
        Image.new("L", (20, 10), 77).save(path)
        np.testing.assert_array_equal(read_image(path), np.full((10, 20, 3), 77, np.uint8))

    def test_sixteen_bits_keep_the_upper_eight(self, tmp_path: Path):
        cv2.imwrite(str(tmp_path / "a.png"), np.full((10, 20), 100 * 256 + 17, np.uint16))
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.full((10, 20, 3), 100, np.uint8))

    def test_alpha_is_dropped_not_mixed_in(self, tmp_path: Path):
        Image.new("RGBA", (20, 10), (250, 40, 7, 128)).save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.full((10, 20, 3), (7, 40, 250), np.uint8))

    def test_a_palette_is_looked_up(self, tmp_path: Path):
        Image.new("RGB", (20, 10), (250, 40, 7)).quantize(2).save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.full((10, 20, 3), (7, 40, 250), np.uint8))

    def test_cmyk_becomes_bgr(self, tmp_path: Path):
        Image.new("CMYK", (16, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
        image = read_image(tmp_path / "a.jpg")
        assert image.shape == (8, 16, 3)
        assert np.abs(image.astype(int) - (0, 0, 255)).max() <= 3

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_turns_it_only_if_it_is_asked_to(self, tmp_path: Path, orientation: int):
        """Labels are in the stored pixels unless they say otherwise. Upright it is as PIL turns it."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(photo()[..., ::-1]).save(tmp_path / "a.jpg", quality=95, subsampling=0, exif=exif)
        image = read_image(tmp_path / "a.jpg")
        assert image.shape == (24, 40, 3)
        assert np.abs(image.astype(int) - photo()).max() <= 6
        upright = read_image(tmp_path / "a.jpg", upright=True)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))[..., ::-1]
        assert upright.flags.c_contiguous
        assert upright.shape == expected.shape
        assert np.abs(upright.astype(int) - expected).max() <= 2

    def test_an_orientation_that_only_xmp_has_counts_as_for_photos(self, tmp_path: Path):
        """OpenCV does not know it, and PIL does, by which labels of photos are made and read."""
        namespaces = (
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
        )
        xmp = f'<rdf:RDF {namespaces}><rdf:Description tiff:Orientation="6"/></rdf:RDF>'
        Image.fromarray(photo()[..., ::-1]).save(tmp_path / "a.jpg", xmp=xmp.encode())
        assert read_image(tmp_path / "a.jpg").shape == (24, 40, 3)
        upright = read_image(tmp_path / "a.jpg", upright=True)
        assert np.abs(upright[..., ::-1].astype(int) - read_photo(tmp_path / "a.jpg")).max() <= 2
        assert upright.shape == (40, 24, 3)

    def test_upright_without_exif_is_as_stored(self, tmp_path: Path):
        cv2.imwrite(str(tmp_path / "a.png"), photo())
        np.testing.assert_array_equal(read_image(tmp_path / "a.png", upright=True), photo())

    def test_encoded_bytes_and_a_memoryview_of_them(self):
        content = cv2.imencode(".png", photo())[1].tobytes()
        np.testing.assert_array_equal(decode_image(content, "packed"), photo())
        np.testing.assert_array_equal(decode_image(memoryview(content), "packed"), photo())


class TestUnreadable:
    def test_a_missing_file_is_named(self, tmp_path: Path):
        with pytest.raises(DataError, match=r"none\.jpg: expected a readable image, found No such file"):
            read_image(tmp_path / "none.jpg")

    def test_a_folder_is_named(self, tmp_path: Path):
        (tmp_path / "folder.jpg").mkdir()
        with pytest.raises(DataError, match=r"folder\.jpg"):
            read_image(tmp_path / "folder.jpg")

    def test_an_empty_file_is_named(self, tmp_path: Path):
        (tmp_path / "empty.jpg").touch()
        with pytest.raises(DataError, match=r"empty\.jpg.*0 bytes"):
            read_image(tmp_path / "empty.jpg")

    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    @pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
    def test_a_truncated_file_is_named(self, tmp_path: Path, suffix: str, share: float):
        content = cv2.imencode(suffix, photo())[1].tobytes()
        path = tmp_path / f"short{suffix}"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(DataError, match=rf"short\{suffix}"):
            read_image(path)

    def test_a_jpeg_that_lost_its_end_is_not_saved_by_a_whole_thumbnail(self, tmp_path: Path):
        """OpenCV 4 fills the missing rows of a truncated JPEG with whatever was in memory."""
        content = cv2.imencode(".jpg", photo())[1].tobytes()
        thumbnail = b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
        whole = content[:2] + thumbnail + content[2:]
        assert decode_image(whole, "whole").shape == (24, 40, 3)
        with pytest.raises(DataError, match=r"short.*ends early"):
            decode_image(whole[:-40], "short")

    def test_bytes_after_the_end_of_a_jpeg_do_no_harm(self):
        content = cv2.imencode(".jpg", photo())[1].tobytes()
        np.testing.assert_array_equal(decode_image(content + b"maker's notes", "a"), decode_image(content, "b"))

    def test_text_is_no_picture(self):
        with pytest.raises(DataError, match=r"person 7.*11 bytes"):
            decode_image(b"hello world", "person 7")


class TestVideo:
    def test_frames_out_of_order_are_the_right_ones(self, video: Path):
        wanted = np.random.default_rng(3).permutation(FRAMES).tolist()
        assert [number_of(read_image(video, frame)) for frame in wanted] == wanted

    def test_shape_and_type(self, video: Path):
        image = read_video_frame(video, 1)
        assert (image.shape, image.dtype) == ((48, 96, 3), np.uint8)

    @pytest.mark.parametrize("frame", [FRAMES, FRAMES + 1, 10_000])
    def test_beyond_the_end_is_named(self, video: Path, frame: int):
        with pytest.raises(DataError, match=rf"clip\.\w+: expected a video with frame {frame}"):
            read_video_frame(video, frame)

    def test_a_negative_frame_is_named(self, video: Path):
        with pytest.raises(DataError, match=r"clip\.\w+: expected the number of a frame.*-1"):
            read_image(video)

    def test_a_rate_that_is_no_whole_number_of_ticks(self, tmp_path: Path):
        path = write_video(tmp_path / "clip.mkv", "mpeg4", {"bf": "2", "g": "20"}, rate=30)
        assert [number_of(read_video_frame(path, frame)) for frame in (44, 31, 17, 1)] == [44, 31, 17, 1]

    def test_a_video_without_a_rate_is_named(self, tmp_path: Path):
        """Its frames cannot be found by their times: MKV's field of it becomes one that nobody knows."""
        path = write_video(tmp_path / "clip.mkv", "mpeg4", {}, frames=2)
        path.write_bytes(path.read_bytes().replace(b"\x23\xe3\x83", b"\x23\xe3\x8f"))
        with pytest.raises(DataError, match=r"clip\.mkv: expected a video with frame 1, found no frame rate"):
            read_video_frame(path, 1)

    def test_missing_empty_and_truncated_files_are_named(self, tmp_path: Path, video: Path):
        short = tmp_path / "short.mp4"
        short.write_bytes(video.read_bytes()[:64])
        (tmp_path / "empty.mp4").touch()
        for name in ("none.mp4", "empty.mp4", "short.mp4"):
            with pytest.raises(DataError, match=name):
                read_video_frame(tmp_path / name, 0)

    def test_a_sound_file_has_no_frames(self, tmp_path: Path):
        path = tmp_path / "sound.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=44100)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 44100
            container.mux(stream.encode(silence))
            container.mux(stream.encode())
        with pytest.raises(DataError, match=r"sound\.mp4"):
            read_video_frame(path, 0)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the packets whose pictures were decoded."""
    numbers: list[int] = []
    original = images._CountedVideo._decoded

    def noted(self: Any, begin: int) -> Iterator[Any]:
        for picture in original(self, begin):
            numbers.append(picture.pts)
            yield picture

    monkeypatch.setattr(images._CountedVideo, "_decoded", noted)
    return numbers


class TestAvi:
    """Frame t is the picture before which t others are decoded, as label t of MPI-INF-3DHP says."""

    @pytest.fixture(params=list(AVIS))
    def avi(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        codec, options, groups = AVIS[request.param]
        path = write_video(tmp_path / "clip.avi", codec, options)
        assert len(images._key_packets(path, (0, 0))) == groups
        return path

    def test_in_order_each_is_decoded_once(self, avi: Path, decoded: list[int]):
        assert [number_of(read_image(avi, frame)) for frame in range(FRAMES)] == list(range(FRAMES))
        assert sorted(decoded) == list(range(FRAMES))

    def test_at_random(self, avi: Path):
        wanted = np.random.default_rng(5).integers(0, FRAMES, 2 * FRAMES).tolist()
        assert [number_of(read_image(avi, frame)) for frame in wanted] == wanted

    def test_backwards(self, avi: Path):
        wanted = list(range(FRAMES))[::-1]
        assert [number_of(read_image(avi, frame)) for frame in wanted] == wanted

    def test_each_first_of_all(self, avi: Path, tmp_path: Path):
        for frame in range(0, FRAMES, 3):
            path = Path(shutil.copy(avi, tmp_path / f"{frame}.avi"))
            assert number_of(read_image(path, frame)) == frame

    @pytest.mark.parametrize("frame", [FRAMES, 10_000])
    def test_after_a_frame_beyond_the_end_others_are_right(self, avi: Path, frame: int):
        with pytest.raises(DataError, match=rf"clip\.avi: expected a video with frame {frame}, found fewer frames"):
            read_image(avi, frame)
        assert [number_of(read_image(avi, frame)) for frame in (FRAMES - 1, FRAMES - 1, 0)] == [FRAMES - 1] * 2 + [0]

    def test_a_far_frame_costs_two_groups_at_most(self, tmp_path: Path, decoded: list[int]):
        path = write_video(tmp_path / "clip.avi", "mpeg4", {"bf": "2", "g": "12", **STEADY})
        assert number_of(read_image(path, 40)) == 40
        assert min(decoded) == 22
        assert len(decoded) <= 24

    def test_a_file_without_an_index(self, tmp_path: Path):
        """As it is left by a recording that was cut off: its packets are found by reading it."""
        path = write_video(tmp_path / "clip.avi", "mpeg4", {"bf": "2", "g": "12", **STEADY})
        content = path.read_bytes()
        path.write_bytes(content[: content.rindex(b"idx1")])
        wanted = np.random.default_rng(5).permutation(FRAMES).tolist()
        assert [number_of(read_image(path, frame)) for frame in wanted] == wanted

    def test_pictures_that_nothing_decodes_are_named(self, tmp_path: Path):
        path = write_video(tmp_path / "clip.avi", "mpeg4", {}, frames=3)
        path.write_bytes(path.read_bytes().replace(b"FMP4", b"zzzz"))
        with pytest.raises(DataError, match=r"clip\.avi: expected a video with frame 1, found no decoder"):
            read_video_frame(path, 1)

    def test_key_frames_that_are_none_are_not_believed(self, tmp_path: Path):
        """Every packet is marked as one in the index."""
        path = write_video(tmp_path / "clip.avi", "mpeg4", {"g": "12", **STEADY})
        data = bytearray(path.read_bytes())
        first = data.rindex(b"idx1") + 8
        for entry in range(first, first + 16 * FRAMES, 16):
            data[entry + 4 : entry + 8] = struct.pack("<I", 0x10)
        path.write_bytes(data)
        assert len(images._key_packets(path, (0, 0))) == FRAMES
        wanted = np.random.default_rng(5).permutation(FRAMES).tolist()
        assert [number_of(read_image(path, frame)) for frame in wanted] == wanted

    @pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
    def test_a_packet_that_is_empty_is_no_picture(self, tmp_path: Path, codec: str):
        """Capture programs write one for a frame that they dropped; those who count pictures do not see it."""
        path = without_content(write_video(tmp_path / "clip.avi", codec, {"g": "21", **STEADY}))
        there = [frame for frame in range(FRAMES) if frame != 20]
        assert [number_of(read_image(path, frame)) for frame in range(FRAMES - 1)] == there
        assert [number_of(read_image(path, frame)) for frame in (40, 3, 21, 19)] == [41, 3, 22, 19]

    def test_a_packet_that_says_as_before_is_no_picture(self, tmp_path: Path):
        """MPEG-4's picture that is not coded: start code, P, time 20 of 25, coded 0, stuffing."""
        not_coded = bytes.fromhex("000001b6") + int("0101101001001111", 2).to_bytes(2, "big")
        path = without_content(write_video(tmp_path / "clip.avi", "mpeg4", {"g": "21", **STEADY}), not_coded)
        there = [frame for frame in range(FRAMES) if frame != 20]
        for order in (range(FRAMES - 1), np.random.default_rng(5).permutation(FRAMES - 1).tolist()):
            assert [number_of(read_image(path, frame)) for frame in order] == [there[frame] for frame in order]

    @pytest.mark.posix("fork")
    def test_several_threads_and_a_fork_do_not_disturb_each_other(self, tmp_path: Path):
        path = write_video(tmp_path / "clip.avi", "mpeg4", {"bf": "2", "g": "12", **STEADY})
        wanted = list(range(FRAMES))
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda frame: number_of(read_image(path, frame)), wanted)) == wanted
        assert number_of(read_image(path, 3)) == 3
        # As many others as push out whatever reader the child has inherited.
        others = [shutil.copy(path, tmp_path / f"{number}.avi") for number in range(6)]
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a child that hangs ends by itself
            again = [number_of(read_image(path, frame)) for frame in wanted]
            os._exit(0 if again == wanted and [number_of(read_image(one, 5)) for one in others] == [5] * 6 else 1)
        assert [number_of(read_image(path, frame)) for frame in wanted] == wanted
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux says which files are open")
    def test_few_videos_stay_open(self, tmp_path: Path):
        """Known defect: readers that nobody needs any more stayed open until the garbage was collected."""
        path = write_video(tmp_path / "clip.avi", "mpeg4", {"bf": "2", "g": "12", **STEADY})
        videos = [Path(shutil.copy(path, tmp_path / f"{number}.avi")) for number in range(12)]
        gc.disable()
        try:
            for video in videos * 2:
                assert number_of(read_image(video, 9)) == 9
            targets = [os.path.realpath(link) for link in Path("/proc/self/fd").glob("*")]
        finally:
            gc.enable()
        assert sum(target.startswith(str(tmp_path)) for target in targets) <= 4

    def test_a_file_that_was_replaced_is_read_anew(self, tmp_path: Path):
        path = write_video(tmp_path / "clip.avi", "mjpeg", {})
        assert number_of(read_image(path, 7)) == 7
        write_video(path, "mpeg4", {"bf": "2"}, frames=9)
        assert number_of(read_image(path, 8)) == 8
        with pytest.raises(DataError, match="fewer frames"):
            read_image(path, 9)

    def test_after_a_packet_that_is_damaged_the_next_group_is_right(self, tmp_path: Path):
        path = write_video(tmp_path / "clip.avi", "mjpeg", {})
        data = bytearray(path.read_bytes())
        with av.open(str(path)) as container:
            packet = list(container.demux(video=0))[20]
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"clip\.avi: expected a video with frame 20"):
            [read_image(path, frame) for frame in range(21)]
        assert [number_of(read_image(path, frame)) for frame in (21, 22, 19)] == [21, 22, 19]
