"""What a score says of people who were trained on. The other sentences are tried with scores, in test_evaluate.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headstart.caveats import caveats_of_training, subjects_trained_on, trained_on
from headstart.protocols import protocol


def header(*data: tuple[str, str, float]) -> dict[str, Any]:
    """A checkpoint's, of a run of one stage for each pair of data sets."""
    plain = [{"dataset": name, "split": split, "weight": weight} for name, split, weight in data]
    return {"config": {"stages": [{"data": plain[start : start + 2]} for start in range(0, len(plain), 2)]}}


def test_what_a_checkpoint_was_trained_on() -> None:
    found = trained_on(header(("coco", "train2017", 1.0), ("h36m", "train", 0.0), ("h36m_s11", "train", 0.5)))
    assert found == [["coco", "train2017"], ["h36m_s11", "train"]]
    assert trained_on(header(("lsp", "train", 1.0), ("lsp", "train", 2.0), ("lsp", "train", 1.0))) == [["lsp", "train"]]
    assert trained_on({}) == trained_on({"config": {}}) == []


@pytest.mark.parametrize("name", ["h36m_standard", "h36m_standard_actions", "h36m_all_frames", "h36m_zhou2017"])
def test_a_model_that_knows_s9_is_no_result_on_s9(name: str) -> None:
    assert list(caveats_of_training(protocol(name), [["coco", "train2017"], ["h36m_s11", "train"]])) == [
        "Here the model was trained on people who are scored (Human3.6M S9): not a result."
    ]
    assert list(caveats_of_training(protocol(name), [["coco", "train2017"], ["h36m", "train"]])) == []


def test_it_is_one_on_s11() -> None:
    for known in (["h36m_s11", "train"], ["h36m", "train"]):
        assert list(caveats_of_training(protocol("h36m_s11"), [known])) == []
    assert subjects_trained_on(protocol("h36m_s11"), [["h36m", "test"], ["h36m_s11", "test"]]) == ["Human3.6M S11"]


def test_nothing_is_said_of_data_sets_whose_people_have_no_names() -> None:
    known = [["mpi_inf_3dhp", "train"], ["my_data.gone", "train"], ["lsp_extended", "train"]]
    assert list(caveats_of_training(protocol("lsp_extended_pck12"), known)) == []
    assert list(caveats_of_training(protocol("h36m_standard"), known)) == []


def test_the_very_split_that_was_trained_on_is_no_result() -> None:
    known = [["lsp_extended", "train"], ["synthetic_wild", "train"]]
    train = replace(protocol("lsp_extended_pck12"), split="train")
    assert list(caveats_of_training(train, known)) == [
        "Here the model was trained on this very split, lsp_extended train: not a result."
    ]
    assert list(caveats_of_training(protocol("lsp_extended_pck12"), iter(known))) == []


def test_one_split_is_said_once() -> None:
    s9 = protocol("h36m_standard")
    assert len(list(caveats_of_training(s9, [[s9.dataset, s9.split]]))) == 1
