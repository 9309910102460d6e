"""Results on disk: round trip, and refusal of anything else."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from headstart.errors import DataError
from headstart.results import RunResult, Scores, StageCost, form_of


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

    def test_a_failed_save_of_a_result_keeps_the_last_one(self, tmp_path: Path):
        path = tmp_path / "result.json"
        run_result().save(path)
        with pytest.raises(TypeError):
            replace(run_result(), config={"not": object()}).save(path)
        assert RunResult.load(path).name == "first"


def test_the_form_of_a_digest_stands_before_its_colon() -> None:
    assert [form_of(digest) for digest in ("labels1:0123", "labels2:0123", "0123")] == ["labels1", "labels2", ""]
