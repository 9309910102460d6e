"""Heads: shapes, the number of deconvolutions, and soft-argmax by hand."""

import pytest
import torch
from torch import Tensor, nn

from headstart.errors import ConfigError
from headstart.models.backbone import Level
from headstart.models.heads import HeadConfig, HeatmapDepthHead, IntegralHead, PyramidHead

JOINTS, BINS = 3, 8


def features(people: int = 2) -> Tensor:
    """As a backbone of stride 32 gives for an input 96 px wide and 64 px high."""
    return torch.randn(people, 10, 2, 3, generator=torch.Generator().manual_seed(0))


def integral_of(volume: Tensor) -> IntegralHead:
    """A head whose layers are taken away: its features are the volume (B, J * BINS, h, w) itself."""
    head = IntegralHead(HeadConfig(kind="integral", depth_bins=BINS, output_stride=4), [Level(10, 4)], JOINTS)
    head.upsample, head.volume = nn.Sequential(), nn.Identity()  # type: ignore[assignment]
    return head


def delta(x: int, y: int, z: int, height: int = 5, width: int = 7) -> Tensor:
    """Logits (1, J * BINS, h, w) that are certain of one cell, the same for each joint."""
    volume = torch.full((1, JOINTS, BINS, height, width), -1000.0)
    volume[:, :, z, y, x] = 0.0
    return volume.flatten(1, 2)


def deconvolutions_of(head: nn.Module) -> list[nn.ConvTranspose2d]:
    return [module for module in head.modules() if isinstance(module, nn.ConvTranspose2d)]


class TestHeatmapDepthHead:
    @pytest.mark.parametrize(("stride", "layers"), [(4, 3), (8, 2), (16, 1), (32, 0)])
    def test_each_deconvolution_halves_the_stride(self, stride: int, layers: int):
        head = HeatmapDepthHead(HeadConfig(channels=6, output_stride=stride), [Level(10, 32)], JOINTS)
        output = head([features()])
        assert len(deconvolutions_of(head)) == layers
        assert output.heatmaps.shape == (2, JOINTS, 64 // stride, 96 // stride)
        assert output.depth_maps.shape == output.heatmaps.shape
        assert output.coordinates is None

    def test_the_published_layers(self):
        """Three 4x4 stride-2 deconvolutions of 256 channels without bias, then two 1x1 convolutions."""
        head = HeatmapDepthHead(HeadConfig(), [Level(2048, 32)], 16)
        weights = [(tuple(layer.weight.shape), layer.stride, layer.bias) for layer in deconvolutions_of(head)]
        assert weights == [
            ((2048, 256, 4, 4), (2, 2), None),
            ((256, 256, 4, 4), (2, 2), None),
            ((256, 256, 4, 4), (2, 2), None),
        ]
        for layer in (head.heatmaps, head.depth_maps):
            assert layer.weight.shape == (16, 256, 1, 1)

    def test_starts_with_small_weights_and_no_bias(self):
        head = HeatmapDepthHead(HeadConfig(), [Level(64, 8)], 16)
        for layer in (head.heatmaps, head.depth_maps, *deconvolutions_of(head)):
            assert layer.weight.std().item() == pytest.approx(0.001, rel=0.1)
            assert layer.bias is None or not layer.bias.any()

    @pytest.mark.parametrize(("heatmap", "is_logits"), [("mse", False), ("cross_entropy", True)])
    def test_says_what_its_maps_are(self, heatmap: str, is_logits: bool):
        head = HeatmapDepthHead(HeadConfig(channels=4, heatmap=heatmap), [Level(10, 32)], JOINTS)  # type: ignore[arg-type]
        assert head([features()]).is_logits is is_logits

    @pytest.mark.parametrize(("in_stride", "out_stride"), [(32, 64), (32, 5), (32, 12)])
    def test_a_stride_that_cannot_be_reached_is_refused(self, in_stride: int, out_stride: int):
        with pytest.raises(ConfigError, match=r"output_stride: expected 32 .* power of two, got"):
            HeatmapDepthHead(HeadConfig(output_stride=out_stride), [Level(10, in_stride)], JOINTS)

    def test_heatmaps_and_depth_maps_learn_apart(self):
        head = HeatmapDepthHead(HeadConfig(channels=4), [Level(10, 32)], JOINTS)
        head([features()]).heatmaps.sum().backward()
        assert head.heatmaps.weight.grad is not None
        assert head.depth_maps.weight.grad is None


class TestIntegralHead:
    @pytest.mark.parametrize(("x", "y", "z"), [(0, 0, 0), (6, 4, 7), (2, 3, 4), (5, 1, 3)])
    def test_a_certain_cell_is_its_centre(self, x: int, y: int, z: int):
        """Eight cells along z span one crop width: centres at -0.4375, -0.3125 ... 0.4375."""
        volume = delta(x, y, z)
        output = integral_of(volume)([volume])
        expected = torch.tensor([float(x), float(y), -0.4375 + 0.125 * z]).expand(1, JOINTS, 3)
        torch.testing.assert_close(output.coordinates, expected)
        torch.testing.assert_close(output.confidence, torch.ones(1, JOINTS))

    def test_an_empty_volume_is_the_middle_and_hardly_confident(self):
        volume = torch.zeros(1, JOINTS * BINS, 5, 7)
        output = integral_of(volume)([volume])
        torch.testing.assert_close(output.coordinates, torch.tensor([3.0, 2.0, 0.0]).expand(1, JOINTS, 3))
        torch.testing.assert_close(output.confidence, torch.full((1, JOINTS), 1 / 35))

    def test_two_cells_are_weighed(self):
        """Three to one between (1, 1, 2) and (5, 3, 6)."""
        volume = torch.maximum(delta(1, 1, 2), delta(5, 3, 6) + torch.tensor(1 / 3).log())
        output = integral_of(volume)([volume])
        expected = torch.tensor([2.0, 1.5, 0.75 * (-0.1875) + 0.25 * 0.3125]).expand(1, JOINTS, 3)
        torch.testing.assert_close(output.coordinates, expected)
        torch.testing.assert_close(output.confidence, torch.full((1, JOINTS), 0.75))

    def test_joints_keep_their_own_volumes(self):
        """Joint by joint, cell by cell: the channels of one convolution are not interleaved."""
        volume = torch.full((1, JOINTS, BINS, 5, 7), -1000.0)
        for joint in range(JOINTS):
            volume[0, joint, 2 * joint, joint, 2 * joint] = 0
        output = integral_of(volume)([volume.flatten(1, 2)])
        expected = torch.tensor([[[2.0 * j, 1.0 * j, -0.4375 + 0.25 * j] for j in range(JOINTS)]])
        torch.testing.assert_close(output.coordinates, expected)

    def test_huge_logits_and_half_precision_stay_finite(self):
        volume = (delta(2, 3, 4) * 60).half()
        output = integral_of(volume)([volume])
        assert output.coordinates.dtype == torch.float32
        torch.testing.assert_close(output.coordinates[0, 0], torch.tensor([2.0, 3.0, 0.0625]))

    def test_shape_from_features(self):
        head = IntegralHead(HeadConfig(kind="integral", channels=6, depth_bins=BINS), [Level(10, 32)], JOINTS)
        output = head([features()])
        assert output.coordinates.shape == (2, JOINTS, 3)
        assert output.heatmaps is None
        # Weights start small, so the first answer is near the middle of a map of 16 rows and 24 columns.
        middle = torch.tensor([11.5, 7.5, 0.0]).expand(2, JOINTS, 3)
        torch.testing.assert_close(output.coordinates, middle, atol=0.1, rtol=0)


class TestPyramidHead:
    LEVELS = (Level(6, 4), Level(8, 8), Level(12, 16), Level(10, 32))

    def maps(self, levels: tuple[Level, ...] = LEVELS) -> list[Tensor]:
        """Of an input 96 px wide and 64 px high."""
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(2, c, 64 // stride, 96 // stride, generator=generator) for c, stride in levels]

    @pytest.mark.parametrize("stride", [4, 8, 16, 32])
    def test_maps_have_the_output_stride(self, stride: int):
        output = PyramidHead(HeadConfig("pyramid", 5, output_stride=stride), self.LEVELS, JOINTS)(self.maps())
        assert output.heatmaps is not None
        assert output.depth_maps is not None
        assert output.heatmaps.shape == output.depth_maps.shape == (2, JOINTS, 64 // stride, 96 // stride)

    def test_every_scale_counts(self):
        maps = [one.requires_grad_() for one in self.maps()]
        head = PyramidHead(HeadConfig("pyramid", 5), self.LEVELS, JOINTS)
        torch.nn.init.ones_(head.heatmaps.weight)
        head(maps).heatmaps.square().sum().backward()
        assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in maps)

    def test_a_backbone_with_one_scale_is_enlarged(self):
        levels = (Level(10, 16),)
        head = PyramidHead(HeadConfig("pyramid", 5), levels, JOINTS)
        assert head(self.maps(levels)).heatmaps.shape == (2, JOINTS, 16, 24)
        assert sum(isinstance(module, nn.Identity) for module in head.lateral) == 2

    def test_a_stride_that_cannot_be_reached_is_refused(self):
        with pytest.raises(ConfigError, match=r"output_stride: expected 32 .* power of two, got 5"):
            PyramidHead(HeadConfig("pyramid", output_stride=5), self.LEVELS, JOINTS)

    @pytest.mark.parametrize(("heatmap", "is_logits"), [("mse", False), ("cross_entropy", True)])
    def test_says_what_its_maps_are(self, heatmap: str, is_logits: bool):
        head = PyramidHead(HeadConfig("pyramid", 4, heatmap), self.LEVELS, JOINTS)  # type: ignore[arg-type]
        assert head(self.maps()).is_logits is is_logits
