"""Bounds on what Gradio remembers of its clients; without them it keeps everything of clients that never come back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

#: Messages that one session may leave unread, and results among them, each with its photo. Every move of a request
#: within the queue is a message.
MOST_MESSAGES, MOST_RESULTS = 1000, 4
#: Requests of one session whose results it may leave unread.
MOST_REQUESTS = 1000
#: Uploads whose progress is remembered. Beyond that all are forgotten; those under way show no progress for a moment.
MOST_UPLOADS = 1000


class LastSessions(OrderedDict[str, Any]):
    """A value for each session, of the ``most`` sessions used last. ``kept`` maps a value to what is stored."""

    def __init__(self, most: int, kept: Callable[[Any], Any]) -> None:
        super().__init__()
        self.most, self.kept = most, kept

    def __getitem__(self, session: str) -> Any:
        self.move_to_end(session)
        return super().__getitem__(session)

    def __setitem__(self, session: str, value: Any) -> None:
        super().__setitem__(session, self.kept(value))
        self.move_to_end(session)
        while len(self) > self.most:
            del self[next(iter(self))]


class Unread(asyncio.Queue[Any]):
    """Messages for a session; the oldest are dropped if it does not read them."""

    def _init(self, maxsize: int) -> None:
        self._queue: deque[Any] = deque(maxlen=MOST_MESSAGES)

    def _put(self, item: Any) -> None:
        self._queue.append(item)
        while sum(message.msg == "process_completed" for message in self._queue) > MOST_RESULTS:
            self._queue.popleft()


class LastRequests(set[str]):
    """Ids of a session's requests; an arbitrary one is dropped if there are too many."""

    def add(self, element: str) -> None:
        """Add an id, as ``set.add`` does."""
        if len(self) >= MOST_REQUESTS:
            self.pop()
        super().add(element)


def bound_queue(queue: Any, sessions: int) -> None:
    """Make Gradio's queue remember messages and requests of at most ``sessions`` sessions."""
    queue.pending_messages_per_session = LastSessions(sessions, lambda _: Unread())
    queue.pending_event_ids_session = LastSessions(sessions, LastRequests)


def forget_uploads(page: Any) -> None:
    """Clear Gradio's list of all files ever uploaded, and the progress of uploads, which some clients never read."""
    from gradio.routes import file_upload_statuses as progress

    page.upload_file_set.clear()
    # Not part of its interface: in another version they may be elsewhere, which must not stop the server.
    memories = [getattr(progress, name, {}) for name in ("_signals", "_statuses")]
    if len(memories[0]) > MOST_UPLOADS:
        for memory in memories:
            memory.clear()
