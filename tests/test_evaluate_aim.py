"""A protocol aimed at other people than its own says no longer who its own are."""

from __future__ import annotations

import pytest

from headstart.evaluate import aim
from headstart.protocols import PROTOCOLS

PROTOCOL = PROTOCOLS["lsp_extended_pck12"]


@pytest.mark.parametrize(("dataset", "split"), [(None, "train"), ("coco", None), ("coco", "train")])
def test_another_split_or_data_set_is_not_the_subset_of_the_protocol(dataset: str | None, split: str | None) -> None:
    aimed = aim(PROTOCOL, dataset, split)
    assert (aimed.dataset, aimed.split) == (dataset or "lsp_extended", split or "val")
    assert "images 8501-9500" in PROTOCOL.describe()
    assert "8501" not in aimed.describe()


@pytest.mark.parametrize("split", [None, "val"])
def test_its_own_split_is_the_protocol_itself(split: str | None) -> None:
    assert aim(PROTOCOL, None, split) == PROTOCOL
