"""Adapters that are not part of this package: modules of their users, by the names that Python imports them by."""

import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from headstart.errors import ConfigError, first_line
from headstart.skeleton import Skeleton

_WHAT_IT_NEEDS = "expected SKELETON (a Skeleton), SPLITS (names) and annotations(root, split); docs/data-sets.md"


def imported(name: str) -> ModuleType:
    """The adapter ``package.module``, from wherever Python finds it or, last, from below the working folder.

    Raises :class:`ConfigError` for a module that is not there, cannot be imported, or is no adapter.
    """
    if not all(part.isidentifier() for part in name.split(".")):  # a path, say
        raise ConfigError(f"data set {name!r}: {_not_found(name)}")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # at the end: nothing in that folder may stand in for what is installed
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise ConfigError(f"data set {name!r}: {_what_failed(name, error)}") from error
    if not _is_adapter(module):
        raise ConfigError(f"data set {name!r}: {module.__file__ or module.__path__}: {_WHAT_IT_NEEDS}")
    return module


def _what_failed(name: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return _not_found(error.name)
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    # What was written by others is further in, the import itself further out.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if Path(frame.filename).stem == name.rpartition(".")[2]] or frames
    return f"{own[-1].filename}, line {own[-1].lineno}: {type(error).__name__}: {first_line(error)}"


def _not_found(module: str) -> str:
    return f"found no module {module}, installed or in {Path.cwd()}; my_data/office.py there is my_data.office"


def _is_adapter(module: ModuleType) -> bool:
    splits = getattr(module, "SPLITS", None)
    return (
        isinstance(getattr(module, "SKELETON", None), Skeleton)
        and isinstance(splits, (tuple, list))
        and all(isinstance(split, str) for split in splits)
        and callable(getattr(module, "annotations", None))
    )
