"""How true is motion from a video? Films of recorded motions whose joints are known, and what headstart makes of them.

    python benchmarks/motion.py --model runs/onnx/fp32.onnx

Five recordings (headstart.synth's, ten frames a second, splined to 30; the lower foot stays on the ground) are filmed
for 2.5 s each in a furnished room, and two people who cross. Everybody's stature and the camera are given. Printed, for
joints as estimated (in BVH and TRC with --smooth none), smoothed as frames come (one way), and as in BVH and TRC by
default (both ways) and with --smooth 6 (6 Hz):

* MPJPE in mm, pelvis at the origin;
* error of acceleration in mm a frame squared (Kanazawa et al. 2019);
* lag in frames: the shift at which velocities agree best with the true ones; the median of the films, as it means
  little where hardly anything moves;
* spread of the bones' lengths over time, in per cent of each;
* path: distance of the pelvis from the true path in mm, both about their means;
* feet: speed of ankles that truly stand (below 150 mm/s), in mm/s;
* top speed: the 95th percentile of the speeds of wrists and ankles about the pelvis, in per cent of the true one. Both
  noise, which raises it, and flattening are in it.

Then how often people change numbers who cross before a detector that knows their boxes, but for a shake of 3 %, and
misses who is mostly covered (not with --alone). About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from films import RATE, Film, Values, shoot
from headstart.predict import PoseEstimator
from headstart.records import RGB, Detection, Prediction
from headstart.skeleton import BODY_18
from headstart.tracking import overlaps
from headstart.video import VideoOptions, predict_video, smooth_motion

#: Below this ankles stand, mm/s.
STANDS = 150.0
ALONE = {
    "train": ("walking_24", "basketball_signal_1", "soccer_1", "jumping_2", "directing_traffic_1"),
    "test": ("walking_22", "basketball_signal_5", "soccer_5", "jumping_5", "directing_traffic_4"),
}
CROSSING = {"train": ("walking_2", "walking_18"), "test": ("walking_5", "walking_42")}
PELVIS, ANKLES = BODY_18.index("pelvis"), BODY_18.indices(("left_ankle", "right_ankle"))
ENDS = (*BODY_18.indices(("left_wrist", "right_wrist")), *ANKLES)
SIX_HZ = VideoOptions(motion_filter=6.0)


def figures(people: Sequence[Prediction], truth: Values) -> list[float]:
    """The seven of the head of this file; ``truth`` (frames, 18, 3) mm."""
    found = np.array([[one.camera_xyz_mm[name] for name in BODY_18.names] for one in people if one.camera_xyz_mm])
    body, true = (points - points[:, [PELVIS]] for points in (found, truth))
    bones = np.array([np.linalg.norm(body[:, a] - body[:, b], axis=1) for a, b in BODY_18.edges])
    path, wanted = (points[:, PELVIS] - points[:, PELVIS].mean(0) for points in (found, truth))
    speed, still = (np.linalg.norm(np.diff(points[:, ANKLES], axis=0), axis=-1) * RATE for points in (found, truth))
    fast, wanted_fast = (
        np.percentile(np.linalg.norm(np.diff(points[:, ENDS], axis=0), axis=-1), 95) for points in (body, true)
    )
    return [
        float(np.linalg.norm(body - true, axis=-1).mean()),
        float(np.linalg.norm(np.diff(body - true, 2, axis=0), axis=-1).mean()),
        lag(np.diff(body, axis=0), np.diff(true, axis=0)),
        float(100 * (bones.std(1) / bones.mean(1)).mean()),
        float(np.linalg.norm(path - wanted, axis=-1).mean()),
        float(speed[still < STANDS].mean()),
        float(100 * fast / wanted_fast),
    ]


def lag(found: Values, truth: Values, most: int = 8) -> float:
    """Frames by which velocities come late: the peak of their correlation, by a parabola through three shifts."""
    count = len(found) - 2 * most
    middle = truth[most : most + count]
    near = [float((found[most + k : most + k + count] * middle).sum()) for k in range(-most, most + 1)]
    best = int(np.clip(np.argmax(near), 1, 2 * most - 1))
    before, peak, after = near[best - 1 : best + 2]
    return best - most + (before - after) / 2 / (before - 2 * peak + after)


class Knowing:
    """A detector that knows the boxes of a film's people, but for a shake, and misses who is mostly covered."""

    def __init__(self, film: Film, seed: int) -> None:
        self.film, self.rng = film, np.random.default_rng(seed)
        self.seen: list[list[int]] = []

    def __call__(self, image: RGB) -> list[Detection]:
        """Of the next frame, the nearest first; who they are is noted in ``seen``."""
        joints, found = self.film.joints[len(self.seen)], {}
        for who in np.argsort(joints[:, PELVIS, 2]).tolist():
            pixels = self.film.camera.project(joints[who])
            low, side = pixels.min(0), np.ptp(pixels, axis=0)
            tight = (*(low - side / 20).tolist(), *(side * 1.1).tolist())
            if all(overlaps([tight], [box])[0, 0] < 0.5 for box in found.values()):
                found[who] = tight
        self.seen.append(list(found))
        shaken = (np.array(box) + self.rng.normal(0, 0.03, 4) * np.tile(box[2:], 2) for box in found.values())
        return [Detection((float(x), float(y), float(w), float(h)), 0.9) for x, y, w, h in shaken]


def changes(film: Film, model: str | None, seed: int) -> int:
    """How often anybody's number changes."""
    knowing = Knowing(film, seed)
    numbers: dict[int, list[int]] = {}
    frames = list(predict_video(PoseEstimator.from_pretrained(model, detector=knowing, flip_test=False), film.path))
    for people, seen in zip(frames, knowing.seen):
        for one, who in zip(people, seen):
            numbers.setdefault(who, []).append(one.track)
    return sum(a != b for mine in numbers.values() for a, b in pairwise(mine))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint, a run or an .onnx file; the model that ships if not given")
    parser.add_argument("--split", choices=list(ALONE), default="test")
    parser.add_argument("--alone", action="store_true", help="without the two who cross")
    given = parser.parse_args()
    table: dict[str, list[list[float]]] = {"as estimated": [], "one way": [], "both ways": [], "6 Hz": []}
    with tempfile.TemporaryDirectory() as folder:
        for name in ALONE[given.split]:
            film = shoot(Path(folder), given.split, [name])
            estimator = PoseEstimator.from_pretrained(given.model, height_mm=film.stature_mm)
            people = [frame[0] for frame in predict_video(estimator, film.path, camera=film.camera)]
            raw = [one.prediction for one in people]
            both = [smooth_motion(raw, RATE, options) for options in (None, SIX_HZ)]
            ways = (raw, [one.smooth_prediction() for one in people], *both)
            for rows, predictions in zip(table.values(), ways, strict=True):
                rows.append(figures(predictions, film.joints[:, 0]))
            print(name, *(f"{way}: {rows[-1][0]:.1f}" for way, rows in table.items()), "mm", flush=True)
        if not given.alone:
            crossing = shoot(Path(folder), given.split, CROSSING[given.split])
            switched = [changes(crossing, given.model, seed) for seed in range(3)]
    print(f"\n{given.split:14s} MPJPE  accel.  lag  bones  path  feet  top speed")
    for way, rows in table.items():
        mpjpe, acceleration, _, bones, path, feet, top = np.mean(rows, 0)
        late = np.median([row[2] for row in rows])
        print(
            f"{way:14s} {mpjpe:5.1f} {acceleration:7.1f} {late:4.1f} {bones:6.1f} {path:5.0f} {feet:5.0f} {top:10.0f}"
        )
    if not given.alone:
        print("numbers changed by two who cross, in three tries:", *switched)


if __name__ == "__main__":
    main()
