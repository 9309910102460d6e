"""Speed as ratios within one run: Headstart's way against the plain way of plain.py, on the same pictures.

    make bench

Absolute rates depend on the machine and on what else runs there; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
import plain
from headstart import losses
from headstart.augment import AugmentConfig
from headstart.evaluate import predict
from headstart.index import SCHEMA, AnnotationIndex, open_index, to_row, write_index
from headstart.loader import CropDataset, build_train_loader
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.pack import PackConfig, pack
from headstart.records import Annotation, PoseOutput, Targets
from headstart.sampling import Draw, MixtureSampler
from headstart.skeleton import BODY_18, CANONICAL, MPII_16

LSPET = Path(__file__).resolve().parents[2] / "shared" / "data" / "lspet"
PEOPLE = 600


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Best of three rounds, per call; the best is the least disturbed one."""
    work()
    rounds = []
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        rounds.append((time.perf_counter() - began) / repeats)
    return min(rounds)


def made_up_people(folder: Path) -> AnnotationIndex:
    """Random pictures and joints, for machines without the real photographs."""
    rng, rows = np.random.default_rng(0), []
    for number in range(PEOPLE):
        picture = cv2.resize(
            rng.integers(0, 256, (20, 16, 3), dtype=np.uint8), (320, 400), interpolation=cv2.INTER_CUBIC
        )
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), picture)
        points = rng.uniform((60, 60), (260, 340), (len(CANONICAL), 2)).astype(np.float32)
        box = np.array([60, 60, 200, 280], np.float32)
        visible = np.full(len(CANONICAL), 2, np.uint8)
        rows.append(to_row(Annotation(str(number), folder / f"{number:04d}.jpg", box, points, visible), folder))
    write_index(folder / "people.arrow", rows, SCHEMA, {})
    return AnnotationIndex([folder / "people.arrow"], folder)


def packed_people(folder: Path) -> tuple[AnnotationIndex, AnnotationIndex]:
    """The first people of LSP-Extended (or made-up ones) as they are on disk, and packed."""
    if LSPET.is_dir():
        full = open_index("lsp_extended", LSPET, "train", cache=folder)
        rows = [to_row(full[row], LSPET) for row in range(PEOPLE)]
        write_index(folder / "people.arrow", rows, SCHEMA, {})
        plain_index = AnnotationIndex([folder / "people.arrow"], LSPET)
    else:
        plain_index = made_up_people(folder)
    pack(plain_index, folder / "packed", PackConfig(), source={"dataset": "bench", "split": "train"})
    return plain_index, AnnotationIndex(sorted((folder / "packed").glob("*.arrow")), folder / "packed")


def bench_loader(index: AnnotationIndex, packed: AnnotationIndex) -> tuple[float, float]:
    """Training samples a second on one core: ours (uint8 crop and points) and the plain way."""
    cv2.setNumThreads(0)
    augment, draws = AugmentConfig(), [Draw(0, row % PEOPLE, 0, row) for row in range(400)]
    ours = CropDataset([packed], BODY_18, (256, 256), augment)
    fast = seconds(lambda: [ours[draw] for draw in draws], 1) / len(draws)
    rng = np.random.default_rng(0)

    def plainly() -> None:
        for draw in draws:
            person = index[draw.row]
            plain.sample(person, person.image, BODY_18, augment, rng)

    return 1 / fast, len(draws) / seconds(plainly, 1)


def geometric_batch() -> tuple[torch.Tensor, Targets]:
    """32 people without depth labels, 16 maps of 64 x 64."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(32, 16, 64, 64, generator=generator, requires_grad=True)
    points = torch.rand(32, 16, 2, generator=generator) * 60
    ones = torch.ones(32, 16)
    return maps, Targets(None, points, ones, torch.zeros(32, 16), torch.zeros(32, 16), (64, 64), MPII_16)


def bench_geometric() -> tuple[float, float]:
    """Milliseconds of the geometric loss, forward and backward, batch of 32: ours and the loop."""
    maps, targets = geometric_batch()

    def ours() -> None:
        maps.grad = None
        values, weights = losses.bone_ratio(PoseOutput(depth_maps=maps), targets)
        ((values * weights).sum() / weights.sum()).backward()

    def looped() -> None:
        maps.grad = None
        plain.bone_ratio(maps, targets.keypoints, targets.weight_2d, targets.weight_depth).backward()

    return seconds(ours, 50) * 1e3, seconds(looped, 2) * 1e3


def bench_evaluation(packed: AnnotationIndex, people: int = 128) -> tuple[float, float, float]:
    """People a second with the flip test: predict(), the bare forward passes it needs, and one person at a time."""
    network = PoseNet(ModelConfig("resnet18", head=HeadConfig(channels=64))).eval()
    rows = np.arange(people)
    image = torch.zeros(32, 3, 256, 256, dtype=torch.uint8).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def bare(batch: torch.Tensor, count: int) -> None:
        for _ in range(count):
            network(batch)
            network(batch.flip(-1))

    forward = people / seconds(lambda: bare(image, people // 32), 1)
    single = 16 / seconds(lambda: bare(image[:1], 16), 1)
    whole = people / seconds(
        lambda: predict(network, network.codec, packed, rows, batch_size=32, workers=1, flip_test=True), 1
    )
    return whole, forward, single


def bench_step(index: AnnotationIndex, packed: AnnotationIndex, steps: int = 12) -> tuple[float, float, float]:
    """Images a second of whole training steps, ours and plain, batch 16; and our share of time waiting for data."""
    torch.manual_seed(0)
    network = PoseNet(ModelConfig("nano", head=HeadConfig(channels=64)))
    optimiser = torch.optim.AdamW(network.parameters())
    augment = AugmentConfig()
    crops = CropDataset([packed], BODY_18, (256, 256), augment)
    batches = iter(build_train_loader(crops, MixtureSampler([PEOPLE], [1.0], 16, 0), workers=1))
    waited = 0.0

    def step() -> None:
        nonlocal waited
        began = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - began
        targets = network.codec.encode(batch)
        loss, _ = losses.total(network(batch.image), targets, {"heatmap_mse": 1.0})
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()
    waited, began = 0.0, time.perf_counter()
    for _ in range(steps):
        step()
    elapsed = time.perf_counter() - began
    return steps * 16 / elapsed, plain_rate(index, network, optimiser, augment, steps), waited / elapsed


class PlainDataset(torch.utils.data.Dataset[tuple[np.ndarray, ...]]):
    """Whole float samples, one worker, as bench_step has."""

    def __init__(self, index: AnnotationIndex, augment: AugmentConfig) -> None:
        self.index, self.augment = index, augment

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> tuple[np.ndarray, ...]:
        person = self.index[row]
        return plain.sample(person, person.image, BODY_18, self.augment, np.random.default_rng(row))


def plain_rate(
    index: AnnotationIndex, network: PoseNet, optimiser: torch.optim.Optimizer, augment: AugmentConfig, steps: int
) -> float:
    """Images a second of the plain training step with its own loader."""
    loader = torch.utils.data.DataLoader(PlainDataset(index, augment), 16, shuffle=True, num_workers=1)
    batches = iter(loader)

    def step() -> None:
        image, maps, weight = next(batches)
        plain.training_step(network, optimiser, {"image": image, "maps": maps, "weight": weight})

    step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * 16 / (time.perf_counter() - began)


_WORKER = """
import sys, time, random
from pathlib import Path
from headstart.index import AnnotationIndex
import headstart.loader
def own():
    # Memory of its own: mapped pages of a file belong to the page cache, shared by all workers.
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3
before = own()
began = time.perf_counter()
index = AnnotationIndex([Path(sys.argv[1])], Path("."))
opened = time.perf_counter() - began
for row in random.sample(range(len(index)), 20000):
    index[row]
print(len(index), opened, own() - before)
"""


def bench_index(folder: Path) -> tuple[int, float, float]:
    """People in a large index, seconds to open it, and MB of its own that it adds to a worker that reads 20,000."""
    nothing = np.full((len(CANONICAL), 2), 5, np.float32)
    box = np.array([0, 0, 10, 10], np.float32)
    row = to_row(Annotation("", Path("i.jpg"), box, nothing, np.full(len(CANONICAL), 2, np.uint8)), Path("."))
    write_index(folder / "million.arrow", ({**row, "key": f"{n}"} for n in range(1_000_000)), SCHEMA, {})
    command = [sys.executable, "-c", _WORKER, str(folder / "million.arrow")]
    people, opened, added = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(people), float(opened), float(added)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(max((os.cpu_count() or 2) - 1, 1))
    table = Table("what", "Headstart", "plain", "ratio", "goal")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index, packed = packed_people(folder)
        ours, theirs = bench_loader(index, packed)
        table.add_row("training samples/s a core", f"{ours:.0f}", f"{theirs:.0f}", f"{ours / theirs:.1f}x", ">= 4x")
        ours, theirs = bench_geometric()
        table.add_row(
            "geometric loss, ms a batch of 32", f"{ours:.2f}", f"{theirs:.0f}", f"{theirs / ours:.0f}x", ">= 100x"
        )
        whole, forward, single = bench_evaluation(packed)
        table.add_row(
            "evaluation / its bare forward passes, people/s",
            f"{whole:.1f}",
            f"{forward:.1f}",
            f"{whole / forward:.0%}",
            ">= 90 %",
        )
        table.add_row(
            "evaluation / one person at a time", f"{whole:.1f}", f"{single:.1f}", f"{whole / single:.1f}x", ""
        )
        ours, theirs, waiting = bench_step(index, packed)
        table.add_row("training step, images/s", f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}x", ">= 1x")
        table.add_row("share of the step waiting for data", f"{waiting:.1%}", "", "", "0")
        people, opened, added = bench_index(folder)
        table.add_row(f"opening an index of {people:,}, s", f"{opened:.3f}", "", "", "< 1")
        table.add_row("memory it adds to a worker, MB", f"{added:.0f}", "", "", "< 50")
    source = "LSP-Extended photographs" if LSPET.is_dir() else "made-up pictures"
    Console(width=110).print(table, f"{source}, torch {torch.__version__}, {torch.get_num_threads()} compute thread(s)")


if __name__ == "__main__":
    main()
