"""Speed of prediction on a CPU: ONNX Runtime in fp32 and int8 against PyTorch, for the configurations that could ship.

    make bench

Weights are random: they do not change the speed. Everything is timed in one run, each row's candidates in turn, and
the least disturbed round of each counts. Milliseconds of one thread are CPU time, which other programs disturb less
(they still share caches); people a second are by the clock. Rates depend on the machine; compare the ratios.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from headstart.export import blobs, write_graph
from headstart.memory import keep_freed_memory
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.networks import TorchNetwork
from headstart.onnx_network import IMAGE, JOINTS
from headstart.quantisation import quantise

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


def main() -> None:
    """Print both tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.manual_seed(0)
    keep_freed_memory()
    one = Table("network", "crop px", "PyTorch", "ONNX fp32", "ONNX int8", "fp32 / PyTorch", f"< {GOAL_MS} ms")
    many = Table("threads", "PyTorch", "ONNX fp32", "ONNX int8", "fp32 / PyTorch", "int8 / fp32")
    with tempfile.TemporaryDirectory() as folder:
        for config in CONFIGURATIONS:
            model = PoseNet(config).eval()
            single, quantised = exported(model, Path(folder))
            runners = [torch_runner(model, 1), onnx_runner(single, 1), onnx_runner(quantised, 1)]
            times = [1e3 * t for t in seconds(runners, blobs(config.input_size, 1), ROUNDS, time.process_time)]
            cells = [f"{t:.1f} ms" for t in times]
            reached = "fp32" if times[1] < GOAL_MS else "int8" if times[2] < GOAL_MS else "no"
            one.add_row(name_of(config), str(config.input_size[0]), *cells, f"{times[0] / times[1]:.1f}x", reached)
        ships = CONFIGURATIONS[0]
        model, images = PoseNet(ships).eval(), blobs(ships.input_size, BATCH)
        single, quantised = exported(model, Path(folder))
        for threads in range(1, min(os.cpu_count() or 1, 2) + 1):
            runners = [torch_runner(model, threads), onnx_runner(single, threads), onnx_runner(quantised, threads)]
            rates = [BATCH / t for t in seconds(runners, images, 3)]
            cells = [f"{rate:.0f}/s" for rate in rates]
            many.add_row(str(threads), *cells, f"{rates[1] / rates[0]:.1f}x", f"{rates[2] / rates[1]:.1f}x")
    console = Console(width=120)
    console.print(
        "One crop, CPU time on one thread; BlazePose's networks alone took 14 (lite), 17 (full) and 65 ms (heavy).", one
    )
    console.print(f"People a second, batches of {BATCH}, {name_of(ships)}: what ships.", many)
    versions = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    console.print(f"EfficientNet-Lite, 18 joints. {versions}")


if __name__ == "__main__":
    main()
