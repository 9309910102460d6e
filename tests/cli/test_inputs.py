"""What inputs mean, and outputs that cannot be, found before any work."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from headstart.cli.inputs import check_outputs, files_of
from headstart.cli.outcome import Outcome
from headstart.errors import ConfigError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touched(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


class TestFolders:
    def test_every_usual_name_of_a_picture_counts(self, here: Path):
        touched("in/a.jfif", "in/b.JPE", "in/c.jpg", "in/d.txt")
        assert files_of(["in"], Outcome()) == ["in/a.jfif", "in/b.JPE", "in/c.jpg"]

    def test_pictures_that_are_left_out_are_named(self, here: Path, capsys: pytest.CaptureFixture[str]):
        touched("in/a.jpg", "in/5.avif", *(f"in/{number}.HEIC" for number in range(4)))
        outcome = Outcome()
        assert files_of(["in"], outcome) == ["in/a.jpg"]
        assert outcome.failed == 0
        assert capsys.readouterr().err == (
            "headstart: in: left out 0.HEIC, 1.HEIC, 2.HEIC and 2 more."
            " HEIC and AVIF are not read: convert them to JPEG\n"
        )

    def test_pictures_further_down_are_hinted_at(self, here: Path, capsys: pytest.CaptureFixture[str]):
        touched("in[1]/.hidden/z.tif", "in[1]/day 1/notes.txt", "in[1]/day 2/deep/a.PNG")
        outcome = Outcome()
        assert files_of(["in[1]"], outcome) == []
        assert outcome.failed == 1
        said = (
            "headstart: in[1]: expected pictures, found none. Its folders hold some: give them as 'in[[]1]/**/*.PNG'\n"
        )
        assert capsys.readouterr().err == said
        assert files_of(["in[[]1]/**/*.PNG"], outcome) == ["in[1]/day 2/deep/a.PNG"]

    def test_nothing_is_hinted_at_where_there_is_nothing(self, here: Path, capsys: pytest.CaptureFixture[str]):
        touched("in/deep/notes.txt")
        assert files_of(["in"], Outcome()) == []
        assert capsys.readouterr().err == "headstart: in: expected pictures, found none\n"


def refused(json: str | None = None, csv: str | None = None, out: str | None = None, npz: str | None = None) -> str:
    named = {"--json": json, "--csv": csv, "--npz": npz}
    with pytest.raises(ConfigError) as error:
        check_outputs([], {option: path and Path(path) for option, path in named.items()}, out and Path(out))
    assert "\n" not in str(error.value)
    return str(error.value)


class TestOutputs:
    def test_a_file_where_a_folder_should_be(self, here: Path):
        touched("q.png")
        said = f"cannot be written: {here / 'q.png'} is a file, not a folder"
        assert refused(csv="q.png/x.csv") == f"--csv q.png/x.csv: {said}"
        assert refused(npz="q.png/deep/x.npz") == f"--npz q.png/deep/x.npz: {said}"
        assert refused(out="q.png/out") == f"--out q.png/out: {said}"

    def test_a_folder_that_may_not_be_written_to(self, here: Path, monkeypatch: pytest.MonkeyPatch):
        Path("locked").mkdir()
        # A superuser may write everywhere: the system's answer is put in its mouth.
        monkeypatch.setattr(os, "access", lambda place, mode: Path(place).name != "locked")
        said = f"cannot be written: no permission to write in {here / 'locked'}"
        assert refused(json="locked/deep/a.json") == f"--json locked/deep/a.json: {said}"
        assert refused(out="locked") == "--out locked: cannot be written: no permission to write in locked"
        check_outputs([], {"--json": Path("free/a.json")}, Path("out"))

    def test_names_that_no_file_can_have(self, here: Path):
        Path("round").symlink_to("round")
        assert refused(json="x" * 300).endswith("x: cannot be written: File name too long")
        assert "--out round: cannot be written: Too many levels" in refused(out="round")

    def test_files_and_folders_in_each_other(self, here: Path):
        assert refused(json="out", out="out") == "--json and --out both name out; name two places"
        inside = "--out a.json/out: cannot be inside a.json, the file of --json; name another place"
        assert refused(json="a.json", out="a.json/out") == inside
        assert refused(json="a/b.json", csv="a").startswith("--json a/b.json: cannot be inside a, the file of --csv")
        check_outputs([], {"--json": Path("out/a.json"), "--csv": Path("out/deep/a.csv")}, Path("out"))

    def test_standard_output_is_for_json_alone(self, here: Path):
        check_outputs([], {"--json": Path("-")}, None)
        assert refused(csv="-") == "--csv -: expected a file to write; only --json can go to standard output"
        assert refused(npz="/dev/stdout").startswith("--npz /dev/stdout: expected a file to write")
        assert not list(here.iterdir())

    @pytest.mark.skipif(not Path("/dev/null").exists(), reason="no such device")
    def test_devices_pipes_and_links_to_nothing_yet(self, here: Path, monkeypatch: pytest.MonkeyPatch):
        Path("link.json").symlink_to(here / "later.json")
        ends = os.pipe()
        # Of a process's open files only a superuser may write into the folder.
        monkeypatch.setattr(os, "access", lambda place, mode: not re.fullmatch(r"/proc/\d+/fd", str(place)))
        pipe = Path(f"/dev/fd/{ends[1]}")
        check_outputs([], {"--json": Path("link.json"), "--csv": Path("/dev/null"), "--npz": pipe}, None)
        for end in ends:
            os.close(end)
