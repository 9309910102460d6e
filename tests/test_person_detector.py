"""From the detector's maps to people in the picture's pixels, with maps that are given; and the detector that ships."""

from __future__ import annotations

import pickle
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headstart import person_detector
from headstart.errors import ConfigError, DataError
from headstart.geometry import Box, Crop
from headstart.models.person_detector_net import STRIDE, PeopleMaps
from headstart.person_detector import PersonDetector, box_of_body, box_of_joints_in, shipped_detector
from headstart.photos import read_photo
from headstart.records import CropJoints, PoseNetwork
from headstart.skeleton import MODEL_SKELETONS
from headstart.tracking import overlaps

EXAMPLES = Path(str(resources.files("headstart"))) / "serve" / "assets" / "examples"


class Gives(torch.nn.Module):
    """A network that sees the same people in every picture: (column, row, score, sides px) of each."""

    def __init__(self, *people: tuple[int, int, float, tuple[float, float, float, float]]) -> None:
        super().__init__()
        self.people = people
        self.seen: list[tuple[int, ...]] = []
        self.mean = torch.zeros(1)

    def forward(self, image: torch.Tensor) -> PeopleMaps:
        self.seen.append(tuple(image.shape))
        height, width = (side // STRIDE for side in image.shape[-2:])
        heat, sides = torch.full((1, height, width), -9.0), torch.ones(1, 4, height, width)
        for column, row, score, reach in self.people:
            heat[0, row, column] = torch.logit(torch.tensor(score))
            sides[0, :, row, column] = torch.tensor(reach)
        return PeopleMaps(heat, sides)


def detector_with(
    *people: tuple[int, int, float, tuple[float, float, float, float]], size: int = 64, pose: PoseNetwork | None = None
) -> PersonDetector:
    detector = PersonDetector(sizes=(size,), pose=pose)
    detector.__dict__["network"] = Gives(*people)
    return detector


def picture(width: int, height: int) -> NDArray[np.uint8]:
    return np.zeros((height, width, 3), np.uint8)


def test_a_box_is_in_pixels_of_the_picture_however_large_that_is() -> None:
    """The cell (3, 2) has its middle at (28, 20) in what the network sees: 64 px wide of 640."""
    detector = detector_with((3, 2, 0.9, (8.0, 10.0, 12.0, 10.0)))
    (small,), (large,) = detector.propose(picture(64, 48)), detector.propose(picture(640, 480))
    assert small.bbox_xywh == pytest.approx((20, 10, 20, 20))
    assert large.bbox_xywh == pytest.approx((200, 100, 200, 200))
    assert small.score == large.score == pytest.approx(0.9)


def test_a_picture_is_padded_to_sides_that_the_network_can_divide() -> None:
    detector = detector_with()
    for width, height in ((640, 480), (480, 640), (1000, 10), (1, 1)):
        detector.propose(picture(width, height))
    assert detector.network.seen == [(1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 32, 64), (1, 3, 64, 64)]


def test_boxes_end_at_the_edges_of_the_picture() -> None:
    (one,) = detector_with((7, 5, 0.9, (20.0, 20.0, 20.0, 20.0))).propose(picture(64, 48))
    assert one.bbox_xywh == pytest.approx((40, 24, 24, 24))


def test_who_is_in_the_padding_only_is_nobody() -> None:
    assert detector_with((2, 7, 0.9, (4.0, 4.0, 4.0, 4.0))).propose(picture(64, 48)) == []


def test_the_best_come_first_and_the_unsure_are_left_out() -> None:
    reach = (6.0, 6.0, 6.0, 6.0)
    cells = ((1, 1, 0.5, reach), (4, 4, 0.8, reach), (6, 1, 0.24, reach), (1, 6, 0.26, reach))
    people = detector_with(*cells).propose(picture(64, 64))
    assert [round(one.score, 2) for one in people] == [0.8, 0.5, 0.26]


def test_the_thirty_best_are_proposed_of_a_crowd() -> None:
    """36 people of 12 px, each 16 px from the next; each is a little surer than the one before."""
    crowd = [(2 * (k % 6) + 1, 2 * (k // 6) + 1, 0.2 + k / 100, (6.0,) * 4) for k in range(36)]
    people = detector_with(*crowd, size=128).propose(picture(128, 128))
    assert [round(one.score, 2) for one in people] == [round(0.55 - k / 100, 2) for k in range(30)]


def test_a_person_may_fill_a_picture_that_is_a_pixel_wide() -> None:
    (one,) = detector_with((0, 4, 0.9, (8.0,) * 4)).propose(picture(1, 64))
    assert one.bbox_xywh == pytest.approx((0, 28, 1, 16))


class Certain:
    """A pose network that is as sure as the first grey value of each crop says, in percent."""

    skeleton = MODEL_SKELETONS["body_18"]
    input_size = (32, 32)

    def __init__(self) -> None:
        self.seen: list[NDArray[np.uint8]] = []

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        self.seen.append(crops)
        sure = np.repeat(crops[:, 16, 16, :1] / 100, 18, 1)
        return CropJoints(np.zeros((len(crops), 18, 2), np.float32), np.zeros((len(crops), 18)), sure)


def test_the_pose_network_has_its_say_about_each_box() -> None:
    """Scores are geometric means: of 0.9 and 0.04, 0.19, too low; of 0.4 and 0.9, 0.6."""
    image = picture(64, 64)
    image[:, :32], image[:, 32:] = 4, 90
    certain = Certain()
    detector = detector_with((2, 4, 0.9, (8.0,) * 4), (5, 4, 0.4, (8.0,) * 4), pose=certain)
    assert [round(one.score, 2) for one in detector.propose(image)] == [0.9, 0.4]
    (one,) = detector(image)
    assert one.score == pytest.approx(0.6)
    assert one.bbox_xywh == pytest.approx((36, 28, 16, 16))
    assert len(certain.seen) == 1


class SureOf:
    """A pose network that is sure, by 0.9, of the first joints and of no other."""

    skeleton = MODEL_SKELETONS["body_18"]
    input_size = (32, 32)

    def __init__(self, joints: int) -> None:
        self.joints = joints

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        sure = np.where(np.arange(18) < self.joints, 0.9, 0.0)[None].repeat(len(crops), 0)
        return CropJoints(np.zeros((len(crops), 18, 2), np.float32), np.zeros((len(crops), 18)), sure)


def test_who_is_cut_off_by_the_frame_shows_a_quarter_of_the_joints() -> None:
    """Of 18 in order, three quarters of the way is at 12.75: with five sure ones between 0 and 0.9, 0.675."""
    (one,) = detector_with((3, 3, 0.9, (8.0,) * 4), pose=SureOf(5))(picture(64, 64))
    assert one.score == pytest.approx((0.9 * 0.675) ** 0.5)
    assert detector_with((3, 3, 0.9, (8.0,) * 4), pose=SureOf(4))(picture(64, 64)) == []


class SeesTheBrightest:
    """A pose network whose joints all lie at the brightest pixel of the crop."""

    skeleton = MODEL_SKELETONS["body_18"]
    input_size = (64, 64)

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        at = [np.unravel_index(crop[..., 0].argmax(), crop.shape[:2])[::-1] for crop in crops]
        points = np.array(at, np.float32)[:, None].repeat(18, 1)
        return CropJoints(points, np.zeros((len(crops), 18)), np.full((len(crops), 18), 0.9))


def test_a_box_of_a_part_of_a_body_is_not_another_person() -> None:
    """Boxes of 16 and 40 px, the small one in the large one; joints in the one place, then in places of their own."""
    large = (28.0, 20.0, 12.0, 20.0)
    detector = detector_with((3, 3, 0.8, (8.0,) * 4), (5, 3, 0.9, large), pose=SeesTheBrightest())
    image = picture(64, 64)
    image[27:30, 27:30] = 200
    assert len(detector.propose(image)) == 2
    (one,) = detector(image)
    assert one.bbox_xywh == pytest.approx((16, 8, 40, 40))
    image[34:37, 44:47] = 255  # in the large box alone
    assert len(detector(image)) == 2


def test_where_nobody_is_proposed_the_pose_network_is_not_asked() -> None:
    certain = Certain()
    assert detector_with(pose=certain)(picture(64, 48)) == []
    assert certain.seen == []


def test_a_picture_is_looked_at_in_two_sizes_and_who_is_seen_in_both_is_one_person() -> None:
    """The cell (3, 3), middle (28, 28), of 32 and of 64 px: (56, 56) and (28, 28) px of a picture of 64 px."""
    detector = detector_with((3, 3, 0.9, (8.0,) * 4))
    detector.sizes = (32, 64)
    first, second = detector.propose(picture(64, 64))
    assert first.bbox_xywh == pytest.approx((40, 40, 24, 24))  # 32 px, cut at the edge of the picture
    assert second.bbox_xywh == pytest.approx((20, 20, 16, 16))
    assert detector.network.seen == [(1, 3, 32, 32), (1, 3, 64, 64)]
    detector.sizes = (64, 64)
    assert len(detector.propose(picture(64, 64))) == 1


def test_the_pose_network_sees_the_crops_that_it_was_trained_on_and_no_more_at_once_than_asked_for() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    certain = Certain()
    detector = detector_with(
        *[(column, row, 0.9, (6.0,) * 4) for column, row in ((1, 1), (6, 1), (1, 6))], pose=certain
    )
    detector.batch_size = 2
    detector(image)
    assert [len(crops) for crops in certain.seen[:2]] == [2, 1]
    # The box of 12 x 12 px around (12, 12) has joints in 10 x 10 px; the crop is 1.25 times as large.
    crop = Crop.from_box(np.array([7.0, 7, 10, 10]), (32, 32))
    np.testing.assert_array_equal(certain.seen[0][0], crop.warp(image))


def test_of_boxes_that_are_the_same_person_the_best_stays() -> None:
    """Middles 16 px apart of boxes 40 px wide: they share 24 of 56 px, 0.43. Of 60 px: 44 of 76, 0.58."""
    for side, count in ((20.0, 2), (30.0, 1)):
        people = detector_with((2, 4, 0.7, (side,) * 4), (4, 4, 0.9, (side,) * 4), size=128).propose(picture(128, 128))
        assert (len(people), people[0].score) == (count, pytest.approx(0.9))


def test_neighbouring_cells_of_a_peak_are_no_people_of_their_own() -> None:
    people = detector_with((4, 4, 0.9, (9.0,) * 4), (5, 4, 0.8, (3.0,) * 4)).propose(picture(64, 64))
    assert len(people) == 1


boxes = st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(1, 500)] * 2)


@given(boxes)
def test_the_box_of_the_joints_in_a_body_is_that_of_the_joints(joints: Box) -> None:
    assume(max(joints[2:]) <= 20 * min(joints[2:]))
    assert box_of_joints_in(box_of_body(joints)) == pytest.approx(joints, abs=1e-6)


def test_a_body_reaches_beyond_its_joints() -> None:
    """A tenth of the mean of 40 and 80 px is 6 px."""
    assert box_of_body((10, 20, 40, 80)) == pytest.approx((4, 14, 52, 92))


@given(boxes)
def test_something_remains_of_every_box(body: Box) -> None:
    x, y, w, h = box_of_joints_in(body)
    assert min(w, h) > 0
    assert body[0] <= x
    assert x + w <= body[0] + body[2] + 1e-6
    assert body[1] <= y
    assert y + h <= body[1] + body[3] + 1e-6


def test_weights_that_are_missing_or_of_something_else_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"nothing\.safetensors"):
        PersonDetector(tmp_path / "nothing.safetensors")(picture(64, 64))
    pose = shipped_detector().with_name("ship.safetensors")
    with pytest.raises(DataError, match="the weights of this model"):
        PersonDetector(pose)(picture(64, 64))
    monkeypatch.setattr(person_detector.resources, "files", lambda name: tmp_path)
    with pytest.raises(ConfigError, match="no person detector ships with this copy"):
        PersonDetector()


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^device 'cuda:7': cannot be used by this torch"):
        PersonDetector(device="cuda:7").propose(picture(64, 64))


@pytest.fixture(scope="module")
def shipped() -> PersonDetector:
    return PersonDetector(device="cpu")


def test_what_ships_fits_into_16_mb() -> None:
    assert sum(path.stat().st_size for path in shipped_detector().parent.glob("*.safetensors")) <= 16_000_000


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("crouch", (20, 73, 446, 365)),
        ("dive", (87, 85, 341, 351)),
        ("hurdle", (98, 54, 315, 420)),
        ("throw", (114, 60, 278, 438)),
        ("traffic", (136, 62, 201, 425)),
    ],
)
def test_the_person_of_an_example_is_found(shipped: PersonDetector, name: str, person: Box) -> None:
    """Boxes by eye."""
    best = shipped(read_photo(EXAMPLES / f"{name}.jpg"))[0]
    assert overlaps([best.bbox_xywh], [person])[0, 0] > 0.5


def test_the_mirrored_photo_has_the_mirrored_people(shipped: PersonDetector) -> None:
    photo = read_photo(EXAMPLES / "crouch.jpg")
    (x, y, w, h), mirrored = shipped(photo)[0].bbox_xywh, shipped(np.ascontiguousarray(photo[:, ::-1]))[0].bbox_xywh
    assert overlaps([mirrored], [(photo.shape[1] - x - w, y, w, h)])[0, 0] > 0.8


def test_nobody_is_found_in_noise_and_in_plain_pictures(shipped: PersonDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    assert [shipped(image) for image in (noise, picture(320, 240), picture(1, 1), picture(3000, 2))] == [[]] * 4


def test_it_can_be_sent_to_another_process(shipped: PersonDetector) -> None:
    photo = read_photo(EXAMPLES / "crouch.jpg")
    for detector in (shipped, PersonDetector(device="cpu")):  # with its network, and before it has one
        assert pickle.loads(pickle.dumps(detector))(photo) == shipped(photo)
