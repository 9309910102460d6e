"""``--root NAME=DIR``, as several verbs take it."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.errors import ConfigError


def parse_roots(given: Sequence[str]) -> dict[str, str]:
    """Data set -> folder; raises :class:`ConfigError` for anything but NAME=DIR."""
    pairs = [one.partition("=") for one in given]
    if any(not folder for _, _, folder in pairs):
        raise ConfigError(f"--root: expected NAME=DIR, got {' '.join(given)}")
    return {name: folder for name, _, folder in pairs}
