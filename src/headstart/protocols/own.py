"""Protocols of users: ``my_data.office:joints`` is the one named joints in ``PROTOCOLS`` of ``my_data/office.py``."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from headstart.errors import ConfigError, shortened
from headstart.protocols.definition import Protocol
from headstart.user_modules import file_of, user_module


def is_own(name: str) -> bool:
    """Whether it is the name of a user's protocol, or of the module alone."""
    return isinstance(name, str) and bool({*name} & {*".:"})


def own_protocol(name: str) -> Protocol:
    """The protocol ``module:name``, which has this whole name; raises :class:`ConfigError` naming those there are."""
    found = own_protocols(name.partition(":")[0], f"protocol {name!r}")
    if name not in found:
        raise ConfigError(f"protocol {name!r}: expected one of {', '.join(found)}")
    return found[name]


def own_protocols(module_name: str, what: str) -> dict[str, Protocol]:
    """``module:name`` -> protocol of a module; raises :class:`ConfigError`, which begins with ``what``."""
    module = user_module(module_name, what)
    given = getattr(module, "PROTOCOLS", None)
    where, wanted = f"{what}: {file_of(module)}", "PROTOCOLS = (Protocol(...), ...); docs/scoring.md"
    if not isinstance(given, (tuple, list)) or not given:
        raise ConfigError(f"{where}: expected {wanted}; found {'none' if given is None else shortened(repr(given))}")
    if others := [one for one in given if not isinstance(one, Protocol)]:
        raise ConfigError(f"{where}: expected {wanted}; found {shortened(repr(others[0]))} in it")
    for name, times in Counter(one.name for one in given).items():
        if times > 1 or not re.fullmatch(r"[\w.-]+", name):
            expected = "expected protocols with different names of letters, digits, _, - and ."
            raise ConfigError(f"{where}: PROTOCOLS: {expected}; found {name!r}{' twice' if times > 1 else ''}")
    return {f"{module_name}:{one.name}": replace(one, name=f"{module_name}:{one.name}") for one in given}
