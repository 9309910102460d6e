"""A real server for the browser to talk to: the page around an estimator whose network knows one pose.

Run: python tests/oracle_server.py PORT [KEY=VALUE of Limits ...]; prints the address when it answers.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from headstart.predict import PoseEstimator
from headstart.records import CropJoints, Detection
from headstart.serve import Limits, serve
from headstart.skeleton import BODY_18, Skeleton

#: Joint -> x, y in 0..1 of the crop and depth in crop widths: somebody who waves with the left hand.
POSE = {
    "pelvis": (0.50, 0.53, 0.0),
    "spine": (0.50, 0.43, 0.01),
    "thorax": (0.50, 0.31, 0.02),
    "neck": (0.50, 0.27, 0.02),
    "nose": (0.50, 0.21, -0.05),
    "head_top": (0.50, 0.12, 0.0),
    "right_hip": (0.45, 0.54, 0.0),
    "right_knee": (0.43, 0.70, -0.05),
    "right_ankle": (0.42, 0.88, 0.02),
    "left_hip": (0.55, 0.54, 0.0),
    "left_knee": (0.58, 0.70, 0.03),
    "left_ankle": (0.60, 0.87, 0.10),
    "right_shoulder": (0.42, 0.32, 0.0),
    "right_elbow": (0.37, 0.44, 0.04),
    "right_wrist": (0.36, 0.55, -0.04),
    "left_shoulder": (0.58, 0.32, 0.03),
    "left_elbow": (0.69, 0.28, -0.02),
    "left_wrist": (0.72, 0.14, -0.08),
}


class OracleNetwork:
    """The same pose in every crop; it takes ``seconds`` for each call."""

    skeleton: Skeleton = BODY_18
    input_size = (256, 256)

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        time.sleep(self.seconds)
        pose = np.array([POSE[name] for name in self.skeleton.names], np.float32)
        poses = np.repeat(pose[None], len(crops), 0)
        return CropJoints(poses[..., :2] * 255, poses[..., 2], np.full(poses.shape[:2], 0.9, np.float32))


class TwoPeople:
    """A detector that splits every picture in two."""

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        height, width = image.shape[:2]
        return [Detection((0, 0, width / 2, height), 0.9), Detection((width / 2, 0, width / 2, height), 0.6)]


@contextmanager
def running(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server of its own, and its process, stopped by SIGTERM."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, str(port), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address == f"http://127.0.0.1:{port}/", "the server did not start"
        yield address, process
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    port, *options = sys.argv[1:]
    settings = dict(option.split("=") for option in options)
    estimator = PoseEstimator(
        OracleNetwork(float(settings.pop("seconds", 0))),
        detector=TwoPeople() if settings.pop("detector", "") else None,
        looks=0,  # its pose is the same wherever it looks
    )
    limits = Limits(**{name: int(value) for name, value in settings.items()})
    serve(estimator, port=int(port), limits=limits, ready=lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
