"""The hub is asked once, and not at all for what is in its cache."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from headstart.errors import ConfigError
from headstart.hub import require_answer
from headstart.networks import load_network


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine has the address of the hub: a port of this one at which nobody listens."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )


def test_a_hub_that_cannot_be_reached_is_asked_once(unreachable: None) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"someone/poses: neither a file here .*the hub cannot be reached: ") as error:
        load_network("someone/poses")
    assert time.monotonic() - began < 10  # its library takes 23 s
    assert "\n" not in str(error.value)


def test_a_file_in_the_cache_needs_no_answer(
    unreachable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--someone--poses"
    for name in ("refs/main", "snapshots/1234/model.safetensors"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("1234")
    require_answer("someone/poses", "model.safetensors")
    with pytest.raises(ConnectionError):
        require_answer("someone/poses", "other.safetensors")
