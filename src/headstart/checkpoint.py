"""Checkpoints: one safetensors file with weights, optimiser, averages and random state, and JSON in its header.

Written to a temporary file and renamed, so a kill or a full disk leaves the last good one. Nothing is unpickled.
Tensors are named ``model.*``, ``ema.*``, ``optimiser.{parameter}.{field}`` and ``random.*``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from headstart.errors import ConfigError, DataError, TrainingError, first_few, first_line
from headstart.files import remove_leftovers, replaced
from headstart.models.pose_net import ModelConfig, PoseNet, model_config_from_dict
from headstart.skeleton import Skeleton

#: Stands for the model that ships wherever a checkpoint is expected, unless a file or folder has this name.
SHIPPED = "shipped"

_HEADER = "headstart"
#: Of the tensors' names and the header's entries. Files that do not say which they have, have this one too.
_FORMAT = 1
# Not by an import statement: for import-linter the package imports PoseEstimator, which imports this module.
_VERSION: str = import_module("headstart").__version__
# At most this many tensors that do not fit are named: those of another architecture would fill a page.
_LISTED = 5


@dataclass(frozen=True)
class Checkpoint:
    """What a file held: tensors by name, and the header (configuration, progress, history, format, versions)."""

    tensors: dict[str, Tensor]
    header: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Tensors below ``prefix.``, without it."""
        return {name[len(prefix) + 1 :]: t for name, t in self.tensors.items() if name.startswith(f"{prefix}.")}


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: dict[str, Any]) -> None:
    """Replace ``path`` in one step. The header also says the file's format and the versions that wrote it.

    Raises :class:`TrainingError` if the disk is full or not writable; the old file is then untouched and no
    temporary file stays.
    """
    remove_leftovers(path)
    versions = {"headstart": _VERSION, "torch": torch.__version__}
    about = json.dumps({**header, "format": _FORMAT, "versions": versions})
    on_cpu = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    try:
        with replaced(path) as temporary:
            save_file(on_cpu, temporary, metadata={_HEADER: about})
    except (OSError, SafetensorError) as error:
        kept = "the previous checkpoint is intact" if path.exists() else "there was no checkpoint before it"
        raise TrainingError(f"{path}: checkpoint not written ({error}); {kept}. Free some space and resume") from error


def load_checkpoint(path: Path, parts: tuple[str, ...] | None = None) -> Checkpoint:
    """Read a checkpoint to the CPU; with ``parts`` only the tensors below those prefixes.

    Raises :class:`DataError` for a file that is missing, truncated, not a checkpoint of headstart, or of a format that
    this version does not know.
    """
    expected = "a checkpoint (.safetensors) written by headstart"
    try:
        with safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {})[_HEADER])
            if not isinstance(header, dict):
                raise ValueError("a header that is not an object")
            _require_known_format(header, path)
            names = [name for name in stream.keys() if parts is None or name.split(".")[0] in parts]  # noqa: SIM118
            # Copies: on Windows a resumed run could not replace the file while its tensors are mapped.
            return Checkpoint({name: stream.get_tensor(name).clone() for name in names}, header)
    except KeyError as error:
        raise DataError(path, expected, found="a safetensors file without headstart's header") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(path, expected, found=first_line(error)) from error


def _require_known_format(header: Mapping[str, Any], path: Path) -> None:
    found = header.get("format", _FORMAT)
    if found != _FORMAT:
        fix = f"This is headstart {_VERSION}: install the newer one to read it"
        raise DataError(path, f"a checkpoint of format {_FORMAT}", found=f"format {found}{_writer(header)}", fix=fix)


def _writer(header: Mapping[str, Any]) -> str:
    """Who wrote a file, for a message; nothing where it does not say."""
    versions = header.get("versions", {})
    return f", written by headstart {versions['headstart']}" if "headstart" in versions else ""


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load every tensor or none; raises :class:`DataError` naming keys that are missing, extra or misshapen."""
    own = module.state_dict()
    problems = [f"{name} is missing" for name in own if name not in tensors]
    problems += [f"{name} is not in the model" for name in tensors if name not in own]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if problems:
        raise DataError(path, "the weights of this model", found=first_few(problems, _LISTED))
    module.load_state_dict(dict(tensors))


def with_new_joints(network: PoseNet, start: PoseNet) -> dict[str, Tensor]:
    """The weights of ``start`` for a network with the same joints and others, which keep their own first weights.

    Their depth maps begin as those of the joint before them: toes are as far away as their ankle until they have learnt
    depth, and many never do, as their labels are 2D.
    """
    weights, own = start.state_dict(), network.state_dict()
    before = {place: start.skeleton.nearest_ancestor(joint) for place, joint in enumerate(network.skeleton.names)}
    kept = {network.skeleton.index(joint): place for place, joint in enumerate(start.skeleton.names)}
    for layer, part in product(network.head.per_joint, ("weight", "bias")):
        name = f"head.{layer}.{part}"
        by_joint, theirs = (
            own[name].clone().unflatten(0, (len(before), -1)),
            weights[name].unflatten(0, (len(kept), -1)),
        )
        for place, source in ({**before, **kept} if layer == "depth_maps" else kept).items():
            if source >= 0:
                by_joint[place] = theirs[source]
        weights[name] = by_joint.flatten(0, 1)
    return weights


def load_model(path: str | Path) -> tuple[PoseNet, dict[str, Any]]:
    """The network of a checkpoint, in eval mode, with the averaged weights if it has them; and the header.

    ``path``: as for :func:`find_checkpoint`. Nothing is fetched: the architecture is in the header. A backbone that is
    a user's function (``module:function``) is imported, and called for random weights. Raises :class:`DataError` for
    weights that do not fit the network, and :class:`ConfigError` naming the file where that cannot be built.
    """
    path = find_checkpoint(path)
    checkpoint = load_checkpoint(path, ("model", "ema"))
    try:
        model = PoseNet(model_of(checkpoint.header, path), checkpoint.header.get("backbone_config") or {})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    load_weights(model, checkpoint.part("ema") or checkpoint.part("model"), path)
    return model.eval(), checkpoint.header


def load_header(path: str | Path) -> dict[str, Any]:
    """The header alone; ``path`` as for :func:`find_checkpoint`."""
    return load_checkpoint(find_checkpoint(path), ()).header


def model_of(header: Mapping[str, Any], path: Path) -> ModelConfig:
    """The network's configuration; raises :class:`DataError` for one that this version does not know."""
    try:
        return model_config_from_dict(header["model"])
    except (KeyError, TypeError) as error:
        expected = f"a model that this version of headstart ({_VERSION}) knows"
        raise DataError(path, expected, found=f"{error}{_writer(header)}") from error


def trained_joints(header: Mapping[str, Any], skeleton: Skeleton) -> tuple[str, ...]:
    """Joints that some picture of a network's training had labelled; all of them for older files, which do not say."""
    return tuple(header.get("trained_joints", skeleton.names))


def find_checkpoint(path: str | Path) -> Path:
    """``path`` itself, or the last (else the best) checkpoint of a run's folder. :data:`SHIPPED`: the model that ships.

    The last is the one that a run's ``result.json`` scores. The best was chosen by validations that may contain the
    very people who are to be scored, so it is used only if its file is named. Raises :class:`DataError` for a folder
    without checkpoints.
    """
    path = Path(path)
    if str(path) == SHIPPED and not path.exists():
        return shipped_weights()
    if not path.is_dir():
        return path
    for name in ("last.safetensors", "best.safetensors"):
        if (path / name).is_file():
            return path / name
    raise DataError(path, "last.safetensors or best.safetensors", found="neither", fix="Train first")


def shipped_weights() -> Path:
    """Checkpoint of the model that ships in the package; raises :class:`ConfigError` if this copy has none."""
    path = Path(str(resources.files("headstart"))) / "weights" / "ship.safetensors"
    if not path.is_file():
        raise ConfigError(f"no model ships with this copy of headstart ({path}); name one: a checkpoint or a hub id")
    return path


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as named tensors, without its settings, which are in the configuration."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{parameter}.{name}": torch.as_tensor(value)
        for parameter, fields in state.items()
        for name, value in fields.items()
        if value is not None
    }


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what :func:`optimiser_tensors` returned, its names without the prefix."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, field = name.split(".", 1)
        state.setdefault(int(parameter), {})[field] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def random_tensors() -> dict[str, Tensor]:
    """States of torch's random generators, for drop-out and drop-path (the loader has its own)."""
    states = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"random.cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def load_random(tensors: Mapping[str, Tensor]) -> None:
    """Restore what :func:`random_tensors` returned, its names without the prefix, for the devices that are here."""
    if "cpu" in tensors:
        torch.set_rng_state(tensors["cpu"])
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            if f"cuda{i}" in tensors:
                torch.cuda.set_rng_state(tensors[f"cuda{i}"], i)


def seed_of_process(seed: int, rank: int, updates: int) -> int:
    """Seed of torch's random generators in a process other than the first of a run that has had ``updates`` steps.

    Processes have the same weights, but drop-out masks of their own. The file has the first one's random state alone,
    so the others draw anew when a run is resumed: from a stream that they did not have before.
    """
    return int(np.random.SeedSequence([seed, rank, updates]).generate_state(1, np.uint64)[0])


def git_sha() -> str:
    """Commit of the code that runs, with ``-dirty`` if it was changed; "unknown" outside a checkout of it."""
    file = Path(__file__)
    try:
        # An environment may lie in the checkout of another project, whose commit says nothing.
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        return _git(file.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
