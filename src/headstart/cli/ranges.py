"""Numbers that options may have, as several verbs take them."""

from __future__ import annotations

from headstart.errors import ConfigError


def require_at_least(least: int, **options: int | None) -> None:
    """Raise :class:`ConfigError` naming an option that is given and below ``least``."""
    for name, value in options.items():
        if value is not None and value < least:
            raise ConfigError(f"--{name.replace('_', '-')}: expected >= {least}, got {value}")
