"""Protocols of Human3.6M, one constant each; the source of each is given beside it."""

from __future__ import annotations

from dataclasses import replace

from headstart.protocols.definition import COMPANIONS_3D, Protocol
from headstart.skeleton import H36M_17

#: Mean over frames; companions as every 3D protocol here. The 17 joints include the pelvis, whose error is 0.
H36M_STANDARD = Protocol(
    "h36m_standard",
    "h36m",
    "test",
    "mpjpe",
    H36M_17.names,
    subset="subjects S9 and S11",
    frame_stride=64,
    root="pelvis",
    group_by=("action",),
    companions=COMPANIONS_3D,
)

#: The same, averaged over the 15 actions: papers differ in which of the two they print.
H36M_STANDARD_ACTIONS = replace(H36M_STANDARD, name="h36m_standard_actions", average="groups")

#: All frames, averaged over the actions: the figure of papers that lift 2D poses. Source: the code of VideoPose3D
#: (Pavllo et al. 2019, run.py) and PoseFormer (Zheng et al. 2021, run_poseformer.py), with all 4 cameras. Their
#: "Protocol 1" is the value, 2 is ``pa_mpjpe``, 3 is ``n_mpjpe``. They leave the predicted pelvis where it is, so that
#: its error counts. MotionBERT (Zhu et al. 2023, train.py) leaves out S9's Greeting 2, SittingDown 2 and Waiting 1.
H36M_ALL_FRAMES = replace(
    H36M_STANDARD_ACTIONS, name="h36m_all_frames", subset="all frames on file of subjects S9 and S11", frame_stride=1
)

#: Zhou et al. 2017, published PyTorch code (src/lib/datasets/h36m.py, utils/eval.py): for fidelity to 64.90 and
#: 64.55 mm. That file scores every tenth frame of the ECCV-18 challenge's validation set unless asked for all; here
#: the frames are those of the standard protocol, so that its companions can be compared, where they are all at hand:
#: the crops of Zhou et al. hold every fifth, of which every 320th is scored, and the challenge's files number none, so
#: that all are scored. The description that goes with a score then says so.
H36M_ZHOU2017 = replace(
    H36M_STANDARD,
    name="h36m_zhou2017",
    metric="zhou2017_mpjpe",
    decode="argmax",
    companions=("mpjpe", *COMPANIONS_3D),
)

#: "Protocol 1" of Sun et al. 2018 and Moon et al. 2019 (3DMPPE, Human36M.py, ``protocol = 1``: subjects, frames, joints
#: and average are its), after Yasin et al. 2016: S9 is trained on. Older papers score fewer joints. 3DMPPE's own
#: alignment leaves the scale as it is, in the versions that we read; that of PA-MPJPE does not.
H36M_S11 = replace(
    H36M_STANDARD,
    name="h36m_s11",
    dataset="h36m_s11",
    metric="pa_mpjpe",
    subset="subject S11 alone, for models that may have been trained on S9",
    companions=("mpjpe", "n_mpjpe", "pck3d", "auc"),
)
