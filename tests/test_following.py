"""Frames that go through the network together give what they give one by one."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.following import FOLLOW_MARGIN, Follower, followed_box
from headstart.geometry import Box
from headstart.models.pose_net import PoseNet
from headstart.networks import TorchNetwork
from headstart.predict import PoseEstimator
from headstart.records import RGB, CropJoints, Detection, Prediction
from headstart.video_files import Frame
from tiny import MODEL


def person(x: float, name: str = "a") -> Prediction:
    """Two joints at the corners of the box x, 20, 30, 40."""
    keypoints = {"nose": (x, 20.0, 0.9), "left_ankle": (x + 30.0, 60.0, 0.9)}
    return Prediction(name, (x, 20.0, 30.0, 40.0), 0.9, keypoints, {})


class Notes:
    """An estimator that notes which frames it is given together, and where it is to look.

    A frame's number is its brightness. The person of frame n has their left edge at 10 + n, whatever the boxes.
    """

    def __init__(self, detector: bool = True, broken: int = -1) -> None:
        self.detector = (lambda image: []) if detector else None
        self.calls: list[list[int]] = []
        self.boxes: dict[int, Any] = {}
        self.broken = broken

    def estimate(self, images: Any, boxes: Any = None, camera: Any = None, *, names: Any = None) -> Any:
        numbers = [int(image[0, 0, 0]) for image in images]
        self.calls.append(numbers)
        self.boxes |= dict(zip(numbers, boxes, strict=True))
        if self.broken in numbers:
            raise DataError("a", "boxes in the image", record=f"frame {self.broken}", found="none")
        return [[person(10.0 + number, name)] for number, name in zip(numbers, names, strict=True)]


def frames(count: int, end: Exception | None = None) -> Iterator[Frame]:
    """Frames, each as bright as its number, and then, where one is given, an error."""
    for number in range(count):
        yield Frame(number, number / 25, np.full((100, 120, 3), number, np.uint8))
    if end is not None:
        raise end


def note(followed: Iterator[tuple[Frame, list[Prediction]]], seen: list[tuple[int, float]]) -> None:
    """Number and left edge of each frame's person, also where an error ends the frames."""
    for frame, (one,) in followed:
        seen.append((frame.number, one.bbox_xywh[0]))


def people_of(count: int) -> list[tuple[int, float]]:
    return [(number, 10.0 + number) for number in range(count)]


class TestTogether:
    def test_where_the_detector_looks_at_each_frame_all_go_together(self):
        notes = Notes()
        note(Follower(notes, "a.mp4").people(frames(10), 4), seen := [])
        assert notes.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert seen == people_of(10)
        assert set(notes.boxes.values()) == {None}
        ((_, (one,)),) = Follower(notes, "a.mp4").people(frames(1), 4)
        assert one.image == "a.mp4"

    def test_between_detections_those_that_need_no_other_frame_go_together(self):
        """Every third frame is looked at anew; groups of eight frames begin anywhere between detections."""
        together, alone = Notes(), Notes()
        for notes, at_once in ((together, 8), (alone, 1)):
            note(Follower(notes, "a", detect_every=3).people(frames(16), at_once), seen := [])
            assert seen == people_of(16)
        assert together.calls == [[0, 3, 6], [1, 4, 7], [2, 5], [8, 9, 12, 15], [10, 13], [11, 14]]
        assert alone.calls == [[number] for number in range(16)]
        assert together.boxes == alone.boxes
        assert [number for number, boxes in sorted(together.boxes.items()) if boxes is None] == [0, 3, 6, 9, 12, 15]
        assert together.boxes[8] == [followed_box(person(10.0 + 7), FOLLOW_MARGIN)]

    @pytest.mark.parametrize(("detector", "detect_every"), [(False, 1), (True, 4), (True, 25)])
    def test_where_each_frame_needs_the_one_before_none_is_waited_for(self, detector: bool, detect_every: int):
        source = frames(9)
        followed = Follower(Notes(detector), "a", detect_every=detect_every).people(source, 4)
        assert next(followed)[0].number == 0
        assert next(source).number == 1

    def test_nobody_is_followed_from_an_empty_frame(self):
        """With a detector no box means nobody until it looks again; without one, the whole frame is taken."""

        class Empty(Notes):
            def estimate(self, images: Any, *args: Any, **named: Any) -> Any:
                super().estimate(images, *args, **named)
                return [[] for _ in images]

        with_detector, without = Empty(), Empty(detector=False)
        list(Follower(with_detector, "a", detect_every=2).people(frames(4), 4))
        list(Follower(without, "a").people(frames(4), 4))
        assert with_detector.boxes == {0: None, 1: [], 2: None, 3: []}
        assert without.boxes == dict.fromkeys(range(4))

    def test_no_more_frames_are_held_than_were_asked_for(self):
        alive: set[int] = set()
        most = 0

        def counted() -> Iterator[Frame]:
            nonlocal most
            for frame in frames(30):
                alive.add(frame.number)
                weakref.finalize(frame, alive.discard, frame.number)
                most = max(most, len(alive))
                yield frame
                del frame

        assert sum(len(people) for _, people in Follower(Notes(), "a").people(counted(), 6)) == 30
        assert most == 6 + 1  # the one just given, while the next are read

    def test_two_frames_that_need_no_other_are_enough_to_go_together(self):
        notes = Notes()
        note(Follower(notes, "a", detect_every=2).people(frames(4), 4), [])
        assert notes.calls == [[0, 2], [1, 3]]


class TestLost:
    """Who is not followed is looked for in the whole frame: no boxes are given."""

    def next_boxes(self, *keypoints: tuple[float, float, float]) -> Any:
        """Where a person is looked for who had these joints in the frame before, of 120 x 100 px."""
        seen = {str(number): point for number, point in enumerate(keypoints)}

        class Sees(Notes):
            def estimate(self, images: Any, *args: Any, **named: Any) -> Any:
                return [
                    [Prediction("a", (0, 0, 1, 1), 0.9, seen, {})] for _ in super().estimate(images, *args, **named)
                ]

        notes = Sees(detector=False)
        list(Follower(notes, "a").people(frames(2), 1))
        return notes.boxes[1]

    @pytest.mark.parametrize(
        ("x", "y", "followed"),
        [
            (-31.4, 20, True),
            (-31.5, 20, False),
            (120.4, 20, True),
            (120.5, 20, False),
            (50, -41.4, True),
            (50, -41.5, False),
            (50, 100.4, True),
            (50, 100.5, False),
        ],
    )
    def test_of_whom_4_px_or_less_would_be_in_the_picture(self, x: float, y: float, followed: bool):
        """Joints 30 x 40 px apart: the box begins 4.5 px before the first of them and is 40 x 50 px large."""
        boxes = self.next_boxes((x, y, 0.9), (x + 30, y + 40, 0.9))
        assert boxes == ([pytest.approx((x - 4.5, y - 4.5, 40, 50))] if followed else None)

    @pytest.mark.parametrize(("confidence", "followed"), [(0.2, True), (0.199, False)])
    def test_whose_joints_are_less_sure_than_02(self, confidence: float, followed: bool):
        boxes = self.next_boxes((50, 20, confidence), (80, 60, confidence))
        assert boxes == ([pytest.approx((45.5, 15.5, 40, 50))] if followed else None)

    def test_whose_joints_fall_together(self):
        assert self.next_boxes((50, 20, 0.9), (50, 20, 0.9)) is None


class TestErrors:
    def test_the_frames_before_one_that_cannot_be_read_come_first(self):
        followed = Follower(notes := Notes(), "a").people(frames(6, DataError("a", "an image")), 4)
        with pytest.raises(DataError, match="an image"):
            note(followed, seen := [])
        assert seen == people_of(6)
        assert notes.calls == [[0, 1, 2, 3], [4, 5]]

    def test_a_source_that_cannot_be_read_at_all_raises_its_own_error(self):
        with pytest.raises(DataError, match="not a single"):
            list(Follower(Notes(), "a").people(frames(0, DataError("a", "not a single one")), 4))

    @pytest.mark.parametrize("detect_every", [1, 2])
    def test_the_frames_before_one_that_cannot_be_used_come_first(self, detect_every: int):
        notes, alone = Notes(broken=6), Notes()
        list(Follower(alone, "a", detect_every=detect_every).people(frames(6), 1))
        with pytest.raises(DataError, match="frame 6"):
            note(Follower(notes, "a", detect_every=detect_every).people(frames(12), 4), seen := [])
        assert seen == people_of(6)
        assert {number: notes.boxes[number] for number in range(6)} == alone.boxes


class Counting:
    """A network that notes how many crops it is given at once."""

    def __init__(self, network: TorchNetwork) -> None:
        self.network, self.batches = network, []
        self.skeleton, self.input_size = network.skeleton, network.input_size

    def __call__(self, crops: NDArray[np.uint8], *, flip_test: bool = False) -> CropJoints:
        self.batches.append(len(crops))
        return self.network(crops, flip_test=flip_test)


def crowd(image: RGB) -> list[Detection]:
    """None to three people, by the first pixel of the frame."""
    boxes: Sequence[Box] = ((5.0, 10.0, 30.0, 60.0), (50.0, 5.0, 40.0, 80.0), (80.5, 30.0, 35.0, 50.0))
    return [Detection(box, 0.5 + number / 10) for number, box in enumerate(boxes[: int(image[0, 0, 0]) % 4])]


def test_poses_and_order_are_those_of_one_frame_at_a_time() -> None:
    torch.manual_seed(0)
    network = Counting(TorchNetwork(PoseNet(MODEL), "cpu"))
    estimator = PoseEstimator(network, detector=crowd, batch_size=7)
    random = np.random.default_rng(0)
    film = [Frame(number, number / 25, random.integers(0, 255, (100, 120, 3), np.uint8)) for number in range(19)]
    people = [len(crowd(frame.image)) for frame in film]
    assert set(people) == {0, 1, 2, 3}
    alone = list(Follower(estimator, "a").people(film, 1))
    assert network.batches == [count for count in people if count]
    network.batches.clear()
    together = list(Follower(estimator, "a").people(film, 8))
    assert max(network.batches) == 7
    assert sum(network.batches) == sum(people)
    assert [frame.number for frame, _ in together] == list(range(19))
    for (_, wanted), (_, found) in zip(alone, together, strict=True):
        assert [one.bbox_xywh for one in found] == [one.bbox_xywh for one in wanted]
        assert [one.score for one in found] == [one.score for one in wanted]
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(list(one.keypoints.values()), list(other.keypoints.values()), atol=1e-3)
            np.testing.assert_allclose(list(one.xyz_mm.values()), list(other.xyz_mm.values()), atol=0.1)


def test_the_box_of_joints_is_tight_and_its_margin_the_same_on_all_sides() -> None:
    keypoints = {"head_top": (20.0, 20.0, 1.0), "left_wrist": (30.0, 36.0, 1.0), "right_wrist": (10.0, 36.0, 1.0)}
    keypoints |= {"left_ankle": (26.0, 60.0, 1.0), "right_ankle": (14.0, 60.0, 1.0)}
    one = Prediction("a", (10, 20, 20, 40), 1.0, keypoints, {})
    assert followed_box(one) == (10.5, 20.5, 20, 40)
    assert followed_box(one, 1.5) == (0.5, 10.5, 40, 60)
    assert followed_box(Prediction("a", (0, 0, 1, 1), 1.0, {"nose": (3, 3, 1)}, {})) is None


def test_joints_a_pixel_apart_have_a_box_and_joints_without_a_place_have_none() -> None:
    def box(**keypoints: tuple[float, float, float]) -> Box | None:
        return followed_box(Prediction("a", (0, 0, 1, 1), 1.0, keypoints, {}))

    assert box(nose=(3, 3, 1), neck=(4, 3, 1)) == (3.5, 3.5, 1, 1)
    assert box(nose=(3, 3, 1), neck=(3, 5, 1)) == (3.5, 3.5, 1, 2)
    assert box(nose=(3, 3, 1), neck=(30, float("nan"), 1)) is None
    assert box() is None
