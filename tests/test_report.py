"""The report of a study with known, made-up numbers: what it says, what it leaves out, and what it refuses."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import stats

from fake_study import BATCH, BUDGET, FLOPS_A_SAMPLE, Fake, grid, write_cell, write_study
from headstart import plots, study, study_records
from headstart.errors import DataError
from headstart.report import check_matched, dials, load_study, mismatches, write_report
from headstart.report.comparison import settings, usual_in
from headstart.report.compute import Reached
from headstart.report.curves import _needs, _range_of, _series, _targets, error_against_compute
from headstart.report.document import Table, flops
from headstart.report.series import series_of_summaries
from headstart.results import RunResult, Scores, StageCost
from headstart.statistics import summarise

PAIR = [
    Fake(arm, seed, two_d) for seed in range(3) for arm, two_d in (("3d_alone", None), ("2d_then_3d", "synthetic_wild"))
]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Folder, Markdown and HTML of a study that has something for every section."""
    folder = write_study(tmp_path_factory.mktemp("study"), grid(), samples=True)
    markdown, page = write_report(folder)
    return folder, markdown.read_text(), page.read_text()


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels without content: to draw them is most of the time of a report, and these tests read words and tables.

    Those of ``full`` and of the command are drawn, and test_plots.py looks at them.
    """

    def panel(draw: object, title: str, *_: object, **__: object) -> str:
        return f'<svg aria-label="{title}"></svg>'

    monkeypatch.setattr(plots, "_panel", panel)


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """The smallest study: two arms, three seeds."""
    return write_study(tmp_path / "pair", PAIR)


def with_scores(cell: Fake, values: dict[str, float]) -> Fake:
    """The cell with exactly these final scores (all in mm, lower is better)."""
    scores = [
        Scores(name, f"Data set {name}, split test.", "mpjpe", "mm", value, "lower", 10)
        for name, value in values.items()
    ]
    return replace(cell, changes={**cell.changes, "scores": scores})


def headings(markdown: str) -> list[str]:
    return re.findall(r"^## (.+)$", markdown, re.MULTILINE)


# --- what it says ---


def test_every_section_that_has_data_is_there(full: tuple[Path, str, str]) -> None:
    assert headings(full[1]) == [
        "The answer",
        "Every arm on every test",
        "Differences from 3D alone",
        "Error against compute",
        "Compute to reach an error",
        "What the predictions look like",
        "Trained on one domain, tested on another",
        "Effect of the share of 2D",
        "Effect of the amount of 3D data",
        "Effect of model size",
        "The geometric stage",
        "Visible and occluded joints",
        "Joint by joint",
        "Action by action",
        "Learning curves",
        "Companion metrics",
        "What it cost",
    ]


def test_sections_without_data_are_left_out(tmp_path: Path) -> None:
    cells = [replace(with_scores(cell, {"synthetic_studio": 60.0 + cell.seed}), noise=0) for cell in PAIR]
    cells = [replace(cell, changes={**cell.changes, "history": []}) for cell in cells]
    markdown, _ = write_report(write_study(tmp_path, cells, protocols=["synthetic_studio"]))
    found = headings(markdown.read_text())
    assert found == ["The answer", "Every arm on every test", "Differences from 3D alone", "What it cost"]
    assert not (tmp_path / "report_figures").exists()


def test_the_answer_by_hand(tmp_path: Path) -> None:
    """Differences -12, -13, -11: mean -12, standard error 1/sqrt(3), t(0.975, 2) = 4.303, so 9.5 to 14.5."""
    ours, theirs = {0: 50.0, 1: 51.0, 2: 52.0}, {0: 62.0, 1: 64.0, 2: 63.0}
    values = {"3d_alone": theirs, "2d_then_3d": ours}
    cells = [with_scores(cell, {"synthetic_studio": values[cell.arm][cell.seed]}) for cell in PAIR]
    markdown = write_report(write_study(tmp_path, cells))[0].read_text()
    assert (
        "**2D then 3D against 3D alone at equal training compute: significantly better in 1 of 1 comparison on the own "
        "test of the 3D data (efficientnet lite0).**" in markdown
    )
    assert (
        "- **synthetic studio with 2D from synthetic wild**, synthetic studio, MPJPE (mm): lower by 12.0 mm (95 % "
        "interval 9.5 to 14.5, n = 3 seeds, p = 0.002); 51.0 ± 1.0 mm against 63.0 ± 1.0 mm." in markdown
    )
    assert "cannot go below p = 0.25" in markdown


def test_chance_is_called_no_significant_difference(tmp_path: Path) -> None:
    values = {"3d_alone": {0: 60.0, 1: 62.0, 2: 61.0}, "2d_then_3d": {0: 61.0, 1: 60.0, 2: 61.5}}
    cells = [with_scores(cell, {"synthetic_studio": values[cell.arm][cell.seed]}) for cell in PAIR]
    markdown = write_report(write_study(tmp_path, cells))[0].read_text()
    assert "not significantly different in 1 of 1 comparison on the own test" in markdown
    assert "no significant difference: lower by 0.2 mm" in markdown


def test_worse_is_said_as_plainly_as_better(tmp_path: Path) -> None:
    values = {"3d_alone": {0: 50.0, 1: 51.0, 2: 52.0}, "2d_then_3d": {0: 62.0, 1: 64.0, 2: 63.0}}
    cells = [with_scores(cell, {"synthetic_studio": values[cell.arm][cell.seed]}) for cell in PAIR]
    markdown, page = (path.read_text() for path in write_report(write_study(tmp_path, cells)))
    assert "significantly worse in 1 of 1 comparison on the own test" in markdown
    assert '<td class="worse"><span>+12.0 mm</span>' in page


def test_one_seed_gives_means_but_no_test(tmp_path: Path) -> None:
    markdown = write_report(write_study(tmp_path, [cell for cell in PAIR if cell.seed == 0]))[0].read_text()
    assert "on a single seed, so no test is possible" in markdown
    assert "no interval and no test" in markdown
    assert not re.search(r"\bnan\b", markdown)


def test_the_same_difference_in_every_seed_is_not_called_significant(tmp_path: Path) -> None:
    """Known defect: "significantly worse in 1 of 1", p < 0.001, interval 0.6 to 0.6."""
    cells = [with_scores(cell, {"synthetic_studio": 2.4 if cell.two_d else 1.8}) for cell in PAIR]
    markdown = write_report(write_study(tmp_path, cells))[0].read_text()
    assert "not testable, as the difference is the same in every seed, in 1 of 1 comparison on the own test" in markdown
    assert "not testable: higher by 0.6 mm, the same difference in every seed (n = 3)" in markdown
    assert "has no spread to test it by, so there is no interval and no test" in markdown
    assert not re.search(r"\bnan\b|significantly (worse|better)|single seed", markdown)


def test_no_number_is_missing_in_words(full: tuple[Path, str, str]) -> None:
    for text in full[1:]:
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b", re.sub(r"base64,[^\"]+", "", text))


def test_tables_show_mean_and_deviation_of_the_seeds(full: tuple[Path, str, str]) -> None:
    study = load_study(full[0])
    variant = usual_in(study, settings(study)[0])[0]
    values = [cell.scores["synthetic_wild_pck"].value for cell in study.variants[variant].values()]
    assert f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" in full[1]


def test_main_tables_hold_one_row_an_arm(full: tuple[Path, str, str]) -> None:
    study = load_study(full[0])
    assert [(s.three_d, s.two_d) for s in settings(study)] == [
        ("synthetic_occluded", "lsp_extended"),
        ("synthetic_occluded", "synthetic_wild"),
        ("synthetic_studio", "lsp_extended"),
        ("synthetic_studio", "synthetic_wild"),
    ]
    for setting in settings(study):
        usual = usual_in(study, setting)
        assert [variant.arm for variant in usual] == ["3d_alone", "2d_then_3d", "2d_then_2d3d", "2d3d"]
        assert {variant.backbone for variant in usual} == {"efficientnet_lite0"}
        assert {variant.geometric for variant in usual} == {False}


def test_every_table_names_people_seeds_budget_commit_and_device(full: tuple[Path, str, str]) -> None:
    notes = re.findall(r"^_(Protocols and people scored.*)_$", full[1], re.MULTILINE)
    assert len(notes) >= 20
    for note in notes:
        assert re.search(
            r"n = 2,000\. Networks? .*; seeds 0, 1 and 2; budget .* a cell; commit fedcba9876; device NVIDIA H100\.$",
            note,
        )


def test_every_section_names_the_commit_of_its_numbers(full: tuple[Path, str, str]) -> None:
    sections = full[1].split("\n## ")[1:]
    assert all("commit fedcba9876; device NVIDIA H100." in section for section in sections)


def test_where_2d_stops_paying_is_said(full: tuple[Path, str, str]) -> None:
    answer, section = re.findall(r"^- .*2D then 3D is .*90%.*$", full[1], re.MULTILINE)
    assert "significantly better at 10%" in section
    assert re.search(r"not significantly different at 90%|significantly worse at 90%", section)
    assert answer.startswith("- **Effect of the share of 2D** (corrected within its section), synthetic studio with")
    assert answer.split("2D then 3D is")[1] == section.split("2D then 3D is")[1]


def test_a_dial_is_read_at_the_usual_share_of_each_arm(tmp_path: Path) -> None:
    """Two networks, two shares: the model sizes are compared at the usual share only."""
    cells = [replace(cell, backbone=name) for cell in PAIR for name in ("nano", "resnet18")]
    cells += [replace(cell, backbone="nano", share_2d=0.9) for cell in PAIR if cell.arm == "2d_then_3d"]
    study = load_study(write_study(tmp_path, cells))
    section = dials.section(study, dials.MODEL_SIZE)
    assert section is not None
    table, others = [block for block in section.blocks if isinstance(block, Table)]
    assert len(others.rows) == len(table.rows)
    assert [(row[0].text, row[1].text) for row in table.entries] == [
        ("nano", "3D alone"),
        ("nano", "2D then 3D"),
        ("resnet18", "3D alone"),
        ("resnet18", "2D then 3D"),
    ]


def test_budgets_are_a_dial_of_their_own_and_leave_model_sizes_alone(tmp_path: Path) -> None:
    """Two networks, one of them with four times the budget too."""
    cells = [replace(cell, backbone=name) for cell in PAIR for name in ("nano", "resnet18")]
    large = [replace(cell, backbone="nano", budget_flops=4 * BUDGET) for cell in PAIR]
    study = load_study(write_study(tmp_path, cells + large))
    sizes, budgets = (dials.section(study, dial) for dial in (dials.MODEL_SIZE, dials.BUDGET))
    assert sizes is not None
    assert budgets is not None
    of_sizes, of_budgets = ([block for block in one.blocks if isinstance(block, Table)] for one in (sizes, budgets))
    alone = dials.section(load_study(write_study(tmp_path / "alone", cells)), dials.MODEL_SIZE)
    assert of_sizes == [block for block in alone.blocks if isinstance(block, Table)]  # type: ignore[union-attr]
    assert [row[1].text for row in of_budgets[0].entries] == ["3D alone", "2D then 3D"] * 2
    assert of_budgets[0].header[0] == "Training FLOPs of a cell"
    assert budgets.paragraphs[1].startswith("- **synthetic studio with 2D from synthetic wild**")
    assert re.search(r"at 1\.2 PFLOP \(.* mm\) and 4\.8 PFLOP \(.* mm\); on the other tests", budgets.paragraphs[1])
    assert (
        "Budget a cell: nano 1.2 PFLOP and 4.8 PFLOP; resnet18 1.2 PFLOP" in write_report(study.folder)[0].read_text()
    )


def test_a_dial_shows_the_other_tests_too_corrected_among_themselves(full: tuple[Path, str, str]) -> None:
    """Four amounts of 3D data, one arm with a partner, three other tests."""
    section = full[1].split("\n## Effect of the amount of 3D data\n")[1].split("\n## ")[0]
    others = section.split(
        "<summary>Trained on synthetic studio with 2D from synthetic wild, the other tests</summary>"
    )[1]
    rows = [line for line in others.splitlines() if line.startswith("|")]
    assert rows[0].startswith(
        "| People in the 3D set | Arm | synthetic occluded, MPJPE (mm) ↓ | synthetic wild, PCK (%) ↑ |"
    )
    assert len(rows) == 2 + 2 * 4
    assert re.search(r"; on the other tests \(corrected among themselves\) it is .* of 12 comparisons\.\n", section)
    assert "synthetic studio" not in "".join(rows)
    assert "p after Holm over 12 comparisons, this section's other tests. Protocols and people scored: " in others


def test_the_change_along_the_budgets_and_the_compute_between_them_by_hand(tmp_path: Path) -> None:
    """Effects -10 at one budget and -19, -20, -21 at four: changes -9, -10, -11, so 10 +- 4.303 / sqrt(3).

    80 mm: the baseline needs four budgets; the arm falls from 90 to 61, 60 and 59 and is there after 10/29, 10/30 and
    10/31 of the way on the logarithm, so the ratio is 4 to the power of 1 - 0.3336 = 2.52.
    """
    values = {("3d_alone", 1): [100.0] * 3, ("3d_alone", 4): [80.0] * 3}
    values |= {("2d_then_3d", 1): [90.0] * 3, ("2d_then_3d", 4): [61.0, 60.0, 59.0]}
    cells = [
        with_scores(
            replace(cell, budget_flops=times * BUDGET), {"synthetic_studio": values[cell.arm, times][cell.seed]}
        )
        for cell in PAIR
        for times in (1, 4)
    ]
    study = load_study(write_study(tmp_path, cells, protocols=["synthetic_studio"]))
    section = dials.section(study, dials.BUDGET)
    assert section is not None
    change, compute = section.paragraphs[2:]
    assert change == (
        "- **synthetic studio with 2D from synthetic wild**, 2D then 3D minus 3D alone, from 1.2 PFLOP to 4.8 PFLOP: "
        "lower by 10.0 mm (95 % interval 7.5 to 12.5, n = 3 seeds, p = 0.003)."
    )
    assert "to reach 80.0 mm, as every seed of 3D alone does, 3D alone needs 2.52 times the compute" in compute


def test_a_series_leaves_out_what_has_no_value_and_draws_no_bar_for_one_seed(pair: Path) -> None:
    """60, 62, 64 at the first place (one standard deviation: 2), nothing at the second, a single 70 at the third."""
    study = load_study(pair)
    variant = next(one for one in study.variants if one.arm == study.main)
    series = series_of_summaries(study, variant, [summarise([60, 62, 64]), None, summarise([70])])
    assert (series.label, series.role) == ("2D then 3D", 1)
    ends = [np.asarray(one).tolist() for one in (series.x, series.y, series.low, series.high)]
    assert ends == [[0, 2], [62, 70], [60, 70], [64, 70]]


def test_bands_of_the_best_arm_and_of_the_baseline_are_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(plots, "lines", lambda series, *_, y_range, **__: drawn.append((series, y_range)) or "")
    error_against_compute(load_study(write_study(tmp_path, [replace(cell, noise=40) for cell in PAIR])))
    ((series, (low, high)),) = drawn
    assert len(series) == 2
    assert low < min(np.min(one.low) for one in series)
    assert high > np.max(series[0].high)


def test_curves_name_the_people_scored_while_training(tmp_path: Path) -> None:
    config = {"model": {}, "validation": [{"protocol": "synthetic_studio", "limit": 60}]}
    folder = write_study(tmp_path, [replace(cell, changes={"config": config}) for cell in PAIR])
    markdown = write_report(folder)[0].read_text()
    assert "A first stage without 3D labels" in markdown
    assert re.search(r"_Mean over seeds; bands .* synthetic_studio n ≤ 60\.", markdown)
    assert "synthetic_studio n = 2,000" in markdown


def test_compute_that_was_not_reached_is_called_so(full: tuple[Path, str, str]) -> None:
    assert "not reached (0 of 3 seeds)" in full[1]
    assert "unknown: not reached" in full[1]


def test_curves_count_the_compute_of_earlier_stages(full: tuple[Path, str, str]) -> None:
    study = load_study(full[0])
    cell = next(cell for cell in study.cells if cell.variant.arm == "2d_then_3d" and cell.variant.share_2d == 0.5)
    compute, values, stages = cell.curve("synthetic_studio")
    assert (np.diff(compute) > 0).all()
    assert compute[-1] == pytest.approx(cell.flops)
    assert compute[stages.index(1) - 1] == pytest.approx(cell.result.stages[0].flops)
    assert len(compute) == len(values) == len(stages) == 16


# --- the page ---


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"] or "")
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action")
        ]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(full: tuple[Path, str, str]) -> None:
    page = _Page()
    page.feed(full[2])
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "http" not in re.sub(r"base64,[^\"]+", "", full[2])


def test_pictures_of_the_markdown_exist(full: tuple[Path, str, str]) -> None:
    names = re.findall(r"!\[[^]]*\]\(([^)]+)\)", full[1])
    assert len(names) > 30
    assert all((full[0] / name).stat().st_size > 1000 for name in names)


def test_markup_in_names_is_text(tmp_path: Path) -> None:
    folder = write_study(tmp_path, PAIR, title="<script>alert(1)</script>", question="Is a < b & **bold**?")
    page = write_report(folder)[1].read_text()
    assert "<script" not in page
    assert "Is a &lt; b &amp; <strong>bold</strong>?" in page


def test_a_second_report_replaces_the_first_and_its_figures(pair: Path, tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write_report(pair, tmp_path / "out")]
    stale = tmp_path / "out" / "report_figures" / "share-9.svg"
    stale.write_text("of an earlier report")
    assert [path.read_bytes() for path in write_report(pair, tmp_path / "out")] == first
    assert not stale.exists()


# --- sheets ---


def test_sheets_show_the_same_people_of_both_arms(full: tuple[Path, str, str]) -> None:
    pictures = sorted((full[0] / "report_figures").glob("people-*.jpg"))
    assert len(pictures) == 4 * 3
    picture = cv2.imread(str(pictures[0]))
    # Three tiles a row; photographs with a title, two views below.
    assert picture.shape == (24 + 3 * 220 + 2 * 6, 3 * 220 + 2 * 6, 3)
    captions = re.findall(r"^_((?:Best|Median|Worst) of 8 people.*)_$", full[1], re.MULTILINE)
    assert len(captions) == 12
    section = full[1].split("\n## What the predictions look like\n")[1].split("\n## ")[0]
    assert "; seed 0; budget" in section
    best, median, worst = (sum(map(int, re.findall(r"(\d+) mm", caption))) for caption in captions[:3])
    assert best < median < worst


def test_pictures_that_one_arm_lacks_are_left_out(tmp_path: Path) -> None:
    folder = write_study(tmp_path, PAIR, samples=True)
    for path in folder.glob("results/3d_alone*/samples.npz"):
        path.unlink()
    assert "What the predictions look like" not in headings(write_report(folder)[0].read_text())


def test_broken_pictures_are_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path, PAIR, samples=True)
    path = next(folder.glob("results/3d_alone*-0/samples.npz"))
    path.write_bytes(b"not an archive")
    with pytest.raises(DataError, match=re.escape(str(path))):
        write_report(folder)


# --- families of comparisons ---

OTHER = [replace(cell, three_d="synthetic_occluded") for cell in PAIR]
#: (3D set, test) -> what the main arm has more than the baseline's 63 mm, seed by seed. The p of the paired t-test with
#: two degrees of freedom is 1 - t / sqrt(2 + t^2): 0.002307, 0.009132, 0.8075 and 0.02020.
EFFECTS = {
    ("synthetic_studio", "synthetic_studio"): (-12.0, -13.0, -11.0),
    ("synthetic_studio", "synthetic_occluded"): (-10.0, -12.0, -14.0),
    ("synthetic_occluded", "synthetic_studio"): (1.0, -1.0, 0.5),
    ("synthetic_occluded", "synthetic_occluded"): (-3.0, -5.0, -4.0),
}


def four_comparisons(folder: Path) -> str:
    """Markdown of a study of two 3D sets, two tests each."""

    def values(cell: Fake) -> dict[str, float]:
        ours = cell.arm == "2d_then_3d"
        return {
            test: 63.0 + ours * EFFECTS[cell.three_d, test][cell.seed]
            for test in ("synthetic_studio", "synthetic_occluded")
        }

    cells = [with_scores(cell, values(cell)) for cell in (*PAIR, *OTHER)]
    return write_report(write_study(folder, cells, protocols=["synthetic_studio", "synthetic_occluded"]))[0].read_text()


def test_the_answer_is_one_family_by_hand(tmp_path: Path) -> None:
    """Two own tests: 2 x 0.0023 and 1 x 0.0202."""
    answer = four_comparisons(tmp_path).split("## Every arm on every test")[0]
    assert "lower by 12.0 mm (95 % interval 9.5 to 14.5, n = 3 seeds, p = 0.005 after Holm over 2)" in answer
    assert "lower by 4.0 mm (95 % interval 1.5 to 6.5, n = 3 seeds, p = 0.020 after Holm over 2)" in answer


def test_all_differences_are_one_family_by_hand(tmp_path: Path) -> None:
    """4 x 0.002307, 3 x 0.009132, 2 x 0.02020 and 0.8075."""
    table = four_comparisons(tmp_path).split("All tests in numbers")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.split("|")[6:8]] for line in table.splitlines() if "2D then 3D, " in line]
    assert sorted(found) == [["0.00231", "0.00923"], ["0.00913", "0.0274"], ["0.0202", "0.0404"], ["0.808", "0.808"]]


def in_percent(cells: list[Fake], values: dict[str, tuple[float, ...]]) -> list[Fake]:
    """The cells with a test in percent beside their own in mm, which is the same for all."""

    def scores(cell: Fake) -> list[Scores]:
        pck = values[cell.arm][cell.seed]
        return [
            Scores(
                "synthetic_studio",
                "Data set synthetic_studio, split test.",
                "mpjpe",
                "mm",
                60.0 + cell.seed,
                "lower",
                10,
            ),
            Scores("lsp_pck", "Data set lsp, split test.", "pck", "%", pck, "higher", 10),
        ]

    return [replace(cell, changes={**cell.changes, "scores": scores(cell)}) for cell in cells]


def test_more_percent_is_better(tmp_path: Path) -> None:
    values = {"3d_alone": (50.0, 51.0, 52.0), "2d_then_3d": (60.0, 62.0, 64.0)}
    folder = write_study(tmp_path, in_percent(PAIR, values), protocols=["synthetic_studio", "lsp_pck"])
    markdown, page = (path.read_text() for path in write_report(folder))
    assert "- **All other tests** (corrected among themselves): significantly better in 1 of 1 comparison." in markdown
    assert '<td class="better"><span>+11.0 ' in page
    assert "| lsp pck | +11.00 points |" in markdown


def test_the_least_number_of_seeds_is_what_limits_a_test(tmp_path: Path) -> None:
    """Two seeds of one 3D set, three of the other: 2 / 2^2."""
    cells = [cell for cell in (*PAIR, *OTHER) if (cell.seed, cell.three_d) != (2, "synthetic_studio")]
    assert "With 2 seeds the sign-flip test (all patterns of signs) cannot go below p = 0.5," in (
        write_report(write_study(tmp_path, cells))[0].read_text()
    )


def amount_of_3d_data(folder: Path, **fields: str) -> str:
    """That section of a study of two 3D sets, 100 people and all."""
    effects = {
        ("synthetic_studio", None): (-12.0, -13.0, -11.0),
        ("synthetic_studio", 100): (-2.0, -1.0, -3.0),
        ("synthetic_occluded", None): (-3.0, -5.0, -4.0),
        ("synthetic_occluded", 100): (0.0, 0.0, -1.0),
    }

    def values(cell: Fake) -> dict[str, float]:
        ours = cell.arm == "2d_then_3d"
        both = dict.fromkeys(("synthetic_studio", "synthetic_occluded"), 63.0)
        return {**both, cell.three_d: 63.0 + ours * effects[cell.three_d, cell.three_d_limit][cell.seed]}

    cells = [replace(cell, three_d_limit=limit) for cell in (*PAIR, *OTHER) for limit in (None, 100)]
    cells = [with_scores(cell, values(cell)) for cell in cells]
    tests = ["synthetic_studio", "synthetic_occluded"]
    text = write_report(write_study(folder, cells, protocols=tests, **fields))[0].read_text()
    return text.split("\n## Effect of the amount of 3D data\n")[1].split("\n## ")[0]


def test_a_dial_is_one_family_over_all_3d_sets_and_so_are_its_ends_by_hand(tmp_path: Path) -> None:
    """From 100 people to all, seed by seed: -10, -12, -8 and -3, -5, -3, so t = -8.66 and -5.5; the p of 0.0131 and
    0.0315 become 2 x 0.0131 and 0.0315."""
    section = amount_of_3d_data(tmp_path)
    assert section.count("p after Holm over 4 comparisons of this section.") == 2
    assert (
        "from 100 to all: lower by 10.0 mm (95 % interval 5.0 to 15.0, n = 3 seeds, p = 0.026 after Holm over 2)"
        in section
    )
    assert (
        "from 100 to all: lower by 3.7 mm (95 % interval 0.8 to 6.5, n = 3 seeds, p = 0.032 after Holm over 2)"
        in section
    )


# --- compute ---


def test_targets_are_what_every_seed_reaches_by_hand() -> None:
    """Seeds of the baseline get down to 50 and 60 mm, those of the arm to 40 and 45."""
    x = np.array([1.0, 2.0])
    ours, theirs = (
        [(x, np.array(y)) for y in arm] for arm in (([90.0, 40.0], [45.0, 70.0]), ([80.0, 50.0], [60.0, 75.0]))
    )
    assert [one.value for one in _targets(ours, theirs, "lower")] == pytest.approx([66, 60, 45])
    assert [one.value for one in _targets(theirs, ours, "lower")] == pytest.approx([49.5, 45])
    # In percent: the baseline gets up to 75 and 80, the arm to 70 and 90, which is no further for all.
    assert [one.value for one in _targets(ours, theirs, "higher")] == pytest.approx([75 / 1.1, 75])


def test_compute_over_seeds_is_a_geometric_mean() -> None:
    assert _needs([Reached(1e12), Reached(1e14)]) == flops(1e13)
    assert _needs([Reached(1e12), Reached(None)]) == f"{flops(1e12)} (not reached by 1 of 2 seeds)"


def test_the_ratio_of_compute_is_the_baselines_over_the_arms(tmp_path: Path) -> None:
    """From 100 to 60 mm: after 4,000 samples of the baseline and 2,000 of the mixture, whichever seed."""
    cells = []
    for arm, two_d, samples in (("3d_alone", None, 4000), ("2d3d", "synthetic_wild", 2000)):
        rows = [
            {"stage": "3d", "step": n, "samples": n, "synthetic_studio": mm}
            for n, mm in ((1000, 100.0), (samples, 60.0))
        ]
        cells += [Fake(arm, seed, two_d, share_2d=0.0, changes={"history": rows}) for seed in range(3)]
    text = write_report(write_study(tmp_path, cells, main="2d3d"))[0].read_text()
    (row,) = [line for line in text.splitlines() if "60.0 (all seeds of the baseline)" in line]
    needs = [flops(samples * FLOPS_A_SAMPLE) for samples in (4000, 2000)]
    assert [cell.strip() for cell in row.split("|")[3:6]] == [*needs, "2.00 [2.00, 2.00]"]


def test_bands_are_one_deviation_wide_on_both_sides(tmp_path: Path) -> None:
    """Seeds end at 59, 60 and 61 mm."""
    cells = []
    for seed in range(3):
        rows = [
            {"stage": "3d", "step": n, "samples": n, "synthetic_studio": mm + seed}
            for n, mm in ((1000, 99.0), (2000, 59.0))
        ]
        cells.append(Fake("3d_alone", seed, share_2d=0.0, changes={"history": rows}))
    study = load_study(write_study(tmp_path, cells))
    ((one,), _) = _series(study, list(study.variants), "synthetic_studio")
    assert (one.y, one.low, one.high) == (pytest.approx([100, 60]), pytest.approx([99, 59]), pytest.approx([101, 61]))


# --- the test that a study chose ---


def test_welchs_test_by_hand(tmp_path: Path) -> None:
    """62, 64, 63 and 50, 51, 52: variances of 1, so that the standard error is sqrt(2/3) with 4 degrees of freedom."""
    ours, theirs = {0: 50.0, 1: 51.0, 2: 52.0}, {0: 62.0, 1: 64.0, 2: 63.0}
    values = {"3d_alone": theirs, "2d_then_3d": ours}
    cells = [with_scores(cell, {"synthetic_studio": values[cell.arm][cell.seed]}) for cell in PAIR]
    markdown = write_report(write_study(tmp_path, cells, significance_test="welch"))[0].read_text()
    reach = 2.776445 * (2 / 3) ** 0.5
    interval = f"{12 - reach:.1f} to {12 + reach:.1f}"
    assert f"lower by 12.0 mm (95 % interval {interval}, n = 3 seeds, p < 0.001)" in markdown
    assert (
        "Differences are of means, not paired by seed; p is that of Welch's t-test, two-sided, significant below 0.05;"
        " intervals are Welch's t, not corrected. With 3 seeds the permutation test (all ways to assign the values to"
        " the two arms) cannot go below p = 0.1," in markdown
    )
    assert "Arm minus 3D alone, not paired by seed (Welch's test), with the 95 % t interval" in markdown
    assert "| t-test p | after Holm | Permutation p | n |" in markdown
    table = markdown.split("All tests in numbers")[1].split("\n## ")[0]
    (row,) = [line for line in table.splitlines() if "2D then 3D, " in line]
    assert [cell.strip() for cell in row.split("|")[-3:-1]] == ["0.1", "3"]
    assert not re.search(r"(?<!not )paired by seed|paired t-test|Sign-flip", markdown)


def test_the_ends_of_a_dial_are_compared_by_the_test_of_the_study(tmp_path: Path) -> None:
    """-12, -13, -11 and -2, -1, -3: variances of 1 again, a reach of 2.776 x sqrt(2/3) = 2.27."""
    section = amount_of_3d_data(tmp_path, significance_test="welch")
    assert "from 100 to all: lower by 10.0 mm (95 % interval 7.7 to 12.3, n = 3 seeds, p < 0.001 after" in section


def test_intervals_of_compute_are_those_of_the_test(tmp_path: Path) -> None:
    """From 100 to 60 mm after so many samples, seed by seed."""
    samples = {"3d_alone": (4000, 8000, 6000), "2d3d": (2000, 2000, 3000)}
    cells = []
    for arm, two_d in (("3d_alone", None), ("2d3d", "synthetic_wild")):
        for seed, last in enumerate(samples[arm]):
            points = ((1000, 100.0), (last, 60.0))
            rows = [{"stage": "3d", "step": n, "samples": n, "synthetic_studio": mm} for n, mm in points]
            cells.append(Fake(arm, seed, two_d, share_2d=0.0, changes={"history": rows}))
    text = write_report(write_study(tmp_path, cells, main="2d3d", significance_test="welch"))[0].read_text()
    logarithms = (np.log(samples[arm]) for arm in ("3d_alone", "2d3d"))
    low, high = np.exp(stats.ttest_ind(*logarithms, equal_var=False).confidence_interval(0.95))
    ratio = (4 * 8 * 6 / (2 * 2 * 3)) ** (1 / 3)
    assert f"| {ratio:.2f} [{low:.2f}, {high:.2f}] |" in text
    assert "of the arm, geometric means over the seeds in which both reach it: above 1, the arm needs less." in text
    assert (
        f"3D alone needs {ratio:.2f} times the compute of 2D + 3D (95 % interval {low:.2f} to {high:.2f}, n =" in text
    )


def test_every_section_is_there_whichever_the_test(tmp_path: Path, full: tuple[Path, str, str]) -> None:
    markdown = write_report(write_study(tmp_path, grid(), samples=True, significance_test="welch"))[0].read_text()
    assert headings(markdown) == headings(full[1])
    assert "the geometric stage, at the same total budget, not paired by seed" in markdown
    assert not re.search(r"\bnan\b", markdown)


def test_a_test_that_there_is_not_is_named(tmp_path: Path) -> None:
    folder = write_study(tmp_path, PAIR, significance_test="wilcoxon")
    with pytest.raises(DataError, match=r"study\.json: expected significance_test: one of paired, welch, found 'wilco"):
        load_study(folder)


# --- what it refuses ---


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as error:
        check_matched(load_study(folder))
    assert "\n" not in str(error.value)
    return str(error.value)


def spending(cell: Fake, steps: int) -> Fake:
    """The cell with a single stage of so many steps."""
    stage = StageCost("3d", steps, steps * BATCH, steps * BATCH * FLOPS_A_SAMPLE, 1.0)
    return replace(cell, changes={"stages": [stage]})


STEPS = round(BUDGET / FLOPS_A_SAMPLE / BATCH)


@pytest.mark.parametrize(("more", "fair"), [(0, True), (1, True), (-1, True), (3, False), (-3, False)])
def test_a_budget_holds_to_within_one_step(pair: Path, more: int, fair: bool) -> None:
    cell = spending(PAIR[1], STEPS + more)
    write_cell(pair / "results" / cell.name, cell)
    if fair:
        check_matched(load_study(pair))
    else:
        assert re.search(rf"{re.escape(cell.name)}: expected 1.2e\+15 FLOPs spent, to within one step", refused(pair))


def test_a_step_too_many_in_each_of_two_stages_is_not_within_one_step(pair: Path) -> None:
    parts = [(name, steps) for name, steps in (("2d", STEPS // 2 + 1), ("3d", STEPS - STEPS // 2 + 1))]
    stages = [StageCost(name, n, n * BATCH, n * BATCH * FLOPS_A_SAMPLE, 1.0) for name, n in parts]
    cell = replace(PAIR[1], changes={"stages": stages})
    write_cell(pair / "results" / cell.name, cell)
    assert "FLOPs spent, to within one step" in refused(pair)


def test_one_seed_is_no_test_and_is_not_called_one(tmp_path: Path) -> None:
    text = write_report(write_study(tmp_path, [cell for cell in PAIR if cell.seed == 0]), unfinished=True)[
        0
    ].read_text()
    assert "not tested, for want of seeds" in text
    assert "not significantly different" not in text


def test_a_panel_shows_the_arms_that_beat_the_baseline() -> None:
    """Both where lower and where higher is better: from the worst of the baseline to the best of all, and 3 % room."""
    x = np.array([1.0, 2.0])
    baseline, other = (plots.Series(n, "arm", x, np.array(y)) for n, y in (("a", [10.0, 60.0]), ("b", [5.0, 80.0])))
    assert _range_of([baseline, other], "higher") == pytest.approx((10 - 2.1, 80 + 2.1))
    assert _range_of([baseline, other], "lower") == pytest.approx((5 - 1.65, 60 + 1.65))


def test_other_seeds_are_refused_unless_told_otherwise(tmp_path: Path) -> None:
    folder = write_study(tmp_path, PAIR[:-1])
    assert "expected seeds as in its partner" in refused(folder)
    assert "--unfinished" in refused(folder)
    text = write_report(folder, unfinished=True)[0].read_text()
    assert "n = 2 seeds" in text
    assert "Unfinished" in text


def test_a_seed_that_the_baseline_lacks_is_left_out_while_unfinished(tmp_path: Path) -> None:
    folder = write_study(tmp_path, [cell for cell in PAIR if (cell.arm, cell.seed) != ("3d_alone", 2)])
    assert "expected seeds as in its partner" in refused(folder)
    assert "n = 2 seeds" in write_report(folder, unfinished=True)[0].read_text()


def test_a_cell_without_result_is_unfinished(pair: Path) -> None:
    (pair / "results" / PAIR[1].name / "result.json").unlink()
    assert "--unfinished" in refused(pair)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget_flops": 2 * BUDGET}, "3D data and budget, found budgets 1.2e+15"),
        ({"three_d_limit": 100}, "partner of arm 3d_alone with the same backbone, 3D data and budget, found none"),
        ({"changes": {"config": {"model": {"backbone": "resnet50"}}}}, "a model as in its partner"),
    ],
)
def test_arms_that_differ_in_more_than_the_arm_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    cells = [replace(cell, **changes) if cell.arm == "2d_then_3d" else cell for cell in PAIR]
    assert message in refused(write_study(tmp_path, cells))


def test_other_protocols_are_refused(tmp_path: Path) -> None:
    cells = [with_scores(cell, {"synthetic_studio": 60.0}) for cell in PAIR]
    folder = write_study(tmp_path, cells)
    path = folder / "results" / cells[-1].name / "result.json"
    saved = RunResult.load(path)
    replace(saved, scores=[replace(saved.scores[0], n=9)]).save(path)
    assert re.search(r"protocol synthetic_studio as .* 10 people, found 9 people", refused(folder))


def test_other_settings_are_refused(pair: Path) -> None:
    path = pair / "results" / PAIR[1].name / "cell.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": "abc"}))
    assert "losses, optimiser and augmentation" in refused(pair)


@pytest.mark.parametrize("arm", ["3d_alone", "2d_then_3d"])
def test_another_network_in_a_later_seed_is_refused(tmp_path: Path, arm: str) -> None:
    def changed(cell: Fake) -> Fake:
        other = {"config": {"model": {"backbone": "resnet50"}}}
        return replace(cell, changes=other) if cell.arm == arm and cell.seed == 1 else cell

    assert "a model as in its partner" in refused(write_study(tmp_path, [changed(cell) for cell in PAIR]))


def trained_on(cells: list[Fake], **changes: object) -> list[Fake]:
    """The cells with their training data recorded; changes are of the main arm's 3D data, and how many people it has.

    ``people=None``: their number is not recorded.
    """

    def recorded(cell: Fake) -> Fake:
        data = {"dataset": "synthetic_studio", "split": "train", "root": "data", "use_3d": True, "people": 3000}
        data |= changes if cell.arm == "2d_then_3d" and cell.seed == 1 else {}
        people = data.pop("people")
        two_d = {"dataset": "synthetic_wild", "split": cell.arm, "root": "data", "use_3d": False}
        steps, everyone = STEPS * BATCH, [500, people] if people else []
        stage = StageCost("2d+3d", STEPS, steps, steps * FLOPS_A_SAMPLE, 1.0, everyone)  # type: ignore[arg-type]
        config = {"model": {}, "stages": [{"data": [two_d, data]}]}
        return replace(cell, changes={"config": config, "stages": [stage]})

    return [recorded(cell) for cell in cells]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"people": 2990}, r"expected people of synthetic_studio train as in .*\(3000\), found 2990"),
        ({"split": "all"}, r"expected 3D training data as in .*\(synthetic_studio train\), found synthetic_studio all"),
        ({"dataset": "h36m"}, r"expected 3D training data as in .*, found h36m train"),
    ],
)
def test_other_3d_people_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    """Of one seed too; what the 2D data are is up to the arm."""
    assert re.search(message, refused(write_study(tmp_path, trained_on(PAIR, **changes))))


@pytest.mark.parametrize("changes", [{}, {"root": "elsewhere"}, {"people": None}])
def test_the_same_3d_people_elsewhere_or_not_counted_are_fair(tmp_path: Path, changes: dict) -> None:
    assert mismatches(load_study(write_study(tmp_path, trained_on(PAIR, **changes)))) == []


def test_people_that_the_baseline_did_not_count_are_fair(tmp_path: Path) -> None:
    cells = trained_on([replace(cell, seed=0) for cell in PAIR[:2]])
    bare = [replace(stage, people=[]) for stage in cells[0].changes["stages"]]
    cells[0] = replace(cells[0], changes={**cells[0].changes, "stages": bare})
    assert mismatches(load_study(write_study(tmp_path, cells))) == []


def on(cells: list[Fake], seeds: tuple[int, ...], arms: tuple[str, ...], **changes: object) -> list[Fake]:
    """The cells; those of the seeds and arms with other fields of their results."""
    return [
        replace(cell, changes={**cell.changes, **changes}) if cell.seed in seeds and cell.arm in arms else cell
        for cell in cells
    ]


BOTH, ALL = ("3d_alone", "2d_then_3d"), (0, 1, 2)


def test_another_device_or_number_of_processes_is_refused_within_a_pair(tmp_path: Path) -> None:
    """Seeds may run on machines of their own; the two cells of a seed may not."""
    other_machine = on(PAIR, (1,), BOTH, device="cpu", processes=2)
    check_matched(load_study(write_study(tmp_path / "seed", on(other_machine, (0, 2), BOTH, processes=1))))
    device = write_study(tmp_path / "device", on(PAIR, (1,), BOTH[1:], device="cpu"))
    assert re.search(
        r"-1: expected a device as in its partner 3d_alone-.*-1 \(NVIDIA H100\), found cpu", refused(device)
    )
    cells = on(on(PAIR, ALL, BOTH, processes=1), (2,), BOTH[:1], processes=4)
    assert re.search(r"expected processes as in .*-2 \(4\), found 1", refused(write_study(tmp_path / "count", cells)))


def test_other_micro_batches_are_refused_within_a_pair_and_named_in_the_head(tmp_path: Path) -> None:
    """Batches are of 64: of two processes that take 32 at a time nobody accumulates, of one that does."""
    of_32 = {"config": {"model": {"backbone": "efficientnet_lite0"}, "micro_batch_size": 32}}
    one = write_study(tmp_path / "one", on(on(PAIR, ALL, BOTH, processes=1), (1,), BOTH[1:], **of_32))
    assert re.search(r"expected samples a micro batch as in its partner .*-1 \(64\), found 32", refused(one))

    both = write_study(tmp_path / "both", on(on(PAIR, ALL, BOTH, processes=1), (1,), BOTH, **of_32))
    words = "of 32 samples in 2 of 6 cells (gradient accumulation): batch norm saw so many at a time"
    for path in write_report(both):
        assert words in path.read_text(encoding="utf-8")

    whole = write_study(tmp_path / "whole", on(on(PAIR, ALL, BOTH, processes=2), (1,), BOTH[1:], **of_32))
    assert mismatches(load_study(whole)) == []
    for path in write_report(whole):
        assert "icro batch" not in path.read_text(encoding="utf-8")


def test_a_number_of_processes_that_was_not_recorded_is_not_compared(tmp_path: Path) -> None:
    assert mismatches(load_study(write_study(tmp_path, on(PAIR, (1,), BOTH[1:], processes=4)))) == []


def test_pairs_of_different_commits_are_counted_in_the_head(tmp_path: Path) -> None:
    """Three seeds: one with both cells of another commit, one with one of them, one of an unknown commit."""
    cells = on(on(PAIR, (0,), BOTH, git_sha="aaaa"), (1,), BOTH[:1], git_sha="bbbb")
    folder = write_study(tmp_path / "mixed", on(cells, (2,), BOTH[:1], git_sha="unknown"))
    text = write_report(folder)[0].read_text()
    assert "Mixed commits: 1 of 2 pairs compare cells of different commits" in text
    assert "Mixed commits" not in write_report(write_study(tmp_path / "one", PAIR))[0].read_text()


def labelled(cells: list[Fake], changed: str, seeds: tuple[int, ...], arms: tuple[str, ...]) -> list[Fake]:
    """The cells with the labels of their data and test recorded; those of the seeds and arms have others of one."""

    def recorded(cell: Fake) -> Fake:
        labels = {"synthetic_studio": "aa", "synthetic_wild": "bb", "test": "cc"}
        if cell.seed in seeds and cell.arm in arms:
            labels[changed] += "x"
        names = ["synthetic_studio"] if cell.arm == "3d_alone" else ["synthetic_wild", "synthetic_studio"]
        data = [{"dataset": name, "split": "train", "use_3d": name == "synthetic_studio"} for name in names]
        steps = STEPS * BATCH
        stage = StageCost("3d", STEPS, steps, steps * FLOPS_A_SAMPLE, 1.0, labels=[labels[name] for name in names])
        config, test = {"model": {}, "stages": [{"data": data}]}, {"synthetic_studio": labels["test"]}
        return replace(cell, changes={**cell.changes, "config": config, "stages": [stage], "test_labels": test})

    return [recorded(cell) for cell in cells]


@pytest.mark.parametrize(
    ("changed", "arms", "message"),
    [
        (
            "synthetic_studio",
            BOTH[1:],
            r"labels of synthetic_studio train \(digest\) as in .*3d_alone.* \(aa\), found aax",
        ),
        ("test", BOTH[:1], r"labels of the test synthetic_studio \(digest\) as in .* \(cc\), found ccx"),
        # What the baseline does not train on may not change from seed to seed either.
        (
            "synthetic_wild",
            BOTH[1:],
            r"labels of synthetic_wild train \(digest\) as in .*2d_then_3d.* \(bb\), found bbx",
        ),
    ],
)
def test_other_labels_are_refused(tmp_path: Path, changed: str, arms: tuple[str, ...], message: str) -> None:
    assert re.search(message, refused(write_study(tmp_path, labelled(PAIR, changed, (1,), arms))))


def test_the_same_labels_are_fair_and_so_are_those_not_recorded(tmp_path: Path) -> None:
    same = labelled(PAIR, "test", (), ())
    assert mismatches(load_study(write_study(tmp_path / "same", same))) == []
    (stage,) = same[0].changes["stages"]
    unrecorded = {**same[0].changes, "stages": [replace(stage, labels=[])], "test_labels": {}}
    cells = [replace(same[0], changes=unrecorded), *same[1:]]
    assert mismatches(load_study(write_study(tmp_path / "not", cells))) == []


def test_digests_of_another_form_are_not_compared(tmp_path: Path) -> None:
    """Those of an earlier version are of files: the same labels have others. A run that it began has both forms."""

    def gone_on_with(cell: Fake, digit: str = "") -> Fake:
        """Its second stage and its test by this version, its first stage by an earlier one."""
        one, config = cell.changes["stages"][0], cell.changes["config"]
        half = replace(one, flops=one.flops / 2)
        second = replace(half, labels=[f"labels1:{digest}{digit}" for digest in one.labels])
        stages = {"config": {**config, "stages": config["stages"] * 2}, "stages": [half, second]}
        tests = {name: f"labels1:{digest}" for name, digest in cell.changes["test_labels"].items()}
        return replace(cell, changes={**cell.changes, **stages, "test_labels": tests})

    before = labelled(PAIR, "test", (), ())
    now = [gone_on_with(cell) for cell in before]
    for name, cells in (("mixed", [now[0], *before[1:]]), ("alike", now)):
        check_matched(load_study(write_study(tmp_path / name, cells)))
    message = refused(write_study(tmp_path / "others", [gone_on_with(before[0], "x"), *now[1:]]))
    assert re.search(r"studio train \(digest\) as in its partner .* \(labels1:aax\), found labels1:aa", message)


def test_labels_that_changed_within_a_run_are_not_those_of_its_partner(tmp_path: Path) -> None:
    """A stage with each: as if they had been replaced while the run was stopped."""
    cells = labelled(PAIR, "test", (), ())
    one = cells[0].changes["stages"][0]
    half = replace(one, flops=one.flops / 2)
    config = {"model": {}, "stages": cells[0].changes["config"]["stages"] * 2}
    changes = {**cells[0].changes, "config": config, "stages": [replace(half, labels=["dd"]), half]}
    folder = write_study(tmp_path, [replace(cells[0], changes=changes), *cells[1:]])
    assert re.search(r"as in its partner .* \(dd, then aa\), found aa", refused(folder))


def test_code_that_was_changed_is_named_as_such(tmp_path: Path) -> None:
    """In the head and below every table; 40 digits are cut to ten."""
    text = write_report(write_study(tmp_path, on(PAIR, ALL, BOTH, git_sha="0123456789abcdef-dirty")))[0].read_text()
    assert "Commit: 0123456789-dirty" in text
    assert "; commit 0123456789-dirty; device" in text


# --- what may be compared ---


def test_the_baseline_of_a_geometric_stage_has_one_too_if_there_is_any(tmp_path: Path) -> None:
    cells = [replace(cell, geometric=geometric) for cell in PAIR for geometric in (False, True)]
    study = load_study(write_study(tmp_path, cells))
    for variant in study.variants:
        partner = study.partner(variant)
        assert partner is not None
        assert (partner.arm, partner.geometric) == ("3d_alone", variant.geometric)


@pytest.mark.parametrize(
    ("field", "factor", "message"),
    [
        ("batch_size", 2, "samples a step as in its partner"),
        ("flops_per_sample", 1.0001, "FLOPs a sample as in its partner"),
    ],
)
def test_steps_and_samples_must_cost_the_same(tmp_path: Path, field: str, factor: float, message: str) -> None:
    folder = write_study(tmp_path, PAIR)
    for cell in PAIR:
        path = folder / "results" / cell.name / "cell.json"
        raw = json.loads(path.read_text())
        if cell.arm == "2d_then_3d":
            path.write_text(json.dumps(raw | {field: raw[field] * factor}))
    assert message in refused(folder)


def test_the_same_protocol_of_other_words_is_another(tmp_path: Path) -> None:
    """Scored without the mirrored picture, say: the description says so, the name does not."""
    cells = [with_scores(cell, {"synthetic_studio": 60.0}) for cell in PAIR]
    folder = write_study(tmp_path, cells)
    path = folder / "results" / cells[-1].name / "result.json"
    saved = RunResult.load(path)
    replace(saved, scores=[replace(saved.scores[0], description="Data set synthetic_studio, split val.")]).save(path)
    assert "protocol synthetic_studio as" in refused(folder)


def test_seeds_of_different_commits_are_not_mixed_where_both_cells_of_each_agree(tmp_path: Path) -> None:
    cells = on(PAIR, (1,), ("3d_alone", "2d_then_3d"), git_sha="aaaa")
    assert "Mixed commits" not in write_report(write_study(tmp_path, cells))[0].read_text()


def test_hours_are_counted_on_every_device(tmp_path: Path) -> None:
    """Six cells of one hour, three of them on four devices, three on an unrecorded number: 3 * 4 + 3."""
    stage = StageCost("3d", STEPS, STEPS * BATCH, STEPS * BATCH * FLOPS_A_SAMPLE, 3600.0)
    cells = on(on(PAIR, ALL, BOTH, stages=[stage]), ALL, BOTH[:1], processes=4)
    text = write_report(write_study(tmp_path, cells))[0].read_text()
    assert "6 cells, 15.0 device-hours of training in all." in text


TWO_D_BASELINE = {"baseline": "2d_then_3d", "main": "2d_then_2d3d"}


def with_2d(sets: tuple[str, ...], shares: tuple[float, ...]) -> list[Fake]:
    """3D alone, and two arms with 2D data of each set and share."""
    cells = [Fake("3d_alone", seed, share_2d=0.0) for seed in ALL]
    for two_d, share, seed in itertools.product(sets, shares, ALL):
        cells += [Fake(arm, seed, two_d, share_2d=share) for arm in ("2d_then_3d", "2d_then_2d3d")]
        cells += [Fake("2d3d", seed, two_d, share_2d=0.0)] if share == shares[0] else []
    return cells


def test_a_baseline_with_2d_data_is_that_of_the_same_2d_set_and_share(tmp_path: Path) -> None:
    """Also where the first baseline in the study's order has another set or share."""
    cells = with_2d(("lsp_extended", "synthetic_wild"), (0.3, 0.5, 0.7))
    found = load_study(write_study(tmp_path, cells, **TWO_D_BASELINE))
    for variant in found.variants:
        partner = found.partner(variant)
        if variant.two_d is None:
            # Two baselines, and nothing says which.
            assert partner is None
        else:
            share = 0.5 if variant.arm == "2d3d" else variant.share_2d
            assert (partner.two_d, partner.share_2d) == (variant.two_d, share)  # type: ignore[union-attr]
    assert mismatches(found) == []
    for setting in settings(found):
        assert {variant.two_d for variant in usual_in(found, setting)} == {setting.two_d, None}
    write_report(found.folder)


def test_3d_alone_is_compared_with_the_only_baseline_with_2d_data(tmp_path: Path) -> None:
    found = load_study(write_study(tmp_path, with_2d(("lsp_extended",), (0.5,)), **TWO_D_BASELINE))
    partners = [found.partner(variant) for variant in found.variants if variant.arm == "3d_alone"]
    assert [partner.two_d for partner in partners if partner] == ["lsp_extended"]
    check_matched(found)


def test_a_2d_set_that_the_baseline_lacks_is_still_to_be_run(tmp_path: Path) -> None:
    cells = [*with_2d(("lsp_extended",), (0.5,)), *(Fake("2d3d", seed, "synthetic_wild", share_2d=0.0) for seed in ALL)]
    (one,) = mismatches(load_study(write_study(tmp_path, cells, **TWO_D_BASELINE)))
    assert one.expected == "a partner of arm 2d_then_3d with the same backbone, 2D data, 3D data and budget"
    assert (one.found, one.unfinished) == ("none", True)


def test_the_committed_study_is_still_fair() -> None:
    found = load_study(Path(__file__).parent.parent / "studies" / "pretraining")
    assert mismatches(found) == []


def test_a_fair_study_has_no_mismatch(full: tuple[Path, str, str]) -> None:
    assert mismatches(load_study(full[0])) == []


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("study.json", "", "JSON file written by `headstart study`"),
        ("study.json", "[]", "expected a JSON object, found list"),
        ("study.json", "{}", "fields of a study"),
        (f"results/{PAIR[0].name}/cell.json", "{}", "fields of a variant"),
        (f"results/{PAIR[0].name}/result.json", "{}", "result.json written by headstart"),
    ],
)
def test_broken_files_are_named(pair: Path, file: str, content: str, message: str) -> None:
    (pair / file).write_text(content)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        load_study(pair)
    assert str(pair / file) in str(error.value)


def test_cells_that_are_planned_and_not_begun_are_counted(tmp_path: Path) -> None:
    folder = write_study(tmp_path, PAIR, planned_cells=len(PAIR) + 5)
    assert f"expected {len(PAIR) + 5} finished cells, as planned, found {len(PAIR)}" in refused(folder)
    text = write_report(folder, unfinished=True)[0].read_text()
    assert f"{len(PAIR)} of {len(PAIR) + 5} planned" in text
    assert "cells are still to be run" in text
    more = write_study(tmp_path / "more", PAIR, planned_cells=len(PAIR) - 1)
    assert "Cells: 6, but 5 are planned: the results hold cells of" in write_report(more)[0].read_text()


def test_a_run_that_diverged_is_refused(tmp_path: Path) -> None:
    cells = [with_scores(cell, {"synthetic_studio": float("nan") if cell.seed == 2 else 60.0}) for cell in PAIR]
    assert "expected a finite score under synthetic_studio, found nan; 2 problems in all. Such" in refused(
        write_study(tmp_path, cells)
    )


def test_a_result_of_another_seed_is_refused(pair: Path) -> None:
    path = pair / "results" / PAIR[0].name / "result.json"
    replace(RunResult.load(path), seed=7).save(path)
    with pytest.raises(DataError, match=r"expected seed 0 as in cell\.json, found 7"):
        load_study(pair)


def test_an_empty_study_says_how_to_run_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="headstart study run fake"):
        write_report(write_study(tmp_path, []))


# --- the command ---


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headstart.cli", "report", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_command_writes_both_files_and_says_where(pair: Path, tmp_path: Path) -> None:
    done = command(pair, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == [str(tmp_path / "out" / name) for name in ("report.md", "report.html")]
    assert all(Path(line).exists() for line in done.stdout.split()[-2:])


def test_the_command_prints_the_answer_and_the_table(pair: Path) -> None:
    screen = " ".join(command(pair).stdout.split())
    assert "2D then 3D against 3D alone at equal training compute:" in screen
    assert "**" not in screen
    for variant, cells in load_study(pair).variants.items():
        mean = np.mean([cell.scores["synthetic_studio"].value for cell in cells.values()])
        assert f"{mean:.1f} ±" in screen, variant.arm


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    for given, message in (
        (tmp_path, "expected study.json and results/, found no study.json; run headstart study run first"),
        ("nothing", "nothing: expected the folder of a study, or its name"),
    ):
        done = command(given)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert message in done.stderr


def test_no_torch_is_imported(pair: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from headstart.report import write_report;"
        f"write_report(Path({str(pair)!r})); print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_planned_study_is_read_field_by_field(tmp_path: Path) -> None:
    """The records that `headstart study` writes are those that the report reads."""
    planned = study.load_study(str(Path(__file__).parent.parent / "studies" / "quickstart" / "study.py"))
    (tmp_path / "study.json").write_text(json.dumps(study_records.study_record(planned)))
    for cell in study.cells(planned):
        record = study_records.cell_record(planned, cell)
        folder = tmp_path / "results" / cell.name
        cost = {name: record[name] for name in ("budget_flops", "flops_per_sample")}
        two_d = {"two_d": cell.two_d, "share_2d": cell.share_2d}
        write_cell(folder, Fake(cell.arm, cell.seed, three_d=cell.three_d, **two_d, **cost))
        (folder / "cell.json").write_text(json.dumps(record))
    found = load_study(tmp_path)
    assert {cell.id for cell in found.cells} == {cell.name for cell in study.cells(planned)}
    assert [one for one in mismatches(found) if "FLOPs spent" not in one.expected] == []
    assert all(found.partner(variant) for variant in found.variants)
