"""``headstart show``: options that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.cli.showing import show
from headstart.errors import ConfigError


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (-1, 0), (4, -1)])
def test_nobody_or_a_seed_below_0(count: int, seed: int, stick_people_2d: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"expected at least 1 and 0, got {count} and {seed}"):
        show("samples", "lsp_extended", stick_people_2d, "all", tmp_path / "a.png", count, seed)
    assert not (tmp_path / "a.png").exists()


def test_the_folder_is_needed() -> None:
    with pytest.raises(ConfigError, match="expected --root, the folder of the data set"):
        show("targets", "lsp_extended")


def test_a_recipe_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    show("recipes", "finetune")
    printed = capsys.readouterr().out
    assert printed.startswith("finetune\n    The model that ships, trained further")
    assert "zhou2017" not in printed
    with pytest.raises(ConfigError, match=r"recipe 'fintune': expected one of zhou2017, .*finetune"):
        show("recipes", "fintune")
