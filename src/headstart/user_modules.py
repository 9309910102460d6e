"""Modules of users, by the names under which Python imports them: adapters, protocols, recipes, backbones, losses."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from headstart.errors import ConfigError, HeadstartError, first_line, shortened


@dataclass(frozen=True)
class UserFunction:
    """A function of a user, whose errors become :class:`ConfigError` with its file and line."""

    function: Callable[..., Any]
    file: str
    where: str
    """What it is for, and its file: the beginning of messages."""
    expected: str
    """What it should be, for messages."""

    def __call__(self, *values: Any, **named: Any) -> Any:
        """What the function returns."""
        with self.errors():
            return self.function(*values, **named)

    @contextmanager
    def errors(self, given: str = "") -> Iterator[None]:
        """Around what calls code of its module, ``given`` something."""
        try:
            yield
        except HeadstartError:
            raise
        except Exception as error:
            line = last_line(error, self.file)
            at = ", ".join(part for part in (f"line {line}" if line else "", given) if part)
            raise ConfigError(
                f"{self.where}, {at or 'when called'}: {type(error).__name__}: {first_line(error)}"
            ) from error


def user_function(name: str, what: str, expected: str) -> UserFunction:
    """The function ``package.module:function``; the module is found as by :func:`user_module`.

    Raises :class:`ConfigError`, which begins with ``what`` the function is for, if it is not there.
    """
    module_name, _, function_name = name.partition(":")
    module = user_module(module_name, what)
    where = f"{what}: {file_of(module)}"
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ConfigError(f"{where}: {expected}; found {shortened(repr(function))}")
    return UserFunction(function, file_of(module), where, expected)


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
