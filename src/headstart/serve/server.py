"""The server that shows the page."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.errors import ConfigError
from headstart.records import Estimator
from headstart.serve.forgetting import forget_uploads
from headstart.serve.guard import Guard
from headstart.serve.uploads import Limits, Uploads


def serve(
    estimator: Estimator,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    limits: Limits | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Show the page until Ctrl-C or SIGTERM. ``ready`` is told its address once it answers.

    Only this machine can reach it unless ``host`` is another address (0.0.0.0: everybody who can reach the machine;
    there is no password). Raises :class:`ConfigError` where Gradio is not installed or the port is taken.
    """
    limits = limits or Limits()
    with _stop_in_order(), tempfile.TemporaryDirectory(prefix="headstart-serve-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        with _without_proxies():
            _prepare_gradio(folder)
            from headstart.serve.page import build_page, launch_options

            page, uploads = build_page(estimator, limits, folder)
            options = {**launch_options(limits), "app_kwargs": {"middleware": [_middleware(folder, limits, uploads)]}}
            try:
                _, address, _ = page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **options)
            except OSError as error:
                raise ConfigError(f"port {port} of {host} cannot be used; name another with --port") from error
        if ready is not None:
            ready(address)
        try:
            while True:
                time.sleep(min(limits.keep_s / 4, 30))
                uploads.sweep(limits.keep_s)
                forget_uploads(page)
        finally:
            page.close(verbose=False)


@contextmanager
def _stop_in_order() -> Iterator[None]:
    """A service manager's SIGTERM deletes the uploads, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Gradio asks its own page whether it is there as it starts, which no proxy of the network's could answer.

    Its client prepares for proxies as it is imported, even for one (SOCKS) that it lacks a package for.
    """
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    try:
        yield
    finally:
        os.environ.update(proxies)


def _prepare_gradio(folder: Path) -> None:
    """Gradio reads its settings as it is imported: files go to ``folder``, and nobody is called."""
    os.environ.update(GRADIO_TEMP_DIR=str(folder), GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ConfigError("the web page needs Gradio: pip install 'headstart[web]'") from error


def _middleware(folder: Path, limits: Limits, uploads: Uploads) -> Any:
    from starlette.middleware import Middleware

    return Middleware(
        Guard,
        folder=folder,
        upload_bytes=limits.upload_bytes,
        folder_bytes=limits.folder_bytes,
        arrived=uploads.arrived,
    )
