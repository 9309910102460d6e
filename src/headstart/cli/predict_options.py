"""Options of ``headstart predict``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from headstart.cli.estimator import build_estimator
from headstart.cli.outputs import Outputs
from headstart.cli.per_input import PerInput
from headstart.cli.placeholders import (
    Detector,
    Millimetres,
    OptionalCount,
    OptionalDevice,
    OptionalFile,
    OptionalFolder,
    OptionalModel,
    Scales,
)
from headstart.errors import ConfigError

if TYPE_CHECKING:
    from headstart.predict import PoseEstimator


@dataclass(frozen=True)
class PredictOptions:
    """What is predicted, how, and where it is written.

    Args:
        inputs: images, videos, folders of both, globs, or webcam:0.
        model: checkpoint, folder of a run, hub id (owner/name), or exported .onnx file, the fastest on a CPU; the model
            that ships if not given.
        boxes: JSON file that maps the name of each image to its boxes [[x, y, width, height], ...] in px, tight
            around each person.
        detector: how people are found: hub id or folder of a transformers detector; shipped: the small detector that
            ships; auto: PekingU/rtdetr_v2_r18vd if it has been downloaded to this machine, else shipped; none: the
            whole image is taken as one person, around whom the model crops itself.
        camera: a known camera: focal length (or two, for x and y) and principal point in px, with or without the
            distortion coefficients of OpenCV. Adds positions relative to the camera.
        field_of_view: instead of --camera, an assumed camera that sees so many degrees from left to right (55 suits
            phones).
        height_mm: body height that gives the scale; one image does not show how tall a person is.
        json_output: write the people to this file (.json), or with - to standard output; the frames of a video one by
            one, in bounded memory.
        csv: write the same as a table with one row per joint (.csv), for videos with frame, time and track.
        npz: write the same as NumPy arrays (.npz).
        coco: write the people of all images as labels in COCO's format (.json), to be corrected in a labelling tool and
            trained on; names of images are relative to the deepest folder that holds them all.
        bvh: for videos: write each person's motion, smoothed over the whole clip, as OUT/NAME_personN.bvh, for
            animation tools (cm). With --camera or --field-of-view people move through space, with the camera at the
            origin (their distance is only as accurate as the camera and --height-mm); without, the pelvis stays at the
            origin.
        trc: for videos: write the same as OUT/NAME_personN.trc, for biomechanics tools (mm).
        smooth: filter for --bvh and --trc. one-euro: the steadiest at rest, but it flattens fast movements, most of all
            at low frame rates; none: no filter; a number: cutoff in Hz of a zero-lag Butterworth filter, often 6 in
            biomechanics.
        out: folder for images (skeletons drawn on them, and two views in 3D), videos (skeletons drawn on them), and
            the files of --bvh and --trc.
        overlay: write those images and videos. --bvh and --trc do not need them and are faster without.
        per_input: write the results of each input to a folder of its own in --out, named by the input's path, which
            appears when it is complete; --json, --csv and --npz are then names of files in it.
        skip_finished: with --per-input: skip inputs that are finished already with the same options.
        flip_test: also predict the mirrored image, and average: twice the time, somewhat more accurate.
        scales: predict each person at these scales, and average; 0.9 1 1.15 takes three times the time and is somewhat
            more accurate.
        batch_size: people that go through the network at once.
        device: cpu, cuda, cuda:1, mps, ...; if not given the GPU if there is one, for .onnx files the CPU.
        threads: CPU threads of network and detector; all if not given.
        detect_every: for videos: run the detector on one in so many frames; in between, boxes follow the joints. If not
            given 1, or 5 with the detector that ships.
    """

    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT [INPUT ...]", help_behavior_hint="")]
    model: OptionalModel = None
    boxes: OptionalFile = None
    detector: Detector = "auto"
    camera: Annotated[str | None, arg(metavar="F,CX,CY or FX,FY,CX,CY[,K1,K2,P1,P2,K3]", help_behavior_hint="")] = None
    field_of_view: Annotated[float | None, arg(metavar="DEGREES", help_behavior_hint="")] = None
    height_mm: Millimetres = 1700.0
    json_output: Annotated[Path | None, arg(name="json", metavar="FILE", help_behavior_hint="")] = None
    csv: OptionalFile = None
    npz: OptionalFile = None
    coco: OptionalFile = None
    bvh: bool = False
    trc: bool = False
    smooth: Annotated[str, arg(metavar="{one-euro,none,HZ}")] = "one-euro"
    out: OptionalFolder = None
    overlay: bool = True
    per_input: bool = False
    skip_finished: bool = False
    flip_test: bool = True
    scales: Scales = (1.0,)
    batch_size: int = 32
    device: OptionalDevice = None
    threads: OptionalCount = None
    detect_every: OptionalCount = None

    def check(self) -> None:
        """Raise :class:`ConfigError` if there is no input, or for an option without the one that it belongs to."""
        if not self.inputs:
            raise ConfigError("predict: expected images, folders, globs or videos")
        if self.skip_finished and not self.per_input:
            raise ConfigError("--skip-finished: give --per-input too, whose folders say what is finished")
        if self.coco is not None and self.per_input:
            raise ConfigError(f"--coco {self.coco}: one file labels all images; leave out --per-input")

    def outputs(self) -> Outputs:
        """Where results go, with the places that are not named; with --per-input names in each input's folder."""
        named = Outputs(self.json_output, self.csv, self.npz, self.out, self.bvh, self.trc, self.overlay, self.coco)
        return named.for_each_input() if self.per_input else named.completed()

    def folders(self, outputs: Outputs) -> PerInput | None:
        """With --per-input the folders of all inputs; ``outputs`` as of :meth:`outputs`."""
        if not self.per_input:
            return None
        return PerInput.of(outputs, self._results_depend_on(), skip_finished=self.skip_finished)

    def _results_depend_on(self) -> dict[str, Any]:
        """The options, besides outputs, with another value of which results are others."""
        return {
            "model": self.model or "shipped",
            "boxes": self.boxes,
            "detector": self.detector,
            "camera": self.camera,
            "field_of_view": self.field_of_view,
            "height_mm": self.height_mm,
            "flip_test": self.flip_test,
            "scales": self.scales,
            "detect_every": self.detect_every,
            "smooth": self.smooth,
        }

    def estimator(self) -> PoseEstimator:
        """The estimator; without a detector if --boxes says where people are."""
        return build_estimator(
            self.model,
            self.detector if self.boxes is None else "none",
            self.device,
            batch_size=self.batch_size,
            flip_test=self.flip_test,
            scales=self.scales,
            height_mm=self.height_mm,
            threads=self.threads,
        )

    def frames_between_detections(self, estimator: PoseEstimator) -> int:
        """Frames from one detection to the next: more with the detector that ships, which looks at a dozen crops."""
        from headstart.person_detector import PersonDetector

        if self.detect_every is not None:
            return self.detect_every
        return 5 if isinstance(estimator.detector, PersonDetector) else 1
