"""``headstart serve``: the web page."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from headstart.cli.placeholders import Detector, Millimetres, OptionalCount, OptionalDevice, OptionalModel, Scales
from headstart.cli.ranges import require_at_least
from headstart.errors import ConfigError


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

    Only this machine can open the page, unless --host says otherwise; there is no password. Photos are not kept and
    nothing is sent anywhere. Programs can use the page too: its footer documents the endpoint /estimate. Ctrl-C stops
    the server.

    Args:
        host: address to listen on; 0.0.0.0 lets everybody who can reach this machine open the page.
        port: port to listen on.
        model: checkpoint, folder of a run, hub id (owner/name), or exported .onnx file, the fastest on a CPU; the model
            that ships if not given.
        detector: how people are found where no boxes are drawn: hub id or folder of a transformers detector; shipped:
            the small detector that ships; auto: PekingU/rtdetr_v2_r18vd if it has been downloaded to this machine, else
            shipped; none: the whole photo is taken as one person, around whom the model crops itself.
        height_mm: body height that gives the scale; one photo does not show how tall a person is.
        flip_test: also predict the mirrored photo, and average: twice the time, somewhat more accurate.
        scales: predict each person at these scales, and average; 0.9 1 1.15 takes three times the time and is somewhat
            more accurate.
        device: cpu, cuda, cuda:1, mps, ...; if not given the GPU if there is one, for .onnx files the CPU.
        threads: CPU threads of network and detector; all if not given.
        upload_mb: largest file that may be uploaded, in MB.
        megapixels: largest photo in millions of pixels; larger ones are refused before they are decoded.
        waiting: how many photos may wait in the queue; they are processed one at a time.
    """
    from headstart.cli.estimator import build_estimator
    from headstart.serve import Limits
    from headstart.serve import serve as show_page

    require_at_least(1, upload_mb=upload_mb, megapixels=megapixels, waiting=waiting)
    if not 1 <= port <= 65535:
        raise ConfigError(f"--port: expected 1 to 65535, got {port}")
    limits = Limits(upload_bytes=upload_mb * 1_000_000, pixels=megapixels * 1_000_000, waiting=waiting)
    estimator = build_estimator(
        model, detector, device, flip_test=flip_test, scales=scales, height_mm=height_mm, threads=threads
    )
    show_page(estimator, host=host, port=port, limits=limits, ready=lambda at: print(f"Headstart at {at}", flush=True))
