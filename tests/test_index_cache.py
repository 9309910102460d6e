"""Under which name an index is cached: another when labels change, wherever they lie, and otherwise the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart import index_cache, locks
from headstart.index_cache import cached_file, make_once
from headstart.locks import locked_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in ("images/train", "labels/deep", "train2017"):
        (folder / name).mkdir(parents=True)
    for number in range(3):
        (folder / "images" / f"{number}.jpg").write_bytes(b"a picture")
        (folder / "images" / "train" / f"{number}.jpg").write_bytes(b"a picture")
    return folder


def name_of(root: Path, cache: str = "cache") -> str:
    return cached_file("lsp", root, "train", 1, root.parent / cache).name


def edit(path: Path, content: str) -> None:
    """Write in place, which leaves the folder's own time as it was."""
    before = path.parent.stat()
    path.write_text(content)
    os.utime(path, ns=(len(content), len(content)))
    os.utime(path.parent, ns=(before.st_atime_ns, before.st_mtime_ns))


SUFFIXES = (
    *("npz", "npy", "txt", "parquet", "yaml", "yml", "jsonl", "hdf5", "h5", "arrow", "feather", "tsv", "csv", "json"),
    *("mat", "pkl", "xml", "c3d", "calibration", "trc", "bvh", "toml", "sqlite", "gz", "zip", "none-of-these", ""),
)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("folder", ["labels/deep", "images", "images/train"])
def test_labels_edited_in_place_ask_for_another_index(root: Path, folder: str, suffix: str) -> None:
    """Known defect: of some kinds, and of all those that lie among pictures, nobody noticed."""
    labels = (root / folder / "labels").with_suffix(f".{suffix}" if suffix else "")
    edit(labels, "1")
    first = name_of(root)
    assert name_of(root) == first
    edit(labels, "22")
    assert name_of(root) != first


@pytest.mark.parametrize("name", ["0.jpg", "0.JPG", "0.jpeg", "0.png", "0.webp", "0.tif", "film.avi", "film.MP4"])
@pytest.mark.parametrize("folder", ["labels/deep", "images", "images/train", "train2017"])
def test_pictures_and_videos_are_no_labels(root: Path, folder: str, name: str) -> None:
    edit(root / folder / name, "1")
    first = name_of(root)
    edit(root / folder / name, "22")
    assert name_of(root) == first


@pytest.mark.parametrize("name", ["labels/.DS_Store", "labels/.git/index", "images/.thumbnails/index"])
def test_hidden_files_are_no_labels(root: Path, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    edit(root / name, "1")
    first = name_of(root)
    edit(root / name, "22")
    assert name_of(root) == first


@pytest.mark.parametrize("cache", ["data/cache", "data/labels/deep/cache"])
def test_a_cache_among_the_labels_does_not_ask_for_another(root: Path, cache: str) -> None:
    """Or every start would write one, which asks for the next."""
    (root.parent / cache).mkdir()
    first = name_of(root, cache)
    (root.parent / cache / first).write_bytes(b"an index")
    os.utime(root.parent / cache, ns=(7, 7))
    assert name_of(root, cache) == first


class TestManyPictures:
    """Two pictures and the labels are three entries."""

    @pytest.fixture(autouse=True)
    def _labels(self, tmp_path: Path) -> None:
        for folder in ("images", "train2017"):
            (tmp_path / folder).mkdir()
            for name in ("0.jpg", "1.jpg", "labels.json"):
                (tmp_path / folder / name).write_text("1")

    def notices(self, root: Path, labels: str) -> bool:
        """Whether an edit in place asks for another index."""
        first = name_of(root)
        edit(root / labels, "22")
        return name_of(root) != first

    @pytest.mark.parametrize(("most", "noticed"), [(3, True), (2, False)])
    def test_a_large_folder_is_not_listed_to_its_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, noticed: bool
    ) -> None:
        monkeypatch.setattr(index_cache, "_MOST_IN_ONE", most)
        assert self.notices(tmp_path, "images/labels.json") == noticed

    @pytest.mark.parametrize(("most", "noticed"), [(6, True), (5, False)])
    def test_nor_are_all_of_many_folders(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, noticed: bool
    ) -> None:
        monkeypatch.setattr(index_cache, "_MOST_IN_ALL", most)
        assert self.notices(tmp_path, "train2017/labels.json") == noticed
        edit(tmp_path / "images" / "labels.json", "")
        assert self.notices(tmp_path, "images/labels.json"), "the first folder had its share"

    def test_no_more_entries_are_asked_for_than_may_be(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a million pictures, that is: what costs time is to list them."""
        listed: list[str] = []
        entries = index_cache._entries
        monkeypatch.setattr(
            index_cache, "_entries", lambda folder: (listed.append(e.name) or e for e in entries(folder))
        )
        monkeypatch.setattr(index_cache, "_MOST_IN_ONE", 1)
        name_of(tmp_path)
        assert len(listed) == 4, "one that counts and one too many of each folder"

    def test_whatever_the_disk_lists_first_the_name_is_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entries = index_cache._entries
        (tmp_path / "images" / "a.txt").touch()
        for most in (3, 4):
            monkeypatch.setattr(index_cache, "_MOST_IN_ONE", most)
            names = set()
            for order in (list, lambda found: sorted(found, key=lambda e: e.name), lambda found: list(found)[::-1]):
                monkeypatch.setattr(index_cache, "_entries", lambda folder, order=order: iter(order(entries(folder))))
                names.add(name_of(tmp_path))
            assert len(names) == 1

    def test_the_folders_own_time_forces_a_new_index(self, tmp_path: Path) -> None:
        """What docs/data-sets.md says to do about labels that are not looked at: touch the folder."""
        first = name_of(tmp_path)
        os.utime(tmp_path, ns=(7, 7))
        assert name_of(tmp_path) != first


def test_one_folder_has_one_index_however_it_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("labels/a.npz", "images/b.npz", "images/s_09_act_02/matlab_meta.mat", "S1/imageFrames/video_0/0.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    monkeypatch.chdir(root)
    assert {cached_file("lsp", named, "train", 1, root.parent).name for named in (Path(), Path("../data"), root)} == {
        name_of(root)
    }


def test_a_folder_that_may_not_be_read_is_passed_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("train"):
            raise PermissionError(13, "Permission denied", folder)
        return listed(folder)

    whole = name_of(root)
    monkeypatch.setattr(index_cache.os, "scandir", refuse)
    assert name_of(root) == whole, "no labels lay there"


@pytest.mark.posix("links without a privilege")
@pytest.mark.parametrize("folder", [".", "labels"])
def test_a_link_whose_target_is_missing_is_passed_over(root: Path, folder: str) -> None:
    (root / folder / "link").symlink_to(root.parent / "later")
    first = name_of(root)
    assert name_of(root) == first
    (root.parent / "later").touch()
    assert name_of(root) != first, "now there is a file"


@pytest.mark.posix("links without a privilege")
def test_a_picture_folder_that_links_to_itself_is_left_again(root: Path) -> None:
    (root / "images" / "again").symlink_to(root / "images")
    edit(root / "images" / "labels.json", "1")
    first = name_of(root)
    edit(root / "images" / "labels.json", "22")
    assert name_of(root) != first


def test_a_file_that_another_process_makes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processes of torchrun read all labels, each for itself, and the last one's index was kept."""
    file, other = tmp_path / "cache" / "lsp-train.arrow", locked_file(tmp_path / "cache" / ".lsp-train.lock")
    assert other.__enter__()

    def sleep(seconds: float) -> None:
        file.write_text("made by the other one")
        other.__exit__(None, None, None)

    monkeypatch.setattr(locks.time, "sleep", sleep)
    make_once(file, lambda: file.write_text("made here"))
    assert file.read_text() == "made by the other one"
    assert list(file.parent.iterdir()) == [file]


def test_a_file_is_made_without_litter(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "lsp-train.arrow"
    make_once(file, lambda: file.write_text("made here"))
    assert file.read_text() == "made here"
    assert list(file.parent.iterdir()) == [file]
