"""Predictions of any system: what a file must have, and the one line that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.predictions import Predictions, read_predictions

Arrays = dict[str, Any]
NAN = np.nan


def arrays(**changes: Any) -> Arrays:
    """Two people, three joints, both in px and in mm; None takes an array away."""
    whole: Arrays = {
        "keys": np.array(["a.jpg", "b.jpg"]),
        "joints": np.array(["pelvis", "left_wrist", "nose"]),
        "keypoints": np.arange(12.0).reshape(2, 3, 2),
        "xyz_mm": np.arange(18.0).reshape(2, 3, 3),
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def written(folder: Path, content: Arrays) -> Path:
    np.savez(folder / "p.npz", **content)
    return folder / "p.npz"


def test_what_a_file_does_not_say_is_nan_or_none(tmp_path: Path) -> None:
    made = read_predictions(written(tmp_path, arrays()))
    assert (made.keys, made.joints, made.about) == (["a.jpg", "b.jpg"], ("pelvis", "left_wrist", "nose"), {})
    assert made.xyz_mm is not None
    assert made.xyz_mm[1, 2].tolist() == [15, 16, 17]
    assert made.keypoints[1, 0].tolist() == [6, 7]
    assert np.isnan(made.depth).all()
    assert np.isnan(made.confidence).all()
    assert (made.depth.shape, made.confidence.shape) == ((2, 3), (2, 3))
    assert read_predictions(written(tmp_path, arrays(xyz_mm=None))).xyz_mm is None
    in_mm = read_predictions(written(tmp_path, arrays(keypoints=None)))
    assert in_mm.keypoints.shape == (2, 3, 2)
    assert np.isnan(in_mm.keypoints).all()


def test_keys_may_be_numbers_or_bytes(tmp_path: Path) -> None:
    assert read_predictions(written(tmp_path, arrays(keys=np.array([7, 12])))).keys == ["7", "12"]
    assert read_predictions(written(tmp_path, arrays(keys=np.array([b"a", b"b"])))).keys == ["a", "b"]
    accented = np.array(["é".encode(), b"b"])
    assert read_predictions(written(tmp_path, arrays(keys=accented))).keys == ["é", "b"]


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    made = read_predictions(written(tmp_path, arrays(about=np.array('{"decode": "argmax"}'))))
    assert made.about == {"decode": "argmax"}
    made.save(tmp_path / "again.npz")
    loaded = Predictions.load(tmp_path / "again.npz")
    assert (loaded.keys, loaded.joints, loaded.about) == (made.keys, made.joints, made.about)
    for name in ("keypoints", "depth", "confidence", "xyz_mm"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(made, name))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"keys": None}, "an array keys with a text for each, found joints, keypoints, xyz_mm"),
        ({"joints": np.array("nose")}, r"an array joints with a text for each, found one of shape \(\)"),
        ({"keypoints": None, "xyz_mm": None}, r"an array keypoints \(px\) or xyz_mm, found keys, joints"),
        ({"keys": np.array(["a", "a"])}, "record a: expected each of keys once, found 1 more than once"),
        ({"joints": np.array(["nose", "nose", "pelvis"])}, "record nose: expected each of joints once"),
        ({"joints": np.array(["pelvis", "wrist_left", "nose"])}, "joints by the names .*pelvis.*, found wrist_left"),
        (
            {"keypoints": np.zeros((2, 3, 3))},
            r"numbers of shape \(2, 3, 2\) in keypoints: 2 keys, 3 joints, found float64 of shape \(2, 3, 3\)",
        ),
        ({"keypoints": np.full((2, 3, 2), "x")}, "numbers of shape .* in keypoints.*found <U1 of shape"),
        ({"depth": np.zeros((3, 3))}, r"numbers of shape \(2, 3\) in depth"),
        (
            {"xyz_mm": np.array([[[0, 0, 0]] * 3, [[0, 0, 0], [0, NAN, 0], [0, 0, np.inf]]])},
            "record b.jpg: expected finite numbers in xyz_mm, found nan at left_wrist, 2 such in all",
        ),
        (
            {"keypoints": np.full((2, 3, 2), 1e39)},
            "record a.jpg: expected finite numbers in keypoints, found 1e[+]39 at pelvis, 12 such in all",
        ),
        ({"keys": np.array([b"a", b"\xff"])}, "texts in UTF-8 in keys, found 'utf-?8' codec"),
        ({"about": np.array("by hand")}, "a JSON object in about, found by hand"),
        ({"about": np.array("3")}, "a JSON object in about, found 3"),
        ({"keys": np.array(["a", "b"], dtype=object)}, "predictions .*Object arrays cannot be loaded"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, changes: Arrays, line: str) -> None:
    with pytest.raises(DataError, match=rf"p\.npz(, |: expected ){line}") as caught:
        read_predictions(written(tmp_path, arrays(**changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"keys", None], ids=["empty", "text", "missing"])
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"p\.npz: expected predictions \(\.npz\)"):
        read_predictions(tmp_path / "p.npz")


def test_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"p\.npy: expected predictions \(\.npz\), found a single array"):
        read_predictions(tmp_path / "p.npy")
    with pytest.raises(DataError, match=r"p\.npy: expected predictions \(\.npz\), found a single array"):
        Predictions.load(tmp_path / "p.npy")
