"""docs/python.md: a reader who copies its pieces one after the other gets what the page promises."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import headstart
from headstart.inspection import write_picture
from headstart.photos import read_photo
from headstart.pose_files import read_json
from headstart.results import RunResult
from headstart.synthesize import SynthConfig, synthesize
from headstart.video_files import VideoReader, VideoWriter
from pages import blocks_of, run_page

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("av", "numba")), reason="needs headstart[video] and headstart[synth]"
)
EXAMPLES = Path(headstart.__file__).parent / "serve" / "assets" / "examples"
FRAMES = 3


def small(name: str) -> Any:
    """An example (H, W, 3) whose longer side is 300 px."""
    picture = read_photo(EXAMPLES / f"{name}.jpg")
    scale = 300 / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page takes for granted: photographs, a video, and synthetic people."""
    made = tmp_path_factory.mktemp("reader")
    for name in ("throw", "hurdle"):
        write_picture(str(made / "holiday" / f"{name}.jpg"), small(name))
    frame = small("throw")[:256, :256]
    with VideoWriter(made / "clip.mp4") as video:
        for number in range(FRAMES):
            video.write(np.ascontiguousarray(frame), number / 30)
    for split, count in (("train", 4), ("test", 2)):
        synthesize(SynthConfig("wild", split, count, size=64), made / "data" / "synthetic")
    return made


@pytest.fixture(scope="module")
def left(folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        (loss,) = (block for block in blocks_of("python.md") if "def depth_l2" in block)
        Path("my_losses.py").write_text(loss, encoding="utf-8")
        left = run_page("python.md")
        del sys.modules["my_losses"]
        return left


def test_every_picture_has_its_people(left: dict[str, Any]) -> None:
    assert [len(people) for people in left["results"]] == [1, 1]
    assert list(left["errors"]) == [2]
    assert "nowhere.jpg" in str(left["errors"][2])
    assert (left["first"].bbox_xywh, left["second"].bbox_xywh) == tuple(map(tuple, left["couple"]))
    assert left["finder"].detector is not None


def test_a_camera_says_how_far_away_people_are(left: dict[str, Any]) -> None:
    assert left["placed"].camera_xyz_mm["pelvis"][2] > 500


def test_files_hold_everybody(left: dict[str, Any], folder: Path) -> None:
    assert left["again"] == read_json(folder / "people.json")
    assert [one.image for one in left["again"]] == [str(photo) for photo in left["photos"]]
    joints = left["again"][0].keypoints
    assert len((folder / "people.csv").read_text(encoding="utf-8").splitlines()) == 1 + 2 * len(joints)
    with np.load(folder / "people.npz") as arrays:
        assert arrays["xyz_mm"].shape == (2, len(joints), 3)


def test_pictures_are_drawn(left: dict[str, Any], folder: Path) -> None:
    plain, overlay, whole = left["picture"], read_photo(folder / "overlay.png"), read_photo(folder / "drawn.png")
    assert overlay.shape == plain.shape
    assert (overlay != plain).any()
    assert whole.shape[1] > whole.shape[0] * plain.shape[1] / plain.shape[0]  # the skeletons stand beside the picture


def test_a_video_has_a_path(left: dict[str, Any], folder: Path) -> None:
    assert [track for track, _, _ in left["path"]] == [1] * FRAMES
    assert [time_s for _, time_s, _ in left["path"]] == pytest.approx([number / 30 for number in range(FRAMES)])
    assert len(left["motion"]) == FRAMES
    assert (folder / "clip_person1.trc").exists()
    with VideoReader(folder / "clip_overlay.mp4") as overlay:
        assert len(list(overlay.frames())) == FRAMES


def test_an_experiment_is_trained_and_scored(left: dict[str, Any], folder: Path) -> None:
    assert [stage.samples for stage in left["result"].stages] == [320, 320]
    assert RunResult.load(folder / "runs" / "mine" / "result.json").scores[0].protocol == "synthetic_wild"
    assert left["mine"].network.input_size == (64, 64)
    assert left["scores"].n == 2


def test_a_loss_of_ones_own_is_trained_with(left: dict[str, Any]) -> None:
    assert left["own"].history[-1]["my_losses:depth_l2"] > 0
