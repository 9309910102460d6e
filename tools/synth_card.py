"""Statistics and contact sheets of the synthetic domains, for docs/synthetic-people.md.

    for domain in wild studio occluded; do
        headstart synth $domain --split test --count 400 --seed 0 --out data/synthetic
    done
    python tools/synth_card.py OUT --data data/synthetic --split test

Writes sheet-DOMAIN.jpg (plain above, labelled below) and statistics.json, counted over the packs below ``--data``, and
prints the table.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from headstart.images import decode_image
from headstart.index import AnnotationIndex, open_index
from headstart.inspection import draw_states, states_legend
from headstart.skeleton import CANONICAL, LSP_14, WITH_FEET
from headstart.synth.domains import DOMAINS, SyntheticImage, generate
from headstart.synth.labels import State


def labelled(made: SyntheticImage) -> np.ndarray:
    """The picture (BGR) as ``headstart show samples`` draws it, and the box."""
    drawn = draw_states(made.image, made.keypoints, WITH_FEET, made.states, made.mask)
    picture = np.ascontiguousarray(drawn[..., ::-1])
    x, y, width, height = (int(v) for v in made.bbox_xywh)
    cv2.rectangle(picture, (x, y), (x + width, y + height), (255, 255, 0), 1)
    return picture


def sheet(domain: str, columns: int = 6, rows: int = 3) -> np.ndarray:
    """Plain pictures, and the same ones labelled below."""
    made = [generate(domain, "train", 0, 7 * number) for number in range(columns * rows)]
    plain, drawn = [m.image[..., ::-1] for m in made], [labelled(m) for m in made]
    blocks = [
        cv2.vconcat([cv2.hconcat(p[r * columns : (r + 1) * columns]) for r in range(rows)]) for p in (plain, drawn)
    ]
    legend = states_legend(blocks[0].shape[1])[..., ::-1]
    return cv2.vconcat([blocks[0], legend, blocks[1]])


LSP = CANONICAL.indices(LSP_14.names)


def flat_statistics(points: np.ndarray) -> dict[str, str]:
    """What 2D labels alone tell, for LSP's joints (N, 14, 2) px, NaN where unlabelled: comparable with LSP-Extended."""
    at = {name: points[:, LSP_14.index(name)] for name in LSP_14.names}
    up = (at["left_shoulder"] + at["right_shoulder"] - at["left_hip"] - at["right_hip"]) / 2
    turn = np.degrees(np.abs(np.arctan2(up[:, 0], -up[:, 1])))
    highest_wrist = np.fmin(at["left_wrist"][:, 1], at["right_wrist"][:, 1])
    size = np.nanmax(points, 1) - np.nanmin(points, 1)
    return {
        "2D trunk from upright, degrees": spread(turn[np.isfinite(turn)]),
        "2D trunk within 30 / 30-90 / beyond 90": " / ".join(
            f"{share:.0%}" for share in np.histogram(turn, (0, 30, 90, 181))[0] / np.isfinite(turn).sum()
        ),
        "joints' box wider than tall": f"{(size[:, 0] > size[:, 1]).mean():.0%}",
        "wrist above the head": f"{(highest_wrist < at['head_top'][:, 1]).mean():.0%}",
    }


def angle(xyz: np.ndarray, start: str, middle: str, end: str) -> np.ndarray:
    """Degrees at a joint, 180 straight, for xyz (N, 22, 3)."""
    a, b, c = (xyz[:, CANONICAL.index(name)] for name in (start, middle, end))
    u, v = a - b, c - b
    cosine = (u * v).sum(1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def spread(values: np.ndarray) -> str:
    """5, 50 and 95 percent points."""
    return " / ".join(f"{value:.0f}" for value in np.percentile(values, (5, 50, 95)))


def statistics(index: AnnotationIndex) -> dict[str, object]:
    """Rates of joint states, sizes, poses and views over a pack."""
    people = [index[row] for row in range(len(index))]
    count, states = len(people), np.stack([index.extra(row, "state")[: len(CANONICAL)] for row in range(len(index))])
    xyz = np.stack([person.camera_xyz for person in people])
    # Joints outside the picture have no 2D label.
    points = np.stack([person.camera.project(person.camera_xyz) for person in people])
    side = decode_image(index.content(0), people[0].key).shape[0]
    trunk = xyz[:, CANONICAL.index("thorax")] - xyz[:, CANONICAL.index("pelvis")]
    up = np.stack([person.camera.rotation @ np.array([0.0, 0, 1]) for person in people])
    lean = np.degrees(np.arccos(np.clip((trunk * up).sum(1) / np.linalg.norm(trunk, axis=1), -1, 1)))
    across = xyz[:, CANONICAL.index("left_hip")] - xyz[:, CANONICAL.index("right_hip")]
    front = np.cross(trunk, across)
    yaw = np.degrees(np.arctan2(front[:, 0], front[:, 2]))
    return {
        "pictures": count,
        **{f"joints {state.name.lower()}": f"{(states == state).mean():.1%}" for state in State},
        "box height, share of the picture": spread(100 * np.array([person.bbox_xywh[3] / side for person in people])),
        "trunk from upright, degrees": spread(lean),
        "upside down (beyond 120 degrees)": f"{(lean > 120).mean():.1%}",
        "knee angle, degrees": spread(angle(xyz, "left_hip", "left_knee", "left_ankle")),
        "elbow angle, degrees": spread(angle(xyz, "left_shoulder", "left_elbow", "left_wrist")),
        "hip angle, degrees": spread(angle(xyz, "thorax", "left_hip", "left_knee")),
        "facing the camera / sideways / away": " / ".join(
            f"{share:.0%}" for share in np.histogram(np.abs(yaw), (0, 45, 135, 180.1))[0] / count
        ),
        "distance of the pelvis, cm": spread(xyz[:, CANONICAL.index("pelvis"), 2] / 10),
        **flat_statistics(points[:, LSP]),
        "recorded poses": f"{np.mean([bool(person.sequence) for person in people]):.0%}",
    }


def main() -> None:
    """Parse, draw, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    table = {}
    for domain in DOMAINS:
        cv2.imwrite(str(given.out / f"sheet-{domain}.jpg"), sheet(domain), [cv2.IMWRITE_JPEG_QUALITY, 85])
        table[domain] = statistics(open_index(f"synthetic_{domain}", given.data, given.split))
    (given.out / "statistics.json").write_text(json.dumps(table, indent=1))
    for name in next(iter(table.values())):
        print(f"| {name} | " + " | ".join(str(table[domain][name]) for domain in DOMAINS) + " |")


if __name__ == "__main__":
    main()
