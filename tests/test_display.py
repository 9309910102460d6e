"""Progress: log lines at most every so often, the last one always, and what is left from this run's own rate."""

from __future__ import annotations

import logging
import re

import pytest

from headstart import display
from headstart.display import ProgressDisplay


class Clock:
    """A clock that stands still unless told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Also: standard error is no terminal."""
    clock = Clock()
    monkeypatch.setattr(display, "time", clock)
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: False, raising=False)
    return clock


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="headstart")
    return caplog


def test_a_line_at_most_every_interval(clock: Clock, lines: pytest.LogCaptureFixture):
    with ProgressDisplay("packing", 100, "people", interval=10) as progress:
        for done in range(1, 36):
            clock.now += 1
            progress.update(done)
    assert [int(re.search(r"(\d+)/100 people", line).group(1)) for line in lines.messages] == [10, 20, 30]


def test_the_end_is_always_told(clock: Clock, lines: pytest.LogCaptureFixture):
    with ProgressDisplay("packing", 3, "people") as progress:
        for done in (1, 2, 3):
            progress.update(done, f"note {done}")
    assert lines.messages == ["packing: 3/3 people note 3, 0:00 left"]


def test_nothing_is_promised_from_the_first_picture(clock: Clock, lines: pytest.LogCaptureFixture):
    """It holds compiling: forty seconds for 1 of 800 pictures would promise nine hours."""
    with ProgressDisplay("synthetic", 800, "images") as progress:
        clock.now += 40
        progress.update(1)
        clock.now += 10
        progress.update(100)
    assert lines.messages == ["synthetic: 1/800 images, ? left", "synthetic: 100/800 images, 5:50 left"]


def test_what_is_left_follows_from_the_rate(clock: Clock, lines: pytest.LogCaptureFixture):
    with ProgressDisplay("training", 400, "images") as progress:
        clock.now += 50
        progress.update(100)
    assert lines.messages == ["training: 100/400 images, 2:30 left"]


def test_a_resumed_run_does_not_count_what_was_done_before(clock: Clock, lines: pytest.LogCaptureFixture):
    with ProgressDisplay("training", 400, "images", start=300) as progress:
        clock.now += 50
        progress.update(350)
    assert lines.messages == ["training: 350/400 images, 0:50 left"]


def test_no_rate_yet(clock: Clock, lines: pytest.LogCaptureFixture):
    with ProgressDisplay("training", 400, "images", start=300) as progress:
        clock.now += 50
        progress.update(300, "waiting")
    assert lines.messages == ["training: 300/400 images waiting, ? left"]


def test_on_a_terminal_there_is_a_bar_and_no_lines(
    monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: True, raising=False)
    with ProgressDisplay("packing", 3, "people", start=1) as progress:
        progress.update(3, "noted")
        assert progress.bar is not None
        task = progress.bar.tasks[0]
        assert (task.completed, task.total, task.fields["note"], task.finished) == (3, 3, "noted", True)
    assert lines.messages == []
    assert progress.bar.live.is_started is False
    assert "packing" in capsys.readouterr().err


def test_of_several_processes_the_first_one_reports(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, lines: pytest.LogCaptureFixture
):
    monkeypatch.setenv("RANK", "1")
    with ProgressDisplay("packing", 3, "people") as progress:
        progress.update(3)
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: True, raising=False)
    with ProgressDisplay("packing", 3, "people") as progress:
        progress.update(3)
    assert (lines.messages, progress.bar) == ([], None)
    monkeypatch.setenv("RANK", "0")
    assert display.is_main_process()


def test_an_error_ends_the_bar_and_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(display.sys.stderr, "isatty", lambda: True, raising=False)
    progress = ProgressDisplay("packing", 3, "people")
    with pytest.raises(KeyError), progress:
        raise KeyError
    assert progress.bar is not None
    assert progress.bar.live.is_started is False
