"""Every data set has a split to be trained on and a protocol that scores it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart import datasets
from headstart.errors import ConfigError
from headstart.protocols import protocol
from headstart.sources import Sources, protocol_of, train_split


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


def test_a_data_set_without_a_protocol_says_where_one_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"'new' has no protocol in sources\._PROTOCOL"):
        protocol_of("new")


def test_what_is_unscored_is_trained_on_alone() -> None:
    sources = Sources(("coco", "mpii"), ("h36m",), unscored=("coco", "h36m"))
    assert [one.protocol for one in sources.validation_2d()] == ["mpii_pckh"]
    assert sources.validation_3d() == ()
    assert [one.dataset for one in sources.data(sources.two_d)] == ["coco", "mpii"]
    with pytest.raises(ConfigError, match=r"--unscored lsp: expected data sets that are trained on: coco, h36m"):
        Sources(("coco",), ("h36m",), unscored=("lsp",))
