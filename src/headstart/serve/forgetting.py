"""Bounds on what Gradio remembers of its clients, which it would keep of those who never come back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

#: Messages that one session may leave unread, and results among them, each with its photo. Of what waits in the queue
#: every change of its place is a message.
MOST_MESSAGES, MOST_RESULTS = 1000, 4
#: Requests of one session of which it may leave the results unread.
MOST_REQUESTS = 1000
#: Uploads of which the progress is remembered; those under way show none for a moment where all are forgotten.
MOST_UPLOADS = 1000


class LastSessions(OrderedDict[str, Any]):
    """Something of each session: of the ``most`` that were here last. ``kept``: what is kept of a value."""

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
    """Messages for a session; the oldest go where it does not read them."""

    def _init(self, maxsize: int) -> None:
        self._queue: deque[Any] = deque(maxlen=MOST_MESSAGES)

    def _put(self, item: Any) -> None:
        self._queue.append(item)
        while sum(message.msg == "process_completed" for message in self._queue) > MOST_RESULTS:
            self._queue.popleft()


class LastRequests(set[str]):
    """Identities of a session's requests; any of them goes where there are too many."""

    def add(self, element: str) -> None:
        """As that of a set."""
        if len(self) >= MOST_REQUESTS:
            self.pop()
        super().add(element)


def bound_queue(queue: Any, sessions: int) -> None:
    """Let Gradio's queue remember messages and requests of so many sessions."""
    queue.pending_messages_per_session = LastSessions(sessions, lambda _: Unread())
    queue.pending_event_ids_session = LastSessions(sessions, LastRequests)


def forget_uploads(page: Any) -> None:
    """Gradio's list of all files that ever came, and the progress of each, which some never ask for."""
    from gradio.routes import file_upload_statuses as progress

    page.upload_file_set.clear()
    # Not of its interface: another version may keep them elsewhere, which must not end the server.
    memories = [getattr(progress, name, {}) for name in ("_signals", "_statuses")]
    if len(memories[0]) > MOST_UPLOADS:
        for memory in memories:
            memory.clear()
