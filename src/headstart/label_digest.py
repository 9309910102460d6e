"""A digest of labels: what training and scoring read of a table of people, without its pictures.

Equal labels in the same order have the same digest, however their rows are dealt out to batches and files, and on
whichever machine: every NaN counts as the same, and so do 0 and -0. Only the columns asked for are read from a mapped
file, batch by batch: a packed split of tens of GB costs as much as its labels, some hundreds of bytes a person.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: Prefix of the digests that this version makes; those with another prefix are not compared with them
#: (:func:`headstart.results.form_of`). Raise its number with any change of what is hashed, or how.
FORM = "labels1"
#: The same where feet of synthetic people count, too. Earlier versions left them out, so theirs cannot be compared.
FORM_WITH_FEET = "labels1+feet"


def label_digest(
    table: pa.Table, columns: Sequence[str], lengths: Mapping[str, int] = MappingProxyType({}), form: str = FORM
) -> str:
    """``form``, a colon and 16 hexadecimal digits, which change with any value of the columns and the order of rows.

    Columns are of strings, numbers, or lists of numbers of one length. Of a list that is longer than ``lengths`` says,
    only so many values count.
    """
    parts: defaultdict[str, Any] = defaultdict(hashlib.sha256)
    for batch in filter(len, table.select(list(columns)).to_batches()):
        for name in columns:
            for part, content in _contents(batch[name], lengths.get(name)):
                parts[f"{name} {part}"].update(content)
    whole = hashlib.sha256(f"{table.num_rows}".encode())
    for part, found in sorted(parts.items()):
        whole.update(f" {part} {found.hexdigest()}".encode())
    return f"{form}:{whole.hexdigest()[:16]}"


def _contents(array: pa.Array, length: int | None) -> Iterator[tuple[str, Any]]:
    """(which part of a column, its bytes): of strings their lengths, too, or "ab", "c" would be "a", "bc"."""
    if pa.types.is_fixed_size_list(array.type):
        values = array.flatten()
        yield str(values.type), _plain(values.to_numpy().reshape(len(array), -1)[:, :length])
    elif pa.types.is_string(array.type):
        ends = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
        yield "lengths", np.diff(ends)
        # Arrow has no buffer at all where there is no text.
        yield "text", array.buffers()[2][int(ends[0]) : int(ends[-1])] if ends[-1] > ends[0] else b""
    else:
        yield str(array.type), _plain(array.to_numpy())


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers whose bytes say what they are: one NaN, one zero."""
    if values.dtype.kind != "f":
        return np.ascontiguousarray(values)
    values = values + values.dtype.type(0)  # -0 + 0 is 0
    values[np.isnan(values)] = np.nan
    return values
