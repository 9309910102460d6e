"""HEIC and AVIF as users' pictures: upright, in the right colours, within the limits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pillow_heif import HeifImageFile

from headstart.errors import DataError
from headstart.photos import as_photo, decode_photo, read_photo
from test_photos import SCENE, SEEN, Download, corners, one_line

HEIC = Path(__file__).parent / "heic"


class TestHeic:
    """The files of tests/heic; make.py there drew them."""

    @pytest.mark.parametrize("name", ["plain", "ten-bits", "orientation-6", "orientation-7", "second"])
    def test_it_looks_like_the_png_of_the_same_scene(self, name: str, tmp_path: Path) -> None:
        Image.fromarray(SCENE).save(tmp_path / "scene.png")
        image = read_photo(HEIC / f"{name}.heic")
        np.testing.assert_allclose(image.astype(int), read_photo(tmp_path / "scene.png"), atol=2)

    def test_tiles(self) -> None:
        wanted = np.kron(SCENE, np.ones((4, 4, 1), np.uint8))
        np.testing.assert_allclose(read_photo(HEIC / "tiles.heic").astype(int), wanted, atol=2)

    @pytest.mark.parametrize("name", ["grey", "grey-ten-bits"])
    def test_grey(self, name: str) -> None:
        wanted = np.repeat(SCENE[..., :1], 3, 2)
        np.testing.assert_allclose(read_photo(HEIC / f"{name}.heic").astype(int), wanted, atol=2)

    def test_transparent_parts_are_white(self) -> None:
        image = read_photo(HEIC / "cut-out.heic")
        assert image[4, 4].tolist() == [255, 255, 255]
        # Half of (230, 20, 20), half white.
        np.testing.assert_allclose(image[-5, 4].astype(int), [242, 137, 137], atol=2)
        np.testing.assert_allclose(read_photo(HEIC / "premultiplied.heic")[-5, 4].astype(int), [242, 137, 137], atol=2)

    def test_exif_alone_does_not_turn_it(self) -> None:
        """ISO/IEC 23008-12: the container says what is upright; EXIF is for information."""
        content = (HEIC / "orientation-6.heic").read_bytes()
        stored = decode_photo(content.replace(b"irot\3", b"irot\0"), "stored")
        assert stored.shape == (64, 48, 3)
        np.testing.assert_allclose(np.rot90(stored, -1).astype(int), SCENE, atol=2)

    def test_pil_images_of_the_library_are_turned_once(self) -> None:
        for name in ("orientation-6", "orientation-7"):
            with HeifImageFile(HEIC / f"{name}.heic") as opened:
                np.testing.assert_array_equal(as_photo(opened), read_photo(HEIC / f"{name}.heic"))

    def test_names_do_not_matter(self, tmp_path: Path) -> None:
        (tmp_path / "IMG_0001.JPG").write_bytes((HEIC / "plain.heic").read_bytes())
        assert corners(read_photo(tmp_path / "IMG_0001.JPG")) == SEEN
        Image.fromarray(SCENE).save(tmp_path / "IMG_0002.heic", "JPEG")
        assert corners(read_photo(tmp_path / "IMG_0002.heic")) == SEEN

    @pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, BytesIO, lambda content: Download(content)])
    def test_content_and_open_files(self, wrap: Callable[[bytes], Any]) -> None:
        assert corners(as_photo(wrap((HEIC / "plain.heic").read_bytes()))) == SEEN

    def test_too_many_pixels_are_refused_before_they_are_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("headstart.heif.HeicFile.decode", None)
        with pytest.raises(DataError, match=r"tiles\.heic: expected at most 1,000 pixels, found 256 x 192"):
            read_photo(HEIC / "tiles.heic", max_pixels=1000)

    @pytest.mark.parametrize("name", ["bomb", "plain", "tiles"])
    def test_broken_files_are_one_line(self, name: str) -> None:
        content = (HEIC / f"{name}.heic").read_bytes()
        for cut in (content[:30], content[:-1]) if name != "bomb" else (content,):
            with pytest.raises(DataError, match=r"beach\.heic: expected a whole image, found \w") as error:
                decode_photo(cut, "beach.heic")
            one_line(error)

    def test_damaged_files_never_raise_anything_else(self) -> None:
        """Three bytes anywhere in the headers."""
        content, chance = (HEIC / "orientation-7.heic").read_bytes(), np.random.default_rng(0)
        shapes = []
        for _ in range(100):
            damaged = bytearray(content)
            for at in chance.integers(0, len(content), 3):
                damaged[at] = chance.integers(256)
            with suppress(DataError):
                shapes.append(decode_photo(bytes(damaged), "damaged").shape)
        assert 0 < len(shapes) < 100  # some are still pictures, some are not
        assert all(len(shape) == 3 and shape[2] == 3 for shape in shapes)

    def test_without_its_library_one_line_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "photo.jpg").write_bytes((HEIC / "plain.heic").read_bytes())
        for library in ("pi_heif", "pillow_heif"):
            monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(DataError, match=r"photo\.jpg: expected an image that can be read, found HEIC") as error:
            read_photo(tmp_path / "photo.jpg")
        assert one_line(error).endswith(". Reading HEIC needs: pip install 'headstart[heic]'")


class TestAvif:
    @staticmethod
    def encoded(pixels: np.ndarray, **options: Any) -> bytes:
        """Lossless but for the conversion to YCbCr and back."""
        stream = BytesIO()
        Image.fromarray(pixels).save(stream, "AVIF", quality=100, subsampling="4:4:4", speed=10, **options)
        return stream.getvalue()

    def test_colours(self) -> None:
        np.testing.assert_allclose(decode_photo(self.encoded(SCENE), "scene").astype(int), SCENE, atol=2)

    def test_grey(self) -> None:
        grey = decode_photo(self.encoded(SCENE[..., 0]), "grey")
        np.testing.assert_allclose(grey.astype(int), np.repeat(SCENE[..., :1], 3, 2), atol=2)

    def test_transparent_parts_are_white(self) -> None:
        opacity = np.full(SCENE.shape[:2], 255, np.uint8)
        opacity[:24, :32] = 0
        image = decode_photo(self.encoded(np.dstack([SCENE, opacity])), "cut-out")
        assert image[4, 4].tolist() == [255, 255, 255]
        np.testing.assert_allclose(image[-5, 4].astype(int), SCENE[-5, 4], atol=2)

    def test_the_first_of_several(self) -> None:
        content = self.encoded(SCENE, save_all=True, append_images=[Image.fromarray(SCENE[::-1].copy())])
        assert corners(decode_photo(content, "two")) == SEEN

    def test_names_do_not_matter(self, tmp_path: Path) -> None:
        (tmp_path / "scene.jpg").write_bytes(self.encoded(SCENE))
        assert corners(read_photo(tmp_path / "scene.jpg")) == SEEN

    def test_too_many_pixels_are_refused_before_they_are_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("PIL.AvifImagePlugin.AvifImageFile.load", None)
        with pytest.raises(DataError, match="upload: expected at most 1,000 pixels, found 64 x 48"):
            decode_photo(self.encoded(SCENE), "upload", max_pixels=1000)

    @pytest.mark.parametrize("length", [30, 200, -1])
    def test_broken_files_are_one_line(self, length: int) -> None:
        with pytest.raises(DataError, match="expected a whole image, found Failed to decode") as error:
            decode_photo(self.encoded(SCENE)[:length], "a.avif")
        one_line(error)

    def test_without_a_decoder_one_line_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        content = self.encoded(SCENE)
        monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
        with pytest.raises(DataError, match="an image that can be read, found AVIF") as error:
            decode_photo(content, "a.avif")
        assert one_line(error).endswith(". Reading AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow")
