"""Where the index of a split is cached: under a name that changes with everything that the index was made from."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from headstart import datasets, skeleton

# Every other file may hold labels: adapters of users read what they like.
_NO_LABELS = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2", ".heic", ".exr"),
    *(".avi", ".mp4", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv"),
)
# Folders of pictures, which may have millions.
_PICTURES = re.compile(r"images|imageFiles|imageFrames|imageSequence|IMG|train2017|val2017|videos")
# Of Human3.6M's crops, thousands of them, a recording each: this one file beside the pictures is looked for.
_CROPS, _BESIDE_CROPS = re.compile(r"s_\d+_act_.*"), "matlab_meta.mat"
# Labels beside other pictures are looked for in folders of so many entries at most, and for so long: some 20 ms here,
# but seconds on a network's disk. docs/data-sets.md says so.
_MOST_IN_ONE, _MOST_IN_ALL = 20_000, 50_000


def cached_file(dataset: str, root: Path, split: str, version: int, cache: Path | None = None) -> Path:
    """The file, which need not exist yet; ``version`` is that of its format.

    ``cache`` defaults to ``$HEADSTART_CACHE`` or ``~/.cache/headstart``.
    """
    folder = cache or _default_cache()
    return folder / f"{dataset}-{split}-{_key(dataset, root, split, version, folder)}.arrow"


def _default_cache() -> Path:
    base = os.environ.get("HEADSTART_CACHE")
    return Path(base) if base else Path.home() / ".cache" / "headstart"


def _key(dataset: str, root: Path, split: str, version: int, cache: Path) -> str:
    """Changes when the code of any adapter here or beside the data set's own, the joints, or its folder changes."""
    digest = hashlib.sha256(f"{version} {dataset} {split} {root.resolve()}".encode())
    for source in [*datasets.code_of(dataset), Path(skeleton.__file__)]:
        digest.update(source.read_bytes())
    for path in [root.absolute(), *sorted(root.glob("*"))] if root.is_dir() else []:
        digest.update(f"{path.name} {path.stat().st_mtime_ns}".encode())
    below = os.path.join(os.path.abspath(root), "")
    for labels in _labels(Path(below), cache):
        try:
            found = os.stat(labels)
        except OSError:  # a link that leads nowhere
            continue
        digest.update(f"{labels[len(below) :]} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _labels(root: Path, cache: Path) -> Iterator[str]:
    """Files below ``root`` that may hold labels, and folders of extracted frames, always in the same order.

    ``cache`` is passed over where it lies below ``root``: each index written would ask for another one.
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
        # Adapters take the frames that have been extracted from a video: a folder's own time changes with those.
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

    No files at all of more than ``most`` entries: they would be those that the disk happens to list first.
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
    """What lies in a folder; nothing where that may not be read, as for the rest of the walk."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
