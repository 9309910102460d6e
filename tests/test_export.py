"""ONNX files: that they do what the checkpoint does, say what they are, and are not left when they do not."""

from __future__ import annotations

import builtins
import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import headstart.export as exporting
from headstart.checkpoint import load_checkpoint, load_model, save_checkpoint
from headstart.cli.exporting import export
from headstart.errors import ConfigError, DataError, ExportError
from headstart.evaluate import predict
from headstart.export import agreement, blobs, crops_of, export_onnx, fold_batch_norms, write_graph
from headstart.index import AnnotationIndex, open_index
from headstart.loader import CropDataset, build_eval_loader
from headstart.models.backbone import Backbone, build_backbone
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.networks import TorchNetwork, load_network
from headstart.onnx_network import OnnxNetwork
from headstart.predict import PoseEstimator
from headstart.scoring import evaluate_checkpoint
from headstart.skeleton import BODY_18
from tiny import MODEL

pytestmark = pytest.mark.skipif(
    find_spec("onnx") is None or find_spec("onnxruntime") is None, reason="needs headstart[onnx]"
)

WIDE = replace(MODEL, input_size=(96, 64))
MEAN_SQUARE = replace(MODEL, head=HeadConfig(channels=16, heatmap="mse"))
INTEGRAL = replace(MODEL, head=HeadConfig("integral", channels=16, heatmap="cross_entropy", depth_bins=8))


def save(config: ModelConfig, path: Path) -> Path:
    """A checkpoint with maps that have clear peaks and statistics of their own in every batch norm."""
    torch.manual_seed(0)
    network = PoseNet(config)
    for module in network.head.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.1)
    if config.head.kind == "integral":  # or every joint is in the middle of a flat volume
        nn.init.normal_(network.head.volume.weight, std=5)
    with torch.no_grad():
        for _ in range(5):
            network(torch.from_numpy(blobs(config.input_size)))
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    header = {"model": asdict(config), "backbone_config": network.backbone.config, "git_sha": "c0ffee"}
    save_checkpoint(path, tensors, header)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(MODEL, tmp_path_factory.mktemp("run") / "best.safetensors")


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(checkpoint, path)
    return path


class TestAgreesWithPyTorch:
    @pytest.mark.parametrize("config", [MODEL, WIDE, MEAN_SQUARE, INTEGRAL], ids=["plain", "wide", "mse", "integral"])
    @pytest.mark.parametrize("flip_test", [False, True])
    def test_places_depths_and_confidences(self, config: ModelConfig, flip_test: bool, tmp_path: Path):
        path = save(config, tmp_path / "best.safetensors")
        export_onnx(path, tmp_path / "model.onnx")
        crops = np.random.default_rng(3).permutation(blobs(config.input_size, 5)).transpose(0, 2, 3, 1)
        found = OnnxNetwork(tmp_path / "model.onnx", threads=1)(crops, flip_test=flip_test)
        wanted = TorchNetwork(load_model(path)[0], "cpu")(crops, flip_test=flip_test)
        assert wanted.keypoints.std() > 1  # not all joints at one place, where anything would agree
        assert np.abs(found.keypoints - wanted.keypoints).max() < 1e-3
        assert np.abs(found.depth - wanted.depth).max() * config.input_size[0] < 1e-3
        np.testing.assert_allclose(found.confidence, wanted.confidence, atol=1e-5)

    @pytest.mark.parametrize("flip_test", [False, True])
    def test_at_several_scales(self, checkpoint: Path, exported: Path, flip_test: bool):
        crops, scales = blobs(MODEL.input_size, 5).transpose(0, 2, 3, 1), (0.9, 1, 1.2)
        found = pickle.loads(pickle.dumps(OnnxNetwork(exported, scales=scales)))(crops, flip_test=flip_test)
        wanted = TorchNetwork(load_model(checkpoint)[0], "cpu", scales=scales)(crops, flip_test=flip_test)
        alone = TorchNetwork(load_model(checkpoint)[0], "cpu")(crops, flip_test=flip_test)
        assert np.abs(wanted.keypoints - alone.keypoints).max() > 0.1  # the scales do something
        assert np.abs(found.keypoints - wanted.keypoints).max() < 1e-3
        np.testing.assert_allclose(found.confidence, wanted.confidence, atol=1e-5)

    def test_a_person_alone_and_in_any_batch_is_the_same(self, exported: Path):
        network, crops = OnnxNetwork(exported), blobs(MODEL.input_size, 7).transpose(0, 2, 3, 1)
        together = network(crops)
        for number in range(7):
            np.testing.assert_allclose(
                network(crops[number : number + 1]).keypoints[0], together.keypoints[number], atol=1e-4
            )

    def test_a_transformer_whose_features_are_tokens(self, tmp_path: Path):
        """Its grid follows from the picture's size, which tracing hands over as a tensor; and it is not square."""
        from transformers import VitPoseBackbone, VitPoseBackboneConfig

        size = {"image_size": [64, 96], "patch_size": [16, 16]}
        width = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        VitPoseBackbone(VitPoseBackboneConfig(**size, **width, out_features=["stage1"])).save_pretrained(
            tmp_path / "vit"
        )
        path = save(replace(WIDE, backbone=str(tmp_path / "vit")), tmp_path / "best.safetensors")
        measured = export_onnx(path, tmp_path / "model.onnx").agreement
        assert measured is not None
        assert measured.joints > 16 * 9

    def test_flat_maps_have_their_joint_at_the_first_pixel_in_both(self, tmp_path: Path):
        torch.manual_seed(0)
        network = PoseNet(MODEL)
        nn.init.zeros_(network.head.heatmaps.weight)
        tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
        about = {"model": asdict(MODEL), "backbone_config": network.backbone.config}
        save_checkpoint(tmp_path / "flat.safetensors", tensors, about)
        header = export_onnx(tmp_path / "flat.safetensors", tmp_path / "model.onnx")
        assert header.agreement is not None
        assert header.agreement.largest_px == 0  # all maps equal: the first pixel, in both
        assert header.git_sha == "unknown"

    def test_folded_batch_norms_compute_the_same(self, checkpoint: Path):
        head = load_model(checkpoint)[0].head
        features = torch.randn(2, 160, 2, 2)
        wanted = head([features]).heatmaps
        folded = fold_batch_norms(head)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        torch.testing.assert_close(folded([features]).heatmaps, wanted, rtol=1e-4, atol=1e-4)

    def test_it_is_measured_and_written_down(self, exported: Path):
        measured = OnnxNetwork(exported).header.agreement
        assert measured is not None
        assert measured.largest_px < 1e-3
        assert measured.of_joints == 16 * 18
        assert measured.joints > 16 * 9

    def test_a_file_with_other_weights_disagrees_and_the_worst_joint_is_named(self, checkpoint: Path, tmp_path: Path):
        """One joint's map mirrored: every other joint is right."""
        model, _ = load_model(checkpoint)
        export_onnx(checkpoint, tmp_path / "model.onnx")
        with torch.no_grad():
            model.head.heatmaps.weight[BODY_18.index("left_wrist")] *= -1
        measured = agreement(model, tmp_path / "model.onnx", blobs(MODEL.input_size))
        assert measured.worst_joint == "left_wrist"
        assert measured.largest_px > 4
        assert measured.median_px < 1e-4


class TestRefuses:
    def test_a_disagreeing_file_and_keeps_the_one_before(
        self, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        out = tmp_path / "model.onnx"
        out.write_bytes(b"the one before")

        def of_another_network(model: PoseNet, path: Path, half: bool) -> None:
            with torch.no_grad():
                model.head.heatmaps.weight[BODY_18.index("nose")] *= -1
                write_graph(model, path, half)
                model.head.heatmaps.weight[BODY_18.index("nose")] *= -1

        monkeypatch.setattr(exporting, "write_graph", of_another_network)
        with pytest.raises(ExportError, match=r"expected at most 0.001 px .* found \d+.*worst joint nose"):
            export_onnx(checkpoint, out)
        assert out.read_bytes() == b"the one before"
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]

    def test_an_operation_that_onnx_does_not_have(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(exporting.Deployed, "forward", lambda _, image: torch.linalg.matrix_exp(image.float()))
        with pytest.raises(ExportError, match=r"backbone 'nano' has no ONNX form .*matrix_exp"):
            write_graph(PoseNet(MODEL), tmp_path / "model.onnx")

    @pytest.mark.parametrize(
        ("forward", "precision", "says"),
        [
            (
                lambda maps: [one.reshape([int(side) for side in one.shape]) for one in maps],
                "fp32",
                r"ONNX Runtime cannot compute .*int",
            ),
            (
                lambda maps: [one @ torch.eye(one.shape[-1]) for one in maps],
                "fp32",
                r"backbone 'nano' cannot be computed in double precision.* must take their type from their input",
            ),
            (
                lambda maps: [one @ torch.eye(one.shape[-1]) for one in maps],
                "fp16",
                r"backbone 'nano' has no ONNX form in half precision \(",
            ),
        ],
        ids=["a constant batch", "single precision", "not half"],
    )
    def test_a_backbone_of_a_user_that_cannot_be_a_file(
        self, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forward: Any, precision: Any, says: str
    ):
        given = Backbone.forward
        levels = build_backbone("nano", None, MODEL.input_size).levels
        monkeypatch.setattr(Backbone, "_probe", lambda self: levels)
        monkeypatch.setattr(Backbone, "forward", lambda self, image: tuple(forward(given(self, image))))
        with pytest.raises(ExportError, match=says):
            export_onnx(checkpoint, tmp_path / "model.onnx", precision)
        assert list(tmp_path.iterdir()) == []

    def test_what_cannot_be_compared(self, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """No joint that single precision places as double precision does (asked for more than is possible)."""
        monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
        with pytest.raises(ExportError, match="no joint can be compared"):
            export_onnx(checkpoint, tmp_path / "model.onnx")
        assert list(tmp_path.iterdir()) == []

    def test_int8_without_pictures(self, checkpoint: Path, tmp_path: Path):
        with pytest.raises(ConfigError, match="--calibrate DATASET"):
            export_onnx(checkpoint, tmp_path / "model.onnx", "int8")

    def test_files_that_are_not_ours(self, checkpoint: Path, tmp_path: Path):
        with pytest.raises(DataError, match="no such file"):
            OnnxNetwork(tmp_path / "nothing.onnx")
        (tmp_path / "text.onnx").write_text("not a model")
        with pytest.raises(DataError, match="an ONNX model written by headstart export"):
            OnnxNetwork(tmp_path / "text.onnx")
        write_graph(load_model(checkpoint)[0], tmp_path / "bare.onnx")
        with pytest.raises(DataError, match="another model"):
            OnnxNetwork(tmp_path / "bare.onnx")

    def test_a_device_that_this_runtime_does_not_know(self, exported: Path):
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this onnxruntime knows CUDA")
        with pytest.raises(ConfigError, match="onnxruntime-gpu"):
            OnnxNetwork(exported, device="cuda")

    def test_a_device_that_there_is_not(self, exported: Path):
        with pytest.raises(ConfigError, match="device 'toaster': expected cpu, cuda or cuda:N"):
            OnnxNetwork(exported, device="toaster")

    def test_without_the_extra_it_says_what_to_install(self, exported: Path, monkeypatch: pytest.MonkeyPatch):
        real = builtins.__import__

        def without(name: str, *rest: Any) -> Any:
            if name == "onnxruntime":
                raise ImportError(name)
            return real(name, *rest)

        monkeypatch.delitem(sys.modules, "onnxruntime")
        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ConfigError, match=r"pip install 'headstart\[onnx\]'"):
            OnnxNetwork(exported)


class TestPrecisions:
    def test_fp16_halves_the_file_and_moves_joints_by_less_than_a_tenth_of_a_pixel(
        self, checkpoint: Path, exported: Path, tmp_path: Path
    ):
        header = export_onnx(checkpoint, tmp_path / "half.onnx", "fp16")
        assert header.precision == "fp16"
        assert header.agreement is not None
        assert 0 < header.agreement.median_px < 0.1
        assert (tmp_path / "half.onnx").stat().st_size < 0.55 * exported.stat().st_size

    def test_int8_is_calibrated_on_real_crops(
        self, checkpoint: Path, exported: Path, stick_people_2d: Path, tmp_path: Path
    ):
        crops = crops_of("lsp_extended", stick_people_2d, "all", 12, checkpoint)
        assert crops.shape == (12, 3, 64, 64)
        header = export_onnx(checkpoint, tmp_path / "int8.onnx", "int8", crops)
        assert header.agreement is not None
        assert 0 < header.agreement.median_px < 1
        assert (tmp_path / "int8.onnx").stat().st_size < 0.6 * exported.stat().st_size
        assert [path.name for path in tmp_path.iterdir()] == ["int8.onnx"]

    def test_int8_keeps_the_first_and_last_layers_in_single_precision(self, checkpoint: Path, tmp_path: Path):
        import onnx

        export_onnx(checkpoint, tmp_path / "int8.onnx", "int8", blobs(MODEL.input_size, 4))
        nodes = onnx.load(tmp_path / "int8.onnx").graph.node
        made_by = {output: node for node in nodes for output in node.output}
        kept = [n.name for n in nodes if n.op_type == "Conv" and n.input[1] not in made_by]
        assert [name.split("/")[-2] for name in kept[3:]] == ["heatmaps", "depth_maps"]
        assert "embedder" in kept[0]
        assert sum(n.op_type == "Conv" for n in nodes) > 10


class TestSelfDescription:
    def test_the_file_says_what_it_is_without_this_package(self, exported: Path):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
        assert metadata["joints"].split(", ") == list(BODY_18.names)
        assert "uint8 RGB" in metadata["image"]
        header = json.loads(metadata["headstart"])
        assert (header["input_size"], header["git_sha"], header["precision"]) == ([64, 64], "c0ffee", "fp32")
        assert header["checkpoint"] == "best.safetensors"
        assert set(header["versions"]) == {"headstart", "torch", "onnxruntime"}
        assert header["model"]["backbone"] == "nano"
        image, *_ = session.get_inputs()
        assert (image.type, image.shape) == ("tensor(uint8)", ["batch", 3, 64, 64])
        shapes = {output.name: output.shape for output in session.get_outputs()}
        assert shapes["keypoints"] == ["batch", 18, 2]
        assert shapes["depth"] == shapes["confidence"] == ["batch", 18]

    def test_it_runs_without_torch(self, exported: Path):
        code = (
            "import sys, numpy as np; from headstart.onnx_network import OnnxNetwork;"
            "joints = OnnxNetwork(sys.argv[1], threads=1)(np.zeros((2, 64, 64, 3), np.uint8));"
            "assert joints.keypoints.shape == (2, 18, 2); assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code, str(exported)], check=True)


class TestWhereverACheckpointGoes:
    def test_the_same_people_through_pose_estimator(self, checkpoint: Path, exported: Path):
        picture = blobs((200, 150), 1)[0].transpose(1, 2, 0)
        boxes = [[[20, 10, 90, 120], [100, 30, 60, 100]]]
        one, other = (
            PoseEstimator.from_pretrained(path).estimate([picture], boxes)[0] for path in (checkpoint, exported)
        )
        assert len(one) == len(other) == 2
        for first, second in zip(one, other):
            np.testing.assert_allclose(list(second.keypoints.values()), list(first.keypoints.values()), atol=0.01)
            np.testing.assert_allclose(list(second.xyz_mm.values()), list(first.xyz_mm.values()), atol=0.1)

    def test_the_same_score(self, checkpoint: Path, exported: Path, stick_people_3d: Path):
        one, other = (
            evaluate_checkpoint(path, "h36m_standard", stick_people_3d, workers=0) for path in (checkpoint, exported)
        )
        assert other.value == pytest.approx(one.value, abs=1e-2)
        assert other.description == one.description
        assert other.n == one.n == 6

    def test_the_published_decoding_too(self, checkpoint: Path, exported: Path, index_2d: AnnotationIndex):
        """``argmax`` needs the maps, which are outputs of the file."""
        rows, model, network = np.arange(6), load_model(checkpoint)[0], OnnxNetwork(exported)
        one = predict(model, model.codec, index_2d, rows, decode="argmax")
        other = predict(network.forward, network.codec, index_2d, rows, decode="argmax")
        np.testing.assert_allclose(other.keypoints, one.keypoints, atol=1e-3)


class TestCommand:
    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("headstart")), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    def test_export_and_score(self, checkpoint: Path, stick_people_2d: Path, tmp_path: Path):
        out = tmp_path / "new" / "model.onnx"
        data = ("--calibrate", "lsp_extended", "--root", stick_people_2d, "--split", "all", "--count", 8)
        done = self.run("export", checkpoint.parent, "--out", out, "--precision", "int8", *data)
        assert done.returncode == 0, done.stderr
        assert "int8, 18 joints from 64 x 64 px crops" in done.stdout
        assert "of 144 joints compared" in done.stdout
        scores = evaluate_checkpoint(out, "lsp_extended_pck", stick_people_2d, split="all", workers=0)
        assert scores.n == 20

    def test_half_a_data_set_is_one_clear_line(self, checkpoint: Path, tmp_path: Path):
        done = self.run("export", checkpoint, "--out", tmp_path / "m.onnx", "--calibrate", "lsp_extended")
        assert done.returncode == 2
        assert done.stderr == "headstart: expected --calibrate DATASET and --root DIR together\n"

    @pytest.mark.parametrize(
        ("count", "out", "says"),
        [
            (0, "m.onnx", "--count: expected >= 1, got 0"),
            (1, ".", "a folder"),
            (1, "last.safetensors", "expected a name that ends in .onnx"),
        ],
    )
    def test_what_cannot_be_meant_is_one_clear_line(self, count: int, out: str, says: str, tmp_path: Path):
        data = ("--calibrate", "lsp_extended", "--root", tmp_path, "--count", count)
        done = self.run("export", "none.safetensors", "--out", tmp_path / out, *data)
        assert done.returncode == 2
        assert done.stderr.startswith("headstart: --")
        assert says in done.stderr

    def test_without_the_package_that_writes_models(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("headstart.onnx_network.find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"pip install 'headstart\[onnx\]'"):
            export_onnx(tmp_path / "none.safetensors", tmp_path / "m.onnx")

    def test_without_a_checkpoint_it_is_the_model_that_ships(self, tmp_path: Path):
        done = self.run("export", "--out", tmp_path / "m.onnx")
        assert done.returncode == 0, done.stderr
        assert OnnxNetwork(tmp_path / "m.onnx").header.checkpoint == "ship.safetensors"


class TestWhatDiffers:
    def test_a_file_of_other_depths_disagrees_in_input_pixels(self, checkpoint: Path, tmp_path: Path):
        """The nose a hundredth of a crop's width deeper: 0.64 px of 64, and every place is right."""
        model, _ = load_model(checkpoint)
        export_onnx(checkpoint, tmp_path / "model.onnx")
        with torch.no_grad():
            model.head.depth_maps.bias[BODY_18.index("nose")] -= 0.01
        measured = agreement(model, tmp_path / "model.onnx", blobs(MODEL.input_size))
        assert measured.largest_depth_px == pytest.approx(0.64, rel=0.01)
        assert measured.largest_px < 1e-3
        assert measured.worst_joint == "nose"

    @pytest.mark.parametrize("error", [0.01, float("nan")])
    def test_depths_that_are_not_those_of_pytorch(
        self, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float
    ):
        def of_other_depths(model: PoseNet, path: Path, half: bool) -> None:
            bias = model.head.depth_maps.bias
            before = bias.detach().clone()
            with torch.no_grad():
                bias[BODY_18.index("nose")] += error
                write_graph(model, path, half)
                bias.copy_(before)

        monkeypatch.setattr(exporting, "write_graph", of_other_depths)
        with pytest.raises(
            ExportError, match=r"at most 0.001 px .*worst joint nose, .* compared\)\. The flat .*: train longer$"
        ):
            export_onnx(checkpoint, tmp_path / "model.onnx")
        assert list(tmp_path.iterdir()) == []

    def test_a_half_precision_file_that_is_too_far_off(
        self, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setitem(exporting.BROKEN, "fp16", 1e-6)
        with pytest.raises(ExportError, match=r"a median of at most 6\.4e-05 px .* compared\)$"):
            export_onnx(checkpoint, tmp_path / "model.onnx", "fp16")

    def test_crops_are_spread_over_the_data_set_and_unreadable_ones_left_out(
        self, checkpoint: Path, stick_people_2d: Path, tmp_path: Path
    ):
        """Three of 20 people: the first, the eleventh, the last."""
        root = shutil.copytree(stick_people_2d, tmp_path / "sticks")
        index = open_index("lsp_extended", root, "all")
        crops = CropDataset([index], BODY_18, MODEL.input_size)
        (wanted,) = build_eval_loader(crops, np.array([0, 10, 19]), 3, 0)
        np.testing.assert_array_equal(crops_of("lsp_extended", root, "all", 3, checkpoint), wanted.image.numpy())
        (root / "images" / "im00011.jpg").write_bytes(b"no picture")
        found = crops_of("lsp_extended", root, "all", 3, checkpoint)
        np.testing.assert_array_equal(found, wanted.image.numpy()[[0, 2]])
        for picture in (root / "images").iterdir():
            picture.write_bytes(b"no picture")
        with pytest.raises(DataError, match="sticks: expected images of lsp_extended, split all, that can be read"):
            crops_of("lsp_extended", root, "all", 3, checkpoint)


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Spine and nose were labelled nowhere: their maps are flat, but for noise that rounding decides on."""
    path = save(MODEL, tmp_path_factory.mktemp("lacking") / "last.safetensors")
    held = load_checkpoint(path)
    untrained = BODY_18.indices(("spine", "nose"))
    held.tensors["ema.head.heatmaps.weight"][untrained] *= 1e-7
    trained = [name for name in BODY_18.names if name not in ("spine", "nose")]
    save_checkpoint(path, held.tensors, held.header | {"trained_joints": trained})
    return path


class TestJointsWithoutTraining:
    def test_they_are_not_compared_and_the_file_knows(
        self, lacking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """They alone disagree: before, they decided whether the file was written."""

        def elsewhere(model: PoseNet, path: Path, half: bool) -> None:
            with torch.no_grad():
                model.head.heatmaps.weight[BODY_18.index("nose")] *= -1
                write_graph(model, path, half)
                model.head.heatmaps.weight[BODY_18.index("nose")] *= -1

        monkeypatch.setattr(exporting, "write_graph", elsewhere)
        header = export_onnx(lacking, tmp_path / "model.onnx")
        assert header.agreement is not None
        assert header.agreement.of_joints == 16 * 16
        assert header.joints == BODY_18.names
        network = OnnxNetwork(tmp_path / "model.onnx")
        assert network.header.trained_joints == header.trained_joints
        assert network.untrained == ("spine", "nose")
        assert network.codec.skeleton == BODY_18

    @pytest.mark.parametrize("flip_test", [False, True])
    def test_networks_give_the_others(self, lacking: Path, tmp_path: Path, flip_test: bool):
        export_onnx(lacking, tmp_path / "model.onnx")
        crops = blobs(MODEL.input_size, 3).transpose(0, 2, 3, 1)
        whole = TorchNetwork(load_model(lacking)[0], "cpu")(crops, flip_test=flip_test)
        kept = [number for number, name in enumerate(BODY_18.names) if name not in ("spine", "nose")]
        for network in (load_network(lacking, "cpu"), OnnxNetwork(tmp_path / "model.onnx")):
            assert network.skeleton.names == tuple(BODY_18.names[number] for number in kept)
            found = network(crops, flip_test=flip_test)
            assert found.keypoints.shape == (3, 16, 2)
            np.testing.assert_allclose(found.keypoints, whole.keypoints[:, kept], atol=1e-3)
            np.testing.assert_allclose(found.depth, whole.depth[:, kept], atol=1e-4)
            np.testing.assert_allclose(found.confidence, whole.confidence[:, kept], atol=1e-5)

    def test_the_command_names_them(self, lacking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        export(lacking, out=tmp_path / "m.onnx")
        said = capsys.readouterr().out
        assert "labelled, their places are chance: spine, nose\n" in said
        assert "of 256 joints compared" in said

    def test_a_file_that_does_not_say_has_all(self, exported: Path, tmp_path: Path):
        """As those that were written before."""
        import onnx

        graph = onnx.load(exported)
        old = {one.key: one.value for one in graph.metadata_props}
        header = json.loads(old["headstart"])
        assert header.pop("trained_joints") == list(BODY_18.names)
        del graph.metadata_props[:]
        onnx.helper.set_model_props(graph, old | {"headstart": json.dumps(header)})
        onnx.save(graph, tmp_path / "old.onnx")
        network = OnnxNetwork(tmp_path / "old.onnx")
        assert (network.skeleton, network.untrained) == (BODY_18, ())

    def test_a_model_that_has_learnt_no_joint(self, lacking: Path, tmp_path: Path):
        held = load_checkpoint(lacking)
        save_checkpoint(tmp_path / "none.safetensors", held.tensors, held.header | {"trained_joints": []})
        with pytest.raises(ConfigError, match="no joint of body_18 was labelled"):
            export_onnx(tmp_path / "none.safetensors", tmp_path / "m.onnx")
        assert [path.name for path in tmp_path.iterdir()] == ["none.safetensors"]
