"""Synthetic data sets on disk: same bytes for any number of workers, resumable, read as any packed data set."""

import dataclasses
import json
import logging
import multiprocessing
import os
import shutil
import time

import cv2
import numpy as np
import pyarrow as pa
import pytest

from headstart import synthesize as module
from headstart.datasets import synthetic
from headstart.errors import ConfigError, DataError
from headstart.geometry import Camera
from headstart.index import open_packed
from headstart.records import Visibility
from headstart.skeleton import CANONICAL, WITH_FEET
from headstart.synth.domains import SyntheticImage, generate
from headstart.synth.labels import State
from headstart.synthesize import SynthConfig, synthesize, to_annotation

CONFIG = SynthConfig("occluded", "train", 5, seed=3, size=64)


def shard_bytes(folder):
    return [path.read_bytes() for path in sorted(folder.glob("shard-*.arrow"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS_PER_SHARD", 2)
        return synthesize(CONFIG, tmp_path_factory.mktemp("synth"))


def test_packed_people_are_read_as_any_others(folder):
    index = open_packed(folder)
    assert len(index) == 5
    person = index[3]
    picture = cv2.imdecode(np.frombuffer(index.content(3), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (64, 64, 3)
    known = person.visibility > 0
    np.testing.assert_allclose(person.camera.project(person.camera_xyz)[known], person.keypoints[known], atol=0.01)
    assert {Visibility.OCCLUDED, Visibility.VISIBLE} <= set(person.visibility)
    assert len(set(index.column("key"))) == 5


def test_states_and_masks_travel_along(folder):
    table = pa.ipc.open_file(str(folder / "shard-00000.arrow")).read_all()
    mask = cv2.imdecode(np.frombuffer(table["mask"][0].as_py(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask.shape == (64, 64)
    assert set(np.unique(mask)) == {0, 255}
    assert len(table["state"][0].as_py()) == 28


def test_people_have_feet_in_2d_and_3d(folder):
    """Those of the left and of the right foot lie near the ankle of their side; their box is not theirs."""
    index = open_packed(folder)
    assert index.skeleton is WITH_FEET
    xyz = index.column("xyz")
    for joint, far in (("big_toe", (130, 260)), ("small_toe", (100, 230)), ("heel", (55, 130))):
        for side in ("left", "right"):
            foot, ankle = (xyz[:, WITH_FEET.index(f"{side}_{name}")] for name in (joint, "ankle"))
            distance = np.linalg.norm(foot - ankle, axis=1)
            assert far[0] < distance.min() < distance.max() < far[1]
    states = np.array([index.extra(row, "state") for row in range(5)])
    np.testing.assert_array_equal(index.column("visibility") > 0, states != State.OUT_OF_FRAME)


def test_pictures_are_stored_with_their_own_colours(folder):
    """As generated, but for the JPEG: red and blue exchanged would be far off."""
    for row in range(2):
        made = generate(CONFIG.domain, CONFIG.split, CONFIG.seed, row, CONFIG.size).image.astype(int)
        stored = open_packed(folder).rgb_image(row).astype(int)
        assert np.abs(stored - made).mean() < 4
        assert np.abs(stored[..., ::-1] - made).mean() > 5


def test_states_become_visibility_and_joints_outside_lose_their_2d_label_alone():
    """Visible, hidden by the own body, hidden by a thing, out of the picture; and so on."""
    states = np.arange(28, dtype=np.uint8) % 4
    pixels, xyz = np.arange(56.0).reshape(28, 2), np.arange(84.0).reshape(28, 3)
    blank = np.zeros((8, 8, 3), np.uint8)
    made = SyntheticImage(
        *("a", blank, pixels, states, xyz, Camera(1, 1, 0, 0), blank[..., 0] > 0, np.array([0.0, 0, 8, 8])),
        *("me", "runs", "", -1),
    )
    person = to_annotation(made)
    occluded = Visibility.OCCLUDED
    assert person.visibility[:4].tolist() == [Visibility.VISIBLE, occluded, occluded, Visibility.UNLABELLED]
    np.testing.assert_array_equal(np.isnan(person.keypoints).all(1), states == State.OUT_OF_FRAME)
    np.testing.assert_array_equal(person.keypoints[:3], pixels[:3])
    np.testing.assert_array_equal(person.camera_xyz, xyz)


def test_two_workers_write_the_same_bytes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_PER_SHARD", 2)
    again = synthesize(CONFIG, tmp_path, workers=2)
    assert shard_bytes(again) == shard_bytes(folder)
    assert (again / "pack.json").read_text() == (folder / "pack.json").read_text()


def test_a_killed_run_goes_on_where_it_stopped(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_PER_SHARD", 2)
    real, made = module.make_row, []

    def dies(config, joints, index):
        made.append(index)
        if index == 3:
            raise KeyboardInterrupt
        return real(config, joints, index)

    monkeypatch.setattr(module, "make_row", dies)
    with pytest.raises(KeyboardInterrupt):
        synthesize(CONFIG, tmp_path)
    monkeypatch.setattr(module, "make_row", lambda *of: made.append(of[-1]) or real(*of))
    again = synthesize(CONFIG, tmp_path)
    assert made == [0, 1, 2, 3, 2, 3, 4]
    assert shard_bytes(again) == shard_bytes(folder)


def begun_without_feet(folder, settings):
    """As versions before feet left a folder: settings that do not name joints."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({name: settings[name] for name in settings if name != "joints"}))


def test_a_folder_that_was_begun_without_feet_goes_on_without(folder, tmp_path, monkeypatch, caplog):
    """Its other labels and its pictures are those of a folder with feet, and so is its digest for a model without."""
    monkeypatch.setattr(module, "_ROWS_PER_SHARD", 2)
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["joints"] == "canonical_28"
    begun_without_feet(tmp_path / folder.name, settings)
    with caplog.at_level(logging.INFO, "headstart"):
        without = synthesize(CONFIG, tmp_path)
    said = f"{without} was begun without labels of feet and goes on without; another --out gets them"
    assert caplog.messages == [said]
    assert "joints" not in json.loads((without / "settings.json").read_text())
    assert "joints" not in json.loads((without / "pack.json").read_text())
    old, new = open_packed(without), open_packed(folder)
    assert (old.skeleton, new.skeleton) == (CANONICAL, WITH_FEET)
    for name in ("keypoints", "visibility", "xyz"):
        np.testing.assert_array_equal(old.column(name), new.column(name)[:, :22])
    for name in ("key", "bbox", "camera", "frame"):
        np.testing.assert_array_equal(old.column(name), new.column(name))
    for row in range(5):
        assert old.content(row) == new.content(row)
        assert old.extra(row, "mask") == new.extra(row, "mask")
        assert old.extra(row, "state") == new.extra(row, "state")[:22]
    assert old.digest(CANONICAL.names) == new.digest(CANONICAL.names)
    assert old.digest(WITH_FEET.names) != new.digest(WITH_FEET.names)


def test_shards_with_feet_and_without_are_never_one_folder(folder, tmp_path, monkeypatch):
    """Whichever of the two a shard was copied from, it is refused."""
    monkeypatch.setattr(module, "_ROWS_PER_SHARD", 2)
    settings, mixed = json.loads((folder / "settings.json").read_text()), tmp_path / "mixed" / folder.name
    mixed.parent.mkdir()
    begun_without_feet(mixed, settings)
    shutil.copy(folder / "shard-00000.arrow", mixed)
    with pytest.raises(
        DataError, match=r"found \{'joints': 'canonical_28'\}; .*another --out|'joints': 'canonical_28'"
    ):
        synthesize(CONFIG, mixed.parent)
    (mixed / "shard-00000.arrow").unlink()
    synthesize(CONFIG, mixed.parent)
    (mixed / "settings.json").unlink()
    with pytest.raises(DataError, match=r"expected a shard of the settings .*'joints': 'canonical_28'.*another --out"):
        synthesize(CONFIG, mixed.parent)


def test_other_settings_need_another_folder(folder):
    with pytest.raises(DataError, match="another --out"):
        synthesize(SynthConfig("occluded", "train", 6, seed=3, size=64), folder.parent)


def test_another_generator_does_not_go_on_with_a_folder(folder, monkeypatch):
    monkeypatch.setattr(module, "GENERATOR", module.GENERATOR + 1)
    with pytest.raises(DataError, match="another --out"):
        synthesize(CONFIG, folder.parent)


def test_a_shard_that_is_damaged_is_made_again(folder, tmp_path, monkeypatch):
    """As a power cut or a bad disk may leave one: nothing but its name, too few people, or text that is none."""
    monkeypatch.setattr(module, "_ROWS_PER_SHARD", 2)
    mine = shutil.copytree(folder, tmp_path / folder.name)
    first, second, third = sorted(mine.glob("*.arrow"))
    first.write_bytes(b"")
    third.write_bytes(third.read_bytes().replace(b"generator", b"gener\xfftor"))
    table = pa.ipc.open_file(second.read_bytes()).read_all()
    with pa.OSFile(str(second), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.slice(0, 1))
    assert shard_bytes(synthesize(CONFIG, tmp_path)) == shard_bytes(folder)


def test_each_picture_is_counted_once_and_what_is_there_by_shards(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_PER_SHARD", 2)
    mine = shutil.copytree(folder, tmp_path / folder.name)
    (mine / "shard-00002.arrow").unlink()
    (mine / "shard-00001.arrow").unlink()
    done = []
    synthesize(CONFIG, tmp_path, on_progress=done.append)
    assert done == [2, 3, 4, 5]


def test_a_shard_of_another_seed_is_refused(folder, tmp_path, monkeypatch):
    """Although nothing beside it says of what seed it is."""
    monkeypatch.setattr(module, "_ROWS_PER_SHARD", 2)
    mine = shutil.copytree(folder, tmp_path / folder.name)
    (mine / "settings.json").unlink()
    with pytest.raises(DataError, match=r"shard-00000\.arrow: expected a shard of the settings .*another --out"):
        synthesize(dataclasses.replace(CONFIG, seed=7), tmp_path)


def test_a_killed_worker_is_one_line_and_the_callers_threads_stay(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def kill_a_worker(done):
        for child in multiprocessing.active_children():
            child.kill()

    many = dataclasses.replace(CONFIG, count=2000)  # more than two workers make before they are killed
    with pytest.raises(ConfigError, match=r"a worker process was killed .* fewer --workers"):
        synthesize(many, tmp_path, workers=2, on_progress=kill_a_worker)
    assert "OMP_NUM_THREADS" not in os.environ


def test_after_an_error_workers_do_not_go_on_with_the_shard():
    """Known defect: a full disk was reported when the rest of 500 pictures had been made."""

    def fails_at_the_second(workers):
        with module._mapper(workers) as apply:
            work = apply(time.sleep, [0.1] * 800)  # 40 s for two workers
            next(work)
            began.append(time.monotonic())
            raise OSError("no room")

    began = []
    with pytest.raises(OSError, match="no room"):
        fails_at_the_second(2)
    assert time.monotonic() - began[0] < 20


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SynthConfig("moon", "train", 1), "domain: expected one of wild"),
        (SynthConfig("wild", "dev", 1), "split: expected one of train"),
        (SynthConfig("wild", "train", 0), "count, size and seed"),
        (SynthConfig("wild", "train", 1, seed=-1), "at least 1, 32 and 0, got 1, .* and -1"),
    ],
)
def test_bad_settings_are_named(config, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        synthesize(config, tmp_path)
    assert list(tmp_path.iterdir()) == []  # nothing is claimed for settings that cannot be


def test_the_adapter_says_how_to_make_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="headstart synth DOMAIN --split val"):
        next(synthetic.annotations(tmp_path, "val"))
