"""Pickles of other people: data is read, code is refused."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.datasets.pickles import load_pickle
from headstart.errors import DataError

RECORD: dict[str, Any] = {
    "name": "walk",
    "points": np.arange(6, dtype=np.float64).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "empty": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False]),
    "ragged": np.array([None, "a", np.ones(2)], dtype=object),
    "scalar": np.float32(2.5),
    "whole": np.int64(7),
    "bytes": b"\x00\xff",
    "no_bytes": b"",
    "set": {1, 2},
    "frozen": frozenset({3}),
    "ordered": OrderedDict(b=1, a=2),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_reads_arrays_scalars_and_containers(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps([RECORD], protocol))
    (loaded,) = load_pickle(path, "a list of records")
    assert loaded.keys() == RECORD.keys()
    for name in ("points", "fortran", "empty", "flags"):
        np.testing.assert_array_equal(loaded[name], RECORD[name])
        assert loaded[name].dtype == RECORD[name].dtype
    assert loaded["ragged"][1] == "a"
    np.testing.assert_array_equal(loaded["ragged"][2], np.ones(2))
    for name in ("name", "scalar", "whole", "bytes", "no_bytes", "set", "frozen", "ordered"):
        assert loaded[name] == RECORD[name]
    assert list(loaded["ordered"]) == ["b", "a"]


def test_python_2_pickle_of_numpy_1(tmp_path: Path) -> None:
    """Protocol 2 as Python 2 wrote it: byte strings for text and for the array's memory."""
    memory = struct.pack("<3d", 1.0, -2.0, 3.5)
    shape = b"K\x03\x85"
    dtype = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01" + shape + dtype + b"\x89U" + bytes([len(memory)]) + memory + b"tb"
    )
    path = tmp_path / "old.pkl"
    path.write_bytes(b"\x80\x02}(U\x08sequenceU\x05caf\xe9sU\x01x" + array + b"u.")
    loaded = load_pickle(path, "a sequence")
    assert loaded["sequence"] == "caf\xe9s"
    np.testing.assert_array_equal(loaded["x"], [1.0, -2.0, 3.5])


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_both_spellings_of_the_private_package(tmp_path: Path, core: str) -> None:
    content = pickle.dumps((np.arange(3), np.float64(1.5)), 2)
    for spelling in (b"numpy._core.", b"numpy.core."):
        content = content.replace(b"c" + spelling + b"multiarray", b"c" + core.encode() + b".multiarray")
    path = tmp_path / "data.pkl"
    path.write_bytes(content)
    array, scalar = load_pickle(path, "an array")
    np.testing.assert_array_equal(array, [0, 1, 2])
    assert scalar == 1.5


def _short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def _call(module: str, name: str, argument: str) -> bytes:
    """Protocol 4: name a global through the stack (dotted names resolve there), call it with one string."""
    return b"\x80\x04" + _short(module) + _short(name) + b"\x93" + _short(argument) + b"\x85R."


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "bytearray"),
        ("__builtin__", "eval"),
        ("numpy", "savetxt"),
        ("numpy", "load"),
        ("numpy", "load.__class__"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "dtype.__class__"),
        ("numpy.f2py", "compile"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy._core.multiarray", "_reconstruct.__self__"),
        ("numpy.testing", "runstring"),
        ("collections", "defaultdict"),
        ("copyreg", "_reconstructor"),
        ("_codecs", "lookup"),
    ],
)
def test_forbidden_names_are_refused_and_named(tmp_path: Path, module: str, name: str) -> None:
    path = tmp_path / "bad.pkl"
    target = tmp_path / "written"
    path.write_bytes(_call(module, name, f"touch {target}"))
    with pytest.raises(DataError) as caught:
        load_pickle(path, "records")
    assert str(path) in str(caught.value)
    assert f"forbidden name {module}.{name}" in str(caught.value)
    assert not target.exists()


class _Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_runs_in_any_protocol(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "written"
    for number, attack in enumerate((_Runs(os.system, f"touch {target}"), _Runs(np.savetxt, str(target), [1.0]))):
        path = tmp_path / f"bad{number}.pkl"
        path.write_bytes(pickle.dumps({"points": attack}, protocol))
        with pytest.raises(DataError, match="forbidden name"):
            load_pickle(path, "records")
        assert not target.exists()


def test_other_codecs_and_sized_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.pkl"
    for content in (
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
        b"c__builtin__\nbytes\n(K\x09tR.",
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="unreadable pickle"):
            load_pickle(path, "records")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_truncated_and_foreign_files(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "cut.pkl"
    whole = pickle.dumps(RECORD, protocol)
    for length in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.pkl: expected records"):
            load_pickle(path, "records")
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"cut\.pkl: expected records"):
        load_pickle(path, "records")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_pickle(tmp_path / "none.pkl", "records")
