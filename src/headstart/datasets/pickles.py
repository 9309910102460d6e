"""Reading other people's pickles without running their code.

A pickle is a program: it names functions by module and name and calls them. Here it may name numpy's array
reconstruction, dtypes and scalars, byte strings and plain containers, each admitted by exact module *and* name.
Nothing else under numpy is admitted: ``numpy.savetxt`` writes files, ``numpy.f2py`` runs compilers.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from headstart.datasets.files import require_file
from headstart.errors import DataError


class _EncodeLatin1:
    """``_codecs.encode`` as Python 3 uses it for bytes in old protocols: latin1 only, no look-up of codecs.

    An object without attributes rather than a function, because a pickle can set attributes of what it names.
    """

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
        return text.encode("latin1")


class _EmptyBytes:
    """``bytes()`` as old protocols write ``b""``; no arguments, so that no file can ask for gigabytes of zeros."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


class _FromBuffer:
    """``numpy.core.numeric._frombuffer``: how protocol 5 stores contiguous arrays."""

    __slots__ = ()

    def __call__(self, buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
        return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _admitted() -> dict[tuple[str, str], Any]:
    """(module, name) -> what a pickle gets for it; both spellings of numpy's private package (1.x and 2.x)."""
    reconstruct: Callable[..., Any] = np.zeros(0).__reduce__()[0]  # type: ignore[assignment]
    scalar: Callable[..., Any] = np.float64(0).__reduce__()[0]  # type: ignore[assignment]
    names: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _EncodeLatin1(),
        ("collections", "OrderedDict"): OrderedDict,
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = reconstruct
        names[f"{core}.multiarray", "scalar"] = scalar
        names[f"{core}.numeric", "_frombuffer"] = _FromBuffer()
    for builtin in ("builtins", "__builtin__"):
        names |= {(builtin, "set"): set, (builtin, "frozenset"): frozenset, (builtin, "bytes"): _EmptyBytes()}
    return names


_ADMITTED = _admitted()


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that knows the names of :data:`_ADMITTED` only."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise _ForbiddenName(f"{module}.{name}")
        return _ADMITTED[module, name]


class _ForbiddenName(pickle.UnpicklingError):
    """A name that is not admitted."""


def load_pickle(path: Path, expected: str) -> Any:
    """The plain data in a pickle of protocol 0 to 5; Python 2 strings (bytes) are read as latin1.

    ``expected`` says for the error message what the file should hold. Raises :class:`DataError` if the file is
    missing, truncated, or names anything but arrays, numbers, strings and containers. The file's values are not
    checked: arrays may have any shape and type.
    """
    with require_file(path, expected).open("rb") as stream:
        try:
            return _PlainUnpickler(stream, encoding="latin1").load()
        except _ForbiddenName as error:
            fix = "The file is not what the data set publishes: it could run code, so it was not loaded"
            raise DataError(path, expected, found=f"the forbidden name {error}", fix=fix) from error
        except Exception as error:  # damaged pickles raise errors of almost any type
            found = f"unreadable pickle ({type(error).__name__}: {error})"
            raise DataError(path, expected, found=found, fix="Check that the download is complete") from error
