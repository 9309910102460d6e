"""The command that cleans labels: wrong labels of a packed split come out right, everything else comes out the same."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from headstart.cleaning import clean, opinions, packed_split
from headstart.errors import ConfigError, DataError
from headstart.index import AnnotationIndex, open_packed
from headstart.label_doubts import DoubtConfig, trunk_size
from headstart.pack import PackConfig, pack
from headstart.predictions import Predictions, join_predictions
from headstart.skeleton import CANONICAL
from test_cli import fails, succeeds
from test_scoring import checkpoint as checkpoint

LEGS = CANONICAL.indices(tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle")))
WRIST = CANONICAL.index("left_wrist")
FLIP = list(CANONICAL.flip_index)


@pytest.fixture
def packed(index_2d: AnnotationIndex, tmp_path: Path) -> Path:
    """Twenty stick people in shards of eight."""
    folder = tmp_path / "packed" / "lsp_extended-all"
    source = {"dataset": "lsp_extended", "split": "all"}
    pack(index_2d, folder, PackConfig(128, rows_per_shard=8), source=source)
    return folder


def opinion_of(folder: Path, change: Callable[[np.ndarray], None] = lambda keypoints: None) -> Predictions:
    """Predictions that are the labels of a packed split, changed in place by ``change``; sure of themselves."""
    index = open_packed(folder)
    keypoints = np.nan_to_num(index.column("keypoints")).astype(np.float32)
    change(keypoints)
    sure = np.ones(keypoints.shape[:2], np.float32)
    keys = index.column("key").tolist()
    return Predictions(keys, CANONICAL.names, keypoints, np.zeros_like(sure), sure, {"checkpoint": "by hand"})


def test_labels_come_out_right_and_all_else_the_same(packed: Path, tmp_path: Path) -> None:
    """The model sees person 3's legs exchanged, and person 11's wrist far away: in shards 0 and 1."""

    def change(keypoints: np.ndarray) -> None:
        keypoints[3, LEGS] = keypoints[3, np.array(FLIP)[LEGS]]
        keypoints[11, WRIST] += 500

    out = tmp_path / "out"
    found = clean(packed, out, opinion_of(packed, change), DoubtConfig())
    before, after = open_packed(packed), open_packed(out)
    assert (found.people, found.doubted, found.arms_exchanged, found.legs_exchanged) == (20, 2, 0, 1)
    assert found.joints_dropped == 1
    assert found.joints == (before.column("visibility") > 0).sum()
    for row in range(20):
        was, is_now = before[row], after[row]
        keypoints, visibility = was.keypoints.copy(), was.visibility.copy()
        if row == 3:
            keypoints[LEGS], visibility[LEGS] = keypoints[np.array(FLIP)[LEGS]], visibility[np.array(FLIP)[LEGS]]
        if row == 11:
            keypoints[WRIST], visibility[WRIST] = np.nan, 0
        np.testing.assert_array_equal(is_now.keypoints, keypoints)
        np.testing.assert_array_equal(is_now.visibility, visibility)
        np.testing.assert_array_equal(is_now.bbox_xywh, was.bbox_xywh)
        assert is_now.key == was.key
        assert bytes(after.content(row) or b"") == bytes(before.content(row) or b"-")
    for one, other in zip(before.files, after.files, strict=True):
        assert schema_of(other).equals(schema_of(one), check_metadata=True)


def schema_of(shard: Path) -> pa.Schema:
    """Its columns, and whose people it says that they are."""
    with pa.ipc.open_file(shard) as reader:
        assert reader.schema.metadata[b"dataset"] == b"lsp_extended"
        return reader.schema


def test_the_picture_says_what_each_pair_shows(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pairs a row; of person 3 the legs are exchanged, of person 11 the wrist is dropped."""
    sheets: list[dict[str, object]] = []

    def sheet(pictures: list[np.ndarray], **how: object) -> np.ndarray:
        sheets.append(how)
        return pictures[0]

    def change(keypoints: np.ndarray) -> None:
        keypoints[3, LEGS] = keypoints[3, np.array(FLIP)[LEGS]]
        keypoints[11, WRIST] += 500

    monkeypatch.setattr("headstart.cleaning.sheet", sheet)
    clean(packed, tmp_path / "out", opinion_of(packed, change), DoubtConfig())
    keys = open_packed(packed).column("key")
    titles = [f"label {keys[3]}"[:30], "legs exchanged", f"label {keys[11]}"[:30], "1 dropped"]
    assert sheets == [{"columns": 4, "titles": titles}]


def test_says_what_it_did(packed: Path, tmp_path: Path) -> None:
    def change(keypoints: np.ndarray) -> None:
        keypoints[7, WRIST] += 500

    clean(packed, tmp_path / "out", opinion_of(packed, change), DoubtConfig())
    with open(tmp_path / "out" / "doubts.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines == [{"key": open_packed(packed)[7].key, "exchanged": "", "dropped": "left_wrist"}]
    picture = cv2.imread(str(tmp_path / "out" / "doubts.png"))
    assert picture is not None
    left, right = picture[18 : 18 + 256, :256], picture[18 : 18 + 256, 260:516]
    assert (left != right).any()  # the wrist is drawn on the left alone
    manifest = json.loads((tmp_path / "out" / "pack.json").read_text())
    assert manifest["cleaned"]["predictions"] == {"checkpoint": "by hand"}
    assert manifest["cleaned"]["distance"] == 0.5
    assert manifest["people"] == 20


def test_refuses_its_own_folder_and_people_without_an_opinion(packed: Path, checkpoint: Path, tmp_path: Path) -> None:
    opinion = opinion_of(packed)
    with pytest.raises(ConfigError, match="expected another folder"):
        clean(packed, packed, opinion, DoubtConfig())
    with pytest.raises(ConfigError, match="expected another folder"):
        opinions(packed, checkpoint, packed)
    assert not list(packed.glob("*.npz"))
    keys = ["nobody", *opinion.keys[1:]]
    with pytest.raises(DataError, match="1 of 20 missing"):
        clean(packed, tmp_path / "out", replace(opinion, keys=keys), DoubtConfig())
    assert not (tmp_path / "out").exists()


def test_a_folder_that_was_packed_is_not_written_over(packed: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The same split at another size, say."""
    other = tmp_path / "other"
    shutil.copytree(packed, other)
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    for write in (
        lambda: clean(packed, other, opinion_of(packed), DoubtConfig()),
        lambda: opinions(packed, checkpoint, other, workers=0),
    ):
        with pytest.raises(ConfigError, match="expected a folder of its own, found one that headstart pack"):
            write()
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before


def test_without_doubts_there_is_no_picture_of_any(packed: Path, tmp_path: Path) -> None:
    """Not that of an earlier run either."""

    def change(keypoints: np.ndarray) -> None:
        keypoints[7, WRIST] += 500

    out = tmp_path / "lsp_extended-all"
    clean(packed, out, opinion_of(packed, change), DoubtConfig())
    assert (out / "doubts.png").is_file()
    opinion_of(packed).save(tmp_path / "labels.npz")
    command = ("clean", "lsp_extended", "--root", packed, "--split", "all", "--out", tmp_path)
    assert "doubts.png" not in succeeds(*command, "--predictions", tmp_path / "labels.npz")
    assert not (out / "doubts.png").exists()


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (("--batch-size", "0"), "--batch-size: expected >= 1, got 0"),
        (("--workers", "-1"), "--workers: expected >= 0, got -1"),
        (("--sides", "-1"), "expected >= 0, > 0 and 0 to 1, got -1.0, 0.5 and 0.35"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anybody_is_predicted(
    option: tuple[str, str], expected: str, packed: Path, tmp_path: Path
) -> None:
    assert expected in fails("clean", "lsp_extended", "--root", packed, "--split", "all", "--out", tmp_path, *option)


def test_what_was_not_finished_does_not_look_finished(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opinion, out = opinion_of(packed), tmp_path / "out"
    clean(packed, out, opinion, DoubtConfig())
    monkeypatch.setattr("headstart.cleaning._listed", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        clean(packed, out, opinion, DoubtConfig())
    with pytest.raises(DataError, match="finished pack"):
        open_packed(out)


def test_opinions_go_on_where_they_were_killed(packed: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Of three shards one was not predicted: it alone is made anew, and all are as they were."""
    out = tmp_path / "out"
    made = opinions(packed, checkpoint, out, workers=0)
    assert made.keys == open_packed(packed).column("key").tolist()
    files = sorted(out.glob("*.npz"))
    assert len(files) == 3
    files[1].unlink()
    times = [file.stat().st_mtime_ns for file in (files[0], files[2])]
    again = opinions(packed, checkpoint, out, workers=0)
    assert [file.stat().st_mtime_ns for file in (files[0], files[2])] == times
    np.testing.assert_array_equal(again.keypoints, made.keypoints)


def test_shards_are_predicted_one_by_one_as_asked_for(
    packed: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int, int, int]] = []

    def predict_people(
        model: Path, shard: AnnotationIndex, rows: np.ndarray, title: str, *, batch_size: int, workers: int
    ) -> Predictions:
        asked.append((title, len(rows), batch_size, workers))
        keypoints, sure = shard.column("keypoints"), np.ones((len(shard), len(CANONICAL)), np.float32)
        return Predictions(shard.column("key").tolist(), CANONICAL.names, keypoints, 0 * sure, sure, {})

    monkeypatch.setattr("headstart.cleaning.predict_people", predict_people)
    opinions(packed, checkpoint, tmp_path / "out", batch_size=5, workers=1)
    assert asked == [(f"predicting {n} of 3", people, 5, 1) for n, people in ((1, 8), (2, 8), (3, 4))]


def test_opinions_of_another_model_are_refused(packed: Path, checkpoint: Path, tmp_path: Path) -> None:
    opinion_of(packed).save(tmp_path / "shard-00000.npz")
    with pytest.raises(DataError, match="found those of by hand"):
        opinions(packed, checkpoint, tmp_path)


def test_opinions_of_a_model_before_it_was_trained_on_are_refused(
    packed: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """In the same file; and those of pictures that were packed anew in the same folder."""
    model = shutil.copy(checkpoint, tmp_path / "model.safetensors")
    opinions(packed, model, tmp_path / "out", workers=0)
    manifest = packed / "pack.json"
    text = manifest.read_text()
    manifest.write_text(text.replace("128", "129"))
    with pytest.raises(DataError, match=r"model\.safetensors as it is, found .* other images, .* Remove them"):
        opinions(packed, model, tmp_path / "out", workers=0)
    manifest.write_text(text)
    opinions(packed, model, tmp_path / "out", workers=0)
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(DataError, match="as it was"):
        opinions(packed, model, tmp_path / "out", workers=0)


def test_who_contradicts_most_labels_is_not_believed(packed: Path, tmp_path: Path) -> None:
    """As predictions in the pixels of other pictures do: those from which the split was packed."""

    def change(keypoints: np.ndarray) -> None:
        keypoints *= 4

    with pytest.raises(ConfigError, match="far more than can be wrong"):
        clean(packed, tmp_path / "out", opinion_of(packed, change), DoubtConfig())
    assert not (tmp_path / "out").exists()


def test_midpoints_go_with_what_they_were_made_from(packed: Path, tmp_path: Path) -> None:
    """LSP-Extended labels hips and no pelvis. A hip that is a trunk off moves the pelvis by half of that."""
    hip, pelvis = CANONICAL.indices(("left_hip", "pelvis"))
    size = trunk_size(open_packed(packed)[5])

    def change(keypoints: np.ndarray) -> None:
        keypoints[5, hip] += (0.9 * size, 0)
        keypoints[5, pelvis] += (0.45 * size, 0)

    clean(packed, tmp_path / "out", opinion_of(packed, change), DoubtConfig())
    was, now = open_packed(packed)[5], open_packed(tmp_path / "out")[5]
    assert was.visibility[pelvis] > 0
    np.testing.assert_array_equal(np.flatnonzero(was.visibility != now.visibility), sorted((hip, pelvis)))


def test_a_split_must_be_packed(stick_people_2d: Path) -> None:
    with pytest.raises(ConfigError, match="run headstart pack lsp_extended --split all first"):
        packed_split("lsp_extended", stick_people_2d, "all")


def test_the_training_split_is_the_default(tmp_path: Path) -> None:
    """COCO's has another name than most."""
    wanted = "expected coco-train2017, packed; run headstart pack coco --split train2017 first"
    assert wanted in fails("clean", "coco", "--root", tmp_path, "--out", tmp_path / "a")


def test_the_command(packed: Path, checkpoint: Path, stick_people_2d: Path, tmp_path: Path) -> None:
    """A model, then its predictions given by hand: the same copy; the copy is a data set like any other."""
    common = (
        "clean",
        "lsp_extended",
        "--root",
        packed.parent,
        "--split",
        "all",
        "--confidence",
        "0",
        "--distance",
        "1.2",
    )
    printed = succeeds(*common, "--out", tmp_path / "a", "--model", checkpoint, "--workers", "0")
    assert printed.startswith(f"{tmp_path / 'a' / 'lsp_extended-all'}: 20 people, ")
    parts = sorted((tmp_path / "a" / "lsp_extended-all").glob("*.npz"))
    kept = tmp_path / "by_hand.npz"
    join_predictions([Predictions.load(part) for part in parts]).save(kept)
    again = succeeds(*common, "--out", tmp_path / "b", "--predictions", kept)
    assert again.replace(str(tmp_path / "b"), str(tmp_path / "a")) == printed
    assert "20 people" in succeeds("data", "lsp_extended", "--root", tmp_path / "a", "--split", "all")
    # A packed folder itself is the one split that it holds, and no other.
    assert list(json.loads(succeeds("data", "lsp_extended", "--root", packed, "--json"))) == ["all"]
    train = ("clean", "lsp_extended", "--root", packed, "--split", "train", "--out", tmp_path / "c")
    assert "expected lsp_extended-train, packed, found lsp_extended-all" in fails(*train)
    assert "packed; run headstart pack" in fails(
        *("clean", "lsp_extended", "--root", stick_people_2d, "--split", "all", "--out", tmp_path / "c")
    )
