"""``headstart predict --per-input``: folders that depend on the input alone, appear complete, and can be skipped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from headstart.cli.outcome import Outcome
from headstart.cli.outputs import RECORD, Outputs
from headstart.cli.per_input import PerInput, _warn_once, interrupted_by_sigterm
from headstart.errors import ConfigError, DataError
from headstart.records import Prediction
from test_locks import without_locks

JOINTS = {"nose": (1.0, 2.0, 0.9)}
PERSON = Prediction("a.png", (0, 0, 9, 9), 0.5, JOINTS, JOINTS)
OUT = Path("out")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ann/jump.mp4", "bob/jump.mp4"):
        Path(name).parent.mkdir()
        Path(name).write_bytes(b"four")
    return tmp_path


def outcome_of(**options: object) -> Outcome:
    outputs = Outputs(csv=Path("people.csv"), json=Path("people.json")).for_each_input()
    return Outcome(outputs, PerInput(OUT, options))


def finish(name: str, outcome: Outcome) -> None:
    with outcome.of_input(name) as own:
        own.add(PERSON)
        own.videos += 1


def files() -> list[str]:
    return sorted(path.as_posix() for path in OUT.rglob("*") if path.is_file())


class TestNames:
    def test_they_are_paths_below_the_working_folder(self, here: Path):
        folders = PerInput(OUT, {})
        for same in ("ann/jump.mp4", "./ann/../ann/jump.mp4", str(here / "ann" / "jump.mp4")):
            assert folders.folder_of(same) == OUT / "ann" / "jump.mp4"

    @pytest.mark.posix("paths without drives")
    def test_elsewhere_they_are_whole_paths(self, here: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(here / "ann")
        assert PerInput(OUT, {}).folder_of("../bob/jump.mp4") == OUT / (here / "bob" / "jump.mp4").relative_to("/")

    def test_files_that_differ_in_the_suffix_alone_are_apart(self, here: Path):
        folders = PerInput(OUT, {})
        assert len({folders.folder_of(name) for name in ("IMG_1.HEIC", "IMG_1.MOV", "IMG_1", "webcam:0")}) == 4

    def test_what_is_no_such_folder_is_not_replaced(self, here: Path):
        with pytest.raises(ConfigError, match=r"go to the folder ann/jump\.mp4, where there is a file; name another"):
            PerInput(Path("."), {}).check(["ann/jump.mp4"])
        (OUT / "ann" / "jump.mp4").mkdir(parents=True)
        with pytest.raises(ConfigError, match=f"where there is a folder without {RECORD}"):
            PerInput(OUT, {}).check(["ann/jump.mp4"])
        (OUT / "ann" / "jump.mp4" / RECORD).touch()
        PerInput(OUT, {}).check(["ann/jump.mp4", "bob/jump.mp4"])


class TestWriting:
    def test_results_appear_when_their_input_ends(self, here: Path, capsys: pytest.CaptureFixture[str]):
        outcome = outcome_of()
        with outcome.writing():
            with outcome.of_input("ann/jump.mp4") as own:
                own.add(PERSON)
                own.videos += 1
                assert not (OUT / "ann" / "jump.mp4").exists()
            first = ["out/ann/jump.mp4/people.csv", "out/ann/jump.mp4/people.json", "out/ann/jump.mp4/run.json"]
            assert files() == first
            finish("bob/jump.mp4", outcome)
        assert files() == [*first, *(name.replace("ann", "bob") for name in first)]
        assert capsys.readouterr().out.splitlines()[0] == f"1 video, 1 pose -> {Path(first[1])}"
        record = json.loads(Path(first[2]).read_text())
        assert (record["input"], record["bytes"], record["finished"]) == ("ann/jump.mp4", 4, True)

    def test_an_interruption_leaves_nothing_and_a_kill_nothing_for_long(self, here: Path):
        outcome = outcome_of()

        def stop() -> None:
            with outcome.of_input("ann/jump.mp4") as own:
                own.add(PERSON)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stop()
        assert list((OUT / "ann").iterdir()) == []
        # What a killed process leaves, which cannot clear up.
        killed, _ = PerInput(OUT, {})._hidden("ann/jump.mp4")
        killed.mkdir()
        (killed / "half.mp4").touch()
        (killed / "people.json").write_text("[")
        finish("ann/jump.mp4", outcome)
        assert [path.name for path in (OUT / "ann").iterdir()] == ["jump.mp4"]
        assert sorted(os.listdir(OUT / "ann" / "jump.mp4")) == ["people.csv", "people.json", "run.json"]
        assert len(json.loads((OUT / "ann" / "jump.mp4" / "people.json").read_text())) == 1

    def test_a_new_run_replaces_the_whole_folder(self, here: Path):
        finish("ann/jump.mp4", outcome_of())
        (OUT / "ann" / "jump.mp4" / "jump_person7.trc").touch()
        finish("ann/jump.mp4", outcome_of())
        assert [path.name for path in (OUT / "ann").iterdir()] == ["jump.mp4"]
        assert sorted(os.listdir(OUT / "ann" / "jump.mp4")) == ["people.csv", "people.json", "run.json"]

    @pytest.mark.parametrize(("people", "left"), [(0, []), (1, ["people.csv", "people.json", "run.json"])])
    def test_an_input_that_fails_is_not_finished(
        self, here: Path, people: int, left: list[str], capsys: pytest.CaptureFixture[str]
    ):
        outcome = outcome_of()
        with outcome.of_input("ann/jump.mp4") as own:
            for _ in range(people):
                own.add(PERSON)
            own.fail(DataError(own.outputs.folder / "jump.mp4", "frames"))  # type: ignore[operator]
        assert outcome.failed == 1
        assert capsys.readouterr().err == f"headstart: {OUT / 'ann' / 'jump.mp4' / 'jump.mp4'}: expected frames\n"
        folder = OUT / "ann" / "jump.mp4"
        assert sorted(path.name for path in folder.iterdir()) == left if people else not folder.exists()
        assert outcome_of().per_input.unfinished(["ann/jump.mp4"]) == ["ann/jump.mp4"]  # type: ignore[union-attr]


class TestSkipping:
    def unfinished(self, **options: object) -> list[str]:
        return PerInput(OUT, options).unfinished(["ann/jump.mp4", "bob/jump.mp4"])

    def test_what_is_finished_is_left_out(self, here: Path, capsys: pytest.CaptureFixture[str]):
        finish("ann/jump.mp4", outcome_of(scales=[1.0]))
        capsys.readouterr()
        assert self.unfinished(scales=[1.0]) == ["bob/jump.mp4"]
        assert capsys.readouterr().out == "1 of 2 inputs were finished before (--skip-finished)\n"

    def test_with_other_options_or_another_video_it_is_computed_again(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ):
        finish("ann/jump.mp4", outcome_of(scales=[1.0], trc=False))
        capsys.readouterr()
        assert self.unfinished(scales=[1.0], trc=True) == ["ann/jump.mp4", "bob/jump.mp4"]
        assert capsys.readouterr().out == "ann/jump.mp4: finished before with another value of trc; computed again\n"
        Path("ann/jump.mp4").write_bytes(b"more")
        assert self.unfinished(scales=[1.0], trc=False) == ["bob/jump.mp4"]
        Path("ann/jump.mp4").write_bytes(b"longer")
        assert len(self.unfinished(scales=[1.0], trc=False)) == 2
        assert "another value of the file's size" in capsys.readouterr().out

    @pytest.mark.parametrize("content", ["", "[]", '{"finished": true}', '{"finished": false, "options": {}}'])
    def test_a_record_that_says_nothing_is_none(self, here: Path, content: str):
        finish("ann/jump.mp4", outcome_of())
        (OUT / "ann" / "jump.mp4" / RECORD).write_text(content)
        assert len(self.unfinished()) == 2

    def test_a_camera_is_never_finished(self, here: Path):
        finish("webcam:0", outcome_of())
        assert PerInput(OUT, {}).unfinished(["webcam:0"]) == ["webcam:0"]


WORKER = """
import sys
from pathlib import Path
from headstart.cli.outcome import Outcome
from headstart.cli.outputs import Outputs
from headstart.cli.per_input import PerInput
outcome = Outcome(Outputs(json=Path("people.json")).for_each_input(), PerInput(Path("out"), {}))
with outcome.working_on(["ann/jump.mp4"]) as free, outcome.of_input(*free) as own:
    (own.outputs.folder / "half.mp4").touch()
    print("in", flush=True)
    sys.stdin.readline()
    own.videos += 1
"""


class TestTwoProcesses:
    """Another process works on ann/jump.mp4 until it is told to go on, or killed."""

    @pytest.fixture
    def other(self, here: Path) -> Iterator[subprocess.Popen[str]]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", WORKER], text=True, **pipes) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "in\n"
            yield process
            process.kill()

    def free(self, capsys: pytest.CaptureFixture[str], **options: bool) -> tuple[list[str], str]:
        with PerInput(OUT, {}, **options).working_on(["ann/jump.mp4", "bob/jump.mp4"]) as free:
            return free, capsys.readouterr().out

    def test_the_second_goes_on_to_the_next_input(
        self, other: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
    ):
        skipped = "ann/jump.mp4: skipped, as another process is working on it\n"
        assert self.free(capsys) == (["bob/jump.mp4"], skipped)
        assert [path.name for path in OUT.rglob("*.mp4")] == ["half.mp4"]
        other.communicate("\n", timeout=20)
        assert sorted(os.listdir(OUT / "ann" / "jump.mp4")) == ["half.mp4", "people.json", "run.json"]
        assert list((OUT / "bob").iterdir()) == []
        assert self.free(capsys) == (["ann/jump.mp4", "bob/jump.mp4"], "")
        skipped = "ann/jump.mp4: skipped, as another process has just finished it\n"
        assert self.free(capsys, skip_finished=True) == (["bob/jump.mp4"], skipped)

    @pytest.mark.posix("SIGKILL")
    def test_a_killed_one_holds_nothing(self, other: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]):
        other.kill()
        other.wait()
        assert len(list((OUT / "ann").iterdir())) == 2  # hidden: a folder and a lock
        outcome = outcome_of()
        with outcome.working_on(["ann/jump.mp4"]) as free:
            assert free == ["ann/jump.mp4"]
            finish(*free, outcome)
        assert [path.name for path in (OUT / "ann").iterdir()] == ["jump.mp4"]
        assert "half.mp4" not in os.listdir(OUT / "ann" / "jump.mp4")


def test_inputs_of_one_folder_have_locks_of_their_own(here: Path) -> None:
    with PerInput(OUT, {}).working_on(["a.png", "a.jpg"]) as first, PerInput(OUT, {}).working_on(["b.png"]) as second:
        assert (first, second) == (["a.png", "a.jpg"], ["b.png"])
    assert list(OUT.iterdir()) == []


@pytest.mark.posix("flock")
def test_without_locks_it_is_said_once_and_all_are_done(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fcntl.flock", without_locks)
    monkeypatch.setattr("headstart.cli.per_input._warn_once", cache(_warn_once.__wrapped__))
    with PerInput(OUT, {}).working_on(["ann/jump.mp4", "bob/jump.mp4"]) as free:
        assert free == ["ann/jump.mp4", "bob/jump.mp4"]
    warning = "headstart: out: its file system has no locks: do not give one input to two processes\n"
    assert capsys.readouterr().err == warning


def test_options_are_recorded_as_json_has_them(here: Path) -> None:
    outputs = Outputs(trc=True).for_each_input()
    found = PerInput.of(outputs, {"scales": (0.9, 1.0), "boxes": Path("b.json")})
    assert found.root == Path("predictions")
    assert found.options == json.loads(json.dumps(found.options))
    assert found.options["scales"] == [0.9, 1.0]
    assert (found.options["boxes"], found.options["json"], found.options["trc"]) == ("b.json", "people.json", True)


@pytest.mark.posix("a signal that a process can handle")
def test_sigterm_does_what_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interrupted_by_sigterm(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
