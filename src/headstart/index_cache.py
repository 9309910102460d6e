"""Where the index of a split is cached: under a name that changes with everything that the index was made from."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from headstart import datasets, skeleton
from headstart.errors import DataError
from headstart.locks import one_at_a_time

# Every other file may hold labels: adapters of users read what they like.
_NO_LABELS = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2", ".heic", ".exr"),
    *(".avi", ".mp4", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv"),
)
# Folders of pictures, which may have millions.
_PICTURES = re.compile(r"images|imageFiles|imageFrames|imageSequence|IMG|train2017|val2017|videos")
# Human3.6M's crops have thousands of folders, one a recording: only this file in each is looked at.
_CROPS, _BESIDE_CROPS = re.compile(r"s_\d+_act_.*"), "matlab_meta.mat"
# Folders of pictures are searched for labels only up to these numbers of entries, in one folder and in all together:
# some 20 ms on a local disk, but seconds on a network's. docs/data-sets.md says so.
_MOST_IN_ONE, _MOST_IN_ALL = 20_000, 50_000


def cached_file(dataset: str, root: Path, split: str, version: int, cache: Path | None = None) -> Path:
    """The file, which need not exist yet; ``version`` is that of its format.

    ``cache`` defaults to ``$HEADSTART_CACHE`` or ``~/.cache/headstart``.
    """
    folder = cache or _default_cache()
    return folder / f"{dataset}-{split}-{_key(dataset, root, split, version, folder)}.arrow"


def make_once(file: Path, write: Callable[[], object]) -> None:
    """Make the file by ``write``, unless another process is making it: then wait for that one."""
    with one_at_a_time(file.with_name(f".{file.stem}.lock")):
        if file.is_file():
            return
        try:
            write()
        except DataError:
            if not file.is_file():  # Windows replaces none that another process has made meanwhile, and mapped
                raise


def _default_cache() -> Path:
    base = os.environ.get("HEADSTART_CACHE")
    return Path(base) if base else Path.home() / ".cache" / "headstart"


def _key(dataset: str, root: Path, split: str, version: int, cache: Path) -> str:
    """16 hexadecimal digits that change with the adapters, the joints, the root and all files that may hold labels."""
    digest = hashlib.sha256(f"{version} {dataset} {split} {root.resolve()}".encode())
    for source in [*datasets.code_of(dataset), Path(skeleton.__file__)]:
        digest.update(source.read_bytes())
    own = os.path.realpath(cache)  # each index written there changes its time
    for path in [root.absolute(), *sorted(root.glob("*"))] if root.is_dir() else []:
        if os.path.realpath(path) != own and (found := _stat(path)):
            digest.update(f"{path.name} {found.st_mtime_ns}".encode())
    below = os.path.join(os.path.abspath(root), "")
    for labels in _labels(Path(below), cache):
        if found := _stat(labels):
            digest.update(f"{labels[len(below) :]} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _stat(path: str | Path) -> os.stat_result | None:
    """None for a link whose target is missing, and for a file that has been removed since it was listed."""
    try:
        return os.stat(path)
    except OSError:
        return None


def _labels(root: Path, cache: Path) -> Iterator[str]:
    """Files below ``root`` that may hold labels, and folders of extracted frames, always in the same order.

    ``cache`` is skipped if it lies below ``root``: otherwise each index written there would require another one.
    """
    for base in (root, root / "images"):
        yield from _beside_crops(base)
    seen = {os.path.realpath(cache)}
    left = _MOST_IN_ALL
    for folder, inside, names in os.walk(root, followlinks=True):
        if (place := os.path.realpath(folder)) in seen:  # a link that leads back up, or the cache
            inside.clear()
            continue
        seen.add(place)
        # Adapters yield the frames that have been extracted from a video: the time of their folder tells of new ones.
        yield from (str(path) for path in sorted(Path(folder, "imageFrames").glob("*")) if path.is_dir())
        pictures = sorted(name for name in inside if _PICTURES.fullmatch(name))
        inside[:] = sorted(name for name in inside if not _is_hidden(name) and not _is_of_pictures(name))
        yield from (os.path.join(folder, name) for name in sorted(names) if _may_hold_labels(name))
        for name in pictures:
            found, listed = _beside_pictures(os.path.join(folder, name), min(left, _MOST_IN_ONE))
            left -= listed
            yield from found


def _may_hold_labels(name: str) -> bool:
    return not _is_hidden(name) and not name.lower().endswith(_NO_LABELS)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _is_of_pictures(name: str) -> bool:
    return bool(_PICTURES.fullmatch(name) or _CROPS.fullmatch(name))


def _beside_crops(base: Path) -> list[str]:
    names = sorted(name for name in os.listdir(base) if _CROPS.fullmatch(name)) if base.is_dir() else []
    return [os.path.join(base, name, _BESIDE_CROPS) for name in names]


def _beside_pictures(folder: str, most: int) -> tuple[list[str], int]:
    """Label files in a folder of pictures and below it, sorted, and how many entries were listed.

    No files at all if there are more than ``most`` entries: which of them come first depends on the disk.
    """
    found, folders, listed = list[str](), [folder], 0
    while folders:
        for entry in _entries(folders.pop()):
            if listed == most:
                return [], listed
            listed += 1
            if entry.is_dir(follow_symlinks=False):
                folders += [entry.path] if not _is_hidden(entry.name) and not _CROPS.fullmatch(entry.name) else []
            elif _may_hold_labels(entry.name):
                found.append(entry.path)
    return sorted(found), listed


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Entries of a folder; none if it may not be read, as ``os.walk`` does."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
