"""Makes the HEIC files beside this script, from a scene that is drawn here. Headstart and pi-heif cannot write HEIC.

    python -m venv /tmp/heic && /tmp/heic/bin/pip install pillow-heif==1.8.1 numpy && /tmp/heic/bin/python make.py

pillow-heif encodes with x265 (GPL), which is not needed to read the files. They are lossless but for the conversion
to YCbCr and back.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

HERE = Path(__file__).parent
LOSSLESS = {"quality": -1, "chroma": 444}
ORIENTATION = 0x0112


def scene() -> np.ndarray:
    """(48, 64, 3) RGB: a red left half, a blue top right and a green bottom right quarter."""
    drawn = np.zeros((48, 64, 3), np.uint8)
    drawn[:, :32] = (230, 20, 20)
    drawn[:24, 32:] = (20, 20, 230)
    drawn[24:, 32:] = (20, 180, 20)
    return drawn


def saved(name: str, pixels: np.ndarray, **options: object) -> None:
    """One picture as a file."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(HERE / f"{name}.heic", **LOSSLESS, **options)


def oriented(orientation: int) -> bytes:
    """EXIF; the encoder writes the same orientation into the container too (irot, imir), as phones do."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


def main() -> None:
    """Write all files."""
    pillow_heif.register_heif_opener()
    drawn = scene()
    saved("plain", drawn)
    saved("orientation-6", np.rot90(drawn), exif=oriented(6))
    saved("orientation-7", drawn[::-1, ::-1].transpose(1, 0, 2), exif=oriented(7))
    saved("grey", drawn[..., 0])
    opacity = np.full(drawn.shape[:2], 255, np.uint8)
    opacity[:24, :32], opacity[24:, :32] = 0, 128
    saved("cut-out", np.dstack([drawn, opacity]))
    half = np.full(drawn.shape[:2], 128, np.uint8)
    multiplied = np.dstack([(drawn * (128 / 255)).round().astype(np.uint8), half])
    premultiplied = pillow_heif.from_bytes(mode="RGBa", size=(64, 48), data=multiplied.tobytes())
    premultiplied.save(HERE / "premultiplied.heic", **LOSSLESS)
    deep = pillow_heif.from_bytes(mode="RGB;16", size=(64, 48), data=(drawn.astype(np.uint16) * 257).tobytes())
    deep.save(HERE / "ten-bits.heic", **LOSSLESS)
    deep = pillow_heif.from_bytes(mode="I;16", size=(64, 48), data=(drawn[..., 0].astype(np.uint16) * 257).tobytes())
    deep.save(HERE / "grey-ten-bits.heic", **LOSSLESS)
    # The second of two pictures is the primary one.
    saved("second", drawn[::-1], save_all=True, append_images=[Image.fromarray(drawn)], primary_index=1)
    # A decompression bomb in small: 512 x 512 pixels, of which the header (ispe) says 64 x 48.
    saved("bomb", np.zeros((512, 512, 3), np.uint8))
    content = (HERE / "bomb.heic").read_bytes()
    (HERE / "bomb.heic").write_bytes(content.replace(struct.pack(">II", 512, 512), struct.pack(">II", 64, 48)))
    pillow_heif.options.GRID_TILE_SIZE = 64
    saved("tiles", np.kron(drawn, np.ones((4, 4, 1), np.uint8)))


if __name__ == "__main__":
    main()
