"""What a run that starts from another model says of it before its first step."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart import train
from headstart.checkpoint import load_checkpoint
from headstart.errors import HeadstartError, Interrupted
from headstart.experiment import Experiment
from headstart.train import run
from test_train import losses_of, same, scripted, stop_after, weights
from tiny import experiment, pck_of, stage_2d

NAME = "lsp_extended_pck on lsp_extended all"


@pytest.fixture(scope="module")
def start(stick_people_2d: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some steps, scored with the flip test at its end."""
    out = tmp_path_factory.mktemp("start")
    run(experiment(stage_2d(stick_people_2d, 64), validation=(pck_of(stick_people_2d),)), out)
    return out


def score_of(start: Path) -> float:
    return json.loads((start / "result.json").read_text())["scores"][0]["value"]


def then(start: Path, root: Path, samples: int = 16, **fields: Any) -> Experiment:
    """A run that goes on from there, scored as the end of a run is, with another seed."""
    settings = {"validation": (pck_of(root),), "flip_test": True, "seed": 1}
    return experiment(stage_2d(root, samples), start_from=str(start), **(settings | fields))


def test_the_start_is_scored_and_nothing_counts_it(
    start: Path, stick_people_2d: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headstart")
    result = run(then(start, stick_people_2d), tmp_path)
    expected = {"stage": "2d", "step": 0, "samples": 0, NAME: pytest.approx(score_of(start), rel=1e-5)}
    assert 0 < score_of(start) < 100
    assert result.history[0] == expected
    assert f"before training: {NAME} {score_of(start):.2f} %" in caplog.messages
    assert [(cost.steps, cost.samples) for cost in result.stages] == [(4, 16)]
    assert [row["step"] for row in result.history if NAME in row] == [0, 4]
    assert len(losses_of(result, "2d")) == 4


@pytest.mark.parametrize("fields", [{"start_with": "backbone"}, {"start_from": None}, {"validation": ()}])
def test_a_new_head_has_no_score_to_begin_with(
    start: Path, stick_people_2d: Path, tmp_path: Path, fields: dict[str, Any]
) -> None:
    fields = {"start_from": str(start), "validation": (pck_of(stick_people_2d),), **fields}
    result = run(experiment(stage_2d(stick_people_2d, 4), **fields), tmp_path)
    assert result.history[0]["step"] == 1


def test_it_changes_no_bit_of_the_training(
    start: Path, stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither weights, averages and optimiser nor the random state, from which drop-out would be drawn."""
    stop_after(monkeypatch, 2)
    for name, fields in (("scored", {}), ("not", {"validation": ()})):
        with pytest.raises(Interrupted):
            run(then(start, stick_people_2d, **fields), tmp_path / name)
    scored, plain = (weights(tmp_path / name / "last.safetensors") for name in ("scored", "not"))
    assert "random.cpu" in scored
    assert same(scored, plain)


def test_a_resumed_run_does_not_repeat_it(
    start: Path, stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, 2)
    with pytest.raises(Interrupted):
        run(then(start, stick_people_2d), tmp_path)
    stop_after(monkeypatch, None)
    result = run(then(start, stick_people_2d), tmp_path, resume=True)
    assert [row["step"] for row in result.history] == [0, 1, 2, 3, 4, 4]


def test_the_best_is_one_of_the_run_itself(
    start: Path, stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the start was better: best.safetensors holds what the run learnt."""
    scripted(monkeypatch, [90.0, 60.0, 70.0, 65.0], "higher")
    run(then(start, stick_people_2d, validate_samples=4), tmp_path)
    progress = load_checkpoint(tmp_path / "best.safetensors").header["progress"]
    assert (progress["best"], progress["step"]) == (70.0, 2)


def test_it_is_scored_on_the_crops_of_the_first_stage(
    start: Path, stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the scores that follow are: the first points of one curve."""
    sizes = []
    validate = train.validate

    def spied(experiment: Any, validations: Any, network: Any, codec: Any, *rest: Any, **named: Any) -> Any:
        sizes.append(codec.input_size)
        return validate(experiment, validations, network, codec, *rest, **named)

    monkeypatch.setattr(train, "validate", spied)
    small, full = stage_2d(stick_people_2d, 4, input_size=(32, 32)), stage_2d(stick_people_2d, 4)
    run(experiment(small, full, start_from=str(start), validation=(pck_of(stick_people_2d),)), tmp_path)
    assert sizes == [(32, 32), (32, 32), (64, 64), (64, 64)]


PROGRAM = """
import sys
from pathlib import Path
from headstart.train import run
from test_train_start import then

run(then(Path(sys.argv[1]), Path(sys.argv[2]), 8), Path(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.posix("training in several processes")
def test_two_processes_share_the_people_of_the_start(start: Path, stick_people_2d: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, str(program), str(start), str(stick_people_2d), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=200,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parent),
            "ACCELERATE_USE_CPU": "true",
        },
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "run" / "result.json").read_text())["history"]
    assert [row["step"] for row in rows if NAME in row] == [0, 2]
    assert rows[0][NAME] == pytest.approx(score_of(start), rel=1e-5)


def test_the_tracker_has_it_at_no_samples(start: Path, stick_people_2d: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(then(start, stick_people_2d, 4, tracker="tensorboard"), tmp_path)
    events = EventAccumulator(str(tmp_path / "logs")).Reload()
    (tag,) = [tag for tag in events.Tags()["scalars"] if tag.startswith("val/")]
    first, last = events.Scalars(tag)
    assert (first.step, last.step) == (0, 1)
    assert first.value == pytest.approx(score_of(start), rel=1e-5)


@pytest.mark.parametrize("wrong", ["data", "score", "loss"])
def test_a_start_that_fails_leaves_nothing_and_the_next_one_has_the_folder(
    stick_people_2d: Path, tmp_path: Path, wrong: str
) -> None:
    """Each of these is found after devices and trackers are set up: the data, the protocol, the loss are tried."""
    stage, nowhere, out = stage_2d(stick_people_2d, 8), tmp_path / "nowhere", tmp_path / "deep" / "run"
    fields: dict[str, Any] = {
        "data": {"stages": (stage_2d(nowhere),)},
        "score": {"stages": (stage,), "validation": (pck_of(nowhere),)},
        "loss": {"stages": (replace(stage, losses={"depth_smooth_l1": 1.0, "integral_l1": 1.0}),)},
    }[wrong]
    mended = experiment(stage, tracker="tensorboard")
    with pytest.raises(HeadstartError):
        run(replace(mended, **fields), out)
    assert list(tmp_path.iterdir()) == []
    run(mended, out)
    assert len(list((out / "logs").glob("events.*"))) == 1
    assert json.loads((out / "config.json").read_text())["tracker"] == "tensorboard"
