"""``--root NAME=DIR``: what is taken, and what is refused."""

from __future__ import annotations

import pytest

from headstart.cli.roots import parse_roots
from headstart.errors import ConfigError


def test_folders_by_data_set() -> None:
    given = ("mpii=data/mpii", "my_data.office=/there/a=b", "mpii=data/mpii")
    assert parse_roots(given) == {"mpii": "data/mpii", "my_data.office": "/there/a=b"}
    assert parse_roots(()) == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("mpii",), "expected NAME=DIR, got mpii"),
        (("mpii=",), "expected NAME=DIR, got mpii="),
        (("=data",), "expected NAME=DIR, got =data"),
        (("coco=a", "mpii=b", "coco=c"), "expected one folder for coco, got a and c"),
    ],
)
def test_what_is_refused(given: tuple[str, ...], expected: str) -> None:
    with pytest.raises(ConfigError, match=f"--root: {expected}$"):
        parse_roots(given)
