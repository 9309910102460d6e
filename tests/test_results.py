"""Results on disk: round trip, refusal of anything else, and writing in one step."""

import errno
import json
import math
import os
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from headstart.errors import DataError
from headstart.results import RunResult, Scores, StageCost, form_of, read_runs, write_atomically, write_json


def run_result(name: str = "first") -> RunResult:
    """A result with every field filled."""
    score = Scores(
        protocol="mpii-pckh",
        description="Percentage of joints within half a head size.",
        metric="pckh",
        unit="%",
        value=81.25,
        better="higher",
        n=3,
        per_joint={"neck": 100.0, "left_knee": math.nan},
        per_action={"sitting": 50.0},
        strata={"visible": 90.0, "occluded": 60.5},
        others={"pck": 77.0},
        dataset="mpii",
        split="valid",
    )
    return RunResult(
        name=name,
        seed=3,
        config={"stages": [{"budget": {"samples": 64}}], "note": "größer"},
        git_sha="abc",
        device="cpu",
        stages=[StageCost("2d", 2, 64, 1.5e9, 0.25, [8500, 3000])],
        scores=[score],
        history=[{"step": 1, "loss": 0.5}],
        versions={"torch": "2"},
        unreadable_images=["a.jpg"],
        processes=2,
    )


def refuse_to_replace(*_: object) -> None:
    raise OSError("disk full")


class TestRunResult:
    def test_round_trip(self, tmp_path: Path):
        path = tmp_path / "deep" / "result.json"
        run_result().save(path)
        loaded = RunResult.load(path)
        assert math.isnan(loaded.scores[0].per_joint.pop("left_knee"))
        expected = run_result()
        expected.scores[0].per_joint.pop("left_knee")
        assert loaded == expected

    def test_what_is_not_a_number_is_null_in_json_and_nan_again(self, tmp_path: Path):
        path = tmp_path / "result.json"
        row = {"step": 1, "loss": 0.5, "mpii-pckh": math.nan}
        replace(run_result(), history=[row], config={"limits": (math.inf, 2.0)}).save(path)
        raw = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert raw["scores"][0]["per_joint"] == {"neck": 100.0, "left_knee": None}
        assert raw["history"] == [row | {"mpii-pckh": None}]
        assert raw["config"] == {"limits": [None, 2.0]}
        loaded = RunResult.load(path)
        assert math.isnan(loaded.scores[0].per_joint["left_knee"])
        assert math.isnan(loaded.history[0]["mpii-pckh"])

    def test_nan_as_earlier_versions_wrote_it_is_read(self, tmp_path: Path):
        path = tmp_path / "result.json"
        path.write_text(json.dumps(asdict(run_result())))
        assert "NaN" in path.read_text()
        assert math.isnan(RunResult.load(path).scores[0].per_joint["left_knee"])

    def test_what_an_earlier_version_did_not_record_is_unknown(self, tmp_path: Path):
        path = tmp_path / "result.json"
        run_result().save(path)
        raw = json.loads(path.read_text())
        del raw["processes"], raw["stages"][0]["people"], raw["scores"][0]["dataset"], raw["scores"][0]["split"]
        path.write_text(json.dumps(raw))
        loaded = RunResult.load(path)
        assert loaded.processes is None
        assert loaded.stages[0].people == []
        assert (loaded.scores[0].protocol, loaded.scores[0].dataset, loaded.scores[0].split) == ("mpii-pckh", "", "")

    def test_a_field_of_a_later_version_is_ignored(self, tmp_path: Path):
        path = tmp_path / "result.json"
        run_result().save(path)
        raw = json.loads(path.read_text()) | {"weather": "fine"}
        raw["scores"][0]["weather"] = "fine"
        path.write_text(json.dumps(raw))
        assert RunResult.load(path).seed == 3

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"stages": [{"wrong": 1}], "scores": []}', "3"])
    def test_anything_else_is_a_data_error_that_names_the_file(self, tmp_path: Path, content: str):
        path = tmp_path / "result.json"
        path.write_text(content)
        with pytest.raises(DataError, match=r"result\.json: expected a result\.json written by headstart"):
            RunResult.load(path)

    def test_a_missing_file_is_a_data_error(self, tmp_path: Path):
        with pytest.raises(DataError, match=r"none\.json"):
            RunResult.load(tmp_path / "none.json")

    def test_read_runs_goes_through_sub_folders_in_order_of_paths(self, tmp_path: Path):
        for name in ("b", "a", "c/nested"):
            run_result(name).save(tmp_path / name / "result.json")
        (tmp_path / "a" / "other.json").write_text("not a run")
        assert [run.name for run in read_runs(tmp_path)] == ["a", "b", "c/nested"]


class TestWriteJson:
    def test_what_lies_on_the_disk_to_the_byte(self, tmp_path: Path):
        write_json(tmp_path / "a.json", {"name": "größer", "of": (1, 2.5), "none": {}})
        wanted = b'{\n "name": "gr\\u00f6\\u00dfer",\n "of": [\n  1,\n  2.5\n ],\n "none": {}\n}'
        assert (tmp_path / "a.json").read_bytes() == wanted

    def test_on_one_line(self, tmp_path: Path):
        write_json(tmp_path / "a.json", {"of": [1, 2.5]}, indent=None)
        assert (tmp_path / "a.json").read_bytes() == b'{"of": [1, 2.5]}'

    def test_null_stands_for_what_json_has_no_number_for(self, tmp_path: Path):
        write_json(tmp_path / "a.json", [math.nan, {"of": (math.inf, -math.inf, 0.0)}], indent=None)
        assert (tmp_path / "a.json").read_text() == '[null, {"of": [null, null, 0.0]}]'

    def test_what_is_no_json_leaves_the_old_file(self, tmp_path: Path):
        write_json(tmp_path / "a.json", [1], indent=None)
        with pytest.raises(TypeError):
            write_json(tmp_path / "a.json", [2, object()])
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"[1]"]


class TestWriteAtomically:
    def test_replaces(self, tmp_path: Path):
        path = tmp_path / "file"
        write_atomically(path, b"old")
        write_atomically(path, b"new")
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.posix("permissions of others")
    def test_is_readable_by_others(self, tmp_path: Path):
        write_atomically(tmp_path / "file", b"new")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644

    def test_a_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, "replace", refuse_to_replace)
        with pytest.raises(OSError, match="disk full"):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_full_disk_is_named_by_the_file_that_was_wanted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space") as caught:
            write_atomically(tmp_path / "file", b"new")
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.posix("paths of so many characters, unless it is told to")
    def test_a_name_as_long_as_names_can_be(self, tmp_path: Path):
        write_atomically(tmp_path / ("x" * 255), b"new")
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]

    @pytest.mark.posix("links without a privilege")
    def test_a_link_stays_one(self, tmp_path: Path):
        (tmp_path / "far").mkdir()
        (tmp_path / "link").symlink_to("far/file")
        for content in (b"new", b"newer"):
            write_atomically(tmp_path / "link", content)
            assert (tmp_path / "far" / "file").read_bytes() == content
        assert (tmp_path / "link").is_symlink()

    @pytest.mark.posix("named pipes in folders")
    def test_a_pipe_is_written_to_and_stays_one(self, tmp_path: Path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        write_atomically(pipe, b"new")
        assert os.read(reader, 10) == b"new"
        os.close(reader)
        assert pipe.is_fifo()

    def test_a_failed_save_of_a_result_keeps_the_last_one(self, tmp_path: Path):
        path = tmp_path / "result.json"
        run_result().save(path)
        with pytest.raises(TypeError):
            replace(run_result(), config={"not": object()}).save(path)
        assert RunResult.load(path).name == "first"


def test_the_form_of_a_digest_stands_before_its_colon() -> None:
    assert [form_of(digest) for digest in ("labels1:0123", "labels2:0123", "0123")] == ["labels1", "labels2", ""]
