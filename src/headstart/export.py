"""Exports a checkpoint to one ONNX file that needs neither Headstart nor PyTorch, and checks it against PyTorch.

Precisions: ``fp32``; ``fp16`` halves the file (normalising and decoding stay in fp32; CPUs compute all of it in fp32);
``int8`` quantises convolutions, with ranges measured on real crops.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from headstart import __version__
from headstart.checkpoint import find_checkpoint, load_model, trained_joints
from headstart.errors import ConfigError, DataError, ExportError, first_line
from headstart.files import remove_leftovers, replaced
from headstart.index import open_index
from headstart.loader import CropDataset, build_eval_loader
from headstart.models.pose_net import PoseNet
from headstart.onnx_network import IMAGE, JOINTS, Agreement, OnnxHeader, OnnxNetwork, require_onnx, require_onnxruntime
from headstart.quantisation import quantise
from headstart.records import Decoded
from headstart.sampling import evenly_spread

Precision = Literal["fp32", "fp16", "int8"]
Result = TypeVar("Result")

#: Largest difference of an fp32 file from PyTorch, input px; depth in the same unit (1e-3 px of a person who fills a
#: 256 px crop are 0.01 mm).
TOLERANCE = 1e-3
#: Median difference, in input widths, beyond which fp16 or int8 is broken and not only rounded.
BROKEN = {"fp16": 1 / 512, "int8": 1 / 64}

#: Opset 17 is read by every ONNX Runtime that pip gives for Python 3.11.
_OPSET = 17
_CHECKED = 16


def export_onnx(
    checkpoint: str | Path,
    out: str | Path,
    precision: Precision = "fp32",
    images: NDArray[np.uint8] | None = None,
) -> OnnxHeader:
    """Write the network of a checkpoint (or of a run's folder) to ``out`` and return the file's header.

    ``images``: RGB crops (N, 3, H, W), N > 0, like those that the network will see (:func:`crops_of`). int8 measures
    its ranges on them, and the first 16 are compared with PyTorch; by default pictures of coloured blobs are.

    Raises :class:`ExportError`, without writing ``out``, if the file does not agree with PyTorch: fp32 within
    :data:`TOLERANCE` at every joint, others by :data:`BROKEN`. Raises :class:`ConfigError` if int8 lacks ``images`` or
    onnxruntime is missing.
    """
    require_onnxruntime()
    require_onnx()
    if precision == "int8" and images is None:
        raise ConfigError("int8 needs real crops to measure ranges on: --calibrate DATASET --root DIR --split S")
    path, out = find_checkpoint(checkpoint), Path(out)
    model, about = load_model(path)
    shown = blobs(model.config.input_size) if images is None else images
    remove_leftovers(out)
    with replaced(out) as temporary:
        write_graph(model, temporary, half=precision == "fp16")
        if precision == "int8":
            quantise(temporary, shown)
        header = _header(model, precision, path.name, about)
        _write_header(temporary, header)
        measured = agreement(model, temporary, shown[:_CHECKED])
        _require(measured, precision, model.config.input_size[0], out)
        header = replace(header, agreement=measured)
        _write_header(temporary, header)
    return header


def crops_of(dataset: str, root: str | Path, split: str, count: int, checkpoint: str | Path) -> NDArray[np.uint8]:
    """RGB crops (N, 3, H, W) of ``count`` people of a data set, evenly spread, as the network of ``checkpoint`` sees
    them in scoring. Pictures that cannot be read are left out; raises :class:`DataError` where none can.
    """
    model, _ = load_model(checkpoint)
    index = open_index(dataset, root, split)
    rows = evenly_spread(len(index), count)
    crops = CropDataset([index], model.skeleton, model.config.input_size)
    batches = list(build_eval_loader(crops, rows, 32, 0))
    readable = torch.cat([batch.readable for batch in batches])
    if not readable.any():
        raise DataError(Path(root), f"images of {dataset}, split {split}, that can be read", found="none")
    return torch.cat([batch.image for batch in batches])[readable].numpy()


def blobs(input_size: tuple[int, int], count: int = _CHECKED) -> NDArray[np.uint8]:
    """Pictures (N, 3, H, W) of coloured blobs of several sizes, the same each time: edges and gradients, no people."""
    rng, size = np.random.default_rng(0), input_size
    pictures = []
    for _ in range(count):
        coarse = [rng.integers(0, 256, (side, side, 3)).astype(np.float32) for side in (2, 5, 11, 23)]
        layers = [cv2.resize(layer, size, interpolation=cv2.INTER_CUBIC) for layer in coarse]
        pictures.append(np.clip(128 + (np.mean(layers, 0) - 128) * 2, 0, 255).astype(np.uint8).transpose(2, 0, 1))
    return np.stack(pictures)


class Deployed(nn.Module):
    """Pictures to joints in one graph: normalise, network, decode. Outputs keypoints, depth, confidence, then maps."""

    def __init__(self, model: PoseNet, half: bool = False) -> None:
        super().__init__()
        self.codec, self.normalise, self.half_precision = model.codec, model.normalise, half
        self.network = nn.Sequential(copy.deepcopy(model.backbone), fold_batch_norms(copy.deepcopy(model.head).eval()))
        if half:
            self.network.half()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """uint8 (B, 3, H, W) -> what :func:`output_names` names."""
        normalised = self.normalise(image)
        output = self.network(normalised.half() if self.half_precision else normalised)
        decoded = self.codec.decode(output)
        maps = [part.float() for part in output.learnt] if self.half_precision else output.learnt
        return (decoded.keypoints, decoded.depth, decoded.confidence, *maps)


def output_names(model: PoseNet) -> list[str]:
    """Names of the graph's outputs: joints, and the maps (or coordinates) that they were decoded from."""
    return [*JOINTS, *(["coordinates"] if model.config.head.kind == "integral" else ["heatmaps", "depth_maps"])]


def fold_batch_norms(head: nn.Module) -> nn.Module:
    """Fold each batch norm into the deconvolution before it, in place; runtimes do so for convolutions only."""
    for parent in list(head.modules()):
        layers = list(parent.named_children())
        for (first, deconvolution), (second, norm) in pairwise(layers):
            if isinstance(deconvolution, nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, first, fuse_conv_bn_eval(deconvolution, norm, transpose=True))
                setattr(parent, second, nn.Identity())
    return head


def write_graph(model: PoseNet, path: Path, half: bool = False) -> None:
    """Write the graph, without header, for any batch size. Two pictures are traced: 1 would become a constant."""
    import onnx

    width, height = model.config.input_size
    pixels, names = torch.zeros(2, 3, height, width, dtype=torch.uint8), output_names(model)
    deployed = Deployed(model, half).eval()
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter by tracing takes a tenth of the time of torch.export's, and its graphs are at least as fast.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                deployed,
                (pixels,),
                str(path),
                dynamo=False,
                opset_version=_OPSET,
                input_names=[IMAGE],
                output_names=names,
                dynamic_axes={name: {0: "batch"} for name in (IMAGE, *names)},
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            form = "no ONNX form in half precision" if half else "no ONNX form"
            raise ExportError(f"backbone {model.config.backbone!r} has {form} ({first_line(error)})") from error
        shapes = [tuple(output.shape[1:]) for output in deployed(pixels)]
    # The exporter does not infer sizes through the decoder's indexing; readers of the file need them.
    graph = onnx.load(path)
    for output, shape in zip(graph.graph.output, shapes):
        for dimension, size in zip(output.type.tensor_type.shape.dim[1:], shape):
            dimension.dim_value = size
    onnx.save(graph, path)


@torch.inference_mode()
def agreement(model: PoseNet, path: Path, images: NDArray[np.uint8]) -> Agreement:
    """Compare a file with PyTorch on RGB crops (N, 3, H, W), in the joints that were trained.

    Joints that PyTorch itself moves by more than a quarter of :data:`TOLERANCE` between single and double precision (a
    flat map, two equal maxima) are left out: there rounding decides, not the export. Raises :class:`ExportError` if
    none is left.
    """
    pixels, width = torch.from_numpy(images), model.config.input_size[0]
    network = OnnxNetwork(path)
    wanted = _decoded(model, pixels, network.joints)
    exact = _computed(
        lambda: _decoded(copy.deepcopy(model).double(), pixels, network.joints),
        f"backbone {model.config.backbone!r} cannot be computed in double precision, which the file is checked by",
        "Its tensors must take their type from their input",
    )
    found = _computed(
        lambda: network(images.transpose(0, 2, 3, 1)),
        "ONNX Runtime cannot compute the file",
        "The backbone must take the number of images from its input each time, not as a constant such as int(B)",
    )
    given = Decoded(*(torch.from_numpy(part) for part in found))
    place, depth = _differences(given, wanted, width)
    compared = torch.maximum(*_differences(wanted, exact, width)) <= TOLERANCE / 4
    if not compared.any():
        raise ExportError("not exported: no joint can be compared: single precision moves them all; is it trained?")
    worst = int(torch.where(compared, torch.maximum(place, depth), -1.0).amax(0).argmax())
    return Agreement(
        largest_px=float(place[compared].max()),
        median_px=float(place[compared].median()),
        largest_depth_px=float(depth[compared].max()),
        joints=int(compared.sum()),
        of_joints=compared.numel(),
        worst_joint=network.skeleton.names[worst],
    )


def _computed(compute: Callable[[], Result], problem: str, fix: str) -> Result:
    """What ``compute`` returns; raises :class:`ExportError` where it cannot, as with some backbones of users."""
    try:
        return compute()
    except Exception as error:  # those of ONNX Runtime have no base of their own
        raise ExportError(f"not exported: {problem} ({first_line(error)}). {fix}") from error


def _decoded(model: PoseNet, images: Tensor, joints: list[int]) -> Decoded:
    parts = [model.codec.decode(model(batch)) for batch in images.split(8)]
    return Decoded(*(torch.cat([getattr(p, name) for p in parts])[:, joints] for name in JOINTS))


def _differences(first: Decoded, second: Decoded, width: int) -> tuple[Tensor, Tensor]:
    """Differences of places and of depths, (N, J) input px each; infinite for NaN."""
    place = (first.keypoints - second.keypoints).norm(dim=-1)
    depth = (first.depth - second.depth).abs() * width
    return place.nan_to_num(torch.inf), depth.nan_to_num(torch.inf)


def _require(measured: Agreement, precision: Precision, width: int, out: Path) -> None:
    """Raises :class:`ExportError` naming the worst joint where a file is too far from PyTorch."""
    if precision == "fp32":
        value, limit, what = max(measured.largest_px, measured.largest_depth_px), TOLERANCE, "at most"
        hint = ". The flat maps of a network that has hardly been trained do this: train longer"
    else:
        value, limit, what = measured.median_px, BROKEN[precision] * width, "a median of at most"
        hint = ""
    if not value <= limit:
        raise ExportError(
            f"{out}: not written: expected {what} {limit:g} px between ONNX and PyTorch, found {value:g}"
            f" (worst joint {measured.worst_joint}, {measured.joints} of {measured.of_joints} joints compared){hint}"
        )


def _header(model: PoseNet, precision: Precision, checkpoint: str, about: dict[str, Any]) -> OnnxHeader:
    config = model.config
    versions = {"headstart": __version__, "torch": torch.__version__, "onnxruntime": require_onnxruntime().__version__}
    return OnnxHeader(
        skeleton=config.skeleton,
        joints=model.skeleton.names,
        input_size=config.input_size,
        output_stride=config.head.output_stride,
        sigma=config.sigma,
        is_logits=model.head.is_logits,
        precision=precision,
        model=asdict(config),
        checkpoint=checkpoint,
        git_sha=str(about.get("git_sha", "unknown")),
        versions=versions,
        trained_joints=trained_joints(about, model.skeleton),
    )


def _write_header(path: Path, header: OnnxHeader) -> None:
    import onnx

    graph = onnx.load(path)
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, header.to_metadata())
    onnx.save(graph, path)
