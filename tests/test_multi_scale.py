"""Multi-scale testing: what is seen in an image at another scale comes back to where it is in the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.evaluate import forward_with_flip
from headstart.multi_scale import multi_scale, scaled
from headstart.records import Decoded, PoseOutput
from headstart.skeleton import BODY_18
from headstart.targets import HeatmapCodec

SIZE, STRIDE = 128, 4
CODEC = HeatmapCodec(BODY_18, (SIZE, SIZE), STRIDE)
MIDDLE = (SIZE - 1) / 2
DOT = (40.0, 81.0)


def image_with(x: float, y: float) -> Tensor:
    """uint8 image (1, 3, SIZE, SIZE) with a bright Gaussian of 3 px around (x, y)."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    dot = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    return torch.from_numpy(np.broadcast_to(dot.round().astype(np.uint8), (1, 3, SIZE, SIZE)).copy())


def dot_of(images: Tensor) -> tuple[Tensor, Tensor]:
    """Middle (B, 2) px of the brightness, and its spread (B,) px, which grows with the scale."""
    grey = images.double().mean(1)
    grey = grey / grey.sum((1, 2), keepdim=True)
    axis = torch.arange(SIZE, dtype=torch.float64)
    x, y = (grey.sum(1) * axis).sum(-1), (grey.sum(2) * axis).sum(-1)
    return torch.stack([x, y], -1).float(), ((grey.sum(1) * (axis - x[:, None]) ** 2).sum(-1)).sqrt().float()


def oracle(kind: str, seen: list[float] | None = None):
    """A network that puts every joint at the dot, with its spread as depth; ``seen`` collects the dots' x."""

    def forward(images: Tensor) -> PoseOutput:
        points, spread = dot_of(images)
        if seen is not None:
            seen.extend(points[:, 0].tolist())
        joints = len(BODY_18)
        at = CODEC.to_map(points)[:, None].expand(-1, joints, 2)
        depth = (spread / SIZE)[:, None].expand(-1, joints)
        if kind == "integral":
            coordinates = torch.cat([at, depth[..., None]], -1)
            return PoseOutput(coordinates=coordinates, confidence=torch.full_like(depth, 0.5))
        maps = CODEC.gaussians(at)
        depths = depth[..., None, None].expand_as(maps)
        if kind == "logits":
            return PoseOutput(heatmaps=maps.clamp(min=1e-6).log(), depth_maps=depths, is_logits=True)
        return PoseOutput(heatmaps=maps, depth_maps=depths)

    return forward


def read(kind: str, scales: tuple[float, ...], image: Tensor) -> Decoded:
    return CODEC.decode(multi_scale(oracle(kind), CODEC.map_size, scales)(image))


class TestMultiScale:
    @pytest.mark.parametrize("kind", ["values", "logits", "integral"])
    @pytest.mark.parametrize("scales", [(1.25,), (0.8,), (0.9, 1.0, 1.15)])
    def test_joints_and_depths_come_back_to_the_image(self, kind: str, scales: tuple[float, ...]):
        image = image_with(*DOT)
        found, plain = read(kind, scales, image), read(kind, (1.0,), image)
        np.testing.assert_allclose(plain.keypoints[0, 0], DOT, atol=0.1)
        np.testing.assert_allclose(found.keypoints[0], np.broadcast_to(DOT, (18, 2)), atol=0.25)
        # The dot's spread is 3 px of the image, whatever the scale at which it was seen.
        assert SIZE * found.depth[0, 0] == pytest.approx(3.0, abs=0.06)

    def test_maps_of_depth_come_back_to_where_the_heatmaps_do(self):
        """Both maps of this network are the same Gaussian at the dot: depths come back to its place, over the scale."""

        def forward(images: Tensor) -> PoseOutput:
            maps = oracle("values")(images).heatmaps
            return PoseOutput(heatmaps=maps, depth_maps=maps)

        found = multi_scale(forward, CODEC.map_size, (1.25,))(image_with(*DOT))
        assert found.heatmaps is not None
        assert found.depth_maps is not None
        torch.testing.assert_close(1.25 * found.depth_maps, found.heatmaps)

    def test_a_scale_above_1_enlarges_about_the_middle(self):
        seen: list[float] = []
        multi_scale(oracle("values", seen), CODEC.map_size, (1.25, 1.0, 0.5))(image_with(*DOT))
        expected = [MIDDLE + 1.25 * (40 - MIDDLE), 40.0, MIDDLE + 0.5 * (40 - MIDDLE)]
        np.testing.assert_allclose(seen, expected, atol=0.05)

    def test_it_takes_the_mean_and_not_one_of_them(self):
        """By hand: seen at x = 10, 20 and 60 px of equal scales, the mean is 30."""
        places = iter((10.0, 20.0, 60.0))

        def moving(images: Tensor) -> PoseOutput:
            points = torch.tensor([next(places), 7.0, 0.0]).expand(1, 18, 3)
            return PoseOutput(coordinates=points, confidence=torch.full((1, 18), 0.3))

        found = multi_scale(moving, CODEC.map_size, (1, 1, 1))(image_with(*DOT))
        assert found.coordinates is not None
        assert found.confidence is not None
        np.testing.assert_allclose(found.coordinates[0, 0], (30, 7, 0), atol=1e-5)
        np.testing.assert_allclose(found.confidence, 0.3, atol=1e-6)

    def test_one_scale_of_1_changes_nothing(self):
        forward = oracle("values")
        assert multi_scale(forward, CODEC.map_size, (1.0,)) is forward

    def test_images_stay_what_exported_networks_take(self):
        kinds = []

        def forward(images: Tensor) -> PoseOutput:
            kinds.append((images.dtype, tuple(images.shape)))
            return oracle("values")(images)

        multi_scale(forward, CODEC.map_size, (0.9, 1.2))(image_with(*DOT))
        assert kinds == [(torch.uint8, (1, 3, SIZE, SIZE))] * 2

    def test_with_the_flip_test_the_mirrored_image_gives_the_mirrored_maps(self):
        torch.manual_seed(3)
        kernel = torch.randn(18, 3, STRIDE, STRIDE)

        def network(images: Tensor) -> PoseOutput:
            maps = torch.nn.functional.conv2d(images.float(), kernel, stride=STRIDE)
            return PoseOutput(heatmaps=maps, depth_maps=maps)

        image = torch.randint(0, 256, (1, 3, SIZE, SIZE), dtype=torch.uint8)
        tested = multi_scale(network, CODEC.map_size, (0.9, 1, 1.15))
        seen, mirrored = (forward_with_flip(tested, one, CODEC, True).heatmaps for one in (image, image.flip(-1)))
        assert seen is not None
        assert mirrored is not None
        # Not to the bit: the places where the two are sampled are rounded.
        torch.testing.assert_close(mirrored, seen.flip(-1)[:, list(BODY_18.flip_index)], atol=1e-2, rtol=1e-3)


def test_scaling_there_and_back_keeps_a_smooth_map():
    axis = torch.arange(32.0)
    smooth = torch.sin(axis / 5)[None, None, :, None] * torch.cos(axis / 7)[None, None, None, :]
    again = scaled(scaled(smooth, 1 / 1.2), 1.2)
    torch.testing.assert_close(again[..., 4:-4, 4:-4], smooth[..., 4:-4, 4:-4], atol=0.02, rtol=0)
