"""HEIC and AVIF: which of them a file is, what is missing to read it, and files that are not whole."""

from __future__ import annotations

import builtins
import struct
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart import heif

HEIC = Path(__file__).parent / "heic"


def ftyp(*brands: bytes) -> bytes:
    """The first box of a file: its main brand, a version, and the brands that it is compatible with."""
    content = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I4s", 8 + len(content), b"ftyp") + content


@pytest.mark.parametrize(
    ("brands", "format_name"),
    [
        ((b"heic", b"mif1", b"heic"), "HEIC"),
        ((b"heix",), "HEIC"),
        ((b"avif", b"mif1", b"miaf"), "AVIF"),
        ((b"avis", b"msf1", b"avif"), "AVIF"),
        ((b"mif1", b"miaf", b"avif"), "AVIF"),
        ((b"mif1", b"miaf", b"heic"), "HEIC"),
        ((b"mif1",), "HEIC"),
        ((b"isom", b"iso2", b"avc1", b"mp41"), None),
        ((b"qt  ",), None),
    ],
)
def test_the_format_goes_by_the_brands(brands: tuple[bytes, ...], format_name: str | None) -> None:
    assert heif.format_of(ftyp(*brands) + b"\0\0\0\x08avif") == format_name


@pytest.mark.parametrize("start", [b"", b"\0\0\0\x18fty", b"\xff\xd8\xff\xe0\0\x10JFIF heic", b"heic" * 8])
def test_other_files_are_neither(start: bytes) -> None:
    assert heif.format_of(start) is None


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if these modules were not installed."""
    imported = builtins.__import__

    def refused(name: str, *rest: Any) -> Any:
        if name in names or any(f"{name}.{one}" in names for one in (rest[2] if len(rest) > 2 and rest[2] else ())):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refused)
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


class TestNeeded:
    def test_nothing_is_missing_here(self) -> None:
        assert {heif.needed_for(suffix) for suffix in (".heic", ".HEIF", ".hif", ".avif", ".jpg", "")} == {None}

    def test_without_a_library_for_heic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        without(monkeypatch, "pi_heif", "pillow_heif")
        assert heif.needed_for(".HEIC") == "Reading HEIC needs: pip install 'headstart[heic]'"
        assert heif.needed_for(".avif") is None

    @pytest.mark.parametrize("old", [True, False], ids=["old Pillow", "built without AVIF"])
    def test_without_avif(self, old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        if old:
            without(monkeypatch, "PIL.AvifImagePlugin")
        else:
            monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
        assert heif.needed_for(".avif") == "Reading AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow"
        assert heif.needed_for(".heic") is None

    def test_the_library_without_an_encoder_comes_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: Mapping[str, Any] = {"size": (64, 48), "__len__": lambda _: 1}
        fake = SimpleNamespace(open_heif=lambda _: type("File", (), dict(opened))())
        monkeypatch.setitem(sys.modules, "pi_heif", fake)
        assert heif.HeicFile((HEIC / "tiles.heic").read_bytes()).size == (256, 192)
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        assert heif.HeicFile((HEIC / "tiles.heic").read_bytes()).size == (64, 48)


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24), *parts)


def in_tiles(side: int, **grids: list[str]) -> bytes:
    """A HEIC file of 64 x 64 px. Its tiles have ``side`` px, whatever is stored: the black square of bomb.heic (512).

    ``grids``: picture -> the pictures that it is made of; the first is the primary one, and "tile" the square.
    """
    source = (HEIC / "bomb.heic").read_bytes()
    hevc, data = source.index(b"hvcC") - 4, source.index(b"mdat") - 4
    configuration = source[hevc : hevc + int.from_bytes(source[hevc : hevc + 4], "big")]
    numbers = {name: number for number, name in enumerate([*grids, "tile"], 1)}
    contents = [struct.pack(">BBBBHH", 0, 0, 0, len(parts) - 1, 64, 64) for parts in grids.values()]
    contents.append(source[data + 8 :])
    kinds = [b"grid"] * len(grids) + [b"hvc1"]
    sizes = [full(b"ispe", struct.pack(">II", 64, 64)), full(b"ispe", struct.pack(">II", side, side))]
    infos = [full(b"infe", struct.pack(">HH4sB", n, 0, k, 0), version=2) for n, k in zip(numbers.values(), kinds)]
    which = [struct.pack(">HBB", number, 1, 2) for number in range(1, len(grids) + 1)]
    which.append(struct.pack(">HBBB", len(numbers), 2, 3, 0x81))
    parts = [
        box(b"dimg", struct.pack(f">HH{len(of)}H", numbers[name], len(of), *(numbers[one] for one in of)))
        for name, of in grids.items()
    ]

    def head(start: int) -> bytes:
        places = [
            struct.pack(">HHHII", n, 0, 1, start + sum(map(len, contents[: n - 1])), len(contents[n - 1]))
            for n in numbers.values()
        ]
        count = struct.pack(">H", len(numbers))
        return ftyp(b"heic", b"mif1", b"heic") + full(
            b"meta",
            full(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", b"\x44\0", count, *places),
            full(b"iinf", count, *infos),
            box(
                b"iprp",
                box(b"ipco", configuration, *sizes),
                full(b"ipma", struct.pack(">I", len(numbers)), *which),
            ),
            full(b"iref", *parts),
        )

    return head(len(head(0)) + 8) + box(b"mdat", *contents)


class TestTiles:
    @pytest.mark.parametrize(
        ("name", "pixels"),
        # Blocks of 64 px are coded; opacity is a picture of its own, and the second picture is not decoded.
        [("plain", 64 * 64), ("cut-out", 2 * 64 * 64), ("second", 64 * 64), ("tiles", 256 * 192)],
    )
    def test_what_is_decoded_is_counted(self, name: str, pixels: int) -> None:
        assert heif._decoded_pixels((HEIC / f"{name}.heic").read_bytes()) == pixels

    def test_tiles_beyond_the_picture_count(self) -> None:
        content = in_tiles(512, whole=["tile"] * 100)
        assert heif._decoded_pixels(content) == 100 * 512 * 512
        assert heif.HeicFile(content).decode().shape == (64, 64, 3)

    @pytest.mark.parametrize(
        ("grids", "pixels"),
        [
            # 3 KB that take four hours: a tile of 512 px, fifteen million times.
            ({"whole": ["a"] * 250, "a": ["b"] * 250, "b": ["tile"] * 250}, "4,096,000,000,000"),
            ({"whole": ["tile"] * 250 + ["whole"]}, "inf"),
        ],
    )
    def test_far_more_pixels_than_it_shows_are_refused_before_they_are_decoded(
        self, grids: dict[str, list[str]], pixels: str
    ) -> None:
        says = f"^a HEIC file whose tiles have {pixels} pixels, more than 240,000,000$"
        with pytest.raises(ValueError, match=says):
            heif.HeicFile(in_tiles(512, **grids))

    @pytest.mark.parametrize("kind", [b"iref", b"iprp", b"pitm"])
    def test_two_headers_are_refused(self, kind: bytes) -> None:
        """The one that is counted might not be the one that is decoded."""
        content = in_tiles(512, whole=["tile"])
        at, meta = content.index(kind) - 4, content.index(b"meta") - 4
        again = content[at : at + int.from_bytes(content[at : at + 4], "big")]
        size = int.from_bytes(content[meta : meta + 4], "big")
        grown = content[:meta] + struct.pack(">I", size + len(again)) + content[meta + 4 : meta + size]
        with pytest.raises(ValueError, match=f"two boxes {kind.decode()}"):
            heif._decoded_pixels(grown + again + content[meta + size :])


class TestHeicFile:
    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("plain", (48, 64, 3)),
            ("ten-bits", (48, 64, 3)),
            ("orientation-6", (48, 64, 3)),
            ("grey", (48, 64)),
            ("cut-out", (48, 64, 4)),
            ("premultiplied", (48, 64, 4)),
            ("tiles", (192, 256, 3)),
        ],
    )
    def test_sizes_are_those_of_the_upright_picture(self, name: str, shape: tuple[int, ...]) -> None:
        file = heif.HeicFile((HEIC / f"{name}.heic").read_bytes())
        assert file.size == (shape[1], shape[0])
        pixels = file.decode()
        assert (pixels.shape, pixels.dtype) == (shape, np.uint8)

    def test_grey_of_ten_bits(self) -> None:
        pixels = heif.HeicFile((HEIC / "grey-ten-bits.heic").read_bytes()).decode()
        assert (pixels.shape, pixels.dtype) == ((48, 64), np.uint16)
        np.testing.assert_allclose(pixels[24, [8, 56]].astype(int), [230 * 257, 20 * 257], atol=100)

    def test_pixels_outlive_the_file(self) -> None:
        """The library hands out its own memory, which it frees with the file."""
        pixels = heif.HeicFile((HEIC / "plain.heic").read_bytes()).decode()
        assert pixels.flags.owndata

    def test_every_cut_is_noticed(self) -> None:
        """libheif alone shows a picture in tiles with those that it finds."""
        whole = (HEIC / "tiles.heic").read_bytes()
        for length in range(0, len(whole), 13):
            with pytest.raises((ValueError, RuntimeError, EOFError, LookupError)):
                heif.HeicFile(whole[:length]).decode()

    def test_what_cameras_append_is_no_cut(self) -> None:
        whole = (HEIC / "tiles.heic").read_bytes()
        wanted = heif.HeicFile(whole).decode()
        for more in (b"SEFT", b"\0" * 40, struct.pack(">I4s", 1000, b"mpvd") + b"short", b"\xff" * 100):
            np.testing.assert_array_equal(heif.HeicFile(whole + more).decode(), wanted)

    @pytest.mark.parametrize("form", ["to the end", "64 bits"])
    def test_other_ways_to_give_the_length_of_a_box(self, form: str) -> None:
        whole = (HEIC / "plain.heic").read_bytes()
        at = whole.index(b"mdat") - 4
        if form == "to the end":
            content = whole[:at] + bytes(4) + whole[at + 4 :]
            assert heif.HeicFile(content).decode().shape == (48, 64, 3)
            assert not heif._ends_early(content[: at + 8] + struct.pack(">I4s", 1000, b"mdat") + bytes(16))
            return
        long = struct.pack(">I4sQ", 1, b"mdat", len(whole) - at + 8) + whole[at + 8 :]
        assert not heif._ends_early(whole[:at] + long)
        assert heif._ends_early(whole[:at] + long[:-1])

    def test_a_larger_picture_than_the_header_says_is_refused_before_it_is_decoded(self) -> None:
        file = heif.HeicFile((HEIC / "bomb.heic").read_bytes())
        assert file.size == (64, 48)
        with pytest.raises(RuntimeError, match="512x512 exceeds"):
            file.decode()

    def test_threads(self) -> None:
        contents = [(HEIC / f"{name}.heic").read_bytes() for name in ("plain", "tiles", "orientation-6", "cut-out")]
        wanted = [heif.HeicFile(content).decode() for content in contents]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda number: heif.HeicFile(contents[number % 4]).decode(), range(80)))
        for number, pixels in enumerate(found):
            np.testing.assert_array_equal(pixels, wanted[number % 4])
