r"""Train the person detector that ships, on photographs of LSP-Extended and synthetic people.

    headstart synth wild --split train --seed 21 --count 4000 --workers 2 --out data/people
    apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb data/things
    python tools/train_detector.py train --lspet ../shared/data/lspet --synthetic data/people/synthetic_wild-train \
        --things data/things/usr/share/tuxpaint/stamps --out runs/people-1 --samples 26000
    python tools/train_detector.py label --lspet ../shared/data/lspet --model runs/people-1/last.safetensors \
        --out runs/people-1/found.json
    python tools/train_detector.py train ... --found runs/people-1/found.json --start runs/people-1/last.safetensors \
        --out runs/people-2 --samples 48000 --sizes 224 288 352
    python tools/train_detector.py ship runs/people-2/last.safetensors

A photo of LSP-Extended has one person labelled, however many are in it. ``label`` lets a first detector and the pose
network that ships look for the others (half an hour on one core), so that the next one is not taught that they are
none: those they are sure of become people, those they are not sure of do not count. What the detector saw and the pose
network did not stays background, and is what there is most to learn from.

``--things``: cut-out photos of animals, fruit, tools and vehicles. Without them a giraffe was a person.

A ``train`` that was killed goes on from ``last.safetensors`` if it is started again.

It has a loop of its own because headstart.train trains networks of joints in crops.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from detector.scenes import SURE, UNSURE, Cutout, Photo, build_scene, load_cutouts, load_photos, load_things
from detector.targets import PeopleTargets, encode, total
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from headstart.checkpoint import (
    git_sha,
    load_checkpoint,
    load_model,
    load_optimiser,
    load_weights,
    optimiser_tensors,
    save_checkpoint,
)
from headstart.models.person_detector_net import PersonDetectorNet
from headstart.optimisation import AveragedWeights, Optimiser, Schedule, build_optimiser, set_learning_rate
from headstart.person_detector import PersonDetector
from headstart.photos import read_photo
from headstart.records import Detection
from headstart.tracking import overlaps

#: Of the 8,500 photos of the training split the last are kept to watch the loss.
KEPT = 200
OPTIMISER = Optimiser(learning_rate=1e-3, weight_decay=0.05, clip_norm=5.0, backbone_factor=0.3)
SCHEDULE = Schedule("cosine", warmup=0.03)
SAVE_EVERY_S = 300
ABOUT = "Person detector of Headstart (headstart/person_detector.py). Data and terms: SHIP.md beside it."


class Scenes(IterableDataset):  # type: ignore[type-arg]
    """Scenes number ``first``, ``first + 1`` ... of a seed, with their targets; each batch has one of the ``sizes``."""

    def __init__(
        self,
        photos: list[Photo],
        people: list[Cutout],
        things: list[Cutout],
        sizes: list[int],
        batch_size: int,
        seed: int,
        first: int,
    ) -> None:
        self.photos, self.people, self.things, self.sizes = photos, people, things, sizes
        self.batch_size, self.seed, self.first = batch_size, seed, first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, PeopleTargets]]:
        cv2.setNumThreads(0)
        worker = get_worker_info()
        number, step = (self.first + worker.id, worker.num_workers) if worker else (self.first, 1)
        for count in itertools.count(self.first):
            size = self.sizes[count // self.batch_size % len(self.sizes)]
            rng = np.random.default_rng([self.seed, number])
            scene = build_scene(rng, self.photos, self.people, self.things, size)
            yield torch.from_numpy(scene.image.transpose(2, 0, 1).copy()), encode(scene)
            number += step


def freeze_first_layers(network: PersonDetectorNet) -> None:
    """Keep the backbone's layers up to stride 4 as they are: they cost half of a step and learn little."""
    lite = network.backbone.network.network
    for part in (lite._conv_stem, lite._bn0, *lite._blocks[:3]):
        part.requires_grad_(False)
        part.eval()


def first_weights(network: PersonDetectorNet) -> None:
    """Those of the pose network that ships, which knows people already."""
    pose, _ = load_model("shipped")
    own = network.backbone.state_dict()
    network.backbone.load_state_dict({name: pose.backbone.state_dict()[name] for name in own})


def train(given: argparse.Namespace) -> None:
    """The loop."""
    torch.manual_seed(given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    last = given.out / "last.safetensors"
    network = PersonDetectorNet()
    first_weights(network)
    if given.start is not None:
        load_weights(network, load_checkpoint(given.start).part("ema"), given.start)
    saved = load_checkpoint(last) if last.is_file() else None
    if saved is not None:
        load_weights(network, saved.part("model"), last)
    freeze_first_layers(network)
    average = AveragedWeights(network, 0.998)
    optimiser = build_optimiser(OPTIMISER, network)
    step, steps = 0, given.samples // given.batch_size
    if saved is not None:
        step, average.tensors = saved.header["step"], saved.part("ema")
        load_optimiser(optimiser, saved.part("optimiser"))

    def save() -> None:
        parts = {"model": network.state_dict(), "ema": average.tensors}
        tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        options = {name: str(value) for name, value in vars(given).items() if name != "run"}
        header = {"step": step, "options": options, "git_sha": git_sha(), "optimiser": dataclasses.asdict(OPTIMISER)}
        save_checkpoint(last, tensors | optimiser_tensors(optimiser), header)

    photos = load_photos(given.lspet, given.found, slice(0, -KEPT))
    kept = load_photos(given.lspet, given.found, slice(-KEPT, None))
    people = [one for folder in given.synthetic for one in load_cutouts(folder)]
    things = load_things(given.things) if given.things else []
    loader = iter(
        DataLoader(
            Scenes(photos, people, things, given.sizes, given.batch_size, given.seed, step * given.batch_size),
            batch_size=given.batch_size,
            num_workers=given.workers,
            prefetch_factor=4 if given.workers else None,
        )
    )
    watched = next(iter(DataLoader(Scenes(kept, people, things, [256], 96, 10_000, 0), batch_size=96)))
    began, saved_at, sums = time.monotonic(), time.monotonic(), []
    while step < steps:
        image, targets = next(loader)
        loss, parts = total(network(image.to(memory_format=torch.channels_last)), PeopleTargets(*targets))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), OPTIMISER.clip_norm or float("inf"))
        set_learning_rate(optimiser, OPTIMISER.learning_rate * SCHEDULE.factor_at(step / steps))
        optimiser.step()
        step += 1
        average.update(network, step)
        sums.append(parts)
        if step % 50 == 0 or step == steps:
            speed = 50 * given.batch_size / (time.monotonic() - began)
            means = {name: float(np.mean([one[name] for one in sums])) for name in parts}
            row: dict[str, Any] = {
                "step": step,
                "samples": step * given.batch_size,
                "images_per_second": speed,
                **means,
            }
            if step % 400 == 0 or step == steps:
                row |= {f"kept_{name}": value for name, value in watch(network, average, watched).items()}
            with (given.out / "log.jsonl").open("a") as stream:
                stream.write(json.dumps({name: round(value, 4) for name, value in row.items()}) + "\n")
            sums, began = [], time.monotonic()
        if step == steps or time.monotonic() - saved_at > SAVE_EVERY_S:
            save()
            saved_at = time.monotonic()


@torch.no_grad()
def watch(network: PersonDetectorNet, average: AveragedWeights, watched: Any) -> dict[str, float]:
    """Losses of the averaged weights on scenes of photos that are not trained on."""
    image, targets = watched
    shadow = PersonDetectorNet()
    shadow.load_state_dict(average.tensors)
    return total(shadow.eval()(image), PeopleTargets(*targets))[1]


def label(given: argparse.Namespace) -> None:
    """Write who else is in each photo: its name -> rows of corners (left, top, right, bottom) px and score."""
    detector, found = PersonDetector(given.model, threshold=UNSURE), {}
    for photo in load_photos(given.lspet, None, slice(None)):
        (labelled,) = photo.boxes
        person = (*labelled[:2], *(labelled[2:] - labelled[:2]))
        people = detector(read_photo(photo.path))
        found[photo.path.name] = [_row(one) for one in people if overlaps([one.bbox_xywh], [person])[0, 0] < 0.4]
    given.out.write_text(json.dumps(found))
    scores = np.array([row[-1] for rows in found.values() for row in rows])
    print(f"{(scores >= SURE).sum()} people besides the labelled ones, and perhaps {(scores < SURE).sum()} more")


def _row(one: Detection) -> list[float]:
    x, y, w, h = one.bbox_xywh
    return [x, y, x + w, y + h, one.score]


def ship(given: argparse.Namespace) -> None:
    """Write the averaged weights in half precision to where the package has them."""
    checkpoint = load_checkpoint(given.model)
    half = {f"ema.{n}": t.half() if t.dtype == torch.float32 else t for n, t in checkpoint.part("ema").items()}
    header = {name: checkpoint.header[name] for name in ("step", "options", "git_sha")}
    save_checkpoint(given.out, half, {"about": ABOUT} | header)
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """``train``, ``label`` or ``ship``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    for run in (train, label, ship):
        verb = verbs.add_parser(run.__name__, help=run.__doc__)
        verb.set_defaults(run=run)
        if run is ship:
            verb.add_argument("model", type=Path)
            verb.add_argument("--out", type=Path, default=Path("src/headstart/weights/people.safetensors"))
            continue
        verb.add_argument("--lspet", type=Path, required=True)
        verb.add_argument("--out", type=Path, required=True)
        if run is label:
            verb.add_argument("--model", type=Path, required=True)
            continue
        verb.add_argument("--synthetic", type=Path, nargs="+", required=True)
        verb.add_argument("--things", type=Path, help="folder of PNG files with alpha: what is not a person")
        verb.add_argument("--found", type=Path)
        verb.add_argument("--start", type=Path)
        verb.add_argument("--samples", type=int, default=100_000)
        verb.add_argument("--sizes", type=int, nargs="+", default=[256], help="px, multiples of 32")
        verb.add_argument("--batch-size", type=int, default=32)
        verb.add_argument("--workers", type=int, default=1)
        verb.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
