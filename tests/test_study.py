from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.errors import ConfigError
from headstart.study import Cell, cells, load_study, model_of
from studies_in_small import EVERYTHING, study_of


def test_an_arm_without_2d_is_one_run_whatever_the_2d_sets_and_shares() -> None:
    names = [cell.name for cell in cells(study_of(EVERYTHING))]
    assert len(names) == len(set(names))
    # A seed: 3D alone 1, then 2 sets x 2 shares for the two arms that pretrain, 2 sets for the mixture; x 2 geometric.
    assert len(names) == 2 * 2 * (1 + 4 + 4 + 2)
    assert "nano-3d_alone-h36m-seed0" in names
    assert "nano-2d_then_2d3d+geometric-share0.7-coco-h36m-seed1" in names


def test_the_first_seeds_come_first_so_that_a_stopped_study_is_balanced() -> None:
    seeds = [cell.seed for cell in cells(study_of(EVERYTHING))]
    assert seeds == sorted(seeds)


def test_a_cell_that_stands_in_two_grids_is_run_once() -> None:
    small = replace(EVERYTHING, arms=("3d_alone",))
    assert cells(study_of(EVERYTHING, small)) == cells(study_of(EVERYTHING))


def test_a_study_file_is_found_by_name_folder_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "studies" / "mine"
    folder.mkdir(parents=True)
    (folder / "study.py").write_text(
        "from headstart.study import Study\nSTUDY = Study('mine', 'Mine', '?', {}, {}, (), ())\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("mine", str(folder), str(folder / "study.py")):
        assert load_study(name).name == "mine"
    with pytest.raises(ConfigError, match="yours"):
        load_study("yours")
    (folder / "study.py").write_text("STUDY = 3\n")
    with pytest.raises(ConfigError, match="found 3"):
        load_study("mine")


def test_another_file_than_study_py_is_not_run_as_if_it_were(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text("STUDY = None")
    (tmp_path / "study_v2.py").write_text("STUDY = None")
    with pytest.raises(ConfigError, match=r"study_v2\.py.*: expected a file named study\.py"):
        load_study(str(tmp_path / "study_v2.py"))


def test_unknown_arms_and_backbones_name_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="expected one of 3d_alone, 2d_then_3d"):
        cells(study_of(replace(EVERYTHING, arms=("scratch",))))
    with pytest.raises(ConfigError, match="expected one of nano"):
        model_of(study_of(EVERYTHING), Cell("3d_alone", "resnet18", None, "h36m", 0))
