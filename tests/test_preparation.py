"""What a run begins with: a checkpoint of its own or none, the network's weights, a codec for each size of crops."""

from __future__ import annotations

import itertools
import logging
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.checkpoint import SHIPPED, Checkpoint, load_checkpoint, load_model, save_checkpoint
from headstart.errors import ConfigError, DataError
from headstart.experiment import Experiment, as_json
from headstart.files import write_json
from headstart.loader import Data, open_mixture
from headstart.models.pose_net import ModelConfig, PoseNet
from headstart.preparation import (
    build_network,
    continued_model,
    joints_trained_before,
    labelled_joints,
    leaves_out_parameters,
    load_saved,
    new_accelerator,
    read_config,
    stage_codec,
    start_accelerator,
)
from headstart.safeguards import label_digests
from headstart.skeleton import BODY_18, BODY_24, CANONICAL, H36M_17, LSP_14, WITH_FEET
from stick_synthetic import write_synthetic
from sticks import write_lsp_extended
from tiny import MODEL, data_2d, data_3d, experiment, stage_2d

CPU = torch.device("cpu")
TINY = experiment(stage_2d(Path("nowhere")))


def test_a_tracker_that_is_not_installed_is_told_before_anything_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.preparation.get_available_trackers", list)
    with pytest.raises(ConfigError, match="tracker: wandb is not installed: pip install wandb, or --tracker none"):
        start_accelerator(replace(TINY, tracker="wandb"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_processes_that_would_train_apart_in_one_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torchrun starts them where there is no GPU: each of them was a run of its own, in the same files."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"^2 processes were started, but there is no GPU.* ACCELERATE_USE_CPU=true"):
        start_accelerator(TINY, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_precision_that_the_device_lacks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """accelerate trained in single precision instead, and the run was recorded as one in fp16."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    with pytest.raises(ConfigError, match=r"^precision: expected bf16, or single .* eval: fp32\), on a cpu; got fp16$"):
        start_accelerator(replace(TINY, precision="fp16"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert new_accelerator("bf16").native_amp
    assert not new_accelerator("no").native_amp


def test_what_accelerate_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> None:
        raise ValueError("bf16 mixed precision requires a supported device.\nMore about it")

    monkeypatch.setattr("headstart.preparation.Accelerator", refuse)
    says = r"^precision bf16: accelerate cannot start: bf16 mixed precision requires a supported device\.$"
    with pytest.raises(ConfigError, match=says):
        new_accelerator("bf16")


@pytest.fixture
def last(tmp_path: Path) -> Path:
    """The checkpoint of a run, of weights alone."""
    path, network = tmp_path / "last.safetensors", PoseNet(MODEL)
    tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
    save_checkpoint(path, tensors, {"config": as_json(TINY), "backbone_config": network.backbone.config})
    return path


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    for resume in (False, True):
        assert load_saved(tmp_path / "last.safetensors", as_json(TINY), resume) is None


def test_what_is_there_is_loaded_to_go_on_from_and_refused_otherwise(last: Path) -> None:
    saved = load_saved(last, as_json(TINY), resume=True)
    assert saved is not None
    assert saved.header == load_checkpoint(last).header
    with pytest.raises(ConfigError, match="seed: 0 there, 5 here"):
        load_saved(last, as_json(replace(TINY, seed=5)), resume=True)
    with pytest.raises(
        ConfigError, match=rf"^{last.parent} holds another run; give --resume \(from Python, resume=True\)"
    ):
        load_saved(last, as_json(TINY), resume=False)


def test_a_result_alone_is_another_run_too(tmp_path: Path) -> None:
    """And --resume is of no use, so it is not recommended."""
    (tmp_path / "result.json").touch()
    for resume in (False, True):
        with pytest.raises(ConfigError, match=r"another run, whose last\.safetensors is gone; give another --out$"):
            load_saved(tmp_path / "last.safetensors", as_json(TINY), resume)


def test_a_checkpoint_of_an_older_version_goes_on_with_defaults(last: Path) -> None:
    """But only if the run has them: its average is that of the fraction 0.9."""
    header = load_checkpoint(last).header
    del header["config"]["stages"][0]["optimiser"]["clip_norm"]
    save_checkpoint(last, {}, header)
    assert load_saved(last, as_json(TINY), resume=True) is not None
    del header["config"]["average_decay"]
    save_checkpoint(last, {}, header)
    with pytest.raises(ConfigError, match=r"configuration: average_decay: 0\.999 there, 0\.9 here\. Set"):
        load_saved(last, as_json(TINY), resume=True)


def test_the_configuration_of_a_run_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_json(path, as_json(TINY))
    assert read_config(path) == TINY
    write_json(path, as_json(TINY) | {"speed": 1})
    with pytest.raises(ConfigError) as unknown:
        read_config(path)
    assert str(unknown.value) == f"{path}: speed: this version of headstart has no such field"


@pytest.mark.parametrize("content", [None, "", '{"name": '])
def test_what_is_no_configuration_is_told(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: expected the config.json of a run, found ")


def test_the_network_has_the_weights_that_were_saved_or_its_own_of_the_seed(last: Path) -> None:
    saved = load_checkpoint(last)
    going_on = build_network(TINY, saved, last, CPU).state_dict()
    assert all(torch.equal(tensor, saved.part("model")[name]) for name, tensor in going_on.items())
    torch.manual_seed(3)
    fresh = build_network(TINY, None, last, CPU).state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in PoseNet(MODEL).state_dict().items())


def test_gaussians_cover_the_same_part_of_a_person_on_smaller_crops() -> None:
    network = PoseNet(replace(MODEL, sigma=2.0))
    assert stage_codec(network, stage_2d(Path("nowhere"))) == network.codec
    smaller = stage_codec(network, stage_2d(Path("nowhere"), input_size=(32, 32)))
    assert (smaller.input_size, smaller.sigma) == ((32, 32), 1.0)
    assert smaller == replace(network.codec, input_size=(32, 32), sigma=1.0)


def test_crops_are_multiples_of_the_coarsest_maps_pixels() -> None:
    with pytest.raises(ConfigError, match=r"stage 2d: input_size \(40, 64\): expected multiples of 32 px"):
        stage_codec(PoseNet(MODEL), stage_2d(Path("nowhere"), input_size=(40, 64)))


# --- what a run takes from another ---


def start(path: Path, config: ModelConfig = MODEL, **about: Any) -> str:
    """A checkpoint to start from."""
    network = PoseNet(config)
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(config), "backbone_config": network.backbone.config, **about})
    return str(path)


def test_a_run_that_starts_from_another_has_its_network(tmp_path: Path) -> None:
    there = replace(MODEL, backbone="resnet18", head=replace(MODEL.head, channels=24), sigma=3.0)
    begun = replace(TINY, start_from=start(tmp_path / "there.safetensors", there))
    assert continued_model(begun, None) == there
    backbone = continued_model(replace(begun, start_with="backbone"), None)
    assert backbone == replace(MODEL, backbone="resnet18")
    assert continued_model(TINY, None) == MODEL
    with pytest.raises(DataError, match="nowhere"):
        continued_model(replace(TINY, start_from="nowhere"), None)


def test_a_run_that_goes_on_has_its_own_whatever_became_of_the_one_it_started_from(tmp_path: Path) -> None:
    own = Path(start(tmp_path / "last.safetensors", replace(MODEL, sigma=3.0)))
    for start_with in ("all", "backbone"):
        begun = replace(TINY, start_from="gone", start_with=start_with)  # type: ignore[arg-type]
        assert continued_model(begun, own) == replace(MODEL, sigma=3.0)


NEW_HEAD = ", or give --start-with backbone to take its backbone alone"


@pytest.mark.parametrize(
    ("ours", "says", "offers"),
    [
        ({"skeleton": "mpii_16"}, "model.skeleton: 'body_18' there, 'mpii_16' here", NEW_HEAD),
        ({"backbone": "resnet18"}, "model.backbone: 'nano' there, 'resnet18' here", ""),
        (
            {"head": replace(MODEL.head, heatmap="mse")},
            "model.head.heatmap: 'cross_entropy' there, 'mse' here",
            NEW_HEAD,
        ),
    ],
)
def test_another_network_than_that_of_the_first_weights_is_refused(
    ours: dict[str, Any], says: str, offers: str, tmp_path: Path
) -> None:
    """Maps of 17 joints of one skeleton would load as those of another; weights of nano made a nano of any name."""
    begun = replace(TINY, model=replace(MODEL, **ours), start_from=start(tmp_path / "there.safetensors"))
    with pytest.raises(
        ConfigError, match=rf"there\.safetensors holds another network: {says}\. Leave out --model.*own{offers}$"
    ):
        build_network(begun, None, tmp_path / "last.safetensors", CPU)


def test_sizes_are_free_and_a_new_head_need_not_be_the_old_one(tmp_path: Path) -> None:
    begun = replace(TINY, start_from=start(tmp_path / "there.safetensors"))
    larger = replace(begun, model=replace(MODEL, input_size=(96, 96), sigma=1.5))
    assert build_network(larger, None, tmp_path / "last.safetensors", CPU).config.input_size == (96, 96)
    other = replace(MODEL, head=replace(MODEL.head, channels=24), skeleton="mpii_16")
    network = build_network(
        replace(begun, model=other, start_with="backbone"), None, tmp_path / "last.safetensors", CPU
    )
    assert len(network.skeleton) == 16


@pytest.mark.parametrize(
    ("model", "stage", "fields", "names"),
    [
        ({"input_size": (96, 96)}, {}, {}, "model.input_size (96, 96)"),
        ({}, {"input_size": (32, 32)}, {}, "stages.0.input_size (32, 32)"),
        ({"input_size": (96, 96)}, {"input_size": (64, 64)}, {}, "model.input_size (96, 96)"),
        ({}, {"input_size": (64, 64)}, {}, None),
        ({"input_size": (96, 96)}, {}, {"start_with": "backbone"}, None),
    ],
)
def test_another_size_than_the_first_weights_know_is_told(
    model: dict[str, Any],
    stage: dict[str, Any],
    fields: dict[str, Any],
    names: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fine-tune at another size began with a broken model, and nothing said so."""
    there = start(tmp_path / "there.safetensors")
    begun = experiment(stage_2d(tmp_path, **stage), model=replace(MODEL, **model), start_from=there, **fields)
    build_network(begun, None, tmp_path / "last.safetensors", CPU)
    told = f"{there} is for crops of (64, 64) px. At another size it predicts far worse until it has learnt that size"
    assert caplog.messages == ([f"{names}: {told}"] if names else [])


# --- more joints than the first weights have ---


@pytest.mark.parametrize(
    ("head", "layers"), [("heatmap_depth", ("heatmaps", "depth_maps")), ("pyramid", ("heatmaps", "depth_maps"))]
)
def test_joints_that_the_first_weights_have_are_kept_and_new_ones_begin_anew(
    head: str, layers: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Human3.6M's joints, in another order than there; the others as a network has them that starts from nothing."""
    there = replace(MODEL, skeleton="h36m_17", head=replace(MODEL.head, kind=head))
    begun = replace(
        TINY, model=replace(there, skeleton="body_24"), start_from=start(tmp_path / "there.safetensors", there)
    )
    old = load_model(tmp_path / "there.safetensors")[0]
    caplog.set_level(logging.INFO, "headstart")
    torch.manual_seed(1)
    network = build_network(begun, None, tmp_path / "last.safetensors", CPU)
    torch.manual_seed(1)
    load_model(tmp_path / "there.safetensors")
    fresh = PoseNet(begun.model)
    for layer, part in itertools.product(layers, ("weight", "bias")):
        ours, theirs, new = (one.state_dict()[f"head.{layer}.{part}"] for one in (network, old, fresh))
        for place, joint in enumerate(BODY_24.names):
            first = theirs[H36M_17.index(joint)] if joint in H36M_17.names else new[place]
            if layer == "depth_maps" and joint not in H36M_17.names:
                before = "thorax" if joint == "neck" else f"{joint.partition('_')[0]}_ankle"
                first = theirs[H36M_17.index(before)]
            assert torch.equal(ours[place], first), joint
    for name, weights in old.backbone.state_dict().items():
        assert torch.equal(network.backbone.state_dict()[name], weights), name
    (said,) = [message for message in caplog.messages if "new joints" in message]
    assert said.startswith("neck, left_big_toe, left_small_toe, left_heel, right_big_toe, ")
    assert said.endswith(f"new joints, which {tmp_path / 'there.safetensors'} lacks; they begin untrained")


def test_a_volume_grows_by_joints(tmp_path: Path) -> None:
    """Two joints of two cells each become six: channels 2 j and 2 j + 1 belong to joint j."""
    there = replace(MODEL, skeleton="body_18", head=replace(MODEL.head, kind="integral", depth_bins=2))
    path = Path(start(tmp_path / "there.safetensors", there))
    network = build_network(
        replace(TINY, model=replace(there, skeleton="canonical_28"), start_from=str(path)), None, path, CPU
    )
    ours, theirs = (one.head.volume.weight for one in (network, load_model(path)[0]))  # type: ignore[union-attr]
    for place, joint in enumerate(BODY_18.names):
        row = WITH_FEET.index(joint)
        assert torch.equal(ours[2 * row : 2 * row + 2], theirs[2 * place : 2 * place + 2])


def test_a_network_with_new_joints_predicts_the_others_as_before(tmp_path: Path) -> None:
    there = start(tmp_path / "there.safetensors")
    begun = replace(TINY, model=replace(MODEL, skeleton="body_24"), start_from=there)
    network, old = build_network(begun, None, tmp_path / "last.safetensors", CPU).eval(), load_model(there)[0]
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        ours, theirs = network(images), old(images)
    assert ours.heatmaps is not None
    assert theirs.heatmaps is not None
    assert torch.allclose(ours.heatmaps[:, :18], theirs.heatmaps, atol=1e-6)
    assert ours.heatmaps.shape[1] == 24


def test_fewer_joints_are_another_network(tmp_path: Path) -> None:
    there = start(tmp_path / "there.safetensors", replace(MODEL, skeleton="body_24"))
    with pytest.raises(ConfigError, match=r"model\.skeleton: 'body_24' there, 'body_18' here"):
        build_network(replace(TINY, start_from=there), None, tmp_path / "last.safetensors", CPU)


# --- parameters without gradient ---


@pytest.mark.parametrize("kind", ["heatmap_depth", "integral"])
def test_every_parameter_of_a_network_changes_its_output(kind: Any) -> None:
    network = PoseNet(replace(MODEL, head=replace(MODEL.head, kind=kind)))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert not leaves_out_parameters(network)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_parameters_that_change_no_output_are_found() -> None:
    """Unless they came frozen. Those that a user's backbone leaves out in some steps cannot be found."""
    network = PoseNet(MODEL)
    network.backbone.pooler = torch.nn.Linear(2, 2)
    assert leaves_out_parameters(network)
    network.backbone.pooler.requires_grad_(False)
    assert not leaves_out_parameters(network)
    network.config = replace(MODEL, backbone="my_lab.nets:small")
    assert leaves_out_parameters(network)


# --- which joints have been trained ---


def test_joints_are_those_that_somebody_in_use_has_labelled(stick_people_2d: Path, stick_people_3d: Path) -> None:
    lsp, h36m = data_2d(stick_people_2d), data_3d(stick_people_3d)
    assert labelled_joints(open_mixture((lsp,), 0)) == {*LSP_14.names, "pelvis", "thorax"}
    assert labelled_joints(open_mixture((h36m,), 0)) == set(H36M_17.names)
    assert labelled_joints(open_mixture((lsp, h36m), 0)) == set(BODY_18.names)
    never_drawn = replace(h36m, weight=0.0)
    assert labelled_joints(open_mixture((lsp, never_drawn), 0)) == {*LSP_14.names, "pelvis", "thorax"}


def test_joints_of_people_who_are_left_out_do_not_count_and_sides_do_together(
    stick_people_2d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first of 20 has a left wrist, and nobody a right one: crops are mirrored."""
    mixture = open_mixture((data_2d(stick_people_2d),), 0)
    visibility = mixture.indexes[0].column("visibility").copy()
    visibility[:, CANONICAL.indices(("left_wrist", "right_wrist"))] = 0
    visibility[0, CANONICAL.index("left_wrist")] = 1
    monkeypatch.setattr(mixture.indexes[0], "column", lambda name: visibility)
    assert {"left_wrist", "right_wrist"} <= labelled_joints(mixture)
    mixture.rows[0] = torch.arange(1, 20).numpy()
    assert labelled_joints(mixture) == {*LSP_14.names, "pelvis", "thorax"} - {"left_wrist", "right_wrist"}


def test_joints_that_the_first_weights_know(last: Path, tmp_path: Path) -> None:
    fresh = ("nose", "neck")
    there = start(tmp_path / "there.safetensors", trained_joints=fresh)
    begun = replace(TINY, start_from=there)
    assert joints_trained_before(TINY, None, BODY_18) == set()
    assert joints_trained_before(begun, None, BODY_18) == set(fresh)
    assert joints_trained_before(replace(begun, start_with="backbone"), None, BODY_18) == set()
    assert joints_trained_before(replace(TINY, start_from=SHIPPED), None, BODY_18) == set(BODY_18.names)
    # The model that ships does not say which joints it was trained on: all that it has, which are not those of feet.
    assert joints_trained_before(replace(TINY, start_from=SHIPPED), None, BODY_24) == set(BODY_18.names)
    assert joints_trained_before(begun, Checkpoint({}, {"trained_joints": ["spine"]}), BODY_18) == {"spine"}
    assert joints_trained_before(begun, load_checkpoint(last), BODY_18) == set(BODY_18.names)  # an older one


# --- which labels ---


def of(*roots: Path) -> Experiment:
    return experiment(*(stage_2d(root) for root in roots))


def saved_by(begun: Experiment, labels: list[list[str]] | None) -> Checkpoint:
    return Checkpoint({}, {"config": as_json(begun)} | ({} if labels is None else {"labels": labels}))


def digests(begun: Experiment, saved: Checkpoint | None = None, done: int = 0) -> list[list[str]]:
    """With ``done`` stages over."""
    mixtures = {n: open_mixture(one.data, 0) for n, one in enumerate(begun.stages) if n >= done}
    return label_digests(mixtures, begun, saved, Path("last.safetensors"))


def test_labels_are_the_same_wherever_they_lie(
    stick_people_2d: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headstart")
    moved = shutil.copytree(stick_people_2d, tmp_path / "moved")
    other = write_lsp_extended(tmp_path / "other", 8)
    here, there = of(stick_people_2d, other), of(moved, other)
    labels = digests(here)
    assert labels[0] != labels[1]
    assert digests(here, saved_by(here, labels)) == labels
    assert caplog.messages == []
    assert digests(there, saved_by(here, labels)) == labels
    root = f"stages.0.data.0.root: {str(stick_people_2d)!r} there, {str(moved)!r} here"
    assert caplog.messages == [f"data have moved, their labels are the same: {root}"]
    caplog.clear()
    assert digests(there, saved_by(here, None)) == labels
    assert caplog.messages == [f"data have moved, the checkpoint does not say which labels they had: {root}"]


def test_other_labels_are_another_run_but_those_of_stages_that_are_over(stick_people_2d: Path, tmp_path: Path) -> None:
    other = write_lsp_extended(tmp_path / "other", 8)
    before, now = of(stick_people_2d, stick_people_2d), of(other, stick_people_2d)
    labels = digests(before)
    with pytest.raises(ConfigError, match=rf"^{other}: the labels of lsp_extended all are not those that last\.") as no:
        digests(now, saved_by(before, labels))
    assert f"({labels[0][0]} there, " in str(no.value)
    assert digests(now, saved_by(before, labels), done=1) == labels


def test_a_run_with_feet_notices_synthetic_people_without(tmp_path: Path) -> None:
    """They are others to a model that learns feet, and the same to one that does not."""
    with_feet, without = (write_synthetic(tmp_path / one.name, one) for one in (WITH_FEET, CANONICAL))

    def begun(root: Path, skeleton: str) -> Experiment:
        stage = replace(stage_2d(root), data=(Data("synthetic_wild", str(root), "train"),))
        return experiment(stage, model=replace(MODEL, skeleton=skeleton))

    before = begun(with_feet, "body_24")
    labels = digests(before)
    assert digests(before, saved_by(before, labels)) == labels
    with pytest.raises(ConfigError, match=rf"^{without}: the labels of synthetic_wild train are not those that last\."):
        digests(begun(without, "body_24"), saved_by(before, labels))
    of_the_body = digests(begun(with_feet, "body_18"))
    assert digests(begun(without, "body_18"), saved_by(begun(with_feet, "body_18"), of_the_body)) == of_the_body
    # An earlier version left feet out: its digests are not compared.
    assert digests(before, saved_by(before, of_the_body)) == labels


def test_digests_of_an_earlier_version_do_not_tell(
    stick_people_2d: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It made them of files, pictures of packed splits included. Those of stages that are over stay."""
    moved = shutil.copytree(stick_people_2d, tmp_path / "moved")
    here, there = of(stick_people_2d, stick_people_2d), of(moved, moved)
    old, labels = [["0123456789abcdef"]] * 2, digests(here)
    assert digests(here, saved_by(here, old)) == labels
    assert digests(here, saved_by(here, old), done=1) == [old[0], labels[1]]
    with caplog.at_level(logging.INFO, "headstart"):
        digests(there, saved_by(here, old))
    assert caplog.messages[0].startswith("data have moved, the checkpoint does not say which labels they had: ")
