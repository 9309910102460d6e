"""Pictures for users: the right colour at the right place, in every view, at every size."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.draw import LEFT, MIDDLE, RIGHT
from headstart.draw_people import draw_people, draw_view, result_picture, write
from headstart.records import Prediction
from headstart.skeleton import BODY_18, FEET
from oracle import person

GREY = np.full((300, 400, 3), 120, np.uint8)


def someone(
    turn: float = 0.0, scale: float = 0.12, at: tuple[float, float] = (200, 140), sure: float = 0.9
) -> Prediction:
    mm = person(turn)
    flat = mm[:, :2] * scale + np.array(at)
    keypoints = {name: (float(x), float(y), sure) for name, (x, y) in zip(BODY_18.names, flat)}
    low, size = flat.min(0) - 5, np.ptp(flat, axis=0) + 10
    box = (float(low[0]), float(low[1]), float(size[0]), float(size[1]))
    xyz = {name: (float(x), float(y), float(z)) for name, (x, y, z) in zip(BODY_18.names, mm)}
    return Prediction("a.jpg", box, 1.0, keypoints, xyz)


def where(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> np.ndarray:
    """Mean column and row of the pixels of a colour."""
    rows, columns = np.nonzero((np.abs(picture.astype(int) - colour) <= tolerance).all(-1))
    assert len(rows), f"no pixel of {colour}"
    return np.array([columns.mean(), rows.mean()])


class TestDrawPeople:
    def test_sides_are_where_they_are(self):
        found = someone()
        picture = draw_people(GREY, [found])
        for joint, colour in (("left_wrist", LEFT), ("right_wrist", RIGHT), ("left_ankle", LEFT)):
            x, y = (round(value) for value in found.keypoints[joint][:2])
            assert tuple(picture[y, x]) == colour, joint

    def test_feet_are_drawn_from_the_ankle(self):
        """Left toes 40 px right of the ankle, right ones 40 px left of it, heels 20 px below; bones in between."""
        found = someone(sure=0.9)
        keypoints, xyz = dict(found.keypoints), dict(found.xyz_mm)
        for joint in FEET:
            side, _, part = joint.partition("_")
            x, y, sure = keypoints[f"{side}_ankle"]
            away = (40 if side == "left" else -40, 20 if part == "small_toe" else 0) if part != "heel" else (0, 20)
            keypoints[joint], xyz[joint] = (x + away[0], y + away[1], sure), xyz[f"{side}_ankle"]
        picture = draw_people(GREY, [Prediction("a.jpg", found.bbox_xywh, 1.0, keypoints, xyz)])
        for joint in FEET:
            side = joint.partition("_")[0]
            colour = LEFT if side == "left" else RIGHT
            ankle, end = np.array(keypoints[f"{side}_ankle"][:2]), np.array(keypoints[joint][:2])
            for x, y in np.round([end, (ankle + end) / 2]).astype(int):
                assert tuple(picture[y, x]) == colour, joint

    def test_uncertain_joints_are_white(self):
        found = someone(sure=0.1)
        x, y = (round(value) for value in found.keypoints["left_wrist"][:2])
        assert tuple(draw_people(GREY, [found])[y, x]) == (255, 255, 255)

    def test_the_picture_itself_stays(self):
        draw_people(GREY, [someone()])
        assert (GREY == 120).all()
        np.testing.assert_array_equal(draw_people(GREY, []), GREY)

    def test_several_people_are_counted(self):
        two = [someone(at=(120, 140)), someone(at=(290, 140))]
        changed = draw_people(GREY, two) != draw_people(GREY, two, numbers=False)
        rows, columns = np.nonzero(changed.any(-1))
        assert len(rows) > 10
        for one in two:
            x, y = one.bbox_xywh[:2]
            assert ((columns > x) & (columns < x + 16) & (rows > y) & (rows < y + 18)).any()

    def test_people_who_leave_the_picture(self):
        assert draw_people(GREY, [someone(at=(5000, -3000)), someone(at=(-1e9, 1e9))]).shape == GREY.shape


class TestDrawView:
    def test_front_is_as_the_camera_sees_it(self):
        picture = draw_view(someone().xyz_mm, "", 300, 1000)
        assert where(picture, LEFT, 60)[0] > 150 > where(picture, RIGHT, 60)[0]

    def test_the_side_shows_depth_to_the_right(self):
        """Turned to his left his left is far, so it is drawn on the right, and paler the farther from the viewer."""
        picture = draw_view(someone(90).xyz_mm, "", 300, 1000, side=True)
        assert where(picture, LEFT, 60)[0] > 150 > where(picture, RIGHT, 60)[0]

    def test_the_side_is_not_mirrored(self):
        """Someone who faces the camera, which is at the left, stretches both arms to it: they are left of the hips."""
        pose = {"left_hip": (100.0, 0.0, 0.0), "right_hip": (-100.0, 0.0, 0.0), "pelvis": (0.0, 0.0, 0.0)}
        pose |= {"thorax": (0.0, -500.0, 0.0), "left_wrist": (100.0, -500.0, -600.0)}
        pose |= {"right_wrist": (-100.0, -500.0, -600.0)}
        upper = draw_view(pose, "", 300, 700, side=True)[:140]
        assert where(upper, LEFT, 70)[0] < where(upper, MIDDLE, 70)[0] - 30

    def test_far_is_paler(self):
        pose = {"left_hip": (0.0, -300.0, 500.0), "left_knee": (0.0, -100.0, 500.0), "right_hip": (0.0, 100.0, -500.0)}
        pose["right_knee"] = (0.0, 300.0, -500.0)
        picture = draw_view(pose, "", 300, 500)
        assert tuple(picture[255, 150]) == RIGHT or tuple(picture[235, 150]) == RIGHT
        with pytest.raises(AssertionError):
            where(picture, LEFT, 3)

    def test_the_scale_is_that_of_the_grid(self):
        """500 mm in a view of 2,000 mm are a quarter of its side."""
        pose = {"pelvis": (0.0, 250.0, 0.0), "thorax": (0.0, -250.0, 0.0)}
        rows = np.nonzero((np.abs(draw_view(pose, "", 400, 1000).astype(int) - MIDDLE) < 12).all(-1))[0]
        assert np.ptp(rows) == pytest.approx(100, abs=8)
        lines = np.nonzero((draw_view({"nose": (0.0, 0.0, 0.0)}, "", 400, 1000)[:, 30] < 240).any(-1))[0]
        assert np.diff(lines)[np.diff(lines) > 1].tolist() == pytest.approx([100] * 3, abs=2)


class TestResultPicture:
    @pytest.mark.parametrize("shape", [(300, 400), (40, 30), (1600, 2400), (900, 300)])
    @pytest.mark.parametrize("count", [0, 1, 2, 6])
    def test_overlay_views_and_legend(self, shape, count):
        image = np.full((*shape, 3), 120, np.uint8)
        people = [someone(30.0 * i, 0.4 * min(shape) / 1000, (shape[1] / 2, shape[0] / 2)) for i in range(count)]
        picture = result_picture(image, people)
        factor = min(1280 / max(shape), max(720 / shape[0], 1))
        width, height = round(shape[1] * factor), round(shape[0] * factor)
        views = min(count, 4)
        assert picture.shape == (height + 44, max(width + views * (12 + (height - 12) // 2), 560), 3)

    @pytest.mark.parametrize("shape", [(8, 20_000), (60, 1000)])
    def test_views_and_legend_can_be_read_beside_a_flat_picture(self, shape):
        picture = result_picture(np.full((*shape, 3), 120, np.uint8), [someone(scale=0.01, at=(shape[1] / 2, 4))])
        assert picture.shape == (480 + 44, 1280 + 12 + 234, 3)
        for view in (picture[:234, 1292:], picture[246:480, 1292:]):
            for colour in (LEFT, RIGHT):
                assert (np.abs(view.astype(int) - colour).max(-1) < 100).sum() > 50

    def test_the_legend_of_a_narrow_picture_without_people_is_whole(self):
        narrow, wide = (result_picture(np.full((720, width, 3), 120, np.uint8), []) for width in (90, 1200))
        legends = [picture[-44:, :560] for picture in (narrow, wide)]
        assert legends[0].shape == legends[1].shape
        assert (legends[0] == legends[1]).all()

    def test_joints_are_drawn_where_they_are_also_when_scaled(self):
        """A dark cross in a large white picture lies under the joint that is predicted there."""
        found = someone(scale=0.9, at=(1500, 900))
        picture = result_picture(np.full((1800, 3000, 3), 255, np.uint8), [found])
        x, y, _ = found.keypoints["right_wrist"]
        factor = 1280 / 3000
        assert tuple(picture[round((y + 0.5) * factor - 0.5), round((x + 0.5) * factor - 0.5)]) == RIGHT


@pytest.mark.parametrize("place", [(-15, 5), (-60, 5), (5, -60), (200, 5), (5, 200), (-60, -60)])
def test_text_beside_the_picture_is_cut_off(place: tuple[int, int]) -> None:
    """Of somebody who left a video: a slice that ends below 0 would count from the other edge."""
    canvas = np.zeros((40, 50, 3), np.uint8)
    write(canvas, "1", place, 12, (255, 255, 255), shadow=True)
    assert not canvas.any()


def test_text_is_cut_at_the_edges() -> None:
    canvas = np.zeros((30, 60, 3), np.uint8)
    for position in ((-20, 5), (50, -5), (10, 25), (500, 500)):
        write(canvas, "words", position, 15, (255, 255, 255), shadow=True)
    assert canvas.any()
