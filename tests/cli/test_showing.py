"""``headstart show``: options that cannot be."""

from __future__ import annotations

import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import pytest

from headstart.checkpoint import save_checkpoint
from headstart.cli.showing import show
from headstart.errors import ConfigError
from tiny import MODEL


@pytest.mark.parametrize(
    ("count", "seed", "says"),
    [
        (0, 0, "--count: expected >= 1, got 0"),
        (-1, 0, "--count: expected >= 1, got -1"),
        (4, -1, "--seed: expected >= 0"),
    ],
)
def test_nobody_or_a_seed_below_0(count: int, seed: int, says: str, stick_people_2d: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        show("samples", "lsp_extended", stick_people_2d, "all", tmp_path / "a.png", count, seed)
    assert not (tmp_path / "a.png").exists()


def test_the_folder_is_needed() -> None:
    with pytest.raises(ConfigError, match="expected --root, the folder of the data set"):
        show("targets", "lsp_extended")


class TestWeights:
    def test_those_that_ship(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Whether or not they were written before headers had terms."""
        show("weights")
        path, network, terms, *rest = capsys.readouterr().out.splitlines()
        assert path.endswith("ship.safetensors")
        assert network == "    network       efficientnet_lite0, head heatmap_depth, crops of 256 x 256 px"
        unknown = "not recorded in this file; see SHIP.md beside it, and docs/model-card.md$"
        assert re.match(f"    terms         ({unknown}|The weights have )", terms)
        assert any(line.startswith("    data          lsp_extended") for line in rest)

    def test_terms_data_and_cost(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        about = {
            "terms": "Ask.",
            "data": {"mine": "photos, ours"},
            "training_samples": 1_768_000,
            "core_hours": 35.5,
            "card": "docs/model-card.md",
        }
        save_checkpoint(tmp_path / "last.safetensors", {}, {"model": asdict(MODEL), "about": about, "git_sha": "abc"})
        show("weights", str(tmp_path))
        assert capsys.readouterr().out.splitlines()[2:] == [
            "    terms         Ask.",
            "    data          mine: photos, ours",
            "    started from  random weights",
            "    samples       1,768,000",
            "    core-hours    35.5",
            f"    headstart     {version('headstart')}",
            "    commit        abc",
            "    more          docs/model-card.md",
        ]

    def test_a_run_says_what_it_was_trained_on(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config = {"stages": [{"data": [{"dataset": "coco"}]}, {"data": [{"dataset": "coco"}]}], "start_from": "shipped"}
        save_checkpoint(tmp_path / "a.safetensors", {}, {"model": asdict(MODEL), "config": config})
        show("weights", str(tmp_path / "a.safetensors"))
        assert capsys.readouterr().out.splitlines()[2:4] == ["    data          coco", "    started from  shipped"]


def test_a_recipe_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    show("recipes", "finetune")
    printed = capsys.readouterr().out
    assert printed.startswith("finetune\n    The model that ships, trained further")
    assert "zhou2017" not in printed
    with pytest.raises(ConfigError, match=r"recipe 'fintune': expected one of zhou2017, .*finetune"):
        show("recipes", "fintune")
