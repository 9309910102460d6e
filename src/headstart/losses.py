"""Losses: (PoseOutput, Targets) -> values and weights; the reduction is one place, :func:`total`.

A loss never averages over the batch itself. It returns values and weights of one shape, (B, ...); weight 0 means that
the label does not exist, so mixed batches of 2D and 3D samples need no branch. The weights depend on the targets alone.

A loss of a user's is named ``my_package.losses:depth``: the function depth of ``my_package/losses.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headstart.errors import ConfigError, shortened
from headstart.records import PoseOutput, Targets
from headstart.skeleton import Skeleton
from headstart.targets import read_maps
from headstart.user_modules import user_function

Loss = Callable[[PoseOutput, Targets], tuple[Tensor, Tensor]]


def heatmap_mse(output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    """Mean squared error of each joint's map (B, J), the published loss (Zhou et al. 2017)."""
    if output.is_logits:
        raise ConfigError("loss heatmap_mse needs maps of values, not logits: set --model.head.heatmap mse")
    predicted, wanted = _maps(output), _target_maps(targets)
    return ((predicted.float() - wanted) ** 2).mean((-1, -2)), targets.weight_2d


def heatmap_cross_entropy(output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    """Cross-entropy (B, J) in nats between the softmax of a map over its pixels and the normalised Gaussian.

    Its lowest value is the Gaussian's own entropy, log(2 pi e sigma^2) = 4.22 for sigma 2.
    """
    return _cross_entropy(output, targets, "heatmap_cross_entropy"), targets.weight_2d


def outside_cross_entropy(output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    """The same (B, J) for joints that are labelled outside the crop: wide Gaussians at its border, so that the network
    says that it does not see them.

    Its lowest value is about log(pi e (4 sigma)^2) = 6.3 for sigma 2, that of half a Gaussian.
    """
    return _cross_entropy(output, targets, "outside_cross_entropy"), targets.weight_outside


def _cross_entropy(output: PoseOutput, targets: Targets, loss: str) -> Tensor:
    """Cross-entropy (B, J) in nats between the softmax of each map and the normalised Gaussian."""
    logits, wanted = _maps(output), _target_maps(targets).flatten(2)
    if not output.is_logits:
        raise ConfigError(f"loss {loss} needs logits: set --model.head.heatmap cross_entropy")
    wanted = wanted / wanted.sum(-1, keepdim=True).clamp(min=1e-12)
    logs = functional.log_softmax(logits.float().flatten(2), -1)
    return -(wanted * logs).sum(-1)


def depth_smooth_l1(output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    """Smooth L1 (B, J) between the depth map read at the labelled joint and the depth, in crop widths."""
    return functional.smooth_l1_loss(_depth_at(output, targets), targets.depth, reduction="none"), targets.weight_depth


def depth_l1(output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    """L1 (B, J) between the depth map and the depth, in crop widths, averaged over the joint's Gaussian.

    A prediction's depth is read where its heatmap puts the joint, so the depth map is trained around the label too.
    Smooth L1 is half the square of all errors below a whole crop width: its gradient fades as they shrink (LOG.md,
    2026-11-26).
    """
    nearness = _target_maps(targets)
    errors = (_depth_maps(output, "depth_l1") - targets.depth[..., None, None]).abs()
    return (errors * nearness).sum((-1, -2)) / nearness.sum((-1, -2)).clamp(min=1e-12), targets.weight_depth


def integral_l1(output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    """L1 (B, J, 3) of soft-argmax coordinates (Sun et al. 2018), all three in crop widths."""
    if output.coordinates is None:
        raise ConfigError("loss integral_l1 needs an integral head; set --model.head.kind integral")
    width = targets.map_size[1]
    error_xy = (output.coordinates[..., :2].float() - targets.keypoints).abs() / width
    error_depth = (output.coordinates[..., 2].float() - targets.depth).abs()
    weights = torch.stack([targets.weight_2d, targets.weight_2d, targets.weight_depth], -1)
    return torch.cat([error_xy, error_depth[..., None]], -1), weights


# Groups of bones that should be equally long once the shorter kind is multiplied by its canonical ratio
# (Zhou et al. 2017, section 3.3; ratios of their published code, which measures shoulders from the neck, not thorax).
_LEG, _ARM = 1.0085885098415446, 1.1375361376887123
_BONE_GROUPS: tuple[tuple[tuple[str, str, float], ...], ...] = (
    (
        ("right_ankle", "right_knee", _LEG),
        ("right_knee", "right_hip", 1.0),
        ("left_hip", "left_knee", 1.0),
        ("left_knee", "left_ankle", _LEG),
    ),
    (
        ("right_wrist", "right_elbow", _ARM),
        ("right_elbow", "right_shoulder", 1.0),
        ("left_shoulder", "left_elbow", 1.0),
        ("left_elbow", "left_wrist", _ARM),
    ),
    (("right_hip", "pelvis", 1.0), ("pelvis", "left_hip", 1.0)),
    (("right_shoulder", "thorax", 1.0), ("thorax", "left_shoulder", 1.0)),
)


def bone_ratio(output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    """Geometric loss (B,): spread of bone lengths within each group, on samples without depth labels.

    A group gives sum (l - mean)^2 / (2 n) over its n labelled bones, lengths in crop widths: x and y from the labels,
    depth from the prediction. Groups with fewer than two labelled bones are left out.
    """
    width = targets.map_size[1]
    pose = torch.cat([targets.keypoints / width, _predicted_depth(output, targets)[..., None]], -1)
    ends, ratio, member, group = _bone_table(targets.skeleton, pose.device, pose.dtype)
    labelled = (targets.weight_2d[:, ends[0]] * targets.weight_2d[:, ends[1]] > 0).to(pose.dtype)
    # A bone of no length has no direction, hence no gradient: unlabelled ones get a length that is never used.
    difference = torch.where(labelled[..., None] > 0, pose[:, ends[0]] - pose[:, ends[1]], 1.0)
    lengths = difference.norm(dim=-1) * ratio
    count = labelled @ member
    mean = (lengths * labelled) @ member / count.clamp(min=1)
    spread = ((lengths - mean[:, group]) ** 2 * labelled) @ member / (2 * count.clamp(min=1))
    enough = (count >= 2).to(pose.dtype)
    without_depth = targets.weight_depth.sum(-1) == 0
    return (spread * enough).sum(-1), (enough.any(-1) & without_depth).to(pose.dtype)


@lru_cache(maxsize=16)
def _bone_table(skeleton: Skeleton, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The bones of all groups: ends (2, n), ratio (n,), membership (n, groups) of 0 and 1, group (n,)."""
    bones = [(first, second, ratio, g) for g, bones in enumerate(_BONE_GROUPS) for first, second, ratio in bones]
    first, second = ([skeleton.index(name) for name in names] for names in zip(*(bone[:2] for bone in bones)))
    ends = torch.tensor([first, second], device=device)
    group = torch.tensor([bone[3] for bone in bones], device=device)
    ratio = torch.tensor([bone[2] for bone in bones], device=device, dtype=dtype)
    member = functional.one_hot(group, len(_BONE_GROUPS)).to(dtype)
    return ends, ratio, member, group


#: Headstart's losses by their names in a stage's configuration.
LOSSES: dict[str, Loss] = {
    "heatmap_mse": heatmap_mse,
    "heatmap_cross_entropy": heatmap_cross_entropy,
    "outside_cross_entropy": outside_cross_entropy,
    "depth_smooth_l1": depth_smooth_l1,
    "depth_l1": depth_l1,
    "integral_l1": integral_l1,
    "bone_ratio": bone_ratio,
}
#: Losses that do not read the heatmaps of the targets. For all others, also a loss of your own, these are made.
WITHOUT_HEATMAPS = frozenset({"depth_smooth_l1", "integral_l1", "bone_ratio"})


def need_heatmaps(names: Collection[str]) -> bool:
    """Whether one of these losses reads the heatmaps of the targets."""
    return not WITHOUT_HEATMAPS.issuperset(names)


def loss_of(name: str) -> Loss:
    """The loss of that name: one of :data:`LOSSES`, or with a colon a user's function.

    Raises :class:`ConfigError` for a name that is unknown, and for a function that is not there.
    """
    if name in LOSSES:
        return LOSSES[name]
    if ":" not in name:
        raise ConfigError(f"unknown loss {name}; known: {', '.join(LOSSES)}; or name module:function of your own")
    function = f"{name.partition(':')[2]}(output, targets)"
    return user_function(
        name, f"loss {name!r}", f"expected a function {function} that returns values and weights; docs/python.md"
    )


def unknown_losses(names: Iterable[str]) -> Iterator[str]:
    """What :func:`loss_of` says of each name that is none."""
    for name in names:
        try:
            loss_of(name)
        except ConfigError as error:
            yield str(error)


class LabelCounts:
    """How many labels each loss is averaged over in a step: those of all its micro batches, in all processes.

    Losses divided by these counts, and their gradients, add up to those of the whole batch, however uneven the labels
    are. ``targets``: of each micro batch of this process, all of one size. ``mean_over_processes`` averages a scalar
    over the processes of a distributed run, whose gradients are averaged afterwards.
    """

    def __init__(
        self, targets: Sequence[Targets], mean_over_processes: Callable[[Tensor], Tensor] = lambda count: count
    ) -> None:
        self._others, self._mean_over_processes = targets[1:], mean_over_processes
        self._counts: dict[str, Tensor] = {}

    @torch.no_grad()
    def of(self, name: str, output: PoseOutput, count: Tensor) -> Tensor:
        """The count of loss ``name``. ``output`` and ``count`` are those of the micro batch at hand, first the first.

        The other micro batches have no output yet. As weights depend on the targets alone, any output will do.
        """
        if name not in self._counts:
            others = [_values_and_weights(name, output, targets)[1].sum() for targets in self._others]
            self._counts[name] = self._mean_over_processes(sum(others, start=count))
        return self._counts[name]


def total(
    output: PoseOutput, targets: Targets, weights: Mapping[str, float], counts: LabelCounts | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of losses, each averaged over the labels that exist; and each average by name (detached).

    ``counts``: the labels of the whole step, where ``targets`` are only a part of it. A loss is 0, with zero gradient,
    if no sample has labels for it. Raises :class:`ConfigError` for a loss that does not exist, that does not fit the
    output, or whose values and weights differ in shape.
    """
    counts = counts or LabelCounts([targets])
    parts = {}
    for name in weights:
        values, label_weights = _values_and_weights(name, output, targets)
        count = counts.of(name, output, label_weights.sum())
        # where, not multiplication: a value at a label that does not exist may be NaN.
        parts[name] = torch.where(label_weights > 0, values * label_weights, 0.0).sum() / count.clamp(min=1e-6)
    loss = sum((weights[name] * part for name, part in parts.items()), start=_touch(output))
    return loss, {name: part.detach() for name, part in parts.items()}


def _values_and_weights(name: str, output: PoseOutput, targets: Targets) -> tuple[Tensor, Tensor]:
    returned, expected = _computed(loss_of(name), output, targets), "expected values and weights of one shape (B, ...)"
    if not isinstance(returned, (tuple, list)) or [isinstance(part, Tensor) for part in returned] != [True, True]:
        raise ConfigError(f"loss {name}: {expected}, got {shortened(repr(returned))}")
    values, label_weights = returned
    if values.shape != label_weights.shape:
        raise ConfigError(f"loss {name}: {expected}, got {tuple(values.shape)} and {tuple(label_weights.shape)}")
    return values, label_weights


def _computed(loss: Loss, output: PoseOutput, targets: Targets) -> Any:
    """What a loss returns; raises :class:`ConfigError` with the file and line of a user's function that fails."""
    try:
        return loss(output, targets)
    except ConfigError as error:
        if isinstance(error.__cause__, torch.OutOfMemoryError):
            raise error.__cause__ from None  # not the function's fault: safeguards.py says what to do
        raise


def _touch(output: PoseOutput) -> Tensor:
    """A zero with zero gradient to every output: distributed training waits for the gradient of each parameter.

    Sums over no elements, because 0 times an infinite value would be NaN.
    """
    return torch.stack([part.flatten()[:0].float().sum() for part in output.learnt]).sum()


def _maps(output: PoseOutput) -> Tensor:
    if output.heatmaps is None:
        raise ConfigError("heatmap losses need a head with heatmaps; set --model.head.kind heatmap_depth")
    return output.heatmaps


def _target_maps(targets: Targets) -> Tensor:
    assert targets.heatmaps is not None, "targets were encoded without heatmaps"
    return targets.heatmaps


def _depth_maps(output: PoseOutput, loss: str) -> Tensor:
    if output.depth_maps is None:
        raise ConfigError(f"loss {loss} needs depth maps; set --model.head.kind heatmap_depth")
    return output.depth_maps.float()


def _depth_at(output: PoseOutput, targets: Targets) -> Tensor:
    return read_maps(_depth_maps(output, "depth_smooth_l1"), targets.keypoints)


def _predicted_depth(output: PoseOutput, targets: Targets) -> Tensor:
    if output.coordinates is not None:
        return output.coordinates[..., 2].float()
    return _depth_at(output, targets)
