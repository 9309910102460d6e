"""Where the index of a split is cached: under a name that changes with everything that the index was made from."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from headstart import datasets

# Of the data sets that there are adapters for.
_LABEL_SUFFIXES = (".json", ".mat", ".pkl", ".h5", ".csv", ".xml", ".c3d", ".calibration")
# Folders of pictures, which may have millions. Human3.6M's crops lie in one such folder a recording, and their labels
# beside them: the one file that is looked for in there.
_PICTURES = re.compile(r"images|imageFiles|imageFrames|imageSequence|IMG|train2017|val2017|videos|s_\d+_act_.*")
_BESIDE_CROPS = "s_*_act_*/matlab_meta.mat"


def cached_file(dataset: str, root: Path, split: str, version: int, cache: Path | None = None) -> Path:
    """The file, which need not exist yet; ``version`` is that of its format.

    ``cache`` defaults to ``$HEADSTART_CACHE`` or ``~/.cache/headstart``.
    """
    return (cache or _default_cache()) / f"{dataset}-{split}-{_key(dataset, root, split, version)}.arrow"


def _default_cache() -> Path:
    base = os.environ.get("HEADSTART_CACHE")
    return Path(base) if base else Path.home() / ".cache" / "headstart"


def _key(dataset: str, root: Path, split: str, version: int) -> str:
    """Changes when the code of any adapter, the joints, or the folder of the data set with its labels changes."""
    digest = hashlib.sha256(f"{version} {dataset} {split} {root.resolve()}".encode())
    package = Path(datasets.__file__).parent
    for source in [*sorted(package.glob("*.py")), package.parent / "skeleton.py"]:
        digest.update(source.read_bytes())
    for path in [root, *sorted(root.glob("*"))] if root.is_dir() else []:
        digest.update(f"{path.name} {path.stat().st_mtime_ns}".encode())
    for path in _labels(root):
        digest.update(f"{path.relative_to(root)} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _labels(root: Path) -> Iterator[Path]:
    """Files below ``root`` that hold labels, and folders of extracted frames; no folder of pictures is entered."""
    for base in (root, root / "images"):
        yield from sorted(base.glob(_BESIDE_CROPS))
    seen: set[str] = set()
    for folder, inside, names in os.walk(root, followlinks=True):
        if (place := os.path.realpath(folder)) in seen:  # a link that leads back up
            inside.clear()
            continue
        seen.add(place)
        # Adapters take the frames that have been extracted from a video: a folder's own time changes with those.
        yield from (path for path in sorted(Path(folder, "imageFrames").glob("*")) if path.is_dir())
        inside[:] = sorted(name for name in inside if not _PICTURES.fullmatch(name))
        labels = (Path(folder, name) for name in sorted(names) if name.lower().endswith(_LABEL_SUFFIXES))
        yield from (path for path in labels if path.is_file())
