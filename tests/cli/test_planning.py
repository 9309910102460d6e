"""What ``headstart study plan`` prints."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

import tiny
from headstart import study_plan
from headstart.cli.planning import print_json, print_table, rows_of, seconds_of
from headstart.study import ARMS, cells
from headstart.study_plan import flops_per_sample
from studies_in_small import EVERYTHING, study_of

GRID = replace(EVERYTHING, arms=("3d_alone", "frozen"), two_d=("mpii",), seeds=(0,), shares_2d=(0.5,))
STUDY = study_of(
    replace(GRID, geometric=(False,)),
    arms={**ARMS, "frozen": replace(ARMS["2d_then_3d"], freeze_stride=32)},
    curve_points=3,
    curve_people=30,
    tests=("h36m_standard", "lsp_pck"),
)
CELLS = cells(STUDY)


def test_each_network_is_named_before_it_is_measured(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "headstart")
    said: list[list[str]] = []

    def measured(*_: object) -> float:
        said.append(list(caplog.messages))
        return 0.5

    monkeypatch.setattr(study_plan, "seconds_per_sample", measured)
    two = replace(STUDY, models={"nano": tiny.MODEL, "other": tiny.MODEL}, samples={"nano": 1000, "other": 1000})
    planned = [*CELLS, replace(CELLS[0], backbone="other")]
    assert seconds_of(two, planned, threads=1) == {"nano": 0.5, "other": 0.5}
    assert said[0] == ["measuring the speed of training: 0/2 networks nano, ? left"]
    assert said[1][1].startswith("measuring the speed of training: 1/2 networks other, ")


def test_at_a_given_rate_nothing_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "headstart")
    rate = flops_per_sample(tiny.MODEL) * 4
    assert seconds_of(STUDY, CELLS, threads=1, flops_per_second=rate) == {"nano": 0.25}
    assert not caplog.messages


def test_times_are_of_training_alone_and_the_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell of 1,000 samples at 0.09 s each: 1.5 minutes, for the arm with cheaper steps too."""
    rows = rows_of(STUDY, CELLS, {"nano": 0.09}, trained=[CELLS[1]], missing=[CELLS[0]])
    assert [row["hours"] for row in rows] == pytest.approx([90 / 3600] * 2)
    assert rows[0]["samples"] == 1000 < rows[1]["samples"]
    print_table(STUDY, rows, {"nano": 0.09}, "here", jobs=1)
    printed = capsys.readouterr().out.splitlines()
    assert printed[3].endswith("  1.5 min")
    assert printed[4].endswith("  finished")
    assert printed[6] == "2 cells, 1 finished; about 0.0 hours of training left with --jobs 1"
    assert printed[7] == (
        "The times are of training alone. In addition, each cell starts up (some seconds) and scores h36m_standard,"
        " lsp_pck 3 times while it trains (at most 30 people per test), and once at the end (all people)."
    )
    print_json(STUDY, rows, jobs=2)
    read = json.loads(capsys.readouterr().out)
    assert read == {"study": "tiny", "cells": rows, "hours_left": pytest.approx(90 / 3600 / 2)}


def test_columns_are_as_wide_as_the_longest_name(capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(STUDY, CELLS, {"nano": 0.09}, trained=[], missing=CELLS)
    print_table(STUDY, [{**row, "cell": "x" * (70 + number)} for number, row in enumerate(rows)], {}, "here", jobs=1)
    lines = capsys.readouterr().out.splitlines()[3:5]
    assert len({line.index(" samples ") for line in lines}) == 1
