"""docs/onnx.md: what its code gives without Headstart is what Headstart gives."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart.export import blobs, export_onnx
from headstart.images import encode_image
from headstart.onnx_network import MEANING
from headstart.predict import PoseEstimator
from pages import DOCS, blocks_of, run_page
from test_export import save
from tiny import MODEL

pytestmark = pytest.mark.skipif(
    find_spec("onnx") is None or find_spec("onnxruntime") is None, reason="needs headstart[onnx]"
)

#: A picture (600, 800, 3) of blobs, and a network whose input is no square: width and height must not be exchanged.
PICTURE = blobs((800, 600), 1)[0].transpose(1, 2, 0)
OBLONG = replace(MODEL, input_size=(96, 64))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("app")
    export_onnx(str(save(OBLONG, made / "best.safetensors")), str(made / "ship.onnx"))  # paths may be text
    (made / "photo.jpg").write_bytes(encode_image(PICTURE[..., ::-1], 95))
    return made


@pytest.fixture(scope="module")
def page(folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_page("onnx.md")


@pytest.fixture(scope="module")
def estimator(folder: Path) -> PoseEstimator:
    return PoseEstimator.from_pretrained(folder / "ship.onnx", flip_test=False)


@pytest.mark.parametrize(
    "box",
    [
        (300.5, 200.25, 30.0, 45.0),
        (-20.0, 400.0, 90.0, 300.0),
        (100.0, 50.0, 300.0, 110.0),
        (0.0, 0.0, 800.0, 600.0),
    ],
    ids=["enlarged", "over the edge", "halved", "halved twice"],
)
def test_pixels_and_millimetres_are_those_of_headstart(
    page: dict[str, Any], estimator: PoseEstimator, box: tuple[float, ...]
) -> None:
    person = estimator.estimate(PICTURE, [[box]])[0][0]
    pixels, confidence = page["estimate"](PICTURE, box)
    wanted = np.array([person.keypoints[name] for name in page["joints"]])
    assert wanted[:, :2].std(0).min() > 1  # not all joints at one place, where anything would agree
    np.testing.assert_allclose(pixels[:, :2], wanted[:, :2], atol=0.01)
    np.testing.assert_allclose(confidence, wanted[:, 2], atol=1e-5)
    estimator.height_mm = 1820.0
    tall = points_mm(estimator.estimate(PICTURE, [[box]])[0][0].xyz_mm, page["joints"])
    estimator.height_mm = 1700.0
    np.testing.assert_allclose(
        page["millimetres"](pixels, confidence), points_mm(person.xyz_mm, page["joints"]), atol=0.1
    )
    np.testing.assert_allclose(page["millimetres"](pixels, confidence, 1820.0), tall, atol=0.1)


def points_mm(pose: dict[str, Any], joints: list[str]) -> NDArray[np.float64]:
    return np.array([pose[name] for name in joints])


def test_the_photo_is_read_as_headstart_reads_it(page: dict[str, Any], folder: Path, estimator: PoseEstimator) -> None:
    """Blue and red exchanged would be another picture."""
    person = estimator.estimate(folder / "photo.jpg", [[[40, 20, 110, 260]]])[0][0]
    np.testing.assert_allclose(page["left_wrist"][:2], person.keypoints["left_wrist"][:2], atol=0.05)
    np.testing.assert_allclose(page["left_wrist_mm"], person.xyz_mm["left_wrist"], atol=1.0)


def test_the_page_needs_no_headstart() -> None:
    code = "".join(blocks_of("onnx.md"))
    assert "headstart" not in code
    assert "torch" not in code


def test_the_page_and_the_file_name_the_same_things() -> None:
    text = (DOCS / "onnx.md").read_text(encoding="utf-8")
    for name, meaning in MEANING.items():
        assert f"| `{name}` |" in text
        assert meaning.split("(B")[1].split(")")[0] in text  # the shape
