"""Speed of prediction on a CPU: ONNX Runtime in fp32 and int8 against PyTorch, for the configurations that could ship.

    make bench
    python benchmarks/predict.py --only files

Weights are random: they do not change the speed. Everything is timed in one run, each row's candidates in turn, and
the least disturbed round of each counts. Milliseconds of one thread are CPU time, which other programs disturb less
(they still share caches); people a second are by the clock. Rates depend on the machine; compare the ratios.

The last table (``files``) is of whole videos and photos with the model that ships, PyTorch and ONNX, each on
``--threads`` threads: frames that go through the network together against one by one, and photos that are read ahead
against reading and the network in turn. "10 ms a call" is no network: it waits, however many crops it is given, which
is how a fast GPU behaves with few of them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from headstart.checkpoint import shipped_weights
from headstart.cli.reading import reading_ahead
from headstart.export import blobs, export_onnx, write_graph
from headstart.memory import keep_freed_memory
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.networks import TorchNetwork, load_network
from headstart.onnx_network import IMAGE, JOINTS
from headstart.photos import read_photo
from headstart.predict import PoseEstimator
from headstart.quantisation import quantise
from headstart.records import CropJoints, Detection, PoseNetwork, Prediction
from headstart.skeleton import BODY_18
from headstart.video import VideoOptions, predict_video
from headstart.video_files import VideoWriter

HeadKind = Literal["heatmap_depth", "pyramid"]


def configuration(kind: HeadKind, channels: int, stride: int, side: int, lite: int = 0) -> ModelConfig:
    """An EfficientNet-Lite of that size, a head of ``channels`` to maps of ``stride``, crops of ``side`` px."""
    head = HeadConfig(kind, channels, "cross_entropy", output_stride=stride)
    return ModelConfig(f"efficientnet_lite{lite}", head=head, input_size=(side, side))


#: What ships, the same on a larger backbone, what shipped before and its other crops, others.
CONFIGURATIONS = (
    configuration("heatmap_depth", 192, 8, 256),
    configuration("heatmap_depth", 192, 8, 256, lite=2),
    configuration("pyramid", 192, 4, 224),
    configuration("pyramid", 192, 4, 160),
    configuration("pyramid", 192, 4, 256),
    configuration("heatmap_depth", 256, 8, 256),
    configuration("heatmap_depth", 64, 4, 256),
    configuration("heatmap_depth", 256, 4, 256),
)
GOAL_MS = 25
ROUNDS, BATCH = 25, 16
#: A photo of one person, 512 px a side, and the box; the film's frames and the photos that are made of it, px.
PHOTO = Path(__file__).parents[1] / "src" / "headstart" / "serve" / "assets" / "examples" / "crouch.jpg"
FRAME, FRAMES, LARGE, PHOTOS = (480, 360), 32, (4000, 3000), 16

Predict = Callable[[NDArray[np.uint8]], object]


def onnx_runner(path: Path, threads: int) -> Predict:
    """Pictures to joints by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(list(JOINTS), {IMAGE: images})


def torch_runner(model: PoseNet, threads: int) -> Predict:
    """Pictures to joints by PyTorch, decoding included, as ``headstart predict`` has it."""
    network = TorchNetwork(model, "cpu")

    def run(images: NDArray[np.uint8]) -> object:
        torch.set_num_threads(threads)
        return network(images.transpose(0, 2, 3, 1))

    return run


def seconds(
    candidates: list[Predict], images: NDArray[np.uint8], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Least time of one call of each candidate, called in turn so that all share what else the machine does."""
    for run in candidates:
        run(images)
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for number, run in enumerate(candidates):
            began = clock()
            run(images)
            best[number] = min(best[number], clock() - began)
    return best


def name_of(config: ModelConfig) -> str:
    """``lite0, heatmap_depth 192, stride 8``."""
    backbone = config.backbone.removeprefix("efficientnet_")
    return f"{backbone}, {config.head.kind} {config.head.channels}, stride {config.head.output_stride}"


def exported(model: PoseNet, folder: Path) -> tuple[Path, Path]:
    """Its graph in fp32 and in int8."""
    name = f"{name_of(model.config)}, {model.config.input_size[0]} px"
    single, quantised = folder / f"{name}.onnx", folder / f"{name}, int8.onnx"
    write_graph(model, single)
    write_graph(model, quantised)
    quantise(quantised, blobs(model.config.input_size, 4))
    return single, quantised


class TenMilliseconds:
    """Takes that long for any number of crops, and sees the same joints in each."""

    skeleton, input_size = BODY_18, (256, 256)

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        """Joints around the middle of each crop."""
        time.sleep(0.01)
        joints = np.random.default_rng(0).uniform(64, 192, (18, 2)).astype(np.float32)
        flat = np.zeros((len(crops), 18), np.float32)
        return CropJoints(np.repeat(joints[None], len(crops), 0), flat, flat + 0.9)


def film_of(photo: NDArray[np.uint8], path: Path) -> Path:
    """A film in which the camera pans over a photo."""
    with VideoWriter(path, Fraction(30)) as writer:
        for number in range(FRAMES):
            writer.write(photo[number : number + FRAME[1], : FRAME[0]], number / 30)
    return path


def predict_film(network: PoseNetwork, path: Path, at_once: int) -> list[Prediction]:
    """The person of each frame, whose box a detector knows that takes no time."""
    box = (0.0, 0.0, float(FRAME[0]), float(FRAME[1]))
    estimator = PoseEstimator(network, detector=lambda image: [Detection(box, 1.0)], flip_test=False)
    options = VideoOptions(frames_at_once=at_once)
    return [one.prediction for people in predict_video(estimator, path, options=options) for one in people]


def predict_photos(network: PoseNetwork, names: list[str], ahead: bool) -> list[Prediction]:
    """The person of each photo, eight photos at a time as ``headstart predict`` has it."""
    estimator, found = PoseEstimator(network, flip_test=False), []
    with reading_ahead(names, read_photo) as reading:
        for start in range(0, len(names), 8):
            if ahead:
                images = [result.result() for _, result in islice(reading, 8)]
            else:
                images = [read_photo(name) for name in names[start : start + 8]]
            boxes = [[(0.0, 0.0, *map(float, LARGE))] for _ in images]
            found += [one for people in estimator.estimate(images, boxes) for one in people]
    return found


def difference(first: list[Prediction], second: list[Prediction]) -> float:
    """Largest distance of joints, px."""
    one, other = (np.array([list(person.keypoints.values()) for person in people]) for people in (first, second))
    return float(np.linalg.norm(one[..., :2] - other[..., :2], axis=-1).max())


def turns(run: Callable[[bool], list[Prediction]]) -> tuple[NDArray[np.float64], float]:
    """Seconds of ``run(False)`` and ``run(True)``, by the clock and of CPU time (2, 2), the least of three each, and
    how far their joints differ."""
    found, best = (run(False), run(True)), np.full((2, 2), np.inf)
    for number in (0, 1) * 3:
        began = np.array([time.perf_counter(), time.process_time()])
        run(bool(number))
        best[number] = np.minimum(best[number], np.array([time.perf_counter(), time.process_time()]) - began)
    return best, difference(*found)


def files(folder: Path, threads: int) -> Table:
    """Whole videos and photos."""
    table = Table("", "network", "before", "now", "faster by", "CPU time", "largest difference, px")
    photo = read_photo(PHOTO)
    film, names = film_of(photo, folder / "film.mp4"), [str(folder / f"{number}.jpg") for number in range(PHOTOS)]
    for name in names:
        cv2.imwrite(name, cv2.resize(photo, LARGE, interpolation=cv2.INTER_CUBIC)[..., ::-1])
    export_onnx(shipped_weights(), folder / "ships.onnx")
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    real = {"PyTorch": load_network(), "ONNX fp32": load_network(folder / "ships.onnx", threads=threads)}
    for name, network in {**real, "10 ms a call": TenMilliseconds()}.items():
        by_frame = turns(lambda together, network=network: predict_film(network, film, 8 if together else 1))
        by_photo = turns(lambda ahead, network=network: predict_photos(network, names, ahead))
        for what, count, (took, px) in (("frames", FRAMES, by_frame), ("photos", PHOTOS, by_photo)):
            rates = [f"{count / one:.1f}/s" for one in took[:, 0]]
            wall, cpu = took[0] / took[1]
            table.add_row(what, name, *rates, f"{wall:.2f}x", f"{1 / cpu:.2f}x", f"{px:.1e}")
    return table


def networks(folder: Path) -> tuple[Table, Table]:
    """One crop on one thread for all configurations; batches for what ships."""
    one = Table("network", "crop px", "PyTorch", "ONNX fp32", "ONNX int8", "fp32 / PyTorch", f"< {GOAL_MS} ms")
    many = Table("threads", "PyTorch", "ONNX fp32", "ONNX int8", "fp32 / PyTorch", "int8 / fp32")
    for config in CONFIGURATIONS:
        model = PoseNet(config).eval()
        single, quantised = exported(model, folder)
        runners = [torch_runner(model, 1), onnx_runner(single, 1), onnx_runner(quantised, 1)]
        times = [1e3 * t for t in seconds(runners, blobs(config.input_size, 1), ROUNDS, time.process_time)]
        cells = [f"{t:.1f} ms" for t in times]
        reached = "fp32" if times[1] < GOAL_MS else "int8" if times[2] < GOAL_MS else "no"
        one.add_row(name_of(config), str(config.input_size[0]), *cells, f"{times[0] / times[1]:.1f}x", reached)
    ships = CONFIGURATIONS[0]
    model, images = PoseNet(ships).eval(), blobs(ships.input_size, BATCH)
    single, quantised = exported(model, folder)
    for threads in range(1, min(os.cpu_count() or 1, 2) + 1):
        runners = [torch_runner(model, threads), onnx_runner(single, threads), onnx_runner(quantised, threads)]
        rates = [BATCH / t for t in seconds(runners, images, 3)]
        cells = [f"{rate:.0f}/s" for rate in rates]
        many.add_row(str(threads), *cells, f"{rates[1] / rates[0]:.1f}x", f"{rates[2] / rates[1]:.1f}x")
    return one, many


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("networks", "files"), help="print these tables alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the table of files; all by default")
    given = parser.parse_args()
    torch.manual_seed(0)
    keep_freed_memory()
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        if given.only != "files":
            one, many = networks(Path(folder))
            said = "One crop, CPU time on one thread; BlazePose's networks alone took 14 (lite), 17 (full) and 65 ms"
            console.print(f"{said} (heavy).", one)
            console.print(f"People a second, batches of {BATCH}, {name_of(CONFIGURATIONS[0])}: what ships.", many)
        if given.only != "networks":
            sizes = f"Film {FRAME[0]} x {FRAME[1]} px, photos {LARGE[0]} x {LARGE[1]} px"
            console.print(f"{sizes}, {given.threads} threads.", files(Path(folder), given.threads))
    versions = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    console.print(f"EfficientNet-Lite, 18 joints. {versions}")


if __name__ == "__main__":
    main()
