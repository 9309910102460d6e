"""Numbers out of range: the message names the option as it is typed."""

from __future__ import annotations

import pytest

from headstart.cli.ranges import require_at_least
from headstart.errors import ConfigError


def test_the_first_option_below_the_least_is_named() -> None:
    require_at_least(1, jobs=1, upload_mb=7, limit=None)
    with pytest.raises(ConfigError, match=r"^--upload-mb: expected >= 1, got 0$"):
        require_at_least(1, jobs=1, upload_mb=0, waiting=-1, limit=None)
