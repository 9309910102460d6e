"""``headstart predict`` on videos, as people type it, with a tiny untrained model."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from headstart.checkpoint import save_checkpoint
from headstart.cli.filming import predict_one_video
from headstart.cli.outcome import Outcome
from headstart.cli.outputs import Outputs
from headstart.cli.per_input import PerInput
from headstart.models.pose_net import PoseNet
from headstart.pose_files import JsonPeople, write_json
from headstart.records import Prediction
from headstart.video import VideoOptions
from headstart.video_files import VideoReader, VideoWriter
from oracle import person
from test_animation import frame, read_trc
from test_cli import headstart, succeeds
from test_cli_predict import plainly
from tiny import MODEL

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    torch.manual_seed(2)
    tensors = {f"model.{name}": tensor for name, tensor in PoseNet(MODEL).state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(MODEL)})
    return path


def film(path: Path, frames: int = 6) -> Path:
    random = np.random.default_rng(0)
    with VideoWriter(path, Fraction(25)) as writer:
        for number in range(frames):
            writer.write(random.integers(0, 255, (48, 64, 3), np.uint8), number / 25)
    return path


def test_a_video_beside_a_picture(tmp_path: Path, model: Path) -> None:
    clip = film(tmp_path / "clip.mp4")
    cv2.imwrite(str(tmp_path / "photo.png"), np.full((40, 40, 3), 90, np.uint8))
    out, people = tmp_path / "out", tmp_path / "people.json"
    printed = succeeds(
        *("predict", clip, tmp_path / "photo.png", "--model", model, "--json", people, "--out", out),
        *("--csv", tmp_path / "people.csv", "--detector", "none"),
    )
    assert f"{clip}: 6 frames" in printed
    assert "1 image, 1 video, 7 poses" in printed
    entries = json.loads(people.read_text())
    assert Counter(entry["image"] for entry in entries) == {str(clip): 6, str(tmp_path / "photo.png"): 1}
    frames = [entry for entry in entries if "frame" in entry]
    assert [entry["frame"] for entry in frames] == list(range(6))
    assert [entry["time_s"] for entry in frames] == pytest.approx([number / 25 for number in range(6)], abs=1e-4)
    assert all(set(entry["joints2d_smooth"]) == set(entry["joints2d"]) for entry in frames)
    assert sorted(path.name for path in out.iterdir()) == ["clip.mp4", "photo.png"]
    with VideoReader(out / "clip.mp4") as reader:
        assert len(list(reader.frames())) == 6
    table = (tmp_path / "people.csv").read_text()
    assert f"{clip}#5," in table
    with (tmp_path / "people.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["joint"] == "nose"]
    assert [(row["frame"], row["track"]) for row in rows] == [("", "")] + [(str(number), "1") for number in range(6)]
    assert [float(row["time_s"]) for row in rows[1:]] == pytest.approx([n / 25 for n in range(6)], abs=1e-4)


def test_a_video_in_the_output_folder_is_not_overwritten(tmp_path: Path, model: Path) -> None:
    clip = film(tmp_path / "clip.mp4", 1)
    before = clip.read_bytes()
    printed = succeeds("predict", clip, "--model", model, "--detector", "none", "--out", tmp_path)
    assert plainly(printed)[0] == f"{clip}: 1 frame, 1 person -> {tmp_path / 'clip_2.mp4'}"
    assert clip.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "clip_2.mp4"]


def test_people_of_a_video_as_animations(tmp_path: Path, model: Path) -> None:
    clip, out = film(tmp_path / "clip.mp4"), tmp_path / "out"
    printed = succeeds("predict", clip, "--model", model, "--detector", "none", "--bvh", "--trc", "--out", out)
    assert f"{clip}: -> {out / 'clip_person1.bvh'}" in printed
    bvh, trc = (out / f"clip_person1.{suffix}" for suffix in ("bvh", "trc"))
    with VideoReader(clip) as reader:
        rate = float(reader.rate)
    assert "Frames: 6" in bvh.read_text()
    assert f"Frame Time: {1 / rate:.8f}" in bvh.read_text()
    assert trc.read_text().splitlines()[2].split("\t")[:3] == [f"{rate:.6g}", f"{rate:.6g}", "6"]


def test_motion_as_it_was_estimated_and_no_second_video(tmp_path: Path, model: Path) -> None:
    clip, out = film(tmp_path / "clip.mp4"), tmp_path / "out"
    command = ("predict", clip, "--model", model, "--detector", "none", "--trc", "--out", out, "--no-overlay")
    printed = succeeds(*command, "--smooth", "none", "--json", tmp_path / "people.json")
    assert plainly(printed)[1] == f"{clip}: 6 frames, 1 person"
    assert [path.name for path in out.iterdir()] == ["clip_person1.trc"]
    markers, _, _ = read_trc(out / "clip_person1.trc")
    for number, one in enumerate(json.loads((tmp_path / "people.json").read_text())):
        x, y, z = one["joints3d_mm"]["nose"]
        assert markers["nose"][number] == pytest.approx((x, -y, -z), abs=1e-3)
    succeeds(*command, "--smooth", "6")
    assert not np.allclose(read_trc(out / "clip_person1.trc")[0]["nose"], markers["nose"], atol=1)


def test_a_cutoff_too_high_for_a_video_is_one_line_and_the_others_are_done(tmp_path: Path, model: Path) -> None:
    clip, quick, out = film(tmp_path / "clip.mp4"), tmp_path / "quick.mp4", tmp_path / "out"
    with VideoWriter(quick, Fraction(60)) as writer:
        for number in range(4):
            writer.write(np.full((48, 64, 3), 90, np.uint8), number / 60)
    done = headstart(
        *("predict", clip, quick, "--model", model, "--detector", "none", "--trc", "--out", out),
        *("--no-overlay", "--smooth", "20"),
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("headstart: ")]
    limit = "12.5 Hz, half of its 25 frames per second"
    assert line == f"headstart: {clip}: expected a cutoff below {limit}, got 20"
    assert [path.name for path in out.iterdir()] == ["quick_person1.trc"]


def test_a_cutoff_too_high_for_the_true_frame_rate_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header says 25; the frames are 10 a second."""

    class Still:
        detector = None

        def estimate(self, images, boxes=None, camera=None, *, names):
            one = frame(person(10.0))
            return [[one] for _ in images]

    slow = tmp_path / "slow.mkv"
    with VideoWriter(slow, Fraction(25)) as writer:
        for number in range(8):
            writer.write(np.full((48, 64, 3), 90, np.uint8), number / 10)
    monkeypatch.setattr(VideoReader, "rate", property(lambda self: Fraction(25), lambda self, value: None), False)
    outcome = Outcome(Outputs(folder=tmp_path / "out", trc=True, overlay=False))
    predict_one_video(Still(), str(slow), None, VideoOptions(motion_filter=8.0), outcome)
    assert outcome.failed == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line == f"headstart: {slow}: smoothing: expected a cutoff below 5 Hz, half of its 10 frames per second, got 8"
    )


def test_a_broken_video_gives_one_line_and_the_others_are_done(tmp_path: Path, model: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    whole = film(tmp_path / "whole.mkv", 100)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    good = film(tmp_path / "good.mp4", 3)
    people = tmp_path / "people.json"
    done = headstart(
        *("predict", tmp_path / "broken.mp4", cut, good, "--model", model, "--json", people, "--detector", "none"),
        "--no-flip-test",
    )
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("headstart: ")]
    assert [str(tmp_path / name) in line for name, line in zip(("broken.mp4", "cut.mkv"), lines)] == [True, True]
    assert len(lines) == 2
    found = Counter(entry["image"] for entry in json.loads(people.read_text()))
    assert found[str(good)] == 3
    assert 10 < found[str(cut)] < 90
    assert "Traceback" not in done.stderr


def test_a_video_that_is_too_wide_to_be_written_stops_nobody(tmp_path: Path, model: Path) -> None:
    wide, good, people = tmp_path / "wide.avi", film(tmp_path / "good.mp4", 2), tmp_path / "people.json"
    with av.open(str(wide), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 17000, 16, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 17000, 3), np.uint8), "rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    done = headstart(
        *("predict", wide, good, "--model", model, "--detector", "none", "--json", people, "--out", tmp_path / "out")
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("headstart: ")]
    assert f"{tmp_path / 'out' / 'wide.mp4'}: expected frames that can be written" in line
    assert "Traceback" not in done.stderr
    # The overlay is what fails: the poses of the wide video itself are there.
    assert Counter(entry["image"] for entry in json.loads(people.read_text())) == {str(good): 2, str(wide): 1}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.mp4"]


@pytest.mark.parametrize(
    ("scores", "says"), [((0.9, 0.01, 0.9), "1 person"), ((0.01, 0.02, 0.9), "1 person (unsure: score 0.02)")]
)
def test_a_video_without_anybody_says_so(
    scores: tuple[float, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clip, outcome = film(tmp_path / "clip.mp4", 3), Outcome()
    seen = iter(scores)

    class Scored:
        detector = None

        def estimate(self, images, boxes=None, camera=None, *, names):
            return [[Prediction(names[0], (0, 0, 64, 48), next(seen), {"nose": (9, 9, 1)}, {"nose": (0, 0, 0)})]]

    predict_one_video(Scored(), str(clip), None, VideoOptions(), outcome)
    assert capsys.readouterr().out == f"{clip}: 3 frames, {says}\n"


def test_a_motion_of_a_single_frame_is_none_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    class Sees:
        detector = None

        def estimate(self, images, boxes=None, camera=None, *, names):
            return [[Prediction(names[0], (0, 0, 64, 48), 0.9, {"nose": (9, 9, 1)}, {"nose": (0, 0, 0)})]]

    clip, out = film(tmp_path / "clip.mp4", 1), tmp_path / "out"
    predict_one_video(Sees(), str(clip), None, VideoOptions(), Outcome(Outputs(folder=out, bvh=True)))
    assert capsys.readouterr().out.splitlines()[0] == f"{clip}: no motion to write: nobody is in two frames"
    assert [path.name for path in out.iterdir()] == ["clip.mp4"]
    predict_one_video(Sees(), str(clip), None, VideoOptions(), Outcome(Outputs(folder=out)))
    assert "no motion" not in capsys.readouterr().out


def test_ctrl_c_keeps_the_overlay_so_far(tmp_path: Path) -> None:
    class Stopped(Outcome):
        def add(self, person) -> None:
            super().add(person)
            if self.count == 3:
                raise KeyboardInterrupt

    class Sees:
        detector = None

        def estimate(self, images, boxes=None, camera=None, *, names):
            return [[Prediction(names[0], (0, 0, 64, 48), 0.9, {"nose": (9, 9, 1)}, {"nose": (0, 0, 0)})]]

    outcome = Stopped(Outputs(folder=tmp_path / "out"))
    with pytest.raises(KeyboardInterrupt):
        predict_one_video(Sees(), str(film(tmp_path / "clip.mp4")), None, VideoOptions(), outcome)
    with VideoReader(tmp_path / "out" / "clip.mp4") as reader:
        assert len(list(reader.frames())) == 3


def test_a_camera_that_is_not_there(tmp_path: Path, model: Path) -> None:
    done = headstart("predict", "webcam:93", "--model", model, "--json", tmp_path / "a.json", "--detector", "none")
    assert done.returncode == 2
    assert "webcam:93: expected a camera" in done.stderr
    assert json.loads((tmp_path / "a.json").read_text()) == []


def test_people_are_written_one_by_one_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    with JsonPeople(path) as file:
        file.add({"image": "é.jpg", "score": 0.123456})
        assert not path.exists()
        file.add({"image": "b"})
    assert json.loads(path.read_text(encoding="utf-8")) == [{"image": "é.jpg", "score": 0.1235}, {"image": "b"}]
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, [{"image": "c"}, {"score": float("nan")}])
    assert len(json.loads(path.read_text(encoding="utf-8"))) == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_the_installed_command(tmp_path: Path, model: Path) -> None:
    command = [str(Path(sys.executable).with_name("headstart")), "predict", str(film(tmp_path / "a.mp4", 2))]
    command += ["--model", str(model), "--json", str(tmp_path / "a.json"), "--detector", "none"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert [entry["frame"] for entry in json.loads((tmp_path / "a.json").read_text())] == [0, 1]


def test_many_videos_with_folders_of_their_own(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of one name and one that is no video, in two processes; the second skips what the first has finished."""
    monkeypatch.chdir(tmp_path)
    for name in ("ann/jump.mp4", "bob/jump.mp4"):
        film(Path(name))
    Path("bob/none.mp4").write_bytes(b"no video")
    command = ("--model", model, "--detector", "none", "--no-flip-test", "--trc", "--csv", "people.csv")
    command += ("--per-input", "--skip-finished", "--threads", "1")
    printed = succeeds("predict", "ann/jump.mp4", *command, "--out", "out")
    made = Path("out/ann/jump.mp4")
    assert f"ann/jump.mp4: 6 frames, 1 person -> {made / 'jump.mp4'}" in re.sub(r" \(unsure.*?\)", "", printed)
    files = ["jump.mp4", "jump_person1.trc", "people.csv", "run.json"]
    assert sorted(path.name for path in made.iterdir()) == files
    before = (made / "run.json").stat().st_mtime_ns
    done = headstart("predict", "ann", "bob", *command, "--out", "out")
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == "1 of 3 inputs were finished before (--skip-finished)"
    assert "none.mp4: expected a whole video file" in done.stderr
    assert (made / "run.json").stat().st_mtime_ns == before
    assert sorted(path.name for path in Path("out/bob").iterdir()) == ["jump.mp4"]
    assert sorted(path.name for path in Path("out/bob/jump.mp4").iterdir()) == files
    said = succeeds("predict", "ann/jump.mp4", "bob/jump.mp4", *command, "--out", "out")
    assert said == "2 of 2 inputs were finished before (--skip-finished)\n"


def test_what_another_process_works_on_is_left_to_it(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.mp4"):
        film(Path(name), 2)
    cv2.imwrite("c.png", np.zeros((64, 64, 3), np.uint8))
    command = ("predict", "a.mp4", "b.mp4", "c.png", "--model", model, "--detector", "none", "--no-flip-test")
    command += ("--no-overlay", "--per-input", "--skip-finished", "--out", "out")
    with PerInput(Path("out"), {}).working_on(["a.mp4", "c.png"]):
        printed = succeeds(*command)
    assert {line for line in printed.splitlines() if "skipped" in line} == {
        f"{name}: skipped, as another process is working on it" for name in ("a.mp4", "c.png")
    }
    assert [path.name for path in Path("out").iterdir()] == ["b.mp4"]
    printed = succeeds(*command)
    assert printed.startswith("1 of 3 inputs were finished before (--skip-finished)\n")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.mp4", "b.mp4", "c.png"]
