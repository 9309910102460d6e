"""GPUs are dealt out among cells that run at the same time."""

from __future__ import annotations

import pytest
import torch

from headstart.devices import default_device, device_name, gpus_here, ready_on, visible_devices
from headstart.errors import ConfigError


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


@pytest.mark.parametrize(
    ("found", "asked_for_cpu", "device"),
    [
        (None, None, "cpu"),
        ("cuda", None, "cuda"),
        ("mps", None, "mps"),
        ("mps", "false", "mps"),
        ("mps", "true", "cpu"),
        ("cuda", "1", "cpu"),
    ],
)
def test_a_macs_gpu_is_a_default_too_unless_the_cpu_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, found: str | None, asked_for_cpu: str | None, device: str
) -> None:
    """Known defect: training and `eval` ran on it, but not `predict`, `serve` and the detector."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: found is not None)
    # A build for CUDA on a machine without a GPU names it all the same.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(found or "cuda"))
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    if asked_for_cpu is not None:
        monkeypatch.setenv("ACCELERATE_USE_CPU", asked_for_cpu)
    assert default_device() == device


@pytest.mark.parametrize(("kind", "name"), [("cpu", "cpu"), ("mps", "mps"), ("cuda", "NVIDIA H200")])
def test_results_name_the_model_of_a_gpu(monkeypatch: pytest.MonkeyPatch, kind: str, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    assert device_name(torch.device(kind)) == name


def test_a_network_is_ready_or_its_device_is_named() -> None:
    network = torch.nn.Dropout()
    assert ready_on(network, "cpu") is network
    assert not network.training
    with pytest.raises(ConfigError, match=r"^device 'gpu9': cannot be used by this torch: .*gpu9"):
        ready_on(network, "gpu9")
