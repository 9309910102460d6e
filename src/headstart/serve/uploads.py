"""Uploads while they are needed, and no longer."""

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
    """What one server takes on, so that no photo and no crowd can bring it down."""

    upload_bytes: int = 25_000_000
    """Of one photo."""
    pixels: int = 50_000_000
    """Of one photo, by its header: a phone's 48 megapixels pass, a decompression bomb does not."""
    folder_bytes: int = 500_000_000
    """Of all uploads at a time."""
    at_once: int = 1
    """Photos estimated at the same time; the others wait in a queue."""
    waiting: int = 32
    """Photos in that queue; further ones are told to try again."""
    keep_s: int = 600
    """Seconds after which an upload is deleted, if its page has not been closed before."""
    sessions: int = 1000
    """Pages whose photo is known as theirs; of those that were here longest ago it is deleted earlier."""


class Uploads:
    """Knows which file belongs to whom: a session keeps its last photo only, until its page is closed."""

    def __init__(self, folder: Path, sessions: int = Limits.sessions) -> None:
        """What lies in ``folder`` now, the examples, is nobody's and stays: somebody may well upload the same file."""
        self.folder, self.sessions = folder, sessions
        self.kept = frozenset(folder.rglob("*"))
        self._last: dict[str, Path] = {}
        self._awaited: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def path_of(self, upload: Any) -> Path:
        """The file that a request means; raises :class:`HeadstartError` for any but files that were uploaded here."""
        named = upload.get("path") if isinstance(upload, dict) else None
        if isinstance(named, str) and "\0" not in named and self.folder in (path := Path(named).resolve()).parents:
            return path
        raise HeadstartError("Expected a photo that was uploaded to this page.")

    def arrived(self, name: str) -> None:
        """An upload whose request is still to come, or waits in the queue: it stays, whoever is done with its like.

        Gradio names files by their content: the same photo uploaded twice is one file.
        """
        with self._lock:
            self._awaited[Path(name).resolve()] += 1

    def hold(self, session: str, path: Path) -> None:
        """This is the session's photo now; the one before goes, and that of a session too many."""
        with self._lock:
            before = self._last.pop(session, None)
            self._last[session] = path  # the last in its order
            if path != before:  # or it is asked about again, with other boxes
                self._awaited[path] -= 1
                self._awaited = +self._awaited
            oldest = next(iter(self._last)) if len(self._last) > self.sessions else None
        if before is not None and before != path:
            self._delete(before)
        if oldest is not None:
            self.forget(oldest)

    def forget(self, session: str) -> None:
        """The session has ended, or its photo is done with."""
        with self._lock:
            before = self._last.pop(session, None)
        if before is not None:
            self._delete(before)

    def sweep(self, age_s: float) -> None:
        """Delete what is older, whoever it belongs to, and the folders that Gradio makes for each photo."""
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
