"""docs/studies.md: the study that a reader copies runs as the page says, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from headstart.report import load_study as load_results
from headstart.report import write_rows
from headstart.study import Arm, cells, load_study
from headstart.synthesize import SynthConfig, synthesize
from pages import DOCS, blocks_of

STATISTICS, BLOCK = blocks_of("studies.md")
#: The first seed, at the size of a test.
SMALL = """
from dataclasses import replace
first = replace(STUDY.grids[0], seeds=(0,))
STUDY = replace(STUDY, samples={"nano": 256}, grids=(first,), curve_points=1, curve_people=2)
"""
SHARE = "2d_then_frozen-share0.5-synthetic_wild"
NAMES = [f"nano-{arm}-synthetic_studio-seed0" for arm in ("3d_alone", "2d_then_3d-share0.5-synthetic_wild", SHARE)]


def write(folder: Path, text: str) -> Path:
    """The study, where the page says that it belongs."""
    path = folder / "studies" / "mine" / "study.py"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_page_describes_every_field_of_an_arm() -> None:
    text = (DOCS / "studies.md").read_text(encoding="utf-8").split("### Arms")[1].split("###")[0]
    missing = [name for name in Arm.__dataclass_fields__ if f"`{name}`" not in text]
    assert missing == ["description"]


def test_the_study_of_the_page_has_the_cells_that_it_says(tmp_path: Path) -> None:
    path = write(tmp_path, BLOCK)
    assert len(path.read_text(encoding="utf-8").strip().splitlines()) < 45
    every = cells(load_study(str(path)))
    assert len(every) == 9
    assert [cell.name for cell in every[:3]] == NAMES


def test_the_statistics_of_the_page_agree_with_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Means and deviations on `wild` as in studies/replication/report.md."""
    folder = Path(__file__).parents[1] / "studies" / "replication"
    monkeypatch.chdir(tmp_path)
    write_rows(folder, Path("replication.csv"))
    exec(compile(STATISTICS, "studies.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["3d_alone", "2d_then_3d", "2d_then_2d3d"]
    report = (folder / "report.md").read_text(encoding="utf-8")
    for line in lines:
        figures, seeds = line.split(": ")[1].split(" mm over ")
        assert f"{figures}<br>n = 6" in report
        assert seeds == "6 seeds"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("numba") is None, reason="needs headstart[synth]")
def test_the_study_of_the_page_runs_and_is_reported(tmp_path: Path) -> None:
    write(tmp_path, BLOCK + SMALL)
    for domain in ("wild", "studio"):
        for split, count in (("train", 8), ("test", 3)):
            synthesize(SynthConfig(domain, split, count, size=64), tmp_path / "data" / "synthetic")
    for words in (["study", "run"], ["report"]):
        done = subprocess.run(
            [sys.executable, "-m", "headstart.cli", *words, "mine"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
    results = load_results(tmp_path / "studies" / "mine")
    frozen = next(cell for cell in results.cells if cell.variant.arm == "2d_then_frozen")
    assert [cell.id for cell in results.cells] == sorted(NAMES)
    # Half of the 16 full steps, and for the other half more steps, which cost less.
    first, last = frozen.result.stages
    assert first.samples == 8 * 16 < last.samples
    assert last.flops == pytest.approx(first.flops, rel=0.05)
    assert first.flops / first.samples == frozen.flops_per_sample > last.flops / last.samples
    report = (tmp_path / "studies" / "mine" / "report.md").read_text(encoding="utf-8")
    assert "- **2D then frozen**: 2D data first, then 3D data for the head alone" in report
