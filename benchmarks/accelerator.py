"""Is training right and fast on the accelerator at hand? One command, one table.

    python benchmarks/accelerator.py

Checks that loss and gradients agree with the CPU's on the same batch, then times whole training steps in plain
float32, with bf16 autocast, and compiled. Labels and pictures are random: this is about speed and
numerics, not accuracy.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext

import torch

from headstart import losses
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.records import Batch

LOSSES = {"heatmap_cross_entropy": 1.0, "depth_smooth_l1": 20.0}


def random_batch(size: int, joints: int, side: int) -> Batch:
    """Half of the samples with 3D labels."""
    generator = torch.Generator().manual_seed(0)
    xyz = torch.randn(size, joints, 3, generator=generator) * 300
    has_3d = (torch.arange(size) % 2).float()[:, None].expand(size, joints)
    return Batch(
        image=torch.randint(0, 256, (size, side, side, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2),
        keypoints=torch.rand(size, joints, 2, generator=generator) * side,
        weight_2d=torch.ones(size, joints),
        xyz=xyz,
        weight_3d=has_3d.contiguous(),
        pixels_per_mm=torch.full((size,), 0.1),
        crop=torch.zeros(size, 2, 3, dtype=torch.float64),
        row=torch.zeros(size, dtype=torch.int64),
        dataset=torch.zeros(size, dtype=torch.int64),
        readable=torch.ones(size, dtype=torch.bool),
    )


def loss_and_gradient(backbone: str, device: torch.device) -> tuple[float, torch.Tensor]:
    """Loss and the gradient of the heatmap layer of a fresh network on a fixed batch."""
    torch.manual_seed(0)
    network = PoseNet(ModelConfig(backbone, head=HeadConfig(heatmap="cross_entropy"))).to(device)
    batch = random_batch(8, len(network.skeleton), 256).to(device)
    loss, _ = losses.total(network(batch.image), network.codec.encode(batch), LOSSES)
    loss.backward()
    gradient = network.head.heatmaps.weight.grad
    assert gradient is not None
    return loss.item(), gradient.double().cpu()


def images_per_second(
    backbone: str, device: torch.device, size: int, *, bf16: bool, compiled: bool, steps: int = 30
) -> float:
    """Whole steps: transfer, targets, forward, backward, optimiser."""
    network = PoseNet(ModelConfig(backbone, head=HeadConfig(heatmap="cross_entropy"))).to(device)
    model = torch.compile(network) if compiled else network
    optimiser = torch.optim.AdamW(network.parameters())
    batch = random_batch(size, len(network.skeleton), 256)
    began = 0.0
    for step in range(steps + 10):
        if step == 10:
            synchronise(device)
            began = time.perf_counter()
        here = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
            output = model(here.image)
        loss, _ = losses.total(output, network.codec.encode(here), LOSSES)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    synchronise(device)
    return steps * size / (time.perf_counter() - began)


def synchronise(device: torch.device) -> None:
    """Wait for the device, so that the clock measures work and not its asking."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print agreement with the CPU, then rates."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    print(f"device: {name}, torch {torch.__version__}")
    here, there = loss_and_gradient("resnet18", device), loss_and_gradient("resnet18", torch.device("cpu"))
    difference = ((here[1] - there[1]).norm() / there[1].norm()).item()
    print(f"resnet18 loss {here[0]:.6f} (CPU {there[0]:.6f}), gradient differs by {difference:.1e} relative")
    for backbone, size in (("resnet50", 64), ("efficientnet_lite0", 64)) if device.type == "cuda" else (("nano", 8),):
        for bf16, compiled in ((False, False), (True, False), (True, True)):
            steps = 30 if device.type == "cuda" else 3
            rate = images_per_second(backbone, device, size, bf16=bf16, compiled=compiled, steps=steps)
            print(f"{backbone} batch {size}: bf16 {bf16:d} compiled {compiled:d}: {rate:.0f} images/s")


if __name__ == "__main__":
    main()
