"""Protocols of users' modules: how they are found, what is said where they are not, and the examples of the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.cli.showing import show
from headstart.errors import ConfigError
from headstart.protocols import PROTOCOLS, Protocol, protocol
from headstart.sources import Sources
from headstart.study import load_study
from own_modules import Write, writing
from test_own_data_set import ADAPTER, run, working_folder  # noqa: F401  # a fixture

DOCS = Path(__file__).parents[1] / "docs"
#: What the page adds to the adapter, and its commands.
OWN, COMMANDS = re.search(
    r"### A protocol of your own.*?```python\n(.*?)```.*?```bash\n(.*?)```",
    (DOCS / "data-sets.md").read_text(encoding="utf-8"),
    re.DOTALL,
).groups()  # type: ignore[union-attr]
STRICT = re.search(
    r"## Protocols of your own.*?```python\n(.*?)```", (DOCS / "scoring.md").read_text(encoding="utf-8"), re.DOTALL
)[1]  # type: ignore[index]
LEGS = 'Protocol("legs", "lsp", "test", "pck", ("left_knee", "right_knee"), reference="torso", threshold=0.1)'
SOUND = f"from headstart.protocols import Protocol\nPROTOCOLS = ({LEGS},)\n"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes my_lab/NAME.py below the working folder; what was imported is forgotten afterwards."""
    with writing("my_lab", tmp_path, monkeypatch, "my_data") as write:
        yield write


def test_a_protocol_of_a_module_has_its_whole_name(written: Write) -> None:
    written(SOUND)
    found = protocol("my_lab.own:legs")
    assert (found.name, found.dataset, found.joints) == ("my_lab.own:legs", "lsp", ("left_knee", "right_knee"))
    assert protocol("my_lab.own:legs") == found


def test_a_package_itself_may_have_protocols(written: Write) -> None:
    written(SOUND, "__init__")
    assert protocol("my_lab:legs").threshold == 0.1


def test_a_module_hides_none_of_headstarts_own(written: Write) -> None:
    """They are apart by the colon: no name of another protocol begins with a module's."""
    written(SOUND.replace('"legs"', '"lsp_pck"'))
    assert protocol("my_lab.own:lsp_pck").threshold == 0.1
    assert protocol("lsp_pck") is PROTOCOLS["lsp_pck"]
    assert not [name for name in PROTOCOLS if {*name} & {*".:"}]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (SOUND, "my_lab.own:arms", r"expected one of my_lab\.own:legs"),
        (SOUND, "my_lab.own", r"expected one of my_lab\.own:legs"),
        (SOUND, "my_lab.owl:legs", r"found no module my_lab\.owl, installed or in .*; my_data/office\.py there is"),
        (SOUND, "my_lab/own.py:legs", r"found no module my_lab/own\.py, installed or in "),
        (SOUND, ":legs", "found no module , installed or in "),
        ("", "my_lab.own:legs", r"own\.py: expected PROTOCOLS = \(Protocol\(\.\.\.\), \.\.\.\); .*; found none"),
        ("PROTOCOLS = ()", "my_lab.own:legs", r"own\.py: expected PROTOCOLS = .*; found \(\)"),
        (
            SOUND.replace(",)\n", ")\n"),
            "my_lab.own:legs",
            r"own\.py: expected PROTOCOLS = .*; found Protocol\(name='legs'",
        ),
        ("PROTOCOLS = ('lsp_pck',)", "my_lab.own:legs", r"own\.py: expected PROTOCOLS = .*; found 'lsp_pck' in it"),
        (SOUND.replace('"legs"', '"my legs"'), "my_lab.own:legs", r"of letters, digits, _, - and \.; found 'my legs'"),
        (f"{SOUND}PROTOCOLS *= 2", "my_lab.own:legs", r"protocols with different names .*; found 'legs' twice"),
        (
            SOUND.replace("left_knee", "left_toe"),
            "my_lab.own:legs",
            r"own\.py, line 2: protocol legs: joints has left_toe",
        ),
        (SOUND.replace("0.1", "None"), "my_lab.own:legs", r"own\.py, line 2: protocol legs: threshold must be set for"),
        (
            SOUND.replace('"pck"', '"pkc"'),
            "my_lab.own:legs",
            r"own\.py, line 2: protocol legs: metric must be one of pck",
        ),
        (SOUND.replace("reference", "refers"), "my_lab.own:legs", r"own\.py, line 2: TypeError: .*argument 'refers'"),
    ],
)
def test_what_is_no_protocol_is_said_in_one_line(written: Write, text: str, name: str, says: str) -> None:
    written(text)
    with pytest.raises(ConfigError, match=says) as raised:
        protocol(name)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"protocol {name!r}: ")


def test_a_mistake_in_a_package_is_blamed_on_the_package(written: Write) -> None:
    path = written(SOUND.replace("left_knee", "left_toe"), "__init__")
    with pytest.raises(ConfigError, match=re.escape(f"{path}, line 2: protocol legs: joints has left_toe")):
        protocol("my_lab:legs")


def test_who_names_none_is_told_how_own_ones_are_named() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown protocol 'legs'; known: .*, or my_data\.office:NAME for a protocol"
    ):
        protocol("legs")


def test_they_are_shown(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    written(SOUND)
    for name in ("my_lab.own", "my_lab.own:legs"):
        show("protocols", name)
        assert capsys.readouterr().out == f"my_lab.own:legs\n    {protocol('my_lab.own:legs').describe()}\n\n"
    show("protocols", "lsp_pck")
    assert capsys.readouterr().out == f"lsp_pck\n    {protocol('lsp_pck').describe()}\n\n"
    show("protocols")
    assert capsys.readouterr().out.count("\n    Data set ") == len(PROTOCOLS)
    with pytest.raises(ConfigError, match=r"^protocols of 'my_lab\.owl': found no module my_lab\.owl"):
        show("protocols", "my_lab.owl")


def test_a_study_names_them_and_is_told_what_is_wrong(written: Write, tmp_path: Path) -> None:
    written(SOUND)
    study = (
        "from studies_in_small import EVERYTHING, study_of\nSTUDY = study_of(EVERYTHING, tests=('my_lab.own:{}',))\n"
    )
    (tmp_path / "study.py").write_text(study.format("legs"))
    assert load_study(str(tmp_path)).tests == ("my_lab.own:legs",)
    (tmp_path / "study.py").write_text(study.format("arms"))
    with pytest.raises(
        ConfigError, match=r"study\.py: tests: protocol 'my_lab\.own:arms': expected one of my_lab\.own:l"
    ):
        load_study(str(tmp_path))


def test_the_example_on_scoring(written: Write) -> None:
    written(STRICT, "strict")
    usual = protocol("lsp_extended_pck12")
    assert protocol("my_lab.strict:at_0.1") == replace(usual, name="my_lab.strict:at_0.1", threshold=0.1)


def test_the_example_of_the_adapter(written: Write) -> None:
    written(ADAPTER + OWN)
    legs, tight = protocol("my_lab.own:legs"), protocol("my_lab.own:tight")
    assert isinstance(legs, Protocol)
    assert (legs.dataset, legs.split, legs.unit, tight.unit) == ("my_lab.own", "val", "mm", "%")
    (validation,) = Sources(three_d=("my_lab.own",)).validation_3d()
    assert (validation.protocol, validation.dataset, validation.split) == ("my_lab.own:legs", "my_lab.own", "val")


STUDY = """
from headstart.augment import MILD
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig
from headstart.study import Grid, Study

HEAD = HeadConfig(channels=16, heatmap="cross_entropy")
STUDY = Study(
    name="mine", title="Mine", question="?",
    models={"nano": ModelConfig("nano", None, HEAD, input_size=(64, 64), sigma=1.0)},
    samples={"nano": 8},
    grids=(Grid(("3d_alone", "2d_then_3d"), ("nano",), ("my_data.office",), ("my_data.office",), seeds=(0,)),),
    tests=("my_data.office:legs", "my_data.office:tight"),
    roots={"my_data.office": "DIR"},
    augment=MILD, batch_size=4, average_decay=None, curve_points=1, curve_people=2, workers=1,
    sheets=("my_data.office:tight",),
)
"""


@pytest.mark.slow
def test_a_study_on_an_own_data_set_under_own_protocols(working_folder: Path) -> None:  # noqa: F811
    """Every cell is a process of its own, with a worker, and finds the module; so does the report."""
    (working_folder / "my_data" / "office.py").write_text(ADAPTER + OWN, encoding="utf-8")
    folder = working_folder / "studies" / "mine"
    folder.mkdir(parents=True)
    (folder / "study.py").write_text(STUDY, encoding="utf-8")
    run(working_folder, ["study", "run", "mine", "--keep"])
    results = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("results/*/result.json")]
    assert len(results) == 2
    for result in results:
        assert [one["protocol"] for one in result["scores"]] == ["my_data.office:legs", "my_data.office:tight"]
        assert [len(one["per_joint"]) for one in result["scores"]] == [4, 4]
        assert set(result["scores"][0]["others"]) == {"pa_mpjpe_mm"}
    run(working_folder, ["report", "mine"])
    assert "my data.office:legs" in (folder / "report.md").read_text(encoding="utf-8")
    # The commands of the page, on a cell's weights.
    weights = next(working_folder.rglob("*2d_then_3d*/run/last.safetensors"))
    places = {"runs/office": str(weights), "data/my_data.office": "DIR"}
    commands = [line.partition("#")[0].split()[1:] for line in COMMANDS.splitlines()]
    shown, scored = (run(working_folder, [places.get(word, word) for word in words]) for words in commands)
    assert re.findall(r"^\S+", shown, re.MULTILINE) == ["my_data.office:legs", "my_data.office:tight"]
    assert re.match(r"my_data\.office:legs: mpjpe \d+\.\d\d mm \(n = 2; ", scored)
