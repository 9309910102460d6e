"""The table of scores for statistics of one's own: its columns and rows, against the files that it is made from."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from fake_study import BUDGET, PROTOCOLS, Fake, write_study
from headstart.cli.reporting import report
from headstart.errors import DataError
from headstart.report import load_study, write_rows

COLUMNS = (
    "cell,arm,backbone,two_d,three_d,three_d_limit,share_2d,geometric,seed,budget_flops,flops,samples,"
    "test,metric,unit,better,value,n"
)
CELLS = [
    Fake(arm, seed, two_d) for seed in (1, 0) for arm, two_d in (("2d_then_3d", "lsp_extended"), ("3d_alone", None))
]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_row_a_cell_and_test(tmp_path: Path) -> None:
    folder, path = write_study(tmp_path / "study", CELLS), tmp_path / "scores.csv"
    write_rows(folder, path)
    assert path.read_bytes().split(b"\n")[0].decode() == COLUMNS
    rows = read(path)
    keys = [(row["arm"], row["seed"], row["test"]) for row in rows]
    assert keys == [(arm, seed, test) for arm in ("3d_alone", "2d_then_3d") for seed in "01" for test in PROTOCOLS]
    cells = {cell.id: cell for cell in load_study(folder).cells}
    for row in rows:
        score = cells[row["cell"]].scores[row["test"]]
        # Not rounded: what is read back is the same number to the last bit.
        assert float(row["value"]) == score.value
        assert (row["metric"], row["unit"], row["better"], row["n"]) == (
            score.metric,
            score.unit,
            score.better,
            str(score.n),
        )
        assert float(row["flops"]) == cells[row["cell"]].flops
        assert float(row["budget_flops"]) == BUDGET
    alone, pretrained = rows[0], rows[-1]
    assert (alone["two_d"], pretrained["two_d"], alone["three_d_limit"]) == ("", "lsp_extended", "")
    assert (alone["three_d"], alone["geometric"], alone["share_2d"]) == ("synthetic_studio", "False", "0.5")


def test_a_test_that_a_cell_is_still_to_be_scored_under_has_no_row(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", CELLS)
    path = next(folder.glob("results/3d_alone*0/result.json"))
    result = load_study(folder).variants
    first = next(iter(result.values()))[0].result
    replace(first, scores=first.scores[1:]).save(path)
    write_rows(folder, tmp_path / "scores.csv")
    assert len(read(tmp_path / "scores.csv")) == 4 * len(PROTOCOLS) - 1


def test_report_writes_it_beside_the_pages_and_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, path = write_study(tmp_path / "study", CELLS), tmp_path / "below" / "scores.csv"
    report(folder, tmp_path / "out", csv=path)
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    assert len(read(path)) == 4 * len(PROTOCOLS)


def test_a_folder_in_the_way_is_one_line(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", CELLS)
    (tmp_path / "scores.csv").mkdir()
    with pytest.raises(DataError, match=r"scores\.csv: expected a file that can be written"):
        write_rows(folder, tmp_path / "scores.csv")
