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
    """Serve the page until Ctrl-C or SIGTERM. ``ready`` is called with its URL once it answers.

    Only this machine can reach it unless ``host`` is another address (0.0.0.0: everybody who can reach this machine;
    there is no password). Raises :class:`ConfigError` if Gradio is not installed or cannot listen on host and port.
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
                _, address, _ = page.launch(
                    server_name=_in_url(host), server_port=port, prevent_thread_lock=True, **options
                )
            except OSError as error:
                raise ConfigError(
                    f"port {port} of {host} cannot be used; name another with --port,"
                    " or an address of this machine with --host"
                ) from error
        if ready is not None:
            ready(address)
        try:
            while True:
                time.sleep(min(limits.keep_s / 4, 30))
                uploads.sweep(limits.keep_s)
                forget_uploads(page)
        finally:
            page.close(verbose=False)


def _in_url(host: str) -> str:
    """A host as it stands in a URL, with brackets around an IPv6 address: what Gradio expects."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


@contextmanager
def _stop_in_order() -> Iterator[None]:
    """Make SIGTERM, as service managers send it, delete the uploads as Ctrl-C does."""
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
    """Without the environment's proxies: as it starts, Gradio requests its own page, which no proxy could reach.

    Its client also sets proxies up when it is imported, and fails for SOCKS if the package for it is missing.
    """
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    try:
        yield
    finally:
        os.environ.update(proxies)


def _prepare_gradio(folder: Path) -> None:
    """Configure Gradio, which reads its settings when it is imported: files go to ``folder``, telemetry is off."""
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
