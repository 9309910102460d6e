"""``headstart predict`` as people type it: good and bad inputs in one call, files, pictures, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import weakref
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import headstart
from headstart.checkpoint import load_checkpoint, save_checkpoint
from headstart.cli import main
from headstart.cli.inputs import files_of
from headstart.cli.outcome import Outcome, described
from headstart.cli.reading import AHEAD
from headstart.geometry import Camera
from headstart.models.pose_net import PoseNet
from headstart.records import Prediction
from headstart.skeleton import BODY_18
from test_detect import save_detector
from test_photos import png_header
from tiny import MODEL


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    tensors = {f"model.{name}": value for name, value in PoseNet(MODEL).state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(MODEL)})
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> Path:
    """A working folder with three photos, one in a folder of its own; ``tiny.safetensors`` is the model."""
    monkeypatch.chdir(tmp_path)
    # The environment's HF_HUB_OFFLINE counts only if it is set before the first import.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    rng = np.random.default_rng(0)
    (tmp_path / "more").mkdir()
    for name in ("a.png", "b.jpg", "more/a.jpg"):
        cv2.imwrite(name, rng.integers(0, 255, (80, 100, 3)).astype(np.uint8))
    shutil.copy(model, tmp_path / "tiny.safetensors")
    return tmp_path


EXAMPLES = Path(headstart.__file__).parent / "serve" / "assets" / "examples"


def predict(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command within this process, with the tiny model and no detector unless one is named."""
    given = list(map(str, arguments))
    given += [] if "--model" in given else ["--model", "tiny.safetensors"]
    given += [] if "--detector" in given else ["--detector", "none"]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["headstart", "predict", *given, "--device", "cpu"])
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return subprocess.CompletedProcess(given, code, out.getvalue(), err.getvalue())


def succeeds(*arguments: str | Path) -> str:
    done = predict(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def plainly(said: str) -> list[str]:
    """Its lines without how sure the tiny model is: it has learnt nothing."""
    return re.sub(r" \(unsure: score 0\.\d\d\)", "", said).splitlines()


def fails(*arguments: str | Path) -> list[str]:
    """The lines that say what is wrong."""
    done = predict(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    assert all(line.startswith("headstart: ") for line in lines), lines
    return [line.removeprefix("headstart: ") for line in lines]


def people(path: str = "people.json") -> list[dict]:
    return json.loads(Path(path).read_text())


def test_people_of_whom_the_network_is_not_sure_are_counted() -> None:
    sure, unsure = (Prediction("a.png", (0, 0, 9, 9), score, {}, {}) for score in (0.2, 0.0849))
    assert described([]) == "0 people"
    assert described([sure]) == "1 person"
    assert described([unsure]) == "1 person (unsure: score 0.08)"
    assert described([unsure, sure, unsure]) == "3 people (2 unsure: score below 0.2)"


class TestInputs:
    def test_pictures_folders_and_globs_in_order_and_each_once(self, here: Path):
        said = succeeds("b.jpg", ".", "more/*.jpg", "--json", "people.json")
        assert [one["image"] for one in people()] == ["b.jpg", "a.png", "more/a.jpg"]
        assert plainly(said) == [
            *(f"{name}: 1 person" for name in ("b.jpg", "a.png", "more/a.jpg")),
            "3 images, 3 people -> people.json",
        ]

    def test_a_person_has_exactly_these_keys(self, here: Path):
        succeeds("a.png", "--json", "people.json")
        (one,) = people()
        assert list(one) == ["image", "bbox", "score", "joints2d", "joints3d_mm", "height_mm"]
        assert one["bbox"] == [0.0, 0.0, 100.0, 80.0]
        assert list(one["joints2d"]) == list(one["joints3d_mm"]) == list(BODY_18.names)

    def test_a_picture_named_in_two_ways_is_one(self, here: Path):
        succeeds("a.png", "./a.png", str(here / "a.png"), "--json", "people.json")
        assert [one["image"] for one in people()] == ["a.png"]

    def test_hidden_files_and_folders_with_a_suffix_are_no_pictures(self, here: Path):
        Path("more/._a.jpg").write_bytes(b"what a Mac leaves behind")
        Path("more/album.jpg").mkdir()
        succeeds("more", "--json", "people.json")
        assert [one["image"] for one in people()] == ["more/a.jpg"]

    def test_a_folder_gives_its_videos_too(self, tmp_path: Path):
        for name in ("b.MP4", "a.png", "notes.txt", ".c.mp4"):
            (tmp_path / name).touch()
        assert [Path(name).name for name in files_of([str(tmp_path)], Outcome())] == ["a.png", "b.MP4"]

    def test_a_variable_that_is_not_set_is_not_the_working_folder(self, here: Path):
        assert fails("", "more", "--json", "people.json") == ["'': expected images or videos, found none"]
        assert [one["image"] for one in people()] == ["more/a.jpg"]

    @pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
    def test_a_name_that_is_no_text(self, here: Path):
        name = os.fsdecode(b"bad\xff.png")
        Path("a.png").rename(name)
        succeeds(name, "b.jpg", "--json", "people.json", "--csv", "people.csv")
        assert [one["image"] for one in people()] == [name, "b.jpg"]

    def test_a_name_with_brackets_is_a_name(self, here: Path):
        Path("a.png").rename("a[1].png")
        assert succeeds("a[1].png", "--json", "people.json").startswith("a[1].png: 1 person")

    @pytest.mark.posix("links without a privilege")
    def test_paths_that_cannot_be_looked_at_stop_nobody(self, here: Path):
        Path("round.jpg").symlink_to("round.jpg")
        said = fails("x" * 300, "round.jpg", "a.png", "--json", "people.json", "--out", "out")
        assert [line.partition(":")[2] for line in said] == [
            " expected a file or folder that can be looked at, found File name too long",
            " expected an image file, found Too many levels of symbolic links",
        ]
        assert [one["image"] for one in people()] == ["a.png"]

    def test_nothing_to_do(self, here: Path):
        assert fails() == ["predict: expected images, folders, globs or videos"]

    @pytest.mark.parametrize("name", ["empty", "*.tif"])
    def test_a_folder_or_glob_without_pictures(self, here: Path, name: str):
        Path("empty").mkdir()
        assert fails(name, "a.png", "--json", "people.json") == [f"{name}: expected images or videos, found none"]
        assert len(people()) == 1


class TestBadPictures:
    def test_every_kind_is_one_line_and_the_others_are_done(self, here: Path):
        Path("empty.jpg").write_bytes(b"")
        Path("text.jpg").write_text("not a picture")
        Path("bomb.png").write_bytes(png_header(20_000, 20_000))
        Path("dot.png").write_bytes(cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes())
        Path("cut.jpg").write_bytes(Path("b.jpg").read_bytes()[:2000])
        bad = ["empty.jpg", "text.jpg", "bomb.png", "none.jpg", "dot.png", "cut.jpg"]
        lines = fails("a.png", *bad, "b.jpg", "--json", "people.json", "--out", "out")
        assert [line.split(":")[0] for line in lines] == bad
        assert [one["image"] for one in people()] == ["a.png", "b.jpg"]
        assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png"]

    def test_unusual_ones_are_done(self, here: Path):
        image = np.random.default_rng(1).integers(0, 255, (60, 40, 3)).astype(np.uint8)
        Image.fromarray(image).convert("CMYK").save("cmyk.jpg")
        Image.fromarray(image).convert("RGBA").save("alpha.png")
        cv2.imwrite("deep.png", image.astype(np.uint16) * 257)
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(image).save("turned.jpg", exif=exif)
        succeeds("cmyk.jpg", "alpha.png", "deep.png", "turned.jpg", "--json", "people.json", "--out", "out")
        boxes = {one["image"]: one["bbox"][2:] for one in people()}
        assert boxes == {"cmyk.jpg": [40, 60], "alpha.png": [40, 60], "deep.png": [40, 60], "turned.jpg": [60, 40]}

    def test_when_all_fail_the_file_says_nobody(self, here: Path):
        assert len(fails("none.jpg", "--json", "people.json")) == 1
        assert people() == []


class TestManyPictures:
    """More than are worked on at once, so that some are read while others are predicted."""

    NAMES = tuple(f"photos/{number:02d}.png" for number in range(21))

    @pytest.fixture
    def photos(self, here: Path) -> Path:
        Path("photos").mkdir()
        for number, name in enumerate(self.NAMES):
            cv2.imwrite(name, np.full((40, 40 + number, 3), 90, np.uint8))
        return Path("photos")

    def test_broken_ones_among_them_are_named_in_order_and_the_others_done(self, photos: Path):
        broken = [self.NAMES[number] for number in (0, 7, 8, 9, 20)]
        for name in broken:
            Path(name).write_bytes(b"no picture")
        lines = fails("photos", "--json", "people.json", "--no-overlay", "--no-flip-test")
        assert [line.split(":")[0] for line in lines] == broken
        good = [name for name in self.NAMES if name not in broken]
        assert [one["image"] for one in people()] == good
        # Each has the size of its own picture.
        assert [one["bbox"][2] for one in people()] == [40 + self.NAMES.index(name) for name in good]

    def test_pixels_of_few_are_held(self, photos: Path, monkeypatch: pytest.MonkeyPatch):
        from headstart import photos as module

        alive: set[str] = set()
        most, read = [0], module.read_photo

        def counted(name: str) -> np.ndarray:
            image = read(name)
            alive.add(name)
            weakref.finalize(image, alive.discard, name)
            most.append(len(alive))
            return image

        monkeypatch.setattr(module, "read_photo", counted)
        succeeds("photos", "--json", "people.json", "--no-overlay", "--no-flip-test")
        assert len(people()) == len(most) - 1 == len(self.NAMES)
        assert 8 <= max(most) <= 8 + AHEAD  # those worked on, and those read ahead

    def test_ctrl_c_ends_the_reading_too(self, photos: Path, monkeypatch: pytest.MonkeyPatch):
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("headstart.predict.PoseEstimator.estimate", interrupted)
        done = predict("photos", "--json", "people.json", "--no-overlay")
        assert (done.returncode, done.stderr) == (130, "headstart: interrupted\n")
        assert not Path("people.json").exists()
        assert not [one for one in threading.enumerate() if one.name.startswith("read")]


class TestBoxes:
    def write(self, boxes: object) -> Path:
        Path("boxes.json").write_text(json.dumps(boxes))
        return Path("boxes.json")

    def test_people_of_each_picture(self, here: Path):
        boxes = self.write({"a.png": [[10, 5, 50, 60], [40.5, 5, 50, 60]], "b.jpg": [], "else.jpg": [[0, 0, 9, 9]]})
        said = succeeds("a.png", "b.jpg", "--boxes", boxes, "--json", "people.json", "--out", "out")
        assert [one["bbox"] for one in people()] == [[10, 5, 50, 60], [40.5, 5, 50, 60]]
        # The tiny model has learnt nothing, and says so.
        unsure = "a.png: 2 people (2 unsure: score below 0.2) -> out/a.png"
        assert said.splitlines()[:2] == [unsure, "b.jpg: 0 people -> out/b.png"]

    def test_boxes_that_are_none_stop_their_picture_only(self, here: Path):
        boxes = self.write(
            {"a.png": [[10, 5, 50, float("nan")]], "b.jpg": [[1, 1, 50, 50]], "more/a.jpg": [[200, 5, 9, 9]]}
        )
        lines = fails("a.png", "b.jpg", "more/a.jpg", "--boxes", boxes, "--json", "people.json", "--out", "out")
        assert len(lines) == 2
        assert lines[0].startswith("a.png, record box 0: expected a box")
        assert lines[1].startswith("more/a.jpg, record box 0: expected a box in the image")
        assert [one["image"] for one in people()] == ["b.jpg"]
        assert [path.name for path in Path("out").iterdir()] == ["b.png"]

    def test_an_entry_that_is_no_list_of_boxes_stops_its_picture_only(self, here: Path):
        boxes = self.write({"a.png": [10, 5, 50, 60], "b.jpg": [[1, 1, 50, 50]]})
        (line,) = fails("a.png", "b.jpg", "--boxes", boxes, "--json", "people.json")
        assert line.startswith("boxes.json, record a.png: expected a list of boxes")
        assert [one["image"] for one in people()] == ["b.jpg"]

    def test_a_picture_without_an_entry(self, here: Path):
        lines = fails("a.png", "b.jpg", "--boxes", self.write({"b.jpg": [[1, 1, 50, 50]]}), "--json", "people.json")
        assert lines == ["a.png: expected an entry in the file of boxes, found none. [] means nobody"]
        assert len(people()) == 1

    def test_one_entry_for_two_pictures_of_a_name(self, here: Path):
        boxes = self.write({"a.jpg": [[1, 1, 50, 50]]})
        Path("other").mkdir()
        Path("other/a.jpg").write_bytes(Path("b.jpg").read_bytes())
        (line,) = fails("more/a.jpg", "other/a.jpg", "--boxes", boxes)
        assert "'a.jpg' also fits other/a.jpg" in line

    def test_boxes_are_for_pictures_not_for_videos(self, here: Path):
        boxes = self.write({"a.png": [[1, 1, 50, 50]], "clip.mp4": [[1, 1, 50, 50]]})
        (line,) = fails("clip.mp4", "a.png", "--boxes", boxes, "--json", "people.json")
        assert line == "clip.mp4: expected an image, with --boxes, found a video. Call it again without --boxes"
        assert [one["image"] for one in people()] == ["a.png"]

    def test_accents_may_be_spelt_in_another_way(self, here: Path):
        composed, apart = "caf\u00e9.png", "cafe\u0301.png"
        Path("a.png").rename(apart)
        succeeds(apart, "--boxes", self.write({composed: [[10, 5, 50, 60]]}), "--json", "people.json")
        assert [(one["image"], one["bbox"]) for one in people()] == [(apart, [10, 5, 50, 60])]
        shutil.copy(apart, composed)
        both = self.write({composed: [[10, 5, 50, 60]], apart: []})
        succeeds(apart, composed, "--boxes", both, "--json", "people.json")
        assert [(one["image"], one["bbox"]) for one in people()] == [(composed, [10, 5, 50, 60])]
        (line,) = fails(apart, composed, "--boxes", self.write({composed: []}), "--json", "people.json")
        assert "also fits" in line

    @pytest.mark.parametrize("content", ["", "[]3", '["a"]', '{"a.png": [], "a.png": []}'])
    def test_a_file_that_is_no_such_object(self, here: Path, content: str):
        Path("boxes.json").write_text(content)
        (line,) = fails("a.png", "--boxes", "boxes.json")
        assert line.startswith("boxes.json")


class TestOutputs:
    def test_without_a_name_all_goes_to_predictions(self, here: Path):
        said = succeeds("a.png")
        assert plainly(said) == [
            f"a.png: 1 person -> {Path('predictions/a.png')}",
            f"1 image, 1 person -> {Path('predictions/people.json')}",
        ]
        assert len(people("predictions/people.json")) == 1

    def test_pictures_need_not_be_drawn(self, here: Path):
        said = succeeds("a.png", "--no-overlay")
        assert plainly(said) == ["a.png: 1 person", f"1 image, 1 person -> {Path('predictions/people.json')}"]
        assert [path.name for path in Path("predictions").iterdir()] == ["people.json"]

    def test_pictures_of_one_name_do_not_overwrite_each_other(self, here: Path):
        said = succeeds("a.png", "more/a.jpg", "--out", "out")
        assert plainly(said) == ["a.png: 1 person -> out/a.png", "more/a.jpg: 1 person -> out/a_2.png"]
        first, second = (cv2.imread(f"out/{name}.png") for name in ("a", "a_2"))
        assert first.shape == second.shape
        assert (first != second).any()

    def test_pictures_in_the_output_folder_are_not_overwritten(self, here: Path):
        before = Path("a.png").read_bytes()
        said = succeeds("more/a.jpg", "a.png", "--out", ".")
        assert plainly(said) == ["more/a.jpg: 1 person -> a_2.png", "a.png: 1 person -> a_3.png"]
        assert Path("a.png").read_bytes() == before

    def test_pictures_with_folders_of_their_own(self, here: Path):
        said = succeeds("a.png", "more", "--per-input", "--out", "out")
        first, second = Path("out/a.png"), Path("out/more/a.jpg")
        assert plainly(said) == [
            f"a.png: 1 person -> {first / 'a.png'}",
            f"1 image, 1 person -> {first / 'people.json'}",
            f"more/a.jpg: 1 person -> {second / 'a.png'}",
            f"1 image, 1 person -> {second / 'people.json'}",
        ]
        for folder, image in ((first, "a.png"), (second, "more/a.jpg")):
            assert [one["image"] for one in people(str(folder / "people.json"))] == [image]
        options = ("a.png", "b.jpg", "none.png", "--per-input", "--out", "out", "--no-overlay", "--skip-finished")
        done = predict(*options)
        assert done.returncode == 2
        assert "a.png: finished before with another value of overlay; computed again" in done.stdout
        assert sorted(path.name for path in first.iterdir()) == ["people.json", "run.json"]
        assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.jpg", "more"]
        assert predict(*options).stdout.splitlines()[0] == "2 of 3 inputs were finished before (--skip-finished)"

    def test_table_and_arrays(self, here: Path):
        succeeds("a.png", "b.jpg", "--csv", "deep/people.csv", "--npz", "people.npz", "--field-of-view", "55")
        with Path("deep/people.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        with np.load("people.npz") as file:
            assert file["camera_xyz_mm"].shape == (2, 18, 3)
            assert float(rows[20]["camera_z_mm"]) == pytest.approx(file["camera_xyz_mm"][1, 2, 2], abs=1e-4)
        assert len(rows) == 36

    def test_an_output_folder_that_cannot_be(self, here: Path):
        Path("out").write_text("a file")
        (line,) = fails("a.png", "--out", "out")
        assert "out" in line

    def test_a_file_that_cannot_be_written_is_named_as_it_was_given(self, here: Path):
        Path("file").write_text("a file")
        (line,) = fails("a.png", "--json", "file/people.json")
        assert line == f"--json file/people.json: cannot be written: {here / 'file'} is a file, not a folder"

    @pytest.mark.parametrize("name", ["-", "/dev/stdout"])
    def test_json_has_standard_output_for_itself(self, here: Path, name: str):
        Path("a.png").rename("ä.png")
        done = predict("ä.png", "none.jpg", "b.jpg", "--json", name, "--csv", "people.csv", "--out", "out")
        assert done.returncode == 2
        assert [one["image"] for one in json.loads(done.stdout)] == ["ä.png", "b.jpg"]
        assert [line.partition(":")[0] for line in plainly(done.stderr)] == [
            *("headstart", "ä.png", "b.jpg"),
            *(f"2 images, 2 people -> {path}" for path in ("standard output", "people.csv")),
        ]
        assert done.stdout.isascii()
        assert not Path("-").exists()

    def test_nobody_to_standard_output(self, here: Path):
        assert json.loads(predict("none.jpg", "--json", "-").stdout) == []


class TestSettings:
    def test_a_camera_adds_positions(self, here: Path):
        succeeds("a.png", "--camera", "500,49.5,39.5", "--json", "people.json")
        (one,) = people()
        assert list(one)[5:] == ["joints3d_camera_mm", "height_mm", "camera"]
        assert one["camera"] == {"fx": 500, "fy": 500, "cx": 49.5, "cy": 39.5, "assumed": False}
        x, y, _ = one["joints2d"]["nose"]
        across, down, away = one["joints3d_camera_mm"]["nose"]
        assert (500 * across / away + 49.5, 500 * down / away + 39.5) == pytest.approx((x, y), abs=1e-2)

    def test_a_lens_with_distortion(self, here: Path):
        """Positions are projected by it onto the joints that were seen."""
        lens = Camera(100, 110, 49.5, 39.5, (-0.2, 0.05, 1e-3, -2e-3, 0.01))
        succeeds("a.png", "--camera", "100,110,49.5,39.5,-0.2,0.05,1e-3,-2e-3,0.01", "--json", "people.json")
        (one,) = people()
        distortion = [-0.2, 0.05, 1e-3, -2e-3, 0.01]
        about = {"fx": 100, "fy": 110, "cx": 49.5, "cy": 39.5, "distortion": distortion, "assumed": False}
        assert one["camera"] == about
        seen = np.array([point[:2] for point in one["joints2d"].values()])
        placed = np.array(list(one["joints3d_camera_mm"].values()))
        np.testing.assert_allclose(lens.project(placed), seen, atol=1e-2)
        assert np.abs(Camera(100, 110, 49.5, 39.5).project(placed) - seen).max() > 0.02

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--camera", "500"), "--camera: expected F,CX,CY"),
            (("--threads", "0"), "threads: expected >= 1, got 0"),
            (("--skip-finished",), "--skip-finished: give --per-input too"),
            (
                ("--per-input", "--csv", "more/people.csv"),
                "--csv more/people.csv: with --per-input expected the name of",
            ),
            (("--per-input", "--npz", "run.json"), "--npz run.json: with --per-input expected the name of a file"),
            (("--per-input", "--out", "."), "the results of a.png go to the folder a.png, where there is a file"),
            (("--camera", "500,a,3"), "--camera: expected F,CX,CY"),
            (("--camera", "0,50,40"), "focal length above 0"),
            (("--camera", "500,nan,40"), "finite px"),
            (("--camera", "inf,50,40"), "finite px"),
            (("--field-of-view", "200"), "between 0 and 180"),
            (("--height-mm", "1.75"), "millimetres"),
            (("--bvh",), "no input is a video"),
            (("--smooth", "6"), "--smooth: is for --bvh and --trc, and none is asked for"),
            (("--trc", "--smooth", "6hz"), "expected one-euro, none or a cutoff in Hz, for example 6, got '6hz'"),
            (("--trc", "--smooth", "0"), "--smooth: expected a cutoff of at least 0.1 Hz, got 0"),
            (("--trc", "--smooth", "nan"), "--smooth: expected a cutoff of at least 0.1 Hz, got nan"),
            (("--no-overlay", "--out", "more"), "--out: with --no-overlay only --bvh and --trc are written there"),
            (("--out", "b.jpg"), "expected a folder, found a file"),
            (("--csv", "more"), "expected a file to write, found a folder"),
            (("--csv", "a.png"), "would replace an input"),
            (("--csv", "boxes.json", "--boxes", "boxes.json"), "would replace an input"),
            (("--csv", "./people.json"), "--json and --csv both name people.json"),
            (("--csv", "a.png/x.csv"), "--csv a.png/x.csv: cannot be written"),
            (("--out", "people.json"), "--json and --out both name people.json"),
            (("--camera", "500,1,2", "--field-of-view", "50"), "not both"),
            (("--height-mm", "0"), "height_mm"),
            (("--scales", "0.9", "9"), "scales: expected one or more of 0.5 to 2, for example 0.9 1 1.15, got 0.9, 9"),
            (("--scales", "nan"), "scales: expected one or more"),
            (("--batch-size", "0"), "batch_size >= 1"),
            (("--model", "none.safetensors"), "expected a checkpoint"),
            (("--detector", "nobody/nothing"), "cannot be loaded"),
            (("--boxes", "none.json"), "No such file"),
        ],
    )
    def test_what_cannot_be_meant_is_one_line_before_any_work(self, here: Path, arguments: tuple[str, ...], says: str):
        (line,) = fails("a.png", *arguments, "--json", "people.json")
        assert says in line
        assert not Path("people.json").exists()

    def test_at_several_scales(self, here: Path):
        found = []
        for scales in ((), ("--scales", "1"), ("--scales", "0.9", "1", "1.15")):
            succeeds("a.png", *scales, "--json", "people.json")
            found.append(people())
        assert found[0] == found[1]
        assert found[0] != found[2]

    def test_stature(self, here: Path):
        small, tall = ([], [])
        for found, height in ((small, "850"), (tall, "1700")):
            succeeds("a.png", "--height-mm", height, "--json", "people.json")
            found += people()[0]["joints3d_mm"].values()
        np.testing.assert_allclose(np.array(tall), 2 * np.array(small), atol=1e-3)

    def test_a_detector_in_a_folder(self, here: Path):
        save_detector(here / "detector", {0: "person"})
        done = predict("a.png", "b.jpg", "--detector", "detector", "--json", "people.json")
        assert done.returncode == 0, done.stderr
        for one in people():
            x, y, width, height = one["bbox"]
            assert 0 < one["score"] < 1
            assert 0 <= x < x + width <= 100
            assert 0 <= y < y + height <= 80

    @pytest.mark.parametrize("detector", ["auto", "shipped"])
    def test_the_detector_that_ships_finds_people_and_nobody_where_nobody_is(self, here: Path, detector: str):
        shutil.copy(EXAMPLES / "crouch.jpg", here / "crouch.jpg")
        done = predict("crouch.jpg", "a.png", "--detector", detector, "--json", "people.json")
        assert done.returncode == 0, done.stderr
        assert {one["image"] for one in people()} == {"crouch.jpg"}
        assert "a.png: 0 people (--detector none takes the whole image as one person)" in done.stdout.splitlines()


@pytest.mark.posix("/dev/stdout")
@pytest.mark.slow
def test_as_installed_json_goes_into_the_file_that_a_shell_has_opened(here: Path) -> None:
    """A file that another takes the place of would get the shell's ``end``, and no JSON."""
    command = f"{Path(sys.executable).with_name('headstart')} predict a.png --model tiny.safetensors --detector none"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    script = f"({command} --json /dev/stdout && echo end) > all.txt"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    said, _, end = Path("all.txt").read_text().rpartition("]\n")
    assert [one["image"] for one in json.loads(f"{said}]")] == ["a.png"]
    assert end == "end\n"


@pytest.mark.slow
def test_as_installed(here: Path) -> None:
    """A process of its own: one bad input among good ones, results on disk, exit code 2."""
    command = [str(Path(sys.executable).with_name("headstart")), "predict", "a.png", "none.jpg", "b.jpg"]
    command += ["--model", "tiny.safetensors", "--detector", "none", "--json", "people.json", "--out", "out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["headstart: none.jpg: expected an image file, found No such file or directory"]
    assert done.stdout.splitlines()[-1] == "2 images, 2 people -> people.json"
    assert [one["image"] for one in people()] == ["a.png", "b.jpg"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png"]


def lacking(here: Path, *untrained: str) -> Path:
    """The tiny model, trained on pictures that had those joints not labelled."""
    held, path = load_checkpoint(here / "tiny.safetensors"), here / "lacking.safetensors"
    trained = [name for name in BODY_18.names if name not in untrained]
    save_checkpoint(path, held.tensors, held.header | {"trained_joints": trained})
    return path


def test_joints_that_the_model_never_learnt_are_in_no_file_and_named_once(here: Path) -> None:
    files = ("--json", "p.json", "--csv", "p.csv", "--npz", "p.npz", "--out", "drawn")
    done = predict("a.png", "b.jpg", "--model", lacking(here, "spine", "nose"), *files)
    assert done.returncode == 0
    said = "Left out, as no image of the model's training has them labelled: spine, nose.\n"
    assert done.stderr == said
    names = [name for name in BODY_18.names if name not in ("spine", "nose")]
    for person in json.loads(Path("p.json").read_text()):
        assert list(person["joints2d"]) == list(person["joints3d_mm"]) == names
    with Path("p.csv").open(newline="") as stream:
        assert [row["joint"] for row in csv.DictReader(stream)] == names * 2
    assert np.load("p.npz")["joints"].tolist() == names
    assert np.load("p.npz")["xyz_mm"].shape == (2, 16, 3)
    assert {path.name for path in Path("drawn").iterdir()} == {"a.png", "b.png"}


def test_without_hips_and_pelvis_the_origin_is_another_and_there_is_no_motion(here: Path) -> None:
    model = lacking(here, "left_hip", "right_hip", "pelvis")
    done = predict("a.png", "--model", model, "--json", "p.json")
    assert done.stderr.endswith("pelvis. Without a pelvis mm count from the middle of the joints.\n")
    (here / "clip.mp4").write_bytes(b"none")
    done = predict("clip.mp4", "--model", model, "--trc")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "headstart: --bvh and --trc need hips and shoulders, which the model never learnt"
    ]
