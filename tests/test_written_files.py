"""Files that are replaced in one step: their content, what stays after a failure or a kill, and JSON."""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from headstart.files import beside, digest_of, put, remove_leftovers, replaced, write_atomically, write_json


def refuse_to_replace(*_: object) -> None:
    raise OSError("disk full")


class TestWriteJson:
    def test_what_lies_on_the_disk_to_the_byte(self, tmp_path: Path):
        write_json(tmp_path / "a.json", {"name": "größer", "of": (1, 2.5), "none": {}})
        wanted = b'{\n "name": "gr\\u00f6\\u00dfer",\n "of": [\n  1,\n  2.5\n ],\n "none": {}\n}'
        assert (tmp_path / "a.json").read_bytes() == wanted

    def test_on_one_line(self, tmp_path: Path):
        write_json(tmp_path / "a.json", {"of": [1, 2.5]}, indent=None)
        assert (tmp_path / "a.json").read_bytes() == b'{"of": [1, 2.5]}'

    def test_null_stands_for_what_json_has_no_number_for(self, tmp_path: Path):
        write_json(tmp_path / "a.json", [math.nan, {"of": (math.inf, -math.inf, 0.0)}], indent=None)
        assert (tmp_path / "a.json").read_text() == '[null, {"of": [null, null, 0.0]}]'

    def test_what_is_no_json_leaves_the_old_file(self, tmp_path: Path):
        write_json(tmp_path / "a.json", [1], indent=None)
        with pytest.raises(TypeError):
            write_json(tmp_path / "a.json", [2, object()])
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"[1]"]


class TestWriteAtomically:
    def test_replaces(self, tmp_path: Path):
        path = tmp_path / "file"
        write_atomically(path, b"old")
        write_atomically(path, b"new")
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.posix("permissions of others")
    def test_is_readable_by_others(self, tmp_path: Path):
        write_atomically(tmp_path / "file", b"new")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644

    def test_a_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, "replace", refuse_to_replace)
        with pytest.raises(OSError, match="disk full"):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_full_disk_is_named_by_the_file_that_was_wanted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space") as caught:
            write_atomically(tmp_path / "file", b"new")
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.posix("paths of so many characters, unless it is told to")
    def test_a_name_as_long_as_names_can_be(self, tmp_path: Path):
        write_atomically(tmp_path / ("x" * 255), b"new")
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]

    @pytest.mark.posix("links without a privilege")
    def test_a_link_stays_one(self, tmp_path: Path):
        (tmp_path / "far").mkdir()
        (tmp_path / "link").symlink_to("far/file")
        for content in (b"new", b"newer"):
            write_atomically(tmp_path / "link", content)
            assert (tmp_path / "far" / "file").read_bytes() == content
        assert (tmp_path / "link").is_symlink()

    @pytest.mark.posix("named pipes in folders")
    def test_a_pipe_is_written_to_and_stays_one(self, tmp_path: Path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        write_atomically(pipe, b"new")
        assert os.read(reader, 10) == b"new"
        os.close(reader)
        assert pipe.is_fifo()


class TestReplaced:
    def test_writers_of_one_file_are_in_nobodys_way(self, tmp_path: Path):
        """Each has a file of its own; the last one to end wins."""
        path = tmp_path / "model.onnx"
        with ExitStack() as second, replaced(path) as first:
            other = second.enter_context(replaced(path))
            assert other != first
            other.write_bytes(b"other")
            first.write_bytes(b"first")
            second.close()
            assert path.read_bytes() == b"other"
        assert path.read_bytes() == b"first"
        assert list(tmp_path.iterdir()) == [path]

    def test_after_an_error_the_file_is_the_old_one(self, tmp_path: Path):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        with pytest.raises(KeyboardInterrupt), replaced(path) as temporary:  # noqa: PT012
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt
        assert [(file, file.read_bytes()) for file in tmp_path.iterdir()] == [(path, b"old")]

    @pytest.mark.posix("permissions of others")
    @pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
    def test_who_may_read_it_is_what_the_user_has_set(self, tmp_path: Path, mask: int, mode: int):
        """Whatever a library gives its file, as safetensors, which writes for the owner alone."""
        before = os.umask(mask)
        try:
            with replaced(tmp_path / "file") as temporary:
                temporary.touch(0o600)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode

    def test_it_is_on_the_disk_before_it_has_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        seen = []
        fsync, replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", lambda handle: (seen.append("synced"), fsync(handle)))
        monkeypatch.setattr(os, "replace", lambda *names: (seen.append("replaced"), replace(*names)))
        with replaced(tmp_path / "file") as temporary:
            temporary.write_bytes(b"new")
        assert seen == ["synced", "replaced"]


class TestBeside:
    def test_what_is_not_put_is_deleted(self, tmp_path: Path):
        path = tmp_path / "deep" / "clip.mp4"
        for wanted in (False, True):
            with beside(path) as folder:
                assert folder.name.startswith(".headstart.")
                (folder / "a").write_bytes(b"new")
                (folder / "other").write_bytes(b"other")
                if wanted:
                    put(folder / "a", path)
            assert list(path.parent.iterdir()) == ([path] if wanted else [])

    @pytest.mark.parametrize(
        ("named", "says"), [(None, "file"), ("folder", "file"), ("other", "other")], ids=["none", "ours", "other"]
    )
    def test_an_error_names_the_file_that_was_wanted(self, tmp_path: Path, named: str | None, says: str):
        with pytest.raises(OSError, match="No space") as caught, beside(tmp_path / "file") as folder:  # noqa: PT012
            names = {"folder": str(folder / "new"), "other": str(tmp_path / "other")}
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), names.get(named or ""))
        assert Path(caught.value.filename).name == says


def test_what_killed_processes_left_of_a_file_is_deleted_after_an_hour(tmp_path: Path) -> None:
    """Not what is being written (the folder is then old, its file is not), and nothing of another file."""
    path, hour_ago = tmp_path / "last.safetensors", (time.time() - 3700,) * 2
    with ExitStack() as killed:
        old, written = (killed.enter_context(beside(path)) for _ in range(2))
        other = killed.enter_context(beside(tmp_path / "best.safetensors"))
        (old / ".tmpeltqKS").write_bytes(b"half")
        os.utime(old / ".tmpeltqKS", hour_ago)
        (written / "new").write_bytes(b"half")
        for folder in (old, written, other):
            os.utime(folder, hour_ago)
        remove_leftovers(path)
        assert {*tmp_path.iterdir()} == {written, other}


def test_a_digest_is_that_of_the_contents_in_their_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    digest = digest_of([one, other])
    assert len(digest) == 16
    assert digest != digest_of([other, one])
    one.rename(tmp_path / "renamed")
    assert digest == digest_of([tmp_path / "renamed", other])
