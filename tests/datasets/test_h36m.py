"""The face of Human3.6M: which form is read, what is said where there is none, and what the forms share."""

import importlib
import logging
from pathlib import Path

import pytest

from headstart.datasets import iter_annotations, skeleton, splits
from headstart.datasets.h36m_common import Recording, action_name, held_subjects
from headstart.errors import DataError
from headstart.skeleton import H36M_17


def test_registered() -> None:
    assert skeleton("h36m") is H36M_17
    assert splits("h36m") == splits("h36m_s11") == ("train", "test")


def test_unknown_form_names_all_four(tmp_path: Path) -> None:
    (tmp_path / "something.txt").write_text("else")
    with pytest.raises(DataError) as error:
        iter_annotations("h36m", tmp_path, "train")
    for name in (str(tmp_path), "Human36M_subject", "annot.h5", "POSE", "jnt_bbox_db.pkl", "matlab_meta.mat"):
        assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        iter_annotations("h36m", tmp_path / "nowhere", "train")


def test_json_form_wins_over_picture_folders(tmp_path: Path) -> None:
    """The pictures of the json form lie in folders that look like those of the cut pictures."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/Human36M_subject1_data.json").write_text("{")
    (tmp_path / "images/s_01_act_02_subact_01_ca_01").mkdir(parents=True)
    (tmp_path / "images/s_01_act_02_subact_01_ca_01/matlab_meta.mat").write_bytes(b"")
    with pytest.raises(DataError, match=r"subject1_data\.json"):
        list(iter_annotations("h36m", tmp_path, "train"))


@pytest.mark.parametrize("form", ["3dmppe", "fetch", "eccv", "crops"])
def test_no_form_is_held_by_an_empty_folder(tmp_path: Path, form: str) -> None:
    assert not importlib.import_module(f"headstart.datasets.h36m_{form}").is_held(tmp_path)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (2, "Directions"),
        (12, "Photo"),
        (15, "WalkDog"),
        (16, "WalkTogether"),
        (17, "action_17"),
        (1, "action_1"),
        ("TakingPhoto", "Photo"),
        ("WalkingDog", "WalkDog"),
        ("Walking", "Walking"),
        ("Juggling", "Juggling"),
    ],
)
def test_action_names(given: int | str, canonical: str) -> None:
    assert action_name(given) == canonical


def test_recording_fields() -> None:
    assert Recording(9, "Eating", 2, 3).fields(64) == {
        "key": "S9/Eating/2/3/000064",
        "subject": "S9",
        "action": "Eating",
        "sequence": "S9/Eating/2/3",
        "frame": 64,
    }


def test_incomplete_split_warns_and_an_empty_one_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert held_subjects(tmp_path, "test", [11, 1]) == [11]
    assert "lacks S9" in caplog.text
    caplog.clear()
    assert held_subjects(tmp_path, "train", [8, 7, 6, 5, 1, 9]) == [1, 5, 6, 7, 8]
    assert not caplog.records
    with pytest.raises(DataError, match="S9, S11"):
        held_subjects(tmp_path, "test", [1, 5])
