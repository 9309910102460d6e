"""docs/training.md: the backbone of the page, by the page's commands, in processes of their own."""

from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import headstart
from headstart.checkpoint import load_checkpoint
from headstart.synthesize import SynthConfig, synthesize
from pages import DOCS
from test_own_data_set import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("numba", "onnx", "onnxruntime")), reason="needs headstart[synth,onnx]"
    ),
]

NETS, COMMANDS = re.search(
    r"## Your own backbone.*?```python\n(.*?)```.*?```bash\n(.*?)```",
    (DOCS / "training.md").read_text(encoding="utf-8"),
    re.DOTALL,
).groups()  # type: ignore[union-attr]
LINES = [line.partition("#")[0].split()[1:] for line in COMMANDS.replace("\\\n", "").splitlines()]
#: Of what the page says, in seconds on a CPU. A head that learns in a few steps makes maps that are not flat.
SHORT = (
    "--model.input-size 64 64 --model.head.kind pyramid --model.head.channels 16 --stages.0.budget.samples 256"
    " --stages.0.optimiser.learning-rate 0.01 --batch-size 4 --average-decay None --workers 1 --tracker none"
    " --threads 1"
)


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    """As the page has it: my_lab/nets.py, synthetic people, and a photo."""
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "nets.py").write_text(NETS, encoding="utf-8")
    for split, count in (("train", 4), ("test", 2)):
        synthesize(SynthConfig("wild", split, count, size=64), tmp_path / "data" / "synthetic")
    shutil.copy(Path(headstart.__file__).parent / "serve/assets/examples/traffic.jpg", tmp_path / "photo.jpg")
    return tmp_path


def test_every_command_of_the_page(working_folder: Path) -> None:
    assert [line[0] for line in LINES] == ["train", "train", "eval", "predict", "export"]
    train, resume, score, predict, export = LINES
    trained = run(working_folder, [*train, *SHORT.split()])
    folder = working_folder / "runs" / "small"
    header = load_checkpoint(folder / "last.safetensors", ()).header
    assert header["model"]["backbone"] == "my_lab.nets:small"
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model"] == header["model"]
    (folder / "result.json").unlink()  # as if it had been killed while it was scored
    assert run(working_folder, resume) == trained
    scored = run(working_folder, score)
    assert scored.startswith("synthetic_wild: mpjpe ")
    assert trained.startswith(scored)
    run(working_folder, predict)
    assert len(json.loads((working_folder / "people.json").read_text(encoding="utf-8"))) == 1
    assert run(working_folder, export).startswith("small.onnx: ")
    # Without its module a file of ONNX still predicts; a checkpoint says what it lacks.
    (working_folder / "my_lab" / "nets.py").unlink()
    run(working_folder, ["predict", "photo.jpg", "--model", "small.onnx", "--json", "again.json"])
    assert len(json.loads((working_folder / "again.json").read_text(encoding="utf-8"))) == 1
    said = run(working_folder, score, code=2)
    assert said == (
        f"headstart: {Path('runs', 'small', 'last.safetensors')}: backbone 'my_lab.nets:small': found no module"
        f" my_lab.nets, installed or in {working_folder}; my_data/office.py there is my_data.office\n"
    )
