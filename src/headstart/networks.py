"""The network that a source names: the model that ships, a checkpoint, an exported file, or one on the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.argument_checks import check_scales, check_threads
from headstart.devices import default_device, ready_on
from headstart.errors import ConfigError, first_line
from headstart.hub import require_answer
from headstart.onnx_network import OnnxNetwork, trained_part
from headstart.records import CropJoints, PoseNetwork

if TYPE_CHECKING:
    from headstart.models.pose_net import PoseNet


class TorchNetwork:
    """A trained :class:`~headstart.models.pose_net.PoseNet` as a :class:`~headstart.records.PoseNetwork`.

    It gives the joints that were ``trained`` (None: all). ``untrained`` names the others, whose output is meaningless.
    """

    def __init__(
        self,
        model: PoseNet,
        device: str | None = None,
        trained: Sequence[str] | None = None,
        scales: Sequence[float] = (1.0,),
    ) -> None:
        """``device``: torch's name of it; by default the GPU if there is one. ``scales``: of multi-scale testing.

        Raises :class:`ConfigError` if there is no such device.
        """
        from headstart.multi_scale import multi_scale

        self.device = device or default_device()
        self.model = ready_on(model, self.device)
        self.forward = multi_scale(self.model, model.codec.map_size, scales)
        self.skeleton, self.input_size = trained_part(model.skeleton, trained), model.config.input_size
        self.joints = model.skeleton.indices(self.skeleton.names)
        self.untrained = tuple(name for name in model.skeleton.names if name not in self.skeleton.names)

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        """Joints of RGB crops (N, H, W, 3); the flip test averages maps, as in scoring."""
        import torch

        from headstart.evaluate import forward_with_flip

        with torch.inference_mode():
            images = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2).to(self.device)
            decoded = self.model.codec.decode(forward_with_flip(self.forward, images, self.model.codec, flip_test))
        return CropJoints(*(getattr(decoded, name).cpu().numpy()[:, self.joints] for name in CropJoints._fields))


def load_network(
    source: str | Path | None = None,
    device: str | None = None,
    scales: Sequence[float] = (1.0,),
    threads: int | None = None,
) -> TorchNetwork | OnnxNetwork:
    """The network that ``source`` names; see :meth:`~headstart.predict.PoseEstimator.from_pretrained`.

    An .onnx file is opened without PyTorch.
    """
    check_scales(scales)
    check_threads(threads)
    if source is not None and Path(source).suffix == ".onnx" and Path(source).is_file():
        return OnnxNetwork(source, threads=threads, device=device, scales=scales)
    from headstart.checkpoint import load_model, shipped_weights, trained_joints

    path = shipped_weights() if source is None else _local(source) or _from_hub(str(source))
    model, about = load_model(path)
    return TorchNetwork(model, device, trained_joints(about, model.skeleton), scales)


def untrained_joints(network: PoseNetwork) -> tuple[str, ...]:
    """Joints of the model that the network leaves out, because no picture of the training had them labelled."""
    return network.untrained if isinstance(network, (TorchNetwork, OnnxNetwork)) else ()


# A name that ends in one of these is a missing file, not a hub id.
_FILES = (".safetensors", ".onnx", ".pt", ".pth", ".bin", ".json")


def _local(source: str | Path) -> Path | None:
    """Path of the checkpoint; None if ``source`` can only be a hub id."""
    from headstart.checkpoint import SHIPPED, find_checkpoint

    path = Path(source)
    if path.exists() or str(source) == SHIPPED:
        published = path / "model.safetensors"
        return published if published.is_file() else find_checkpoint(path)
    pair = isinstance(source, str) and re.fullmatch(r"([\w.-]+)/[\w.-]+", source)
    # Offline, asking the hub takes half a minute.
    if pair and pair[1] != "runs" and not Path(pair[1]).is_dir() and path.suffix not in _FILES:
        return None
    raise ConfigError(f"{source}: expected a checkpoint, the folder of a run, an .onnx file, or a hub id (owner/name)")


def _from_hub(repository: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        require_answer(repository, "model.safetensors")
        return Path(hf_hub_download(repository, "model.safetensors"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ConfigError(
            f"{repository}: neither a file here nor a model that the hub gives ({first_line(error)})"
        ) from error
