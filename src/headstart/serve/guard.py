"""What stands before the page: which requests reach Gradio, how large they may be, and headers for the browser."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger("headstart")

#: First parts of the paths that the page and programs need, without Gradio's prefix; ``file=`` is checked apart. Gradio
#: has more: they would fetch any address for the client, run ffmpeg on an upload, and write results to the disk.
_OPEN = frozenset({
    "", "app_id", "assets", "call", "cancel", "config", "favicon.ico", "heartbeat", "info", "manifest.json",
    "openapi.json", "pwa_icon", "queue", "reset", "robots.txt", "run", "startup-events", "static", "svelte",
    "theme.css", "upload", "upload_progress",
})  # fmt: skip
#: Most bytes of a request that is no upload (boxes, a session, the name of a file), and of an address, which Gradio may
#: keep.
MAX_REQUEST_BYTES, MAX_ADDRESS_BYTES = 32 * 1024, 4096
#: Least bytes that a file counts for: a small one takes time and memory too, and there must not be millions.
LEAST_FILE_BYTES = 64 * 1024
#: What multipart framing may add to an upload.
_FRAMING_BYTES = 64 * 1024

# Gradio's page compiles its templates in the browser and styles itself inline; all else must come from the server.
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """ASGI middleware. Refuses requests that are too large (413, 414), name a picture by its address (400), come while
    the folder of uploads is full (503), or are for parts of Gradio that the page does not need (404).

    Sizes are counted as they arrive, whatever the header says; no more than the limit is ever held.
    """

    def __init__(
        self, app: Any, *, folder: Path, upload_bytes: int, folder_bytes: int, arrived: Callable[[str], None]
    ) -> None:
        """``folder`` holds the uploads; one may have ``upload_bytes``, all together ``folder_bytes``.

        ``arrived`` is called with the path of each upload, before the client gets its answer.
        """
        self.app, self.folder, self.arrived = app, folder, arrived
        self.upload_bytes, self.folder_bytes = upload_bytes, folder_bytes
        self.arriving = 0
        """Bytes that uploads under way may still bring."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if len(scope["path"]) + len(scope.get("query_string", b"")) > MAX_ADDRESS_BYTES:
            await _answer(send, 414, "The address is too long.")
            return
        if not _is_open(scope["path"]):
            await _answer(send, 404, "There is nothing at this address.")
            return
        is_upload = scope["path"].rstrip("/").endswith("/upload") and scope["method"] == "POST"
        limit = self.upload_bytes + _FRAMING_BYTES if is_upload else MAX_REQUEST_BYTES
        # With what is still arriving, or many uploads at once would all find room. No await between check and count.
        if is_upload and folder_size(self.folder) + self.arriving > self.folder_bytes:
            await _answer(send, 503, "The server holds too many photos right now. Try again in a few minutes.")
            return
        if _declared(scope) > limit:
            await _answer(send, 413, self._too_large(is_upload))
            return
        reserved = (_declared(scope) or limit) if is_upload else 0
        self.arriving += reserved
        try:
            if scope["method"] == "POST" and not is_upload:
                receive = await _without_addresses(receive, limit)
            await self._pass_on(scope, receive, self._telling(send) if is_upload else send, limit)
        except _RefusedError as error:
            await _answer(send, error.status, str(error) or self._too_large(is_upload))
        finally:
            self.arriving -= reserved

    async def _pass_on(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, limit: int) -> None:
        received, started = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _RefusedError(413)
            return message

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in _HEADERS.items())]
            await send(message)

        try:
            await self.app(scope, counted, with_headers)
        except _RefusedError:
            if not started:
                raise

    def _telling(self, send: Send) -> Send:
        """``send`` that calls :attr:`arrived` with the paths in the answer to an upload."""
        body = b""

        async def told(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    for path in _paths(body):
                        self.arrived(path)
            await send(message)

        return told

    def _too_large(self, is_upload: bool) -> str:
        return (
            f"The file is larger than {self.upload_bytes / 1e6:.0f} MB." if is_upload else "The request is too large."
        )


class _RefusedError(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status


def _is_open(path: str) -> bool:
    """Whether requests for ``path`` reach Gradio. Of files it would fetch those that have an address elsewhere."""
    first = path.removeprefix("/gradio_api").lstrip("/").partition("/")[0]
    return first in _OPEN or (first.startswith("file=") and "://" not in path)


async def _without_addresses(receive: Receive, limit: int) -> Receive:
    """The request, read to its end; refused where it names a file by an address, which Gradio would fetch."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > limit:
            raise _RefusedError(413)
        if message["type"] != "http.request":
            return _replay([message], receive)
    try:
        if _names_address(json.loads(body or b"null")):
            raise _RefusedError(400, "Expected an uploaded photo, not the address of one.")
    except RecursionError as error:
        raise _RefusedError(400, "Expected a flat request.") from error
    except ValueError:
        logger.debug("a request that is not JSON")
    return _replay([{"type": "http.request", "body": body, "more_body": False}], receive)


def _replay(messages: list[Message], rest: Receive) -> Receive:
    async def receive() -> Message:
        return messages.pop(0) if messages else await rest()

    return receive


def _paths(body: bytes) -> list[str]:
    """The paths in Gradio's answer to an upload, a list of nothing else; none where the upload was refused."""
    try:
        answer = json.loads(body)
    except ValueError:
        return []
    return [path for path in answer if isinstance(path, str)] if isinstance(answer, list) else []


def _names_address(value: Any) -> bool:
    if isinstance(value, dict):
        return "://" in str(value.get("path", "")) or any(map(_names_address, value.values()))
    return isinstance(value, list) and any(map(_names_address, value))


def folder_size(folder: Path) -> int:
    """Bytes of all files below ``folder``, each at least ``LEAST_FILE_BYTES``; files that vanish meanwhile count 0."""
    total = 0
    for inside, _, names in os.walk(folder):  # rglob raises where a folder vanishes meanwhile
        for name in names:
            try:
                total += max(os.stat(os.path.join(inside, name)).st_size, LEAST_FILE_BYTES)
            except OSError:
                logger.debug("%s went while it was counted", name)
    return total


def _declared(scope: MutableMapping[str, Any]) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
