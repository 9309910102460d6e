"""A protocol aimed at other people than its own: its name says whose, and what only its own have is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.evaluate import aim
from headstart.protocols import PROTOCOLS

PROTOCOL = PROTOCOLS["lsp_extended_pck12"]


@pytest.mark.parametrize(("dataset", "split"), [(None, "train"), ("coco", None), ("coco", "train")])
def test_another_split_or_data_set_is_not_the_subset_of_the_protocol(dataset: str | None, split: str | None) -> None:
    aimed = aim(PROTOCOL, dataset, split)
    assert (aimed.dataset, aimed.split) == (dataset or "lsp_extended", split or "val")
    assert aimed.name == f"lsp_extended_pck12 on {aimed.dataset} {aimed.split}"
    assert "images 8501-9500" in PROTOCOL.describe()
    assert "8501" not in aimed.describe()


@pytest.mark.parametrize("split", [None, "val"])
def test_its_own_split_is_the_protocol_itself(split: str | None) -> None:
    assert aim(PROTOCOL, None, split) == PROTOCOL


def test_every_frame_of_another_data_set_is_scored() -> None:
    """One in 64 is a choice among the frames of Human3.6M's videos: of its other split too."""
    standard = PROTOCOLS["h36m_standard"]
    aimed, own = aim(standard, "my_data.office", "val"), aim(standard, None, "train")
    assert aimed.frame_stride == 1
    assert aimed.describe().startswith("Data set my_data.office, split val (all frames, not one in 64). 17 joints: ")
    assert own == replace(standard, name="h36m_standard on h36m train", split="train", subset="")
    assert own.describe().startswith("Data set h36m, split train (every 64th frame). 17 joints: ")


def test_recordings_of_another_data_set_have_no_scenes() -> None:
    """They are grouped by their subject, as those are whose scene is not known."""
    aimed = aim(PROTOCOLS["mpi_inf_3dhp"], "my_data.office", "val")
    assert aimed.scenes == ()
    assert aimed.group_by == ("action", "subject")
    assert "Also apart per action and per subject." in aimed.describe()
    assert aim(PROTOCOLS["mpi_inf_3dhp"], None, "train").scene("TS1") == "green screen"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_metric_is_the_same(name: str) -> None:
    """All else is as in the protocol."""
    protocol = PROTOCOLS[name]
    aimed = aim(protocol, "my_data.office", "val")
    changed = ("name", "dataset", "split", "subset", "frame_stride", "scenes", "group_by")
    assert replace(aimed, **{field: getattr(protocol, field) for field in changed}) == protocol
