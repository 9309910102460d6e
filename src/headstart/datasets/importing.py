"""Adapters that are not part of this package: users' modules, by the names under which Python imports them."""

from types import ModuleType

from headstart.errors import ConfigError
from headstart.skeleton import Skeleton
from headstart.user_modules import file_of, user_module

_WHAT_IT_NEEDS = "expected SKELETON (a Skeleton), SPLITS (names) and annotations(root, split); docs/data-sets.md"


def imported(name: str) -> ModuleType:
    """The adapter ``package.module``, as :func:`~headstart.user_modules.user_module` finds it.

    Raises :class:`ConfigError` for a module that is not there, cannot be imported, or is no adapter.
    """
    module = user_module(name, f"data set {name!r}")
    if not _is_adapter(module):
        raise ConfigError(f"data set {name!r}: {file_of(module)}: {_WHAT_IT_NEEDS}")
    return module


def _is_adapter(module: ModuleType) -> bool:
    splits = getattr(module, "SPLITS", None)
    return (
        isinstance(getattr(module, "SKELETON", None), Skeleton)
        and isinstance(splits, (tuple, list))
        and all(isinstance(split, str) for split in splits)
        and callable(getattr(module, "annotations", None))
    )
