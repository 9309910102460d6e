"""A network in ONNX Runtime among threads and processes; test_export.py compares what it computes with PyTorch."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import ConfigError, DataError
from headstart.export import blobs, export_onnx
from headstart.networks import load_network
from headstart.onnx_network import OnnxNetwork, trained_part
from headstart.predict import PoseEstimator
from headstart.skeleton import BODY_18
from test_export import save
from tiny import MODEL

pytestmark = pytest.mark.skipif(
    find_spec("onnx") is None or find_spec("onnxruntime") is None, reason="needs headstart[onnx]"
)
CROPS = blobs(MODEL.input_size, 6).transpose(0, 2, 3, 1)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export_onnx(save(MODEL, tmp_path / "best.safetensors"), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_a_pickle_opens_the_file_again(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exported.parent)
    network = OnnxNetwork("model.onnx", threads=1, device="cpu")
    packed = pickle.dumps(network)
    monkeypatch.chdir("/")
    copy = pickle.loads(packed)
    assert (copy.path, copy.threads, copy.device) == (exported, 1, "cpu")
    assert copy.header == network.header
    for one, other in zip(network(CROPS), copy(CROPS)):
        np.testing.assert_array_equal(one, other)
    exported.unlink()
    with pytest.raises(DataError, match="no such file"):
        pickle.loads(packed)


@pytest.mark.parametrize("flip_test", [False, True])
def test_threads_may_share_one(exported: Path, flip_test: bool) -> None:
    network = OnnxNetwork(exported, threads=1)
    parts = [CROPS[[number % 6]] for number in range(32)]
    alone = [network(part, flip_test=flip_test) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda part: network(part, flip_test=flip_test), parts))
    for one, other in zip(alone, together):
        for wanted, found in zip(one, other):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


CUDA = "CUDAExecutionProvider"


def runtime_with_a_gpu(monkeypatch: pytest.MonkeyPatch, works: bool) -> list[Any]:
    """ONNX Runtime as onnxruntime-gpu is, with or without CUDA's libraries; what sessions are asked for is listed."""
    import onnxruntime

    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    def session(path: str, options: Any, providers: Sequence[Any]) -> Any:
        asked[:] = providers
        made = real(path, options, providers=["CPUExecutionProvider"])
        if works:
            made.get_providers = lambda: [CUDA, "CPUExecutionProvider"]
        return made

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    return asked


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:0", 0), ("cuda:3", 3)])
def test_the_gpu_is_the_one_that_was_asked_for(
    device: str, number: int, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = runtime_with_a_gpu(monkeypatch, works=True)
    OnnxNetwork(exported, device=device)
    assert asked == [(CUDA, {"device_id": number}), "CPUExecutionProvider"]


@pytest.mark.parametrize("device", [None, "cpu", "cpu:0"])
def test_a_cpu_is_no_gpu(device: str | None, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = runtime_with_a_gpu(monkeypatch, works=False)
    OnnxNetwork(exported, device=device)
    assert asked == ["CPUExecutionProvider"]


def test_a_gpu_that_cannot_be_used_is_not_silently_a_cpu(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime takes the CPU where CUDA's libraries are missing."""
    runtime_with_a_gpu(monkeypatch, works=False)
    with pytest.raises(ConfigError, match="device 'cuda': onnxruntime cannot use it"):
        OnnxNetwork(exported, device="cuda")


def test_the_number_of_a_gpu_is_a_number(exported: Path) -> None:
    with pytest.raises(ConfigError, match="device 'cuda:one': expected cpu, cuda or cuda:N"):
        OnnxNetwork(exported, device="cuda:one")


def test_joints_that_the_skeleton_does_not_have_are_no_training() -> None:
    assert trained_part(BODY_18, ("pelvis", "tail")).names == ("pelvis",)
    with pytest.raises(ConfigError, match="no joint of body_18 was labelled"):
        trained_part(BODY_18, ("tail",))


def test_it_is_loaded_with_so_many_threads(exported: Path) -> None:
    assert PoseEstimator.from_pretrained(exported, threads=1, flip_test=False).network.threads == 1  # type: ignore[attr-defined]
    assert load_network(str(exported)).threads is None  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="threads: expected >= 1, got 0"):
        load_network(exported, threads=0)


@pytest.mark.slow
def test_people_are_estimated_without_pytorch(exported: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import numpy as np; from headstart import PoseEstimator\n"
        "estimator = PoseEstimator.from_pretrained(sys.argv[1], flip_test=False)\n"
        "print(len(estimator.estimate(np.zeros((90, 90, 3), np.uint8), [[[0, 0, 80, 80], [5, 5, 60, 60]]])[0]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(exported)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
