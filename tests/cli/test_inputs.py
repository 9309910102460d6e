"""What inputs mean."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headstart.cli.inputs import files_of
from headstart.cli.outcome import Outcome


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

    def test_photos_of_phones_count(self, here: Path, capsys: pytest.CaptureFixture[str]):
        touched("in/a.jpg", "in/b.HEIC", "in/c.heif", "in/d.hif", "in/e.avif")
        assert files_of(["in"], Outcome()) == ["in/a.jpg", "in/b.HEIC", "in/c.heif", "in/d.hif", "in/e.avif"]
        assert files_of(["in/*.HEIC"], Outcome()) == ["in/b.HEIC"]
        assert capsys.readouterr().err == ""

    def test_photos_that_cannot_be_read_here_are_left_out_and_named(
        self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ):
        for library in ("pi_heif", "pillow_heif"):
            monkeypatch.setitem(sys.modules, library, None)
        monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
        touched("in/a.jpg", "in/5.avif", *(f"in/{number}.HEIC" for number in range(4)))
        outcome = Outcome()
        assert files_of(["in"], outcome) == ["in/a.jpg"]
        assert outcome.failed == 0
        assert capsys.readouterr().err == (
            "headstart: in: left out 0.HEIC, 1.HEIC, 2.HEIC and 1 more."
            " Reading HEIC needs: pip install 'headstart[heic]'\n"
            "headstart: in: left out 5.avif. Reading AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow\n"
        )

    def test_pictures_further_down_are_hinted_at(self, here: Path, capsys: pytest.CaptureFixture[str]):
        touched("in[1]/.hidden/z.tif", "in[1]/day 1/notes.txt", "in[1]/day 2/deep/a.PNG")
        outcome = Outcome()
        assert files_of(["in[1]"], outcome) == []
        assert outcome.failed == 1
        assert capsys.readouterr().err == (
            "headstart: in[1]: expected images or videos, found none."
            " Its folders hold some: give them as 'in[[]1]/**/*.PNG'\n"
        )
        assert files_of(["in[[]1]/**/*.PNG"], outcome) == ["in[1]/day 2/deep/a.PNG"]

    def test_videos_further_down_are_hinted_at(self, here: Path, capsys: pytest.CaptureFixture[str]):
        touched("in/ann/notes.txt", "in/bob/jump.MOV")
        assert files_of(["in"], Outcome()) == []
        assert capsys.readouterr().err.endswith("Its folders hold some: give them as 'in/**/*.MOV'\n")
        assert files_of(["in/**/*.MOV"], Outcome()) == ["in/bob/jump.MOV"]

    def test_nothing_is_hinted_at_where_there_is_nothing(self, here: Path, capsys: pytest.CaptureFixture[str]):
        touched("in/deep/notes.txt")
        assert files_of(["in"], Outcome()) == []
        assert capsys.readouterr().err == "headstart: in: expected images or videos, found none\n"
