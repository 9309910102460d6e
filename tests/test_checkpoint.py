"""Checkpoints: whole or not at all, strict about every key, and nothing lost between saving and loading."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from headstart import __version__, checkpoint
from headstart.checkpoint import (
    SHIPPED,
    find_checkpoint,
    git_sha,
    load_checkpoint,
    load_header,
    load_model,
    load_optimiser,
    load_random,
    load_weights,
    model_of,
    optimiser_tensors,
    random_tensors,
    save_checkpoint,
    seed_of_process,
    shipped_weights,
)
from headstart.errors import DataError, TrainingError
from headstart.files import beside
from headstart.models.pose_net import PoseNet
from headstart.optimisation import AveragedWeights, Optimiser, build_optimiser
from tiny import MODEL

HEADER = {"progress": {"step": 3}, "note": "ä"}


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))


def train_steps(model: nn.Module, optimiser: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        model(torch.randn(8, 5)).square().mean().backward()
        optimiser.step()


def saved_network(path: Path, average: bool) -> PoseNet:
    """A file as training writes it; averaged weights differ from the others by 1."""
    network = PoseNet(MODEL)
    tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    if average:
        tensors |= {f"ema.{name}": tensor + 1 for name, tensor in network.state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(MODEL), "backbone_config": network.backbone.config})
    return network


# --- whole or not at all ---


@pytest.mark.posix("permissions of others")
def test_others_may_read_a_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.safetensors", {"model.a": torch.zeros(1)}, HEADER)
    assert (tmp_path / "last.safetensors").stat().st_mode & 0o777 == 0o644


def test_header_and_tensors_come_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "a.safetensors"
    tensors = {"model.w": torch.randn(3, 2), "model.n": torch.tensor(7), "ema.w": torch.randn(3, 2).t()}
    save_checkpoint(path, tensors, HEADER)
    loaded = load_checkpoint(path)
    versions = {"headstart": __version__, "torch": torch.__version__}
    assert loaded.header == {**HEADER, "format": 1, "versions": versions}
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in tensors.items())
    assert set(loaded.part("model")) == {"w", "n"}
    assert set(load_checkpoint(path, ("ema",)).tensors) == {"ema.w"}


@pytest.mark.parametrize("existed", [True, False], ids=["replacing", "first"])
def test_full_disk_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    path = tmp_path / "last.safetensors"
    if existed:
        save_checkpoint(path, {"model.w": torch.ones(2)}, HEADER)

    def half(tensors: dict[str, Any], file: Path, metadata: dict[str, str]) -> None:
        Path(file).write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", half)
    kept = "the previous checkpoint is intact" if existed else "there was no checkpoint before it"
    with pytest.raises(TrainingError, match=f"No space left on device.*{kept}"):
        save_checkpoint(path, {"model.w": torch.zeros(2)}, HEADER)
    assert [file.name for file in tmp_path.iterdir()] == (["last.safetensors"] if existed else [])
    if existed:
        assert load_checkpoint(path).tensors["model.w"].tolist() == [1, 1]


@pytest.mark.posix("RLIMIT_FSIZE")
def test_a_file_that_may_not_grow_keeps_the_old_one(tmp_path: Path) -> None:
    """The operating system itself refuses the second half: files of this process end at 100 kB."""
    import resource

    path = tmp_path / "last.safetensors"
    save_checkpoint(path, {"model.w": torch.ones(2)}, HEADER)
    program = (
        "import sys, torch, signal; from pathlib import Path\n"
        "from headstart.checkpoint import save_checkpoint; from headstart.errors import TrainingError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try: save_checkpoint(Path(sys.argv[1]), {'model.w': torch.zeros(1_000_000)}, {})\n"
        "except TrainingError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 1
    assert "the previous checkpoint is intact" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]
    assert load_checkpoint(path).tensors["model.w"].tolist() == [1, 1]


def test_a_file_that_a_killed_process_left_half_written_is_deleted_later(tmp_path: Path) -> None:
    """A large network's would fill the disk if each kill left one."""
    path = tmp_path / "last.safetensors"
    with beside(path) as left:
        os.utime(left, (0, 0))
        save_checkpoint(path, {"model.w": torch.ones(2)}, HEADER)
        assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]


# --- files that are no checkpoints ---


def test_truncated_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, {"model.w": torch.randn(100)}, HEADER)
    content = path.read_bytes()
    for length in (0, 5, 60, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"last\.safetensors: expected a checkpoint") as error:
            load_checkpoint(path)
        assert "\n" not in str(error.value)


def test_missing_foreign_and_no_safetensors_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        load_checkpoint(tmp_path / "absent.safetensors")
    save_file({"w": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(DataError, match="without headstart's header"):
        load_checkpoint(tmp_path / "foreign.safetensors")
    save_file({"w": torch.ones(1)}, tmp_path / "garbled.safetensors", metadata={"headstart": "{"})
    with pytest.raises(DataError, match="garbled"):
        load_checkpoint(tmp_path / "garbled.safetensors")
    (tmp_path / "text.safetensors").write_text("not tensors, but long enough to be read as a header length")
    with pytest.raises(DataError, match="text"):
        load_checkpoint(tmp_path / "text.safetensors")


@pytest.mark.parametrize("header", [{}, {"model": {**asdict(MODEL), "field_of_the_future": 1}}])
def test_a_model_of_another_version_is_named(tmp_path: Path, header: dict[str, Any]) -> None:
    save_checkpoint(tmp_path / "a.safetensors", {"model.w": torch.ones(1)}, header)
    with pytest.raises(DataError, match=r"a\.safetensors: expected a model that this version"):
        load_model(tmp_path / "a.safetensors")


def raw(path: Path, header: Any) -> Path:
    """A file whose header is this one, as another version may have written it."""
    save_file({"model.w": torch.ones(1)}, path, metadata={"headstart": json.dumps(header)})
    return path


def test_a_file_of_a_newer_format_names_what_wrote_it(tmp_path: Path) -> None:
    newer = raw(tmp_path / "a.safetensors", {"format": 2, "versions": {"headstart": "0.3.0"}})
    with pytest.raises(DataError) as error:
        load_checkpoint(newer)
    assert str(error.value) == (
        f"{newer}: expected a checkpoint of format 1, found format 2, written by headstart 0.3.0. This is headstart"
        f" {__version__}: install the newer one to read it"
    )
    with pytest.raises(DataError, match=r"expected a checkpoint of format 1, found format 3\. This is headstart"):
        load_checkpoint(raw(tmp_path / "b.safetensors", {"format": 3}))


def test_a_model_of_a_newer_version_names_it(tmp_path: Path) -> None:
    model = {**asdict(MODEL), "field_of_the_future": 1}
    path = raw(tmp_path / "a.safetensors", {"model": model, "format": 1, "versions": {"headstart": "0.2.0"}})
    with pytest.raises(
        DataError, match=rf"version of headstart \({__version__}\) knows, .*, written by headstart 0\.2\.0"
    ):
        load_model(path)


def test_files_of_before_do_not_say_their_format(tmp_path: Path) -> None:
    assert load_checkpoint(raw(tmp_path / "a.safetensors", HEADER)).header == HEADER
    assert load_model(SHIPPED)[0].config == model_of(load_header(SHIPPED), shipped_weights())


@pytest.mark.parametrize("header", [[], 3, None])
def test_a_header_that_is_no_object(tmp_path: Path, header: Any) -> None:
    with pytest.raises(DataError, match=r"found a header that is not an object"):
        load_checkpoint(raw(tmp_path / "a.safetensors", header))


def test_find_checkpoint_prefers_the_last(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"last\.safetensors or best\.safetensors"):
        find_checkpoint(tmp_path)
    for name in ("best.safetensors", "last.safetensors"):
        (tmp_path / name).touch()
        assert find_checkpoint(tmp_path) == tmp_path / name
    assert find_checkpoint(tmp_path / "last.safetensors") == tmp_path / "last.safetensors"


# --- strictness ---


def test_of_many_keys_that_do_not_fit_a_few_are_named() -> None:
    tensors = {f"extra.{number}": torch.ones(1) for number in range(40)} | small_model().state_dict()
    with pytest.raises(DataError, match=r"extra\.4 is not in the model; and 35 more") as error:
        load_weights(small_model(), tensors, Path("file.safetensors"))
    assert "extra.5" not in str(error.value)


def test_every_key_that_does_not_fit_is_named_and_none_is_loaded() -> None:
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = {name: tensor + 1 for name, tensor in before.items()}
    del tensors["0.bias"], tensors["1.running_mean"]
    tensors |= {"extra.one": torch.ones(1), "extra.two": torch.ones(1), "3.weight": torch.ones(1, 9)}
    with pytest.raises(DataError) as error:
        load_weights(model, tensors, Path("file.safetensors"))
    for part in ("0.bias is missing", "1.running_mean is missing", "extra.one is not", "extra.two is not"):
        assert part in str(error.value)
    assert "3.weight has shape (1, 9) instead of (1, 4)" in str(error.value)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


# --- round trips, bit for bit ---


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_a_restored_run_goes_on_bit_for_bit(tmp_path: Path, name: Any) -> None:
    """Weights, optimiser, averages and torch's generator, which drop-out and the inputs here draw from."""
    config = Optimiser(name, learning_rate=0.05)
    model = small_model()
    optimiser, average = build_optimiser(config, model), AveragedWeights(model, 0.5)
    train_steps(model, optimiser, 3)
    average.update(model, 3)
    tensors = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
    tensors |= {f"ema.{key}": tensor for key, tensor in average.tensors.items()}
    save_checkpoint(tmp_path / "a.safetensors", tensors | optimiser_tensors(optimiser) | random_tensors(), {})
    train_steps(model, optimiser, 3)
    average.update(model, 6)

    loaded = load_checkpoint(tmp_path / "a.safetensors")
    again = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    load_weights(again, loaded.part("model"), tmp_path / "a.safetensors")
    second, second_average = build_optimiser(config, again), AveragedWeights(again, 0.5)
    load_optimiser(second, loaded.part("optimiser"))
    second_average.tensors = loaded.part("ema")
    load_random(loaded.part("random"))
    train_steps(again, second, 3)
    second_average.update(again, 6)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))
    assert all(torch.equal(average.tensors[key], second_average.tensors[key]) for key in average.tensors)
    first_state, second_state = optimiser_tensors(optimiser), optimiser_tensors(second)
    assert first_state.keys() == second_state.keys()
    assert all(torch.equal(first_state[key], second_state[key]) for key in first_state)


# --- models ---


@pytest.mark.parametrize("average", [True, False])
def test_load_model_takes_the_averaged_weights_where_there_are_any(tmp_path: Path, average: bool) -> None:
    network = saved_network(tmp_path / "best.safetensors", average)
    model, header = load_model(tmp_path)
    assert not model.training
    assert header["model"]["backbone"] == "nano"
    assert model.config == MODEL
    expected = network.state_dict()["head.heatmaps.weight"] + (1 if average else 0)
    assert torch.equal(model.state_dict()["head.heatmaps.weight"], expected)


def test_each_process_has_a_random_stream_of_its_own_and_another_one_once_it_is_resumed() -> None:
    seeds = {seed_of_process(seed, rank, updates) for seed in (0, 1) for rank in (1, 2) for updates in (0, 1, 500)}
    assert len({seed % 2**32 for seed in seeds}) == 12  # all that torch's generator takes of a seed
    assert seed_of_process(0, 1, 500) == seed_of_process(0, 1, 500)


def test_load_model_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known defect: ImageNet weights fetched although a checkpoint is given."""
    network = saved_network(tmp_path / "best.safetensors", average=False)
    loaded = load_checkpoint(tmp_path / "best.safetensors")
    config = {**asdict(replace(MODEL, backbone="some/hub-id", weights="some/other-id"))}
    header = json.loads(json.dumps({**loaded.header, "model": config}))
    save_checkpoint(tmp_path / "best.safetensors", loaded.tensors, header)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("something was fetched")

    from transformers import AutoBackbone, AutoConfig

    monkeypatch.setattr(AutoBackbone, "from_pretrained", refuse)
    monkeypatch.setattr(AutoConfig, "from_pretrained", refuse)
    model, _ = load_model(tmp_path)
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    network.eval()
    with torch.inference_mode():
        mine, theirs = network(image).heatmaps, model(image).heatmaps
    assert torch.equal(mine, theirs)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code, in a folder of a checkout that has one commit without it."""
    file = tmp_path / "environment" / "checkpoint.py"
    file.parent.mkdir()
    file.touch()
    (tmp_path / "paper.tex").touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "paper.tex")
    git(tmp_path, "commit", "--quiet", "--message", "theirs")
    monkeypatch.setattr(checkpoint, "__file__", str(file))
    return file


def test_the_commit_is_that_of_the_code_and_not_of_the_project_around_it(code: Path) -> None:
    assert git_sha() == "unknown"
    git(code.parent, "add", code.name)
    git(code.parent, "commit", "--quiet", "--message", "ours")
    commit = git(code.parent, "rev-parse", "HEAD")
    assert git_sha() == commit
    code.write_text("changed")
    assert git_sha() == f"{commit}-dirty"


def test_without_git_the_commit_is_unknown(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(code.parent, "add", code.name)
    assert git_sha() != "unknown"
    monkeypatch.setenv("PATH", "")
    assert git_sha() == "unknown"
