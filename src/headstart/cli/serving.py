"""``headstart serve``: the web page."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from headstart.cli.placeholders import Detector, Millimetres, OptionalCount, OptionalDevice, OptionalModel, Scales


def serve(
    host: Annotated[str, arg(metavar="HOST")] = "127.0.0.1",
    port: Annotated[int, arg(metavar="PORT")] = 7860,
    model: OptionalModel = None,
    detector: Detector = "auto",
    height_mm: Millimetres = 1700.0,
    flip_test: bool = True,
    scales: Scales = (1.0,),
    device: OptionalDevice = None,
    threads: OptionalCount = None,
    upload_mb: int = 25,
    megapixels: int = 50,
    waiting: int = 32,
) -> None:
    """A web page: drop a photo or take one, see people with boxes, joints and a 3D skeleton to turn, download JSON.

    Only this machine can open it, unless --host says otherwise; there is no password. Photos are not kept and nothing
    is sent anywhere. Programs can use it too: the page's footer documents the endpoint /estimate. Ctrl-C stops it.

    Args:
        host: address to listen on; with 0.0.0.0 everybody who can reach this machine can open the page.
        port: port to listen on.
        model: checkpoint, folder of a run, hub id, or exported .onnx file, the fastest on a CPU; the model that ships
            if not given.
        detector: who finds people: hub id or folder of a transformers detector; search: the model itself, slow and
            rough; none: the whole photo is one person, on whom the model closes in, unless boxes are drawn; auto: the
            default detector if its weights are on this machine, else none.
        height_mm: stature that gives the scale; one photo does not say how large a person is.
        flip_test: average with the mirrored photo: twice the time, somewhat more accurate.
        scales: look at each person at these scales and average; 0.9 1 1.15 takes three times the time and is somewhat
            more accurate.
        device: cpu, cuda, cuda:1, ...; by default the GPU if there is one, for .onnx files the CPU.
        threads: CPU threads of network and detector; all if not given.
        upload_mb: largest photo in MB.
        megapixels: largest photo in millions of pixels; larger ones are refused before they are decoded.
        waiting: photos that may wait in the queue; one is estimated at a time.
    """
    from headstart.cli.estimator import build_estimator
    from headstart.errors import ConfigError
    from headstart.serve import Limits
    from headstart.serve import serve as show_page

    if min(upload_mb, megapixels, waiting) < 1:
        raise ConfigError("expected --upload-mb, --megapixels and --waiting of at least 1")
    if not 1 <= port <= 65535:
        raise ConfigError(f"--port: expected 1 to 65535, got {port}")
    limits = Limits(upload_bytes=upload_mb * 1_000_000, pixels=megapixels * 1_000_000, waiting=waiting)
    draw = "draw a box on the page"
    estimator = build_estimator(
        model,
        detector,
        device,
        flip_test=flip_test,
        scales=scales,
        height_mm=height_mm,
        threads=threads,
        boxes=draw,
    )
    show_page(estimator, host=host, port=port, limits=limits, ready=lambda at: print(f"Headstart at {at}", flush=True))
