"""Runs networks that ``headstart export`` has written, each one self-describing ONNX file, in ONNX Runtime.

The graph takes uint8 pictures and gives joints: normalising and decoding are inside, so it runs without Headstart and
without PyTorch. Only the flip test and multi-scale testing, which average maps, decode with PyTorch; for them the maps
are outputs too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.argument_checks import is_single_scale
from headstart.errors import ConfigError, DataError, first_line
from headstart.geometry import PADDING
from headstart.records import CropJoints, PoseOutput
from headstart.skeleton import MODEL_SKELETONS, Skeleton

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.targets import HeatmapCodec

#: The input, and the outputs that every file has, in order.
IMAGE = "image"
JOINTS = ("keypoints", "depth", "confidence")
#: What each means, for readers of the file without this package.
MEANING = {
    "image": "uint8 RGB (B, 3, height, width), 0 to 255, not normalised: the part of the picture that has the input's"
    f" shape, the middle of the person's box in its middle, and just holds {PADDING:g} times the box; scaled, not"
    " stretched; black outside the picture",
    "keypoints": "(B, J, 2) x, y in px of the input; integers are pixel centres",
    "depth": "(B, J) relative to the pelvis, in input widths, larger is farther away",
    "confidence": "(B, J) in 0..1",
}

_HEADER = "headstart"
_FORMAT = 1
_CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True)
class Agreement:
    """Differences of an exported file from the checkpoint in PyTorch, over the joints that were compared."""

    largest_px: float
    """Of the joints' places, input px."""
    median_px: float
    largest_depth_px: float
    """Of their depths, in input px too."""
    joints: int
    """Number of joints compared; those that single precision cannot place are left out (export.agreement)."""
    of_joints: int
    """Number of joints in all pictures."""
    worst_joint: str


@dataclass(frozen=True)
class OnnxHeader:
    """Header of a file: JSON under ``headstart`` in the model's ``metadata_props``."""

    skeleton: str
    """Name in skeleton.MODEL_SKELETONS."""
    joints: tuple[str, ...]
    input_size: tuple[int, int]
    """(width, height) px."""
    output_stride: int
    """Input px per map px."""
    sigma: float
    """Of the target Gaussians, map px."""
    is_logits: bool
    """Whether the heatmaps are logits."""
    precision: str
    model: dict[str, Any]
    """The whole :class:`~headstart.models.pose_net.ModelConfig`."""
    checkpoint: str
    """File name."""
    git_sha: str
    """Commit that trained the checkpoint."""
    versions: dict[str, str]
    """Versions of headstart, torch and onnxruntime at export."""
    agreement: Agreement | None = None
    """Agreement with the checkpoint in PyTorch, measured at export."""
    trained_joints: tuple[str, ...] | None = None
    """The ``joints`` that were labelled in some picture of the training; None: not recorded, all are assumed."""
    format: int = _FORMAT

    def to_metadata(self) -> dict[str, str]:
        """Entries for ``metadata_props``: the header, and inputs and outputs in words."""
        names = {"joints": ", ".join(self.joints), "trained_joints": ", ".join(self.trained_joints or self.joints)}
        return {_HEADER: json.dumps(asdict(self)), **names, **MEANING}


def trained_part(skeleton: Skeleton, trained: Sequence[str] | None) -> Skeleton:
    """The skeleton without the joints that were labelled in no picture of the training (None: not recorded, all stay).

    Raises :class:`ConfigError` if none is left.
    """
    if trained is None:
        return skeleton
    known = tuple(name for name in skeleton.names if name in trained)
    if not known:
        raise ConfigError(f"no joint of {skeleton.name} was labelled in what the model was trained on: train it first")
    return Skeleton(skeleton.name, known)


class OnnxNetwork:
    """An exported file as a :class:`~headstart.records.PoseNetwork`, whose joints are those that were trained.

    ``untrained`` names the others, whose output is meaningless; ``codec`` and :meth:`forward` have them too.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int | None = None,
        device: str | None = None,
        scales: Sequence[float] = (1.0,),
    ) -> None:
        """``threads``: of the CPU, all by default. ``device``: "cpu" (the default), or with onnxruntime-gpu "cuda" or
        "cuda:1". ``scales``: of multi-scale testing (multi_scale.py), which averages maps and so needs PyTorch.

        Raises :class:`ConfigError` if onnxruntime is missing or cannot use the device, :class:`DataError` for a file
        that ``headstart export`` did not write.

        Threads may share one network. It can be pickled: the file is then opened anew, from the same path.
        """
        self.path, self.threads, self.device, self.scales = Path(path), threads, device, tuple(scales)
        self.session = _open_session(self.path, threads, device)
        self.header = _read_header(self.path, self.session.get_modelmeta().custom_metadata_map)
        whole, self.input_size = MODEL_SKELETONS[self.header.skeleton], self.header.input_size
        self.skeleton = trained_part(whole, self.header.trained_joints)
        self.joints = whole.indices(self.skeleton.names)
        self.untrained = tuple(name for name in whole.names if name not in self.skeleton.names)
        given = {output.name for output in self.session.get_outputs()}
        self._maps = [name for name in ("heatmaps", "depth_maps", "coordinates") if name in given]

    def __getstate__(self) -> dict[str, Any]:
        """What is needed to open the file again, as a session of ONNX Runtime cannot be pickled."""
        return {"path": self.path.absolute(), "threads": self.threads, "device": self.device, "scales": self.scales}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the file again; raises as ``__init__`` does."""
        self.__init__(**state)  # type: ignore[misc]

    @property
    def codec(self) -> HeatmapCodec:
        """The encoder and decoder of this network."""
        from headstart.targets import HeatmapCodec

        whole = MODEL_SKELETONS[self.header.skeleton]
        return HeatmapCodec(whole, self.input_size, self.header.output_stride, self.header.sigma)

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        """Joints of RGB crops (N, H, W, 3); the flip test averages maps, as in scoring."""
        images = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        if not flip_test and is_single_scale(self.scales):
            return CropJoints(*(part[:, self.joints] for part in self._run(JOINTS, images)))
        import torch

        from headstart.evaluate import forward_with_flip
        from headstart.multi_scale import multi_scale

        forward = multi_scale(self.forward, self.codec.map_size, self.scales)
        decoded = self.codec.decode(forward_with_flip(forward, torch.from_numpy(images), self.codec, flip_test))
        return CropJoints(*(getattr(decoded, name).numpy()[:, self.joints] for name in CropJoints._fields))

    def forward(self, image: Tensor) -> PoseOutput:
        """Images (B, 3, H, W) uint8 -> maps or coordinates, on the CPU, as ``evaluate.predict`` needs them."""
        import torch

        names = [*self._maps, "confidence"] if "coordinates" in self._maps else self._maps
        values = self._run(names, image.cpu().numpy())
        parts = {name: torch.from_numpy(value) for name, value in zip(names, values)}
        return PoseOutput(**parts, is_logits=self.header.is_logits)

    def _run(self, names: Sequence[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return self.session.run(list(names), {IMAGE: images})


def require_onnxruntime() -> Any:
    """The onnxruntime module; raises :class:`ConfigError` with how to install it if it is missing."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError("ONNX models need: pip install 'headstart[onnx]'") from error
    return onnxruntime


def require_onnx() -> None:
    """Raise :class:`ConfigError` with how to install it if the package that writes ONNX models is missing."""
    if find_spec("onnx") is None:
        raise ConfigError("writing ONNX models needs: pip install 'headstart[onnx]'")


def _open_session(path: Path, threads: int | None, device: str | None) -> Any:
    onnxruntime = require_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: the optimiser's warnings do not concern users
    if threads is not None:
        options.intra_op_num_threads = threads
    kind, number = _parsed(device or "cpu")
    if kind == "cuda" and _CUDA not in onnxruntime.get_available_providers():
        raise ConfigError(f"device {device!r}: this onnxruntime has no {_CUDA}; install onnxruntime-gpu")
    expected = "an ONNX model written by headstart export"
    if not path.is_file():
        raise DataError(path, expected, found="no such file")
    providers = [(_CUDA, {"device_id": number})] if kind == "cuda" else []
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[*providers, "CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base but this one
        raise DataError(path, expected, found=first_line(error)) from error
    if kind == "cuda" and _CUDA not in session.get_providers():
        raise ConfigError(
            f"device {device!r}: onnxruntime cannot use it and would compute on the CPU; is CUDA complete?"
        )
    return session


def _parsed(device: str) -> tuple[str, int]:
    """``cuda:1`` as ("cuda", 1); without a number 0."""
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdecimal():
        raise ConfigError(f"device {device!r}: expected cpu, cuda or cuda:N for an ONNX model")
    return kind, int(number or 0)


def _read_header(path: Path, metadata: dict[str, str]) -> OnnxHeader:
    expected = "an ONNX model written by headstart export"
    try:
        values = json.loads(metadata[_HEADER])
        size, joints = tuple(values["input_size"]), tuple(values["joints"])
        agreement = values["agreement"] and Agreement(**values["agreement"])
        trained = values.get("trained_joints") and tuple(values["trained_joints"])
        own = {"input_size": size, "joints": joints, "agreement": agreement, "trained_joints": trained}
        header = OnnxHeader(**{**values, **own})
        known = MODEL_SKELETONS[header.skeleton].names
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(path, expected, found=f"another model, or another version's ({error})") from error
    if header.format != _FORMAT or header.joints != known:
        found = f"format {header.format} with joints {', '.join(header.joints)}"
        raise DataError(path, f"format {_FORMAT} with the joints of {header.skeleton}", found=found, fix="Export again")
    return header
