"""Uploaded photos, deleted as soon as they are no longer needed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError


@dataclass(frozen=True)
class Limits:
    """Limits of one server, so that neither a photo nor many clients can exhaust it."""

    upload_bytes: int = 25_000_000
    """Largest photo in bytes."""
    pixels: int = 50_000_000
    """Largest photo in pixels, by its header: a phone's 48 megapixels pass, a decompression bomb does not."""
    folder_bytes: int = 500_000_000
    """Bytes of all uploads together."""
    at_once: int = 1
    """Photos estimated at the same time; the others wait in a queue."""
    waiting: int = 32
    """Photos in that queue; clients with further ones are asked to try again."""
    keep_s: int = 600
    """Seconds after which an upload is deleted, if its page has not been closed before."""
    sessions: int = 1000
    """Pages whose photo is kept; beyond that, the photo of the page used least recently is deleted."""


class Uploads:
    """Knows which session an upload belongs to: each keeps its last photo only, until its page is closed."""

    def __init__(self, folder: Path, sessions: int = Limits.sessions) -> None:
        """Files that are in ``folder`` already, the examples, are never deleted: a user may upload the same file."""
        self.folder, self.sessions = folder, sessions
        self.kept = frozenset(folder.rglob("*"))
        self._last: dict[str, Path] = {}
        self._awaited: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def path_of(self, upload: Any) -> Path:
        """The file that a request names; raises :class:`HeadstartError` for a path that is not below ``folder``."""
        named = upload.get("path") if isinstance(upload, dict) else None
        if isinstance(named, str) and "\0" not in named and self.folder in (path := Path(named).resolve()).parents:
            return path
        raise HeadstartError("Expected a photo that was uploaded to this page.")

    def arrived(self, name: str) -> None:
        """Note an upload whose request has not been handled yet: until then the file is not deleted.

        Gradio names files by their content, so the same photo uploaded twice is one file: another session may be done
        with it first.
        """
        with self._lock:
            self._awaited[Path(name).resolve()] += 1

    def hold(self, session: str, path: Path) -> None:
        """Make this the session's photo. Its previous one is deleted, and that of a session beyond the limit."""
        with self._lock:
            before = self._last.pop(session, None)
            self._last[session] = path  # now the last in the order of the dict
            if path != before:  # the same photo again has other boxes, and no new upload
                self._awaited[path] -= 1
                self._awaited = +self._awaited
            oldest = next(iter(self._last)) if len(self._last) > self.sessions else None
        if before is not None and before != path:
            self._delete(before)
        if oldest is not None:
            self.forget(oldest)

    def forget(self, session: str) -> None:
        """Delete the session's photo: the session has ended, or needs it no more."""
        with self._lock:
            before = self._last.pop(session, None)
        if before is not None:
            self._delete(before)

    def sweep(self, age_s: float) -> None:
        """Delete files older than ``age_s`` seconds, whoever they belong to, and the empty folders around them."""
        for path in list(self.folder.rglob("*")):
            try:
                if time.time() - path.stat().st_mtime <= age_s:
                    continue
                if path.is_file():
                    self._delete(path, even_held=True)
                elif not any(path.iterdir()):
                    path.rmdir()
            except OSError:  # gone already, or a photo has just come into the folder
                continue

    def _delete(self, path: Path, even_held: bool = False) -> None:
        with self._lock:
            if even_held:
                self._awaited.pop(path, None)
            held = not even_held and (path in self._last.values() or self._awaited[path] > 0)
        if not held and path not in self.kept and self.folder in path.parents:
            path.unlink(missing_ok=True)
