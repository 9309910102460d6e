"""BlazePose on the same held-back people, in the same boxes, under the same protocol.

    python benchmarks/blazepose.py crops ../shared/data/lspet OUT          # in Headstart's environment
    python -m venv theirs && theirs/bin/pip install mediapipe==0.10.21    # has numpy 1: an environment of its own
    theirs/bin/python benchmarks/blazepose.py predict OUT
    headstart score OUT/blazepose.npz --protocol lsp_extended_pck12 --root ../shared/data/lspet

``crops`` writes each person's box with some of the photo around it (``--around`` 1.25 times the box's longer side),
``predict`` runs MediaPipe's Pose on it as on a still image: its detector, then the landmarks of ``full``, the one that
the wheel holds. A person whom it does not find gets the middle of the crop, which is a miss.

Its detector was made for people in front of a phone. ``crops --aligned`` does its work: the model that ships says where
the hips' middle is, how large the person and which way is up, and the crop is as BlazePose wants it. ``predict OUT
--network pose_landmark_full.tflite`` (from the wheel, a zip file; ``pip install ai-edge-litert``) then runs the
landmarks alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # Headstart is not in the other environment
    from headstart.geometry import Crop
    from headstart.index import AnnotationIndex

Points = np.ndarray[Any, np.dtype[np.float64]]
SIDE = 512
#: MediaPipe's landmark of each joint (its `PoseLandmark`).
LANDMARKS = {
    f"{side}_{joint}": first + (side == "right")
    for joint, first in {"shoulder": 11, "elbow": 13, "wrist": 15, "hip": 23, "knee": 25, "ankle": 27}.items()
    for side in ("left", "right")
}


def write_crops(root: Path, out: Path, around: float, aligned: bool) -> None:
    """A square PNG for each person whom the protocol scores, and how its pixels lie in the photo."""
    from headstart.evaluate import protocol_rows
    from headstart.index import open_index
    from headstart.inspection import write_picture
    from headstart.protocols import protocol

    wanted = protocol("lsp_extended_pck12")
    index, people = open_index(wanted.dataset, root, wanted.split), []
    rows = protocol_rows(index, wanted)
    crops = _aligned(index, rows) if aligned else _boxes(index, rows, around)
    out.mkdir(parents=True, exist_ok=True)
    for row, crop in zip(rows, crops, strict=True):
        file = f"{len(people):04d}.png"
        write_picture(str(out / file), crop.warp(index.rgb_image(int(row))))
        corners = crop.to_image(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        people.append({"key": index[int(row)].key, "file": file, "corners": corners.tolist()})
    (out / "people.json").write_text(json.dumps(people))
    print(f"{out}: {len(people)} people")


def _boxes(index: AnnotationIndex, rows: Any, around: float) -> list[Crop]:
    from headstart.geometry import Crop

    return [Crop.from_box(index[int(row)].bbox_xywh, (SIDE, SIDE), padding=around) for row in rows]


def _aligned(index: AnnotationIndex, rows: Any) -> list[Crop]:
    """The hips' middle in the middle, the shoulders' above it, and 1.25 times the circle around all twelve joints."""
    from headstart.checkpoint import shipped_weights
    from headstart.geometry import Crop
    from headstart.predictions import in_order
    from headstart.scoring import predict_people

    people = in_order(predict_people(shipped_weights(), index, rows, "predicting"), [index[int(r)].key for r in rows])
    crops = []
    for points in people.keypoints[:, [people.joints.index(name) for name in LANDMARKS]]:
        shoulders, hips = (
            points[[i for i, n in enumerate(LANDMARKS) if part in n]].mean(0) for part in ("shou", "hip")
        )
        radius = float(np.linalg.norm(points - hips, axis=1).max())
        lean = float(np.degrees(np.arctan2(shoulders[0] - hips[0], hips[1] - shoulders[1])))
        box = np.array([*(hips - radius + 0.5), 2 * radius, 2 * radius])
        crops.append(Crop.from_box(box, (SIDE, SIDE), padding=1.25, rotation_degrees=-lean))
    return crops


def predict(out: Path, network: Path | None) -> None:
    """Write ``blazepose.npz``, which ``headstart score`` reads."""
    import cv2

    people, look = json.loads((out / "people.json").read_text()), _landmarks(network) if network else _solution
    keypoints, confidence = [], []
    for person in people:
        points, sure = look(cv2.cvtColor(cv2.imread(str(out / person["file"])), cv2.COLOR_BGR2RGB))
        origin, right, down = np.array(person["corners"])
        keypoints.append(origin + points @ np.array([right - origin, down - origin]))
        confidence.append(sure)
    np.savez(
        out / "blazepose.npz",
        keys=np.array([person["key"] for person in people]),
        joints=np.array(list(LANDMARKS)),
        keypoints=np.array(keypoints, np.float32),
        confidence=np.array(confidence, np.float32),
        about=np.array(json.dumps({"dataset": "lsp_extended", "split": "val"})),
    )
    missed = sum(not sure.any() for sure in confidence)
    print(f"{out / 'blazepose.npz'}: {len(people)} people, {missed} not found")


def _solution(rgb: Any) -> tuple[Points, Points]:
    """Crop px (12, 2), the first pixel's centre at 0, and visibility (12,), by detector and landmarks."""
    from mediapipe.python.solutions.pose import Pose

    # A new one each time: as if no other image had come before.
    with Pose(static_image_mode=True, model_complexity=1) as pose:
        found = pose.process(rgb).pose_landmarks
    if found is None:
        return np.full((len(LANDMARKS), 2), SIDE / 2), np.zeros(len(LANDMARKS))
    marks = [found.landmark[place] for place in LANDMARKS.values()]
    # Its coordinates go from 0 at the left edge of the first pixel to 1.
    points = np.array([[mark.x, mark.y] for mark in marks]) * SIDE - 0.5
    return points, np.clip([mark.visibility for mark in marks], 0, 1)


def _landmarks(network: Path) -> Callable[[Any], tuple[Points, Points]]:
    """What reads a crop by the landmarks' network alone: of each x, y, z in px of its input, visibility, presence."""
    import cv2
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(network))
    interpreter.allocate_tensors()
    entry, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    side = int(entry["shape"][1])

    def look(rgb: Any) -> tuple[Points, Points]:
        small = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
        interpreter.set_tensor(entry["index"], small[None].astype(np.float32) / 255)
        interpreter.invoke()
        marks = interpreter.get_tensor(answer["index"]).reshape(-1, 5)[list(LANDMARKS.values())]
        return marks[:, :2] * SIDE / side - 0.5, 1 / (1 + np.exp(-marks[:, 3].astype(float)))

    return look


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    crops = commands.add_parser("crops")
    crops.add_argument("root", type=Path)
    crops.add_argument("out", type=Path)
    crops.add_argument("--around", type=float, default=1.25)
    crops.add_argument("--aligned", action="store_true")
    predicting = commands.add_parser("predict")
    predicting.add_argument("out", type=Path)
    predicting.add_argument("--network", type=Path)
    args = parser.parse_args()
    if args.command == "crops":
        write_crops(args.root, args.out, args.around, args.aligned)
    else:
        predict(args.out, args.network)
