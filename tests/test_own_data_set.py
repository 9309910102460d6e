"""docs/data-sets.md: its adapter and its commands, as they stand there, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

MANUAL = (Path(__file__).parents[1] / "docs" / "data-sets.md").read_text(encoding="utf-8")
ADAPTER = MANUAL.split("```python\n")[1].split("```")[0]
BLOCK = MANUAL.split(ADAPTER)[1].split("```bash\n")[1].split("```")[0]
COMMANDS = [line.partition("#")[0].split() for line in BLOCK.splitlines()]
RESULT = Path("runs", "office", "result.json")
#: Of what the page says, in seconds on a CPU.
SHORT = {"train": "--stages.0.budget.samples 4 --batch-size 4 --workers 0 --tracker none --threads 1"}


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    """As the page has it: my_data/office.py, and DIR with people 3 m away, upright, in a world with z up."""
    (tmp_path / "my_data").mkdir()
    (tmp_path / "my_data" / "office.py").write_text(ADAPTER, encoding="utf-8")
    side, height = np.array([0.1, -0.1] * 3 + [0.1, -0.1]), np.array([0, 0, -0.4, -0.4, 0.5, 0.5, -0.8, -0.8])
    people = np.stack([np.stack([side, np.zeros(8), height + number / 50], 1) for number in range(5)])
    for split, count in (("train", 5), ("val", 2)):
        folder = tmp_path / "DIR" / split
        folder.mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / f"{number:06d}.jpg"), np.full((1000, 1000, 3), 90, np.uint8))
    np.savez(
        tmp_path / "DIR" / "labels.npz",
        train=people,
        val=people[:2],
        fx_fy_cx_cy=[1000.0, 1000, 500, 500],
        rotation=[[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        translation_mm=[0, 0, 3000],
    )
    return tmp_path


def run(folder: Path, arguments: list[str], code: int = 0) -> str:
    """What the installed command prints: not `python -m`, which would look for modules in the folder by itself."""
    command = [str(Path(sys.executable).with_name("headstart")), *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.slow
def test_every_command_of_the_page(working_folder: Path) -> None:
    assert [command[:2] for command in COMMANDS] == [
        ["headstart", verb] for verb in ("data", "show", "pack", "pack", "train", "eval", "export")
    ]
    printed = [run(working_folder, [*words, *SHORT.get(words[0], "").split()]) for _, *words in COMMANDS]
    checked, sheet, train, val, trained, scored, exported = printed
    # Hips, knees, shoulders, and pelvis and thorax from them.
    assert "my_data.office train: 5 people, 40 labelled joints (40 visible, 0 occluded), 40 in 3D; 100.00%" in checked
    assert "500.0 mm from hip to shoulder; 0.0 px (0.0% of the box)" in checked
    assert "not used, as no canonical joint has the name: left_toe, right_toe" in checked
    assert sheet == "sheet.png\n"
    assert train.startswith(f"{Path('data', 'my_data.office', 'my_data.office-train')}: 5 people, ")
    assert val.startswith(f"{Path('data', 'my_data.office', 'my_data.office-val')}: 2 people, ")
    names = [f"{name} on my_data.office val" for name in ("lsp_extended_pck12", "synthetic_wild")]
    assert re.findall(r"^(\w[^:]+): .*\(n = 2; ", trained, re.MULTILINE) == names
    assert trained.count("Data set my_data.office, split val.") == 2
    # As it was scored at the end of training, to the last digit.
    assert trained.partition(f"\n{names[1]}: ")[2] == f"{scored.removeprefix(f'{names[1]}: ')}{RESULT}\n"
    assert exported.startswith("office.onnx: ")
    experiment = json.loads((working_folder / RESULT).read_text(encoding="utf-8"))["config"]
    assert {(one["dataset"], one["root"]) for one in experiment["stages"][0]["data"]} == {
        ("my_data.office", "data/my_data.office")
    }


@pytest.mark.slow
def test_a_module_that_is_not_there_is_one_line(working_folder: Path) -> None:
    said = run(working_folder, ["data", "my_data.attic", "--root", "DIR"], code=2)
    assert said == (
        f"headstart: data set 'my_data.attic': found no module my_data.attic, installed or in {working_folder};"
        " my_data/office.py there is my_data.office\n"
    )
