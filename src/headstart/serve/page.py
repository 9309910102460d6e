"""The page itself (Gradio), and the server that shows it."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import ConfigError, HeadstartError
from headstart.serve.estimating import Estimator, estimate_photo, page_record, parse_boxes
from headstart.serve.guard import Guard

if TYPE_CHECKING:
    import gradio

logger = logging.getLogger("headstart")

_ASSETS = Path(str(resources.files("headstart"))) / "serve" / "assets"
_CSS = """
.gradio-container { max-width: 1380px !important; margin: 0 auto; }
#hs-head h1 { font-size: 26px; margin: 6px 0 0; letter-spacing: -0.01em; }
#hs-head p { color: var(--body-text-color-subdued); margin: 2px 0 6px; }
#hs-examples .gallery { gap: 8px; }
"""


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


class Uploads:
    """Knows which file belongs to whom: a session keeps its last photo only, until its page is closed."""

    def __init__(self, folder: Path, kept: Callable[[], set[str]]) -> None:
        """``kept``: paths that are nobody's (examples)."""
        self.folder, self.kept = folder, kept
        self._last: dict[str, Path] = {}
        self._lock = threading.Lock()

    def hold(self, session: str, path: Path) -> None:
        """This is the session's photo now; the one before goes."""
        with self._lock:
            before = self._last.get(session)
            self._last[session] = path
        if before not in (None, path):
            self._delete(before)

    def forget(self, session: str) -> None:
        """The session has ended."""
        with self._lock:
            before = self._last.pop(session, None)
        self._delete(before)

    def sweep(self, age_s: float) -> None:
        """Delete what is older, whoever it belongs to."""
        for path in [path for path in self.folder.rglob("*") if path.is_file()]:
            try:
                if time.time() - path.stat().st_mtime > age_s:
                    self._delete(path)
            except FileNotFoundError:
                continue

    def _delete(self, path: Path | None) -> None:
        with self._lock:
            shared = path in self._last.values()
        if path is not None and not shared and str(path) not in self.kept() and self.folder in path.parents:
            path.unlink(missing_ok=True)


def serve(
    estimator: Estimator,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    limits: Limits | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Show the page until Ctrl-C. ``ready`` is told its address once it answers.

    Only this machine can reach it unless ``host`` is another address (0.0.0.0: everybody who can reach the machine;
    there is no password). Raises :class:`ConfigError` where Gradio is not installed or the port is taken.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="headstart-serve-") as name:
        folder = Path(name).resolve()
        gr = _import_gradio(folder)
        page, uploads = build_page(estimator, limits, folder)
        guard = {"folder": folder, "upload_bytes": limits.upload_bytes, "folder_bytes": limits.folder_bytes}
        try:
            _, address, _ = page.launch(
                server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, show_error=False,
                max_file_size=limits.upload_bytes, run_history=False, enable_monitoring=False, ssr_mode=False,
                footer_links=["api"], theme=_theme(gr), css=_CSS, favicon_path=_ASSETS / "favicon.svg",
                app_kwargs={"middleware": [_middleware(guard)]},
            )  # fmt: skip
        except OSError as error:
            raise ConfigError(f"port {port} of {host} cannot be used ({error}); name another with --port") from error
        if ready is not None:
            ready(address)
        try:
            while True:
                time.sleep(min(limits.keep_s / 4, 30))
                uploads.sweep(limits.keep_s)
        finally:
            page.close(verbose=False)


def build_page(estimator: Estimator, limits: Limits, folder: Path) -> tuple[gradio.Blocks, Uploads]:
    """The page, and who is told of its uploads. Gradio must have been imported for ``folder``."""
    import gradio as gr

    with gr.Blocks(title="Headstart", analytics_enabled=False, delete_cache=(60, limits.keep_s)) as page:
        gr.HTML("<h1>Headstart</h1><p>3D human pose from one photo. Photos stay on this server and are not kept.</p>",
                elem_id="hs-head")  # fmt: skip
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=300):
                photo = gr.Image(
                    label="Photo", type="filepath", image_mode=None, sources=["upload", "webcam", "clipboard"],
                    height=300, buttons=[], elem_id="hs-photo",
                )  # fmt: skip
                boxes = gr.Textbox(
                    label="Boxes (optional)", placeholder="x, y, width, height", lines=1, max_lines=4, max_length=4000,
                    info="In pixels, one person a line; Enter estimates again. Or drag a box on the result.",
                    elem_id="hs-boxes",
                )  # fmt: skip
                examples = gr.Examples(
                    [[str(path)] for path in sorted((_ASSETS / "examples").glob("*.jpg"))], [photo],
                    label="Examples", elem_id="hs-examples", api_visibility="private",
                ) if any((_ASSETS / "examples").glob("*.jpg")) else None  # fmt: skip
            with gr.Column(scale=3, min_width=320):
                viewer = gr.HTML(
                    None, html_template=_asset("viewer.html"), css_template=_asset("viewer.css"),
                    js_on_load=_asset("viewer.js"), apply_default_css=False, elem_id="hs-viewer",
                )  # fmt: skip
        answer, ask = gr.JSON(visible=False), gr.Button(visible=False)
        uploads = Uploads(folder, lambda: set(photo.keep_in_cache) | _example_files(examples))
        _connect(page, estimator, limits, uploads, photo, boxes, viewer, answer, ask)
    page.queue(max_size=limits.waiting, default_concurrency_limit=limits.at_once)
    return page, uploads


def _connect(
    page: Any, estimator: Estimator, limits: Limits, uploads: Uploads,
    photo: Any, boxes: Any, viewer: Any, answer: Any, ask: Any,
) -> None:  # fmt: skip
    """What happens when."""
    import gradio as gr

    # Gradio's own reading would decode the file, and show its path in messages; a file's address would be fetched.
    photo.preprocess = lambda payload: payload
    photo.async_move_resource_to_block_cache = _local_only

    def estimate(payload: Any, text: str, session: str) -> tuple[Any, list[Any], str, bool]:
        given, path = parse_boxes(text), Path(payload.path)
        name = Path(payload.orig_name or "photo").name
        uploads.hold(session, path)
        if not path.is_file():
            raise HeadstartError("This photo has been deleted meanwhile. Please upload it again.")
        return (*estimate_photo(estimator, path, name, given, limits.pixels), name, given is not None)

    def to_viewer(payload: Any, text: str, request: gr.Request) -> dict[str, Any] | None:
        session = str(request.session_hash)
        if payload is None:
            uploads.forget(session)
            return None
        try:
            image, people, name, given = estimate(payload, text, session)
            return page_record(image, people, name, estimator.detector is not None, given)
        except HeadstartError as error:
            return {"error": str(error)}
        except MemoryError:
            return {"error": "This photo needs more memory than the server has. Please scale it down."}

    def to_json(payload: Any, text: str, request: gr.Request) -> list[dict[str, Any]]:
        session = str(request.session_hash)
        try:
            if payload is None:
                raise HeadstartError("Expected a photo.")
            return [person.to_dict() for person in estimate(payload, text, session)[1]]
        except HeadstartError as error:
            raise gr.Error(str(error), print_exception=False) from error
        finally:
            uploads.forget(session)

    def from_drawing(event: gr.EventData) -> str:
        return ", ".join(f"{float(value):g}" for value in event.box)

    shared: dict[str, Any] = {"concurrency_id": "estimate", "concurrency_limit": limits.at_once}
    private: dict[str, Any] = {"api_visibility": "private", **shared}
    light: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    show: dict[str, Any] = {"fn": to_viewer, "inputs": [photo, boxes], "outputs": viewer, "show_progress": "full"}
    # Boxes belong to a photo: those of the one before go with it.
    photo.change(lambda: "", None, boxes, **light).then(**show, **private)
    boxes.submit(**show, **private)
    viewer.box(from_drawing, None, boxes, **light).then(**show, **private)
    ask.click(to_json, [photo, boxes], answer, api_name="estimate", **shared)
    page.unload(lambda request: uploads.forget(str(request.session_hash)))


async def _local_only(path: str) -> str:
    """Instead of Gradio's fetching of addresses: files that were uploaded here stay where they are."""
    if "://" in path:
        raise ConfigError("Expected an uploaded photo, not the address of one.")
    return path


def _import_gradio(folder: Path) -> Any:
    """Gradio, told to keep its files in ``folder`` and to call nobody."""
    os.environ.update(GRADIO_TEMP_DIR=str(folder), GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
    try:
        import gradio
    except ImportError as error:
        raise ConfigError("the web page needs Gradio: pip install 'headstart[web]'") from error
    return gradio


def _middleware(options: dict[str, Any]) -> Any:
    from starlette.middleware import Middleware

    return Middleware(Guard, **options)


def _theme(gr: Any) -> Any:
    """Fonts of the machine: the default theme would fetch its own."""
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.themes.Default(primary_hue="orange", neutral_hue="slate", **fonts)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _example_files(examples: Any) -> set[str]:
    """Gradio's copies of the examples, which every session may click."""
    if examples is None:
        return set()
    return {
        str(value["path"]) for row in examples.non_none_processed_examples for value in row if isinstance(value, dict)
    }
