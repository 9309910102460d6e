"""Users' pictures: what every viewer shows reaches the network, and the rest is refused in one line."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, UnsupportedOperation
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from headstart.errors import DataError
from headstart.photos import as_photo, decode_photo, names_of, read_photo

#: (48, 64, 3) RGB: a red left half, a blue top right and a green bottom right quarter.
SCENE = np.zeros((48, 64, 3), np.uint8)
SCENE[:, :32] = (230, 20, 20)
SCENE[:24, 32:] = (20, 20, 230)
SCENE[24:, 32:] = (20, 180, 20)


def corners(image: np.ndarray) -> list[str]:
    """The strongest colour near top left, top right, bottom left and bottom right."""
    rows, columns = (4, image.shape[0] - 5), (4, image.shape[1] - 5)
    return [("red", "green", "blue")[int(image[r, c].argmax())] for r in rows for c in columns]


SEEN = ["red", "blue", "red", "green"]


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif", "ppm", "avif"])
def test_formats(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(SCENE).save(tmp_path / f"scene.{suffix}")
    image = read_photo(tmp_path / f"scene.{suffix}")
    assert image.shape == SCENE.shape
    assert image.dtype == np.uint8
    assert corners(image) == SEEN


#: EXIF orientation -> what a camera held that way stored for the scene.
STORED = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.transpose(1, 0, 2),
    6: np.rot90(SCENE),
    7: SCENE[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(SCENE, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
def test_exif_orientation_is_applied(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(STORED[orientation])).save(tmp_path / f"scene.{suffix}", exif=exif)
    image = read_photo(tmp_path / f"scene.{suffix}")
    assert image.shape == SCENE.shape
    assert corners(image) == SEEN
    with Image.open(tmp_path / f"scene.{suffix}") as opened:
        np.testing.assert_array_equal(as_photo(opened), image)


def test_exif_that_nobody_can_write_again_still_turns_the_picture(tmp_path: Path) -> None:
    """A resolution in letters, as sloppy software writes it: PIL's own turning would give a TypeError."""
    entries = [(0x0112, 3, 1, struct.pack(">HH", 6, 0)), (0x011A, 2, 3, b"72\0\0")]
    ifd = b"".join(struct.pack(">HHI", *entry[:3]) + entry[3] for entry in entries)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, len(entries)) + ifd + bytes(4)
    Image.fromarray(np.ascontiguousarray(STORED[6])).save(tmp_path / "scene.jpg", exif=exif)
    image = read_photo(tmp_path / "scene.jpg")
    assert image.shape == SCENE.shape
    assert corners(image) == SEEN


def test_exif_that_cannot_be_read_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(SCENE).save(tmp_path / "scene.jpg", exif=b"Exif\0\0MM\0*" + b"\xff" * 30)
    assert corners(read_photo(tmp_path / "scene.jpg")) == SEEN


def test_cmyk(tmp_path: Path) -> None:
    Image.fromarray(SCENE).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    np.testing.assert_allclose(read_photo(tmp_path / "print.jpg").astype(int), SCENE, atol=40)
    assert corners(read_photo(tmp_path / "print.jpg")) == SEEN


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits(channels: int, suffix: str, tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 48 * 64 * channels).reshape(48, 64, channels).astype(np.uint16)
    if channels == 4:
        values[..., 3] = 65535
    cv2.imwrite(str(tmp_path / f"deep.{suffix}"), values)
    image = read_photo(tmp_path / f"deep.{suffix}")
    wanted = (values >> 8).astype(int)[..., [2, 1, 0][:channels] if channels > 1 else [0, 0, 0]]
    np.testing.assert_allclose(image, wanted, atol=1)


def test_grey_and_palette(tmp_path: Path) -> None:
    Image.fromarray(SCENE[..., 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "grey.png"), np.repeat(SCENE[..., :1], 3, 2))
    Image.fromarray(SCENE).quantize(8).save(tmp_path / "palette.png")
    assert corners(read_photo(tmp_path / "palette.png")) == SEEN


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    alpha = np.dstack([SCENE, np.full(SCENE.shape[:2], 255, np.uint8)])
    alpha[:24, :32, 3], alpha[24:, :32, 3] = 0, 128
    Image.fromarray(alpha).save(tmp_path / "cut-out.png")
    image = read_photo(tmp_path / "cut-out.png")
    assert image[4, 4].tolist() == [255, 255, 255]
    assert image[4, -5].tolist() == [20, 20, 230]
    # Half of (230, 20, 20), half white.
    np.testing.assert_allclose(image[-5, 4].astype(int), [242, 137, 137], atol=1)


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (SCENE, SCENE),
        (SCENE[..., 0], np.repeat(SCENE[..., :1], 3, 2)),
        (SCENE[..., :1], np.repeat(SCENE[..., :1], 3, 2)),
        (SCENE.astype(np.uint16) * 257, SCENE),
        (np.dstack([SCENE, np.full(SCENE.shape[:2], 255, np.uint8)]), SCENE),
        (np.dstack([SCENE.astype(np.uint16) * 257, np.full(SCENE.shape[:2], 65535, np.uint16)]), SCENE),
        (SCENE[:, ::-1], SCENE[:, ::-1]),
    ],
    ids=["rgb", "grey", "one channel", "16 bits", "rgba", "rgba of 16 bits", "a view"],
)
def test_arrays(array: Any, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(as_photo(array), wanted)


@pytest.mark.parametrize(
    "array",
    [SCENE.astype(np.float32), SCENE[None], SCENE[..., :2], np.zeros((0, 64, 3), np.uint8), SCENE.astype(bool)],
    ids=["floats", "a batch", "two channels", "empty", "booleans"],
)
def test_arrays_that_are_no_picture(array: np.ndarray) -> None:
    with pytest.raises(DataError, match="frame 7: expected") as error:
        as_photo(array, "frame 7")
    one_line(error)


def test_other_things() -> None:
    with pytest.raises(DataError, match="found dict"):
        as_photo({"not": "a picture"})


class Whole(Image.Image):
    """As other packages derive pictures of their own."""


def test_pictures_of_a_class_derived_from_that_of_pil() -> None:
    picture = Whole()
    picture.__dict__.update(Image.fromarray(SCENE).__dict__)
    np.testing.assert_array_equal(as_photo(picture), SCENE)


def test_paths_of_any_class(tmp_path: Path) -> None:
    class Upload:
        def __fspath__(self) -> str:
            return str(tmp_path / "scene.png")

    Image.fromarray(SCENE).save(tmp_path / "scene.png")
    np.testing.assert_array_equal(as_photo(Upload()), SCENE)
    assert names_of([Upload(), SCENE, tmp_path, "a.jpg"]) == [
        *(str(tmp_path / "scene.png"), "picture 1", str(tmp_path), "a.jpg")
    ]


class Download(BytesIO):
    """Cannot go back."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise UnsupportedOperation("seek")


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, BytesIO, Download])
def test_content_and_open_files(wrap: Callable[[bytes], Any]) -> None:
    encoded = cv2.imencode(".png", SCENE[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(as_photo(wrap(encoded)), SCENE)
    with pytest.raises(DataError, match=r"upload: expected an image .*found something else"):
        as_photo(wrap(b"not a picture"), "upload")
    with pytest.raises(DataError, match="found an empty file"):
        as_photo(wrap(b""))


def test_files_that_are_open_for_text_or_closed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with (tmp_path / "a.txt").open() as file, pytest.raises(DataError, match=r"found text\. Open it with mode 'rb'"):
        as_photo(file)
    with pytest.raises(DataError, match="closed"):
        as_photo(file)


@pytest.mark.parametrize(("largest", "shown"), [(255, 255), (256, 1), (65535, 255)])
def test_mode_i_holds_8_or_16_bits(largest: int, shown: int) -> None:
    values = np.zeros((20, 20), np.int32)
    values[3, 4] = largest
    picture = Image.fromarray(values)
    assert picture.mode == "I"
    assert as_photo(picture)[3, 4].tolist() == [shown] * 3


def test_a_film_is_no_picture_of_a_telephone(tmp_path: Path) -> None:
    (tmp_path / "film.jpg").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0" + bytes(100))
    with pytest.raises(DataError, match=r"found something else$"):
        read_photo(tmp_path / "film.jpg")


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and ends after a few bytes of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "found an empty file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "found something else"),
        (b"hello, this is a text", "found something else"),
        (png_header(20_000, 20_000), "at most 120,000,000 pixels, found far more. Scale it down"),
        (png_header(13_000, 13_000), "at most 120,000,000 pixels, found 13,000 x 13,000. Scale it down"),
        (png_header(65_000, 65_000), "at most 120,000,000 pixels"),
        (png_header(1, 1), "at least 8 px a side, found 1 x 1"),
        (png_header(500, 7), "at least 8 px a side"),
        (png_header(500, 500), "a whole image"),
        (png_header(500, 500)[:30], "picture"),
    ],
    ids=[
        "0 bytes",
        "PostScript",
        "text",
        "20,000 x 20,000",
        "13,000 x 13,000",
        "65,000 x 65,000",
        "1 x 1",
        "flat",
        "cut off",
        "header",
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.png") as error:
        read_photo(tmp_path / "bad.png")
    assert says in one_line(error)


def test_a_jpeg_that_ends_early(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "part.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:9000])
    with pytest.raises(DataError, match="expected a whole image") as error:
        read_photo(tmp_path / "part.jpg")
    one_line(error)


def test_pil_images_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (80, 80, 3)).astype(np.uint8))[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    premultiplied = Image.new("LA", (20, 20)).convert("La")
    for picture in (Image.open(tmp_path / "cut.jpg"), premultiplied):
        with pytest.raises(DataError, match="beach: expected a whole image"):
            as_photo(picture, "beach")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.jpg", "No such file"), (tmp_path, "directory")):
        with pytest.raises(DataError, match="an image file") as error:
            read_photo(path)
        assert says in one_line(error)


def test_threads_leave_warnings_as_they_were() -> None:
    """Two threads read at once, and the first to begin is the first to end."""
    before, encoded = list(warnings.filters), cv2.imencode(".png", SCENE)[1].tobytes()
    first_reads, second_reads, first_is_done = Event(), Event(), Event()

    class Waits(BytesIO):
        def __init__(self, reads: Event, until: Event) -> None:
            super().__init__(encoded)
            self.reads, self.until = reads, until

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads.set()
            assert self.until.wait(10)
            return super().read(size)

    def first() -> None:
        decode_photo(Waits(first_reads, second_reads), "first")
        first_is_done.set()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(first)
        assert first_reads.wait(10)
        decode_photo(Waits(second_reads, first_is_done), "second")
        done.result()
    assert warnings.filters == before


def test_bytes_and_a_lower_limit() -> None:
    encoded = cv2.imencode(".png", SCENE[..., ::-1])[1].tobytes()
    assert corners(decode_photo(encoded, "upload")) == SEEN
    with pytest.raises(DataError, match="upload: expected at most 1,000 pixels, found 64 x 48"):
        decode_photo(encoded, "upload", max_pixels=1000)
