"""Small data sets in official formats, and a cache that no test shares with the user."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from headstart.index import AnnotationIndex, open_index
from sticks import write_h36m, write_lsp_extended

# A busy machine is not a failed test.
settings.register_profile("headstart", deadline=None)
settings.load_profile("headstart")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "posix(what): what the test needs and Windows has not; it is skipped there")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform == "win32":
        for item in items:
            for needed in item.iter_markers("posix"):
                item.add_marker(pytest.mark.skip(reason=f"Windows has no {needed.args[0]}"))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Tiny tensors: threads would only wait for each other, the more so where several tests run at once."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def stick_people_2d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LSP-Extended of 20 stick people; its split is ``all``."""
    return write_lsp_extended(tmp_path_factory.mktemp("sticks") / "lspet", 20)


@pytest.fixture(scope="session")
def stick_people_3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Human3.6M of stick people: 16 to train on, 8 to test (of which every 64th frame, 6, are scored)."""
    return write_h36m(tmp_path_factory.mktemp("sticks") / "h36m")


@pytest.fixture(scope="session")
def index_2d(stick_people_2d: Path) -> AnnotationIndex:
    return open_index("lsp_extended", stick_people_2d, "all")


@pytest.fixture(scope="session")
def index_3d(stick_people_3d: Path) -> AnnotationIndex:
    return open_index("h36m", stick_people_3d, "test")
