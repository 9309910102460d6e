"""The page itself. Importing this module imports Gradio, which must be configured before (server.py)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr

from headstart.errors import HeadstartError
from headstart.records import Estimator
from headstart.serve.estimating import Estimate, estimate_photo, page_record, parse_boxes
from headstart.serve.forgetting import bound_queue
from headstart.serve.uploads import Limits, Uploads

_ASSETS = Path(str(resources.files("headstart"))) / "serve" / "assets"
_SCRIPTS = ("photo.js", "space.js", "numbers.js", "hands.js", "viewer.js")
# Within @media Gradio finds only what lies within the page's column, not the column's padding.
_CSS = """
.gradio-container { max-width: 1440px !important; width: 100% !important; margin: 0 auto; }
.gradio-container > .main { padding: 14px clamp(14px, 4vw, 32px) !important; }
#hs-viewer .html-container, #hs-head .html-container { padding: 0 !important; }
footer .divider { display: none !important; }
#hs-head h1 { font-size: 26px; margin: 6px 0 0; letter-spacing: -0.01em; }
#hs-head p { color: var(--body-text-color-subdued); margin: 2px 0 6px; }
#hs-viewer { scroll-margin-top: 10px; }
.gradio-container:not(:has(.hs-result:not([hidden]))) .form:has(#hs-boxes) { display: none; }
@media (max-width: 500px) {
  #hs-examples .gallery:has(> .gallery-item) { display: grid; grid-template-columns: repeat(5, 1fr); gap: 8px; }
  #hs-examples .gallery-item { min-width: 0; }
  #hs-examples .gallery-item .container { width: 100%; height: auto; aspect-ratio: 1; }
}
"""


def build_page(estimator: Estimator, limits: Limits, folder: Path) -> tuple[gr.Blocks, Uploads]:
    """The page, and the record of its uploads, which are stored in ``folder``."""
    with gr.Blocks(title="Headstart", analytics_enabled=False) as page:
        gr.HTML(
            "<h1>Headstart</h1><p>Finds people in a photo and their joints, in 2D and 3D."
            " Photos stay on this server and are not kept.</p>",
            elem_id="hs-head",
        )
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=290):
                photo = _photo()
            with gr.Column(scale=4, min_width=320):
                viewer = _viewer()
                boxes = _boxes()
        uploads = Uploads(folder, limits.sessions)
        handlers = Handlers(estimator, limits, uploads)
        _connect(page, handlers, photo, boxes, viewer)
    # With an open API a request to /run instead of /call would bypass the queue.
    page.queue(max_size=limits.waiting, default_concurrency_limit=limits.at_once, api_open=False)
    bound_queue(page._queue, 2 * limits.waiting)
    return page, uploads


def launch_options(limits: Limits) -> dict[str, Any]:
    """For ``Blocks.launch``: quiet, private, no Node server, system fonts (others would be downloaded)."""
    # Gradio's own grey has a contrast of 2.6 to 1 with white; WCAG asks for 4.5.
    greys = {"body_text_color_subdued": "*neutral_500", "block_info_text_color": "*neutral_500"}
    greys |= {"input_placeholder_color": "*neutral_500", "input_placeholder_color_dark": "*neutral_400"}
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return {
        "quiet": True,
        "share": False,
        "show_error": True,
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "max_file_size": limits.upload_bytes,
        # Gradio keeps each session's last result. A session that it has dropped is set up again by its next request.
        "state_session_capacity": 2 * limits.waiting,
        "footer_links": ["api"],
        "theme": gr.themes.Default(primary_hue="orange", neutral_hue="slate", **fonts).set(**greys),
        "css": _CSS,
        "favicon_path": _ASSETS / "favicon.svg",
    }


class Handlers:
    """What the page's events call. Gradio passes a request or an event where an argument is annotated as one."""

    def __init__(self, estimator: Estimator, limits: Limits, uploads: Uploads) -> None:
        self.estimator, self.limits, self.uploads = estimator, limits, uploads

    def show(self, upload: Any, boxes: str | None, request: gr.Request) -> dict[str, Any] | None:
        """The result for the viewer, or an error message for it; None without a photo."""
        session = str(request.session_hash)
        if upload is None:
            self.uploads.forget(session)
            return None
        try:
            return page_record(self._estimate(upload, boxes, session))
        except HeadstartError as error:
            # The result that is shown stays under a message about boxes.
            return {"error": str(error), "boxes": bool(boxes and boxes.strip())}
        except MemoryError:
            return {"error": "This photo needs more memory than the server has. Please scale it down."}

    def answer(self, upload: Any, boxes: str | None, request: gr.Request) -> list[dict[str, Any]]:
        """The people in a photo as JSON. The uploaded photo is deleted once it has been processed.

        boxes: a line "x, y, width, height" for each person, in pixels; without any, the server finds people itself.
        """
        session = str(request.session_hash)
        try:
            if upload is None:
                raise HeadstartError("Expected a photo.")
            return [person.to_dict() for person in self._estimate(upload, boxes, session).people]
        except HeadstartError as error:
            raise gr.Error(str(error), print_exception=False) from error
        finally:
            self.uploads.forget(session)

    def drawn_box(self, event: gr.EventData) -> str:
        """A box drawn in the viewer, as text for the box field."""
        return ", ".join(f"{float(value):g}" for value in event.box)

    def leave(self, request: gr.Request) -> None:
        """A page was closed."""
        self.uploads.forget(str(request.session_hash))

    def _estimate(self, upload: Any, text: str | None, session: str) -> Estimate:
        path = self.uploads.path_of(upload)
        self.uploads.hold(session, path)
        if not path.is_file():
            raise HeadstartError("This photo has been deleted in the meantime. Please upload it again.")
        name = Path(str(upload.get("orig_name") or "photo")).name
        return estimate_photo(self.estimator, path, name, parse_boxes(text), self.limits.pixels)


def _photo() -> gr.Image:
    photo = gr.Image(
        label="Photo",
        placeholder="Choose a photo\nor drop one here",
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        height=300,
        buttons=[],
        elem_id="hs-photo",
    )
    pictures = [[str(path)] for path in sorted((_ASSETS / "examples").glob("*.jpg"))]
    gr.Examples(pictures, [photo], label="Examples", elem_id="hs-examples", api_visibility="private")
    return photo


def _boxes() -> gr.Textbox:
    return gr.Textbox(
        "",  # makes boxes optional for programs
        label="Boxes",
        placeholder="x, y, width, height",
        info="Somebody is missing or wrong? Type a box around each person, in pixels, one per line, and press Enter.",
        max_lines=4,
        max_length=4000,
        elem_id="hs-boxes",
    )


def _viewer() -> gr.HTML:
    return gr.HTML(
        None,
        html_template=_asset("viewer.html"),
        css_template=_asset("viewer.css"),
        js_on_load="\n".join(_asset(name) for name in _SCRIPTS),
        apply_default_css=False,
        elem_id="hs-viewer",
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _connect(page: gr.Blocks, handlers: Handlers, photo: gr.Image, boxes: gr.Textbox, viewer: gr.HTML) -> None:
    """Connect the events of the components with the handlers."""
    # Gradio's preprocessing would download URLs, decode files unchecked and show their paths in messages.
    shared: dict[str, Any] = {"preprocess": False, "concurrency_id": "estimate"}
    shared["concurrency_limit"] = handlers.limits.at_once
    show: dict[str, Any] = {"fn": handlers.show, "inputs": [photo, boxes], "outputs": viewer}
    show |= {"api_visibility": "private", **shared}
    light: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    # Boxes belong to a photo: a new one clears them.
    photo.change(lambda: "", None, boxes, **light).then(**show)
    boxes.submit(**show)
    viewer.box(handlers.drawn_box, None, boxes, **light).then(**show)
    people, ask = gr.JSON(visible=False), gr.Button(visible=False)
    ask.click(handlers.answer, [photo, boxes], people, api_name="estimate", **shared)
    page.unload(handlers.leave)
