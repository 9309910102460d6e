"""Folders as ``headstart synth`` writes them, of made-up people: quick, and without pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from headstart.index import to_row, write_index
from headstart.records import Annotation
from headstart.skeleton import CANONICAL, WITH_FEET, Skeleton
from headstart.synthesize import schema_with_states


def write_synthetic(root: Path, joints: Skeleton, people: int = 4) -> Path:
    """``synthetic_wild-train/`` below ``root``; the same people with feet (WITH_FEET) and without (CANONICAL)."""
    assert joints in (CANONICAL, WITH_FEET)
    folder, kept = root / "synthetic_wild-train", len(joints)
    folder.mkdir(parents=True)
    places = np.random.default_rng(0).uniform(0, 60, (people, len(WITH_FEET), 3)).astype(np.float32)
    rows = [
        to_row(
            Annotation(
                key=f"{number}",
                image=folder / f"{number}.jpg",
                bbox_xywh=np.array([0, 0, 60, 60], np.float32),
                keypoints=place[:kept, :2],
                visibility=np.full(kept, 2, np.uint8),
                camera_xyz=place[:kept],
            ),
            folder,
        )
        | {"state": [0] * kept, "mask": b"", "content": b""}
        for number, place in enumerate(places)
    ]
    write_index(folder / "shard-00000.arrow", rows, schema_with_states(joints), {})
    (folder / "pack.json").write_text(json.dumps({"shards": ["shard-00000.arrow"]}))
    return root
