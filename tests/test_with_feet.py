"""Feet, from a label file to the files of predictions: learnt, kept apart by side, scored, drawn, exported."""

from __future__ import annotations

import csv
import json
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from headstart.augment import AugmentConfig
from headstart.budget import Budget
from headstart.checkpoint import load_model, shipped_weights
from headstart.cleaning import clean
from headstart.errors import ConfigError
from headstart.evaluate import aim, predict, score
from headstart.experiment import Stage, Validation
from headstart.geometry import Crop
from headstart.index import AnnotationIndex, open_index, open_packed
from headstart.inspection import picture_of_samples, shown_joints, summarise
from headstart.label_doubts import DoubtConfig
from headstart.loader import Data
from headstart.networks import TorchNetwork
from headstart.optimisation import Optimiser, Schedule
from headstart.pack import PackConfig, pack
from headstart.predict import PoseEstimator
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.samples import SIDE, write_samples
from headstart.scoring import picture_of_predictions
from headstart.skeleton import BODY_18, BODY_24, CANONICAL, COCO_17, FEET, WITH_FEET, mirrored_name
from headstart.train import run
from headstart.video_files import VideoWriter
from stick_feet import write_coco_wholebody
from test_animation import read_bvh, read_trc
from test_cli import succeeds
from tiny import HEATMAP, MODEL, experiment, mpjpe_of, stage_2d

#: Nothing at random: what is learnt is these pictures.
STILL = AugmentConfig(**{one.name: 0.0 for one in fields(AugmentConfig)})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO-WholeBody of eight stick people to train on, and two to score."""
    return write_coco_wholebody(tmp_path_factory.mktemp("feet") / "coco", 8, 2)


@pytest.fixture(scope="module")
def index(root: Path) -> AnnotationIndex:
    return open_index("coco_feet", root, "train2017")


@pytest.fixture(scope="module")
def learnt(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has seen the eight people a hundred times."""
    model = replace(MODEL, skeleton="body_24", input_size=(96, 96), head=replace(MODEL.head, channels=32))
    data = Data("coco_feet", str(root), "train2017")
    schedule = Schedule("cosine", warmup=0.05)
    stage = Stage("2d", (data,), Budget(samples=800), HEATMAP, Optimiser(learning_rate=5e-3), schedule)
    out = tmp_path_factory.mktemp("runs") / "feet"
    run(experiment(stage, model=model, batch_size=8, augment=STILL, checkpoint_samples=10_000), out)
    return out


def labels_of(index: AnnotationIndex, joints: tuple[str, ...]) -> np.ndarray:
    """(people, J, 2) px."""
    return np.stack([person.keypoints for person in index])[:, WITH_FEET.indices(joints)]


def test_feet_of_eight_pictures_are_learnt(learnt: Path, index: AnnotationIndex) -> None:
    """Joints of a foot lie 12 px and more apart in these pictures: each prediction is nearest to its own label."""
    network, header = load_model(learnt)
    assert set(FEET) < set(header["trained_joints"])
    found = predict(network, network.codec, index, np.arange(8))
    columns = [found.joints.index(joint) for joint in FEET]
    distance = np.linalg.norm(found.keypoints[:, columns, None] - labels_of(index, FEET)[:, None], axis=-1)
    assert np.diagonal(distance, axis1=1, axis2=2).mean() < 4
    assert (distance.argmin(2) == np.arange(6)).mean() > 0.95


def test_in_the_mirror_the_left_foot_is_the_right_one(learnt: Path, root: Path) -> None:
    """With the flip test a picture and its mirror image, one column aside, have the same joints mirrored."""
    network, _ = load_model(learnt)
    estimator = PoseEstimator(TorchNetwork(network, "cpu"))
    image = np.ascontiguousarray(cv2.imread(str(root / "train2017" / "0.png"))[..., ::-1])
    box = [20.0, 6.0, 90.0, 116.0]
    mirrored = [image.shape[1] - box[0] - box[2], *box[1:]]
    (one,), (other,) = estimator.estimate([image, np.ascontiguousarray(image[:, ::-1])], [[box], [mirrored]])
    for joint in BODY_24.names:
        x, y, sure = one.keypoints[joint]
        expected = (image.shape[1] - 1 - x, y, sure)
        np.testing.assert_allclose(other.keypoints[mirrored_name(joint)], expected, atol=1e-2, err_msg=joint)


def test_each_joint_is_scored(index: AnnotationIndex) -> None:
    """The left big toes are elsewhere and all else is right: 17 of 18 joints."""
    joints = (*BODY_24.names,)
    poses = np.nan_to_num(labels_of(index, joints))
    poses[:, joints.index("left_big_toe")] += 500
    keys, zeros = index.column("key").tolist(), np.zeros(poses.shape[:2], np.float32)
    made = Predictions(keys, joints, poses.astype(np.float32), zeros, zeros, {"decode": "subpixel"})
    wanted = replace(protocol("coco_feet_pck"), split="train2017")
    found = score(made, index, wanted, np.arange(8))
    assert found.value == pytest.approx(100 * 17 / 18)
    assert found.per_joint == {joint: 0 if joint == "left_big_toe" else 100 for joint in wanted.joints}


def test_people_without_labels_of_feet_are_scored_by_the_rest(index_2d: AnnotationIndex) -> None:
    """LSP-Extended has no feet: the twelve other joints count, and the description says so."""
    poses = np.nan_to_num(np.stack([person.with_feet().keypoints for person in index_2d]))
    zeros = np.zeros(poses.shape[:2], np.float32)
    made = Predictions(index_2d.column("key").tolist(), WITH_FEET.names, poses, zeros, zeros, {"decode": "subpixel"})
    found = score(made, index_2d, aim(protocol("coco_feet_pck"), "lsp_extended", "all"), np.arange(20))
    assert found.value == 100
    assert f"nobody is labelled with {', '.join(FEET)}: the value is of 12 of the 18 joints" in found.description


def test_a_score_of_feet_needs_a_model_with_feet(index: AnnotationIndex) -> None:
    poses = np.zeros((8, 18, 2), np.float32)
    made = Predictions(
        index.column("key").tolist(), BODY_18.names, poses, poses[..., 0], poses[..., 0], {"decode": "subpixel"}
    )
    says = "does not predict left_big_toe, .*; train with --model.skeleton body_24 or coco_23 or canonical_28$"
    with pytest.raises(ConfigError, match=says):
        score(made, index, replace(protocol("coco_feet_pck"), split="train2017"), np.arange(8))


def test_feet_in_pixels_of_a_packed_picture(index: AnnotationIndex, tmp_path: Path) -> None:
    """Reduced pictures: joints move as their picture does, by the corner of its box and its scale."""
    pack(index, tmp_path / "packed", PackConfig(48), source={"dataset": "coco_feet", "split": "train2017"})
    packed = open_packed(tmp_path / "packed")
    assert packed.skeleton is WITH_FEET
    for row in range(8):
        before, after = index[row], packed[row]
        scale = after.bbox_xywh[2:] / before.bbox_xywh[2:]
        moved = (before.keypoints + 0.5 - before.bbox_xywh[:2]) * scale + after.bbox_xywh[:2] - 0.5
        np.testing.assert_allclose(after.keypoints, moved, atol=1e-3)
        np.testing.assert_array_equal(after.visibility, before.visibility)


def test_cleaning_keeps_feet_that_nobody_doubts(index: AnnotationIndex, tmp_path: Path) -> None:
    """A model without feet sees a wrist elsewhere, and has nothing to say on feet."""
    pack(index, tmp_path / "packed", PackConfig(48), source={"dataset": "coco_feet", "split": "train2017"})
    packed = open_packed(tmp_path / "packed")
    poses = np.nan_to_num(labels_of(packed, COCO_17.names)).astype(np.float32)
    poses[2, COCO_17.index("left_wrist")] += 300
    sure = np.ones(poses.shape[:2], np.float32)
    made = Predictions(packed.column("key").tolist(), COCO_17.names, poses, sure, sure, {"checkpoint": "by hand"})
    clean(tmp_path / "packed", tmp_path / "out", made, DoubtConfig())
    cleaned = open_packed(tmp_path / "out")
    visibility = packed.column("visibility").copy()
    visibility[2, WITH_FEET.index("left_wrist")] = 0
    np.testing.assert_array_equal(cleaned.column("visibility"), visibility)
    np.testing.assert_array_equal(cleaned.column("keypoints")[:, 22:], packed.column("keypoints")[:, 22:])
    with (tmp_path / "out" / "doubts.csv").open(newline="") as stream:
        assert [row["dropped"] for row in csv.DictReader(stream)] == ["left_wrist"]


def test_samples_are_shown_with_their_feet(index: AnnotationIndex, index_2d: AnnotationIndex) -> None:
    assert shown_joints(index) is BODY_24
    assert shown_joints(index_2d) is BODY_18
    for one in (index, index_2d):
        for skeleton in (BODY_18, BODY_24, WITH_FEET):
            picture_of_samples(one, skeleton, (64, 64), AugmentConfig(), 3, 0)
    without = picture_of_samples(index, BODY_18, (96, 96), None, 4, 0)
    assert (without != picture_of_samples(index, BODY_24, (96, 96), None, 4, 0)).any()


def test_counts_name_the_joints_of_the_index(index: AnnotationIndex, index_2d: AnnotationIndex) -> None:
    counts = summarise(index, read_images=False).labels_2d
    assert tuple(counts) == WITH_FEET.names
    assert [counts[joint] for joint in FEET] == [8] * 6
    assert tuple(summarise(index_2d, read_images=False).labels_2d) == CANONICAL.names


def test_pictures_of_predictions_beside_labels_with_feet_and_without(
    learnt: Path,
    root: Path,
    stick_people_3d: Path,
    index_2d: AnnotationIndex,
    index: AnnotationIndex,
    tmp_path: Path,
) -> None:
    network, _ = load_model(learnt)
    for one in (index, index_2d):
        rows = np.arange(3)
        found = predict(network, network.codec, one, rows)
        assert picture_of_predictions(found, one, rows).shape[2] == 3
    checks = Validation("coco_feet_pck", str(root)), mpjpe_of(stick_people_3d)
    run_of = experiment(stage_2d(root), validation=checks)
    write_samples(learnt, run_of, ("coco_feet_pck", "h36m_standard"), tmp_path / "samples.npz")
    val = open_index("coco_feet", root, "val2017")
    with np.load(tmp_path / "samples.npz") as kept:
        assert kept["joints"].tolist() == list(BODY_24.names)
        wanted = Crop.from_box(val[1].bbox_xywh, (SIDE, SIDE)).to_crop(val[1].keypoints[WITH_FEET.indices(FEET)])
        np.testing.assert_allclose(kept["label_2d"][1, 18:], wanted, atol=1e-3)
        assert np.isnan(kept["label_2d"][2:, 18:]).all()
        assert np.isfinite(kept["label_3d"][2:, BODY_24.index("left_ankle")]).all()


def test_from_labels_to_files_of_motion(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every command, with the model that ships as the start; then what its files hold."""
    pytest.importorskip("av")
    packed, model, out = tmp_path / "packed", tmp_path / "run", tmp_path / "out"
    assert "left_heel 8, right_big_toe 8" in succeeds("data", "coco_feet", "--root", root, "--check")
    for split in ("train2017", "val2017"):
        succeeds("pack", "coco_feet", "--root", root, "--split", split, "--out", packed)
    train = ("train", "finetune", "--two-d", "coco_feet", "--three-d", "--root", f"coco_feet={packed}", "--out", model)
    tiny = ("--stages.0.budget.samples", "8", "--batch-size", "8", "--stages.0.input-size", "64", "64")
    succeeds(*train, *tiny, "--model.skeleton", "body_24", "--workers", "0", "--tracker", "none")
    said = f"{', '.join(FEET)}: new joints, which {shipped_weights()} lacks; they begin untrained"
    assert said in caplog.messages
    assert "left_small_toe" in succeeds(
        "eval", model, "--protocol", "coco_feet_pck", "--root", packed, "--workers", "0"
    )

    with VideoWriter(tmp_path / "clip.mp4", Fraction(25)) as writer:
        for number in range(3):
            image = cv2.imread(str(root / "train2017" / f"{number}.png"))
            writer.write(np.ascontiguousarray(image[..., ::-1]), number / 25)
    files = {kind: tmp_path / f"people.{kind}" for kind in ("json", "csv", "npz")}
    wanted = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    command = ("predict", tmp_path / "clip.mp4", "--model", model, "--detector", "none", "--bvh", "--trc", "--out", out)
    succeeds(*command, *wanted)
    people = json.loads(files["json"].read_text())
    assert [tuple(one[name]) for one in people for name in ("joints2d", "joints3d_mm")] == [BODY_24.names] * 6
    with files["csv"].open(newline="") as stream:
        assert [row["joint"] for row in csv.DictReader(stream)] == [*BODY_24.names] * 3
    assert np.load(files["npz"])["joints"].tolist() == list(BODY_24.names)
    assert set(FEET) < set(read_bvh(out / "clip_person1.bvh")[0][0])
    assert set(FEET) < set(read_trc(out / "clip_person1.trc")[0])


def test_an_exported_model_names_its_feet_and_puts_them_where_the_model_does(
    learnt: Path, root: Path, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "feet.onnx"
    succeeds("export", learnt, "--out", file, "--calibrate", "coco_feet", "--root", root, "--split", "train2017")
    about = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    assert about["joints"] == ", ".join(BODY_24.names)
    trained = about["trained_joints"].split(", ")
    assert set(FEET) < set(trained)
    photo, boxes = root / "train2017" / "1.png", [[[20, 6, 90, 116]]]
    (one,), (other,) = (PoseEstimator.from_pretrained(source).estimate(photo, boxes)[0] for source in (learnt, file))
    assert [*one.keypoints] == [*other.keypoints] == trained
    for joint, point in one.keypoints.items():
        np.testing.assert_allclose(other.keypoints[joint], point, atol=1e-2, err_msg=joint)
