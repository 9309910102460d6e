"""Files that are damaged where nobody has looked yet: within an HDF5 file's data."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from headstart.datasets.files import load_yaml, open_h5
from headstart.errors import DataError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file whose keys can be read, and whose numbers cannot: bytes of the compressed chunk are others."""
    path = tmp_path / "annot.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("frame", data=np.arange(100), chunks=(100,), compression="gzip")
        place = file["frame"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place : place + 20] = bytes(20)
    path.write_bytes(content)
    return path


def test_data_that_cannot_be_read(path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"annot\.h5: expected frames, found unreadable HDF5 file"),
        open_h5(path, "frames") as file,
    ):
        file["frame"][()]


def test_a_key_that_is_missing(path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"annot\.h5: expected frames, found missing key: .*camera"),
        open_h5(path, "frames") as file,
    ):
        file["camera"]


def test_what_is_wrong_with_the_content_is_said_as_it_is(path: Path) -> None:
    with pytest.raises(DataError, match="expected frames from 1, found 0"), open_h5(path, "frames"):
        raise DataError(path, "frames from 1", found="0")


def test_yaml_is_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("names:\n  0: person\nkpt_shape: [17, 3]\n")
    assert load_yaml(path, "settings") == {"names": {0: "person"}, "kpt_shape": [17, 3]}


@pytest.mark.parametrize("text", ["names: [person", "a: b: c", "!!python/object/apply:os.getcwd []", "\x00"])
def test_what_is_no_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"data\.yaml: expected settings, found invalid YAML \(.*\)\. Check") as error:
        load_yaml(path, "settings")
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="no such file"):
        load_yaml(tmp_path / "none.yaml", "settings")
