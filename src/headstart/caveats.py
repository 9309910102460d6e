"""Limits of a score, in sentences that follow its protocol's description. Each begins with "Here".

They name what a distribution of the data set lacks although the description assumes it, joints and people without
labels, and a score of only some of the people. A score of a complete data set has none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets import shared_subjects
from headstart.index import AnnotationIndex
from headstart.protocols import Protocol
from headstart.records import Annotation

#: What a person needs to be scored, by the protocol's reference (None: 3D).
_NEEDED = {"torso": "a labelled torso", "head_size": "a head size", None: "a pelvis labelled in 3D"}


def caveats_of_form(
    protocol: Protocol,
    people: Sequence[Annotation],
    index: AnnotationIndex,
    everybody: NDArray[np.int64],
    *,
    lifted: bool = True,
) -> Iterator[str]:
    """What this distribution of the data set lacks, and whether ``people`` are fewer than ``everybody`` to be scored.

    ``everybody``: rows of the index; ``lifted``: whether mm come from the picture, so that its scale matters.
    """
    if protocol.is_3d and lifted and any(one.camera is None and one.camera_xyz is not None for one in people):
        yield "Here without a camera: the scale is that of the label's own joints in the picture."
    if protocol.frame_stride > 1 and all(one.frame < 0 for one in people):
        yield "Here without frame numbers: all frames are scored."
    elif protocol.frame_stride > 1:
        # Of all rows that the protocol scores, not of those that a quick look at a few of them takes.
        step = _frame_step(index, everybody)
        if step > protocol.frame_stride:
            held = _frame_step(index, np.arange(len(index)))
            yield f"Here frames lie {held} apart: one in {step} is scored, not one in {protocol.frame_stride}."
    if "subject" in protocol.subset and not any(one.subject for one in people):
        yield "Here without subjects: everybody of the split is scored."
    if len(people) < len(everybody):
        yield f"Here a quick look at {len(people):,} of {len(everybody):,} people: not a result."


def trained_on(header: Mapping[str, Any]) -> list[list[str]]:
    """[data set, split] of all that a checkpoint's run was trained on, by its header; not what ``start_from`` was."""
    stages = header.get("config", {}).get("stages", [])
    used = ((data["dataset"], data["split"]) for stage in stages for data in stage["data"] if data.get("weight", 1) > 0)
    return [list(pair) for pair in dict.fromkeys(used)]


def subjects_trained_on(protocol: Protocol, trained: Iterable[Sequence[str]]) -> list[str]:
    """Names of those people of the protocol's split whom a model knows; ``trained`` as of :func:`trained_on`."""
    scored = (protocol.dataset, protocol.split)
    return list(dict.fromkeys(name for dataset, split in trained for name in shared_subjects(dataset, split, *scored)))


def caveats_of_training(protocol: Protocol, trained: Iterable[Sequence[str]]) -> Iterator[str]:
    """Whether people who are scored were trained on; ``trained`` as of :func:`trained_on`."""
    trained = [list(pair) for pair in trained]
    if [protocol.dataset, protocol.split] in trained:
        yield f"Here the model was trained on this very split, {protocol.dataset} {protocol.split}: not a result."
    elif known := subjects_trained_on(protocol, trained):
        yield f"Here the model was trained on people who are scored ({', '.join(known)}): not a result."


def caveats_of_labels(protocol: Protocol, values: NDArray[np.float64], joints: Sequence[str]) -> Iterator[str]:
    """Which joints nobody has and how many people are left out, by the values (N, J), NaN where nothing is scored."""
    unscored = np.isnan(values)
    lacking = [joints[int(column)] for column in np.flatnonzero(unscored.all(0))]
    if lacking:
        there = len(joints) - len(lacking)
        yield f"Here nobody is labelled with {', '.join(lacking)}: the value is of {there} of the {len(joints)} joints."
    if left_out := int(unscored.all(1).sum()):
        lack = f"for want of {_NEEDED[protocol.reference]} or of any of these joints"
        yield f"Here {left_out:,} of {len(values):,} people are left out, {lack}."


def _frame_step(index: AnnotationIndex, rows: NDArray[np.int64]) -> int:
    """Least distance between two frames of one sequence among ``rows``; 0 where no sequence has two."""
    numbered = rows[index.column("frame")[rows] >= 0]
    _, sequence = np.unique(index.column("sequence")[numbered].astype(str), return_inverse=True)
    places = np.unique(np.stack([sequence, index.column("frame")[numbered]], 1), axis=0)
    steps = np.diff(places[:, 1])[np.diff(places[:, 0]) == 0]
    return int(steps.min()) if len(steps) else 0
