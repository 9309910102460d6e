"""A network in ONNX Runtime among threads and processes; test_export.py compares what it computes with PyTorch."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.export import blobs, export_onnx
from headstart.onnx_network import OnnxNetwork
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
