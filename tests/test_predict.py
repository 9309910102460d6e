"""PoseEstimator with networks that know the truth: axes, units, sides, batches, and what it refuses."""

from __future__ import annotations

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from double_precision import DoublePrecision
from headstart import evaluate, networks
from headstart.checkpoint import save_checkpoint
from headstart.closing_in import LOOKS
from headstart.errors import ConfigError, DataError, HeadstartError
from headstart.geometry import Camera, Crop
from headstart.images import read_image
from headstart.index import AnnotationIndex
from headstart.models.heads import HeadConfig
from headstart.models.pose_net import PoseNet
from headstart.networks import TorchNetwork, load_network, untrained_joints
from headstart.pose_files import read_json, write_json
from headstart.predict import PoseEstimator
from headstart.records import CropJoints, Detection, FieldOfView, Prediction
from headstart.skeleton import BODY_18, Skeleton, mirrored_name
from headstart.tracking import Box, overlaps
from oracle import Oracle, box_of, person, seen_by, stature
from sees_white import SeesWhite, painted
from tiny import MODEL

CAMERA = Camera(1100.0, 1100.0, 640.0, 360.0)
BLANK = np.full((720, 1280, 3), 90, np.uint8)


def points(pose: dict[str, tuple[float, float, float]] | None) -> NDArray[np.float64]:
    assert pose is not None
    assert tuple(pose) == BODY_18.names
    return np.array(list(pose.values()))


def extent(found: Prediction) -> Box:
    """Tight box x, y, w, h px of all joints."""
    joints = points(found.keypoints)[:, :2]
    (left, top), (right, bottom) = joints.min(0).tolist(), joints.max(0).tolist()
    return left, top, right - left, bottom - top


def estimate_turned(turn: float, camera: Camera | None = CAMERA) -> Prediction:
    """What a perfect network makes of a person 4 m away, right of the axis."""
    truth = person(turn) + np.array([400.0, 100.0, 4000.0])
    joints = seen_by(CAMERA, truth)
    estimator = PoseEstimator(Oracle([(box_of(joints), joints)]), height_mm=stature(truth))
    return estimator.estimate(BLANK, [[box_of(joints)]], camera)[0][0]


class TestAxesUnitsAndSides:
    def test_a_person_who_faces_the_camera_has_his_left_on_the_right_and_a_near_nose(self):
        pose = estimate_turned(0).xyz_mm
        assert pose["left_shoulder"][0] > 100 > -100 > pose["right_shoulder"][0]
        assert pose["nose"][2] < pose["head_top"][2] - 30
        assert pose["head_top"][1] < -600
        assert pose["left_ankle"][1] > 300

    def test_turned_to_his_left_he_looks_to_the_right_and_his_left_is_far(self):
        pose = estimate_turned(90).xyz_mm
        assert pose["nose"][0] > pose["head_top"][0] + 30
        assert pose["left_shoulder"][2] > 100 > -100 > pose["right_shoulder"][2]

    @pytest.mark.parametrize("turn", [0, 60, 90, 180, 270])
    def test_millimetres_are_exact_with_the_camera(self, turn):
        truth = person(turn)
        found = estimate_turned(turn)
        np.testing.assert_allclose(points(found.xyz_mm), truth, atol=0.05)
        np.testing.assert_allclose(points(found.camera_xyz_mm), truth + np.array([400.0, 100.0, 4000.0]), atol=0.1)

    @pytest.mark.parametrize("turn", [30, 90, 180])
    def test_a_person_turned_by_an_angle_comes_out_turned_by_it(self, turn):
        before, after = points(estimate_turned(0).xyz_mm), points(estimate_turned(turn).xyz_mm)
        # Turning left: from facing the camera (-z) to facing the picture's right (+x), about the vertical.
        c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        np.testing.assert_allclose(after, before @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]).T, atol=0.1)

    def test_without_a_camera_weak_perspective_is_near(self):
        found = estimate_turned(90, camera=None)
        assert found.camera_xyz_mm is None
        errors = np.linalg.norm(points(found.xyz_mm) - person(90), axis=1)
        assert errors.mean() < 60

    def test_pixels_are_those_of_the_picture(self):
        found = estimate_turned(0)
        wanted = seen_by(CAMERA, person(0) + np.array([400.0, 100.0, 4000.0]))
        np.testing.assert_allclose(points(found.keypoints)[:, :2], wanted[:, :2], atol=1e-3)
        np.testing.assert_allclose(points(found.keypoints)[:, 2], 0.9, atol=1e-6)

    def test_stature_scales_the_pose(self):
        joints = person() * 0.2 + [300.0, 300.0, 0.0]
        tall, small = (
            PoseEstimator(Oracle([(box_of(joints), joints)]), height_mm=h).estimate(BLANK, [[box_of(joints)]])[0][0]
            for h in (1800.0, 900.0)
        )
        np.testing.assert_allclose(points(tall.xyz_mm), 2 * points(small.xyz_mm), atol=1e-3)
        assert tall.extra == {"height_mm": 1800.0}

    def test_an_assumed_field_of_view_says_so(self):
        joints = person() * 0.2 + [640.0, 360.0, 0.0]
        estimator = PoseEstimator(Oracle([(box_of(joints), joints)]))
        (found,) = estimator.estimate(BLANK, [[box_of(joints)]], FieldOfView(90.0))[0]
        assert found.extra["camera"] == {"fx": 640.0, "fy": 640.0, "cx": 639.5, "cy": 359.5, "assumed": True} | {
            "fx": pytest.approx(640.0),
            "fy": pytest.approx(640.0),
        }
        # 0.2 px per mm at 640 px focal length are 3.2 m, up to the stature assumed and perspective.
        assert points(found.camera_xyz_mm)[BODY_18.index("pelvis"), 2] == pytest.approx(3200, rel=0.15)


class DotReader:
    """Finds each joint as the middle of the dots of its own colour: an independent look at what the crop shows."""

    skeleton, input_size = BODY_18, (256, 256)

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        found = np.full((len(crops), 18, 2), np.nan, np.float32)
        for number, crop in enumerate(crops):
            for joint in range(18):
                rows, columns = np.nonzero(np.abs(crop.astype(int) - colour(joint)).max(-1) < 5)
                if len(rows):
                    found[number, joint] = columns.mean(), rows.mean()
        shape = found.shape[:2]
        return CropJoints(found, np.zeros(shape, np.float32), np.ones(shape, np.float32))


def colour(joint: int) -> tuple[int, int, int]:
    return 255, 12 * joint, 255 - 12 * joint


def dotted(joints: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (height, width) with a disc at every joint (18, 2)."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.zeros((*size, 3), np.uint8)
    for joint, (x, y) in enumerate(joints):
        image[(columns - x) ** 2 + (rows - y) ** 2 < 64] = colour(joint)
    return image


class TestCrops:
    @pytest.mark.parametrize(
        "box",
        [[40.0, 20.0, 310.0, 260.0], [-60.5, -20.0, 500.0, 420.0], [70.2, 40.7, 260.0, 100.0]],
        ids=["tight", "over the edges", "wide"],
    )
    def test_dots_are_found_where_they_are(self, box):
        joints = np.stack(np.meshgrid([80.0, 120, 161, 200, 240, 281], [60.0, 120, 200]), -1).reshape(-1, 2)
        (found,) = PoseEstimator(DotReader()).estimate(dotted(joints, (300, 400)), [[box]])[0]
        np.testing.assert_allclose(
            points(found.keypoints)[:, :2], joints, atol=0.4 / Crop.from_box(np.array(box), (256, 256)).scale
        )

    def test_small_pieces_and_whole_pictures_agree(self):
        joints = np.stack(np.meshgrid([80.0, 120, 160, 200, 240, 280], [60.0, 120, 200]), -1).reshape(-1, 2)
        (whole,) = PoseEstimator(DotReader()).estimate(dotted(joints, (300, 400)))[0]
        assert whole.bbox_xywh == (0.0, 0.0, 400.0, 300.0)
        np.testing.assert_allclose(points(whole.keypoints)[:, :2], joints, atol=0.6)

    def test_a_whole_picture_is_closed_in_on_but_a_given_box_is_not(self):
        person, whole = (401, 61, 30, 90), [0.0, 0.0, 640.0, 480.0]
        closer, given = SeesWhite(), SeesWhite()
        (near,) = PoseEstimator(closer).estimate(painted(640, 480, person))[0]
        (far,) = PoseEstimator(given).estimate(painted(640, 480, person), [[whole]])[0]
        assert (closer.crops, given.crops) == (2 * LOOKS, 1)
        assert PoseEstimator(given, looks=0).estimate(painted(640, 480, person))[0] == [far]
        assert near.bbox_xywh == far.bbox_xywh == tuple(whole)
        around_near, around_far = (overlaps([extent(one)], [person])[0, 0] for one in (near, far))
        assert around_near > 0.9 > 0.8 > around_far

    def test_colours_reach_the_network_as_rgb_from_every_kind_of_picture(self, tmp_path):
        joints = np.stack(np.meshgrid([80.0, 120, 160, 200, 240, 280], [60.0, 120, 200]), -1).reshape(-1, 2)
        image = dotted(joints, (300, 400))
        Image.fromarray(image).save(tmp_path / "photo.png")
        pictures = [image, tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(image)]
        pictures += [(tmp_path / "photo.png").read_bytes(), io.BytesIO((tmp_path / "photo.png").read_bytes())]
        for (found,) in PoseEstimator(DotReader()).estimate(pictures):
            np.testing.assert_allclose(points(found.keypoints)[:, :2], joints, atol=0.6)


@pytest.fixture(scope="module")
def network() -> TorchNetwork:
    torch.manual_seed(1)
    model = PoseNet(MODEL)
    # An untrained head's maps are flat to rounding, and rounding would choose among their maxima.
    for weights in model.head.parameters():
        if weights.ndim == 4:
            torch.nn.init.normal_(weights)
    return TorchNetwork(model, "cpu")


class TestJointsWithoutTraining:
    BOX = (10.0, 5.0, 50.0, 70.0)

    def estimated(self, model: PoseNet, *untrained: str, camera: Camera | None = CAMERA) -> Prediction:
        estimator = PoseEstimator(TorchNetwork(model, "cpu", [n for n in BODY_18.names if n not in untrained]))
        photo = np.random.default_rng(3).integers(0, 255, (90, 70, 3)).astype(np.uint8)
        return estimator.estimate([photo], [[self.BOX]], camera)[0][0]

    def test_they_are_in_nothing_and_the_others_stay(self, network: TorchNetwork):
        whole, part = self.estimated(network.model), self.estimated(network.model, "spine", "nose")
        names = [name for name in BODY_18.names if name not in ("spine", "nose")]
        for field in ("keypoints", "xyz_mm", "camera_xyz_mm"):
            assert getattr(part, field) == {name: getattr(whole, field)[name] for name in names}, field

    def test_the_scale_is_that_of_the_bones_that_are_known(self):
        """Upper bodies, as FLIC has them. By hand: arms and trunk together have their shares of the stature."""
        truth = seen_by(CAMERA, person(0) + np.array([0.0, 0.0, 4000.0]))
        kept = [n for n, name in enumerate(BODY_18.names) if not name.endswith(("knee", "ankle", "spine", "nose"))]

        class UpperBody(Oracle):
            skeleton = Skeleton("upper", tuple(BODY_18.names[number] for number in kept))

        box = box_of(truth)
        ((found,),) = PoseEstimator(UpperBody([(box, truth[kept])])).estimate([BLANK], [[box]])
        assert len(found.xyz_mm) == 12
        at = {name: np.array(point) for name, point in found.xyz_mm.items()}
        arms = [("shoulder", "elbow", 0.186), ("elbow", "wrist", 0.146)]
        lengths = [np.linalg.norm(at[f"{s}_{a}"] - at[f"{s}_{b}"]) for s in ("left", "right") for a, b, _ in arms]
        hips, shoulders = ((at[f"left_{joint}"] + at[f"right_{joint}"]) / 2 for joint in ("hip", "shoulder"))
        lengths.append(np.linalg.norm(hips - shoulders))
        assert sum(lengths) == pytest.approx(1700 * (2 * 0.186 + 2 * 0.146 + 0.288))

    def test_without_a_pelvis_the_middle_is_the_origin(self, network: TorchNetwork):
        part = self.estimated(network.model, "left_hip", "right_hip", "pelvis", camera=None)
        np.testing.assert_allclose(np.mean(list(part.xyz_mm.values()), 0), 0, atol=1e-4)

    def test_which_they_are(self, network: TorchNetwork):
        assert untrained_joints(network) == ()
        assert untrained_joints(TorchNetwork(network.model, "cpu", BODY_18.names[:16])) == ("spine", "nose")
        assert untrained_joints(Oracle([])) == ()


class TestNetwork:
    def test_the_mirrored_photo_gives_the_mirrored_skeleton(self, network):
        rng = np.random.default_rng(0)
        photo = rng.integers(0, 255, (120, 171, 3)).astype(np.uint8)
        # One crop pixel is one picture pixel and the grids coincide: nothing is interpolated.
        box = [6.4 + 40, 6.4 + 20, 51.2, 51.2]
        mirrored_box = [171 - box[0] - box[2], *box[1:]]
        estimator = PoseEstimator(network, flip_test=True)
        (seen,), (mirrored,) = estimator.estimate([photo, photo[:, ::-1].copy()], [[box], [mirrored_box]])
        for joint, (x, y, confidence) in seen.keypoints.items():
            expected = (170 - x, y, confidence)
            assert mirrored.keypoints[mirrored_name(joint)] == pytest.approx(expected, abs=1e-3), joint
        for joint, (x, y, z) in seen.xyz_mm.items():
            assert mirrored.xyz_mm[mirrored_name(joint)] == pytest.approx((-x, y, z), abs=0.05), joint

    def test_threads_may_share_one_and_processes_get_a_copy(self, network):
        photo = np.random.default_rng(2).integers(0, 255, (90, 70, 3)).astype(np.uint8)
        boxes = [[[[0, 0, 40, 60 + number]]] for number in range(16)]
        estimator, copy = PoseEstimator(network), pickle.loads(pickle.dumps(PoseEstimator(network)))
        alone = [estimator.estimate(photo, box)[0][0] for box in boxes]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda box: estimator.estimate(photo, box)[0][0], boxes))
        for one, other, copied in zip(alone, together, (copy.estimate(photo, box)[0][0] for box in boxes)):
            np.testing.assert_allclose(points(other.keypoints), points(one.keypoints), atol=1e-3)
            np.testing.assert_allclose(points(copied.keypoints), points(one.keypoints), atol=1e-3)

    def test_batches_do_not_change_results(self, network):
        rng = np.random.default_rng(1)
        photos = [rng.integers(0, 255, (90, 70, 3)).astype(np.uint8) for _ in range(3)]
        boxes = [[[0, 0, 40, 60], [10, 5, 50, 80]], [], [[3, 3, 60, 60]]]
        one, many = (PoseEstimator(network, batch_size=size).estimate(photos, boxes) for size in (1, 32))
        assert [len(people) for people in many] == [2, 0, 1]
        for first, second in zip(chain(*one), chain(*many)):
            np.testing.assert_allclose(points(first.keypoints), points(second.keypoints), atol=1e-2)

    def test_people_of_many_pictures_share_batches(self):
        joints = person() * 0.2 + [300.0, 300.0, 0.0]
        oracle = Oracle([(box_of(joints), joints)] * 7)
        boxes = [[box_of(joints)] * n for n in (3, 0, 2, 2)]
        found = PoseEstimator(oracle, batch_size=4).estimate([BLANK] * 4, boxes)
        assert [len(people) for people in found] == [3, 0, 2, 2]
        assert oracle.batches == [4, 3]


class TestBoxes:
    @pytest.mark.parametrize(
        ("box", "says"),
        [
            ([float("nan"), 0, 10, 10], "finite"),
            ([0, 0, 10, float("inf")], "finite"),
            ([5, 5, 0, 10], "size"),
            ([5, 5, 10, -1], "size"),
            ([2000, 5, 10, 10], "outside its 1280 x 720"),
            ([-50, -50, 50, 50], "outside"),
            ([0.1, 0.2, 0.5, 0.7], "a person's size"),
            ([0, 0, 50, 1e-300], "a person's size"),
            ([-1e300, -1e300, 2e300, 2e300], "a person's size"),
            ([0, 0, 10**400, 5], "width, height"),
            ([1, 2, 3], "width, height"),
            (["a", 2, 3, 4], "width, height"),
        ],
    )
    def test_a_box_that_is_none_is_named(self, box, says, network):
        with pytest.raises(DataError, match=says) as error:
            PoseEstimator(network).estimate([BLANK], [[[0, 0, 50, 50], box]], names=["beach.jpg"])
        assert "beach.jpg, record box 1" in str(error.value)

    def test_one_bad_picture_does_not_stop_the_others(self, network):
        told: list[tuple[int, str]] = []

        def note(position: int, error: HeadstartError) -> None:
            told.append((position, str(error)))

        found = PoseEstimator(network).estimate([BLANK, "/nowhere.jpg", BLANK], on_error=note)
        assert [len(people) for people in found] == [1, 0, 1]
        assert [position for position, _ in told] == [1]
        assert "/nowhere.jpg" in told[0][1]

    def test_without_boxes_the_detector_looks(self):
        joints = person() * 0.2 + [300.0, 300.0, 0.0]
        box = tuple(box_of(joints))

        def detector(image: NDArray[np.uint8]) -> list[Detection]:
            assert image.shape == BLANK.shape
            return [Detection(box, 0.75)]  # type: ignore[arg-type]

        estimator = PoseEstimator(Oracle([(box, joints)]), detector=detector)
        (found,) = estimator.estimate(BLANK)[0]
        assert (found.bbox_xywh, found.score) == (box, 0.75)

    def test_a_detector_that_is_only_named_is_refused(self, network):
        """Known defect: a TypeError when the first picture was reached."""
        with pytest.raises(
            ConfigError, match=r"^detector: expected a function .*TransformersDetector.*, got 'owner/it'$"
        ):
            PoseEstimator(network, detector="owner/it")  # type: ignore[arg-type]

    @pytest.mark.parametrize("boxes", [None, [[[10, 20, 300, 400]]]], ids=["whole picture", "given box"])
    def test_without_a_detector_the_score_says_how_sure_the_surest_quarter_is(self, boxes):
        class Sure(Oracle):
            def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
                shape = (len(crops), len(self.skeleton))
                confidence = np.tile(np.repeat([0.1, 0.4, 0.8], (6, 7, 5)), (len(crops), 1))
                return CropJoints(np.full((*shape, 2), 9.0), np.zeros(shape), confidence)

        (found,) = PoseEstimator(Sure([])).estimate(BLANK, boxes)[0]
        # Three quarters of the way through 18 values lie between the 13th (0.4) and the 14th (0.8), at 12.75 of 17.
        assert found.score == pytest.approx(0.4 + 0.4 * 0.75)

    @pytest.mark.parametrize(
        ("boxes", "names", "says"),
        [
            ([], None, "boxes: .*1 in all"),
            ([[0, 0, 50, 50]], None, "boxes: .*one image with one person"),
            (None, "beach.jpg", "names: .*1 in all, got 'beach.jpg'"),
        ],
    )
    def test_it_is_told_which_of_boxes_and_names_is_wrong(self, boxes, names, says, network):
        with pytest.raises(ConfigError, match=f"^{says}"):
            PoseEstimator(network).estimate(BLANK, boxes, names=names)


def test_to_dict_has_exactly_the_keys_that_are_promised() -> None:
    plain = estimate_turned(0, camera=None).to_dict()
    assert list(plain) == ["image", "bbox", "score", "joints2d", "joints3d_mm", "height_mm"]
    assert list(plain["joints2d"]) == list(plain["joints3d_mm"]) == list(BODY_18.names)
    assert len(plain["bbox"]) == 4
    assert [len(plain[key]["nose"]) for key in ("joints2d", "joints3d_mm")] == [3, 3]
    assert list(estimate_turned(0).to_dict())[5:] == ["joints3d_camera_mm", "height_mm", "camera"]
    lens = {"fx": 1100.0, "fy": 1100.0, "cx": 640.0, "cy": 360.0, "assumed": False}
    assert estimate_turned(0).to_dict()["camera"] == lens


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("run") / "best.safetensors"
    tensors = {f"model.{name}": value for name, value in PoseNet(MODEL).state_dict().items()}
    save_checkpoint(path, tensors, {"model": asdict(MODEL)})
    return path


class TestLoading:
    def test_file_folder_and_published_folder(self, checkpoint, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(checkpoint.read_bytes())
        found = [
            PoseEstimator.from_pretrained(source, detector=None, device="cpu").estimate(BLANK)[0][0].to_dict()
            for source in (checkpoint, checkpoint.parent, str(checkpoint), tmp_path)
        ]
        assert found == [found[0]] * 4

    def test_a_hub_id_is_fetched(self, checkpoint, monkeypatch):
        asked = []

        def download(repository: str, name: str) -> str:
            asked.append((repository, name))
            return str(checkpoint)

        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda url, **_: asked.append(url))
        monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
        for source in ("someone/poses", "some.one/poses-1.5"):
            assert load_network(source, "cpu").input_size == (64, 64)
        assert asked[1::2] == [("someone/poses", "model.safetensors"), ("some.one/poses-1.5", "model.safetensors")]
        assert asked[0].endswith("/someone/poses/resolve/main/model.safetensors")

    def test_a_hub_id_without_a_network_is_one_clear_line(self, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(ConfigError, match="someone/poses: neither a file here nor") as error:
            load_network("someone/poses")
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "source",
        [
            *(
                "nowhere.safetensors",
                "/no/such/run",
                "a/b.onnx",
                "a/b/c.safetensors",
                "no-such-run/",
                "./run",
                "../run",
            ),
            *("runs/nothere", "mine/nothere", "alone"),
        ],
    )
    def test_a_path_that_is_missing_is_not_asked_of_the_hub(self, source, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: pytest.fail("asked of the hub"))
        Path("mine").mkdir()
        with pytest.raises(ConfigError, match="expected a checkpoint"):
            load_network(source)

    def test_a_copy_without_weights_says_so(self, monkeypatch, tmp_path):
        monkeypatch.setattr("headstart.checkpoint.resources.files", lambda _: tmp_path)
        with pytest.raises(ConfigError, match="no model ships"):
            load_network(None)

    def test_a_broken_checkpoint_is_named(self, tmp_path):
        (tmp_path / "broken.safetensors").write_bytes(b"nothing")
        with pytest.raises(DataError, match=r"broken\.safetensors"):
            load_network(tmp_path / "broken.safetensors")

    @pytest.mark.parametrize("height_mm", [0.0, float("nan"), 1.75, 175.0, 1e300])
    def test_a_stature_in_another_unit_is_refused(self, height_mm):
        with pytest.raises(ConfigError, match="height_mm: expected a stature of 300 to 3,000 millimetres"):
            PoseEstimator(DotReader(), height_mm=height_mm)

    def test_settings_that_cannot_be_meant(self):
        with pytest.raises(ConfigError, match="batch_size >= 1"):
            PoseEstimator(DotReader(), batch_size=0)

    @pytest.mark.parametrize("device", ["toaster", "cuda:99"])
    def test_a_device_that_is_not_here(self, device):
        with pytest.raises(ConfigError, match=f"device '{device}'"):
            TorchNetwork(PoseNet(MODEL), device)

    def test_the_device_is_the_one_of_training_if_none_is_given(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(networks, "default_device", lambda: "meta")
        assert next(TorchNetwork(PoseNet(MODEL)).model.parameters()).device.type == "meta"
        assert next(TorchNetwork(PoseNet(MODEL), "cpu").model.parameters()).device.type == "cpu"

    @pytest.mark.parametrize("kind", ["heatmap_depth", "integral", "pyramid"])
    @pytest.mark.parametrize("heatmap", ["mse", "cross_entropy"])
    def test_nothing_is_computed_in_double_precision(self, kind: str, heatmap: str):
        """A Mac's GPU has none."""
        head = HeadConfig(kind, 8, heatmap, depth_bins=4)  # type: ignore[arg-type]
        network = TorchNetwork(PoseNet(replace(MODEL, head=head)), "cpu", scales=(1, 1.25))
        with DoublePrecision() as found:
            network(np.zeros((2, 64, 64, 3), np.uint8), flip_test=True)
            torch.ones(1).double()
        assert len(found.operations) == 1

    @pytest.mark.parametrize("lens", [(float("nan"), 1, 1, 1), (1, 0, 1, 1), (1, 1, float("inf"), 1), (-5, 1, 1, 1)])
    def test_cameras_that_no_picture_comes_from(self, lens):
        with pytest.raises(ConfigError, match="focal length above 0"):
            PoseEstimator(DotReader()).estimate(BLANK, camera=Camera(*lens))

    def test_a_camera_as_opencv_calibrates_it(self, tmp_path: Path):
        """OpenCV gives the lens as an array (1, 5); others give single precision, which JSON does not know."""
        lens = np.array([[-0.25, 0.125, 0, 0, 0]], np.float32)
        camera = Camera(np.float32(1100.5), np.float32(1100.5), np.float32(639.5), np.float32(359.5), lens)  # type: ignore[arg-type]
        (found,) = PoseEstimator(SeesWhite(), flip_test=False).estimate(BLANK, camera=camera)[0]
        wanted = {"fx": 1100.5, "fy": 1100.5, "cx": 639.5, "cy": 359.5, "assumed": False}
        assert found.extra["camera"] == wanted | {"distortion": [-0.25, 0.125, 0, 0, 0]}
        write_json(tmp_path / "a.json", [found])
        assert read_json(tmp_path / "a.json")[0].extra == found.extra

    def test_a_camera_that_is_none(self):
        with pytest.raises(ConfigError, match="expected a Camera or a FieldOfView"):
            PoseEstimator(DotReader()).estimate(BLANK, camera=(1100.0, 640.0, 360.0))

    @pytest.mark.parametrize("degrees", [0.0, 180.0, float("nan")])
    def test_fields_of_view_that_no_lens_has(self, degrees):
        with pytest.raises(ConfigError, match="field of view"):
            FieldOfView(degrees)


@pytest.mark.parametrize("part", CropJoints._fields)
@pytest.mark.parametrize("boxes", [None, [[[40, 20, 110, 260]]]])
def test_a_model_that_gives_no_numbers_is_one_clear_line(boxes: list[list[list[float]]] | None, part: str) -> None:
    class Diverged(SeesWhite):
        def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
            joints = super().__call__(crops)
            return joints._replace(**{part: getattr(joints, part) * np.nan})

    with pytest.raises(ConfigError, match="NaN or infinity"):
        PoseEstimator(Diverged()).estimate(BLANK, boxes)


@pytest.mark.parametrize("flip_test", [True, False])
def test_every_look_is_as_the_flip_test_says(flip_test: bool) -> None:
    """Those that close in on somebody too: the mirrored picture must give the mirrored person."""
    asked: list[bool] = []

    class Noting(SeesWhite):
        def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
            asked.append(flip_test)
            return super().__call__(crops, flip_test=flip_test)

    PoseEstimator(Noting(), flip_test=flip_test).estimate(painted(640, 480, (401, 61, 30, 90)))
    assert asked == [flip_test] * 3


def test_it_is_what_scoring_does(network: TorchNetwork, index_2d: AnnotationIndex) -> None:
    """Same crop, flip test and decoding as ``headstart eval``: the same pixels for the same boxes."""
    rows = np.arange(6)
    scored = evaluate.predict(network.model, network.model.codec, index_2d, rows, batch_size=4)
    photos = [cv2.cvtColor(read_image(index_2d[row].image), cv2.COLOR_BGR2RGB) for row in rows]
    boxes = [[index_2d[row].bbox_xywh.tolist()] for row in rows]
    found = [one for (one,) in PoseEstimator(network, flip_test=True).estimate(photos, boxes)]
    for number, one in enumerate(found):
        np.testing.assert_allclose(points(one.keypoints)[:, :2], scored.keypoints[number], atol=1e-3)
        np.testing.assert_allclose(points(one.keypoints)[:, 2], scored.confidence[number], atol=1e-5)
        ratio = points(one.xyz_mm)[:, 2] / 1000
        depth = scored.depth[number] - scored.depth[number, BODY_18.index("pelvis")]
        across = points(one.xyz_mm)[:, 0] / 1000
        wide = scored.keypoints[number, :, 0] - scored.keypoints[number, BODY_18.index("pelvis"), 0]
        # One scale for x and depth.
        np.testing.assert_allclose(ratio * np.abs(wide).max(), depth * np.abs(across).max(), atol=1e-3)
