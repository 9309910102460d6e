"""docs/data-sets.md, "Label your own photos" and "YOLO pose folders": their commands, in processes of their own."""

from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from PIL import Image

import headstart
from pages import DOCS
from test_own_data_set import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("numba") is None, reason="needs headstart[synth]"),
]

PAGE = (DOCS / "data-sets.md").read_text(encoding="utf-8")
EXAMPLES = Path(headstart.__file__).parent / "serve" / "assets" / "examples"
#: Of what the page says, in seconds on a CPU.
SHORT = {
    "train": "--stages.0.budget.samples 4 --batch-size 4 --workers 0 --tracker none --threads 1",
    "synth": "--count 2",
}


def commands(section: str) -> list[list[str]]:
    """Those of a section, without the program's name."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL)).replace("\\\n", "")
    return [line.partition("#")[0].split()[1:] for line in blocks.splitlines()]


def ran(folder: Path, command: list[str]) -> str:
    return run(folder, [*command, *SHORT.get(command[0], "").split()])


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    """As the page has it: photos in DIR/train2017 and DIR/val2017."""
    for split in ("train2017", "val2017"):
        (tmp_path / "DIR" / split).mkdir(parents=True)
        for photo in sorted(EXAMPLES.glob("*.jpg")):
            shutil.copy(photo, tmp_path / "DIR" / split)
    return tmp_path


def test_every_command_of_label_your_own_photos(working_folder: Path) -> None:
    lines = commands("Label your own photos")
    verbs = ["predict", "predict", "data", "show", "synth", "synth", "train", "eval", "predict"]
    assert [line[0] for line in lines] == verbs
    printed = [ran(working_folder, line) for line in lines]
    labelled = Path("DIR", "annotations", "person_keypoints_train2017.json")
    content = json.loads((working_folder / labelled).read_text(encoding="utf-8"))
    people = sum(person["num_keypoints"] > 0 for person in content["annotations"])
    assert people
    assert f"-> {labelled}\n" in printed[0]
    assert f"coco train2017: {people} people, " in printed[2]
    assert "left_eye" in printed[2].partition("none of ")[2]
    with Image.open(working_folder / "sheet.png") as sheet:
        assert sheet.width > 256
    assert re.search(r"^coco_pck: pck .*\(n = \d+; ", printed[7], re.MULTILINE)
    assert {path.suffix for path in (working_folder / "predictions").iterdir()} == {".png"}


def test_every_command_of_yolo_pose_folders(working_folder: Path) -> None:
    """With the labels of the page above in the page's data.yaml."""
    root = working_folder / "DIR"
    described = yaml.safe_load(PAGE.partition("\n## YOLO pose folders\n")[2].split("```yaml\n")[1].split("```")[0])
    for split, folder in (("train", "train2017"), ("val", "val2017")):
        run(working_folder, ["predict", f"DIR/{folder}", "--coco", "labels.json"])
        content = json.loads((working_folder / "labels.json").read_text(encoding="utf-8"))
        described["kpt_names"][0] = content["categories"][0]["keypoints"]
        places = [root / part / split for part in ("images", "labels")]
        (root / "labels" / split).mkdir(parents=True)
        (root / "images").mkdir(exist_ok=True)
        (root / folder).rename(places[0])
        for image in content["images"]:
            size = image["width"], image["height"]
            rows = [as_row(one, size) for one in content["annotations"] if one["image_id"] == image["id"]]
            (places[1] / image["file_name"]).with_suffix(".txt").write_text("\n".join(rows), encoding="utf-8")
    (root / "data.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    assert run(working_folder, ["synth", "wild", "--count", "2"])
    assert run(working_folder, ["synth", "wild", "--split", "test", "--count", "2"])
    lines = commands("YOLO pose folders")
    assert [line[0] for line in lines] == ["data", "train", "eval"]
    checked, _, scored = (ran(working_folder, line) for line in lines)
    people = sum(person["num_keypoints"] > 0 for person in content["annotations"])
    assert f"yolo_pose val: {people} people, " in checked
    assert scored.startswith("yolo_pose_pck: pck ")


def as_row(person: dict, size: tuple[int, int]) -> str:
    """A line of a label file."""
    x, y, w, h = person["bbox"]
    row = [0, (x + w / 2) / size[0], (y + h / 2) / size[1], w / size[0], h / size[1]]
    for place in range(0, len(person["keypoints"]), 3):
        x, y, v = person["keypoints"][place : place + 3]
        row += [x / size[0], y / size[1], v]
    return " ".join(f"{value:.6f}" for value in row)
