"""Adapters that are modules of a user's own: which are found, and what is said of those that are none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headstart import datasets
from headstart.errors import ConfigError
from headstart.index_cache import cached_file
from own_modules import writing

SOUND = """
from headstart.skeleton import Skeleton
SKELETON, SPLITS = Skeleton("own", ("nose",)), ["train", "val"]
def annotations(root, split):
    return iter([root / split])
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Writes my_labels/NAME.py below the working folder; what was imported is forgotten afterwards."""
    with writing("my_labels", tmp_path, monkeypatch) as write:
        yield write


def test_a_module_below_the_working_folder_is_a_data_set(written: Callable[..., Path], tmp_path: Path) -> None:
    path = written(SOUND)
    assert datasets.skeleton("my_labels.own").names == ("nose",)
    assert datasets.splits("my_labels.own") == ("train", "val")
    assert list(datasets.iter_annotations("my_labels.own", tmp_path, "val")) == [tmp_path / "val"]
    assert Path(datasets.adapter("my_labels.own").__file__) == path
    with pytest.raises(ConfigError, match=r"my_labels\.own has no split 'test'; it has train, val"):
        datasets.iter_annotations("my_labels.own", tmp_path, "test")


def test_a_line_in_the_table_may_name_any_module(written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    written(SOUND)
    monkeypatch.setitem(datasets.DATASETS, "mine", "my_labels.own")
    assert datasets.skeleton("mine").name == "own"


def test_nothing_in_the_working_folder_stands_in_for_what_is_installed(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(SOUND).parent.rename(tmp_path / "wsgiref")
    (tmp_path / "wsgiref" / "own.py").rename(tmp_path / "wsgiref" / "util.py")
    (tmp_path / "wsgiref" / "__init__.py").touch()  # without, any other package would come first
    for name in ("wsgiref", "wsgiref.util"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigError, match=r"wsgiref.util.py: expected SKELETON \(a Skeleton\), SPLITS") as raised:
        datasets.adapter("wsgiref.util")
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SOUND.replace("SPLITS", "PARTS"), r"own\.py: expected SKELETON \(a Skeleton\), SPLITS \(names\) and"),
        (SOUND.replace('["train", "val"]', '"train"'), r"own\.py: expected SKELETON"),
        (SOUND.replace('Skeleton("own", ("nose",))', '("nose",)'), r"own\.py: expected SKELETON"),
        (SOUND.replace("def annotations", "def people"), r"own\.py: expected SKELETON"),
        (f"{SOUND}\nwrong = [", r"own\.py, line 7: '\[' was never closed"),
        (f"{SOUND}\nimport nowhere_at_all", r"own\.py, line 7: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (f"{SOUND}\nimport json\njson.loads('[')", r"own\.py, line 8: JSONDecodeError: Expecting value: line 1"),
    ],
)
def test_what_is_no_adapter_is_said_in_one_line(written: Callable[..., Path], text: str, says: str) -> None:
    written(text)
    with pytest.raises(ConfigError, match=says) as raised:
        datasets.adapter("my_labels.own")
    (line,) = str(raised.value).splitlines()
    assert line.startswith("data set 'my_labels.own': ")


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("my_labels.owl", "my_labels.owl"),
        ("your_labels.own", "your_labels"),
        ("my_labels/own.py", "my_labels/own.py"),
        ("..own", "..own"),
        ("my_labels.", "my_labels."),
    ],
)
def test_modules_that_are_not_there(written: Callable[..., Path], tmp_path: Path, name: str, missing: str) -> None:
    written(SOUND)
    with pytest.raises(ConfigError) as raised:
        datasets.adapter(name)
    expected = f"data set {name!r}: found no module {missing}, installed or in {tmp_path}; my_data/office.py"
    assert str(raised.value).startswith(expected)


def test_its_own_code_is_among_that_which_decides_what_is_read(written: Callable[..., Path]) -> None:
    beside, own = written("", "helper"), written(SOUND)
    package = sorted(Path(datasets.__file__).parent.glob("*.py"))
    assert datasets.code_of("my_labels.own") == [*package, beside, own]
    assert datasets.code_of("lsp") == package


def test_an_index_is_made_anew_when_its_own_code_changes(written: Callable[..., Path], tmp_path: Path) -> None:
    def name() -> str:
        return cached_file("my_labels.own", tmp_path / "data", "train", 1, tmp_path).name

    written("", "helper")
    written(SOUND)
    names = [name(), name()]
    written("# another", "helper")
    names.append(name())
    written(f"{SOUND}\n")
    names.append(name())
    assert names[0] == names[1]
    assert len(set(names)) == 3
