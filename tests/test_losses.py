"""Losses: values by hand, gradients, labels that do not exist, and one mean over uneven processes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headstart.errors import ConfigError
from headstart.losses import (
    LOSSES,
    WITHOUT_HEATMAPS,
    LabelCounts,
    bone_ratio,
    depth_l1,
    depth_smooth_l1,
    heatmap_cross_entropy,
    heatmap_mse,
    integral_l1,
    need_heatmaps,
    outside_cross_entropy,
    total,
)
from headstart.records import Batch, PoseOutput, Targets
from headstart.skeleton import MPII_16
from headstart.targets import HeatmapCodec

quick = settings(max_examples=25)
NAN = math.nan
HEIGHT, WIDTH, JOINTS = 16, 24, len(MPII_16)
CODEC = HeatmapCodec(MPII_16, (4 * WIDTH, 4 * HEIGHT))
#: Of maps that are logits.
MAP_LOSSES = {
    "heatmap_cross_entropy": 0.5,
    "depth_smooth_l1": 0.1,
    "depth_l1": 0.2,
    "bone_ratio": 0.01,
}
DEPTH_LOSSES = ["depth_smooth_l1", "depth_l1"]


def output_for(loss: str, people: int) -> PoseOutput:
    """What a loss is made for: coordinates, values or logits."""
    if loss == "integral_l1":
        return coordinates_of(people)
    return replace(output_of(people), is_logits=loss != "heatmap_mse")


def output_of(people: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> PoseOutput:
    """Random maps, the first ones logits; leaves that gradients can be asked of."""
    generator = torch.Generator().manual_seed(seed)
    shape = (people, JOINTS, HEIGHT, WIDTH)
    maps = [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for _ in range(2)]
    return PoseOutput(heatmaps=maps[0], depth_maps=maps[1], is_logits=True)


def coordinates_of(people: int, seed: int = 0) -> PoseOutput:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(people, JOINTS, 3, generator=generator, dtype=torch.float64)
    return PoseOutput(coordinates=values.requires_grad_(), confidence=torch.ones(people, JOINTS))


def batch_of(people: int, with_depth: list[bool] | None = None, seed: int = 1) -> Batch:
    """Random joints on the map, all labelled in 2D; ``with_depth`` says who has depths."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(people, JOINTS, 2, generator=generator, dtype=torch.float64) * torch.tensor([23.0, 15.0])
    weight_3d = torch.ones(people, JOINTS, dtype=torch.float64)
    weight_3d *= torch.tensor(with_depth if with_depth is not None else [True] * people)[:, None]
    return Batch(
        image=torch.zeros(people, 3, 4 * HEIGHT, 4 * WIDTH, dtype=torch.uint8),
        keypoints=CODEC.to_crop(points),
        weight_2d=torch.ones(people, JOINTS, dtype=torch.float64),
        xyz=torch.randn(people, JOINTS, 3, generator=generator, dtype=torch.float64) * 250,
        weight_3d=weight_3d,
        pixels_per_mm=torch.full((people,), 0.1, dtype=torch.float64),
        crop=torch.eye(2, 3, dtype=torch.float64).expand(people, 2, 3),
        row=torch.arange(people),
        dataset=torch.zeros(people, dtype=torch.int64),
        readable=torch.ones(people, dtype=torch.bool),
    )


def targets_of(people: int, with_depth: list[bool] | None = None, seed: int = 1) -> Targets:
    return CODEC.encode(batch_of(people, with_depth, seed))


def targets_for(loss: str, people: int, with_depth: list[bool] | None = None) -> Targets:
    return CODEC.encode(batch_for(loss, people, with_depth))


def batch_for(loss: str, people: int, with_depth: list[bool] | None = None) -> Batch:
    """With the joints that a loss reads: outside the map, or on it."""
    batch = batch_of(people, with_depth)
    return replace(batch, keypoints=batch.keypoints + 100) if loss == "outside_cross_entropy" else batch


def rows_of(record: Targets, rows: slice) -> Targets:
    """A part of a batch."""
    names = ("heatmaps", "keypoints", "weight_2d", "weight_outside", "depth", "weight_depth")
    return replace(record, **{name: getattr(record, name)[rows] for name in names})


def share_of(output: PoseOutput, rows: slice) -> PoseOutput:
    """The output for a part of a batch."""
    arrays = {name: value for name, value in vars(output).items() if isinstance(value, Tensor)}
    return replace(output, **{name: array[rows] for name, array in arrays.items()})


def without_labels(batch: Batch, joint: str) -> Batch:
    """Nothing is known of a joint of the first person: weights 0, and NaN wherever a value could be."""
    changed = {}
    for name, nothing in {"keypoints": NAN, "xyz": NAN, "weight_2d": 0.0, "weight_3d": 0.0}.items():
        changed[name] = getattr(batch, name).clone()
        changed[name][0, MPII_16.index(joint)] = nothing
    return replace(batch, **changed)


class TestHeatmapMse:
    def test_by_hand(self):
        targets = targets_of(2)
        assert targets.heatmaps is not None
        maps = targets.heatmaps.clone()
        maps[1, 3, 2, 4] += 6.0
        values, weights = heatmap_mse(PoseOutput(maps), targets)
        expected = torch.zeros(2, JOINTS, dtype=values.dtype)
        expected[1, 3] = 36 / (HEIGHT * WIDTH)
        torch.testing.assert_close(values, expected, atol=1e-6, rtol=0)
        assert torch.equal(weights, targets.weight_2d)


class TestHeatmapCrossEntropy:
    def test_lowest_value_is_the_entropy_of_the_gaussian(self):
        codec = HeatmapCodec(MPII_16, (256, 256))
        points = torch.full((1, JOINTS, 2), 31.3)
        targets = replace(targets_of(1), heatmaps=codec.gaussians(points), keypoints=points, map_size=(64, 64))
        logs = -((torch.arange(64.0) - 31.3) ** 2) / 8
        perfect = (logs[:, None] + logs[None]).expand(1, JOINTS, 64, 64)
        lowest, _ = heatmap_cross_entropy(PoseOutput(perfect, is_logits=True), targets)
        entropy = math.log(2 * math.pi * math.e * 2**2)
        assert entropy == pytest.approx(4.224, abs=1e-3)
        torch.testing.assert_close(lowest, torch.full((1, JOINTS), entropy), atol=1e-3, rtol=0)
        for worse in (1.2 * perfect, 0.8 * perfect, perfect.roll(1, -1), torch.zeros_like(perfect)):
            assert (heatmap_cross_entropy(PoseOutput(worse, is_logits=True), targets)[0] > lowest + 1e-3).all()

    def test_of_no_opinion_is_the_logarithm_of_the_number_of_pixels(self):
        values, _ = heatmap_cross_entropy(
            PoseOutput(torch.zeros(2, JOINTS, HEIGHT, WIDTH), is_logits=True), targets_of(2)
        )
        torch.testing.assert_close(values.double(), torch.full((2, JOINTS), math.log(HEIGHT * WIDTH)).double())

    def test_a_constant_added_to_logits_changes_nothing(self):
        output, targets = output_of(1), targets_of(1)
        assert output.heatmaps is not None
        shifted = PoseOutput(output.heatmaps + 100, is_logits=True)
        there, here = heatmap_cross_entropy(shifted, targets)[0], heatmap_cross_entropy(output, targets)[0]
        torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)


class TestDepthSmoothL1:
    def test_by_hand(self):
        """Read at the labelled joint; half the square below 1, the distance minus a half above."""
        targets = targets_of(1)
        maps = torch.arange(float(WIDTH)).expand(1, JOINTS, HEIGHT, WIDTH)  # the depth is x itself
        depth = targets.keypoints[..., 0].clone()
        depth[0, 0] -= 0.5
        depth[0, 1] += 3
        values, weights = depth_smooth_l1(PoseOutput(depth_maps=maps), replace(targets, depth=depth))
        expected = torch.zeros(1, JOINTS, dtype=values.dtype)
        expected[0, 0], expected[0, 1] = 0.125, 2.5
        torch.testing.assert_close(values, expected, atol=1e-5, rtol=0)
        assert torch.equal(weights, targets.weight_depth)


class TestDepthL1:
    def test_by_hand(self):
        """One joint is 0.3 too far everywhere; another is 0.4 too near in every second column, and pays their share."""
        targets = targets_of(1)
        maps = targets.depth[..., None, None].expand(1, JOINTS, HEIGHT, WIDTH).clone()
        maps[0, 0] += 0.3
        maps[0, 1, :, ::2] -= 0.4
        assert targets.heatmaps is not None
        even = targets.heatmaps[0, 1, :, ::2].sum() / targets.heatmaps[0, 1].sum()
        values, weights = depth_l1(PoseOutput(depth_maps=maps), targets)
        expected = torch.zeros(1, JOINTS, dtype=torch.float64)
        expected[0, 0], expected[0, 1] = 0.3, 0.4 * even
        torch.testing.assert_close(values.double(), expected, atol=1e-6, rtol=0)
        assert torch.equal(weights, targets.weight_depth)

    def test_far_from_the_joint_the_map_may_be_anything(self):
        """Twelve pixels are six sigma."""
        batch = batch_of(1)
        batch = replace(batch, keypoints=CODEC.to_crop(torch.tensor([[[2.0, 8.0]] * JOINTS])))
        targets = CODEC.encode(batch)
        maps = targets.depth[..., None, None].expand(1, JOINTS, HEIGHT, WIDTH).clone()
        maps[..., 14:] = 1000.0
        assert depth_l1(PoseOutput(depth_maps=maps), targets)[0].max() < 1e-4


class TestIntegralL1:
    def test_by_hand(self):
        targets = targets_of(1, [False])
        coordinates = torch.cat([targets.keypoints, targets.depth[..., None]], -1)
        coordinates[0, 2] += torch.tensor([2.4, -12.0, 0.25])
        values, weights = integral_l1(PoseOutput(coordinates=coordinates), targets)
        # x and y in map pixels over the width 24, depth in crop widths already.
        torch.testing.assert_close(values[0, 2], torch.tensor([0.1, 0.5, 0.25], dtype=values.dtype), atol=1e-5, rtol=0)
        assert values[0, 3:].abs().max() < 1e-5
        assert weights[0, 0].tolist() == [1, 1, 0]


LEG, ARM = 1.0085885098415446, 1.1375361376887123
REFERENCE_GROUPS = [
    [(0, 1, LEG), (1, 2, 1), (3, 4, 1), (4, 5, LEG)],
    [(10, 11, ARM), (11, 12, 1), (13, 14, 1), (14, 15, ARM)],
    [(2, 6, 1), (6, 3, 1)],
    [(12, 7, 1), (7, 13, 1)],
]


def looped_bone_ratio(pose: np.ndarray, labelled: np.ndarray) -> float:
    """One person's loss, written as plainly as can be: pose (16, 3), labelled (16,)."""
    loss = 0.0
    for group in REFERENCE_GROUPS:
        lengths = [ratio * math.dist(pose[a], pose[b]) for a, b, ratio in group if labelled[a] and labelled[b]]
        if len(lengths) < 2:
            continue
        mean = sum(lengths) / len(lengths)
        loss += sum((length - mean) ** 2 for length in lengths) / (2 * len(lengths))
    return loss


class TestBoneRatio:
    def test_two_hips_by_hand(self):
        """Hip bones of 5 and 10 map px over a width of 24: mean 7.5, so 2 * (2.5 / 24)^2 / (2 * 2)."""
        targets = targets_of(1, [False])
        keypoints, weights = torch.zeros_like(targets.keypoints), torch.zeros_like(targets.weight_2d)
        for joint, place in (("pelvis", (10.0, 5.0)), ("left_hip", (13.0, 9.0)), ("right_hip", (4.0, 13.0))):
            keypoints[0, MPII_16.index(joint)] = torch.tensor(place, dtype=keypoints.dtype)
            weights[0, MPII_16.index(joint)] = 1
        flat = PoseOutput(depth_maps=torch.zeros(1, JOINTS, HEIGHT, WIDTH))
        loss, covered = bone_ratio(flat, replace(targets, keypoints=keypoints, weight_2d=weights))
        assert loss.item() == pytest.approx((2.5 / 24) ** 2 / 2, rel=1e-6)
        assert covered.tolist() == [1]

    @quick
    @given(st.integers(0, 2**31 - 1))
    def test_equals_a_plain_loop(self, seed: int):
        generator = torch.Generator().manual_seed(seed)
        output, targets = coordinates_of(4, seed), targets_of(4, [False] * 4, seed)
        targets = replace(targets, weight_2d=(torch.rand(4, JOINTS, generator=generator) < 0.6).double())
        loss, _ = bone_ratio(output, targets)
        assert output.coordinates is not None
        depth = output.coordinates.detach()[..., 2:]
        poses = torch.cat([targets.keypoints / WIDTH, depth], -1).numpy()
        expected = [looped_bone_ratio(pose, w) for pose, w in zip(poses, targets.weight_2d.numpy(), strict=True)]
        np.testing.assert_allclose(loss.detach().numpy(), expected, atol=1e-6)

    def test_a_body_in_proportion_costs_nothing(self):
        """Upper over lower leg 1.00859, upper over lower arm 1.13754, all on a line in depth."""
        depth = torch.zeros(1, JOINTS, dtype=torch.float64)
        for joint, z in {
            "hip": 1.0,
            "knee": 1.0 + LEG,
            "ankle": 2.0 + LEG,
            "shoulder": 1.0,
            "elbow": 1 + ARM,
            "wrist": 2.0 + ARM,
        }.items():
            depth[0, MPII_16.indices((f"left_{joint}", f"right_{joint}"))] = z
        targets = replace(targets_of(1, [False]), keypoints=torch.zeros(1, JOINTS, 2).double())
        coordinates = torch.cat([torch.zeros(1, JOINTS, 2).double(), depth[..., None]], -1)
        assert bone_ratio(PoseOutput(coordinates=coordinates), targets)[0].item() < 1e-12
        depth[0, MPII_16.index("left_wrist")] += 0.5
        coordinates = torch.cat([torch.zeros(1, JOINTS, 2).double(), depth[..., None]], -1)
        assert bone_ratio(PoseOutput(coordinates=coordinates), targets)[0].item() > 1e-2

    def test_only_samples_without_depth_labels_are_covered(self):
        _, covered = bone_ratio(output_of(3), targets_of(3, [True, False, True]))
        assert covered.tolist() == [0, 1, 0]

    def test_a_person_with_one_labelled_bone_a_group_is_not_covered(self):
        weights = torch.zeros(1, JOINTS, dtype=torch.float64)
        weights[0, MPII_16.indices(("left_hip", "left_knee", "left_shoulder", "left_elbow"))] = 1
        loss, covered = bone_ratio(output_of(1), replace(targets_of(1, [False]), weight_2d=weights))
        assert (loss.item(), covered.item()) == (0, 0)

    def test_3d_samples_in_the_batch_do_not_shrink_it(self):
        """Defect 19: it was divided by the whole batch."""
        output, targets = output_of(4), targets_of(4, [False, False, True, True])
        assert output.depth_maps is not None
        alone, _ = total(PoseOutput(depth_maps=output.depth_maps[:2]), rows_of(targets, slice(2)), {"bone_ratio": 1.0})
        mixed, _ = total(output, targets, {"bone_ratio": 1.0})
        torch.testing.assert_close(mixed, alone)
        assert mixed > 0


class TestOutsideCrossEntropy:
    def test_only_joints_outside_count_and_by_hand(self):
        """One joint left of the map at the height of row 5: its Gaussian is half a one of sigma 8 around (0, 5)."""
        batch = batch_of(1)
        batch.keypoints[0, 3] = CODEC.to_crop(torch.tensor([-40.0, 5.0]))
        targets = CODEC.encode(batch)
        rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
        wanted = torch.exp(-((rows - 5.0) ** 2 + columns**2) / (2 * 8.0**2)).double()
        output = output_of(1)
        values, weights = outside_cross_entropy(output, targets)
        assert weights[0].tolist() == [float(joint == 3) for joint in range(JOINTS)]
        logs = output.heatmaps[0, 3].flatten().log_softmax(0)
        assert values[0, 3].item() == pytest.approx(-(wanted / wanted.sum()).flatten().dot(logs).item(), rel=1e-5)

    def test_a_perfect_network_has_an_eighth_of_the_confidence_at_an_edge_and_a_quarter_in_a_corner(self):
        codec = HeatmapCodec(MPII_16, (256, 256))
        batch = batch_of(1)
        batch.keypoints[0, 0] = torch.tensor([128.0, 900.0])
        batch.keypoints[0, 1] = torch.tensor([-300.0, 900.0])
        maps = codec.encode(batch).heatmaps
        assert maps is not None
        decoded = codec.decode(PoseOutput(maps.clamp(min=1e-30).log(), is_logits=True))
        assert decoded.confidence[0, :2].tolist() == pytest.approx([1 / 8, 1 / 4], rel=0.1)
        assert decoded.confidence[0, 2:].min() > 0.9
        torch.testing.assert_close(decoded.keypoints[0, 0, 0].item(), 128.0, atol=4, rtol=0)
        assert decoded.keypoints[0, 0, 1] > 240

    def test_needs_logits(self):
        with pytest.raises(ConfigError, match="outside_cross_entropy needs logits"):
            outside_cross_entropy(PoseOutput(torch.zeros(1, JOINTS, HEIGHT, WIDTH)), targets_of(1))


class TestMissingLabels:
    @pytest.mark.parametrize("name", LOSSES)
    @pytest.mark.parametrize("joint", ["right_ankle", "pelvis", "neck"])
    def test_unlabelled_joints_give_no_loss_and_no_gradient_even_where_nan(self, name: str, joint: str):
        """Defect 20, and NaN targets: 0 * NaN would poison the whole batch."""
        with_depth = [False, False] if name == "bone_ratio" else [True, True]
        output = output_for(name, 2)
        targets = CODEC.encode(without_labels(batch_for(name, 2, with_depth), joint))
        loss, _ = total(output, targets, {name: 1.0})
        loss.backward()
        leaves = [leaf for leaf in (output.heatmaps, output.depth_maps, output.coordinates) if leaf is not None]
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
        assert loss.isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert sum(gradient[0, MPII_16.index(joint)].abs().sum() for gradient in gradients) == 0
        # The others are still trained.
        assert any(gradient[1].abs().sum() > 0 for gradient in gradients)

    @pytest.mark.parametrize("name", LOSSES)
    def test_a_missing_label_leaves_the_mean_of_the_others(self, name: str):
        with_depth = [False, False] if name == "bone_ratio" else [True, True]
        output = output_for(name, 2)
        targets = targets_for(name, 2, with_depth)
        values, weights = LOSSES[name](output, targets)
        loss, _ = total(
            output,
            replace(
                targets,
                weight_outside=targets.weight_outside * torch.tensor([[0.0], [1.0]]),
                weight_2d=targets.weight_2d * torch.tensor([[0.0], [1.0]]),
                weight_depth=targets.weight_depth * torch.tensor([[0.0], [1.0]]),
            ),
            {name: 1.0},
        )
        torch.testing.assert_close(loss.double(), (values[1] * weights[1]).sum().double() / weights[1].sum())

    @pytest.mark.parametrize("name", DEPTH_LOSSES)
    def test_a_batch_without_3d_costs_nothing_and_has_finite_gradients(self, name: str):
        """Defect 21: division by zero."""
        output = output_of(2)
        loss, parts = total(output, targets_of(2, [False, False]), {name: 0.1})
        loss.backward()
        assert loss.item() == 0
        assert parts[name].item() == 0
        assert output.depth_maps is not None
        assert output.depth_maps.grad is not None
        assert (output.depth_maps.grad == 0).all()

    def test_a_batch_without_any_label_costs_nothing(self):
        """Such as a batch of unreadable images."""
        output, targets = output_of(2), targets_of(2)
        targets = replace(targets, weight_2d=0 * targets.weight_2d, weight_depth=0 * targets.weight_depth)
        loss, _ = total(output, targets, MAP_LOSSES)
        loss.backward()
        assert loss.item() == 0
        assert output.heatmaps is not None
        assert output.heatmaps.grad is not None
        assert (output.heatmaps.grad == 0).all()


class TestGradients:
    @pytest.mark.parametrize("name", LOSSES)
    def test_autograd_agrees_with_finite_differences(self, name: str, monkeypatch: pytest.MonkeyPatch):
        """Defect 18. Losses compute in float32 for half precision inputs; here float() keeps doubles."""
        monkeypatch.setattr(Tensor, "float", Tensor.double)
        targets = targets_for(name, 1, [name != "bone_ratio"])
        output = output_for(name, 1)
        field = {"integral_l1": "coordinates", "bone_ratio": "depth_maps", **dict.fromkeys(DEPTH_LOSSES, "depth_maps")}
        leaf_name = field.get(name, "heatmaps")

        def loss(leaf: Tensor) -> Tensor:
            return 7 * total(replace(output, **{leaf_name: leaf}), targets, {name: 1.0})[0]

        assert torch.autograd.gradcheck(loss, getattr(output, leaf_name), fast_mode=True)

    @pytest.mark.parametrize("name", ["heatmap_mse", *MAP_LOSSES])
    def test_maps_in_half_precision_are_compared_in_float32(self, name: str):
        is_logits = name != "heatmap_mse"
        half = replace(output_of(2, dtype=torch.float16), is_logits=is_logits)
        assert half.heatmaps is not None
        assert half.depth_maps is not None
        targets = targets_of(2, [name != "bone_ratio"] * 2)
        full = PoseOutput(half.heatmaps.float(), half.depth_maps.float(), is_logits=is_logits)
        assert torch.equal(LOSSES[name](half, targets)[0], LOSSES[name](full, targets)[0])


class TestTotal:
    def test_is_the_weighted_sum_of_the_reported_means(self):
        output, targets = output_of(3), targets_of(3, [True, False, False])
        loss, parts = total(output, targets, MAP_LOSSES)
        assert list(parts) == list(MAP_LOSSES)
        torch.testing.assert_close(loss, sum(MAP_LOSSES[name] * part for name, part in parts.items()))
        assert not any(part.requires_grad for part in parts.values())
        values, _ = depth_smooth_l1(output, targets)
        torch.testing.assert_close(parts["depth_smooth_l1"], values[:1].mean().detach())

    @pytest.mark.parametrize("cut", [1, 2, 4])
    def test_uneven_processes_that_average_gradients_equal_one(self, cut: int):
        """Five samples on two processes, labels uneven; each divides by the mean count of both."""
        output, targets = output_of(5), targets_of(5, [True, False, False, True, True])
        targets.weight_2d[0, 3:] = 0
        targets.weight_2d[4, :11] = 0
        assert output.heatmaps is not None
        assert output.depth_maps is not None
        leaves = (output.heatmaps, output.depth_maps)
        whole, _ = total(output, targets, MAP_LOSSES)
        expected = torch.autograd.grad(whole, leaves)

        parts = [slice(0, cut), slice(cut, 5)]
        losses = []
        for part in parts:
            share = PoseOutput(output.heatmaps[part], output.depth_maps[part], is_logits=True)
            counts, own = iter(mean_counts(output, targets, parts)), rows_of(targets, part)
            losses.append(total(share, own, MAP_LOSSES, LabelCounts([own], lambda _, counts=counts: next(counts)))[0])
        together = sum(losses) / 2
        torch.testing.assert_close(together, whole)
        for gradient, wanted in zip(torch.autograd.grad(together, leaves), expected, strict=True):
            torch.testing.assert_close(gradient, wanted)

    @pytest.mark.parametrize("name", LOSSES)
    def test_unlike_micro_batches_add_up_to_their_batch(self, name: str):
        """Three of two people; of the first joints are missing, of the second depths, of the third everything."""
        output, targets = output_for(name, 6), targets_for(name, 6, [True, True, False, True, False, False])
        targets.weight_2d[0, 3:] = targets.weight_outside[0, 3:] = targets.weight_depth[0, 3:] = 0
        targets.weight_2d[4:] = targets.weight_outside[4:] = 0
        leaves = [one for one in (output.heatmaps, output.depth_maps, output.coordinates) if one is not None]
        whole, means = total(output, targets, {name: 2.0})
        rows = [slice(begin, begin + 2) for begin in (0, 2, 4)]
        parts = [rows_of(targets, part) for part in rows]
        counts, sums = LabelCounts(parts), []
        for part, wanted in zip(rows, parts):
            sums.append(total(share_of(output, part), wanted, {name: 2.0}, counts))
        together = torch.stack([loss for loss, _ in sums]).sum()
        torch.testing.assert_close(together, whole)
        torch.testing.assert_close(torch.stack([one[name] for _, one in sums]).sum(), means[name])
        expected = torch.autograd.grad(whole, leaves, allow_unused=True)
        for found, wanted in zip(torch.autograd.grad(together, leaves, allow_unused=True), expected, strict=True):
            torch.testing.assert_close(found, wanted)

    def test_an_unknown_loss_names_the_known_ones(self):
        with pytest.raises(ConfigError, match="unknown loss mse; known: heatmap_mse"):
            total(output_of(1), targets_of(1), {"mse": 1.0})

    @pytest.mark.parametrize("name", ["heatmap_mse", "heatmap_cross_entropy", *DEPTH_LOSSES])
    def test_a_head_without_maps_is_told_which_head_to_take(self, name: str):
        with pytest.raises(ConfigError, match=r"model\.head\.kind heatmap_depth"):
            total(coordinates_of(1), targets_of(1), {name: 1.0})

    @pytest.mark.parametrize("name", LOSSES)
    def test_the_heatmaps_of_targets_are_made_for_those_that_read_them(self, name: str):
        output = output_for(name, 1)
        targets = CODEC.encode(batch_of(1), heatmaps=False)
        if need_heatmaps([name]):
            with pytest.raises(AssertionError, match="without heatmaps"):
                LOSSES[name](output, targets)
        else:
            assert LOSSES[name](output, targets)[0].isfinite().all()

    def test_a_loss_of_ones_own_gets_them_too(self):
        assert need_heatmaps(["bone_ratio", "wing"])
        assert not need_heatmaps(WITHOUT_HEATMAPS)

    @pytest.mark.parametrize(
        ("name", "heatmap", "what"),
        [("heatmap_mse", "mse", "maps of values, not logits"), ("heatmap_cross_entropy", "cross_entropy", "logits")],
    )
    def test_maps_of_the_other_kind_are_not_trained(self, name: str, heatmap: str, what: str):
        """They would be: to confidences that say nothing."""
        output = output_for(name, 1)
        assert total(output, targets_of(1), {name: 1.0})[0].isfinite()
        with pytest.raises(ConfigError, match=rf"^loss {name} needs {what}: set --model\.head\.heatmap {heatmap}$"):
            total(replace(output, is_logits=not output.is_logits), targets_of(1), {name: 1.0})

    def test_integral_loss_without_coordinates_is_told_too(self):
        with pytest.raises(ConfigError, match=r"model\.head\.kind integral"):
            total(output_of(1), targets_of(1), {"integral_l1": 1.0})


def mean_counts(output: PoseOutput, targets: Targets, parts: list[slice]) -> list[Tensor]:
    """What an all-reduce would give each loss: the mean over processes of its number of labels."""
    assert output.heatmaps is not None
    assert output.depth_maps is not None
    counts = []
    outputs = [PoseOutput(output.heatmaps[part], output.depth_maps[part], is_logits=True) for part in parts]
    for name in MAP_LOSSES:
        shares = [LOSSES[name](share, rows_of(targets, part))[1].sum() for share, part in zip(outputs, parts)]
        counts.append(torch.stack(shares).mean())
    return counts
