"""Every data set has a split to be trained on and a protocol that scores it."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import pytest

from headstart import datasets
from headstart.errors import ConfigError
from headstart.experiment import Validation
from headstart.loader import Data
from headstart.protocols import protocol
from headstart.skeleton import H36M_17
from headstart.sources import Sources, train_split


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_every_data_set_can_be_trained_on_and_scored(name: str) -> None:
    sources = Sources(roots={name: "/there"})
    sources = replace(sources, two_d=(name,), three_d=(name,))
    (data,), checks = sources.data((name,)), (*sources.validation_2d(), *sources.validation_3d())
    assert len(checks) == 2
    assert data.split == train_split(name)
    assert data.split in datasets.splits(name)
    for validation in checks:
        assert data.root == validation.root == "/there"
        assert protocol(validation.protocol).dataset == name
        assert protocol(validation.protocol).split in datasets.splits(name)


def own(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    """An adapter of a user's, ``my_labels.own``, with those names beside what every adapter has."""
    module = ModuleType("my_labels.own")
    adapter = {"SKELETON": H36M_17, "SPLITS": ("train", "val"), "annotations": print, **names}
    for name, value in adapter.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "my_labels", ModuleType("my_labels"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_an_adapter_of_ones_own_says_what_scores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own(monkeypatch, VALIDATION_2D=("coco_pck", "val"), VALIDATION_3D=["h36m_standard", "train"])
    sources = Sources(("my_labels.own",), ("my_labels.own", "synthetic_wild"), {"my_labels.own": "there"})
    name = "my_labels.own"
    assert sources.validation_2d() == (Validation("coco_pck", "there", name, "val", limit=1000),)
    assert sources.validation_3d() == (
        Validation("h36m_standard", "there", name, "train", limit=1000),
        Validation("synthetic_wild", "data/synthetic_wild", limit=1000),
    )
    assert sources.data((name,)) == (Data(name, "there", "train"),)


def test_an_adapter_of_ones_own_that_nothing_scores_is_trained_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    own(monkeypatch, VALIDATION_2D=("coco_pck", "val"))
    sources = Sources(("my_labels.own",), ("my_labels.own",))
    with pytest.raises(ConfigError, match=r"'my_labels\.own' has no protocol: set VALIDATION_3D = .* --unscored my_l"):
        sources.validation_3d()
    unscored = replace(sources, unscored=("my_labels.own",))
    assert (unscored.validation_2d(), unscored.validation_3d()) == ((), ())


@pytest.mark.parametrize("found", ["coco_pck", ("coco_pck",), ("coco_pck", "test"), 3])
def test_a_validation_that_is_none(monkeypatch: pytest.MonkeyPatch, found: object) -> None:
    own(monkeypatch, VALIDATION_2D=found)
    with pytest.raises(ConfigError) as raised:
        Sources(("my_labels.own",)).validation_2d()
    assert str(raised.value) == (
        "data set 'my_labels.own': VALIDATION_2D: expected (protocol, split), the split one of train, val;"
        f" found {found!r}"
    )


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown data set 'lspet'; known: mpii, .*, or my_data\.office for an adapter"
    ):
        Sources(("lspet",)).validation_2d()


def test_what_is_unscored_is_trained_on_alone() -> None:
    sources = Sources(("coco", "mpii"), ("h36m",), unscored=("coco", "h36m"))
    assert [one.protocol for one in sources.validation_2d()] == ["mpii_pckh"]
    assert sources.validation_3d() == ()
    assert [one.dataset for one in sources.data(sources.two_d)] == ["coco", "mpii"]
    with pytest.raises(ConfigError, match=r"--unscored lsp: expected data sets that are trained on: coco, h36m"):
        Sources(("coco",), ("h36m",), unscored=("lsp",))


def test_the_folder_of_an_unknown_data_set_is_refused() -> None:
    """Or ``data/lsp_extended`` would be trained on without a word."""
    with pytest.raises(ConfigError, match=r"^--root lspe=DIR: expected a data set \(mpii, .*\) or a module such as"):
        Sources(("lsp_extended",), roots={"lspe": "/there"})
    assert Sources(roots={"my_data.office": "/there", "coco": "/here"}).root("coco") == "/here"
