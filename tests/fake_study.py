"""A study's folder as `headstart study run` leaves it, with made-up numbers: for tests of the report only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from headstart.protocols import protocol
from headstart.results import RunResult, Scores, StageCost
from headstart.skeleton import BODY_18, Skeleton

BUDGET, FLOPS_A_SAMPLE, BATCH = 1.2e15, 6.0e9, 64
PEOPLE = 2000
PROTOCOLS = ("synthetic_studio", "synthetic_occluded", "synthetic_wild_pck", "lsp_extended_pck12")
ARMS = {
    "3d_alone": "3D data for the whole budget.",
    "2d_then_3d": "2D data first, then 3D data.",
    "2d_then_2d3d": "2D data first, then 2D and 3D data mixed.",
    "2d3d": "2D and 3D data mixed from the start.",
}
ACTIONS = ("walking", "sitting", "waving", "phoning")


@dataclass(frozen=True)
class Fake:
    """One cell to be written; the fields of cell.json."""

    arm: str
    seed: int
    two_d: str | None = None
    three_d: str = "synthetic_studio"
    geometric: bool = False
    share_2d: float = 0.5
    backbone: str = "efficientnet_lite0"
    budget_flops: float = BUDGET
    flops_per_sample: float = FLOPS_A_SAMPLE
    three_d_limit: int | None = None
    gain: float = 12.0
    """mm that the arm is better than the baseline on its own test."""
    noise: float = 1.2
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the RunResult to overwrite."""

    @property
    def name(self) -> str:
        parts = (self.arm, self.two_d, self.three_d, self.backbone, self.three_d_limit, self.share_2d, self.geometric)
        return "-".join(str(part) for part in (*parts, f"{self.budget_flops:g}", self.seed))


def write_study(folder: Path, cells: list[Fake], *, samples: bool = False, **fields: Any) -> Path:
    """study.json and results/CELL/{cell,result}.json (and samples.npz) of the cells."""
    study = {
        "name": "fake",
        "title": "Does 2D pre-training pay at equal compute?",
        "question": "Is a network that first sees people in 2D better than one trained on 3D alone?",
        "arms": ARMS,
        "baseline": "3d_alone",
        "main": "2d_then_3d",
        "protocols": list(PROTOCOLS),
        "budget_flops": BUDGET,
        "created": "2026-11-24T00:00:00",
    } | fields
    (folder / "results").mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(study))
    for cell in cells:
        write_cell(folder / "results" / cell.name, cell, samples)
    return folder


def write_cell(folder: Path, cell: Fake, samples: bool = False) -> None:
    raw = asdict(cell) | {"study": "fake", "cell": cell.name, "batch_size": BATCH}
    for private in ("gain", "noise", "changes"):
        raw.pop(private)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cell.json").write_text(json.dumps(raw))
    replace(_result(cell), **cell.changes).save(folder / "result.json")
    if samples:
        np.savez_compressed(folder / "samples.npz", **_samples(cell))  # type: ignore[arg-type]


def grid(seeds: int = 3) -> list[Fake]:
    """Four arms, two 2D sets, two 3D sets, and the extra cells that each section of the report asks about."""
    cells = []
    for seed in range(seeds):
        for three_d in ("synthetic_studio", "synthetic_occluded"):
            cells.append(Fake("3d_alone", seed, three_d=three_d, share_2d=0.0, gain=0.0))
            for two_d in ("synthetic_wild", "lsp_extended"):
                same = {"two_d": two_d, "three_d": three_d}
                cells.append(Fake("2d_then_3d", seed, **same, gain=12 if three_d == "synthetic_studio" else 1))
                cells.append(Fake("2d_then_2d3d", seed, **same, gain=17))
                cells.append(Fake("2d3d", seed, **same, gain=14, share_2d=0.0))
        main = {"two_d": "synthetic_wild"}
        cells += [
            Fake("2d_then_3d", seed, **main, share_2d=s, gain=14 - 60 * (s - 0.4) ** 2) for s in (0.1, 0.25, 0.75, 0.9)
        ]
        cells.append(Fake("2d_then_3d", seed, **main, geometric=True, gain=12.5))
        for limit, gain in ((250, 40), (1000, 25), (4000, 15)):
            cells.append(Fake("3d_alone", seed, share_2d=0.0, three_d_limit=limit, gain=-300 / limit**0.25))
            cells.append(Fake("2d_then_3d", seed, **main, three_d_limit=limit, gain=gain - 300 / limit**0.25))
        for backbone, cost in (("nano", 8e8), ("resnet18", 2.2e10)):
            size = {"backbone": backbone, "flops_per_sample": cost}
            lift = 5 * float(np.log10(cost / FLOPS_A_SAMPLE))
            cells.append(Fake("3d_alone", seed, **size, share_2d=0.0, gain=lift))
            cells.append(Fake("2d_then_3d", seed, **main, **size, gain=lift + 10))
    return cells


def _result(cell: Fake) -> RunResult:
    randomness = np.random.default_rng([cell.seed, *map(ord, cell.name)])
    shared = np.random.default_rng(cell.seed).normal(0, 1.0)
    steps = round(cell.budget_flops / cell.flops_per_sample / BATCH)
    first = round(steps * cell.share_2d) if cell.arm.startswith("2d_then") else 0
    parts = [("2d", first), ("3d", steps - first)] if first else [("3d", steps)]
    stages = [StageCost(name, n, n * BATCH, n * BATCH * cell.flops_per_sample, n * BATCH / 900) for name, n in parts]
    ends = {name: _end(cell, name, shared + randomness.normal(0, cell.noise)) for name in PROTOCOLS}
    history, done = [], 0
    for name, n in parts:
        for step in np.unique(np.linspace(n / 8, n, 8).round().astype(int)):
            row = {"stage": name, "step": int(step), "samples": int(step) * BATCH}
            way = (done + step) / steps
            for test, end in ends.items():
                start = 250.0 if end[1] == "mm" else 3.0
                late = way if name == "3d" or end[1] == "%" else 0.08 * way
                row[test] = float(end[0] + (start - end[0]) * np.exp(-5 * late) + randomness.normal(0, 0.6))
            history.append({"stage": name, "step": int(step), "samples": int(step) * BATCH, "loss": 1.0})
            history.append(row)
        done += n
    scores = [_score(name, *end, randomness) for name, end in ends.items()]
    config = {"model": {"backbone": cell.backbone}}
    return RunResult(cell.name, cell.seed, config, "fedcba9876543210", "NVIDIA H100", stages, scores, history)


def _end(cell: Fake, name: str, noise: float) -> tuple[float, str]:
    own = name == cell.three_d
    if protocol(name).unit == "mm":
        return (92 if own else 140) - cell.gain * (1 if own else 0.8) + noise, "mm"
    return (35 if cell.two_d is None else 55) + cell.gain * 0.5 + noise, "%"


def _score(name: str, value: float, unit: str, randomness: np.random.Generator) -> Scores:
    wanted = protocol(name)
    worse = {"lower": 1, "higher": -1}[wanted.better]
    per_joint = {joint: value + worse * 25 * ("wrist" in joint or "ankle" in joint) for joint in wanted.joints}
    actions = {action: value + 4 * k for k, action in enumerate(ACTIONS)} if name == "synthetic_studio" else {}
    strata = {"visible": value - worse * 8, "occluded": value + worse * 22} if wanted.by_visibility else {}
    others = {f"{metric}_mm": value * 0.8 for metric in ("n_mpjpe", "pa_mpjpe")} if unit == "mm" else {}
    jitter = float(randomness.normal(0, 0.3))
    return Scores(
        name,
        wanted.describe(),
        wanted.metric,
        unit,
        value,
        wanted.better,
        PEOPLE,
        {joint: error + jitter for joint, error in per_joint.items()},
        {action: error + jitter for action, error in actions.items()},
        strata,
        others,
    )


# --- predictions on pictures ---


def _samples(cell: Fake, count: int = 8, skeleton: Skeleton = BODY_18) -> dict[str, Any]:
    """Stick people on plain pictures, the same for every arm; predictions are the labels plus noise of the arm."""
    stand = _standing(skeleton)
    pictures, labels_3d, predicted, keys = [], [], [], []
    for number in range(count):
        shared = np.random.default_rng(number)
        turn = shared.uniform(-1.2, 1.2)
        turned = stand @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
        labels_3d.append(turned)
        own = np.random.default_rng([number, cell.seed, len(cell.arm)])
        predicted.append(turned + own.normal(0, 20 + 8 * number - cell.gain, turned.shape))
        pictures.append(_picture(turned, skeleton, shared))
        keys.append(f"person-{number}")
    label_3d, predicted_3d = np.array(labels_3d), np.array(predicted)
    jpegs = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
    return {
        "jpegs": np.frombuffer(b"".join(jpegs), np.uint8),
        "offsets": np.cumsum([0, *map(len, jpegs)]).astype(np.int64),
        "keys": np.array(keys),
        "protocol": np.array([cell.three_d] * count),
        "joints": np.array(skeleton.names),
        "label_2d": _to_crop(label_3d),
        "label_visible": np.full(label_3d.shape[:2], 2),
        "predicted_2d": _to_crop(predicted_3d),
        "confidence": np.full(label_3d.shape[:2], 0.8),
        "label_3d": label_3d,
        "predicted_3d": predicted_3d,
        "error_mm": np.linalg.norm(predicted_3d - label_3d, axis=-1).mean(1),
        "error_2d": np.linalg.norm(_to_crop(predicted_3d) - _to_crop(label_3d), axis=-1).mean(1),
    }


def _to_crop(points: np.ndarray) -> np.ndarray:
    return points[..., :2] * 0.062 + 64


def _picture(points: np.ndarray, skeleton: Skeleton, randomness: np.random.Generator) -> np.ndarray:
    picture = np.full((128, 128, 3), randomness.integers(120, 220, 3), np.uint8)
    flat = _to_crop(points).round().astype(int)
    for parent, child in skeleton.edges:
        cv2.line(picture, flat[parent].tolist(), flat[child].tolist(), (60, 60, 60), 7, cv2.LINE_AA)
    return picture


def _standing(skeleton: Skeleton) -> np.ndarray:
    """mm, pelvis at 0, x right, y down: who faces the camera has the left side at positive x."""
    places = {
        "pelvis": (0, 0, 0),
        "spine": (0, -230, 0),
        "thorax": (0, -480, 0),
        "neck": (0, -560, 0),
        "nose": (0, -640, -110),
        "head_top": (0, -760, 0),
        "hip": (120, 0, 0),
        "knee": (140, 440, -40),
        "ankle": (150, 860, 30),
        "shoulder": (180, -470, 0),
        "elbow": (330, -260, 30),
        "wrist": (420, -60, -90),
    }
    found = []
    for joint in skeleton.names:
        side, _, part = joint.rpartition("_") if joint != "head_top" else ("", "", joint)
        x, y, z = places[part]
        found.append((-x if side == "right" else x, y, z))
    return np.array(found, np.float64)
