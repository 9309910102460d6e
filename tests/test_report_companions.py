"""Companion metrics of a report: values worked out by hand, and what it says where they contradict the main metric."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from fake_study import Fake, write_study
from headstart.report import load_study
from headstart.report.companions import companions, contradictions, fitted
from headstart.report.comparison import compare, main_pairs, settings
from headstart.report.document import Table
from headstart.report.overview import differences
from headstart.results import Scores

#: MPJPE, N-MPJPE and PA-MPJPE in mm of three seeds. 2D first is better by 20, better by 2, and worse by 9.
ALONE = ((100.0, 80.0, 50.0), (102.0, 81.0, 51.0), (104.0, 85.0, 52.0))
FIRST = ((80.0, 78.0, 59.5), (82.0, 80.0, 60.0), (84.0, 82.0, 60.5))


def scores(mpjpe: float, n_mpjpe: float, pa_mpjpe: float, **changes: object) -> list[Scores]:
    others = {"n_mpjpe_mm": n_mpjpe, "pa_mpjpe_mm": pa_mpjpe, "pck3d_percent": 30.0}
    one = Scores("synthetic_studio", "Data set synthetic_studio, split test.", "mpjpe", "mm", mpjpe, "lower", 400)
    return [replace(one, others=others, **changes)]  # type: ignore[arg-type]


@pytest.fixture
def cells() -> list[Fake]:
    pairs = [("3d_alone", None, ALONE), ("2d_then_3d", "synthetic_wild", FIRST)]
    return [
        Fake(arm, seed, two_d, changes={"scores": scores(*values[seed])})
        for arm, two_d, values in pairs
        for seed in range(3)
    ]


def test_differences_by_hand(tmp_path: Path, cells: list[Fake]) -> None:
    found = fitted(load_study(write_study(tmp_path, cells, significance_test="welch")))
    scaled, turned = found["n_mpjpe_mm"][0], found["pa_mpjpe_mm"][0]
    assert (scaled.difference.mean, turned.difference.mean) == pytest.approx((-2.0, 9.0))
    alone, first = zip(*((a[1:], b[1:]) for a, b in zip(ALONE, FIRST)))
    p = [stats.ttest_ind(*([one[k] for one in arm] for arm in (first, alone)), equal_var=False).pvalue for k in (0, 1)]
    assert p[1] < p[0]
    # Holm: the smaller of two is doubled, the larger one stays.
    assert (scaled.p, turned.p) == pytest.approx((p[0], 2 * p[1]))
    assert not scaled.significant
    assert (turned.significant, turned.state) == (True, "significantly worse")


def test_a_contradiction_is_said_beside_the_main_metric(tmp_path: Path, cells: list[Fake]) -> None:
    study = load_study(write_study(tmp_path, cells, significance_test="welch"))
    main = compare(study, main_pairs(study, settings(study)[0]), ["synthetic_studio"])
    (said,) = contradictions(main, fitted(study))
    arm = "2D then 3D, synthetic studio with 2D from synthetic wild"
    assert said.startswith(f"{arm}, on synthetic studio, is better here but worse in PA-MPJPE:")
    assert "higher by 9.0 mm" in said
    section = differences(study, fitted(study))
    assert section is not None
    assert said in section.paragraphs


def test_nothing_is_said_where_metrics_agree(tmp_path: Path, cells: list[Fake]) -> None:
    agreeing = [
        replace(cell, changes={"scores": scores(*((80.0 + cell.seed, 60.0, 40.0) if cell.two_d else ALONE[cell.seed]))})
        for cell in cells
    ]
    study = load_study(write_study(tmp_path, agreeing, significance_test="welch"))
    main = compare(study, main_pairs(study, settings(study)[0]), ["synthetic_studio"])
    assert main[0].state == "significantly better"
    assert contradictions(main, fitted(study)) == []


def test_nothing_is_said_of_an_arm_that_is_no_better_by_the_main_metric(tmp_path: Path, cells: list[Fake]) -> None:
    """It is worse in PA-MPJPE, as in the others, but its MPJPE is the baseline's."""
    equal = [
        replace(cell, changes={"scores": scores(ALONE[cell.seed][0], *FIRST[cell.seed][1:])}) if cell.two_d else cell
        for cell in cells
    ]
    study = load_study(write_study(tmp_path, equal, significance_test="welch"))
    found = fitted(study)
    assert found["pa_mpjpe_mm"][0].state == "significantly worse"
    assert contradictions(compare(study, main_pairs(study, settings(study)[0]), ["synthetic_studio"]), found) == []


def test_tests_in_other_units_have_values_and_no_differences(tmp_path: Path, cells: list[Fake]) -> None:
    """A difference would have the unit of the test's own value."""
    percent = [
        replace(cell, changes={"scores": [replace(cell.changes["scores"][0], unit="%", better="higher")]})
        for cell in cells
    ]
    study = load_study(write_study(tmp_path, percent, significance_test="welch"))
    assert fitted(study) == {}
    section = companions(study, fitted(study))
    assert section is not None
    assert section.paragraphs == []
    assert [block.caption for block in section.blocks] == ["Companion metrics under synthetic studio"]


def test_metrics_that_are_no_fitted_errors_have_values_and_no_differences(tmp_path: Path, cells: list[Fake]) -> None:
    others = {"pck3d_percent": 30.0}
    without = [replace(cell, changes={"scores": [replace(cell.changes["scores"][0], others=others)]}) for cell in cells]
    study = load_study(write_study(tmp_path, without, significance_test="welch"))
    section = companions(study, fitted(study))
    assert section is not None
    assert [block.caption for block in section.blocks] == ["Companion metrics under synthetic studio"]


def test_tables_of_differences_and_values(tmp_path: Path, cells: list[Fake]) -> None:
    study = load_study(write_study(tmp_path, cells, significance_test="welch"))
    section = companions(study, fitted(study))
    assert section is not None
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [table.caption for table in tables] == [
        "Differences in N-MPJPE",
        "Differences in PA-MPJPE",
        "Companion metrics under synthetic studio",
    ]
    assert tables[-1].header == ["Arm, trained on", "N-MPJPE (mm)", "PA-MPJPE (mm)", "PCK3D (%)"]
    assert tables[-1].entries[0][2].text == "51.0 ± 1.0"
    assert [table.folded for table in tables] == [False, False, True]
    for table, difference in zip(tables, ("\N{MINUS SIGN}2.0 mm", "+9.0 mm")):
        ((arm, here),) = table.entries
        assert arm.text == "2D then 3D, synthetic studio with 2D from synthetic wild"
        assert here.text == difference


def test_scores_without_companions_have_no_section(tmp_path: Path, cells: list[Fake]) -> None:
    bare = [replace(cell, changes={"scores": [replace(cell.changes["scores"][0], others={})]}) for cell in cells]
    study = load_study(write_study(tmp_path, bare, significance_test="welch"))
    assert fitted(study) == {"n_mpjpe_mm": [], "pa_mpjpe_mm": []}
    assert companions(study, fitted(study)) is None
