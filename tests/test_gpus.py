"""GPUs are dealt out among cells that run at the same time."""

from __future__ import annotations

import pytest
import torch

from headstart.gpus import gpus_here, visible_devices


@pytest.mark.parametrize(
    ("slot", "processes", "gpus", "devices"),
    [
        (0, 1, [], None),
        (0, 1, ["0", "1"], "0"),
        (1, 1, ["0", "1"], "1"),
        (2, 1, ["0", "1"], "0"),
        (1, 2, ["4", "5", "6", "7"], "6,7"),
        (1, 2, ["0", "1", "2"], "2,0"),
        (1, 2, ["0"], "0"),
        (1, 1, ["GPU-a", "GPU-b"], "GPU-b"),
    ],
)
def test_each_slot_has_gpus_of_its_own(slot: int, processes: int, gpus: list[str], devices: str | None) -> None:
    assert visible_devices(slot, processes, gpus) == devices


@pytest.mark.parametrize(
    ("named", "count", "gpus"),
    [(None, 0, []), (None, 2, ["0", "1"]), ("3, 5", 2, ["3", "5"]), ("", 0, []), ("2,-1", 1, ["2"])],
)
def test_only_gpus_that_may_be_used_are_dealt_out(
    monkeypatch: pytest.MonkeyPatch, named: str | None, count: int, gpus: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus_here() == gpus
