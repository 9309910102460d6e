"""Protocols: the numbers of the published scripts, and descriptions that follow their fields."""

from dataclasses import FrozenInstanceError, replace
from importlib import import_module
from typing import get_args

import pytest

from headstart.datasets import DATASETS
from headstart.errors import ConfigError
from headstart.protocols import METRICS, PROTOCOLS, Metric, Protocol, protocol
from headstart.skeleton import H36M_17, LSP_14, WITH_FEET, conversion

every = pytest.mark.parametrize("entry", PROTOCOLS.values(), ids=PROTOCOLS)
PIXELS = (
    "mpii_pckh",
    "lsp_pck",
    "lsp_extended_pck",
    "lsp_extended_pck12",
    "flic_pck",
    "coco_pck",
    "coco_feet_pck",
    "yolo_pose_pck",
)


@every
def test_description_says_what_the_fields_say(entry: Protocol):
    text = entry.describe()
    assert f"Data set {entry.dataset}, split {entry.split}" in text
    assert f" {len(entry.joints)} joints: " in text
    assert all(joint in text for joint in entry.joints)
    assert f"Metric: {METRICS[entry.metric].title}" in text
    assert f"in {entry.unit}, {entry.better} is better" in text
    assert entry.threshold is None or f"@{entry.threshold:g}" in text
    assert (f"Root: {entry.root}" in text) == entry.is_3d
    assert ("every 64th frame" in text) == (entry.frame_stride == 64)
    assert ("averaged with the mirrored picture" in text) == entry.flip_test
    assert all(METRICS[metric].title in text for metric in entry.companions)
    assert "{" not in text
    assert "None" not in text
    assert text.count("  ") == 0


@every
@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "elsewhere"},
        {"split": "other"},
        {"subset": "left-handed people only"},
        {"joints": ("left_knee", "right_knee")},
        {"frame_stride": 7},
        {"flip_test": "toggle"},
        {"decode": "toggle"},
        {"by_visibility": "toggle"},
        {"average": "toggle"},
        {"group_by": ("subject", "action", "sequence")},
        {"companions": ("auc",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_no_change_goes_unsaid(entry: Protocol, change: dict):
    toggled = {
        "flip_test": not entry.flip_test,
        "decode": "subpixel" if entry.decode == "argmax" else "argmax",
        "by_visibility": not entry.by_visibility,
        "average": "frames" if entry.average == "joints" else "joints",
    }
    changed = {field: toggled[field] if value == "toggle" else value for field, value in change.items()}
    assert replace(entry, **changed).describe() != entry.describe()


@every
def test_joints_are_canonical_and_the_direction_is_the_metrics(entry: Protocol):
    assert set(entry.joints) <= set(WITH_FEET.names)
    assert entry.better == ("lower" if entry.unit == "mm" else "higher")
    assert entry.dataset in DATASETS


@every
def test_data_sets_have_the_split_and_label_the_joints(entry: Protocol):
    """Adapters and protocols meet by name only: here it is checked that the names are the same."""
    try:
        adapter = import_module(f"headstart.datasets.{DATASETS[entry.dataset]}")
    except ModuleNotFoundError:
        pytest.skip(f"no adapter for {entry.dataset} yet")
    assert entry.split in adapter.SPLITS
    labelled = conversion(adapter.SKELETON, WITH_FEET).any(1)
    needed = (*entry.joints, *((entry.root,) if entry.root else ()))
    missing = [joint for joint in needed if not labelled[WITH_FEET.index(joint)]]
    assert not missing


def test_the_official_joints_of_mpi_inf_3dhp():
    adapter = pytest.importorskip("headstart.datasets.mpi_inf_3dhp")
    assert set(protocol("mpi_inf_3dhp").joints) == set(adapter.SKELETON.names[:14])


def test_published_numbers():
    assert protocol("h36m_standard").joints == H36M_17.names
    assert protocol("h36m_standard").frame_stride == 64
    assert (protocol("mpii_pckh").threshold, len(protocol("mpii_pckh").joints)) == (0.5, 14)
    assert not {"pelvis", "thorax"} & set(protocol("mpii_pckh").joints)
    assert protocol("mpii_pckh").average == "joints"
    assert protocol("lsp_pck").joints == LSP_14.names
    assert {protocol(name).threshold for name in PIXELS[1:]} == {0.2}
    assert set(protocol("flic_pck").joints) == {"right_elbow", "left_elbow", "right_wrist", "left_wrist"}
    assert len(protocol("mpi_inf_3dhp").joints) == len(protocol("threedpw").joints) == 14
    assert "pelvis" not in protocol("mpi_inf_3dhp").joints
    assert len(protocol("occlusion_person").joints) == 15
    assert protocol("occlusion_person").by_visibility


def test_pck12_is_shoulders_to_ankles():
    parts = {joint.removeprefix("left_").removeprefix("right_") for joint in protocol("lsp_extended_pck12").joints}
    assert parts == {"shoulder", "elbow", "wrist", "hip", "knee", "ankle"}
    assert len(protocol("lsp_extended_pck12").joints) == 12
    assert protocol("lsp_extended_pck").joints == LSP_14.names


def test_the_rescaled_figure_never_stands_alone():
    """Defect 14: the standard figures stand beside it, under their own scale."""
    zhou = protocol("h36m_zhou2017")
    assert {"mpjpe", "n_mpjpe", "pa_mpjpe"} <= set(zhou.companions)
    text = zhou.describe()
    assert "bones sum to 4000 mm" in text
    assert "Scale of these: joints are back-projected" in text
    assert "integer cell" in text
    assert zhou.joints == protocol("h36m_standard").joints


def test_averages_are_told_apart():
    frames, actions = protocol("h36m_standard"), protocol("h36m_standard_actions")
    assert "then over people." in frames.describe()
    assert "then over the actions." in actions.describe()
    assert frames.describe() != actions.describe()


def test_scenes_of_mpi_inf_3dhp():
    entry = protocol("mpi_inf_3dhp")
    scenes = [entry.scene(f"TS{number}") for number in range(1, 7)]
    assert scenes == ["green screen"] * 2 + ["studio"] * 2 + ["outdoor"] * 2
    assert protocol("h36m_standard").scene("S9") == "S9"


def test_every_metric_is_described_with_its_scale():
    assert set(METRICS) == set(get_args(Metric))
    for metric, facts in METRICS.items():
        way = {"pck": "none needed", "pckh": "none needed", "zhou2017_mpjpe": "bones sum to 4000 mm"}
        assert way.get(metric, "true depth of the pelvis") in facts.scale


@every
def test_the_scale_is_named_and_again_only_for_companions_with_another(entry: Protocol):
    text = entry.describe()
    assert f" Scale: {METRICS[entry.metric].scale}. " in text
    assert ("Scale of these" in text) == (entry.name == "h36m_zhou2017")
    assert len({METRICS[metric].scale for metric in entry.companions}) <= 1


def test_names_are_keys_and_unknown_ones_are_answered():
    assert all(name == entry.name for name, entry in PROTOCOLS.items())
    assert len({entry.describe() for entry in PROTOCOLS.values()}) == len(PROTOCOLS)
    with pytest.raises(ConfigError, match=r"unknown protocol 'protocol_1'; known: h36m_standard, "):
        protocol("protocol_1")


def test_fields_are_frozen():
    with pytest.raises(FrozenInstanceError):
        protocol("lsp_pck").threshold = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("lsp_pck", {"joints": ()}, "joints"),
        ("lsp_pck", {"joints": ("left_toe",)}, "joints has left_toe"),
        ("lsp_pck", {"joints": ("neck", "neck")}, "joints"),
        ("lsp_pck", {"reference": None}, "reference"),
        ("lsp_pck", {"root": "pelvis"}, "root"),
        ("lsp_pck", {"threshold": None}, "threshold"),
        ("lsp_pck", {"average": "groups"}, "group_by"),
        ("h36m_standard", {"root": None}, "root"),
        ("h36m_standard", {"threshold": 150.0}, "threshold"),
        ("h36m_standard", {"frame_stride": 0}, "frame_stride"),
        ("h36m_standard", {"metric": "pck"}, "reference"),
        ("mpi_inf_3dhp", {"threshold": None}, "threshold"),
        ("h36m_standard", {"metric": "mpje"}, "metric must be one of pck, "),
        ("h36m_standard", {"group_by": ("actions",)}, "group_by must be a tuple of action, "),
        ("h36m_standard", {"group_by": "action"}, "group_by must be a tuple of action, .*; got 'action'"),
        ("h36m_standard", {"companions": ("pa_mpje",)}, "companions must be a tuple of mpjpe, "),
        ("h36m_standard", {"companions": "auc"}, "companions must be a tuple of mpjpe, .*; got 'auc'"),
        ("h36m_standard", {"average": "people"}, "average must be one of joints, frames, groups, not 'people'"),
        ("h36m_standard", {"root": "thorax"}, "root must be one of pelvis, None, not 'thorax'"),
        ("h36m_standard", {"decode": "max"}, "decode must be one of subpixel, argmax, not 'max'"),
        ("h36m_standard", {"joints": "nose"}, "joints must be a tuple, not 'nose': a comma behind one value"),
        ("h36m_standard", {"frame_stride": "64"}, "frame_stride must be at least 1, not '64'"),
        ("h36m_standard", {"dataset": None}, "dataset must be a name, not None"),
        ("h36m_standard", {"split": ""}, "split must be a name, not ''"),
        ("h36m_standard", {"also_at": (100.0,)}, "also_at can be set for pck and pckh alone"),
        ("lsp_pck", {"reference": "hips"}, "reference must be one of torso, head_size, None, not 'hips'"),
        ("lsp_pck", {"threshold": 0.0}, "threshold must be above 0, not 0.0"),
        ("lsp_pck", {"threshold": "0.2"}, "threshold must be above 0, not '0.2'"),
        ("lsp_pck", {"also_at": (-0.1,)}, "also_at must be above 0, not -0.1"),
        ("lsp_pck", {"also_at": 0.1}, "also_at must be a tuple, not 0.1"),
    ],
)
def test_contradictions_name_their_field(name: str, change: dict, field: str):
    with pytest.raises(ConfigError, match=f"protocol {name}: {field}"):
        replace(protocol(name), **change)


_PCK = ("joints", 0.2, 1, "torso")
_MM = ("frames", None, 1, None)
#: Metric, average, threshold, frame stride, reference, number of joints, groups: what a figure means, once more and
#: apart from the constants, so that no edit of them goes unseen.
MEANING = {
    "h36m_standard": ("mpjpe", "frames", None, 64, None, 17, ("action",)),
    "h36m_standard_actions": ("mpjpe", "groups", None, 64, None, 17, ("action",)),
    "h36m_all_frames": ("mpjpe", "groups", None, 1, None, 17, ("action",)),
    "h36m_s11": ("pa_mpjpe", "frames", None, 64, None, 17, ("action",)),
    "h36m_zhou2017": ("zhou2017_mpjpe", "frames", None, 64, None, 17, ("action",)),
    "mpii_pckh": ("pckh", "joints", 0.5, 1, "head_size", 14, ()),
    "lsp_pck": ("pck", *_PCK, 14, ()),
    "lsp_extended_pck": ("pck", *_PCK, 14, ()),
    "lsp_extended_pck12": ("pck", *_PCK, 12, ()),
    "flic_pck": ("pck", *_PCK, 4, ()),
    "coco_pck": ("pck", *_PCK, 12, ()),
    "coco_feet_pck": ("pck", *_PCK, 18, ()),
    "yolo_pose_pck": ("pck", *_PCK, 12, ()),
    "mpi_inf_3dhp": ("pck3d", "joints", 150, 1, None, 14, ("action", "scene")),
    "mpi_inf_3dhp_universal": ("pck3d", "joints", 150, 1, None, 14, ("action", "scene")),
    "threedpw": ("mpjpe", *_MM, 14, ("sequence",)),
    "occlusion_person": ("mpjpe", "joints", None, 1, None, 15, ()),
    "aspset": ("mpjpe", "frames", None, 5, None, 16, ("subject",)),
    "synthetic_wild": ("mpjpe", *_MM, 17, ()),
    "synthetic_studio": ("mpjpe", *_MM, 17, ("action",)),
    "synthetic_occluded": ("mpjpe", *_MM, 17, ()),
    "synthetic_wild_pck": ("pck", *_PCK, 12, ()),
}


def test_what_each_figure_means_is_written_down_twice():
    assert set(MEANING) == set(PROTOCOLS)
    for name, meaning in MEANING.items():
        one = protocol(name)
        facts = (one.metric, one.average, one.threshold, one.frame_stride, one.reference)
        assert (*facts, len(one.joints), one.group_by) == meaning, name
        assert one.flip_test, name
        assert one.decode == ("argmax" if name == "h36m_zhou2017" else "subpixel"), name
    parts = {joint.removeprefix("left_").removeprefix("right_") for joint in protocol("aspset").joints}
    assert {"pelvis", "spine", "neck", "head_top"} < parts
    assert set(protocol("synthetic_wild").joints) == set(protocol("h36m_standard").joints)


_BESIDE = ("n_mpjpe", "pa_mpjpe", "pck3d", "auc")
#: Split, and the metrics beside the figure.
BESIDE = {
    "h36m_standard": ("test", _BESIDE),
    "h36m_standard_actions": ("test", _BESIDE),
    "h36m_all_frames": ("test", _BESIDE),
    "h36m_s11": ("test", ("mpjpe", "n_mpjpe", "pck3d", "auc")),
    "h36m_zhou2017": ("test", ("mpjpe", *_BESIDE)),
    "mpii_pckh": ("valid", ()),
    "lsp_pck": ("test", ()),
    "lsp_extended_pck": ("val", ()),
    "lsp_extended_pck12": ("val", ()),
    "flic_pck": ("test", ()),
    "coco_pck": ("val2017", ()),
    "coco_feet_pck": ("val2017", ()),
    "yolo_pose_pck": ("val", ()),
    "mpi_inf_3dhp": ("test", ("auc", "mpjpe", "n_mpjpe", "pa_mpjpe")),
    "mpi_inf_3dhp_universal": ("test", ("auc", "mpjpe", "n_mpjpe", "pa_mpjpe")),
    "threedpw": ("test", ("pa_mpjpe", "n_mpjpe", "pck3d", "auc")),
    "occlusion_person": ("validation", _BESIDE),
    "aspset": ("test", _BESIDE),
    "synthetic_wild": ("test", _BESIDE),
    "synthetic_studio": ("test", _BESIDE),
    "synthetic_occluded": ("test", _BESIDE),
    "synthetic_wild_pck": ("test", ()),
}


def test_what_stands_beside_each_figure_is_written_down_twice():
    assert {name: (one.split, one.companions) for name, one in PROTOCOLS.items()} == BESIDE


def test_other_thresholds_are_named_and_each_is_a_protocol_of_its_own():
    entry = protocol("mpii_pckh")
    assert [name for name, one in PROTOCOLS.items() if one.also_at] == ["mpii_pckh"]
    assert " Beside it: PCKh@0.1, PCKh@0.11." in f" {entry.describe()}"
    at = entry.at_other_thresholds()
    assert {name: (one.threshold, one.also_at) for name, one in at.items()} == {
        "pckh@0.1_percent": (0.1, ()),
        "pckh@0.11_percent": (0.11, ()),
    }
    assert replace(at["pckh@0.1_percent"], threshold=0.5, also_at=entry.also_at) == entry


def test_all_frames_are_those_of_the_standard_protocol_and_all_between():
    every, standard = protocol("h36m_all_frames"), protocol("h36m_standard_actions")
    assert replace(every, name=standard.name, subset=standard.subset, frame_stride=64) == standard
    data = "Data set h36m, split test (all frames on file of subjects S9 and S11)."
    assert every.describe().startswith(f"{data} 17 joints: ")


def test_protocols_of_the_same_files_differ_in_what_they_say_they_do():
    """In the labels or the people of another data set, and for S11 in the metric that is printed first."""
    universal, own = protocol("mpi_inf_3dhp_universal"), protocol("mpi_inf_3dhp")
    assert replace(universal, name=own.name, dataset=own.dataset, subset=own.subset) == own
    assert "univ_annot3, the official truth" in universal.describe()
    only_s11, standard = protocol("h36m_s11"), protocol("h36m_standard")
    shown = {"metric": "mpjpe", "companions": standard.companions}
    assert replace(only_s11, name=standard.name, dataset="h36m", subset=standard.subset, **shown) == standard
    assert {only_s11.metric, *only_s11.companions} == {standard.metric, *standard.companions}


def test_visible_and_occluded_joints_are_apart_where_labels_tell_them():
    apart = {name for name, one in PROTOCOLS.items() if one.by_visibility}
    synthetic = {f"synthetic_{name}" for name in ("wild", "studio", "occluded", "wild_pck")}
    assert apart == {"lsp_pck", "coco_pck", "coco_feet_pck", "yolo_pose_pck", "occlusion_person"} | synthetic


@pytest.mark.parametrize("ending", ["st", "nd", "rd", "th"])
def test_strides_are_said_as_english_has_them(ending: str):
    strides = {"st": (21, 101), "nd": (2, 22, 122), "rd": (3, 23), "th": (4, 10, 11, 12, 13, 20, 30, 111, 112)}
    for stride in strides[ending]:
        text = replace(protocol("h36m_standard"), frame_stride=stride).describe()
        assert f"every {stride}{ending} frame" in text
    assert "frame)" not in replace(protocol("h36m_standard"), frame_stride=1).describe()


@every
def test_visibility_and_thresholds_are_said_where_they_are(entry: Protocol):
    text = entry.describe()
    assert ("visible and occluded joints" in text) == entry.by_visibility
    assert text.count("(thresholds 0:5:150 mm)") == ("auc" in (entry.metric, *entry.companions))
    assert text.count("thresholds") == text.count("AUC")


def test_a_protocol_tells_nothing_apart_unless_asked():
    plain = Protocol("plain", "lsp", "test", "pck", ("left_knee",), reference="torso", threshold=0.2)
    assert "apart" not in plain.describe()
