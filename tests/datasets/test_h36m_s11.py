"""Human3.6M with S9 to train on: which subjects are in which split, in each form that names them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import test_h36m_3dmppe as json_form
import test_h36m_crops as crops
import test_h36m_fetch as fetch

from headstart.datasets import h36m, h36m_s11, iter_annotations, shared_subjects
from headstart.errors import DataError
from headstart.evaluate import protocol_rows, score
from headstart.index import open_index
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.skeleton import CANONICAL, H36M_17

EVERYBODY = (1, 5, 6, 7, 8, 9, 11)


def write(root: Path, form: str, subject: int) -> None:
    if form == "3dmppe":
        json_form.write(root, subject, [(2, 1, 1, 0)])
    elif form == "crops":
        crops.write(root, (subject, 2, 1, 1), crops.meta(1))
    else:
        fetch.write(root, subject, "Directions-1", [(54138969, 1)])


def subjects(root: Path, name: str, split: str) -> list[str]:
    return [record.subject for record in iter_annotations(name, root, split)]


@pytest.mark.parametrize("form", ["3dmppe", "crops", "fetch"])
def test_who_is_trained_on_and_who_is_scored(tmp_path: Path, form: str) -> None:
    for subject in EVERYBODY:
        write(tmp_path, form, subject)
    assert subjects(tmp_path, "h36m_s11", "train") == ["S1", "S5", "S6", "S7", "S8", "S9"]
    assert subjects(tmp_path, "h36m_s11", "test") == ["S11"]
    assert subjects(tmp_path, "h36m", "train") == ["S1", "S5", "S6", "S7", "S8"]
    assert subjects(tmp_path, "h36m", "test") == ["S9", "S11"]


@pytest.mark.parametrize("form", ["3dmppe", "crops", "fetch"])
def test_a_missing_subject_is_named(tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture) -> None:
    for subject in EVERYBODY[:5]:
        write(tmp_path, form, subject)
    with caplog.at_level(logging.WARNING):
        assert len(subjects(tmp_path, "h36m_s11", "train")) == 5
    assert "split 'train' is incomplete, it lacks S9" in caplog.text
    with pytest.raises(DataError, match="subjects of split 'test': S11, found none of them"):
        subjects(tmp_path, "h36m_s11", "test")


def test_frames_are_those_of_human36m(tmp_path: Path) -> None:
    json_form.write(tmp_path, 11, [(2, 1, 1, 64), (2, 2, 4, 0)])
    one, other = (list(iter_annotations(name, tmp_path, "test")) for name in ("h36m_s11", "h36m"))
    assert [record.key for record in one] == ["S11/Directions/1/1/000064", "S11/Directions/2/4/000000"]
    for record, same in zip(one, other, strict=True):
        assert record.key == same.key
        np.testing.assert_array_equal(record.camera_xyz, same.camera_xyz)
        np.testing.assert_array_equal(record.keypoints, same.keypoints)


def test_the_challenge_names_no_subjects(tmp_path: Path) -> None:
    (tmp_path / "Train" / "POSE").mkdir(parents=True)
    for split in ("train", "test"):
        with pytest.raises(
            DataError, match=r"with subjects.*ECCV 2018 challenge, whose frames name none.*Use h36m inst"
        ):
            list(iter_annotations("h36m_s11", tmp_path, split))


def test_subjects_that_are_in_two_splits() -> None:
    assert h36m.SUBJECTS["test"] == ("Human3.6M S9", "Human3.6M S11")
    assert h36m_s11.SUBJECTS["test"] == ("Human3.6M S11",)
    assert shared_subjects("h36m_s11", "train", "h36m", "test") == ("Human3.6M S9",)
    assert shared_subjects("h36m", "test", "h36m_s11", "test") == ("Human3.6M S11",)
    for name in ("h36m", "h36m_s11"):
        assert shared_subjects(name, "train", name, "test") == ()
    assert shared_subjects("h36m", "train", "h36m_s11", "test") == ()
    assert shared_subjects("my_data.gone", "train", "h36m", "test") == ()  # a module that is not on this machine
    assert shared_subjects("h36m", "validation", "coco", "val2017") == ()


def test_the_protocol_scores_every_64th_frame_of_s11_after_alignment(tmp_path: Path) -> None:
    """Joint j lies 54.77 mm * j from the pelvis, 8 times that in the mean: the MPJPE of somebody twice as large."""
    for subject in (9, 11):
        json_form.write(tmp_path, subject, [(2, 1, 1, frame) for frame in (0, 32, 64, 128)])
    wanted = protocol("h36m_s11")
    index = open_index("h36m_s11", tmp_path, "test", tmp_path / "cache")
    rows = protocol_rows(index, wanted)
    keys = [index[int(row)].key for row in rows]
    assert keys == [f"S11/Directions/1/1/{frame:06d}" for frame in (0, 64, 128)]
    truth = np.array([index[int(row)].camera_xyz for row in rows])[:, CANONICAL.indices(H36M_17.names)]
    blank = np.zeros((3, 17), np.float32)
    larger = Predictions(keys, H36M_17.names, np.zeros((3, 17, 2), np.float32), blank, blank, {}, 2 * truth + 100)
    found = score(larger, index, wanted, rows)
    assert (found.n, found.metric, found.unit, found.better) == (3, "pa_mpjpe", "mm", "lower")
    assert found.value == pytest.approx(0, abs=1e-2)
    assert found.per_action == {"Directions": pytest.approx(found.value)}
    assert found.others["mpjpe_mm"] == pytest.approx(8 * np.sqrt(10**2 + 50**2 + 20**2), rel=1e-4)
    assert "Here" not in found.description
