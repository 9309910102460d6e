"""Modules of users, by the names under which Python imports them: adapters, protocols and recipes of their own."""

import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from headstart.errors import ConfigError, HeadstartError, first_line


def user_module(name: str, what: str) -> ModuleType:
    """The module ``package.module``, from wherever Python finds it or, last, from below the working folder.

    Raises :class:`ConfigError`, which begins with ``what`` the module is for, if it is not there or cannot be imported.
    """
    if not all(part.isidentifier() for part in name.split(".")):  # a path, say
        raise ConfigError(f"{what}: {_not_found(name)}")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # at the end: a file there must not replace an installed module
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ConfigError(f"{what}: {_what_failed(name, error)}") from error


def file_of(module: ModuleType) -> str:
    """Where a module lies, for messages."""
    return module.__file__ or str(module.__path__)


def last_line(error: Exception, file: str) -> int | None:
    """The last line of ``file`` that an error passed; None if it passed none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def _what_failed(name: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return _not_found(error.name)
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    # The module's own last line: the frames after it are of libraries that it calls, those before it of the import.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    last = name.rpartition(".")[2]  # office.py or, of a package, office/__init__.py
    own = [frame for frame in frames if last in Path(frame.filename).with_suffix("").parts[-2:]] or frames
    kind = "" if isinstance(error, HeadstartError) else f"{type(error).__name__}: "
    return f"{own[-1].filename}, line {own[-1].lineno}: {kind}{first_line(error)}"


def _not_found(module: str) -> str:
    return f"found no module {module}, installed or in {Path.cwd()}; my_data/office.py there is my_data.office"
