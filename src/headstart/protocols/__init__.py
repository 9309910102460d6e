"""Evaluation protocols, one constant each.

"Protocol 1" means different things in different papers, so every score carries :meth:`Protocol.describe`. The source
of each constant is given beside it. Direction and scale belong to the metric (:data:`METRICS`), not to the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from headstart.errors import ConfigError
from headstart.metrics import PCK3D_THRESHOLD_MM
from headstart.protocols.definition import (
    COMPANIONS_3D,
    METRICS,
    GroupBy,
    Metric,
    MetricFacts,
    Protocol,
    companion_title,
)
from headstart.protocols.h36m import H36M_ALL_FRAMES, H36M_S11, H36M_STANDARD, H36M_STANDARD_ACTIONS, H36M_ZHOU2017
from headstart.protocols.own import is_own, own_protocol, own_protocols
from headstart.skeleton import FEET, H36M_17, LSP_14, MPII_16

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "GroupBy",
    "Metric",
    "MetricFacts",
    "Protocol",
    "companion_title",
    "is_own",
    "own_protocols",
    "protocol",
    "unknown_protocols",
]


def _both_sides(*parts: str) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts for side in ("right", "left"))


_LIMBS = _both_sides("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


# --- the constants ---

#: The official PCKh script as SimpleBaseline runs it on ``gt_valid.mat``: pelvis and thorax masked, joints weighted by
#: count. Xiao et al. 2018, ResNet-50 at 256x256: 88.53. ``valid.json`` has lost which joints are occluded. Their
#: "Mean@0.1", and HRNet's, is the value at 0.11: ``pckAll[11]`` of thresholds 0, 0.01, 0.02 ... Both are printed.
MPII_PCKH = Protocol(
    "mpii_pckh",
    "mpii",
    "valid",
    "pckh",
    tuple(joint for joint in MPII_16.names if joint not in ("pelvis", "thorax")),
    subset="2,958 people of Xiao et al. 2018",
    reference="head_size",
    threshold=0.5,
    also_at=(0.1, 0.11),
    average="joints",
)

#: Person-centric labels. PCK@0.2: Yang and Ramanan 2013 with the torso of Sapp and Taskar 2013.
LSP_PCK = Protocol(
    "lsp_pck",
    "lsp",
    "test",
    "pck",
    LSP_14.names,
    subset="images 1001-2000",
    reference="torso",
    threshold=0.2,
    average="joints",
    by_visibility=True,
)

#: LSP-Extended has no official test set: the part that the adapter holds out.
LSP_EXTENDED_PCK = Protocol(
    "lsp_extended_pck",
    "lsp_extended",
    "val",
    "pck",
    LSP_14.names,
    subset="images 8501-9500, held out by us; crowd-sourced, noisy labels",
    reference="torso",
    threshold=0.2,
    average="joints",
)

#: Shoulders to ankles: without neck and head top, whose definition differs most between data sets.
LSP_EXTENDED_PCK12 = replace(LSP_EXTENDED_PCK, name="lsp_extended_pck12", joints=_LIMBS)

#: Sapp and Taskar 2013.
FLIC_PCK = Protocol(
    "flic_pck",
    "flic",
    "test",
    "pck",
    _both_sides("elbow", "wrist"),
    subset="each person's own left and right; published figures are the observer's and do not compare",
    reference="torso",
    threshold=0.2,
    average="joints",
)

#: A sanity figure, not COCO's metric. COCO's is OKS AP over detections of whole images: it needs a person detector, a
#: ranking of detections by confidence and COCO's own evaluator (pycocotools), and given boxes would flatter it.
COCO_PCK = Protocol(
    "coco_pck",
    "coco",
    "val2017",
    "pck",
    _LIMBS,
    subset="labelled people in given boxes; not OKS AP, which scores a detector too",
    reference="torso",
    threshold=0.2,
    average="joints",
    by_visibility=True,
)

#: The same with the joints of the feet, for COCO-WholeBody: 0.2 of the torso is coarse for them, so see each joint.
COCO_FEET_PCK = replace(COCO_PCK, name="coco_feet_pck", dataset="coco_feet", joints=(*_LIMBS, *FEET))

#: The same for labels in the format of Ultralytics: of one's own, so there are no published figures.
YOLO_POSE_PCK = replace(COCO_PCK, name="yolo_pose_pck", dataset="yolo_pose", split="val")

#: Mehta et al. 2017, ``mpii_compute_3d_pck.m``: the first 14 of the 17 test joints, root = the pelvis, which is
#: not scored (the official average MPJPE counts all 17). The truth is ``annot3``, as in D3DP (Shan et al. 2023).
MPI_INF_3DHP = Protocol(
    "mpi_inf_3dhp",
    "mpi_inf_3dhp",
    "test",
    "pck3d",
    ("head_top", "neck", *_LIMBS),
    subset="TS1-TS6, valid frames only, people in their true size, not the universal one of published figures",
    root="pelvis",
    threshold=PCK3D_THRESHOLD_MM,
    average="joints",
    group_by=("action", "scene"),
    companions=("auc", "mpjpe", "n_mpjpe", "pa_mpjpe"),
    scenes=(
        *(("TS1", "green screen"), ("TS2", "green screen")),
        *(("TS3", "studio"), ("TS4", "studio")),
        *(("TS5", "outdoor"), ("TS6", "outdoor")),
    ),
)

#: The same with the official truth, ``univ_annot3`` (``mpii_test_predictions.m``), which the code of SPIN and P-STMO
#: scores too. SPIN and HMR train on ``annot3``. SPIN leaves out frames with a joint outside the picture.
MPI_INF_3DHP_UNIVERSAL = replace(
    MPI_INF_3DHP,
    name="mpi_inf_3dhp_universal",
    dataset="mpi_inf_3dhp_universal",
    subset="TS1-TS6, valid frames only, people scaled to one height about the camera: relative to the pelvis they are "
    "univ_annot3, the official truth",
)

#: Joints of ``jointPositions`` (SMPL's own), not the 14 that mesh papers regress in Human3.6M's manner: figures do not
#: compare. The twelve of the limbs, the midpoint of the hips (the root, so its error is 0) and that of the shoulders.
THREEDPW = Protocol(
    "threedpw",
    "threedpw",
    "test",
    "mpjpe",
    ("pelvis", "thorax", *_LIMBS),
    subset="valid cameras only; joints of the SMPL model, not those regressed in Human3.6M's manner by mesh papers; "
    "pelvis and thorax are midpoints",
    root="pelvis",
    group_by=("sequence",),
    companions=("pa_mpjpe", "n_mpjpe", "pck3d", "auc"),
)

#: All 15 joints of the data set, which has no head top. Its "neck" is the base of the neck, as in the Human3.6M order
#: of its authors' code (as its adapter argues), so our thorax; its "belly" our spine. Published figures are of several
#: views (AdaFuse) and do not compare.
OCCLUSION_PERSON = Protocol(
    "occlusion_person",
    "occlusion_person",
    "validation",
    "mpjpe",
    ("pelvis", "spine", "thorax", *_LIMBS),
    root="pelvis",
    average="joints",
    by_visibility=True,
    companions=COMPANIONS_3D,
)

#: Nibali et al. 2021; test at 10 of 50 frames/s, as in the authors' evaluation script (aspset510). 16 of its 17
#: joints: our skeleton has no centre of the head. Its pelvis lies 6 cm above the hips' midpoint: a model that learnt
#: the pelvis elsewhere is 56 mm off with every joint right.
ASPSET = Protocol(
    "aspset",
    "aspset",
    "test",
    "mpjpe",
    ("pelvis", "spine", "neck", "head_top", *_LIMBS),
    frame_stride=5,
    root="pelvis",
    group_by=("subject",),
    companions=COMPANIONS_3D,
)

#: Our own pictures (docs/synthetic-people.md): all joints of Human3.6M, occluded ones apart.
SYNTHETIC_WILD = Protocol(
    "synthetic_wild",
    "synthetic_wild",
    "test",
    "mpjpe",
    H36M_17.names,
    root="pelvis",
    by_visibility=True,
    companions=COMPANIONS_3D,
)
SYNTHETIC_STUDIO = replace(SYNTHETIC_WILD, name="synthetic_studio", dataset="synthetic_studio", group_by=("action",))
SYNTHETIC_OCCLUDED = replace(SYNTHETIC_WILD, name="synthetic_occluded", dataset="synthetic_occluded")
SYNTHETIC_WILD_PCK = Protocol(
    "synthetic_wild_pck",
    "synthetic_wild",
    "test",
    "pck",
    _LIMBS,
    reference="torso",
    threshold=0.2,
    average="joints",
    by_visibility=True,
)

#: Name -> protocol.
PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        H36M_STANDARD,
        H36M_STANDARD_ACTIONS,
        H36M_ALL_FRAMES,
        H36M_S11,
        H36M_ZHOU2017,
        MPII_PCKH,
        LSP_PCK,
        LSP_EXTENDED_PCK,
        LSP_EXTENDED_PCK12,
        FLIC_PCK,
        COCO_PCK,
        COCO_FEET_PCK,
        YOLO_POSE_PCK,
        MPI_INF_3DHP,
        MPI_INF_3DHP_UNIVERSAL,
        THREEDPW,
        OCCLUSION_PERSON,
        ASPSET,
        SYNTHETIC_WILD,
        SYNTHETIC_STUDIO,
        SYNTHETIC_OCCLUDED,
        SYNTHETIC_WILD_PCK,
    )
}


def protocol(name: str) -> Protocol:
    """The protocol of that name, or ``module:name`` of a user's; raises :class:`ConfigError` naming those there are."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    if is_own(name):
        return own_protocol(name)
    own = "or my_data.office:NAME for a protocol of yours in my_data/office.py"
    raise ConfigError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}, {own}")


def unknown_protocols(names: Iterable[str]) -> Iterator[str]:
    """What :func:`protocol` says of each name that is none."""
    for name in names:
        try:
            protocol(name)
        except ConfigError as error:
            yield str(error)
