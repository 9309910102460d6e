"""Boxes from files and from detectors of transformers (tiny ones, made here)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from double_precision import DoublePrecision
from headstart import detect
from headstart.detect import TransformersDetector, find_detector, match_boxes, read_boxes
from headstart.errors import ConfigError, DataError

LABELS = {0: "cat", 1: "Person", 2: "kite"}
IMAGE = np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)


def save_detector(folder: Path, labels: dict[int, str]) -> Path:
    """A YOLOS of a few thousand random weights, saved as published ones are."""
    from transformers import YolosConfig, YolosForObjectDetection
    from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

    torch.manual_seed(0)
    config = YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[32, 48],
        num_detection_tokens=6,
        use_mid_position_embeddings=False,
        id2label=labels,
        label2id={label: number for number, label in labels.items()},
    )
    YolosForObjectDetection(config).save_pretrained(folder)
    YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 48}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_detector(tmp_path_factory.mktemp("detector"), LABELS)


class TestTransformersDetector:
    def test_boxes_lie_in_the_picture_best_first(self, folder: Path):
        found = TransformersDetector(folder, threshold=0.0, device="cpu")(IMAGE)
        assert all(isinstance(value, float) for one in found for value in (*one.bbox_xywh, one.score))
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)
        for x, y, width, height in (one.bbox_xywh for one in found):
            assert 0 <= x < x + width <= 90
            assert 0 <= y < y + height <= 60

    def test_only_people_above_the_threshold_in_pixels_of_the_picture(self, folder: Path):
        detector = TransformersDetector(folder, device="cpu")

        class Answer:
            """Six queries: person, cat, person over two edges, a faint person, nothing, person of no size."""

            logits = torch.tensor(
                [[[0.0, 5, 0, 0], [5, 0, 0, 0], [0, 9, 0, 0], [0, 1, 0, 3], [0, 0, 0, 9], [0, 9, 0, 0]]]
            )
            pred_boxes = torch.tensor(
                [
                    [
                        [0.5, 0.5, 0.2, 0.5],
                        [0.5, 0.5, 0.2, 0.5],
                        [0.95, 0.9, 0.3, 0.4],
                        [0.5] * 4,
                        [0.5] * 4,
                        [0.5, 0.5, 0, 0],
                    ]
                ]
            )

        detector.model = lambda **inputs: Answer
        first, second = detector(IMAGE)
        np.testing.assert_allclose(first.bbox_xywh, [72, 42, 18, 18], atol=1e-3)
        np.testing.assert_allclose(second.bbox_xywh, [36, 15, 18, 30], atol=1e-3)
        assert first.score > second.score == pytest.approx(np.exp(5) / (np.exp(5) + 3), rel=1e-4)

    def test_the_network_sees_the_picture(self, folder: Path):
        detector = TransformersDetector(folder, device="cpu")
        seen: list[torch.Tensor] = []
        model = detector.model

        def look(**inputs: Any) -> Any:
            seen.append(inputs["pixel_values"])
            return model(**inputs)

        detector.model = look
        red = np.zeros((60, 90, 3), np.uint8)
        red[..., 0] = 255
        detector(red)
        means = seen[0].mean((0, 2, 3))
        assert seen[0].shape[-2:] == (32, 48)
        # ImageNet statistics: a full channel is far above 0, an empty one below.
        assert means[0] > 2
        assert (means[1:] < -1.7).all()

    def test_a_detector_that_knows_no_people(self, tmp_path: Path):
        with pytest.raises(ConfigError, match="knows no class 'person' among its 2"):
            TransformersDetector(save_detector(tmp_path, {0: "cat", 1: "dog"}))

    @pytest.mark.parametrize("source", ["nobody/nothing", "/no/such/folder"])
    def test_one_that_cannot_be_loaded(self, source: str):
        with pytest.raises(ConfigError, match=f"detector {source}: cannot be loaded") as error:
            TransformersDetector(source, local_only=True)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("device", ["toaster", "cuda:99"])
    def test_a_device_that_is_not_here(self, device: str, folder: Path):
        with pytest.raises(ConfigError, match=f"device '{device}'"):
            TransformersDetector(folder, device=device)
        with pytest.raises(ConfigError, match=f"device '{device}'"):  # not: there is no detector
            find_detector(str(folder), device=device)

    def test_the_device_is_the_one_of_training_if_none_is_given(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(detect, "default_device", lambda: "meta")
        assert TransformersDetector(folder).model.device.type == "meta"

    def test_nothing_is_computed_in_double_precision(self, folder: Path):
        """A Mac's GPU has none."""
        detector = TransformersDetector(folder, threshold=0.0, device="cpu")
        with DoublePrecision() as found:
            assert detector(IMAGE)
        assert not found.operations

    def test_found_only_where_its_weights_are(self, folder: Path):
        assert find_detector("nobody/nothing") is None
        assert isinstance(find_detector(str(folder), device="cpu"), TransformersDetector)


def answer(corners: tuple[float, float, float, float], logit: float) -> type:
    """One query, a person whose score is e^logit / (e^logit + 3); left, top, right, bottom as shares of the picture."""
    left, top, right, bottom = corners

    class Answer:
        logits = torch.tensor([[[0.0, logit, 0.0, 0.0]]])
        pred_boxes = torch.tensor([[[(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]]])

    return Answer


SQUARE = np.zeros((64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ((-0.5, -0.25, 0.25, 0.5), (0, 0, 16, 32)),
        ((0.75, 0.5, 1.25, 1.5), (48, 32, 16, 32)),
        ((0.25, 0.25, 0.25 + 1 / 64, 0.75), (16, 16, 1, 32)),
        ((0.25, 0.25, 0.75, 0.25 + 1 / 64), (16, 16, 32, 1)),
        ((0.25, 0.25, 0.25 + 0.5 / 64, 0.75), None),
        ((0.25, 0.25, 0.75, 0.25 + 0.5 / 64), None),
        ((-0.5, 0.25, -0.25, 0.75), None),
    ],
)
def test_boxes_are_cut_at_the_edges_and_dropped_below_a_pixel(
    folder: Path, corners: tuple[float, float, float, float], box: tuple[float, ...] | None
) -> None:
    detector = TransformersDetector(folder, device="cpu")
    detector.model = lambda **inputs: answer(corners, 5.0)
    assert [one.bbox_xywh for one in detector(SQUARE)] == ([] if box is None else [box])


@pytest.mark.parametrize(("threshold", "count"), [(0.2, 1), (0.49, 1), (0.51, 0), (0.9, 0)])
def test_the_threshold_is_the_one_that_was_asked_for(folder: Path, threshold: float, count: int) -> None:
    """e^log 3 / (e^log 3 + 3) is a half."""
    detector = TransformersDetector(folder, threshold=threshold, device="cpu")
    detector.model = lambda **inputs: answer((0.25, 0.25, 0.75, 0.75), float(np.log(3)))
    assert len(detector(SQUARE)) == count


def test_a_detector_that_is_looked_for_is_not_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("headstart.detect.TransformersDetector", lambda source, **options: asked.append(options))
    find_detector(str(folder), threshold=0.3)
    assert asked == [{"local_only": True, "threshold": 0.3}]


def written(path: Path, content: str) -> Path:
    (path / "boxes.json").write_text(content)
    return path / "boxes.json"


class TestReadBoxes:
    def test_boxes(self, tmp_path: Path):
        boxes = {"a.jpg": [[1, 2.5, 30, 40], [5, 6, 7, 8]], "deep/b.png": []}
        assert read_boxes(written(tmp_path, json.dumps(boxes))) == boxes
        assert read_boxes(written(tmp_path, "{}")) == {}

    def test_a_byte_order_mark_as_windows_writes_it(self, tmp_path: Path):
        assert read_boxes(written(tmp_path, '\ufeff{"a.jpg": []}')) == {"a.jpg": []}

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "broken JSON"),
            ('{"a.jpg": [[1, 2, 3, 4]', "broken JSON"),
            ('[["a.jpg", [1, 2, 3, 4]]]', "found list"),
            ("[]", "found list"),
            ("3", "found int"),
            ("[" * 100_000, "broken JSON"),
            ('{"a.jpg": [], "a.jpg": []}', "record a.jpg: expected each file name once"),
        ],
    )
    def test_anything_else_is_named(self, content: str, says: str, tmp_path: Path):
        with pytest.raises(DataError) as error:
            read_boxes(written(tmp_path, content))
        assert says in str(error.value)
        assert "boxes.json" in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("entry", "says"),
        [
            ("[1, 2, 3, 4]", "record a.jpg: expected a list of boxes"),
            ("[[1, 2, 3]]", "found [[1, 2, 3]]"),
            ('[[1, 2, 3, "4"]]', "four numbers"),
            ("[[1, 2, 3, true]]", "four numbers"),
            (f"[[1, 2, 3, {'9' * 400}]]", "record a.jpg: expected boxes in pixels"),
            ('{"x": 1}', "record a.jpg: expected a list of boxes"),
            ("{}", "record a.jpg: expected a list of boxes"),
            ("null", "found null"),
        ],
    )
    def test_an_entry_that_is_no_list_of_boxes_leaves_the_others(self, entry: str, says: str, tmp_path: Path):
        boxes = read_boxes(written(tmp_path, f'{{"a.jpg": {entry}, "b.jpg": [[1, 2, 3, 4]]}}'))
        assert boxes["b.jpg"] == [[1, 2, 3, 4]]
        assert isinstance(boxes["a.jpg"], DataError)
        assert says in str(boxes["a.jpg"])
        assert "boxes.json" in str(boxes["a.jpg"])
        assert "\n" not in str(boxes["a.jpg"])

    def test_a_missing_file(self, tmp_path: Path):
        with pytest.raises(DataError, match="a file of boxes, found No such file"):
            read_boxes(tmp_path / "none.json")


class TestMatchBoxes:
    BOX = ((1.0, 2.0, 3.0, 4.0),)

    def boxes(self, *names: str) -> dict[str, list[list[float]]]:
        return {name: [[float(i)] * 4] for i, name in enumerate(names)}

    def test_by_name_by_folder_and_by_path(self):
        boxes = self.boxes("im.jpg", "b/im.jpg", "/c/im.jpg")
        found = match_boxes(boxes, ["a/im.jpg", "/x/b/im.jpg", "/c/im.jpg", "b.jpg"])
        assert {name: box[0][0] for name, box in found.items()} == {"a/im.jpg": 0, "/x/b/im.jpg": 1, "/c/im.jpg": 2}

    def test_part_of_a_name_does_not_fit(self):
        assert match_boxes(self.boxes("m.jpg", "x/im.jpg"), ["im.jpg"]) == {}

    def test_an_entry_that_fits_two_pictures_is_refused(self):
        with pytest.raises(DataError, match=r"a/im\.jpg: .*'im\.jpg' also fits b/im\.jpg"):
            match_boxes(self.boxes("im.jpg"), ["a/im.jpg", "b/im.jpg"])
