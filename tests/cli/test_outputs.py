"""Where results go, and outputs that cannot be, found before any work."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from headstart.cli.outputs import Outputs, check_outputs
from headstart.errors import ConfigError

FOLDER = Path("predictions")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestWhatIsLeftOpen:
    def test_with_nothing_named_all_goes_to_predictions(self):
        assert Outputs().completed() == Outputs(json=FOLDER / "people.json", folder=FOLDER)

    def test_what_is_named_is_all(self):
        for named in (Outputs(json=Path("a.json")), Outputs(npz=Path("a.npz")), Outputs(folder=Path("out"), trc=True)):
            assert named.completed() == named

    def test_animations_need_a_folder(self):
        assert Outputs(csv=Path("a.csv"), bvh=True).completed() == Outputs(csv=Path("a.csv"), folder=FOLDER, bvh=True)
        assert Outputs(trc=True).completed() == Outputs(json=FOLDER / "people.json", folder=FOLDER, trc=True)


def refused(json: str | None = None, csv: str | None = None, out: str | None = None, npz: str | None = None) -> str:
    named = [path and Path(path) for path in (json, csv, npz, out)]
    with pytest.raises(ConfigError) as error:
        check_outputs(Outputs(*named), [])
    assert "\n" not in str(error.value)
    return str(error.value)


class TestOutputsThatCannotBe:
    def test_a_file_where_a_folder_should_be(self, here: Path):
        Path("q.png").touch()
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
        check_outputs(Outputs(json=Path("free/a.json"), folder=Path("out")), [])

    @pytest.mark.posix("links without a privilege")
    def test_names_that_no_file_can_have(self, here: Path):
        Path("round").symlink_to("round")
        assert refused(json="x" * 300).endswith("x: cannot be written: File name too long")
        assert "--out round: cannot be written: Too many levels" in refused(out="round")

    def test_files_and_folders_in_each_other(self, here: Path):
        assert refused(json="out", out="out") == "--json and --out both name out; name two places"
        inside = "--out a.json/out: cannot be inside a.json, the file of --json; name another place"
        assert refused(json="a.json", out="a.json/out") == inside
        assert refused(json="a/b.json", csv="a").startswith("--json a/b.json: cannot be inside a, the file of --csv")
        check_outputs(Outputs(json=Path("out/a.json"), csv=Path("out/deep/a.csv"), folder=Path("out")), [])

    def test_standard_output_is_for_json_alone(self, here: Path):
        check_outputs(Outputs(json=Path("-")), [])
        assert refused(csv="-") == "--csv -: expected a file to write; only --json can go to standard output"
        assert refused(npz="/dev/stdout").startswith("--npz /dev/stdout: expected a file to write")
        assert not list(here.iterdir())

    @pytest.mark.posix("devices and links without a privilege")
    def test_devices_pipes_and_links_to_nothing_yet(self, here: Path, monkeypatch: pytest.MonkeyPatch):
        Path("link.json").symlink_to(here / "later.json")
        ends = os.pipe()
        # Of a process's open files only a superuser may write into the folder.
        monkeypatch.setattr(os, "access", lambda place, mode: not re.fullmatch(r"/proc/\d+/fd", str(place)))
        pipe = Path(f"/dev/fd/{ends[1]}")
        check_outputs(Outputs(json=Path("link.json"), csv=Path("/dev/null"), npz=pipe), [])
        assert not Path("link.json").exists()
        for end in ends:
            os.close(end)
