"""The report of a study that is still being run: what it compares, what it counts, and that it says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fake_study import BUDGET, Fake, write_study
from headstart.cli.reporting import report
from headstart.report import dials, load_study, write_report
from headstart.results import Scores

VALUES = {"3d_alone": (60.0, 64.0, 90.0), "2d_then_3d": (50.0, 56.0)}


def cells(values: dict[str, tuple[float, ...]], three_d: str = "synthetic_studio", times: int = 1) -> list[Fake]:
    """Cells of seeds 0, 1, ..., each with the one score given, on the own test of their 3D set."""
    found = []
    for arm, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            score = Scores(three_d, f"Data set {three_d}, split test.", "mpjpe", "mm", value, "lower", 10)
            two_d = None if arm == "3d_alone" else "synthetic_wild"
            changes = {"scores": [score], "history": []}
            found.append(
                Fake(
                    arm, seed, two_d, three_d, budget_flops=times * BUDGET, share_2d=0.5 * bool(two_d), changes=changes
                )
            )
    return found


def text_of(folder: Path, made: list[Fake], **fields: object) -> str:
    folder = write_study(folder, made, planned_cells=len(made) + 1, **fields)
    return write_report(folder, unfinished=True)[0].read_text()


@pytest.mark.parametrize("test", ["paired", "welch"])
def test_the_means_of_the_answer_are_of_the_seeds_that_are_compared(tmp_path: Path, test: str) -> None:
    """50 and 56 against 60 and 64: the third seed of the baseline has no counterpart yet."""
    answer = text_of(tmp_path, cells(VALUES), significance_test=test).split("\n## ")[1]
    assert re.search(r"lower by 9\.0 mm \(.*n = 2 seeds.*\); 53\.0 ± 4\.2 mm against 62\.0 ± 2\.8 mm\.", answer)


def test_the_answer_says_that_it_is_unfinished_on_the_screen_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = text_of(tmp_path, cells(VALUES))
    assert "**Unfinished. 2D then 3D against 3D alone at equal training compute:" in text
    assert "The study is unfinished: interim p values are not results." in text
    assert "Unfinished: cells are still to be run; comparisons use the seeds that both arms have" in text
    report(tmp_path, unfinished=True)
    assert "Unfinished. 2D then 3D against" in capsys.readouterr().out
    finished = write_study(tmp_path / "finished", cells({**VALUES, "2d_then_3d": (50.0, 56.0, 70.0)}))
    assert "nfinished" not in write_report(finished)[0].read_text()


def test_arms_without_a_common_seed_are_not_compared_yet(tmp_path: Path) -> None:
    made = [one for one in cells(VALUES) if (one.arm == "3d_alone") == (one.seed == 0)]
    text = text_of(tmp_path, made)
    assert "**Unfinished. 2D then 3D and 3D alone have no seed in common yet.**" in text
    assert "## Differences" not in text


def test_what_has_a_single_seed_is_no_part_of_the_family_and_hides_no_test(tmp_path: Path) -> None:
    """Two seeds of one 3D set, a single one of the other."""
    made = cells(VALUES) + cells({"3d_alone": (70.0,), "2d_then_3d": (71.0,)}, "synthetic_occluded")
    text = text_of(tmp_path, made, protocols=["synthetic_studio", "synthetic_occluded"])
    answer = text.split("\n## ")[1]
    assert "With a single seed there is no interval" not in answer
    assert "p is that of the paired t-test, two-sided, significant below 0.05;" in answer
    assert "With 2 seeds the sign-flip test (all patterns of signs) cannot go below p = 0.5," in answer
    assert "and p after Holm over all 1 comparisons of this section" in text


def test_a_single_seed_has_no_permutation_test(tmp_path: Path) -> None:
    text = text_of(tmp_path, cells({"3d_alone": (60.0,), "2d_then_3d": (50.0,)}))
    (row,) = [line for line in text.splitlines() if "| -10.00 mm |" in line]
    assert [one.strip() for one in row.split("|")[4:-1]] == ["–", "–", "–", "–", "–", "1"]


def test_budgets_without_a_common_seed_have_no_ratio_yet(tmp_path: Path) -> None:
    """Seed 0 at one budget, seed 1 at four times as much."""
    small = [one for one in cells(VALUES) if one.seed == 0]
    large = [one for one in cells(VALUES, times=4) if one.seed == 1]
    section = dials.section(load_study(write_study(tmp_path, [*small, *large])), dials.BUDGET)
    assert section is not None
    assert not [one for one in section.paragraphs if "by the final scores of whole runs" in one]
