"""The examples of the web page: synthetic people from the test split of `wild`, so that no photograph is redistributed.

    python tools/serve_examples.py

Writes src/headstart/serve/assets/examples/*.jpg; chosen by eye from the first 40 of seed 77, among those that the model
that ships gets mostly right.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from headstart.synth.domains import generate

FOLDER = Path(__file__).parents[1] / "src" / "headstart" / "serve" / "assets" / "examples"
SEED, SIZE, QUALITY = 77, 512, 88
CHOSEN = {"crouch": 15, "dive": 27, "hurdle": 22, "throw": 35, "traffic": 5}


def main() -> None:
    """Generate and write."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, index in CHOSEN.items():
        image = generate("wild", "test", SEED, index, SIZE).image
        path = FOLDER / f"{name}.jpg"
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
