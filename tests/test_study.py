from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.errors import ConfigError
from headstart.study import ARMS, Arm, Cell, cells, load_study
from headstart.study_plan import model_of
from studies_in_small import EVERYTHING, study_of

SOUND = """from dataclasses import replace
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.study import ARMS, Arm, Grid
from studies_in_small import EVERYTHING, study_of
STUDY = study_of(EVERYTHING)
"""


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
    (folder / "study.py").write_text(SOUND)
    monkeypatch.chdir(tmp_path)
    for name in ("mine", str(folder), str(folder / "study.py")):
        assert load_study(name).name == "tiny"
    with pytest.raises(ConfigError, match="yours"):
        load_study("yours")
    (folder / "study.py").write_text("STUDY = 3\n")
    with pytest.raises(ConfigError, match="found 3"):
        load_study("mine")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("samples={}", r"backbones: expected models that have samples \(\), got nano"),
        ("samples={'nano': 10, 'nanno': 10}", r"samples: expected its models \(nano\), got nanno"),
        ("samples={'nano': 0}", "samples: expected above 0 for nano, got 0"),
        ("samples={'nano': 'many'}", "a field is not of the type that it has in Study: '>' not supported"),
        ("models={'nano': 'nano'}", r"models: expected ModelConfig\(\.\.\.\) for nano, got 'nano'"),
        (
            "models={'nano': ModelConfig('nano', head=HeadConfig('fpn'))}",
            r"models, nano, head\.kind: expected one of heatmap",
        ),
        ("grids=(replace(EVERYTHING, backbones=('nan',)),)", r"backbones: expected its models \(nano\), got nan"),
        ("grids=(replace(EVERYTHING, two_d=('mpi',)),)", r"two_d: expected data sets \(mpii, .*\), got mpi"),
        ("grids=(replace(EVERYTHING, three_d=('h35m',)),)", r"three_d: expected data sets \(mpii, .*\), got h35m"),
        ("grids=(replace(EVERYTHING, arms=('3d',)),)", r"arms: expected arms \(3d_alone, .*\), got 3d$"),
        ("grids=(replace(EVERYTHING, arms='3d_alone'),)", "arms: expected a tuple, got '3d_alone': a comma"),
        ("grids=(replace(EVERYTHING, two_d=()),)", "two_d: expected at least one"),
        ("grids=EVERYTHING", r"grids: expected a tuple, got Grid\("),
        ("grids=()", "grids: expected at least one"),
        ("grids=('3d_alone',)", r"grids: expected Grid\(\.\.\.\), got '3d_alone'"),
        ("arms={**ARMS, 'mine': 'frozen'}", r"arms: expected Arm\(\.\.\.\) for mine, got 'frozen'"),
        ("arms={**ARMS, '2d/3d': ARMS['2d3d']}", r"arms: expected names without / and \\, got '2d/3d'"),
        ("tests=('h36m_standrad',)", r"tests: unknown protocol 'h36m_standrad'; known: h36m_standard, "),
        ("tests='h36m_standard'", "tests: expected a tuple, got 'h36m_standard': a comma"),
        ("main='3d_first'", r"main: expected an arm of its grids \(3d_alone, .*\), got 3d_first"),
        ("grids=(replace(EVERYTHING, arms=('2d3d', '2d_then_3d')),)", r"baseline: expected an arm .*, got 3d_alone"),
        (
            "losses={'heatmap_mes': 1.0}",
            r"losses: unknown loss heatmap_mes; known: heatmap_mse, .*; or name module:function of your own",
        ),
        ("roots={'h36': 'x'}", r"roots: expected data sets \(mpii, .*\), got h36"),
        ("splits={'mpi': 'train'}", r"splits: expected data sets \(mpii, .*\), got mpi"),
        ("splits={'mpii': 'trian'}", r"splits of mpii: expected one of its splits \(train, .*\), got trian"),
        ("significance_test='wilcoxon'", "significance_test: expected one of paired, welch, got 'wilcoxon'"),
        ("precision='half'", "precision: expected one of no, bf16, fp16, got 'half'"),
        ("batch_size=0", "batch_size: expected >= 1, got 0"),
        ("batch_size=16.0", r"batch_size: expected >= 1, got 16\.0"),
        (
            "optimiser=replace(STUDY.optimiser, learning_rate=-1.0)",
            r"optimiser\.learning_rate: expected > 0, got -1\.0",
        ),
        (
            "models={'a/b': STUDY.models['nano']}, samples={'a/b': 9}, grids=(replace(EVERYTHING,backbones=('a/b',)),)",
            r"models: expected names without / and \\, got 'a/b'",
        ),
        (
            "grids=(replace(EVERYTHING, shares_2d=(1 / 3, 0.333333)),)",
            r"grids: 2 cells would be named nano-2d_then_3d-share0\.333333-mpii-h36m-seed0: expected shares and",
        ),
        ("grids=(replace(EVERYTHING, shares_2d=('0.7',)),)", "a field is not of the type that it has in Study: "),
    ],
)
def test_what_does_not_exist_is_named(tmp_path: Path, field: str, message: str) -> None:
    (tmp_path / "study.py").write_text(f"{SOUND}STUDY = replace(STUDY, {field})\n")
    with pytest.raises(ConfigError, match=message) as error:
        load_study(str(tmp_path))
    assert str(error.value).startswith(f"{tmp_path / 'study.py'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("def f(:", "invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError", "ValueError: ValueError"),
        (
            "Arm('', True, True, 1.0)",
            r"expected share_of_2d_in_mixture above 0 and below 1, a factor above 0; got Arm\(",
        ),
        ("Arm('', True, True, learning_rate_factor=0.0)", "expected share_of_2d_in_mixture above 0 and below 1"),
        ("Arm('', True, True, learning_rate_factor='0.1')", "TypeError: '>' not supported"),
        ("import nothing_here", "ModuleNotFoundError: No module named 'nothing_here'"),
        ("replace(STUDY, sample={})", r"TypeError: .*unexpected keyword argument 'sample'"),
        ("from headstart.budget import Budget; Budget()", "budget: expected exactly one of samples"),
    ],
)
def test_what_goes_wrong_in_the_file_is_said_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "study.py").write_text(f"{SOUND}{line}\n")
    with pytest.raises(ConfigError, match=rf"study\.py, line 7: {message}"):
        load_study(str(tmp_path))


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[1].glob("studies/*/study.py")), ids=lambda p: p.parent.name
)
def test_the_studies_of_this_repository_name_what_exists(path: Path) -> None:
    assert load_study(str(path)).name == path.parent.name


def test_another_file_than_study_py_is_not_run_as_if_it_were(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text("STUDY = None")
    (tmp_path / "study_v2.py").write_text("STUDY = None")
    with pytest.raises(ConfigError, match=r"study_v2\.py.*: expected a file named study\.py"):
        load_study(str(tmp_path / "study_v2.py"))


def test_arms_of_a_study_use_its_axes_as_they_say() -> None:
    """What mixes from the start has no share; what uses no 2D data is one run, whatever the sets."""
    frozen = Arm("frozen", pretrains=False, mixes=False, freeze_stride=4)
    much_2d = Arm("much 2D", pretrains=False, mixes=True, share_of_2d_in_mixture=0.8)
    study = study_of(
        replace(EVERYTHING, arms=("frozen", "much_2d"), seeds=(0,), geometric=(False,)),
        arms={**ARMS, "frozen": frozen, "much_2d": much_2d},
    )
    names = ["nano-frozen-h36m-seed0", "nano-much_2d-mpii-h36m-seed0", "nano-much_2d-coco-h36m-seed0"]
    assert [cell.name for cell in cells(study)] == names


def test_adapters_of_users_are_data_sets_too(tmp_path: Path) -> None:
    """With a dot they need not be in the table; they are imported when a cell is planned."""
    own = "grids=(replace(EVERYTHING, two_d=('my_labels.own',)),), roots={'my_labels.own': 'x'}"
    (tmp_path / "study.py").write_text(f"{SOUND}STUDY = replace(STUDY, {own})\n")
    study = load_study(str(tmp_path))
    assert {cell.two_d for cell in cells(study)} == {None, "my_labels.own"}


def test_unknown_arms_and_backbones_name_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="expected one of 3d_alone, 2d_then_3d"):
        cells(study_of(replace(EVERYTHING, arms=("scratch",))))
    mine = Arm("mine", pretrains=True, mixes=False)
    with pytest.raises(ConfigError, match=r"arm '3d_alone': expected one of mine$"):
        cells(study_of(EVERYTHING, arms={"mine": mine}))
    with pytest.raises(ConfigError, match="expected one of nano"):
        model_of(study_of(EVERYTHING), Cell("3d_alone", "resnet18", None, "h36m", 0))
