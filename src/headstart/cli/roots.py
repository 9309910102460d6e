"""``--root NAME=DIR``, as several verbs take it."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.errors import ConfigError


def parse_roots(given: Sequence[str]) -> dict[str, str]:
    """Data set -> folder; raises :class:`ConfigError` for anything but NAME=DIR, and for a name with two folders."""
    roots: dict[str, str] = {}
    for one in given:
        name, _, folder = one.partition("=")
        if not name or not folder:
            raise ConfigError(f"--root: expected NAME=DIR, got {' '.join(given)}")
        if roots.setdefault(name, folder) != folder:
            raise ConfigError(f"--root: expected one folder for {name}, got {roots[name]} and {folder}")
    return roots
