"""The codec: round trips below a hundredth of a pixel, what lies off the map, depth units, and the mirror."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from headstart.records import Batch, PoseOutput
from headstart.skeleton import MPII_16, Skeleton
from headstart.targets import HeatmapCodec, average_outputs, mirror_output, peak_pixels, read_maps

quick = settings(max_examples=40)
PAIR = Skeleton("pair", ("left_hip", "right_hip"))
# Not square: width 96, height 64, so maps of 16 rows and 24 columns.
CODEC = HeatmapCodec(PAIR, (96, 64), stride=4, sigma=2.0)


def batch_of(keypoints: Tensor, weight_2d: Tensor | None = None, xyz: Tensor | None = None) -> Batch:
    """A batch with these crop px (B, J, 2), all labelled unless said otherwise."""
    people, joints = keypoints.shape[:2]
    ones = torch.ones(people, joints)
    return Batch(
        image=torch.zeros(people, 3, 64, 96, dtype=torch.uint8),
        keypoints=keypoints,
        weight_2d=ones if weight_2d is None else weight_2d,
        xyz=torch.zeros(people, joints, 3) if xyz is None else xyz,
        weight_3d=torch.zeros(people, joints) if xyz is None else ones,
        pixels_per_mm=torch.full((people,), 0.1),
        crop=torch.eye(2, 3, dtype=torch.float64).expand(people, 2, 3),
        row=torch.arange(people),
        dataset=torch.zeros(people, dtype=torch.int64),
        readable=torch.ones(people, dtype=torch.bool),
    )


def map_points(*points: tuple[float, float]) -> Tensor:
    """Heatmap px (B, 2, 2): one person a point, both joints of PAIR on it."""
    return torch.tensor([[point, point] for point in points])


def output_for(points: Tensor, is_logits: bool, codec: HeatmapCodec = CODEC) -> PoseOutput:
    """Perfect maps of heatmap points: Gaussians, or their logarithms plus a constant."""
    gaussians = codec.gaussians(points.double())
    return PoseOutput(gaussians.log() + 3 if is_logits else gaussians, is_logits=is_logits)


# Twice sigma from the border, and anywhere but on the outer half pixel of a border cell.
interior = st.tuples(st.floats(4.0, 19.0), st.floats(4.0, 11.0))
anywhere = st.tuples(st.floats(0.6, 22.4), st.floats(0.6, 14.4))


class TestRoundTrip:
    @pytest.mark.parametrize("is_logits", [False, True])
    @quick
    @given(st.lists(interior, min_size=1, max_size=4))
    def test_subpixel_joints_come_back(self, is_logits: bool, points: list[tuple[float, float]]):
        """Defect 11: labels cut to integers and a missing half pixel were 2 px in the photo."""
        wanted = map_points(*points)
        decoded = CODEC.decode(output_for(wanted, is_logits))
        assert (CODEC.to_map(decoded.keypoints) - wanted).abs().max() < 0.01

    @pytest.mark.parametrize("is_logits", [False, True])
    @quick
    @given(st.lists(anywhere, min_size=1, max_size=4))
    def test_a_cut_off_gaussian_comes_back_within_a_tenth(self, is_logits: bool, points: list[tuple[float, float]]):
        """Half a pixel of crop; without the Gaussian's norm it would be over a whole heatmap pixel."""
        wanted = map_points(*points)
        decoded = CODEC.decode(output_for(wanted, is_logits))
        assert (CODEC.to_map(decoded.keypoints) - wanted).abs().max() < 0.1

    @pytest.mark.parametrize("is_logits", [False, True])
    @pytest.mark.parametrize("point", [(5.5, 7.5), (6.0, 5.0), (4.5, 10.5), (18.5, 5.0), (11.5, 4.0)])
    def test_half_pixels_come_back(self, is_logits: bool, point: tuple[float, float]):
        wanted = map_points(point)
        decoded = CODEC.decode(output_for(wanted, is_logits))
        assert (CODEC.to_map(decoded.keypoints) - wanted).abs().max() < 0.01

    @pytest.mark.parametrize("is_logits", [False, True])
    def test_the_whole_map_counts_and_not_its_highest_cell(self, is_logits: bool):
        """A plateau of nine cells, 0.9 high, against one cell of 1: 0.9 * (1 + 2 * exp(-1 / 8)) ** 2 = 6.9 to 1."""
        values = torch.full((1, 2, 16, 24), 1e-6)
        values[..., 4:7, 4:7] = 0.9
        values[..., 10, 18] = 1.0
        output = PoseOutput(values.log() if is_logits else values, is_logits=is_logits)
        expected = torch.tensor([[[5.0, 5.0]] * 2])
        torch.testing.assert_close(CODEC.to_map(CODEC.decode(output).keypoints), expected, atol=1e-3, rtol=0)
        highest = CODEC.to_map(CODEC.decode(output, "argmax").keypoints)
        torch.testing.assert_close(highest, torch.tensor([[[18.0, 10.0]] * 2]))

    def test_encode_then_decode_in_crop_pixels(self):
        keypoints = torch.tensor([[[37.3, 20.8], [60.0, 41.25]], [[20.0, 42.5], [70.4, 21.1]]])
        targets = CODEC.encode(batch_of(keypoints))
        decoded = CODEC.decode(PoseOutput(targets.heatmaps))
        assert (decoded.keypoints - keypoints).abs().max() < 0.04  # 0.01 heatmap px of stride 4
        # The peak lies between pixels, up to half a pixel away in x and y.
        assert (decoded.confidence > math.exp(-0.25 / 4)).all()
        assert (decoded.confidence <= 1).all()

    def test_confidence_of_perfect_logits_is_one_and_of_empty_ones_is_not(self):
        assert CODEC.decode(output_for(map_points((12.0, 8.0)), True)).confidence.min() > 0.98
        empty = CODEC.decode(PoseOutput(torch.zeros(1, 2, 16, 24), is_logits=True))
        torch.testing.assert_close(empty.confidence, torch.full((1, 2), 8 * math.pi / (16 * 24)))

    def test_an_empty_map_decodes_to_a_pixel_and_no_confidence(self):
        decoded = CODEC.decode(PoseOutput(torch.zeros(1, 2, 16, 24)))
        torch.testing.assert_close(decoded.keypoints, torch.full((1, 2, 2), 1.5))  # the first pixel's centre
        assert (decoded.confidence == 0).all()

    def test_a_peak_on_the_border_stays_on_its_pixel(self):
        maps = torch.zeros(1, 2, 16, 24)
        maps[0, 0, 0, 23] = maps[0, 1, 15, 0] = 1
        decoded = CODEC.decode(PoseOutput(maps))
        torch.testing.assert_close(CODEC.to_map(decoded.keypoints), torch.tensor([[[23.0, 0.0], [0.0, 15.0]]]))

    def test_coordinates_of_an_integral_head_are_taken_to_crop_pixels(self):
        coordinates = torch.tensor([[[0.0, 2.5, 0.125], [23.0, 15.0, -0.5]]])
        decoded = CODEC.decode(PoseOutput(coordinates=coordinates, confidence=torch.tensor([[0.25, 1.0]])))
        torch.testing.assert_close(decoded.keypoints, torch.tensor([[[1.5, 11.5], [93.5, 61.5]]]))
        torch.testing.assert_close(decoded.depth, torch.tensor([[0.125, -0.5]]))
        torch.testing.assert_close(decoded.confidence, torch.tensor([[0.25, 1.0]]))


class TestGrids:
    def test_pixel_centres_by_hand(self):
        # Four crop pixels 0..3 make map pixel 0, whose centre is at 1.5.
        torch.testing.assert_close(CODEC.to_map(torch.tensor([1.5, 5.5, -0.5])), torch.tensor([0.0, 1.0, -0.5]))
        torch.testing.assert_close(CODEC.to_crop(torch.tensor([0.0, 1.0])), torch.tensor([1.5, 5.5]))

    def test_map_size_is_height_then_width(self):
        """Defect 17."""
        assert CODEC.map_size == (16, 24)
        assert CODEC.gaussians(torch.zeros(3, 2, 2)).shape == (3, 2, 16, 24)

    def test_gaussian_by_hand(self):
        gaussian = CODEC.gaussians(map_points((10.0, 5.0)))[0, 0]
        assert gaussian[5, 10] == 1
        torch.testing.assert_close(gaussian[5, 12], torch.tensor(math.exp(-0.5)))
        torch.testing.assert_close(gaussian[8, 6], torch.tensor(math.exp(-25 / 8)))


class TestArgmax:
    def test_x_and_y_are_not_mixed_on_a_map_that_is_not_square(self):
        """Defect 13: y carried x / width."""
        maps = torch.zeros(1, 2, 16, 24)
        maps[0, 0, 3, 20] = maps[0, 1, 14, 23] = 1
        torch.testing.assert_close(peak_pixels(maps), torch.tensor([[[20.0, 3.0], [23.0, 14.0]]]))

    @quick
    @given(st.integers(0, 23), st.integers(0, 15))
    def test_every_pixel_is_found(self, x: int, y: int):
        maps = torch.zeros(1, 1, 16, 24)
        maps[0, 0, y, x] = 1
        assert peak_pixels(maps).tolist() == [[[x, y]]]

    def test_argmax_decoding_finds_the_highest_of_negative_cells(self):
        """As published: a network that has hardly learnt may be below 0 everywhere."""
        maps = torch.full((1, 2, 16, 24), -2.0)
        maps[..., 7, 15] = -1.0
        decoded = CODEC.decode(PoseOutput(maps), "argmax")
        torch.testing.assert_close(decoded.keypoints, torch.tensor([[[61.5, 29.5], [61.5, 29.5]]]))

    def test_argmax_decoding_reads_the_depth_at_the_peak(self):
        depth_maps = torch.arange(16 * 24.0).view(1, 1, 16, 24).repeat(1, 2, 1, 1)
        output = replace(output_for(map_points((15.3, 7.4)), False), depth_maps=depth_maps)
        decoded = CODEC.decode(output, "argmax")
        torch.testing.assert_close(decoded.keypoints, torch.tensor([[[61.5, 29.5], [61.5, 29.5]]]))
        torch.testing.assert_close(decoded.depth, torch.full((1, 2), 7 * 24.0 + 15))
        # Between pixels otherwise: the ramp at (15.3, 7.4).
        subpixel = CODEC.decode(output, "subpixel").depth
        torch.testing.assert_close(subpixel, torch.full((1, 2), 7.4 * 24 + 15.3), atol=0.02, rtol=0)


class TestOffTheMap:
    @pytest.mark.parametrize("point", [(-0.6, 5.0), (23.6, 5.0), (5.0, -0.6), (5.0, 15.6), (-300.0, 900.0)])
    def test_weight_is_zero(self, point: tuple[float, float]):
        """Defect 12: a cut-off Gaussian leaves a bump on the border that is read as truth."""
        xyz = torch.ones(1, 2, 3)
        targets = CODEC.encode(batch_of(CODEC.to_crop(map_points(point)), xyz=xyz))
        assert (targets.weight_2d == 0).all()
        assert (targets.weight_depth == 0).all()

    @pytest.mark.parametrize("point", [(-0.5, 5.0), (23.5, 5.0), (5.0, -0.5), (5.0, 15.5)])
    def test_the_outer_edge_of_the_crop_still_counts(self, point: tuple[float, float]):
        targets = CODEC.encode(batch_of(CODEC.to_crop(map_points(point)), xyz=torch.ones(1, 2, 3)))
        assert (targets.weight_2d == 1).all()
        assert (targets.weight_depth == 1).all()

    def test_an_unlabelled_joint_has_no_weight_wherever_it_lies(self):
        weight = torch.tensor([[1.0, 0.0]])
        targets = CODEC.encode(batch_of(torch.full((1, 2, 2), 30.0), weight_2d=weight, xyz=torch.ones(1, 2, 3)))
        torch.testing.assert_close(targets.weight_2d, weight)
        torch.testing.assert_close(targets.weight_depth, weight)


class TestDepth:
    def test_units_by_hand(self):
        """-200 mm at 0.1 px per mm is 20 px towards the camera, 20 / 96 of the crop's width."""
        xyz = torch.tensor([[[7.0, 8.0, -200.0], [0.0, 0.0, 480.0]]])
        targets = CODEC.encode(batch_of(torch.full((1, 2, 2), 30.0), xyz=xyz))
        torch.testing.assert_close(targets.depth, torch.tensor([[-20 / 96, 0.5]]))

    def test_a_sample_without_3d_has_no_depth_weight(self):
        targets = CODEC.encode(batch_of(torch.full((1, 2, 2), 30.0)), heatmaps=False)
        assert (targets.weight_depth == 0).all()
        assert targets.heatmaps is None

    @quick
    @given(st.integers(0, 2**31 - 1))
    def test_read_maps_equals_grid_sample(self, seed: int):
        generator = torch.Generator().manual_seed(seed)
        maps = torch.randn(2, 3, 16, 24, generator=generator, dtype=torch.float64)
        points = torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) * torch.tensor([34.0, 26.0]) - 5
        grid = 2 * points / torch.tensor([23.0, 15.0]) - 1
        sampled = functional.grid_sample(
            maps.flatten(0, 1)[:, None], grid.view(6, 1, 1, 2), padding_mode="border", align_corners=True
        )
        torch.testing.assert_close(read_maps(maps, points), sampled.view(2, 3))

    def test_gradients_of_read_maps(self):
        maps = torch.linspace(-1, 2, 60, dtype=torch.float64).sin().view(1, 2, 5, 6).requires_grad_()
        points = torch.tensor([[[1.3, 2.6], [4.4, 0.2]]], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(read_maps, (maps, points))


class TestMirror:
    def output(self) -> PoseOutput:
        """Random outputs of three images, maps and coordinates both, MPII-16."""
        generator = torch.Generator().manual_seed(0)
        return PoseOutput(
            torch.randn(3, 16, 16, 24, generator=generator),
            torch.randn(3, 16, 16, 24, generator=generator),
            torch.randn(3, 16, 3, generator=generator),
            torch.rand(3, 16, generator=generator),
            is_logits=True,
        )

    def test_twice_is_the_identity(self):
        output = self.output()
        twice = mirror_output(mirror_output(output, MPII_16, 24), MPII_16, 24)
        for name in ("heatmaps", "depth_maps", "coordinates", "confidence"):
            torch.testing.assert_close(getattr(twice, name), getattr(output, name))
        assert twice.is_logits

    def test_every_image_of_the_batch_is_mirrored(self):
        """Defect 21: only the first was."""
        output = self.output()
        mirrored = mirror_output(output, MPII_16, 24)
        left, right = MPII_16.index("left_knee"), MPII_16.index("right_knee")
        assert mirrored.heatmaps is not None
        assert mirrored.depth_maps is not None
        assert mirrored.coordinates is not None
        assert mirrored.confidence is not None
        for image in range(3):
            assert torch.equal(mirrored.heatmaps[image, left], output.heatmaps[image, right].flip(-1))
            assert torch.equal(mirrored.depth_maps[image, right], output.depth_maps[image, left].flip(-1))
            x, y, depth = output.coordinates[image, right]
            torch.testing.assert_close(mirrored.coordinates[image, left], torch.stack([23 - x, y, depth]))
            assert mirrored.confidence[image, left] == output.confidence[image, right]

    def test_a_perfect_model_agrees_with_its_mirror(self):
        """Maps of the mirrored photo, brought back, equal maps of the photo: no shift by one."""
        keypoints = torch.tensor([[[37.3, 20.8], [60.0, 41.25]]])
        photo = PoseOutput(CODEC.encode(batch_of(keypoints)).heatmaps)
        turned = torch.stack([95 - keypoints[..., 0], keypoints[..., 1]], -1)[:, list(PAIR.flip_index)]
        mirrored = PoseOutput(CODEC.encode(batch_of(turned)).heatmaps)
        torch.testing.assert_close(mirror_output(mirrored, PAIR, 24).heatmaps, photo.heatmaps, atol=1e-5, rtol=0)


class TestByHand:
    def test_confidence_of_values_is_their_peak(self):
        """A Gaussian on a pixel, a quarter as high as it should be."""
        gaussians = output_for(map_points((12.0, 8.0)), False).heatmaps
        confidence = CODEC.decode(PoseOutput(gaussians / 4)).confidence
        torch.testing.assert_close(confidence, torch.full((1, 2), 0.25), check_dtype=False)
        assert (CODEC.decode(PoseOutput(3 * gaussians)).confidence == 1).all()

    def test_average_is_field_by_field(self):
        first, second = (
            PoseOutput(
                value * torch.ones(1, 2, 4, 4),
                10 * value * torch.ones(1, 2, 4, 4),
                value * torch.ones(1, 2, 3),
                value / 4 * torch.ones(1, 2),
                is_logits=True,
            )
            for value in (1.0, 3.0)
        )
        mean = average_outputs(first, second)
        torch.testing.assert_close(mean.heatmaps, torch.full((1, 2, 4, 4), 2.0))
        torch.testing.assert_close(mean.depth_maps, torch.full((1, 2, 4, 4), 20.0))
        torch.testing.assert_close(mean.coordinates, torch.full((1, 2, 3), 2.0))
        torch.testing.assert_close(mean.confidence, torch.full((1, 2), 0.5))
        assert mean.is_logits
        heatmaps_alone = average_outputs(PoseOutput(first.heatmaps), PoseOutput(second.heatmaps))
        assert heatmaps_alone.depth_maps is heatmaps_alone.coordinates is heatmaps_alone.confidence is None

    def test_targets_are_finite_where_only_the_3d_label_is_missing(self):
        xyz = torch.full((1, 2, 3), float("nan"))
        targets = CODEC.encode(replace(batch_of(torch.full((1, 2, 2), 30.0)), xyz=xyz))
        assert targets.depth.isfinite().all()
        assert (targets.weight_depth == 0).all()
